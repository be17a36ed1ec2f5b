"""Packets for properties, built and read back without the code under test.

Frames are what a TUN delivers: ten bytes of virtio-net header, then IPv4. Everything that can be
wrong on the wire can be asked for here.
"""

import struct
from dataclasses import dataclass
from typing import NamedTuple

from router.wire.address import Endpoint

ICMP, TCP, UDP, GRE = 1, 6, 17, 47
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
ECHO_REPLY, UNREACHABLE, ECHO = 0, 3, 8
DONT_FRAGMENT, MORE_FRAGMENTS = 0x4000, 0x2000
VNET = 10  # bytes
OWN_GSO = -1  # the GSO type that fits the protocol


def ones_sum(data: bytes) -> int:
    """Return the folded one's complement sum of RFC 1071, word by word."""
    padded = data + bytes(len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def pseudo_header(source: int, destination: int, protocol: int, length: int) -> bytes:
    return struct.pack("!IIBBH", source, destination, 0, protocol, length)


@dataclass(frozen=True)
class Recipe:
    """How to build a packet between two endpoints; the defaults make a plain, valid one.

    `checksum` is the transport's: "right", "partial" (for a device to complete), a number, or,
    in a walk, "zero behind" the router.
    `other_zero` writes a header checksum of 0x0000 as 0xFFFF, which sums up as well.
    `total_length` and `transport_length` are added to the true ones; `cut` takes bytes off the
    end, `flips` are bits of the finished packet to invert.
    """

    ttl: int = 64
    tos: int = 0
    identification: int = 7
    flags_offset: int = DONT_FRAGMENT
    options: bytes = b""
    size: int = 16
    flags: int = ACK
    sequence: int = 1000
    acknowledgment: int = 2000
    window: int = 4000
    tcp_options: bytes = b""
    checksum: str | int = "right"
    other_zero: bool = False
    total_length: int = 0
    transport_length: int = 0
    vnet: tuple[int, int, int] = (0, 0, 0)  # flags, GSO type, GSO size
    checksum_place: tuple[int, int] | None = None  # what the header says, None for the truth
    cut: int = 0
    flips: tuple[int, ...] = ()
    icmp_type: int = ECHO
    data: bytes | None = None

    def frame(self, protocol: int, source: Endpoint, destination: Endpoint) -> bytes:
        if self.flags_offset & 0x1FFF:
            payload = self._content()
        else:
            payload = self._transport(protocol, source, destination)
        packet = bytearray(self._ip(protocol, source.address, destination.address, payload))
        if self.cut:
            del packet[-self.cut :]
        for bit in self.flips:
            if packet:
                packet[bit // 8 % len(packet)] ^= 1 << bit % 8
        return self._offload(protocol) + bytes(packet)

    def _offload(self, protocol: int) -> bytes:
        flags, gso_type, gso_size = self.vnet
        if gso_type == OWN_GSO:
            gso_type = {TCP: 1, UDP: 5}.get(protocol, 0)
        place = (20 + len(self.options), {TCP: 16, UDP: 6}.get(protocol, 0))
        start, offset = place if self.checksum_place is None else self.checksum_place
        return struct.pack("<BBHHHH", flags, gso_type, 0, gso_size, start, offset)

    def _content(self) -> bytes:
        return bytes(range(256)) * (self.size // 256 + 1) if self.data is None else self.data

    def _transport(self, protocol: int, source: Endpoint, destination: Endpoint) -> bytes:
        data = self._content()[: self.size] if self.data is None else self.data
        if protocol == ICMP:
            head = struct.pack(
                "!BBHHH", self.icmp_type, 0, 0, max(source.port, destination.port), 1
            )
            return _put(head + data, 2, self._sum_field(b"", head + data))
        if protocol == UDP:
            length = 8 + len(data) + self.transport_length
            message = struct.pack("!HHHH", source.port, destination.port, length & 0xFFFF, 0) + data
            at = 6
        elif protocol == TCP:
            words = 5 + len(self.tcp_options) // 4 + self.transport_length
            message = struct.pack(
                "!HHIIBBHHH", source.port, destination.port, self.sequence, self.acknowledgment,
                (words & 15) << 4, self.flags, self.window, 0, 0,
            ) + self.tcp_options + data  # fmt: skip
            at = 16
        else:
            return data
        pseudo = pseudo_header(source.address, destination.address, protocol, len(message))
        return _put(message, at, self._sum_field(pseudo, message))

    def _sum_field(self, pseudo: bytes, message: bytes) -> int:
        if isinstance(self.checksum, int):
            return self.checksum
        if self.checksum == "partial":
            return ones_sum(pseudo)
        return ones_sum(pseudo + message) ^ 0xFFFF or 0xFFFF

    def _ip(self, protocol: int, source: int, destination: int, payload: bytes) -> bytes:
        words = 5 + len(self.options) // 4
        header = struct.pack(
            "!BBHHHBBHII", 0x40 | words, self.tos,
            (words * 4 + len(payload) + self.total_length) & 0xFFFF,
            self.identification, self.flags_offset, self.ttl, protocol, 0, source, destination,
        ) + self.options  # fmt: skip
        if self.other_zero:  # an identification that makes the rest sum up to zero
            header = _put(header, 4, 0)
            header = _put(header, 4, ones_sum(header) ^ 0xFFFF)
            return _put(header, 10, 0xFFFF) + payload
        return _put(header, 10, ones_sum(header) ^ 0xFFFF) + payload


def _put(data: bytes, at: int, word: int) -> bytes:
    return data[:at] + struct.pack("!H", word) + data[at + 2 :]


PLAIN = Recipe()


class Seen(NamedTuple):
    """What a network sees of a packet; ports are None in later fragments and other protocols."""

    protocol: int
    source: int
    destination: int
    ttl: int
    ports: tuple[int, int] | None
    payload: bytes

    @classmethod
    def of(cls, packet: bytes) -> "Seen":
        """Read an IPv4 packet (or a quote of one) and insist on its header checksum."""
        header = (packet[0] & 15) * 4
        assert packet[0] >> 4 == 4
        assert ones_sum(packet[:header]) == 0xFFFF, "header checksum"
        _, _, total, _, flags_offset, ttl, protocol, _, source, destination = struct.unpack_from(
            "!BBHHHBBHII", packet
        )
        payload = packet[header:total]
        ports = None
        if not flags_offset & 0x1FFF and len(payload) >= 8:
            if protocol in (TCP, UDP):
                ports = struct.unpack_from("!HH", payload)
            elif protocol == ICMP:
                ports = (struct.unpack_from("!H", payload, 4)[0],) * 2
        return cls(protocol, source, destination, ttl, ports, payload)

    @property
    def source_endpoint(self) -> Endpoint:
        return Endpoint(self.source, self.ports[0] if self.ports else 0)

    @property
    def destination_endpoint(self) -> Endpoint:
        return Endpoint(self.destination, self.ports[1] if self.ports else 0)

    @property
    def transport_right(self) -> bool:
        """Whether the transport checksum of this whole packet holds."""
        if self.protocol == ICMP:
            return ones_sum(self.payload) == 0xFFFF
        at = 6 if self.protocol == UDP else 16
        if self.protocol == UDP and self.payload[at : at + 2] == b"\0\0":
            return True
        pseudo = pseudo_header(self.source, self.destination, self.protocol, len(self.payload))
        return ones_sum(pseudo + self.payload) == 0xFFFF
