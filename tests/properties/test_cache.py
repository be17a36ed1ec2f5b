"""The rewrite cache changes nothing but speed: two forwarders, one without it, agree on all."""

from collections import Counter
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import example, given, target
from hypothesis import strategies as st

from router.devices import KernelHops, Side
from router.nat.types import FilteringBehavior, MappingBehavior
from tests.properties.frames import Recipe
from tests.properties.profiles import budget
from tests.properties.sites import MASQUERADE, ONE_TO_ONE, SITES, Site
from tests.properties.walks import (
    ODDITIES,
    Again,
    Driver,
    Line,
    Step,
    Wait,
    changing_walks,
    opening,
    steady_walks,
)

_HITS_WANTED = 0.1  # of all packets; a property about misses would say nothing


@st.composite
def sites(draw: st.DrawFn, of: tuple[Site, ...] = SITES) -> Site:
    site = draw(st.sampled_from(of))
    nat = replace(
        site.nat,
        mapping=draw(st.sampled_from(MappingBehavior)),
        filtering=draw(st.sampled_from(FilteringBehavior)),
        inbound_refresh=draw(st.booleans()),
    )
    return replace(
        site,
        nat=nat,
        lan_mtu=draw(st.sampled_from((1500, 576))),
        line_mtu=draw(st.sampled_from((1500, 1280, 576))),
        hops=KernelHops(draw(st.integers(0, 1)), draw(st.integers(0, 1))),
    )


class Twins:
    """Two forwarders with one life: `cached` and `plain`."""

    def __init__(self, site: Site) -> None:
        self.cached, self.plain = Driver(site), Driver(site, fastpath=False)
        self.tally: Counter[str] = Counter()

    def take(self, step: Step) -> None:
        hits = self.cached.hits
        fast, slow = self.cached.take(step), self.plain.take(step)
        assert fast == slow
        assert not len(self.plain.forwarder.cache)
        self.tally["packets"] += fast[0] is not None
        self.tally["hits"] += self.cached.hits - hits
        now = self.cached.now
        for view in ("sessions", "mappings"):
            rows, expected = (
                [thing.row(now) for thing in getattr(driver.forwarder, view)()]
                for driver in (self.cached, self.plain)
            )
            assert rows == expected


def compare(site: Site, walk: list[Step], tally: Counter[str]) -> None:
    twins = Twins(site)
    for step in (*opening(), *walk):
        twins.take(step)
    tally.update(twins.tally)
    target(float(twins.tally["hits"]))


_OPEN_FILTER = replace(
    MASQUERADE, nat=replace(MASQUERADE.nat, filtering=FilteringBehavior.ENDPOINT_INDEPENDENT)
)
_ZERO_BEHIND = Recipe(checksum="zero behind")
_STRANGER = Again(Side.WAN, 0, stranger=(2, 53))


@pytest.mark.parametrize("scene", ["steady", "changing"])
def test_cache_on_and_off_cannot_be_told_apart(scene: str) -> None:
    tally: Counter[str] = Counter()
    walks = steady_walks if scene == "steady" else changing_walks

    @budget(70)
    @given(sites(), walks)
    @example(_OPEN_FILTER, [Wait(20.0), Again(Side.LAN, 0), Wait(5.0), _STRANGER])
    @example(MASQUERADE, [Again(side, 0, _ZERO_BEHIND) for side in Side])
    @example(ONE_TO_ONE, [Line(None), Again(Side.WAN, 0), Again(Side.LAN, 0)])
    def run(site: Site, walk: list[Step]) -> None:
        compare(site, walk, tally)

    run()
    assert tally["hits"] > _HITS_WANTED * tally["packets"], tally


@pytest.mark.slow
@pytest.mark.parametrize("field", ODDITIES)
def test_each_oddity_alone_in_each_cached_session(field: str) -> None:
    small = replace(MASQUERADE, line_mtu=1280)
    for value in ODDITIES[field]:
        for session, side in product(range(4), Side):
            twins = Twins(small)
            for step in opening():
                twins.take(step)
            twins.take(Again(side, session, Recipe(**{field: value})))
            twins.take(Again(side, session))


def test_what_the_opening_leaves_is_cached() -> None:
    twins = Twins(SITES[0])
    for step in opening():
        twins.take(step)
    assert len(twins.cached.forwarder.cache) == 8
