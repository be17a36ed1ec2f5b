"""Packets as one line of text, the form in which `explain` takes and shows them.

    tcp 192.168.1.10:4000 -> 93.184.216.34:80 flags syn,ack length 100
    udp 192.168.1.10:4000 -> 198.51.100.7:53 ttl 1
    icmp 192.168.1.10 -> 198.51.100.7 type 8 id 7
    47 192.168.1.10 -> 198.51.100.7

After the addresses may come, in any order: `flags` (TCP, SYN if not told), `type` and `id` (ICMP,
an echo request if not told), `ttl`, and `length` of the data in bytes.
"""

import struct
from collections.abc import Mapping

from router.nat.table import protocol_name
from router.wire.address import Endpoint, format_address, parse_address
from router.wire.icmpv4 import Icmp, Type, refresh_checksum
from router.wire.ipv4 import PROTO_ICMP, PROTO_TCP, PROTO_UDP, IPv4, build
from router.wire.malformed import Malformed
from router.wire.tcp import Flag, Tcp
from router.wire.transport import complete_checksum, parse_transport

__all__ = ["describe_packet", "parse_packet"]

_PROTOCOLS = {"tcp": PROTO_TCP, "udp": PROTO_UDP, "icmp": PROTO_ICMP}
_OPTIONS = {PROTO_TCP: {"flags"}, PROTO_ICMP: {"type", "id"}}
_COMMON_OPTIONS = {"ttl", "length"}
_FLAGS = {
    "fin": Flag.FIN,
    "syn": Flag.SYN,
    "rst": Flag.RST,
    "psh": Flag.PSH,
    "ack": Flag.ACK,
    "urg": Flag.URG,
}
_WINDOW = 65535  # bytes; what a segment made here offers to receive
_EXAMPLE = '"tcp 192.168.1.10:4000 -> 93.184.216.34:80"'


def parse_packet(text: str) -> bytes:
    """Return the IPv4 packet that `text` describes; raise ValueError saying what is wrong."""
    words = text.split()
    if len(words) < 4 or words[2] != "->" or len(words) % 2:
        raise ValueError(f"{text!r} does not read like {_EXAMPLE}")
    protocol = _PROTOCOLS.get(words[0].lower())
    if protocol is None:
        protocol = _number("protocol", words[0], 255)
    ports = protocol in (PROTO_TCP, PROTO_UDP)
    source, destination = (_endpoint(word, ports=ports) for word in (words[1], words[3]))
    options = dict(zip(words[4::2], words[5::2], strict=True))
    unknown = options.keys() - _COMMON_OPTIONS - _OPTIONS.get(protocol, set())
    if unknown:
        raise ValueError(f"{text!r}: {words[0]} packets have no {sorted(unknown)[0]!r}")
    return _packet(protocol, source, destination, options)


def describe_packet(packet: bytes) -> str:
    """Return the packet as a line that `parse_packet` reads, or what is wrong with it."""
    view = IPv4.parse(bytearray(packet), 0, len(packet))
    if isinstance(view, Malformed):
        return f"{len(packet)} bytes, {view.value}"
    transport = parse_transport(view)
    name = protocol_name(view.protocol)
    if view.fragment_offset or isinstance(transport, Malformed):
        flaw = f", {transport.value}" if isinstance(transport, Malformed) else ""
        return f"{name} {_way(view)} fragment at byte {view.fragment_offset}{flaw}"
    if isinstance(transport, Icmp):
        return f"icmp {_way(view)} type {transport.type} {_icmp_detail(transport)}"
    if isinstance(transport, Tcp):
        flags = ",".join(name for name, bit in _FLAGS.items() if bit & transport.flags)
        ends = (transport.source_port, transport.destination_port)
        return f"tcp {_way(view, ends)} flags {flags or 'none'}"
    if transport is None:
        return f"{name} {_way(view)}"
    return f"udp {_way(view, (transport.source_port, transport.destination_port))}"


def _icmp_detail(message: Icmp) -> str:
    return f"code {message.code}" if message.is_error else f"id {message.query_id}"


def _way(packet: IPv4, ports: tuple[int, int] | None = None) -> str:
    if ports is None:
        return f"{format_address(packet.source)} -> {format_address(packet.destination)}"
    return f"{Endpoint(packet.source, ports[0])} -> {Endpoint(packet.destination, ports[1])}"


def _endpoint(text: str, *, ports: bool) -> Endpoint:
    address, colon, port = text.partition(":")
    if ports and not colon:
        raise ValueError(f"{text!r} has no port, as in {address}:80")
    if colon and not ports:
        raise ValueError(f"{text!r} has a port; only tcp and udp do")
    return Endpoint(parse_address(address), _number("port", port, 65535) if colon else 0)


def _number(what: str, text: str, limit: int) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= limit):
        raise ValueError(f"{text!r} is not a {what} from 0 to {limit}")
    return int(text)


def _packet(
    protocol: int, source: Endpoint, destination: Endpoint, options: Mapping[str, str]
) -> bytes:
    data = bytes(_number("length", options.get("length", "0"), 65000))
    if protocol == PROTO_TCP:
        flags = _flags(options.get("flags", "syn"))
        segment = (source.port, destination.port, 1, 1 if flags & Flag.ACK else 0, 5 << 4, flags)
        data = struct.pack("!HHIIBBHHH", *segment, _WINDOW, 0, 0) + data
    elif protocol == PROTO_UDP:
        data = struct.pack("!HHHH", source.port, destination.port, 8 + len(data), 0) + data
    elif protocol == PROTO_ICMP:
        kind = _number("type", options.get("type", str(int(Type.ECHO))), 255)
        query_id = _number("id", options.get("id", "1"), 65535)
        data = struct.pack("!BBHHH", kind, 0, 0, query_id, 1) + data
    ttl = _number("ttl", options.get("ttl", "64"), 255)
    packet = bytearray(build(source.address, destination.address, protocol, data, ttl=ttl))
    view = IPv4.parse(packet, 0, len(packet))
    assert isinstance(view, IPv4)
    if protocol == PROTO_ICMP:
        refresh_checksum(view)
    elif protocol in (PROTO_TCP, PROTO_UDP):
        complete_checksum(view)
    return bytes(packet)


def _flags(text: str) -> int:
    flags = 0
    for name in text.lower().split(","):
        if name not in _FLAGS and name != "none":
            raise ValueError(f"{name!r} is no TCP flag; there are {', '.join(_FLAGS)}")
        flags |= _FLAGS.get(name, 0)
    return flags
