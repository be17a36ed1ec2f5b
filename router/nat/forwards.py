"""Port forwards: which internal endpoint an unsolicited packet is meant for."""

from collections.abc import Iterable, Sequence

from router.nat.types import DefaultHost, ForwardRule
from router.reasons import Reason
from router.wire.address import Endpoint, Network

__all__ = ["Forwards"]


class Forwards:
    """The rules in force, indexed by protocol and external port; immutable once made."""

    def __init__(self, rules: Sequence[ForwardRule | DefaultHost] = ()) -> None:
        self.rules = tuple(rules)
        self._by_port: dict[int, dict[int, ForwardRule]] = {}
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
            ports[port] = rule
            internal = _internal(rule, port)
            self._external_ports.setdefault((rule.protocol, internal), port)

    def reserved(self, protocol: int) -> dict[int, ForwardRule]:
        """Return the external ports that no dynamic mapping may take, as the keys."""
        return self._by_port.get(protocol, {})

    def external_port(self, protocol: int, internal: Endpoint) -> int | None:
        """Return the external port from which a forwarded server speaks (RFC 4787 REQ-1)."""
        return self._external_ports.get((protocol, internal))

    def target(self, protocol: int, port: int, remote: int) -> Endpoint | Reason | None:
        """Return where a packet from `remote` to `port` leads by a rule for that port.

        None when there is no such rule, `SOURCE_REFUSED` when its sources leave `remote` out.
        """
        rule = self._by_port.get(protocol, {}).get(port)
        if rule is None:
            return None
        return _internal(rule, port) if _admits(rule.sources, remote) else Reason.SOURCE_REFUSED

    def default_target(self, port: int, remote: int) -> Endpoint | None:
        """Return the default host's endpoint, None without one or when `remote` is left out."""
        if self._default is None or not _admits(self._default.sources, remote):
            return None
        return Endpoint(self._default.internal_address, port)

    def leads_to(self, protocol: int, port: int, internal: Endpoint, remote: int) -> bool:
        """Whether these rules would lead `remote` from `port` to `internal`."""
        target = self.target(protocol, port, remote) or self.default_target(port, remote)
        return target == internal


def _internal(rule: ForwardRule, port: int) -> Endpoint:
    return Endpoint(rule.internal_address, rule.internal_port + port - rule.first_port)


def _admits(sources: Iterable[Network], remote: int) -> bool:
    sources = tuple(sources)
    return not sources or any(remote in network for network in sources)
