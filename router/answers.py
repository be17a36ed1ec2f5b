"""What the router says in its own name: ICMP errors, echo replies, resets.

Errors are held back where RFC 1812 section 4.3.2.7 forbids them (about errors, later fragments
and anything not sent to and by a single host) and limited in rate (section 4.3.2.8).
"""

from router.wire import icmpv4
from router.wire.icmpv4 import Icmp, Type, Unreachable
from router.wire.ipv4 import PROTO_ICMP, IPv4
from router.wire.malformed import Malformed
from router.wire.tcp import Flag, Tcp, build_reset
from router.wire.transport import Transport
from router.wire.udp import Udp

__all__ = ["Answers"]


class Answers:
    """Builds the answers; a token bucket holds one second's worth of errors."""

    def __init__(self, errors_per_second: int) -> None:
        self._rate = errors_per_second
        self._tokens = float(errors_per_second)
        self._filled_at = 0.0

    def error(
        self, source: int, packet: IPv4, type_: int, code: int, *, now: float, mtu: int = 0
    ) -> bytes | None:
        """Return an ICMP error about `packet` from `source`, None where silence is due."""
        if _forbids_errors(packet) or not self._take_token(now):
            return None
        return icmpv4.build_error(source, packet, type_, code, mtu)

    def local(self, packet: IPv4, transport: Transport, now: float) -> bytes | None:
        """Return what a host without services says to a packet for itself."""
        if packet.is_fragment:
            return None
        if isinstance(transport, Icmp):
            return icmpv4.build_echo_reply(packet) if transport.type == Type.ECHO else None
        if isinstance(transport, Tcp):
            return None if transport.flags & Flag.RST else build_reset(packet, transport)
        code = Unreachable.PORT if isinstance(transport, Udp) else Unreachable.PROTOCOL
        return self.error(packet.destination, packet, Type.UNREACHABLE, code, now=now)

    def _take_token(self, now: float) -> bool:
        elapsed = max(0.0, now - self._filled_at)
        self._tokens = min(self._rate, self._tokens + elapsed * self._rate)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


def _forbids_errors(packet: IPv4) -> bool:
    if packet.fragment_offset:
        return True
    if packet.protocol != PROTO_ICMP:
        return False
    message = Icmp.parse(packet)
    return isinstance(message, Malformed) or not (message.is_query or message.is_reply)
