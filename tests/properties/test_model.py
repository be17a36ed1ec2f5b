"""NAT against a naive model of the RFCs, under all nine behaviours, with and without forwards."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from router.devices import Side, Verdict
from router.nat.types import FilteringBehavior, MappingBehavior
from router.wire.address import Endpoint
from tests.properties.frames import ACK, ECHO_REPLY, ICMP, PLAIN, SYN, TCP, UDP, VNET, Recipe, Seen
from tests.properties.model import Binding, Flow, Model
from tests.properties.profiles import budget
from tests.properties.sites import LINE, MASQUERADE, PORTS, REMOTES, TIMEOUTS, forward_sets
from tests.properties.walks import SLACK, Driver

_numbers = st.integers(0, 30)
_ports = st.sampled_from(PORTS)
_protocols = st.sampled_from((UDP, TCP, ICMP))
_remotes = st.builds(Endpoint, st.sampled_from(REMOTES), st.sampled_from((53, 80)))


def _remote(protocol: int, remote: Endpoint) -> Endpoint:
    return Endpoint(remote.address, 0) if protocol == ICMP else remote


class Nat(RuleBasedStateMachine):
    """Sends packets through a forwarder and asks the model what should have happened."""

    mapping: MappingBehavior
    filtering: FilteringBehavior
    tally: Counter[str]

    @initialize(rules=st.integers(0, 2))
    def start(self, rules: int) -> None:
        nat = replace(MASQUERADE.nat, mapping=self.mapping, filtering=self.filtering)
        self.driver = Driver(replace(MASQUERADE, nat=nat), rules=rules)
        forwards = forward_sets(MASQUERADE)[rules]
        self.model = Model(LINE, self.mapping, self.filtering, forwards, TIMEOUTS)
        self.externals: list[tuple[int, Endpoint]] = []

    # What happens

    @rule(protocol=_protocols, host=st.sampled_from(MASQUERADE.hosts), port=_ports, remote=_remotes)
    def host_sends(self, protocol: int, host: int, port: int, remote: Endpoint) -> None:
        self._out(protocol, Endpoint(host, port), _remote(protocol, remote))

    @rule(number=_numbers, remote=_remotes)
    def host_sends_elsewhere(self, number: int, remote: Endpoint) -> None:
        if bindings := self.model.bindings:
            binding = bindings[number % len(bindings)]
            self._out(binding.protocol, binding.internal, _remote(binding.protocol, remote))

    @rule(number=_numbers)
    def host_goes_on(self, number: int) -> None:
        if flows := self._flows():
            binding, remote = flows[number % len(flows)]
            self._out(binding.protocol, binding.internal, remote)

    @rule(number=_numbers)
    def remote_answers(self, number: int) -> None:
        if flows := self._flows():
            binding, remote = flows[number % len(flows)]
            self._in(binding.protocol, binding.external, remote)

    @rule(number=_numbers, change=st.sampled_from(("port", "address")))
    def almost_the_remote_sends(self, number: int, change: str) -> None:
        if flows := self._flows():
            binding, remote = flows[number % len(flows)]
            address = REMOTES[-1] if change == "address" else remote.address
            stranger = Endpoint(address, remote.port + (change == "port"))
            self._in(binding.protocol, binding.external, _remote(binding.protocol, stranger))

    @rule(number=_numbers, remote=_remotes)
    def remote_sends_to_what_was_bound(self, number: int, remote: Endpoint) -> None:
        if self.externals:
            protocol, external = self.externals[number % len(self.externals)]
            self._in(protocol, external, _remote(protocol, remote))

    @rule(protocol=_protocols, port=_ports, remote=_remotes)
    def remote_sends(self, protocol: int, port: int, remote: Endpoint) -> None:
        self._in(protocol, Endpoint(LINE, port), _remote(protocol, remote))

    @rule(seconds=st.sampled_from((0.1, 5.0, 6.0, 11.0, 12.0, 23.0, 29.0, 30.0, 89.0)))
    def time_passes(self, seconds: float) -> None:
        driver, then = self.driver, self.driver.now + seconds
        while (deadline := driver.forwarder.next_deadline()) is not None and deadline <= then:
            driver.wait(deadline - driver.now)
        driver.wait(then - driver.now)
        self.model.advance(driver.now)

    # What must hold

    @invariant()
    def the_same_bindings_and_flows_live(self) -> None:
        forwarder = self.driver.forwarder
        bound = {(m.protocol, m.internal, m.external) for m in forwarder.mappings()}
        assert bound == {(b.protocol, b.internal, b.external) for b in self.model.bindings}
        assert forwarder.session_count == len(self._flows())

    def _flows(self) -> list[tuple[Binding, Endpoint]]:
        return [(binding, remote) for binding in self.model.bindings for remote in binding.flows]

    def _out(self, protocol: int, internal: Endpoint, remote: Endpoint) -> None:
        model, now = self.model, self.driver.now
        binding, flow = model.outbound(protocol, internal, remote)
        seen = self._enter(Side.LAN, protocol, internal, remote, _flags(flow, outbound=True))
        assert seen is not None, "everything passes outwards"
        external = seen.source_endpoint
        assert seen.destination_endpoint.address == remote.address
        if binding is None:
            self.tally["new"] += 1
            assert not list(model.wrong_with(protocol, internal, external, now))
            binding = Binding(protocol, internal, external, model.key(remote), now)
            model.bindings.append(binding)
            self.externals.append((protocol, external))
        self.tally["kept"] += 1
        assert external == binding.external
        model.send(binding, remote, now)

    def _in(self, protocol: int, external: Endpoint, remote: Endpoint) -> None:
        flow = self._flow_at(protocol, external, remote)
        flags = _flags(flow, outbound=False)
        opens = protocol != ICMP
        expected = self.model.inbound(protocol, external, remote, self.driver.now, opens=opens)
        seen = self._enter(Side.WAN, protocol, remote, external, flags)
        self.tally["in" if expected else "kept out"] += 1
        assert (seen is not None) == (expected is not None)
        if seen is None or expected is None:
            return
        binding, flow = expected
        assert seen.destination_endpoint == binding.internal
        assert seen.source == remote.address
        assert protocol == ICMP or seen.source_endpoint == remote
        if not flow.outside and flow.may_start:
            flow.used_at = self._counts_as_used_at(protocol, external, remote)
            assert flow.used_at in flow.may_start
        flow.outside = True
        self.externals.append((protocol, external))

    def _counts_as_used_at(self, protocol: int, external: Endpoint, remote: Endpoint) -> float:
        return next(
            session.active_at()
            for session in self.driver.forwarder.sessions()
            if (session.mapping.protocol, session.mapping.external) == (protocol, external)
            and session.remote == remote
        )

    def _flow_at(self, protocol: int, external: Endpoint, remote: Endpoint) -> Flow | None:
        for binding in self.model.bindings:
            here = (binding.protocol, binding.external) == (protocol, external)
            if here and remote in binding.flows:
                return binding.flows[remote]
        return None

    def _enter(
        self, side: Side, protocol: int, source: Endpoint, destination: Endpoint, flags: int
    ) -> Seen | None:
        recipe = Recipe(flags=flags, icmp_type=ECHO_REPLY) if side else Recipe(flags=flags)
        verdict, buffer = self.driver.enter(side, recipe.frame(protocol, source, destination))
        self.driver.forwarder.take_effects()
        if verdict is not (Verdict.TO_LAN if side else Verdict.TO_WAN):
            return None
        seen = Seen.of(buffer[VNET : len(buffer) - SLACK])
        assert seen.transport_right
        assert seen.ttl == PLAIN.ttl - 1
        return seen


def _flags(flow: Flow | None, *, outbound: bool) -> int:
    """Return what a TCP of either end would send now: connections open by the book."""
    if flow is None:
        return SYN
    if flow.established:
        return ACK
    if outbound:
        return SYN | ACK if flow.opened_outside else SYN
    return ACK if flow.opened_outside else SYN | ACK


@pytest.mark.parametrize("filtering", FilteringBehavior)
@pytest.mark.parametrize("mapping", MappingBehavior)
def test_nat_does_what_the_model_says(
    mapping: MappingBehavior, filtering: FilteringBehavior
) -> None:
    tally: Counter[str] = Counter()
    behaviour = {"mapping": mapping, "filtering": filtering, "tally": tally}
    run_state_machine_as_test(type("Behaviour", (Nat,), behaviour), settings=budget(20, steps=40))
    assert min(tally[what] for what in ("new", "kept", "in", "kept out")) > 20, tally
