"""Frames to feed the forwarder: virtio-net header, IPv4, right checksums; fast to make."""

import struct

from router.wire import ipv4
from router.wire.address import Endpoint
from router.wire.checksum import checksum, pseudo_header_sum
from router.wire.tcp import Flag
from router.wire.vnet import PLAIN

__all__ = ["fragment", "tcp", "udp"]

SMALL_PAYLOAD = 64  # bytes
FRAGMENT_OFFSET = 1480  # bytes: the second fragment on a link with an MTU of 1500


def udp(source: Endpoint, destination: Endpoint) -> bytes:
    """Return a small datagram."""
    length = 8 + SMALL_PAYLOAD
    header = struct.pack("!HHHH", source.port, destination.port, length, 0)
    return _frame(source, destination, ipv4.PROTO_UDP, header + bytes(SMALL_PAYLOAD), 6)


def tcp(source: Endpoint, destination: Endpoint, *, acknowledgment: int, flags: int) -> bytes:
    """Return a segment without data; its sequence number is what the handshake has reached."""
    sequence = 0 if flags & Flag.SYN else 1
    start = struct.pack("!HHII", source.port, destination.port, sequence, acknowledgment)
    segment = start + struct.pack("!BBHHH", 0x50, flags, 4096, 0, 0)
    return _frame(source, destination, ipv4.PROTO_TCP, segment, 16)


def fragment(source: int, destination: int, identification: int) -> bytes:
    """Return a middle fragment of a UDP datagram."""
    return PLAIN + ipv4.build(
        source,
        destination,
        ipv4.PROTO_UDP,
        bytes(FRAGMENT_OFFSET),
        identification=identification,
        dont_fragment=False,
        fragment_offset=FRAGMENT_OFFSET,
        more_fragments=True,
    )


def _frame(
    source: Endpoint, destination: Endpoint, protocol: int, segment: bytes, checksum_at: int
) -> bytes:
    whole = bytearray(segment)
    pseudo = pseudo_header_sum(source.address, destination.address, protocol, len(segment))
    struct.pack_into("!H", whole, checksum_at, checksum(whole, pseudo))
    return PLAIN + ipv4.build(source.address, destination.address, protocol, bytes(whole))
