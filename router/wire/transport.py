"""What NAT changes below IP: ports, query ids and the checksums that cover addresses.

`translate` is the whole edit of one packet and the reference for the rewrite cache, which does
the same with sums worked out once per session. It serves whole packets, first fragments (which
carry ports and, mostly, the checksum), later fragments (addresses only) and packets quoted by
ICMP errors (of which perhaps eight bytes of transport header are left).
"""

import struct

from router.wire import icmpv4, tcp
from router.wire.address import Endpoint
from router.wire.checksum import checksum, delta, pseudo_header_sum, update, update_partial
from router.wire.icmpv4 import IDENTIFIER_OFFSET, Icmp
from router.wire.ipv4 import PROTO_ICMP, PROTO_TCP, PROTO_UDP, IPv4
from router.wire.malformed import Malformed
from router.wire.tcp import TCP_CHECKSUM_OFFSET, Tcp
from router.wire.udp import UDP_CHECKSUM_OFFSET, Udp

__all__ = [
    "CHECKSUM_OFFSETS",
    "WITH_PORTS",
    "Transport",
    "complete_checksum",
    "parse_transport",
    "translate",
]

Transport = Tcp | Udp | Icmp | None

WITH_PORTS = frozenset({PROTO_ICMP, PROTO_TCP, PROTO_UDP})  # ports, or query ids that serve as such
CHECKSUM_OFFSETS = {PROTO_TCP: TCP_CHECKSUM_OFFSET, PROTO_UDP: UDP_CHECKSUM_OFFSET}


def parse_transport(packet: IPv4) -> Transport | Malformed:
    """Return the transport header's view; None in later fragments and protocols without ports."""
    if packet.fragment_offset:
        return Malformed.TINY_FRAGMENT if tcp.overlays_flags(packet) else None
    if packet.protocol == PROTO_TCP:
        return Tcp.parse(packet)
    if packet.protocol == PROTO_UDP:
        return Udp.parse(packet)
    if packet.protocol == PROTO_ICMP:
        return Icmp.parse(packet)
    return None


def translate(
    packet: IPv4, source: Endpoint, destination: Endpoint, *, partial: bool = False
) -> None:
    """Make `packet` go from `source` to `destination`, all checksums kept as right as they were.

    For ICMP queries the port of either endpoint is the query id; the callers pass the same in
    both. `partial` is whether the transport checksum covers only the pseudo header.
    """
    change = packet.set_addresses(source.address, destination.address)
    if packet.fragment_offset:
        return
    if packet.protocol == PROTO_ICMP:
        _set_query_id(packet, source.port)
    elif packet.protocol in CHECKSUM_OFFSETS and packet.end - packet.payload >= 4:
        port_change = _set_ports(packet, source.port, destination.port)
        _update_checksum(packet, change, port_change, partial)


def _set_ports(packet: IPv4, source_port: int, destination_port: int) -> int:
    old_source, old_destination = struct.unpack_from("!HH", packet.buffer, packet.payload)
    struct.pack_into("!HH", packet.buffer, packet.payload, source_port, destination_port)
    return delta(old_source + old_destination, source_port + destination_port)


def _update_checksum(packet: IPv4, change: int, port_change: int, partial: bool) -> None:
    at = packet.payload + CHECKSUM_OFFSETS[packet.protocol]
    if at + 2 > packet.end:
        return  # a quote that stops before the checksum
    (field,) = struct.unpack_from("!H", packet.buffer, at)
    if partial:
        field = update_partial(field, change)
    elif packet.protocol != PROTO_UDP:
        field = update(field, (change + port_change) % 0xFFFF)
    elif field:  # zero says that the sender computed none (RFC 768), which stays so
        field = update(field, (change + port_change) % 0xFFFF) or 0xFFFF
    struct.pack_into("!H", packet.buffer, at, field)


def _set_query_id(packet: IPv4, query_id: int) -> None:
    at = packet.payload + IDENTIFIER_OFFSET
    if at + 2 > packet.end:
        return  # a quote that stops before the id
    field_at = packet.payload + icmpv4.ICMP_CHECKSUM_OFFSET
    (field,) = struct.unpack_from("!H", packet.buffer, field_at)
    (old,) = struct.unpack_from("!H", packet.buffer, at)
    struct.pack_into("!H", packet.buffer, at, query_id)
    field = update(field, delta(old, query_id))
    struct.pack_into("!H", packet.buffer, field_at, field)
    if field == 0 and not any(packet.buffer[packet.payload : packet.end]):
        struct.pack_into("!H", packet.buffer, field_at, 0xFFFF)  # the one all-zero message


def complete_checksum(packet: IPv4) -> None:
    """Fill in a TCP or UDP checksum that covered only the pseudo header."""
    at = packet.payload + CHECKSUM_OFFSETS[packet.protocol]
    struct.pack_into("!H", packet.buffer, at, 0)
    pseudo = pseudo_header_sum(
        packet.source, packet.destination, packet.protocol, packet.end - packet.payload
    )
    field = checksum(packet.buffer[packet.payload : packet.end], pseudo)
    struct.pack_into(
        "!H", packet.buffer, at, field or 0xFFFF if packet.protocol == PROTO_UDP else field
    )
