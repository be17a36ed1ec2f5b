"""Civil time: what the clocks on the wall show at a monotonic instant, and when hours, days begin.

Clocks are set forward and back. A civil time that is skipped is taken for the end of the gap, and
of one that comes twice its first occurrence counts: a beginning is the first instant at which the
clocks show it or later. Python compares two times of one zone by what the clocks show, which is
wrong where they are set back; so beginnings are in UTC, where time only goes forward.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import pairwise
from typing import NamedTuple

__all__ = ["Calendar", "Stretch", "day_of", "first_instant", "hour_of", "month_of", "zone_of"]

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)  # the unit in which zones say when their clocks are set


class Stretch(NamedTuple):
    """The instants from `begin` up to and without `end`, both in UTC."""

    begin: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Calendar:
    """Monotonic instants and civil time in `zone`; instant plus `offset_s` is the time in UTC.

    UTC is counted in seconds since 1970, as by POSIX.
    """

    zone: tzinfo
    offset_s: float

    def local(self, now: float) -> datetime:
        """Return the civil time at an instant."""
        return datetime.fromtimestamp(now + self.offset_s, self.zone)

    def instant(self, moment: datetime) -> float:
        """Return the instant of a time, whatever its zone."""
        return moment.timestamp() - self.offset_s


def zone_of(moment: datetime) -> tzinfo:
    """Return the zone in which a civil time is told."""
    assert moment.tzinfo is not None, "civil time has a zone"
    return moment.tzinfo


def first_instant(civil: datetime) -> datetime:
    """Return, in UTC, when the clocks first show `civil` or later; its fold does not matter."""
    first = civil.replace(fold=0).astimezone(UTC)
    second = civil.replace(fold=1).astimezone(UTC)
    return first if first <= second else _end_of_gap(civil, second, first)


def _end_of_gap(civil: datetime, before: datetime, after: datetime) -> datetime:
    """Return when the clocks skip `civil`: later than `before`, and `after` at the latest."""
    zone, shown = civil.tzinfo, civil.replace(tzinfo=None)
    while after - before > _SECOND:
        middle = before + (after - before) // _SECOND // 2 * _SECOND
        if middle.astimezone(zone).replace(tzinfo=None) < shown:
            before = middle
        else:
            after = middle
    return after


def hour_of(moment: datetime) -> Stretch:
    """Return the hour on the clock; one that comes twice is two.

    It is told by the minutes the clocks show. Where they are set by half an hour (Lord Howe) the
    hours before and after overlap.
    """
    into = timedelta(minutes=moment.minute, seconds=moment.second, microseconds=moment.microsecond)
    begin = moment.astimezone(UTC) - into
    return Stretch(begin, begin + _HOUR)


def day_of(moment: datetime) -> Stretch:
    """Return the day, from midnight to midnight."""
    today = moment.date()
    return _around(moment, [today, today + _DAY, today + 2 * _DAY])


def month_of(moment: datetime, first_day: int) -> Stretch:
    """Return the month that begins on `first_day`, 1 to 28, of this month or the one before."""
    this = moment.year * 12 + moment.month - 1
    days = [date(each // 12, each % 12 + 1, first_day) for each in range(this - 1, this + 3)]
    return _around(moment, days)


def _around(moment: datetime, days: Sequence[date]) -> Stretch:
    """Return from which of `days` to which `moment` lies.

    That is not always from the first: clocks set back across midnight show the old day again after
    the new one has begun.
    """
    instant = moment.astimezone(UTC)
    midnights = [first_instant(datetime.combine(day, time(), moment.tzinfo)) for day in days]
    return next(Stretch(*pair) for pair in pairwise(midnights) if pair[1] > instant)
