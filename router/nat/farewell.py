"""What a LAN host is told when its session's external address is gone: the flow is dead, try anew.

TCP is reset as if by the remote. A host believes a reset only at exactly the sequence number it
expects next (RFC 5961, section 3.2), and that is what it has last acknowledged; while it waits for
an answer to its SYN, a reset that acknowledges the SYN (RFC 9293, section 3.10.7.3). For the rest
there is an ICMP error, which quotes a header such as the host has sent.
"""

import struct

from router.nat.table import Session
from router.wire.icmpv4 import Type, Unreachable, build_error
from router.wire.ipv4 import PROTO_ICMP, PROTO_TCP, PROTO_UDP, IPv4, build
from router.wire.tcp import Flag, build_segment

__all__ = ["farewell"]

_ECHO = struct.Struct("!BBHHH")
_UDP = struct.Struct("!HHHH")
_UDP_LENGTH = 8  # bytes: the header alone


def farewell(session: Session, router: int) -> bytes | None:
    """Return the packet for the session's internal host, None where nothing can be said.

    `router` is the address errors come from.
    """
    if session.mapping.protocol == PROTO_TCP:
        return _reset(session)
    quoted = bytearray(_sent_by_host(session))
    packet = IPv4.parse(quoted, 0, len(quoted))
    assert isinstance(packet, IPv4)
    return build_error(router, packet, Type.UNREACHABLE, Unreachable.HOST)


def _reset(session: Session) -> bytes | None:
    internal, remote = session.mapping.internal, session.remote
    tracker, expected = session.tracker, session.outbound.acknowledgment
    if expected >= 0:
        return build_segment(remote, internal, Flag.RST, sequence=expected)
    if tracker is None or tracker.initial_sequence is None:
        return None  # a connection picked up before the host has acknowledged anything
    acknowledgment = (tracker.initial_sequence + 1) & 0xFFFFFFFF
    return build_segment(
        remote, internal, Flag.RST | Flag.ACK, sequence=0, acknowledgment=acknowledgment
    )


def _sent_by_host(session: Session) -> bytes:
    """Return a packet as the host has sent, as far as an error must quote it (RFC 792)."""
    internal, remote, protocol = session.mapping.internal, session.remote, session.mapping.protocol
    data = b""
    if protocol == PROTO_UDP:
        data = _UDP.pack(internal.port, remote.port, _UDP_LENGTH, 0)
    elif protocol == PROTO_ICMP:
        data = _ECHO.pack(Type.ECHO, 0, 0, internal.port, 0)
    return build(internal.address, remote.address, protocol, data)
