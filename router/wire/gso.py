"""Super-packets: what a sender with segmentation offload hands over, and cutting them up.

A TUN with TSO and USO carries up to 64 KiB as one packet; `gso_size` is the payload of each
segment the device would have sent. The router passes them on whole. Only when a segment does
not fit the next link and may be fragmented must it do the device's work.
"""

import struct
from collections.abc import Iterator

from router.wire.ipv4 import HEADER_LENGTH as IP_HEADER_LENGTH
from router.wire.ipv4 import PROTO_TCP, PROTO_UDP, IPv4, build
from router.wire.malformed import Malformed
from router.wire.tcp import Flag, Tcp
from router.wire.transport import CHECKSUM_OFFSETS, complete_checksum
from router.wire.udp import HEADER_LENGTH as UDP_HEADER_LENGTH
from router.wire.vnet import GSO_ECN, GSO_NONE, GSO_TCPV4, GSO_UDP_L4, VnetHeader

__all__ = ["offload_fits", "segment_length", "segments"]

_ONLY_LAST = Flag.FIN | Flag.PSH  # flags that belong to the last segment of a train


_GSO_OF = {PROTO_TCP: GSO_TCPV4, PROTO_UDP: GSO_UDP_L4}


def offload_fits(packet: IPv4, offload: VnetHeader) -> bool:
    """Whether what the sender leaves to the device is a thing its packet has.

    A virtual machine on the LAN writes this header itself. Whole TCP and UDP packets may leave
    their own checksum and segmentation; nothing else may leave anything.
    """
    if not offload.partial and offload.gso_type == GSO_NONE:
        return True
    if packet.is_fragment or packet.protocol not in CHECKSUM_OFFSETS:
        return False
    checksum_at = (packet.payload - packet.start, CHECKSUM_OFFSETS[packet.protocol])
    if offload.partial and (offload.csum_start, offload.csum_offset) != checksum_at:
        return False
    return offload.gso_type & ~GSO_ECN in (GSO_NONE, _GSO_OF[packet.protocol])


def segment_length(packet: IPv4, offload: VnetHeader) -> int:
    """Return the length in bytes, IP header included, of the longest packet this becomes."""
    if offload.gso_type == GSO_NONE or not offload.gso_size:
        return packet.end - packet.start
    header_length = _header_end(packet) - packet.start
    return min(packet.end - packet.start, header_length + offload.gso_size)


def segments(packet: IPv4, offload: VnetHeader) -> Iterator[IPv4]:
    """Yield the packets a device would make of `packet`, each with complete checksums."""
    if offload.gso_type == GSO_NONE or not offload.gso_size:
        if offload.partial:
            complete_checksum(packet)
        yield packet
        return
    start = _header_end(packet)
    for index, at in enumerate(range(start, packet.end, offload.gso_size)):
        piece = bytes(packet.buffer[at : min(at + offload.gso_size, packet.end)])
        header = bytearray(packet.buffer[packet.payload : start])
        if packet.protocol == PROTO_TCP:
            _number_segment(header, index, at - start, last=at + len(piece) == packet.end)
        else:
            struct.pack_into("!H", header, 4, UDP_HEADER_LENGTH + len(piece))
        yield _whole(packet, bytes(header) + piece, index)


def _header_end(packet: IPv4) -> int:
    if packet.protocol != PROTO_TCP:
        return packet.payload + UDP_HEADER_LENGTH
    segment = Tcp.parse(packet)
    return packet.end if isinstance(segment, Malformed) else segment.data


def _number_segment(header: bytearray, index: int, offset: int, *, last: bool) -> None:
    (sequence,) = struct.unpack_from("!I", header, 4)
    struct.pack_into("!I", header, 4, (sequence + offset) & 0xFFFFFFFF)
    if not last:
        header[13] &= ~_ONLY_LAST & 0xFF
    if index:
        header[13] &= ~Flag.CWR & 0xFF  # on the first segment only (RFC 3168, section 6.1.2)


def _whole(packet: IPv4, data: bytes, index: int) -> IPv4:
    raw = bytearray(
        build(
            packet.source,
            packet.destination,
            packet.protocol,
            data,
            ttl=packet.ttl,
            tos=packet.tos,
            identification=(packet.identification + index) & 0xFFFF,
            dont_fragment=packet.dont_fragment,
            options=packet.header[IP_HEADER_LENGTH:],
        )
    )
    view = IPv4.parse(raw, 0, len(raw))
    assert isinstance(view, IPv4)
    complete_checksum(view)
    return view
