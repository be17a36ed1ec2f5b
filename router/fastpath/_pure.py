"""The rewrite cache in Python: one dict lookup, then edits in place.

Theory of operation. Per side and protocol (TCP, UDP) a dict leads from the twelve bytes of
addresses and ports, as they lie in a header without options, to the session's `Rewrite`. A hit
checks everything the forwarder would check before it repeats the edit; whatever could change
state or needs an answer is a miss: options, fragments, wrong lengths or header checksum, hops
running out, packets over the next link's MTU, and TCP segments with SYN, FIN, RST or without ACK.

Invariant: for any packet, a hit leaves the buffer and the session's timers as the forwarder
would have. A property test holds the two against each other.
"""

import struct

from router.devices import KernelHops, Side, Verdict
from router.fastpath.rewrite import Rewrite
from router.wire.ipv4 import PROTO_TCP, PROTO_UDP
from router.wire.vnet import VNET_HEADER_LENGTH

__all__ = ["RewriteCache"]

_IP_AT = VNET_HEADER_LENGTH
_TTL_AT = _IP_AT + 8
_TRANSPORT_AT = _IP_AT + 20
_TCP_CHECKSUM_AT = _TRANSPORT_AT + 16
_UDP_CHECKSUM_AT = _TRANSPORT_AT + 6
_MIN_UDP_FRAME = _TRANSPORT_AT + 8
_MIN_TCP_FRAME = _TRANSPORT_AT + 20

# Virtio-net flags, GSO type and the place of a partial checksum; the words of the IPv4 header and
# its key; length and checksum if this is UDP. One call reads them all, for a call is what costs.
_read = struct.Struct("!BB4x4sHHHHHH12sHH").unpack_from
_read_tcp = struct.Struct("!IHHH").unpack_from  # acknowledgment, offset and flags, window, checksum
_write_ip = struct.Struct("!HH12s").pack_into  # time to live and protocol, checksum, key
_write_field = struct.Struct("!H").pack_into

# What the virtio-net header of a hit may ask for: nothing, or its own protocol's checksum and
# segmentation, by the bytes flags and gso_type, and by csum_start and csum_offset.
_NEEDS_CSUM = 1
_GSO_TCPV4 = (0, 1, 0x81)  # 0x80: with congestion window reduced on the first segment
_GSO_UDP_L4 = (0, 5, 0x85)
_TCP_CHECKSUM_PLACE = struct.pack("<HH", 20, 16)
_UDP_CHECKSUM_PLACE = struct.pack("<HH", 20, 6)

_PLAIN_HEADER = 0x45  # version 4, five words; its second byte is the type of service
_HOP = 0x100  # one hop, in the word of time to live and protocol
_ANY_FRAGMENT = 0x3FFF  # more fragments, or an offset
_STATE_FLAGS = 0x17  # ACK RST SYN FIN
_ONLY_ACK = 0x10
_MISS = Verdict.MISS


class RewriteCache:
    """Rewrites of established sessions, found by the header they apply to.

    `hops` are the kernel's, which the router makes up for. `max_packet` holds, per verdict, the
    longest IP packet in bytes that the side it leads to carries whole.
    """

    def __init__(self, hops: KernelHops) -> None:
        self._adjustment = hops.adjustment(Side.LAN, Side.WAN) * _HOP
        self._least_ttl = tuple(hops.least_ttl(side) * _HOP for side in Side)
        self._tcp: tuple[dict[bytes, Rewrite], ...] = ({}, {})
        self._udp: tuple[dict[bytes, Rewrite], ...] = ({}, {})
        self.max_packet = [0] * len(Verdict)

    def install(self, side: Side, protocol: int, rewrite: Rewrite) -> None:
        """Repeat `rewrite` for packets of `protocol` that arrive on `side`."""
        self._table(side, protocol)[rewrite.key] = rewrite

    def remove(self, side: Side, protocol: int, rewrite: Rewrite) -> None:
        """Forget `rewrite`; what was not installed is no error."""
        self._table(side, protocol).pop(rewrite.key, None)

    def clear(self) -> None:
        """Forget everything; sessions are installed anew by their next packet."""
        for table in (*self._tcp, *self._udp):
            table.clear()

    def __len__(self) -> int:
        return sum(map(len, (*self._tcp, *self._udp)))

    def _table(self, side: Side, protocol: int) -> dict[bytes, Rewrite]:
        return self._tcp[side] if protocol == PROTO_TCP else self._udp[side]

    def forward(self, side: Side, buffer: bytearray, length: int, now: float) -> Verdict:  # noqa: C901
        """Rewrite the frame of `length` bytes in place and say where it goes, or miss.

        One function on purpose: a call costs as much as the work of three lines.
        """
        if length < _MIN_UDP_FRAME:
            return _MISS
        (
            offload, gso_type, place, version_tos, total_length, identification, flags_offset,
            ttl_protocol, header_sum, key, udp_length, field,
        ) = _read(buffer)  # fmt: skip
        if (
            version_tos >> 8 != _PLAIN_HEADER
            or total_length != length - _IP_AT
            or flags_offset & _ANY_FRAGMENT
            or not self._least_ttl[side] <= ttl_protocol < 0xFF00
        ):
            return _MISS
        protocol = ttl_protocol & 0xFF
        if protocol == PROTO_TCP:
            rewrite = self._tcp[side].get(key)
            if rewrite is None or length < _MIN_TCP_FRAME:
                return _MISS
            acknowledgment, offset_flags, window, field = _read_tcp(buffer, _TRANSPORT_AT + 8)
            data_offset = offset_flags >> 10 & 0x3C
            if (
                offset_flags & _STATE_FLAGS != _ONLY_ACK
                or data_offset < 20
                or data_offset > total_length - 20
                or gso_type not in _GSO_TCPV4
            ):
                return _MISS
            checksum_place = _TCP_CHECKSUM_PLACE
        elif protocol == PROTO_UDP:
            rewrite = self._udp[side].get(key)
            if rewrite is None:
                return _MISS
            if not 8 <= udp_length <= total_length - 20 or gso_type not in _GSO_UDP_L4:
                return _MISS
            checksum_place = _UDP_CHECKSUM_PLACE
        else:
            return _MISS
        partial = offload & _NEEDS_CSUM
        if partial and place != checksum_place:
            return _MISS
        verdict = rewrite.verdict
        if total_length > self.max_packet[verdict] and not self._segments_fit(buffer, verdict):
            return _MISS
        # 0xFFFF is the form of a zero checksum that no one computes: its two steps differ.
        words = (
            version_tos + total_length + identification + flags_offset + ttl_protocol + header_sum
        )
        if header_sum == 0xFFFF or (words + rewrite.address_sum) % 0xFFFF:
            return _MISS

        total = (header_sum ^ 0xFFFF) + rewrite.header_delta
        _write_ip(
            buffer,
            _TTL_AT,
            ttl_protocol + self._adjustment,
            ((total & 0xFFFF) + (total >> 16)) ^ 0xFFFF,
            rewrite.replacement,
        )
        if partial:  # only the pseudo header is summed so far
            total = field + rewrite.address_delta
            field = (total & 0xFFFF) + (total >> 16)
        elif field or protocol == PROTO_TCP:
            total = (field ^ 0xFFFF) + rewrite.transport_delta
            field = ((total & 0xFFFF) + (total >> 16)) ^ 0xFFFF
            if protocol == PROTO_UDP:
                field = field or 0xFFFF
        if protocol == PROTO_TCP:
            _write_field(buffer, _TCP_CHECKSUM_AT, field)
            rewrite.acknowledgment = acknowledgment
            rewrite.window = window
        else:
            _write_field(buffer, _UDP_CHECKSUM_AT, field)
        rewrite.packets += 1
        rewrite.bytes += total_length
        rewrite.last_used = now
        return verdict

    def _segments_fit(self, buffer: bytearray, verdict: Verdict) -> bool:
        """Whether what a device cuts a super-packet into fits the next link."""
        gso_size = buffer[4] | buffer[5] << 8
        if not buffer[1] or not gso_size:
            return False
        header_length = 28
        if buffer[_IP_AT + 9] == PROTO_TCP:
            header_length = 20 + (buffer[_TRANSPORT_AT + 12] >> 2 & 0x3C)
        return header_length + gso_size <= self.max_packet[verdict]
