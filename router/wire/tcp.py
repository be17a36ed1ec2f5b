"""TCP (RFC 9293): a view checked once, the MSS option, and resets."""

import struct
from typing import Final

from router.wire.address import Endpoint
from router.wire.checksum import checksum, delta, pseudo_header_sum, update
from router.wire.ipv4 import PROTO_TCP, IPv4, build
from router.wire.malformed import Malformed

__all__ = [
    "HEADER_LENGTH",
    "TCP_CHECKSUM_OFFSET",
    "Flag",
    "Tcp",
    "build_reset",
    "build_segment",
    "overlays_flags",
]

HEADER_LENGTH = 20  # bytes without options
TCP_CHECKSUM_OFFSET = 16  # bytes from the start of the header
_FRAGMENT_OF_FLAGS = 8  # a fragment at this offset would overwrite the flags (RFC 3128)

_HEADER = struct.Struct("!HHIIBBHHH")
_OPTION_END = 0
_OPTION_NOP = 1
_OPTION_MSS = 2
_OPTION_WINDOW_SCALE = 3
_MAX_WINDOW_SCALE = 14  # RFC 7323, section 2.3


class Flag:
    """Control bits (RFC 9293, section 3.1); plain integers, for each segment is asked for them."""

    FIN: Final = 0x01
    SYN: Final = 0x02
    RST: Final = 0x04
    PSH: Final = 0x08
    ACK: Final = 0x10
    URG: Final = 0x20
    CWR: Final = 0x80


class Tcp:
    """The TCP header of a whole segment or of its first fragment; `options` are byte offsets."""

    __slots__ = (
        "acknowledgment",
        "buffer",
        "data",
        "destination_port",
        "end",
        "flags",
        "sequence",
        "source_port",
        "start",
        "window",
    )

    def __init__(self, packet: IPv4, fields: tuple[int, ...]) -> None:
        self.buffer = packet.buffer
        self.start = packet.payload
        self.source_port, self.destination_port, self.sequence, self.acknowledgment = fields[:4]
        self.data = self.start + (fields[4] >> 4) * 4
        self.end = packet.end
        self.flags = fields[5]
        self.window = fields[6]

    @classmethod
    def parse(cls, packet: IPv4) -> "Tcp | Malformed":
        """Check the header in `packet`, whose fragment offset is zero."""
        available = packet.end - packet.payload
        if available < HEADER_LENGTH:
            return Malformed.TINY_FRAGMENT if packet.more_fragments else Malformed.TRUNCATED
        fields = _HEADER.unpack_from(packet.buffer, packet.payload)
        header_length = (fields[4] >> 4) * 4
        if header_length < HEADER_LENGTH or header_length > available:
            return Malformed.DATA_OFFSET
        return cls(packet, fields)

    @property
    def segment_length(self) -> int:
        """Sequence space taken: data bytes, plus one each for SYN and FIN (RFC 9293, 3.4)."""
        return self.end - self.data + bool(self.flags & Flag.SYN) + bool(self.flags & Flag.FIN)

    @property
    def window_scale(self) -> int:
        """The shift count a SYN announces, 0 without the option (RFC 7323)."""
        at = self._find_option(_OPTION_WINDOW_SCALE, 3)
        return min(self.buffer[at + 2], _MAX_WINDOW_SCALE) if at else 0

    def clamp_mss(self, limit: int, *, partial: bool) -> None:
        """Lower the MSS option to `limit` bytes where it says more (RFC 9293, section 3.7.1).

        `partial` is whether the checksum covers only the pseudo header, as then the option is
        not yet in it. The option may lie at an odd offset; the checksum counts it byte-swapped.
        """
        at = self._find_option(_OPTION_MSS, 4)
        if not at:
            return
        (announced,) = struct.unpack_from("!H", self.buffer, at + 2)
        if announced <= limit:
            return
        struct.pack_into("!H", self.buffer, at + 2, limit)
        if partial:
            return
        change = delta(announced, limit)
        if (at - self.start) & 1:
            change = change << 8  # a word across two words weighs 2**8 more, modulo 65535
        field_at = self.start + TCP_CHECKSUM_OFFSET
        (field,) = struct.unpack_from("!H", self.buffer, field_at)
        struct.pack_into("!H", self.buffer, field_at, update(field, change % 0xFFFF))

    def _find_option(self, kind: int, length: int) -> int:
        """Return where the option starts, 0 when it is absent or does not parse."""
        at = self.start + HEADER_LENGTH
        while at + 1 < self.data and self.buffer[at] != _OPTION_END:
            if self.buffer[at] == _OPTION_NOP:
                at += 1
                continue
            step = self.buffer[at + 1]
            if step < 2 or at + step > self.data:
                return 0
            if self.buffer[at] == kind and step == length:
                return at
            at += step
        return 0


def overlays_flags(packet: IPv4) -> bool:
    """Whether a later fragment could overwrite the flags of its first one (RFC 3128)."""
    return packet.protocol == PROTO_TCP and 0 < packet.fragment_offset <= _FRAGMENT_OF_FLAGS


def build_reset(packet: IPv4, segment: Tcp) -> bytes:
    """Return the reset that answers `segment` as a closed port does (RFC 9293, 3.10.7.1)."""
    if segment.flags & Flag.ACK:
        sequence, acknowledgment, flags = segment.acknowledgment, 0, Flag.RST
    else:
        acknowledgment = (segment.sequence + segment.segment_length) & 0xFFFFFFFF
        sequence, flags = 0, Flag.RST | Flag.ACK
    source = Endpoint(packet.destination, segment.destination_port)
    destination = Endpoint(packet.source, segment.source_port)
    return build_segment(
        source, destination, flags, sequence=sequence, acknowledgment=acknowledgment
    )


def build_segment(
    source: Endpoint, destination: Endpoint, flags: int, *, sequence: int, acknowledgment: int = 0
) -> bytes:
    """Return a packet with a segment without data that announces no window."""
    header = bytearray(HEADER_LENGTH)
    _HEADER.pack_into(
        header, 0, source.port, destination.port, sequence, acknowledgment,
        (HEADER_LENGTH >> 2) << 4, flags, 0, 0, 0,
    )  # fmt: skip
    pseudo = pseudo_header_sum(source.address, destination.address, PROTO_TCP, HEADER_LENGTH)
    struct.pack_into("!H", header, TCP_CHECKSUM_OFFSET, checksum(header, pseudo))
    return build(source.address, destination.address, PROTO_TCP, bytes(header))
