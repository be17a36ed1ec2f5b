"""UDP (RFC 768): a view checked once."""

import struct

from router.wire.ipv4 import IPv4
from router.wire.malformed import Malformed

__all__ = ["HEADER_LENGTH", "UDP_CHECKSUM_OFFSET", "Udp"]

HEADER_LENGTH = 8  # bytes
UDP_CHECKSUM_OFFSET = 6  # bytes from the start of the header

_HEADER = struct.Struct("!HHHH")


class Udp:
    """The UDP header of a whole datagram or of its first fragment."""

    __slots__ = ("destination_port", "length", "source_port")

    def __init__(self, source_port: int, destination_port: int, length: int) -> None:
        self.source_port = source_port
        self.destination_port = destination_port
        self.length = length

    @classmethod
    def parse(cls, packet: IPv4) -> "Udp | Malformed":
        """Check the header in `packet`, whose fragment offset is zero."""
        available = packet.end - packet.payload
        if available < HEADER_LENGTH:
            return Malformed.TINY_FRAGMENT if packet.more_fragments else Malformed.TRUNCATED
        source_port, destination_port, length, _ = _HEADER.unpack_from(
            packet.buffer, packet.payload
        )
        if length < HEADER_LENGTH or (length > available and not packet.more_fragments):
            return Malformed.TRANSPORT_LENGTH
        return cls(source_port, destination_port, length)
