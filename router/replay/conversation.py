"""A session as its LAN host knows it, and how long it holds a line."""

from math import inf
from typing import NamedTuple

from router.link.holds import Holds
from router.link.types import LinkConfig, PolicyRule
from router.nat.table import Session
from router.wire.address import Endpoint, format_address
from router.wire.icmpv4 import Icmp
from router.wire.ipv4 import IPv4
from router.wire.tcp import Tcp
from router.wire.transport import Transport
from router.wire.udp import Udp

__all__ = ["Conversation", "held_for", "hold_of"]


class Conversation(NamedTuple):
    """Who speaks with whom; at the LAN's end the port of an ICMP query is its id."""

    protocol: int
    internal: Endpoint
    remote: Endpoint

    @property
    def host(self) -> int:
        """The address of the LAN host."""
        return self.internal.address

    @classmethod
    def of(cls, packet: IPv4, transport: Transport, *, outbound: bool) -> "Conversation":
        """Return the conversation of a packet as the LAN sees it."""
        ports = (0, 0)
        if isinstance(transport, Tcp | Udp):
            ports = (transport.source_port, transport.destination_port)
        elif isinstance(transport, Icmp):
            ports = (transport.query_id, 0) if outbound else (0, transport.query_id)
        source = Endpoint(packet.source, ports[0])
        destination = Endpoint(packet.destination, ports[1])
        ends = (source, destination) if outbound else (destination, source)
        return cls(packet.protocol, *ends)

    @classmethod
    def of_session(cls, session: Session) -> "Conversation":
        """Return the conversation that a session carries."""
        mapping = session.mapping
        return cls(mapping.protocol, mapping.internal, session.remote)


def hold_of(rule: PolicyRule, link: LinkConfig) -> float:
    """Return how long a link stays after the activity of answered traffic; inf while it is open."""
    if not rule.action.holds:
        return 0.0
    return (link.idle_timeout_s or inf) if rule.hold_s is None else rule.hold_s


def held_for(session: Session, rule: PolicyRule, link: LinkConfig, now: float) -> float:
    """Return for how long yet a session holds its link if it stays silent from now on."""
    holds = Holds()
    holds.take(session, rule, hold_of(rule, link), now)
    return next((row.holds_s for row in holds.rows(now, link.name, format_address)), 0.0)
