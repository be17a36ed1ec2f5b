"""What the router says in its own name: ICMP errors, echo replies, resets.

Errors are held back where RFC 1812 section 4.3.2.7 forbids them (about errors, later fragments
and anything not sent to and by a single host) and limited in rate (section 4.3.2.8), each side
apart, so that strangers cannot use up what path MTU discovery on the LAN needs. A packet whose
transport checksum is wrong gets no answer (RFC 1122, section 3.2.2).
"""

from router.arrival import Arrival
from router.devices import Side
from router.wire import icmpv4
from router.wire.checksum import pseudo_header_sum, verify
from router.wire.icmpv4 import Icmp, Type, Unreachable
from router.wire.ipv4 import PROTO_ICMP, PROTO_TCP, IPv4
from router.wire.malformed import Malformed
from router.wire.tcp import Flag, Tcp, build_reset
from router.wire.udp import Udp

__all__ = ["Answers"]


class _Bucket:
    """A token bucket that holds one second's worth."""

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._tokens = float(per_second)
        self._filled_at = 0.0

    def take(self, now: float) -> bool:
        elapsed = max(0.0, now - self._filled_at)
        self._tokens = min(self._per_second, self._tokens + elapsed * self._per_second)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Answers:
    """Builds the answers, at most so many errors per second on each side."""

    def __init__(self, errors_per_second: int) -> None:
        self._buckets = {side: _Bucket(errors_per_second) for side in Side}

    def error(
        self,
        side: Side,
        source: int,
        packet: IPv4,
        type_: int,
        code: int,
        *,
        now: float,
        mtu: int = 0,
    ) -> bytes | None:
        """Return an ICMP error for `side` about `packet` from `source`, None for silence."""
        if _forbids_errors(packet) or not self._buckets[side].take(now):
            return None
        return icmpv4.build_error(source, packet, type_, code, mtu)

    def local(self, arrival: Arrival) -> bytes | None:
        """Return what a host without services says to a packet for itself."""
        packet, transport = arrival.packet, arrival.transport
        if packet.is_fragment or not _is_intact(arrival):
            return None
        if isinstance(transport, Icmp):
            return icmpv4.build_echo_reply(packet) if transport.type == Type.ECHO else None
        if isinstance(transport, Tcp):
            return None if transport.flags & Flag.RST else build_reset(packet, transport)
        code = Unreachable.PORT if isinstance(transport, Udp) else Unreachable.PROTOCOL
        destination, now = packet.destination, arrival.now
        return self.error(arrival.side, destination, packet, Type.UNREACHABLE, code, now=now)


def _is_intact(arrival: Arrival) -> bool:
    """Whether the checksum of an ICMP message or TCP segment holds, if it is complete yet."""
    packet = arrival.packet
    if packet.protocol not in (PROTO_ICMP, PROTO_TCP) or arrival.offload.partial:
        return True
    data = packet.buffer[packet.payload : packet.end]
    if packet.protocol == PROTO_ICMP:
        return verify(data)
    return verify(data, pseudo_header_sum(packet.source, packet.destination, PROTO_TCP, len(data)))


def _forbids_errors(packet: IPv4) -> bool:
    if packet.fragment_offset:
        return True
    if packet.protocol != PROTO_ICMP:
        return False
    message = Icmp.parse(packet)
    return isinstance(message, Malformed) or not (message.is_query or message.is_reply)
