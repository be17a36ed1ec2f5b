"""What holds a line up: flows, each for so long after its last activity as its rule says.

Theory of operation. A line is idle when no flow holds it, not when no packet passes: scans from
outside, the tail of a connection and chatter pass without holding. Which flows hold, by which
rule, and for how long, is decided elsewhere and once; here is kept until when.

* An answered flow holds until `hold_s` after it was last active, whether or not it is still open:
  who has read a page will read the next. One that nobody has answered holds from its opening, for
  `UNANSWERED_S` at most, however often it is repeated: most likely there is nobody.
* A flow that is to hold for ever (the link's idle timeout is "never") holds while it is open. That
  it has been closed is noticed within `RECHECK_S`. One that is to hold for no time is not taken.
* Each flow has a deadline in a heap. Activity does not touch the heap: when the deadline comes the
  flow says when it will really lapse and is put back. Answers and activity only ever move that
  instant away, so no deadline is late, and none is ever stale: what leaves, leaves by its deadline,
  and everything at once by `clear`.
* A flow that has lapsed is forgotten. Taken again later, it is like a new one, but its activity is
  its own: an unanswered flow does not come back by being repeated.
* However many flows lapse together, `expire` deals with `AT_ONCE` of them and is due again, so that
  packets pass in between.
"""

import heapq
from collections.abc import Callable
from itertools import islice
from math import inf
from operator import itemgetter
from typing import NamedTuple, Protocol

from router.link.rows import HolderRow
from router.link.types import PolicyRule

__all__ = ["AT_ONCE", "MOST_ROWS", "RECHECK_S", "UNANSWERED_S", "Flow", "Holds"]

UNANSWERED_S = 30.0  # seconds: five SYNs of RFC 6298's timer, six tries of a DNS resolver
RECHECK_S = 60.0  # seconds: a line that is never idle can stand being told so late
AT_ONCE = 1000  # flows, about 2 ms
MOST_ROWS = 1000  # more than anybody reads, and no packet waits for their making: 2 ms


class Flow(Protocol):
    """A session as this module sees it; it is equal to no other one, and hashable."""

    @property
    def answered(self) -> bool:
        """Whether both ends have spoken; once true, it stays so."""
        ...

    @property
    def is_open(self) -> bool:
        """Whether packets may still pass in it; once false, it stays so."""
        ...

    @property
    def opened_at(self) -> float:
        """When its first packet came."""
        ...

    @property
    def host(self) -> int:
        """The address of its LAN host."""
        ...

    def active_at(self) -> float:
        """Return when a packet last passed that counts as activity; not before `opened_at`."""
        ...

    def label(self) -> str:
        """Return it in a few words."""
        ...


class _Hold(NamedTuple):
    flow: Flow
    rule: PolicyRule
    hold_s: float

    def lapses_at(self, now: float) -> float:
        """Return when the flow ceases to hold if nothing happens any more; inf for never."""
        flow = self.flow
        if not flow.answered:
            return flow.opened_at + min(self.hold_s, UNANSWERED_S)
        if self.hold_s < inf:
            return flow.active_at() + self.hold_s
        return inf if flow.is_open else now

    def __str__(self) -> str:
        return f"{self.flow.label()}, by {self.rule}"


class Holds:
    """The flows that hold one line."""

    def __init__(self) -> None:
        self._holds: dict[Flow, _Hold] = {}
        self._per_host: dict[int, int] = {}
        self._deadlines: list[tuple[float, int, _Hold]] = []
        self._serial = 0
        self._lapsed: _Hold | None = None
        self._lapsed_at = -inf

    def __len__(self) -> int:
        return len(self._holds)

    def take(self, flow: Flow, rule: PolicyRule, hold_s: float, now: float) -> None:
        """Let a flow hold the line for `hold_s` seconds after its activity, by a rule that holds.

        One that holds already goes on as it was taken; one that would have lapsed by now is not
        taken, so the flow must know of its activity before this does.
        """
        if flow in self._holds:
            return
        hold = _Hold(flow, rule, hold_s)
        deadline = hold.lapses_at(now)
        if deadline <= now:
            return
        self._holds[flow] = hold
        self._per_host[flow.host] = self._per_host.get(flow.host, 0) + 1
        self._push(hold, deadline, now)

    def is_held(self, flow: Flow) -> bool:
        """Whether the flow holds the line."""
        return flow in self._holds

    def count_of(self, host: int) -> int:
        """Return how many flows of a LAN host hold the line."""
        return self._per_host.get(host, 0)

    def expire(self, now: float) -> list[Flow]:
        """Forget the flows whose hold has lapsed, and return them."""
        lapsed: list[Flow] = []
        deadlines = self._deadlines
        for _ in range(min(AT_ONCE, len(deadlines))):
            if deadlines[0][0] > now:
                break
            hold = heapq.heappop(deadlines)[2]
            deadline = hold.lapses_at(now)
            if deadline > now:
                self._push(hold, deadline, now)
            else:
                self._forget(hold, deadline)
                lapsed.append(hold.flow)
        return lapsed

    def next_deadline(self) -> float | None:
        """Return when `expire` may have something to tell; None while nothing holds the line."""
        return self._deadlines[0][0] if self._deadlines else None

    def clear(self) -> None:
        """Forget every flow, and what held the line last."""
        self._holds.clear()
        self._per_host.clear()
        self._deadlines.clear()
        self._lapsed, self._lapsed_at = None, -inf

    @property
    def kept_by(self) -> str:
        """What holds the line, the newest of several, or else what held it last; "" for nothing."""
        newest = next(reversed(self._holds.values()), self._lapsed)
        return "" if newest is None else str(newest)

    def rows(self, now: float, link: str, name_of: Callable[[int], str]) -> tuple[HolderRow, ...]:
        """Return the flows that hold the line, the soonest to lapse last.

        Of many these are the `MOST_ROWS` newest. What holds while it is open says inf.
        """
        newest = islice(reversed(self._holds.values()), MOST_ROWS)
        ends = [(hold.lapses_at(now), hold) for hold in newest]
        ends.sort(key=itemgetter(0), reverse=True)
        return tuple(_row(hold, end - now, link, name_of) for end, hold in ends)

    def _push(self, hold: _Hold, deadline: float, now: float) -> None:
        due_at = deadline if deadline < inf else now + RECHECK_S
        self._serial += 1
        heapq.heappush(self._deadlines, (due_at, self._serial, hold))

    def _forget(self, hold: _Hold, lapsed_at: float) -> None:
        flow = hold.flow
        del self._holds[flow]
        self._per_host[flow.host] -= 1
        if not self._per_host[flow.host]:
            del self._per_host[flow.host]
        if lapsed_at >= self._lapsed_at:
            self._lapsed, self._lapsed_at = hold, lapsed_at


def _row(hold: _Hold, holds_s: float, link: str, name_of: Callable[[int], str]) -> HolderRow:
    flow = hold.flow
    return HolderRow(
        link=link,
        host=name_of(flow.host),
        session=flow.label(),
        rule=str(hold.rule),
        holds_s=max(0.0, holds_s),
    )
