"""The breaker: dialling that does no good stops by itself, before the bill shows it.

Theory of operation. It is told of every automatic attempt to raise a line and of what came of it.
What a person dials does not count; it is taken for a sign that somebody looks after the line, and
resets everything.

* CLOSED: traffic may dial. It trips, and is OPEN, when a condition is met: so many attempts failed
  in a row; so many rises in a row answered nothing that was asked; so many dials began within an
  hour, whatever came of them.
* OPEN: nothing dials automatically for `rest_s`. An attempt that was under way may still end;
  whatever its end is, it was made before people were told, and leaves the breaker open.
* HALF_OPEN: one attempt is let through. (While it runs nobody asks for a second one.) A useful rise
  closes the breaker; a failed or useless one opens it again. So does the attempt itself when it
  makes too many in an hour: a line that comes and goes may never end in either way.

A failed attempt is no rise, so it does not interrupt a row of useless ones; any rise ends a row of
failures, a useful one both rows. Dials leave the count one by one, an hour after they began, and
not before, unless a person resets the breaker.

People are warned when it leaves CLOSED. That the attempt after a rest came to nothing is no news.

The one timer is the end of the rest; `handle_timer`, and every call that is given `now`, sees it.
"""

from collections import deque
from enum import Enum, auto
from math import ceil

from router.link.types import BreakerConfig
from router.units import format_duration

__all__ = ["TRANSITIONS", "Breaker", "BreakerEvent", "BreakerState"]

_HOUR = 3600.0  # seconds: the span of BreakerConfig.dials_per_hour


class BreakerState(Enum):
    """Whether automatic dialling goes on; see the module's theory of operation."""

    CLOSED = auto()
    OPEN = auto()
    HALF_OPEN = auto()


class BreakerEvent(Enum):
    """What happens to a breaker.

    TRIPPED: a condition is met. RESTED: the rest is over. USEFUL: a rise ended that answered
    something. FUTILE: an attempt failed, or a rise ended that answered nothing. RESET: a person
    has raised the line.
    """

    TRIPPED = auto()
    RESTED = auto()
    USEFUL = auto()
    FUTILE = auto()
    RESET = auto()


_S = BreakerState
_CLO, _OPN, _HLF = _S.CLOSED, _S.OPEN, _S.HALF_OPEN


def _row(*states: BreakerState) -> dict[BreakerEvent, BreakerState]:
    return dict(zip(BreakerEvent, states, strict=True))


TRANSITIONS: dict[BreakerState, dict[BreakerEvent, BreakerState]] = {
    # state   TRIPPED RESTED USEFUL FUTILE RESET
    _CLO: _row(_OPN, _CLO, _CLO, _CLO, _CLO),
    _OPN: _row(_OPN, _HLF, _OPN, _OPN, _CLO),
    _HLF: _row(_OPN, _HLF, _CLO, _OPN, _CLO),
}


class Breaker:
    """Stops automatic dialling when a condition of its configuration is met."""

    def __init__(self, config: BreakerConfig) -> None:
        self._config = config
        self._state = BreakerState.CLOSED
        self._failures = 0  # in a row
        self._useless = 0  # in a row
        self._dials: deque[float] = deque(maxlen=config.dials_per_hour)
        self._rested_at = 0.0
        self._why = ""
        self._trip = ""

    @property
    def state(self) -> BreakerState:
        """Its state as of the last call."""
        return self._state

    # What happens

    def dialled(self, now: float) -> None:
        """Count an automatic attempt that begins."""
        self.handle_timer(now)
        self._dials.append(now)
        count = len(self._dials)
        if count and count == self._config.dials_per_hour and self._dials[0] > now - _HOUR:
            self._step(BreakerEvent.TRIPPED, now, f"{count} dials within an hour")

    def failed(self, now: float) -> None:
        """Count an automatic attempt that came to nothing."""
        self.handle_timer(now)
        self._failures += 1
        row = f"{self._failures} attempts failed in a row"
        self._judge(self._failures, self._config.failures, row, "the last attempt failed", now)

    def ended(self, now: float, useful: bool) -> None:
        """Count the end of an automatic rise; `useful` if something asked was answered."""
        self.handle_timer(now)
        self._failures = 0
        if useful:
            self._useless = 0
            self._step(BreakerEvent.USEFUL, now, "")
            return
        self._useless += 1
        row = f"{self._useless} rises in a row answered nothing"
        self._judge(self._useless, self._config.useless, row, "the last rise answered nothing", now)

    def reset(self, now: float) -> None:
        """Start all counts over, because a person has raised the line."""
        self._failures = self._useless = 0
        self._dials.clear()
        self._step(BreakerEvent.RESET, now, "")

    def handle_timer(self, now: float) -> None:
        """Let one attempt through when the rest is over."""
        if self._state is BreakerState.OPEN and now >= self._rested_at:
            self._step(BreakerEvent.RESTED, now, "")

    # What there is to know

    def blocked(self, now: float) -> str:
        """Return why nothing may dial automatically, "" if it may."""
        self.handle_timer(now)
        if self._state is not BreakerState.OPEN:
            return ""
        rest = format_duration(ceil(self._rested_at - now))
        return f"{self._why}; next try in {rest}, or by postroad up"

    def next_deadline(self) -> float | None:
        """Return when `handle_timer` has something to do."""
        return self._rested_at if self._state is BreakerState.OPEN else None

    def take_trip(self) -> str:
        """Return, once for each trip, what people should know of it; "" if there is nothing."""
        trip, self._trip = self._trip, ""
        return trip

    # Steps

    def _judge(self, count: int, limit: int, row: str, single: str, now: float) -> None:
        event = BreakerEvent.TRIPPED if 0 < limit <= count else BreakerEvent.FUTILE
        self._step(event, now, row if count > 1 else single)

    def _step(self, event: BreakerEvent, now: float, why: str) -> None:
        former = self._state
        self._state = TRANSITIONS[former][event]
        if self._state is former:
            return
        if self._state is BreakerState.CLOSED:
            self._trip = ""
        elif self._state is BreakerState.OPEN:
            self._rested_at, self._why = now + self._config.rest_s, why
            if former is BreakerState.CLOSED:
                rest = format_duration(ceil(self._config.rest_s))
                self._trip = (
                    f"automatic dialling stops: {why}; next try in {rest}, or by postroad up"
                )
