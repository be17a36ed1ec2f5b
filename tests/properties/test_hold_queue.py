"""The hold queue against a list that is searched from end to end."""

from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.link import hold_queue
from router.link.hold_queue import Held, HoldQueue
from router.link.types import HoldLimits
from tests.lab.packets import VNET_LENGTH, tcp, udp
from tests.properties.profiles import budget

AGE_S = 60.0
HOSTS = range(1, 5)


class Recipe(NamedTuple):
    """A packet: `kind`, `host`, `what` and `size` tell it from others, `twist` its copies."""

    kind: str
    host: int
    what: int
    size: int
    twist: int

    @property
    def original(self) -> "Recipe":
        """What it and its copies have in common."""
        return self._replace(twist=0, size=0 if self.kind == "syn" else self.size)

    @lru_cache  # noqa: B019 - there are some hundreds of them
    def frame(self) -> bytes:
        way = f"10.0.0.{self.host}:1000 > 198.51.100.10"
        body = bytes([self.what]) * self.size
        if self.kind == "syn":
            options = [("MSS", 1460)] * (self.twist + self.size // 200)
            return tcp(f"{way}:80 S", seq=self.what, tcp_options=options)
        if self.kind == "question":
            return udp(f"{way}:53", self.twist.to_bytes(2) + body)
        return udp(f"{way}:9", body, id=self.twist)


class Flood(NamedTuple):
    """Packets of a host that are all different."""

    host: int
    first: int
    size: int


class Pause(NamedTuple):
    """Seconds in which nothing comes."""

    seconds: float


class Up(NamedTuple):
    """The line is up."""


Step = Recipe | Flood | Pause | Up

_hosts = st.sampled_from(HOSTS)
_recipes = st.builds(
    Recipe,
    kind=st.sampled_from(["syn", "question", "datagram"]),
    host=_hosts,
    what=st.integers(0, 1),
    size=st.sampled_from([10, 100, 600, 1500]),
    twist=st.integers(0, 2),
)
_floods = st.builds(Flood, _hosts, st.integers(2, 20), st.sampled_from([10, 200]))
_pauses = st.builds(Pause, st.sampled_from([0.5, 10.0, 20.0, 60.0]))
_steps = st.sampled_from([_recipes] * 12 + [_floods, _pauses, _pauses, st.just(Up())])
_walks = st.lists(_steps.flatmap(lambda step: step), min_size=40, max_size=60)
_limits = st.builds(
    HoldLimits, st.integers(2, 8), st.sampled_from([700, 2000, 100_000]), st.just(AGE_S)
)


@dataclass
class Entry:
    """A packet that waits, as the model keeps it."""

    original: Recipe
    frame: bytes
    at: float
    copies: int = 0

    @property
    def size(self) -> int:
        return len(self.frame) - VNET_LENGTH

    def held(self) -> Held:
        return Held(self.frame, self.original.host, self.at, self.copies)


class Waiting:
    """Does each step with a queue and with the list, and compares what comes out."""

    def __init__(self, limits: HoldLimits, tally: Counter[str]) -> None:
        self.limits = limits
        self.tally = tally
        self.queue = HoldQueue(limits)
        self.entries: list[Entry] = []
        self.now = 100.0

    def take(self, step: Step) -> None:
        match step:
            case Recipe():
                gone = self.queue.put(step.frame(), step.host, self.now)
                assert gone == [entry.held() for entry in self._put(step)]
            case Flood(host, first, size):
                for what in range(first, first + 6):
                    self.take(Recipe("datagram", host, what, size, 0))
            case Pause(seconds):
                self.now += seconds
                late = [entry for entry in self.entries if entry.at + AGE_S <= self.now]
                self.entries = [entry for entry in self.entries if entry.at + AGE_S > self.now]
                assert self.queue.expire(self.now) == [entry.held() for entry in late]
                self.tally["late"] += len(late)
            case Up():
                assert self.queue.take_all() == [entry.held() for entry in self.entries]
                self.tally["taken"] += len(self.entries)
                self.entries = []

    def check(self) -> None:
        assert len(self.queue) == len(self.entries) <= self.limits.packets
        assert self.queue.held_bytes == sum(e.size for e in self.entries) <= self.limits.bytes
        deadlines = [entry.at + AGE_S for entry in self.entries]
        assert self.queue.next_deadline() == min(deadlines, default=None)
        assert len(self.queue._ranks) <= 2 * len(HOSTS) + hold_queue._STALE_RANKS

    # The model

    def _put(self, recipe: Recipe) -> list[Entry]:
        fresh = Entry(recipe.original, recipe.frame(), self.now)
        if fresh.size > self.limits.bytes:
            self.tally["too large"] += 1
            return [fresh]
        for entry in self.entries:
            if entry.original == fresh.original:
                entry.frame, entry.copies = fresh.frame, entry.copies + 1
                self.tally["copies"] += 1
                break
        else:
            self.entries.append(fresh)
        return self._push_out()

    def _push_out(self) -> list[Entry]:
        gone: list[Entry] = []
        limits = self.limits
        while (
            len(self.entries) > limits.packets or sum(e.size for e in self.entries) > limits.bytes
        ):
            most = max(map(self._holds, HOSTS))
            hosts = {entry.original.host for entry in self.entries}
            assert most * len(hosts) > 1, "nobody with less than his share loses anything"
            greediest = {host for host in hosts if self._holds(host) == most}
            victim = next(e for e in self.entries if e.original.host in greediest)
            self.entries.remove(victim)
            gone.append(victim)
        self.tally["pushed out"] += len(gone)
        self.tally["several pushed out"] += len(gone) > 1
        return gone

    def _holds(self, host: int) -> Fraction:
        sizes = [entry.size for entry in self.entries if entry.original.host == host]
        packets, octets = Fraction(len(sizes)), Fraction(sum(sizes))
        return max(packets / self.limits.packets, octets / self.limits.bytes)


@pytest.mark.parametrize("stale", [0, 1024])
def test_the_queue_does_what_the_list_does(stale: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hold_queue, "_STALE_RANKS", stale)
    tally: Counter[str] = Counter()

    @given(limits=_limits, walk=_walks)
    @budget(60)
    def walks(limits: HoldLimits, walk: list[Step]) -> None:
        waiting = Waiting(limits, tally)
        for step in walk:
            waiting.take(step)
            waiting.check()

    walks()
    seen = ("copies", "late", "taken", "pushed out", "several pushed out", "too large")
    assert min(tally[what] for what in seen) > 20, tally
