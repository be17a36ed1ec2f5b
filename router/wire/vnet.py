"""The virtio-net header that a TUN with IFF_VNET_HDR puts before each packet.

Layout (virtio 1.2, section 5.1.6): flags, gso_type, then hdr_len, gso_size, csum_start and
csum_offset, 16 bits each in the machine's order; all supported machines are little-endian.
Offsets inside count from the first byte of the packet.
"""

import struct
from typing import NamedTuple

__all__ = [
    "GSO_ECN",
    "GSO_NONE",
    "GSO_TCPV4",
    "GSO_UDP_L4",
    "NEEDS_CSUM",
    "PLAIN",
    "VNET_HEADER_LENGTH",
    "VnetHeader",
]

VNET_HEADER_LENGTH = 10  # bytes, TUNSETVNETHDRSZ's default
NEEDS_CSUM = 1  # flags: the transport checksum is partial
GSO_NONE = 0
GSO_TCPV4 = 1
GSO_UDP_L4 = 5
GSO_ECN = 0x80  # set beside GSO_TCPV4 when the first segment carries CWR

_LAYOUT = struct.Struct("<BBHHHH")
PLAIN = bytes(VNET_HEADER_LENGTH)  # nothing to offload


class VnetHeader(NamedTuple):
    """What the sender left for the device to do."""

    flags: int
    gso_type: int
    header_length: int
    gso_size: int
    csum_start: int
    csum_offset: int

    @classmethod
    def read(cls, buffer: bytes | bytearray | memoryview) -> "VnetHeader":
        """Decode the header at the start of a frame of at least ten bytes."""
        return cls._make(_LAYOUT.unpack_from(buffer))

    def write(self) -> bytes:
        """Return the header's ten bytes."""
        return _LAYOUT.pack(*self)

    @property
    def partial(self) -> bool:
        """Whether the transport checksum covers only the pseudo header."""
        return bool(self.flags & NEEDS_CSUM)
