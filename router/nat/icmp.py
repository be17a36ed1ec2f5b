"""ICMP errors through the NAT: recognised by the packet they quote (RFC 5508, section 4).

An error about a session is passed whoever sent it, for routers on the way send errors too. The
quoted packet is shown to each side as that side knows it. Errors never refresh and never end a
session (RFC 5508 REQ-6, RFC 4787 REQ-12, RFC 5382 REQ-10).
"""

import struct

from router.nat.table import Session, SessionTable
from router.reasons import Reason
from router.wire.address import Endpoint
from router.wire.icmpv4 import (
    IDENTIFIER_OFFSET,
    QUERIES,
    REPLIES,
    Icmp,
    Type,
    quoted_packet,
    refresh_checksum,
)
from router.wire.ipv4 import PROTO_ICMP, PROTO_TCP, PROTO_UDP, IPv4
from router.wire.malformed import Malformed
from router.wire.transport import translate

__all__ = ["find_session", "translate_error"]

PASSED = frozenset({Type.UNREACHABLE, Type.TIME_EXCEEDED, Type.PARAMETER_PROBLEM})
_QUOTED_TRANSPORT = 8  # bytes of the quoted packet's data every error carries (RFC 792)


def find_session(
    table: SessionTable, packet: IPv4, message: Icmp, *, outbound: bool
) -> Session | Reason | Malformed:
    """Return the session the error is about, or why it does not pass.

    Redirects never cross a router and source quench is obsolete (RFC 6633).
    """
    if message.type not in PASSED or packet.is_fragment:
        return Reason.ICMP_REFUSED
    quote = quoted_packet(packet)
    if isinstance(quote, Malformed):
        return quote
    endpoints = _endpoints(quote)
    if endpoints is None or quote.source != packet.destination:
        return Reason.NO_SESSION  # an error goes to the sender of what it quotes
    local, remote = endpoints if not outbound else endpoints[::-1]
    if quote.protocol == PROTO_ICMP:
        query_id = endpoints[0].port
        local, remote = Endpoint(local.address, query_id), Endpoint(remote.address, 0)
    find = table.by_internal if outbound else table.by_external
    return find(quote.protocol, local, remote) or Reason.NO_SESSION


def _endpoints(quote: IPv4) -> tuple[Endpoint, Endpoint] | None:
    """Return who sent the quoted packet to whom; for a query both ports are its id."""
    source_port = destination_port = 0
    if quote.protocol in (PROTO_TCP, PROTO_UDP, PROTO_ICMP):
        if quote.fragment_offset or quote.end - quote.payload < _QUOTED_TRANSPORT:
            return None
        if quote.protocol == PROTO_ICMP:
            if quote.buffer[quote.payload] not in QUERIES | REPLIES:
                return None  # no errors about errors (RFC 1122, section 3.2.2)
            at = quote.payload + IDENTIFIER_OFFSET
            (source_port,) = struct.unpack_from("!H", quote.buffer, at)
            destination_port = source_port
        else:
            ports = struct.unpack_from("!HH", quote.buffer, quote.payload)
            source_port, destination_port = ports
    return Endpoint(quote.source, source_port), Endpoint(quote.destination, destination_port)


def translate_error(session: Session, packet: IPv4, *, outbound: bool) -> None:
    """Readdress the error and what it quotes; type, code and the rest word stay (REQ-4, REQ-5).

    Outbound, the error comes from the external address even when an inner router sent it
    (REQ-5c); inbound, its sender keeps its address.
    """
    mapping, remote = session.mapping, session.remote
    quote = quoted_packet(packet)
    assert isinstance(quote, IPv4)
    if outbound:
        packet.set_addresses(mapping.external.address, packet.destination)
        source, destination = remote, mapping.external
    else:
        packet.set_addresses(packet.source, mapping.internal.address)
        source, destination = mapping.internal, remote
    if mapping.protocol == PROTO_ICMP:
        query_id = (mapping.external if outbound else mapping.internal).port
        source = Endpoint(source.address, query_id)
    translate(quote, source, destination)
    refresh_checksum(packet)
