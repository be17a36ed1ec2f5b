"""Hours of the week: whether a moment is in them, when they next begin or end, what mode they set.

Spans are in civil time and happen in time that only goes forward: a span begins and ends when the
clocks first show so, or are set past it. On the days on which clocks are set it is so much longer
or shorter, and empty where all of it is skipped.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta

from router.link.calendar import Stretch, first_instant, zone_of
from router.link.types import Mode, ScheduleEntry, Span

__all__ = ["Schedule", "contains", "next_boundary"]

_DAY = timedelta(days=1)
# Days, counted from that of a moment, on which a span that contains it may begin: the day before,
# where it lasts past midnight, and the next, which has begun already where midnight comes twice.
_NEAR = range(-1, 2)
# Days on which the next beginning or end may lie: each span begins once in seven of them.
_WEEK = range(-1, 9)
_REPEATS = timedelta(days=8)  # what does not change in a week, with clocks set in it, never does


def contains(span: Span, moment: datetime) -> bool:
    """Return whether a moment is inside a span, told in the zone of the moment."""
    instant = moment.astimezone(UTC)
    return any(begin <= instant < end for begin, end in _occurrences(span, moment, _NEAR))


def next_boundary(spans: Iterable[Span], moment: datetime) -> datetime | None:
    """Return when, after a moment, a span next begins or ends; None if there are none."""
    instant = moment.astimezone(UTC)
    stretches = (stretch for span in spans for stretch in _occurrences(span, moment, _WEEK))
    later = [boundary for stretch in stretches for boundary in stretch if boundary > instant]
    return min(later).astimezone(zone_of(moment)) if later else None


def _occurrences(span: Span, moment: datetime, around: range) -> Iterator[Stretch]:
    """Yield when a span begins and ends, for beginnings on the days around a moment."""
    for days in around:
        day = moment.date() + days * _DAY
        if day.weekday() in span.days:
            next_day = span.end <= span.start
            end = _at(day + next_day * _DAY, span.end, moment)
            yield Stretch(_at(day, span.start, moment), end)


def _at(day: date, minutes: int, moment: datetime) -> datetime:
    midnight = datetime.combine(day, time(), zone_of(moment))
    return first_instant(midnight + timedelta(minutes=minutes))


class Schedule:
    """Which mode links have at what hours: that of the first entry whose span it is."""

    def __init__(self, entries: Sequence[ScheduleEntry]) -> None:
        self._entries = tuple(entries)

    def mode_at(self, moment: datetime) -> Mode | None:
        """Return the mode at a moment, None if there is no schedule."""
        for entry in self._entries:
            if contains(entry.span, moment):
                return entry.mode
        return Mode.MANUAL if self._entries else None

    def next_change(self, moment: datetime) -> datetime | None:
        """Return when, after a moment, the mode is next another one; None for never."""
        mode, last = self.mode_at(moment), moment.astimezone(UTC) + _REPEATS
        spans = [entry.span for entry in self._entries]
        boundary = next_boundary(spans, moment)
        while boundary is not None and boundary.astimezone(UTC) <= last:
            if self.mode_at(boundary) is not mode:
                return boundary
            boundary = next_boundary(spans, boundary)
        return None
