"""ICMP for IPv4 (RFC 792): a view checked once, errors and echo replies built."""

import struct
from enum import IntEnum

from router.wire.checksum import checksum, verify
from router.wire.ipv4 import PROTO_ICMP, IPv4, build
from router.wire.malformed import Malformed

__all__ = [
    "HEADER_LENGTH",
    "ICMP_CHECKSUM_OFFSET",
    "IDENTIFIER_OFFSET",
    "Icmp",
    "Type",
    "Unreachable",
    "build_echo_reply",
    "build_error",
    "quoted_packet",
    "refresh_checksum",
]

HEADER_LENGTH = 8  # bytes before the data or the quoted packet
ICMP_CHECKSUM_OFFSET = 2  # bytes from the start of the header
IDENTIFIER_OFFSET = 4  # bytes from the start of a query's header
_MAX_ERROR_LENGTH = 576  # bytes of the whole error packet (RFC 1812, section 4.3.2.3)
_TOS_ERROR = 0xC0  # internetwork control precedence (RFC 1812, section 4.3.2.5)


class Type(IntEnum):
    """Message types the router knows by name."""

    ECHO_REPLY = 0
    UNREACHABLE = 3
    SOURCE_QUENCH = 4
    REDIRECT = 5
    ECHO = 8
    TIME_EXCEEDED = 11
    PARAMETER_PROBLEM = 12
    TIMESTAMP = 13
    TIMESTAMP_REPLY = 14


class Unreachable(IntEnum):
    """Codes of destination unreachable (RFC 792, RFC 1812 section 5.2.7.1)."""

    NETWORK = 0
    HOST = 1
    PROTOCOL = 2
    PORT = 3
    FRAGMENTATION_NEEDED = 4
    ADMINISTRATIVELY_PROHIBITED = 13


QUERIES = frozenset({Type.ECHO, Type.TIMESTAMP})
REPLIES = frozenset({Type.ECHO_REPLY, Type.TIMESTAMP_REPLY})
ERRORS = frozenset(
    {
        Type.UNREACHABLE,
        Type.SOURCE_QUENCH,
        Type.REDIRECT,
        Type.TIME_EXCEEDED,
        Type.PARAMETER_PROBLEM,
    }
)


class Icmp:
    """The ICMP header of a whole message or of its first fragment."""

    __slots__ = ("code", "query_id", "type")

    def __init__(self, type_: int, code: int, query_id: int) -> None:
        self.type = type_
        self.code = code
        self.query_id = query_id

    @classmethod
    def parse(cls, packet: IPv4) -> "Icmp | Malformed":
        """Check the header in `packet`, whose fragment offset is zero."""
        if packet.end - packet.payload < HEADER_LENGTH:
            return Malformed.TINY_FRAGMENT if packet.more_fragments else Malformed.TRUNCATED
        type_, code, _, query_id, _ = struct.unpack_from("!BBHHH", packet.buffer, packet.payload)
        return cls(type_, code, query_id)

    @property
    def is_query(self) -> bool:
        """Whether this asks something of a host and carries a query id (RFC 5508, section 2)."""
        return self.type in QUERIES

    @property
    def is_reply(self) -> bool:
        """Whether this answers a query."""
        return self.type in REPLIES

    @property
    def is_error(self) -> bool:
        """Whether this quotes the packet it is about."""
        return self.type in ERRORS


def quoted_packet(packet: IPv4) -> "IPv4 | Malformed":
    """Return the view of the packet an ICMP error quotes.

    The error's own checksum must hold (RFC 5508 REQ-3) and so must the quoted IP header's
    (REQ-3a); the quoted transport checksum is not looked at (REQ-3c).
    """
    if not verify(packet.buffer[packet.payload : packet.end]):
        return Malformed.ICMP_CHECKSUM
    quote = IPv4.parse(packet.buffer, packet.payload + HEADER_LENGTH, packet.end, quoted=True)
    return quote if isinstance(quote, IPv4) else Malformed.QUOTE


def refresh_checksum(packet: IPv4) -> None:
    """Compute the message's checksum anew after its quote was rewritten."""
    at = packet.payload + ICMP_CHECKSUM_OFFSET
    struct.pack_into("!H", packet.buffer, at, 0)
    field = checksum(packet.buffer[packet.payload : packet.end])
    struct.pack_into("!H", packet.buffer, at, field)


def build_error(source: int, packet: IPv4, type_: int, code: int, mtu: int = 0) -> bytes:
    """Return an error about `packet`, from `source` to its sender, quoting as much as may be.

    `mtu` is the next hop's, for fragmentation needed (RFC 1191, section 4).
    """
    room = _MAX_ERROR_LENGTH - 20 - HEADER_LENGTH
    quote = bytes(packet.buffer[packet.start : packet.end][:room])
    message = bytearray(struct.pack("!BBHHH", type_, code, 0, 0, mtu)) + quote
    struct.pack_into("!H", message, ICMP_CHECKSUM_OFFSET, checksum(message))
    return build(source, packet.source, PROTO_ICMP, bytes(message), tos=_TOS_ERROR)


def build_echo_reply(packet: IPv4) -> bytes:
    """Return the reply to an echo request, data and type of service kept (RFC 1122, 3.2.2.6)."""
    message = bytearray(packet.data)
    message[0] = Type.ECHO_REPLY
    struct.pack_into("!H", message, ICMP_CHECKSUM_OFFSET, 0)
    struct.pack_into(
        "!H", message, ICMP_CHECKSUM_OFFSET, checksum(message) if any(message) else 0xFFFF
    )
    return build(
        packet.destination,
        packet.source,
        PROTO_ICMP,
        bytes(message),
        tos=packet.tos,
        identification=packet.identification,
        dont_fragment=packet.dont_fragment,
    )
