"""Which traffic may raise a line and hold it: ordered rules, the first that matches decides.

A session gets its rule once, from the packet that opens it, and keeps it. The rules shipped with
the router are data, because a core cannot compile filters: `router.config` does, and puts them
behind those of the configuration.

Later fragments carry no ports, flags or ICMP types, so no filter that asks for one matches them.
They get a rule about addresses or protocols, or else `EVERYTHING_ELSE`, which accepts: what a first
fragment is ignored for, its later ones are not. Whoever asks about one must not let it raise a line
(`router.demand`), and sessions get their rule from packets that have ports.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from router.link.types import Action, PolicyRule

__all__ = ["DEFAULT_RULES", "EVERYTHING_ELSE", "DefaultRule", "Policy"]


@dataclass(frozen=True, slots=True)
class DefaultRule:
    """A rule the router is shipped with, and why.

    `hold_s` is as in `PolicyRule`, but never more than the link's idle timeout.
    """

    text: str
    action: Action
    hold_s: float | None
    why: str


_DNS_HOLD_S = 30.0  # seconds: diald's; what the name was wanted for holds by its own rule
_ECHO_HOLD_S = 30.0  # seconds: after diald's 5 it would be down for what the ping was to try

# Ports are those of destinations: an ephemeral port may be any of those above 1023.
DEFAULT_RULES: tuple[DefaultRule, ...] = (
    DefaultRule(
        "tcp[tcpflags] & tcp-rst != 0",
        Action.IGNORE,
        None,
        "a reset ends a connection that is lost anyway",
    ),
    DefaultRule(
        "tcp[tcpflags] & (tcp-fin|tcp-syn) = tcp-fin",
        Action.IGNORE,
        None,
        "nobody waits for the end of a connection; it is told again until the line is up",
    ),
    DefaultRule(
        "tcp[tcpflags] & (tcp-syn|tcp-ack) = tcp-syn|tcp-ack",
        Action.IGNORE,
        None,
        "an answer to a stranger who knocked while the line was up; he is gone, or knocks again",
    ),
    DefaultRule(
        "icmp[icmptype] = icmp-unreach or icmp[icmptype] = icmp-timxceed"
        " or icmp[icmptype] = icmp-paramprob or icmp[icmptype] = icmp-sourcequench"
        " or icmp[icmptype] = icmp-redirect",
        Action.IGNORE,
        None,
        "errors are about packets of others, who repeat what matters to them",
    ),
    DefaultRule(
        "udp dst port 123",
        Action.IGNORE,
        None,
        "NTP asks every few minutes for ever; it gets its answers while the line is up",
    ),
    DefaultRule(
        "dst portrange 137-139 or dst port 445",
        Action.IGNORE,
        None,
        "NetBIOS and SMB look for neighbours, who are not behind the line",
    ),
    DefaultRule("udp dst port 5353", Action.IGNORE, None, "mDNS is for the LAN"),
    DefaultRule("udp dst port 5355", Action.IGNORE, None, "LLMNR is for the LAN"),
    DefaultRule("udp dst port 1900", Action.IGNORE, None, "SSDP is for the LAN"),
    DefaultRule("udp dst port 3702", Action.IGNORE, None, "WS-Discovery is for the LAN"),
    DefaultRule(
        "udp dst port 53 or tcp dst port 53",
        Action.ACCEPT,
        _DNS_HOLD_S,
        "somebody wants to go somewhere; the connection that follows holds by its own rule",
    ),
    DefaultRule(
        "icmp[icmptype] = icmp-echo",
        Action.ACCEPT,
        _ECHO_HOLD_S,
        "somebody tries the line, and will soon do something else or nothing",
    ),
)


def _matches_everything(packet: bytes, *, outbound: bool) -> bool:  # noqa: ARG001 - as a Filter
    return True


EVERYTHING_ELSE = PolicyRule("", _matches_everything, Action.ACCEPT)
"""What no rule speaks of raises the line and holds it for the link's idle timeout."""


class Policy:
    """Rules in order."""

    def __init__(self, rules: Sequence[PolicyRule]) -> None:
        self._rules = tuple(rules)

    def choose(self, packet: bytes, *, outbound: bool) -> PolicyRule:
        """Return the first rule that matches an IPv4 packet, else `EVERYTHING_ELSE`."""
        for rule in self._rules:
            if rule.matches(packet, outbound=outbound):
                return rule
        return EVERYTHING_ELSE
