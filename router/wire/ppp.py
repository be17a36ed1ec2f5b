"""PPP frames and the packets in them (RFC 1661): split once, then read.

A frame is a protocol number and information. Frames arrive as the peer was allowed to shorten them:
with the address and control octets of HDLC or without, the protocol in two octets or in one
(RFC 1661 sections 2 and 6.5, 6.6). Here they are always built in full, without address and control;
`hdlc` adds and shortens.
"""

from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple

from router.wire.malformed import Malformed

__all__ = ["ADDRESS_CONTROL", "Code", "Option", "Packet", "Protocol", "join", "split"]

ADDRESS_CONTROL = b"\xff\x03"  # all stations, unnumbered information (RFC 1662 section 3.1)

_HEADER_LENGTH = 4  # octets: code, identifier, length
_OPTION_HEADER_LENGTH = 2  # octets: type, length


class Protocol(IntEnum):
    """Protocol numbers (RFC 1661 section 2, the Internet registry)."""

    IP = 0x0021
    VJ_COMPRESSED = 0x002D
    VJ_UNCOMPRESSED = 0x002F
    IPCP = 0x8021
    IPV6CP = 0x8057
    CCP = 0x80FD
    LCP = 0xC021
    PAP = 0xC023
    CHAP = 0xC223


class Code(IntEnum):
    """What a control packet is (RFC 1661 section 5; identification RFC 1570)."""

    CONFIGURE_REQUEST = 1
    CONFIGURE_ACK = 2
    CONFIGURE_NAK = 3
    CONFIGURE_REJECT = 4
    TERMINATE_REQUEST = 5
    TERMINATE_ACK = 6
    CODE_REJECT = 7
    PROTOCOL_REJECT = 8
    ECHO_REQUEST = 9
    ECHO_REPLY = 10
    DISCARD_REQUEST = 11
    IDENTIFICATION = 12


class Option(NamedTuple):
    """One configuration option: its type and its value, both as on the line."""

    kind: int
    value: bytes

    @classmethod
    def parse_all(cls, data: bytes) -> "tuple[Option, ...] | Malformed":
        """Return the options that fill `data`, in order."""
        found, at = [], 0
        while at < len(data):
            if at + _OPTION_HEADER_LENGTH > len(data):
                return Malformed.PPP_OPTIONS
            kind, length = data[at], data[at + 1]
            if length < _OPTION_HEADER_LENGTH or at + length > len(data):
                return Malformed.PPP_OPTIONS
            found.append(cls(kind, data[at + _OPTION_HEADER_LENGTH : at + length]))
            at += length
        return tuple(found)

    @staticmethod
    def build_all(options: "Iterable[Option]") -> bytes:
        """Return the options as the data of a packet."""
        return b"".join(
            bytes((option.kind, len(option.value) + _OPTION_HEADER_LENGTH)) + option.value
            for option in options
        )


class Packet(NamedTuple):
    """A packet of a control or authentication protocol; `code` may be any number."""

    code: int
    identifier: int
    data: bytes

    @classmethod
    def parse(cls, information: bytes) -> "Packet | Malformed":
        """Return the packet; what follows it in the frame is padding (RFC 1661 section 5)."""
        if len(information) < _HEADER_LENGTH:
            return Malformed.TRUNCATED
        length = int.from_bytes(information[2:4], "big")
        if length < _HEADER_LENGTH or length > len(information):
            return Malformed.PPP_LENGTH
        return cls(information[0], information[1], information[_HEADER_LENGTH:length])

    def build(self) -> bytes:
        """Return the packet as the information of a frame."""
        length = len(self.data) + _HEADER_LENGTH
        return bytes((self.code, self.identifier)) + length.to_bytes(2, "big") + self.data


def join(protocol: int, information: bytes) -> bytes:
    """Return a frame, without address and control, its protocol in two octets."""
    return protocol.to_bytes(2, "big") + information


def split(frame: bytes) -> tuple[int, bytes] | Malformed:
    """Return the protocol and the information of a frame that has arrived."""
    at = 2 if frame.startswith(ADDRESS_CONTROL) else 0
    if len(frame) < at + 1:
        return Malformed.TRUNCATED
    if frame[at] & 1:  # the last octet of a protocol number is odd, all others are even
        return frame[at], frame[at + 1 :]
    if len(frame) < at + 2:
        return Malformed.TRUNCATED
    return int.from_bytes(frame[at : at + 2], "big"), frame[at + 2 :]
