"""Budgets: minutes, dials and bytes of metered lines, per civil hour, day and month.

Theory of operation. Everything used is kept as a record of when it was used: a span for a line that
was up, an instant for a dial, an instant within a minute for bytes. Records of this run are in
monotonic time, so that they keep their length and their place when the clock is set; what the
ledger brings is in civil time. The calendar says which periods both lie in.

* A period in force has running totals. They are counted anew from the records when the period ends,
  the calendar changes or the ledger is loaded, and only then; otherwise what happens is added.
* A line that is up counts from when it came up or the period began, whichever is later. Two lines
  up at once count twice: both cost.
* What is used up stops dialling until its period ends. Minutes and bytes end what is up as well;
  dials do not, for the last one allowed has been paid for.
* People are told of an allowance once in each period, when `warn` of it is used. What former runs
  had used they were told then.
* What is not known is shared out: the bytes of a rise in the ledger are taken to have flowed
  evenly. Those of this run are exact, and to a minute when the clock has been set.

Records are kept for the longest month. Every call that is given `now` brings the periods up to
date; `next_deadline` is when to ask again.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterator, Reversible, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from math import floor, inf
from typing import NamedTuple

from router.link.calendar import Calendar, Stretch, day_of, hour_of, month_of
from router.link.rows import BudgetRow
from router.link.types import Allowance, BudgetConfig

__all__ = ["Budget", "Use"]

_MINUTE = 60.0  # seconds
_BUCKET_S = 60.0  # seconds whose bytes make one record: 45,000 records in a month at most
_KEPT_S = 32 * 86400.0  # seconds: the longest month, and the hour it may have in excess
# Minutes: a deadline is a rounded number, and when it has come the allowance is to be used up.
_ROUNDING = 1e-6
_SIZES = {"GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10}  # bytes


@dataclass(frozen=True, slots=True)
class Use:
    """A rise or an attempt of a metered line in a former run; instants in seconds since 1970.

    It counts as one dial, when it began. A line that never came up ended when it began.
    """

    began_s: float
    ended_s: float
    bytes: int


class _Record(NamedTuple):
    """The time from one monotonic instant to another, and what was used in it."""

    began: float
    ended: float
    dials: int = 0
    bytes: int = 0


class _Period:
    """The hour, day or month in force: what is allowed in it and what is used.

    `minutes` are those of lines that have fallen; methods take `lines`, the instants at which those
    came up that still are. `told` are the allowances people know to be nearly used up.
    """

    def __init__(
        self, name: str, phrase: str, stretch: Callable[[datetime], Stretch], allowance: Allowance
    ) -> None:
        self.name = name
        self.began, self.ends = -inf, -inf
        limits = {"minutes": allowance.minutes, "dials": allowance.dials, "bytes": allowance.bytes}
        self.allowed = {what: limit for what, limit in limits.items() if limit is not None}
        self.told: set[str] = set()
        self._phrase = phrase
        self._stretch = stretch
        self._begin: datetime | None = None
        self._minutes, self._dials, self._bytes = 0.0, 0, 0.0

    def enter(self, calendar: Calendar, now: float) -> None:
        """Become the period that `now` is in, of which nothing is counted yet."""
        former = self._begin
        self._begin, end = self._stretch(calendar.local(now))
        self.began, self.ends = calendar.instant(self._begin), calendar.instant(end)
        if self._begin != former:
            self.told.clear()

    def recount(self, former: Reversible[_Record], own: Reversible[_Record], warn: float) -> None:
        """Count anew what former runs have used, which people know of, and this one."""
        self._minutes, self._dials, self._bytes = 0.0, 0, 0.0
        self._add_all(former)
        self.told |= {what for what in self.allowed if self.is_past(warn, what, (), self.began)}
        self._add_all(own)

    def _add_all(self, records: Reversible[_Record]) -> None:
        for record in reversed(records):  # they are in the order in which they ended
            if record.ended < self.began:
                return
            self.add(record)

    def add(self, record: _Record) -> None:
        """Count what of a record lies in the period."""
        begins_inside = self.began <= record.began < self.ends
        length = record.ended - record.began
        if length > 0:
            inside = min(record.ended, self.ends) - max(record.began, self.began)
            share = max(inside, 0.0) / length
        else:
            share = float(begins_inside)
        self._minutes += share * length / _MINUTE
        self._dials += record.dials * begins_inside
        self._bytes += share * record.bytes

    def used(self, what: str, lines: Collection[float], now: float) -> float:
        """Return how much of an allowance is used."""
        if what == "dials":
            return self._dials
        if what == "bytes":
            return self._bytes
        return self._minutes + sum(now - max(line, self.began) for line in lines) / _MINUTE

    def is_used_up(self, what: str, lines: Collection[float], now: float) -> bool:
        return self.used(what, lines, now) + _ROUNDING >= self.allowed[what]

    def is_past(self, warn: float, what: str, lines: Collection[float], now: float) -> bool:
        """Whether something is used, and so large a share of what is allowed."""
        used = self.used(what, lines, now)
        return used > 0 and used + _ROUNDING >= warn * self.allowed[what]

    def clause(self, what: str, lines: Collection[float], now: float) -> str:
        """Return how much is used, for people."""
        used, allowed, unit, size = self.used(what, lines, now), self.allowed[what], what, 1
        if what == "bytes" and allowed:
            divisors = [item for item in _SIZES.items() if allowed % item[1] == 0]
            unit, size = divisors[0] if divisors else (unit, size)
        return f"{floor(used / size + _ROUNDING)} of {allowed // size} {unit} used {self._phrase}"


class Budget:
    """What metered lines may use, and have used."""

    def __init__(self, config: BudgetConfig, calendar: Calendar) -> None:
        month = partial(month_of, first_day=config.month_day)
        periods = (  # the one that forbids for longest first
            _Period("month", "this month", month, config.per_month),
            _Period("day", "today", day_of, config.per_day),
            _Period("hour", "this hour", hour_of, config.per_hour),
        )
        self._periods = tuple(period for period in periods if period.allowed)
        self._warn = config.warn
        self._calendar = calendar
        self._former: Sequence[Use] = ()
        self._former_records: Sequence[_Record] = ()
        self._records: deque[_Record] = deque()
        self._up_since: dict[str, float] = {}

    def set_calendar(self, calendar: Calendar) -> None:
        """Correct civil time."""
        self._calendar = calendar
        self._place_former()

    def load(self, uses: Sequence[Use], now: float) -> None:
        """Take what the ledger knows of former runs, in place of what it said before.

        What was used in this run stays as it was counted.
        """
        self._former = sorted(uses, key=_end)
        self._place_former()
        self._bring_up_to_date(now)

    def _place_former(self) -> None:
        offset_s = self._calendar.offset_s
        self._former_records = [
            _Record(use.began_s - offset_s, _end(use) - offset_s, 1, use.bytes)
            for use in self._former
        ]
        for period in self._periods:
            period.ends = -inf  # to be entered and counted anew

    # What happens

    def dialled(self, now: float) -> None:
        """Count an attempt that begins, whoever makes it."""
        self._count(_Record(now, now, dials=1), now)

    def line_up(self, link: str, now: float) -> None:
        """Count the time of a link from now on."""
        self._up_since.setdefault(link, now)

    def line_down(self, link: str, now: float) -> None:
        """Count the time of a link no longer, if it was."""
        since = self._up_since.pop(link, None)
        if since is not None:
            self._count(_Record(since, now), now)

    def add_bytes(self, count: int, now: float) -> None:
        """Count what lines have carried since the last time."""
        if count:
            self._count(_Record(now, now, bytes=count), now)

    def _count(self, record: _Record, now: float) -> None:
        self._bring_up_to_date(now)
        for period in self._periods:
            period.add(record)
        if self._periods:
            self._keep(record, now)

    def _keep(self, record: _Record, now: float) -> None:
        if record.bytes and self._records and self._records[-1].bytes:
            bucket = self._records[-1]
            latest = max(period.began for period in self._periods)
            if latest <= bucket.began and now - bucket.began < _BUCKET_S:
                self._records.pop()
                record = bucket._replace(bytes=bucket.bytes + record.bytes)
        self._records.append(record)
        while self._records[0].ended < now - _KEPT_S:
            self._records.popleft()

    def _bring_up_to_date(self, now: float) -> None:
        for period in self._periods:
            if now >= period.ends:
                period.enter(self._calendar, now)
                period.recount(self._former_records, self._records, self._warn)

    # What there is to know

    def exhausted(self, now: float) -> str:
        """Return what is used up, so that nothing may be dialled; "" if nothing is."""
        return self._used_up(("minutes", "dials", "bytes"), now)

    def must_fall(self, now: float) -> str:
        """Return what is used up, so that lines that are up may not stay so; "" if nothing is."""
        return self._used_up(("minutes", "bytes"), now)

    def _used_up(self, whats: Collection[str], now: float) -> str:
        self._bring_up_to_date(now)
        lines = self._up_since.values()
        for period in self._periods:
            for what in period.allowed:
                if what in whats and period.is_used_up(what, lines, now):
                    return period.clause(what, lines, now)
        return ""

    def warnings(self, now: float) -> list[str]:
        """Return, once in each period, which allowances are nearly used up."""
        self._bring_up_to_date(now)
        found = []
        lines = self._up_since.values()
        for period in self._periods:
            for what in period.allowed:
                if what not in period.told and period.is_past(self._warn, what, lines, now):
                    period.told.add(what)
                    found.append(period.clause(what, lines, now))
        return found

    def next_deadline(self, now: float) -> float | None:
        """Return when an answer changes by itself, or is to be asked for again."""
        self._bring_up_to_date(now)
        due = (at for period in self._periods for at in self._deadlines(period, now))
        return min(due, default=None)

    def _deadlines(self, period: _Period, now: float) -> Iterator[float]:
        lines = self._up_since.values()
        metering = bool(lines) and "minutes" in period.allowed
        if metering or any(period.is_used_up(what, lines, now) for what in period.allowed):
            yield period.ends
        if metering:
            used, limit = period.used("minutes", lines, now), period.allowed["minutes"]
            for mark in (self._warn * limit, limit):
                if used + _ROUNDING < mark:
                    yield now + (mark - used) * _MINUTE / len(lines)

    def rows(self, now: float) -> tuple[BudgetRow, ...]:
        """Return every allowance, those of the shortest period first."""
        self._bring_up_to_date(now)
        lines = self._up_since.values()
        return tuple(
            BudgetRow(
                period=period.name,
                what=what,
                used=period.used(what, lines, now),
                allowed=limit,
                resets_in_s=period.ends - now,
            )
            for period in reversed(self._periods)
            for what, limit in period.allowed.items()
        )


def _end(use: Use) -> float:
    """Return when a use ended; the clock may have been set back during it."""
    return max(use.began_s, use.ended_s)
