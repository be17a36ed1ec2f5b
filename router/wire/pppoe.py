"""PPP over Ethernet (RFC 2516): the header and the tags, checked once, then read.

A packet is what follows the Ethernet header. Frames on a wire are never shorter than 60 octets, so
what is behind the length the header tells is padding. Tags are in discovery packets; the payload of
a session packet is a PPP frame without address and control, as `ppp` builds it.
"""

from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple

from router.wire.malformed import Malformed

__all__ = [
    "BROADCAST",
    "ETHERTYPE_DISCOVERY",
    "ETHERTYPE_SESSION",
    "MAC_LENGTH",
    "MAX_INITIATION",
    "MRU",
    "NO_SESSION",
    "OVERHEAD",
    "RESERVED_SESSION",
    "Code",
    "Packet",
    "Tag",
    "TagKind",
    "value_of",
]

ETHERTYPE_DISCOVERY = 0x8863  # this and the next: RFC 2516 section 4
ETHERTYPE_SESSION = 0x8864
BROADCAST = b"\xff\xff\xff\xff\xff\xff"
MAC_LENGTH = 6  # octets
NO_SESSION = 0  # of packets that are not about a session yet
RESERVED_SESSION = 0xFFFF  # "must not be used" (RFC 2516 section 4)
MRU = 1492  # bytes: what an Ethernet frame has left beside the headers (RFC 2516 section 7)
OVERHEAD = 8  # octets: this header and the protocol number of PPP
MAX_INITIATION = 1484  # octets of a PADI, so that a relay has room (RFC 2516 section 5.1)

_VERSION_AND_TYPE = 0x11  # version 1, type 1
_HEADER_LENGTH = 6  # octets: version and type, code, session, length
_TAG_HEADER_LENGTH = 4  # octets: type, length


class Code(IntEnum):
    """What a packet is (RFC 2516 sections 5 and 6)."""

    SESSION = 0x00
    PADO = 0x07
    PADI = 0x09
    PADR = 0x19
    PADS = 0x65
    PADT = 0xA7


class TagKind(IntEnum):
    """What a tag tells (RFC 2516 appendix A)."""

    END_OF_LIST = 0x0000
    SERVICE_NAME = 0x0101
    AC_NAME = 0x0102
    HOST_UNIQ = 0x0103
    AC_COOKIE = 0x0104
    VENDOR_SPECIFIC = 0x0105
    RELAY_SESSION_ID = 0x0110
    SERVICE_NAME_ERROR = 0x0201
    AC_SYSTEM_ERROR = 0x0202
    GENERIC_ERROR = 0x0203


class Tag(NamedTuple):
    """One tag: its type, which may be any number, and its value, both as on the wire."""

    kind: int
    value: bytes

    @classmethod
    def parse_all(cls, payload: bytes) -> "tuple[Tag, ...] | Malformed":
        """Return the tags of a discovery packet in order, up to the end of the list."""
        found, at = [], 0
        while at < len(payload):
            if at + _TAG_HEADER_LENGTH > len(payload):
                return Malformed.PPPOE_TAGS
            kind = int.from_bytes(payload[at : at + 2], "big")
            if kind == TagKind.END_OF_LIST:
                break
            end = at + _TAG_HEADER_LENGTH + int.from_bytes(payload[at + 2 : at + 4], "big")
            if end > len(payload):
                return Malformed.PPPOE_TAGS
            found.append(cls(kind, payload[at + _TAG_HEADER_LENGTH : end]))
            at = end
        return tuple(found)

    @staticmethod
    def build_all(tags: "Iterable[Tag]") -> bytes:
        """Return the tags as the payload of a packet."""
        return b"".join(
            tag.kind.to_bytes(2, "big") + len(tag.value).to_bytes(2, "big") + tag.value
            for tag in tags
        )


class Packet(NamedTuple):
    """A packet; `code` may be any number."""

    code: int
    session: int
    payload: bytes

    @classmethod
    def parse(cls, data: bytes) -> "Packet | Malformed":
        """Return the packet in what followed the Ethernet header."""
        if len(data) < _HEADER_LENGTH:
            return Malformed.TRUNCATED
        if data[0] != _VERSION_AND_TYPE:
            return Malformed.PPPOE_VERSION
        end = _HEADER_LENGTH + int.from_bytes(data[4:6], "big")
        if end > len(data):
            return Malformed.PPPOE_LENGTH
        return cls(data[1], int.from_bytes(data[2:4], "big"), data[_HEADER_LENGTH:end])

    def build(self) -> bytes:
        """Return the packet as what follows an Ethernet header."""
        session, length = self.session.to_bytes(2, "big"), len(self.payload).to_bytes(2, "big")
        return bytes((_VERSION_AND_TYPE, self.code)) + session + length + self.payload


def value_of(tags: Iterable[Tag], kind: int) -> bytes | None:
    """Return the value of the first tag of a kind, None where there is none."""
    return next((tag.value for tag in tags if tag.kind == kind), None)
