"""Tables stay consistent on every walk, and nothing is left when everything has expired."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from router.devices import Side, Verdict
from router.nat.table import Session
from router.nat.types import ForwardRule
from router.reasons import Reason
from router.wire.address import Endpoint
from tests.properties.footprint import footprint
from tests.properties.frames import ECHO_REPLY, GRE, ICMP, PLAIN, TCP, UDP, VNET, Seen
from tests.properties.profiles import budget
from tests.properties.sites import LINE, MASQUERADE, REMOTES, SITES, Site
from tests.properties.walks import (
    SLACK,
    Driver,
    Line,
    New,
    Reload,
    Step,
    changing_walks,
    opening,
)

_LONG = 100_000.0  # seconds, longer than every timer of a site together
_FEW_PORTS = range(3998, 4004)  # two of them are forwarded in one of the rule sets
_FROM = 30000  # internal ports no walk uses

_RECIPES = (PLAIN, replace(PLAIN, icmp_type=ECHO_REPLY))  # from either side

sites = st.sampled_from(SITES)


def walked(site: Site, walk: list[Step]) -> Driver:
    driver = Driver(site)
    for step in (*opening(), *walk):
        driver.take(step)
    return driver


def check_views(driver: Driver) -> None:
    forwarder = driver.forwarder
    sessions, mappings = list(forwarder.sessions()), list(forwarder.mappings())
    inside = {(s.mapping.protocol, s.mapping.internal, s.remote) for s in sessions}
    outside = {(s.mapping.protocol, s.mapping.external, s.remote) for s in sessions}
    assert forwarder.session_count == len(sessions) == len(inside) == len(outside)
    assert forwarder.mapping_count == len(mappings) == len(set(mappings))
    assert Counter(id(s.mapping) for s in sessions) == {
        id(m): m.row(driver.now).sessions for m in mappings
    }
    assert len(forwarder.cache) <= 2 * len(sessions)
    assert (forwarder.next_deadline() is not None) or not sessions


def overloaded(driver: Driver) -> set[tuple[int, Endpoint]]:
    """Return the external endpoints that several mappings share."""
    mappings = [m for m in driver.forwarder.mappings() if m.external.port]
    counts = Counter((m.protocol, m.external) for m in mappings)
    return {end for end, count in counts.items() if count > 1}


def is_forwarded(driver: Driver, protocol: int, port: int) -> bool:
    return any(
        isinstance(rule, ForwardRule)
        and rule.protocol == protocol
        and rule.first_port <= port <= rule.last_port
        for rule in driver.rules
    )


def check_both_ways(driver: Driver, session: Session) -> None:
    """Send a packet each way, and see it come out at the other end."""
    mapping, remote = session.mapping, session.remote
    for side, way, expected in (
        (Side.LAN, (mapping.internal, remote), (mapping.external, remote)),
        (Side.WAN, (remote, mapping.external), (remote, mapping.internal)),
    ):
        verdict, buffer = driver.enter(side, _RECIPES[side].frame(mapping.protocol, *way))
        assert verdict is (Verdict.TO_LAN if side else Verdict.TO_WAN)
        seen = Seen.of(buffer[VNET : len(buffer) - SLACK])
        assert (seen.source, seen.destination) == tuple(end.address for end in expected)
        if mapping.protocol in (TCP, UDP):
            assert seen.ports == tuple(end.port for end in expected)
        if mapping.protocol == ICMP:
            assert seen.ports == ((mapping.internal if side else mapping.external).port,) * 2
        assert mapping.protocol == GRE or seen.transport_right


_RULE_TAKEN_BACK = [
    Reload(1, reset=False),
    New(Side.WAN, UDP, 0, 0, (4001, 9)),
    Reload(0, reset=False),
    New(Side.LAN, UDP, 2, 1, (4001, 9)),
]


@budget(50)
@given(sites, changing_walks)
@example(MASQUERADE, _RULE_TAKEN_BACK)
def test_views_and_indexes_agree(site: Site, walk: list[Step]) -> None:
    driver = Driver(site)
    for step in (*opening(), *walk):
        before = overloaded(driver)
        driver.take(step)
        check_views(driver)
        for protocol, end in overloaded(driver) - before:
            # Only by a rule that was put over a live mapping (RFC 4787 REQ-3).
            assert is_forwarded(driver, protocol, end.port)
    if driver.line is None:
        return
    for session in list(driver.forwarder.sessions()):
        if session.remote.address in REMOTES:
            check_both_ways(driver, session)


@budget(50)
@given(sites, changing_walks)
def test_nothing_is_left_when_everything_has_expired(site: Site, walk: list[Step]) -> None:
    driver = walked(site, walk)
    driver.take(Line(LINE))
    driver.wait(_LONG)
    forwarder = driver.forwarder
    assert (forwarder.session_count, forwarder.mapping_count, len(forwarder.cache)) == (0, 0, 0)
    assert forwarder.next_deadline() is None
    driver.wait(_LONG)  # the quarantine of what has just expired
    # What a few new sessions take shows that nothing rests in the pools either.
    fresh = Driver(site)
    fresh.forwarder.replace_forwards(driver.rules, reset_affected=False, now=fresh.now)
    assert _after_opening(driver) == _after_opening(fresh)


def _after_opening(driver: Driver) -> dict[str, int]:
    low = [New(Side.LAN, protocol, 0, 0, (7, 53)) for protocol in (UDP, TCP)]  # a span of its own
    for step in (
        *opening(),
        *low,
        New(Side.LAN, ICMP, 0, 0, (5, 5)),
        New(Side.LAN, GRE, 0, 0, (0, 0)),
    ):
        driver.take(step)
    bound = driver.site.name == "one-to-one"  # hosts keep their addresses, at most a block of them
    found = footprint(driver.forwarder)
    return {
        path: count
        for path, count in found.items()
        if not (bound and "addressing" in path) and "._lapsed" not in path  # what held it last
    }


@pytest.mark.parametrize("protocol", [UDP, TCP])
def test_every_port_is_free_used_or_lost(protocol: int) -> None:
    few = (_FEW_PORTS.start, _FEW_PORTS.stop - 1)
    site = replace(MASQUERADE, nat=replace(MASQUERADE.nat, dynamic_ports=few))

    @budget(30)
    @given(changing_walks)
    def run(walk: list[Step]) -> None:
        driver = walked(site, walk)
        driver.take(Line(LINE))
        for rules in (1, 0):
            driver.take(Reload(rules, reset=False))
            left = set(_FEW_PORTS) - _taken(driver, protocol)
            assert _exhaust(driver, protocol) == len(left)
        driver.wait(_LONG)
        assert _exhaust(driver, protocol) == len(_FEW_PORTS)

    run()


def _taken(driver: Driver, protocol: int) -> set[int]:
    mappings = driver.forwarder.mappings()
    used = {(m.protocol, m.external.port) for m in mappings}
    return {
        port
        for port in _FEW_PORTS
        if (protocol, port) in used or is_forwarded(driver, protocol, port)
    }


def _exhaust(driver: Driver, protocol: int) -> int:
    """Open new mappings until there is no port; return how many there were."""
    first = _FROM + driver.forwarder.session_count
    for number in range(len(_FEW_PORTS) + 1):
        host = Endpoint(driver.site.hosts[0], first + number)
        recipe = replace(PLAIN, flags=2)
        frame = recipe.frame(protocol, host, Endpoint(REMOTES[0], 9))
        driver.enter(Side.LAN, frame)
        driver.forwarder.take_effects()
        if driver.forwarder.last_reason is Reason.NO_PORT:
            return number
    raise AssertionError("more ports than there are")
