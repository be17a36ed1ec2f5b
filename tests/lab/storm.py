"""Packets nobody should send, without end: the same ones for the same seed.

Real ones are made once; each packet of a storm is one of them with addresses and ports exchanged,
bits turned, cut short, its lengths wrong or its checksums right again, or it is plain noise.
"""

import random
from collections.abc import Iterator, Sequence

from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_LSRR, IPOption_RR
from scapy.packet import Packet, Raw
from scapy.utils import checksum

_PORTS = (0, 5, 53, 80, 4000, 4001, 33434, 65535)
_ICMP_TYPES = (0, 3, 4, 5, 8, 9, 11, 12, 13, 17, 40, 255)
_PROTOCOLS = (0, 2, 4, 41, 47, 50, 51, 132, 136, 255)
_NEEDS_CSUM = 1  # of a virtio-net header's flags
_GSO_TYPES = (0, 1, 3, 4, 5, 0x81)
_LENGTHS = (0, 1, 7, 8, 100, 600)  # of data, bytes; less than what a Watch's marks have
_HEADER_BYTES = 20
_VNET_BYTES = 10


class Storm:
    """A storm from hosts towards hosts."""

    def __init__(self, seed: int, sources: Sequence[str], destinations: Sequence[str]) -> None:
        self._random = random.Random(seed)
        self._sources, self._destinations = sources, destinations
        self._real = [bytes(packet) for packet in self._packets()]

    def packets(self, *, offloads: bool = False) -> Iterator[bytes]:
        """Yield packets for ever, each behind a virtio-net header where asked for."""
        while True:
            packet = bytearray(self._random.choice(self._real))
            self._random.choice(self._SPOILERS)(self, packet)
            if self._random.random() < 0.7:
                _heal(packet)
            yield (self._vnet_header(len(packet)) if offloads else b"") + bytes(packet)

    # Real packets

    def _packets(self) -> Iterator[Packet]:
        for flags in range(256):  # every combination
            yield (
                self._ip() / TCP(sport=self._port(), dport=self._port(), flags=flags) / self._data()
            )
        for kind in _ICMP_TYPES:
            for code in (0, 1, 3, 4, 200):
                yield self._ip() / ICMP(type=kind, code=code, id=self._port()) / self._quoted()
        for _ in range(64):
            yield self._ip() / UDP(sport=self._port(), dport=self._port()) / self._data()
            whole = self._ip() / UDP(sport=self._port(), dport=self._port()) / Raw(bytes(600))
            whole.id = self._random.randrange(4)
            yield from whole.fragment(self._random.choice((8, 64, 256)))
        for protocol in _PROTOCOLS:
            yield self._ip(proto=protocol) / self._data()
        for option in (IPOption_RR(), IPOption_LSRR(routers=[self._sources[0]])):
            yield self._ip(options=option) / UDP(sport=4000, dport=53) / self._data()

    def _ip(self, **fields: object) -> Packet:
        source, destination = (
            self._random.choice(hosts) for hosts in (self._sources, self._destinations)
        )
        ttl = self._random.choice((0, 1, 2, 64, 255))
        return IP(src=source, dst=destination, ttl=ttl, **fields)

    def _quoted(self) -> Packet:
        """What an ICMP error may quote: a packet that came the other way, or anything."""
        source, destination = (
            self._random.choice(hosts) for hosts in (self._destinations, self._sources)
        )
        ports = {"sport": self._port(), "dport": self._port()}
        inner = self._random.choice((UDP(**ports), TCP(**ports), ICMP(id=4000), ICMP(type=3)))
        quote = bytes(IP(src=source, dst=destination) / inner / Raw(bytes(40)))
        return Raw(quote[: self._random.choice((0, 12, 20, 24, 28, len(quote)))])

    def _port(self) -> int:
        return self._random.choice(_PORTS)

    def _data(self) -> Packet:
        return Raw(self._random.randbytes(self._random.choice(_LENGTHS)))

    # What is done to them

    def _leave(self, packet: bytearray) -> None:
        pass

    def _turn_bits(self, packet: bytearray) -> None:
        for _ in range(self._random.randint(1, 8)):
            packet[self._random.randrange(len(packet))] ^= 1 << self._random.randrange(8)

    def _turn_header_bits(self, packet: bytearray) -> None:
        for _ in range(self._random.randint(1, 3)):
            packet[self._random.randrange(min(40, len(packet)))] ^= 1 << self._random.randrange(8)

    def _cut(self, packet: bytearray) -> None:
        del packet[self._random.randint(1, len(packet)) :]

    def _cut_and_say_so(self, packet: bytearray) -> None:
        self._cut(packet)
        if len(packet) >= _HEADER_BYTES:
            packet[2:4] = len(packet).to_bytes(2, "big")

    def _lie_about_lengths(self, packet: bytearray) -> None:
        packet[0] = self._random.choice((0x40, 0x44, 0x45, 0x46, 0x4F, 0x55, 0x65))
        packet[2:4] = self._random.randbytes(2)

    def _make_a_fragment(self, packet: bytearray) -> None:
        packet[6:8] = self._random.randbytes(2)

    def _exchange_ports(self, packet: bytearray) -> None:
        packet[_HEADER_BYTES : _HEADER_BYTES + 4] = self._random.randbytes(4)

    def _make_noise(self, packet: bytearray) -> None:
        noise = self._random.randbytes(self._random.randint(1, 600))
        packet[:] = noise if self._random.random() < 0.2 else packet[:_HEADER_BYTES] + noise

    _SPOILERS = (
        _leave, _turn_bits, _turn_header_bits, _cut, _cut_and_say_so, _lie_about_lengths,
        _make_a_fragment, _exchange_ports, _make_noise,
    )  # fmt: skip

    def _vnet_header(self, length: int) -> bytes:
        """Flags, kind of super-packet, and four 16-bit fields as x86 and ARM have them."""
        choose = self._random.choice
        numbers = (
            choose((0, 40, length)),
            choose((0, 1, 100, 536)),
            choose((0, 20, 24, length)),
            choose((0, 6, 16, 2)),
        )
        fields = b"".join((number & 0xFFFF).to_bytes(2, "little") for number in numbers)
        return bytes([choose((0, _NEEDS_CSUM)), choose(_GSO_TYPES)]) + fields


def _heal(packet: bytearray) -> None:
    """Make the IP header's checksum right, if there is such a header."""
    length = (packet[0] & 15) * 4 if packet else 0
    if _HEADER_BYTES <= length <= len(packet):
        packet[10:12] = bytes(2)
        packet[10:12] = checksum(bytes(packet[:length])).to_bytes(2, "big")
