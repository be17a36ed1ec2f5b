"""The pcapng file format (draft-ietf-opsawg-pcapng), as much of it as a capture needs.

A stream is a section header, one interface description per interface, then blocks: enhanced
packet blocks, and interface statistics that say how many packets were left out. Numbers are
in the machine's byte order, times in nanoseconds since 1970. `scapy` has a writer, but it
keeps one interface per file and needs a dissected packet for each.
"""

import struct
from collections.abc import Iterable, Iterator

__all__ = [
    "ENHANCED_PACKET",
    "EPB_OUTBOUND",
    "LINKTYPE_IPV4",
    "LINKTYPE_PPP",
    "cut_blocks",
    "dropped_in",
    "packet_block",
    "preamble",
    "split_blocks",
    "statistics_block",
]

# tcpdump.org/linktypes: the packet begins with its IPv4 header. The more usual LINKTYPE_RAW (101)
# will not do: libpcap up to 1.10 refuses a second interface of that type.
LINKTYPE_IPV4 = 228
LINKTYPE_PPP = 9  # a PPP frame, here with address and control and a protocol of two octets
SECTION_HEADER = 0x0A0D0D0A  # block types, section 11.1
INTERFACE_DESCRIPTION = 1
INTERFACE_STATISTICS = 5
ENHANCED_PACKET = 6
BYTE_ORDER_MAGIC = 0x1A2B3C4D
SNAPLEN = 65535  # bytes: the longest IPv4 packet, more than a PPP frame; nothing is cut off

OPT_SHB_USERAPPL = 4
OPT_IF_NAME = 2
OPT_IF_TSRESOL = 9
OPT_EPB_FLAGS = 2
OPT_ISB_IFDROP = 5
NANOSECONDS = 9  # if_tsresol: timestamps count 10^-9 s
EPB_INBOUND = 1  # epb_flags: received on this interface
EPB_OUTBOUND = 2

_BLOCK = struct.Struct("=II")  # type, total length
_OPTION = struct.Struct("=HH")  # code, length
_STATISTICS = struct.Struct("=IIIHHQ")  # interface, time high, time low, option header, count


def preamble(interfaces: Iterable[str], application: str, linktype: int = LINKTYPE_IPV4) -> bytes:
    """Return the section header and one description for each interface name, in order.

    `linktype` says what the packets of all of them begin with.
    """
    section = struct.pack("=IHHq", BYTE_ORDER_MAGIC, 1, 0, -1)  # version 1.0, length unknown
    blocks = [_block(SECTION_HEADER, section + _options((OPT_SHB_USERAPPL, application.encode())))]
    for name in interfaces:
        options = _options((OPT_IF_NAME, name.encode()), (OPT_IF_TSRESOL, bytes([NANOSECONDS])))
        description = struct.pack("=HHI", linktype, 0, SNAPLEN)
        blocks.append(_block(INTERFACE_DESCRIPTION, description + options))
    return b"".join(blocks)


def packet_block(interface: int, at_ns: int, packet: bytes, *, inbound: bool) -> bytes:
    """Return the enhanced packet block of one packet on the interface with that index."""
    length = len(packet)
    head = struct.pack("=IIIII", interface, at_ns >> 32, at_ns & 0xFFFFFFFF, length, length)
    direction = struct.pack("=I", EPB_INBOUND if inbound else EPB_OUTBOUND)
    return _block(ENHANCED_PACKET, head + _padded(packet) + _options((OPT_EPB_FLAGS, direction)))


def statistics_block(interface: int, at_ns: int, dropped: int) -> bytes:
    """Return the block saying how many packets had been left out by then."""
    high, low = at_ns >> 32, at_ns & 0xFFFFFFFF
    body = _STATISTICS.pack(interface, high, low, OPT_ISB_IFDROP, 8, dropped)
    return _block(INTERFACE_STATISTICS, body + bytes(4))


def cut_blocks(stream: bytearray) -> bytes:
    """Cut the whole blocks off the front of `stream` and return them."""
    end = sum(len(block) for _, block in split_blocks(stream))
    blocks = bytes(stream[:end])
    del stream[:end]
    return blocks


def split_blocks(stream: bytes | bytearray) -> Iterator[tuple[int, bytes]]:
    """Yield type and bytes of each whole block at the front of `stream`."""
    at = 0
    while at + _BLOCK.size <= len(stream):
        block_type, length = _BLOCK.unpack_from(stream, at)
        if at + length > len(stream):
            return
        yield block_type, bytes(stream[at : at + length])
        at += length


def dropped_in(block_type: int, block: bytes) -> int:
    """Return the packets left out according to a block of `statistics_block`, 0 for others."""
    if block_type != INTERFACE_STATISTICS:
        return 0
    return int(_STATISTICS.unpack_from(block, _BLOCK.size)[-1])


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _options(*options: tuple[int, bytes]) -> bytes:
    encoded = [_OPTION.pack(code, len(value)) + _padded(value) for code, value in options]
    return b"".join(encoded) + bytes(4)  # opt_endofopt


def _block(block_type: int, body: bytes) -> bytes:
    length = _BLOCK.size + len(body) + 4
    return _BLOCK.pack(block_type, length) + body + struct.pack("=I", length)
