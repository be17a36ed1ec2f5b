"""IPv4 (RFC 791): a view over a mutable buffer, header building, fragmentation.

Contract of `IPv4.parse`: it answers with a `Malformed` reason, or with a view whose offsets all
lie inside the buffer and whose fields were decoded at that moment. The writing methods edit the
buffer and keep the header checksum right incrementally; the decoded fields follow.
"""

import struct
from collections.abc import Iterator

from router.wire.checksum import checksum, delta, update, word_sum
from router.wire.malformed import Malformed

__all__ = [
    "HEADER_LENGTH",
    "MAX_LENGTH",
    "MIN_MTU",
    "PROTO_ICMP",
    "PROTO_TCP",
    "PROTO_UDP",
    "IPv4",
    "build",
    "fragment",
]

PROTO_ICMP = 1
PROTO_TCP = 6
PROTO_UDP = 17

HEADER_LENGTH = 20  # bytes without options
MAX_LENGTH = 65535  # bytes, what total length can say
MIN_MTU = 68  # bytes every link must carry whole (RFC 791, section 3.2)

_HEADER = struct.Struct("!BBHHHBBHII")
_DONT_FRAGMENT = 0x4000
_MORE_FRAGMENTS = 0x2000
_OFFSET_MASK = 0x1FFF

_OPTION_END = 0
_OPTION_NOP = 1
_OPTION_COPIED = 0x80  # the option goes into every fragment (RFC 791, section 3.1)
_SOURCE_ROUTES = frozenset({131, 137})  # option types LSRR and SSRR (RFC 791, section 3.1)


class IPv4:
    """One IPv4 packet at `start`..`end` of `buffer`; `payload` is where its data begin.

    `fragment_offset` is in bytes. `end` follows total length, so link padding is outside; in a
    packet quoted by an ICMP error `end` is where the quote stops.
    """

    __slots__ = (
        "buffer",
        "destination",
        "dont_fragment",
        "end",
        "fragment_offset",
        "identification",
        "more_fragments",
        "payload",
        "protocol",
        "source",
        "start",
        "tos",
        "total_length",
        "ttl",
    )

    buffer: bytearray
    start: int
    end: int
    payload: int
    tos: int
    total_length: int
    identification: int
    dont_fragment: bool
    more_fragments: bool
    fragment_offset: int
    ttl: int
    protocol: int
    source: int
    destination: int

    @classmethod
    def parse(
        cls, buffer: bytearray, start: int, end: int, *, quoted: bool = False
    ) -> "IPv4 | Malformed":
        """Check the packet at `start`..`end` and return its view, or what is wrong with it.

        A `quoted` packet (inside an ICMP error) may stop before its total length.
        """
        if end - start < HEADER_LENGTH:
            return Malformed.TRUNCATED
        fields = _HEADER.unpack_from(buffer, start)
        version_length, _, total_length, _, flags_offset, _, _, _, _, _ = fields
        header_length = (version_length & 0x0F) * 4
        if version_length >> 4 != 4:
            return Malformed.VERSION
        if header_length < HEADER_LENGTH or start + header_length > end:
            return Malformed.HEADER_LENGTH
        if total_length < header_length or (start + total_length > end and not quoted):
            return Malformed.TOTAL_LENGTH
        if word_sum(buffer[start : start + header_length]):
            return Malformed.HEADER_CHECKSUM
        if flags_offset & (_OFFSET_MASK | _MORE_FRAGMENTS) and _bad_fragment(
            flags_offset, total_length - header_length
        ):
            return Malformed.FRAGMENT
        view = cls()
        view._decode(buffer, start, min(end, start + total_length), header_length, fields)
        return view

    def _decode(
        self, buffer: bytearray, start: int, end: int, header_length: int, fields: tuple[int, ...]
    ) -> None:
        self.buffer = buffer
        self.start = start
        self.end = end
        self.payload = start + header_length
        _, self.tos, self.total_length, self.identification, flags_offset, *rest = fields
        self.ttl, self.protocol, _, self.source, self.destination = rest
        self.dont_fragment = bool(flags_offset & _DONT_FRAGMENT)
        self.more_fragments = bool(flags_offset & _MORE_FRAGMENTS)
        self.fragment_offset = (flags_offset & _OFFSET_MASK) * 8

    @property
    def is_fragment(self) -> bool:
        """Whether this is one of several pieces of a datagram."""
        return self.more_fragments or self.fragment_offset > 0

    @property
    def header(self) -> bytes:
        """A copy of the header, options included."""
        return bytes(self.buffer[self.start : self.payload])

    @property
    def data(self) -> bytes:
        """A copy of what follows the header."""
        return bytes(self.buffer[self.payload : self.end])

    def options(self) -> "list[bytes] | Malformed":
        """Return each option, type byte first, without padding (RFC 791, section 3.1)."""
        found: list[bytes] = []
        at = self.start + HEADER_LENGTH
        while at < self.payload and self.buffer[at] != _OPTION_END:
            if self.buffer[at] == _OPTION_NOP:
                length = 1
            elif at + 1 >= self.payload or self.buffer[at + 1] < 2:
                return Malformed.OPTIONS
            else:
                length = self.buffer[at + 1]
            if at + length > self.payload:
                return Malformed.OPTIONS
            found.append(bytes(self.buffer[at : at + length]))
            at += length
        return found

    @property
    def source_routed(self) -> bool:
        """Whether a loose or strict source route asks for a detour; broken options count."""
        if self.payload - self.start == HEADER_LENGTH:
            return False
        options = self.options()
        return isinstance(options, Malformed) or any(o[0] in _SOURCE_ROUTES for o in options)

    def set_addresses(self, source: int, destination: int) -> int:
        """Write both addresses; return the `delta` a pseudo header checksum needs."""
        change = delta(self.source + self.destination, source + destination)
        struct.pack_into("!II", self.buffer, self.start + 12, source, destination)
        self._update_checksum(change)
        self.source, self.destination = source, destination
        return change

    def set_ttl(self, ttl: int) -> None:
        """Write the time to live, 0..255."""
        self.buffer[self.start + 8] = ttl
        self._update_checksum(delta(self.ttl << 8, ttl << 8))
        self.ttl = ttl

    def set_identification(self, identification: int) -> None:
        """Write the identification field."""
        struct.pack_into("!H", self.buffer, self.start + 4, identification)
        self._update_checksum(delta(self.identification, identification))
        self.identification = identification

    def _update_checksum(self, change: int) -> None:
        at = self.start + 10
        (field,) = struct.unpack_from("!H", self.buffer, at)
        struct.pack_into("!H", self.buffer, at, update(field, change))


def _bad_fragment(flags_offset: int, data_length: int) -> bool:
    offset = (flags_offset & _OFFSET_MASK) * 8
    reaches_beyond = offset + data_length > MAX_LENGTH - HEADER_LENGTH
    ragged = bool(flags_offset & _MORE_FRAGMENTS) and (data_length % 8 != 0 or data_length == 0)
    return reaches_beyond or ragged


def build(
    source: int,
    destination: int,
    protocol: int,
    data: bytes,
    *,
    ttl: int = 64,
    tos: int = 0,
    identification: int = 0,
    dont_fragment: bool = True,
    fragment_offset: int = 0,
    more_fragments: bool = False,
    options: bytes = b"",
) -> bytes:
    """Return a packet with a right header checksum.

    `options` is padded to whole words by the caller; `fragment_offset` is in bytes. TTL 64 is
    what RFC 1700 and Linux use for packets of their own.
    """
    flags_offset = (
        (_DONT_FRAGMENT if dont_fragment else 0)
        | (_MORE_FRAGMENTS if more_fragments else 0)
        | fragment_offset >> 3
    )
    header = bytearray(HEADER_LENGTH) + options
    words = len(header) >> 2
    total = len(header) + len(data)
    _HEADER.pack_into(
        header, 0, 0x40 | words, tos, total, identification, flags_offset, ttl, protocol, 0,
        source, destination,
    )  # fmt: skip
    struct.pack_into("!H", header, 10, checksum(header))
    return bytes(header) + data


def fragment(packet: IPv4, mtu: int) -> Iterator[bytes]:
    """Yield, in order, the fragments of `packet` that fit `mtu`, which is at least `MIN_MTU`.

    The packet may be a fragment itself. Its transport checksum must be complete. Options
    without the copied flag stay in the first fragment (RFC 791, section 3.2).
    """
    data = packet.data
    options = packet.header[HEADER_LENGTH:]
    at = 0
    while at < len(data):
        room = (mtu - HEADER_LENGTH - len(options)) & ~7
        piece = data[at : at + room]
        last = at + len(piece) == len(data)
        yield build(
            packet.source,
            packet.destination,
            packet.protocol,
            piece,
            ttl=packet.ttl,
            tos=packet.tos,
            identification=packet.identification,
            dont_fragment=False,
            fragment_offset=packet.fragment_offset + at,
            more_fragments=packet.more_fragments or not last,
            options=options,
        )
        at += len(piece)
        options = _copied_options(packet)


def _copied_options(packet: IPv4) -> bytes:
    options = packet.options()
    if isinstance(options, Malformed):
        return b""
    copied = b"".join(option for option in options if option[0] & _OPTION_COPIED)
    return copied + bytes(-len(copied) % 4)
