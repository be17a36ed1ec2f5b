"""Port forwards: which internal endpoint an unsolicited packet is meant for."""

from collections.abc import Collection, Sequence

from router.nat.types import DefaultHost, ForwardRule
from router.reasons import Reason
from router.wire.address import Endpoint, Network

__all__ = ["Forwards"]


class Forwards:
    """The rules in force, indexed by protocol and external port; immutable once made.

    With one shared external address a port has one rule. Where each host has an external
    address of its own, several hosts may have a rule for the same port; `host` then says whose
    address the packet came to.
    """

    def __init__(self, rules: Sequence[ForwardRule | DefaultHost] = ()) -> None:
        self.rules = tuple(rules)
        self._by_port: dict[int, dict[int, list[ForwardRule]]] = {}
        self._external_ports: dict[tuple[int, Endpoint], int] = {}
        self._default: DefaultHost | None = None
        for rule in rules:
            if isinstance(rule, DefaultHost):
                self._default = rule
            else:
                self._index(rule)

    def _index(self, rule: ForwardRule) -> None:
        ports = self._by_port.setdefault(rule.protocol, {})
        for port in range(rule.first_port, rule.last_port + 1):
            ports.setdefault(port, []).append(rule)
            self._external_ports.setdefault((rule.protocol, _internal(rule, port)), port)

    def reserved(self, protocol: int) -> Collection[int]:
        """Return the external ports that no dynamic mapping may take."""
        return self._by_port.get(protocol, {}).keys()

    def external_port(self, protocol: int, internal: Endpoint) -> int | None:
        """Return the external port from which a forwarded server speaks (RFC 4787 REQ-1)."""
        return self._external_ports.get((protocol, internal))

    def target(
        self, protocol: int, port: int, remote: int | None, host: int | None = None
    ) -> Endpoint | Reason | None:
        """Return where a packet from `remote` to `port` leads by a rule for that port.

        None when there is no such rule, `SOURCE_REFUSED` when its sources leave `remote` out.
        A `remote` of None is one of our own hosts, whom no rule leaves out.
        """
        for rule in self._by_port.get(protocol, {}).get(port, ()):
            if host in (None, rule.internal_address):
                admitted = _admits(rule.sources, remote)
                return _internal(rule, port) if admitted else Reason.SOURCE_REFUSED
        return None

    def default_target(
        self, port: int, remote: int | None, host: int | None = None
    ) -> Endpoint | None:
        """Return the default host's endpoint, None without one or when `remote` is left out."""
        default = self._default
        if default is None or host not in (None, default.internal_address):
            return None
        return (
            Endpoint(default.internal_address, port) if _admits(default.sources, remote) else None
        )

    def leads_to(self, protocol: int, port: int, internal: Endpoint, remote: int | None) -> bool:
        """Whether these rules lead `remote` from the external `port` to `internal`."""
        host = internal.address
        target = self.target(protocol, port, remote, host)
        return (target or self.default_target(port, remote, host)) == internal


def _internal(rule: ForwardRule, port: int) -> Endpoint:
    return Endpoint(rule.internal_address, rule.internal_port + port - rule.first_port)


def _admits(sources: Sequence[Network], remote: int | None) -> bool:
    return remote is None or not sources or any(remote in network for network in sources)
