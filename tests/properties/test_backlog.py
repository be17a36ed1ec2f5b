"""The backlog against what anybody may see: each packet goes in, and comes out or is counted."""

from collections import Counter, defaultdict, deque
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.ppp.backlog import Backlog, Cause
from tests.lab.slowline import FULL, flow_of, number_of, packet
from tests.properties.profiles import budget

FLOWS = "abcdef"
LEAST = 33  # octets of a packet with its number


class Put(NamedTuple):
    """Some packets of a flow come."""

    flow: str
    size: int
    count: int


class Take(NamedTuple):
    """The line takes some packets, and that takes it some seconds each."""

    count: int
    packet_s: float


class Pause(NamedTuple):
    """Nothing happens for some seconds."""

    seconds: float


class Down(NamedTuple):
    """The line goes down."""


Step = Put | Take | Pause | Down

_puts = st.builds(
    Put, st.sampled_from(FLOWS), st.sampled_from([LEAST, 300, FULL]), st.integers(1, 12)
)
_takes = st.builds(Take, st.integers(1, 12), st.sampled_from([0.0, 0.001, 0.36]))
_pauses = st.builds(Pause, st.sampled_from([0.01, 0.5, 5.0]))
_steps = st.sampled_from([_puts] * 6 + [_takes] * 6 + [_pauses, st.just(Down())])
_walks = st.lists(_steps.flatmap(lambda step: step), min_size=40, max_size=60)
_limits = st.tuples(st.sampled_from([3, 12, 1000]), st.sampled_from([4000, 20_000, 1 << 20]))


class Watched:
    """Does each step, and keeps the books of it."""

    def __init__(self, limits: tuple[int, int], tally: Counter[str]) -> None:
        self.limits = limits
        self.tally = tally
        self.backlog = Backlog(*limits)
        self.now = 100.0
        self.numbers = 0
        self.put = 0
        self.taken = 0
        self.waiting: dict[str, deque[int]] = defaultdict(deque)  # some may have been dropped

    def step(self, step: Step) -> None:
        match step:
            case Put(flow, size, count):
                for _ in range(count):
                    self._put(flow, size)
            case Take(count, packet_s):
                for _ in range(count):
                    self._take()
                    self.now += packet_s
            case Pause(seconds):
                self.now += seconds
            case Down():
                waiting = len(self.backlog)
                ended = self.backlog.dropped[Cause.ENDED]
                self.backlog.clear()
                assert self.backlog.dropped[Cause.ENDED] - ended == waiting
                self.waiting.clear()
                self.tally["down with some"] += waiting > 0

    def check(self) -> None:
        backlog = self.backlog
        dropped = sum(backlog.dropped.values())
        assert self.put == self.taken + dropped + len(backlog)
        assert len(backlog) <= self.limits[0]
        assert backlog.octets <= self.limits[1]
        assert (backlog.octets == 0) == (len(backlog) == 0)
        assert sum(len(flow.packets) for flow in backlog._flows.values()) == len(backlog)
        assert sum(flow.octets for flow in backlog._flows.values()) == backlog.octets
        assert len(backlog._new) + len(backlog._old) == len(backlog._flows) <= len(FLOWS)

    def _put(self, flow: str, size: int) -> None:
        self.numbers += 1
        self.put += 1
        full, waiting = self.backlog.dropped[Cause.FULL], len(self.backlog)
        self.backlog.put(packet(flow, self.numbers, size), self.now)
        gone = self.backlog.dropped[Cause.FULL] - full
        if len(self.backlog) == waiting + 1 - gone:
            self.waiting[flow].append(self.numbers)
        self.tally["full"] += gone

    def _take(self) -> None:
        before, waiting = self.backlog.dropped.copy(), len(self.backlog)
        one = self.backlog.take(self.now)
        gone = self.backlog.dropped - before
        assert (one is None) == (waiting == 0)
        assert set(gone) <= {Cause.DELAY, Cause.LATE}
        for cause in gone:
            self.tally[cause.value] += gone[cause]
        if one is not None:
            self.taken += 1
            self._judge(one, sum(gone.values()))

    def _judge(self, one: bytes, dropped: int) -> None:
        """What is taken is what came first of its flow, but for what was dropped just now."""
        line, number = self.waiting[flow_of(one)], number_of(one)
        assert number in line, "taken twice, or out of order"
        skipped = line.index(number)
        assert skipped >= dropped
        for _ in range(skipped + 1):
            line.popleft()
        self.tally["taken"] += 1


def test_every_packet_is_taken_in_order_or_counted_once() -> None:
    tally: Counter[str] = Counter()

    @given(limits=_limits, walk=_walks)
    @budget(150)
    def walks(limits: tuple[int, int], walk: list[Step]) -> None:
        watched = Watched(limits, tally)
        for step in walk:
            watched.step(step)
            watched.check()
        watched.step(Take(len(watched.backlog) + 1, 0.0))
        watched.check()
        assert len(watched.backlog) == 0

    walks()
    seen = ("taken", "full", Cause.DELAY.value, Cause.LATE.value, "down with some")
    assert min(tally[what] for what in seen) > 20, tally


def test_the_last_packet_of_a_flow_is_taken_whatever_it_waited_for() -> None:
    tally: Counter[str] = Counter()

    @given(walk=_walks)
    @budget(100)
    def walks(walk: list[Step]) -> None:
        watched = Watched((1000, 1 << 20), tally)
        newest: dict[str, int] = {}
        for step in walk:
            watched.step(step)
            if isinstance(step, Put):
                newest[step.flow] = watched.numbers
            elif isinstance(step, Down):
                newest.clear()
        assert not watched.backlog.dropped[Cause.FULL]
        taken = set()
        while (one := watched.backlog.take(watched.now + 100)) is not None:
            taken.add(number_of(one))
        left = {flow: line[-1] for flow, line in watched.waiting.items() if line}
        assert set(left.values()) <= taken
        assert all(newest[flow] == number for flow, number in left.items())
        tally["left"] += len(left)

    walks()
    assert min(tally[what] for what in ("left", Cause.LATE.value)) > 20, tally


@pytest.mark.parametrize("limit", [1, 2, 7])
def test_whoever_holds_one_packet_keeps_it_when_there_is_no_room(limit: int) -> None:
    @given(script=st.text(FLOWS, min_size=1, max_size=60))
    @budget(60)
    def scripts(script: str) -> None:
        backlog, held = Backlog(limit_packets=limit), Counter[str]()
        for number, flow in enumerate(script):
            most = max(held.values(), default=0)
            if sum(held.values()) < limit:
                held[flow] += 1
            elif most > 1:
                fattest = next(flow for flow in held if held[flow] == most)
                held[fattest] -= 1
                held[flow] += 1
            backlog.put(packet(flow, number), 0.0)
        left = Counter[str]()
        while (one := backlog.take(0.0)) is not None:
            left[flow_of(one)] += 1
        assert sorted(left.values()) == sorted(count for count in held.values() if count)

    scripts()
