"""A NAT with dicts and loops, from the text of RFC 4787, 5382, 5508 and 6888; nothing is indexed.

It says whether a packet passes and to which endpoint. Which port a new binding gets is chance;
the model says what is wrong with a choice and then takes it over.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from router.nat.types import DefaultHost, FilteringBehavior, ForwardRule, MappingBehavior, Timeouts
from router.wire.address import Endpoint
from tests.properties.frames import ICMP, TCP, UDP

Rules = tuple[ForwardRule | DefaultHost, ...]


@dataclass
class Binding:
    """An internal endpoint's place outside; `key` is what it depends on (RFC 4787, 4.1)."""

    protocol: int
    internal: Endpoint
    external: Endpoint
    key: tuple[int, int]
    spoke_at: float
    flows: dict[Endpoint, "Flow"] = field(default_factory=dict)


@dataclass
class Flow:
    """The traffic of a binding with one remote, and whether either end has spoken in it.

    `may_start` are the instants since which a flow from outside may count as used: where a rule
    and a filter both let it in, either may be asked first.
    """

    opened_outside: bool
    used_at: float
    inside: bool = False
    outside: bool = False
    may_start: tuple[float, ...] = ()

    @property
    def established(self) -> bool:
        return self.inside and self.outside


class Model:
    """Predicts one NAT behind the address `line`."""

    def __init__(
        self,
        line: int,
        mapping: MappingBehavior,
        filtering: FilteringBehavior,
        rules: Rules,
        timeouts: Timeouts,
    ) -> None:
        self.line, self.mapping, self.filtering, self.rules = line, mapping, filtering, rules
        self.timeouts = timeouts
        self.bindings: list[Binding] = []
        self.resting: list[tuple[Binding, float]] = []

    # Time (4787 REQ-5, REQ-6; 5382 REQ-5; 5508 REQ-2; 6888 REQ-8)

    def expires_at(self, binding: Binding, flow: Flow) -> float:
        times = self.timeouts
        if binding.protocol == TCP:
            return flow.used_at + (
                times.tcp_established if flow.established else times.tcp_transitory
            )
        return flow.used_at + (times.udp if binding.protocol == UDP else times.icmp)

    def advance(self, now: float) -> None:
        for binding in list(self.bindings):
            ends = [self.expires_at(binding, flow) for flow in binding.flows.values()]
            for remote, end in zip(list(binding.flows), ends, strict=True):
                if end <= now:
                    del binding.flows[remote]
            if not binding.flows:
                self.bindings.remove(binding)
                self.resting.append((binding, max(ends)))

    # From inside

    def outbound(
        self, protocol: int, internal: Endpoint, remote: Endpoint
    ) -> tuple[Binding | None, Flow | None]:
        """Return the binding a packet must use, None for a new one, and its flow if it lives."""
        for binding in self._of(protocol):
            if binding.internal == internal and remote in binding.flows:
                return binding, binding.flows[remote]
        for binding in self._of(protocol):
            if binding.internal == internal and binding.key == self.key(remote):
                return binding, None
        return None, None

    def key(self, remote: Endpoint) -> tuple[int, int]:
        if self.mapping is MappingBehavior.ENDPOINT_INDEPENDENT:
            return 0, 0
        by_port = self.mapping is MappingBehavior.ADDRESS_AND_PORT_DEPENDENT
        return remote.address, remote.port if by_port else 0

    def wrong_with(
        self, protocol: int, internal: Endpoint, external: Endpoint, now: float
    ) -> Iterator[str]:
        """Say what forbids a new binding to get `external`."""
        wanted, port = internal.port, external.port
        forwarded = self._server_port(protocol, internal)
        if external.address != self.line or not port:
            yield "not an endpoint of the line"
        if forwarded is not None:
            if port != forwarded:
                yield "a forwarded server speaks from its forwarded port"
            return
        if self._unfree(protocol, internal, port, now):
            yield "overloading (4787 REQ-3), a forwarded port, or quarantine (6888 REQ-8)"
        if port != wanted and not self._unfree(protocol, internal, wanted, now):
            yield "preservation (4787, 4.2.1)"
        if protocol != ICMP and (port < 1024) != (wanted < 1024):
            yield "range (4787 REQ-3a)"
        if protocol != ICMP and (port ^ wanted) & 1:
            yield "parity (4787 REQ-4)"

    def _unfree(self, protocol: int, internal: Endpoint, port: int, now: float) -> bool:
        used = any(binding.external.port == port for binding in self._of(protocol))
        rests = protocol != TCP and any(
            (binding.protocol, binding.external.port) == (protocol, port)
            and binding.internal != internal
            and now < end + self.timeouts.port_quarantine
            for binding, end in self.resting
        )
        return used or rests or self._rule(protocol, port) is not None

    def send(self, binding: Binding, remote: Endpoint, now: float) -> None:
        flow = binding.flows.setdefault(remote, Flow(False, now))
        flow.used_at = binding.spoke_at = now
        flow.inside = True

    # From outside

    def inbound(
        self, protocol: int, external: Endpoint, remote: Endpoint, now: float, *, opens: bool
    ) -> tuple[Binding, Flow] | None:
        """Return the binding and flow a packet comes in by, None when it must not come in."""
        for binding in self._of(protocol):
            if binding.external == external and remote in binding.flows:
                flow = binding.flows[remote]
                if protocol == TCP:
                    flow.used_at = now
                return binding, flow
        found = self._admit(protocol, external, remote, now) if opens else None
        if found is None or self._occupied(protocol, found[0].internal, remote):
            return None
        binding, started = found
        if binding not in self.bindings:
            self.bindings.append(binding)
        flow = binding.flows[remote] = Flow(True, started[0])
        flow.may_start = started
        return binding, flow

    def _admit(
        self, protocol: int, external: Endpoint, remote: Endpoint, now: float
    ) -> tuple[Binding, tuple[float, ...]] | None:
        """Return what a stranger comes in by, and since when the new flow may count as used."""
        bound = next((b for b in self._of(protocol) if b.external == external), None)
        rule = self._rule(protocol, external.port)
        if rule is not None:
            if rule.sources and not any(remote.address in network for network in rule.sources):
                return None
            port = rule.internal_port + external.port - rule.first_port
            target: Endpoint | None = Endpoint(rule.internal_address, port)
        else:
            target = self._default(external.port)
            if bound is not None and self._passes(bound, remote):
                start = now if protocol == TCP else bound.spoke_at
                return bound, (start, now) if bound.internal == target else (start,)
        if target is None or (bound is not None and bound.internal != target):
            return None
        return bound or Binding(protocol, target, external, self.key(remote), now), (now,)

    def _default(self, port: int) -> Endpoint | None:
        hosts = [rule.internal_address for rule in self.rules if isinstance(rule, DefaultHost)]
        return Endpoint(hosts[0], port) if hosts else None

    def _passes(self, binding: Binding, remote: Endpoint) -> bool:
        """Whether the binding's filter (RFC 4787, section 5) has seen its host address `remote`."""
        spoken = [end for end, flow in binding.flows.items() if flow.inside]
        if self.filtering is FilteringBehavior.ENDPOINT_INDEPENDENT:
            return True
        if self.filtering is FilteringBehavior.ADDRESS_DEPENDENT:
            return any(end.address == remote.address for end in spoken)
        return remote in spoken

    # Looking things up

    def _of(self, protocol: int) -> list[Binding]:
        return [binding for binding in self.bindings if binding.protocol == protocol]

    def _occupied(self, protocol: int, internal: Endpoint, remote: Endpoint) -> bool:
        return any(b.internal == internal and remote in b.flows for b in self._of(protocol))

    def _forwards(self, protocol: int) -> Iterator[ForwardRule]:
        for rule in self.rules:
            if isinstance(rule, ForwardRule) and rule.protocol == protocol:
                yield rule

    def _rule(self, protocol: int, port: int) -> ForwardRule | None:
        for rule in self._forwards(protocol):
            if rule.first_port <= port <= rule.last_port:
                return rule
        return None

    def _server_port(self, protocol: int, internal: Endpoint) -> int | None:
        for rule in self._forwards(protocol):
            port = rule.first_port + internal.port - rule.internal_port
            ours = rule.internal_address == internal.address
            if ours and rule.first_port <= port <= rule.last_port:
                return port
        return None
