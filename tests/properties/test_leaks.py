"""Outside sees external addresses only, inside only what a session or a rule lets in."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from router.devices import Side
from router.nat.types import (
    DefaultHost,
    FilteringBehavior,
    ForwardRule,
    Limits,
    MappingBehavior,
    UnsolicitedSyn,
)
from router.reasons import Reason
from router.wire.address import Endpoint, parse_address
from tests.properties.footprint import footprint
from tests.properties.frames import GRE, ICMP, MORE_FRAGMENTS, PLAIN, SYN, TCP, UDP, VNET, Seen
from tests.properties.profiles import budget
from tests.properties.sites import LINE, MASQUERADE, OTHER_LINE, REMOTES, SITES, Site
from tests.properties.walks import (
    Driver,
    Line,
    New,
    Raw,
    Step,
    Wait,
    agains,
    errors,
    lines,
    news,
    opening,
    raws,
    reloads,
    strangers,
    waits,
    walks,
)

_ERRORS = (3, 4, 5, 11, 12)
_LIMITS = Limits(
    sessions=9,
    sessions_per_host=4,
    unsolicited_syns=3,
    fragmented_datagrams=4,
    fragment_bytes=2000,
    icmp_errors_per_second=20,
)
# Elements and bytes in all containers that state of these limits may take: 2000 bytes of
# fragments, 100 elements and bytes a session, and what is there from the start.
_MOST_ELEMENTS = 4000

hostile_walks = walks(
    agains, agains, news, news, strangers, errors, errors, raws, raws, waits, lines, reloads
)


@st.composite
def sites(draw: st.DrawFn) -> Site:
    site = draw(st.sampled_from(SITES))
    nat = replace(
        site.nat,
        mapping=draw(st.sampled_from(MappingBehavior)),
        filtering=draw(st.sampled_from(FilteringBehavior)),
        unsolicited_syn=draw(st.sampled_from(UnsolicitedSyn)),
        limits=_LIMITS,
    )
    return replace(site, nat=nat, line_mtu=draw(st.sampled_from((1500, 576))))


class Watch:
    """A forwarder with a guard on either side."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.driver = Driver(site)
        self.tally: Counter[str] = Counter()

    def take(self, step: Step) -> None:
        inside_before = self._inside()
        refused = self.driver.forwarder.counters[Reason.LIMIT]
        for side, frame in self.driver.emitted(step):
            seen = Seen.of(frame[VNET:])
            if side is Side.WAN:
                self._guard_outside(seen)
            elif getattr(step, "side", None) is Side.WAN:
                self._guard_inside(seen, inside_before)
        self._guard_memory(refused=self.driver.forwarder.counters[Reason.LIMIT] > refused)

    def _guard_outside(self, seen: Seen) -> None:
        self.tally["out"] += 1
        assert self.driver.line is not None
        if self.site.name == "masquerade":
            assert seen.source == self.driver.line
        else:
            assert seen.source == self.driver.line or self.site.is_external(seen.source)
        for quote in _quotes(seen):
            self.tally["quotes out"] += 1
            assert not self.site.is_private(quote.source)
            assert not self.site.is_private(quote.destination)

    def _guard_inside(self, seen: Seen, before: set[tuple[int, Endpoint]]) -> None:
        self.tally["in"] += 1
        assert not any(seen.source in network for network in self.site.lan)
        assert seen.source != self.driver.line
        quotes = _quotes(seen)
        protocol, internal = seen.protocol, seen.destination_endpoint
        if quotes:
            self.tally["quotes in"] += 1
            protocol, internal = quotes[0].protocol, quotes[0].source_endpoint
            assert internal.address == seen.destination
        elif seen.ports is None:
            internals = {(p, host.address) for p, host in self._inside()}
            assert (protocol, seen.destination) in internals
            return
        assert (protocol, internal) in self._inside()
        assert (protocol, internal) in before or self._is_forwarded(protocol, internal)

    def _is_forwarded(self, protocol: int, internal: Endpoint) -> bool:
        return any(
            rule.internal_address == internal.address
            and (
                isinstance(rule, DefaultHost)
                or (rule.protocol == protocol and _leads_to_port(rule, internal.port))
            )
            for rule in self.driver.rules
        )

    def _inside(self) -> set[tuple[int, Endpoint]]:
        return {(s.mapping.protocol, s.mapping.internal) for s in self.driver.forwarder.sessions()}

    def _guard_memory(self, *, refused: bool) -> None:
        forwarder = self.driver.forwarder
        per_host = Counter(s.mapping.internal.address for s in forwarder.sessions())
        most = max(per_host.values(), default=0)
        assert forwarder.session_count <= _LIMITS.sessions
        assert most <= _LIMITS.sessions_per_host
        if refused:
            self.tally["refused"] += 1
            full = forwarder.session_count == _LIMITS.sessions
            assert full or most == _LIMITS.sessions_per_host
        assert footprint(forwarder).total() < _MOST_ELEMENTS


def _leads_to_port(rule: ForwardRule, port: int) -> bool:
    return rule.internal_port <= port <= rule.internal_port + rule.last_port - rule.first_port


def _quotes(seen: Seen) -> list[Seen]:
    """Return the packet an ICMP error quotes, and the one that one quotes if it is an error."""
    if seen.protocol != ICMP or len(seen.payload) < 8 + 20 or seen.payload[0] not in _ERRORS:
        return []
    if seen.payload[8] >> 4 != 4:
        return []
    quote = Seen.of(seen.payload[8:])
    return [quote, *_quotes(quote)]


_FIRST, _LATER = replace(PLAIN, flags_offset=MORE_FRAGMENTS), replace(PLAIN, flags_offset=2)


def _fragments_across_a_new_address(protocol: int) -> list[Step]:
    ends = (Side.LAN, protocol, 0, 0, (4000, 53))
    return [New(*ends, _FIRST), Line(OTHER_LINE), New(*ends, _LATER), Wait(30.0)]


def _syn_across(address: int | None) -> list[Step]:
    """A SYN nobody asked for is held while the line changes."""
    syn = New(Side.WAN, TCP, 0, 0, (9, 9), replace(PLAIN, flags=SYN))
    return [syn, Line(address), Wait(6.0)]


_ANSWERING = replace(
    MASQUERADE, nat=replace(MASQUERADE.nat, unsolicited_syn=UnsolicitedSyn.UNREACHABLE)
)


@pytest.mark.slow
def test_nothing_leaks_and_nothing_grows() -> None:
    tally: Counter[str] = Counter()

    @budget(90)
    @given(sites(), hostile_walks)
    @example(MASQUERADE, _fragments_across_a_new_address(GRE))
    @example(MASQUERADE, _fragments_across_a_new_address(UDP))
    @example(_ANSWERING, _syn_across(OTHER_LINE))
    @example(_ANSWERING, _syn_across(None))
    def run(site: Site, walk: list[Step]) -> None:
        watch = Watch(site)
        for step in (*opening(), *walk):
            watch.take(step)
        tally.update(watch.tally)

    run()
    wanted = {"out": 300, "in": 100, "quotes out": 3, "quotes in": 3}
    assert all(tally[what] >= number for what, number in wanted.items()), tally


@pytest.mark.parametrize("side", Side)
def test_floods_leave_little_behind(side: Side) -> None:
    watch = Watch(replace(_ANSWERING, nat=replace(_ANSWERING.nat, limits=_LIMITS)))
    lone, syn = replace(_LATER, size=400), replace(PLAIN, flags=SYN)
    for number in range(100):
        watch.take(New(side, UDP, 0, 0, (9, 9), lone))
        watch.take(New(side, UDP, 0, 0, (9, 9), replace(_FIRST, identification=number)))
        watch.take(New(side, UDP, 0, 0, (9, 9), replace(lone, identification=number)))
        watch.take(New(side, TCP, 0, 0, (2000 + number, 9), syn))
        watch.take(New(side, UDP, 0, 0, (2000 + number, 9)))
    assert side is Side.WAN or watch.tally["refused"]


_NOWHERE = tuple(
    map(parse_address, ("0.0.0.1", "127.0.0.1", "169.254.1.1", "224.0.0.1", "240.0.0.1"))
)
_INSIDE = (*MASQUERADE.hosts, MASQUERADE.lan[0].address + 1, MASQUERADE.lan[0].broadcast)


@pytest.mark.parametrize(
    ("side", "sources"),
    [(Side.LAN, (*_NOWHERE, *REMOTES, LINE)), (Side.WAN, (*_NOWHERE, *_INSIDE, LINE))],
)
def test_sources_of_another_side_get_nowhere(side: Side, sources: tuple[int, ...]) -> None:
    driver = Driver(MASQUERADE, rules=2)  # with a default host, who would get everything
    target = Endpoint(LINE if side is Side.WAN else REMOTES[0], 777)
    for source in sources:
        packet = PLAIN.frame(UDP, Endpoint(source, 9), target)[VNET:]
        assert driver.emitted(Raw(side, packet)) == []
    assert driver.forwarder.session_count == 0
