"""What holds the line, against a list in which every flow is asked at every moment."""

from collections import Counter
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.link import holds as holds_module
from router.link.holds import RECHECK_S, UNANSWERED_S, Holds
from router.link.policy import EVERYTHING_ELSE
from tests.properties.profiles import budget

HOSTS = (1, 2)


@dataclass(eq=False)
class Talk:
    """A flow and what it was taken with; `taken` is whether the model says that it holds."""

    number: int
    host: int
    opened_at: float
    last: float
    hold_s: float = 0.0
    answered: bool = False
    is_open: bool = True
    taken: bool = False

    def active_at(self) -> float:
        return self.last

    def label(self) -> str:
        return str(self.number)

    def holds(self, now: float) -> bool:
        """Whether it holds at this instant, by the book."""
        if not self.answered:
            return now < self.opened_at + UNANSWERED_S and now < self.opened_at + self.hold_s
        if self.hold_s == inf:
            return self.is_open
        return now < self.last + self.hold_s


class Step(NamedTuple):
    """Something happens to a flow, or time passes."""

    what: str
    which: int
    seconds: float
    hold_s: float


_whats = st.sampled_from(["open", "open", "send", "send", "answer", "close", "wait", "wait"])
_seconds = st.sampled_from([0.0, 0.5, 5.0, 29.5, 30.0, 60.0, 180.0])
_hold_s = st.sampled_from([0.0, 5.0, 30.0, 180.0, inf])
_steps = st.builds(Step, _whats, st.integers(0, 20), _seconds, _hold_s)
_walks = st.lists(_steps, min_size=40, max_size=80)


class Line:
    """Does each step with `Holds` and with the list."""

    def __init__(self, tally: Counter[str]) -> None:
        self.tally = tally
        self.line = Holds()
        self.flows: list[Talk] = []
        self.now = 100.0

    def take(self, step: Step) -> None:
        match step.what:
            case "open":
                number = len(self.flows)
                flow = Talk(number, HOSTS[number % 2], self.now, self.now, step.hold_s)
                self.flows.append(flow)
                self._pass(flow)
            case "wait":
                self._wait(step.seconds)
            case _ if self.flows:
                flow = self.flows[step.which % len(self.flows)]
                flow.answered |= step.what == "answer"
                flow.is_open &= step.what != "close"
                if flow.is_open:
                    flow.last = self.now
                    self._pass(flow)

    def _pass(self, flow: Talk) -> None:
        self.line.take(flow, EVERYTHING_ELSE, flow.hold_s, self.now)
        flow.taken |= flow.holds(self.now)
        self.tally["held" if flow.taken else "not held"] += 1

    def _wait(self, seconds: float) -> None:
        then = self.now + seconds
        while (due := self.line.next_deadline()) is not None and due <= then:
            self.now = max(self.now, due)
            self._expire()
        self.now = then
        self._expire()

    def _expire(self) -> None:
        for flow in self.line.expire(self.now):
            assert isinstance(flow, Talk)
            assert flow.taken
            assert not flow.holds(self.now)
            flow.taken = False
            self.tally["lapsed"] += 1

    def check(self) -> None:
        for flow in self.flows:
            assert self.line.is_held(flow) is flow.taken, flow
            if flow.taken and not (flow.hold_s == inf and not flow.is_open):
                assert flow.holds(self.now), flow
        for host in HOSTS:
            held = sum(flow.taken for flow in self.flows if flow.host == host)
            assert self.line.count_of(host) == held
        rows = [row.holds_s for row in self.line.rows(self.now, "isp", str)]
        assert len(self.line) == len(rows)
        assert rows == sorted(rows, reverse=True)
        due = self.line.next_deadline()
        assert (due is None) is (not rows)
        assert due is None or due <= self.now + max(RECHECK_S, *rows)


@pytest.mark.parametrize("at_once", [1, 1000])
def test_a_flow_holds_exactly_as_long_as_the_book_says(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holds_module, "AT_ONCE", at_once)
    tally: Counter[str] = Counter()

    @given(_walks)
    @budget(60)
    def walks(walk: list[Step]) -> None:
        line = Line(tally)
        for step in walk:
            line.take(step)
            while (due := line.line.next_deadline()) is not None and due <= line.now:
                line._expire()
            line.check()

    walks()
    assert min(tally[what] for what in ("held", "not held", "lapsed")) > 100, tally
