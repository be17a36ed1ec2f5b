"""Schedules: hours of the week, across midnight and clock changes, against watching the clocks."""

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.link.schedule import Schedule, contains, next_boundary
from router.link.types import Mode, ScheduleEntry, Span
from tests.router.link.civil import CHANGES, MINUTE, Wall, there, utc, wall

MON, TUE, WED, THU, FRI, SAT, SUN = range(7)
EVERY_DAY = frozenset(range(7))
WORKDAYS = frozenset({MON, TUE, WED, THU, FRI})
BERLIN = ZoneInfo("Europe/Berlin")


def span(text: str, days: frozenset[int] = EVERY_DAY) -> Span:
    """Return the span written as in 08:00-18:00."""
    start, end = (int(part[:2]) * 60 + int(part[3:]) for part in text.split("-"))
    return Span(days, start, end)


def berlin(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


# What a span contains (2025-06-02 is a Monday)

OFFICE = span("08:00-18:00", WORKDAYS)
FRIDAY_NIGHT = span("22:00-06:00", frozenset({FRI}))
ALL_MONDAY = span("00:00-00:00", frozenset({MON}))
FROM_MONDAY_NOON = span("12:00-12:00", frozenset({MON}))


@pytest.mark.parametrize(
    ("hours", "moment", "inside"),
    [
        (OFFICE, "2025-06-02 07:59:59", False),
        (OFFICE, "2025-06-02 08:00", True),
        (OFFICE, "2025-06-02 17:59:59", True),
        (OFFICE, "2025-06-02 18:00", False),
        (OFFICE, "2025-06-01 12:00", False),
        (FRIDAY_NIGHT, "2025-06-06 21:59", False),
        (FRIDAY_NIGHT, "2025-06-06 22:00", True),
        (FRIDAY_NIGHT, "2025-06-07 05:59", True),
        (FRIDAY_NIGHT, "2025-06-07 06:00", False),
        (FRIDAY_NIGHT, "2025-06-06 05:00", False),  # Thursday's night
        (FRIDAY_NIGHT, "2025-06-07 22:00", False),
        (ALL_MONDAY, "2025-06-02 00:00", True),
        (ALL_MONDAY, "2025-06-02 23:59", True),
        (ALL_MONDAY, "2025-06-03 00:00", False),
        (FROM_MONDAY_NOON, "2025-06-02 11:59", False),
        (FROM_MONDAY_NOON, "2025-06-03 11:59", True),
        (FROM_MONDAY_NOON, "2025-06-03 12:00", False),
        (span("00:00-00:00"), "2025-06-04 00:00", True),
        (Span(frozenset(), 0, 0), "2025-06-02 12:00", False),
        (Span(EVERY_DAY, 18 * 60, 24 * 60), "2025-06-02 23:59", True),
        (Span(EVERY_DAY, 18 * 60, 24 * 60), "2025-06-03 00:00", False),
    ],
)
def test_what_a_span_contains(hours: Span, moment: str, inside: bool) -> None:
    assert contains(hours, berlin(moment)) is inside


@pytest.mark.parametrize(
    ("hours", "moment", "inside"),
    [
        # 2025-03-30, 02:00 is 03:00 at 01:00 UTC
        ("02:30-05:00", "2025-03-30 00:59", False),
        ("02:30-05:00", "2025-03-30 01:00", True),
        ("02:10-02:50", "2025-03-30 01:00", False),
        ("00:00-02:30", "2025-03-30 00:59", True),
        ("00:00-02:30", "2025-03-30 01:00", False),
        # 2025-10-26, 03:00 is 02:00 at 01:00 UTC
        ("02:30-05:00", "2025-10-26 00:29", False),
        ("02:30-05:00", "2025-10-26 00:30", True),
        ("02:30-05:00", "2025-10-26 01:10", True),  # 02:10 again
        ("00:00-02:30", "2025-10-26 00:29", True),
        ("00:00-02:30", "2025-10-26 01:10", False),  # 02:10 again
    ],
)
def test_spans_on_the_days_on_which_clocks_are_set(hours: str, moment: str, inside: bool) -> None:
    assert contains(span(hours), there("Europe/Berlin", moment)) is inside


# When one next begins or ends


@pytest.mark.parametrize(
    ("hours", "moment", "boundary"),
    [
        ([OFFICE], "2025-06-02 07:00", "2025-06-02 08:00"),
        ([OFFICE], "2025-06-02 08:00", "2025-06-02 18:00"),
        ([OFFICE], "2025-06-06 18:00", "2025-06-09 08:00"),
        ([FRIDAY_NIGHT], "2025-06-06 22:00", "2025-06-07 06:00"),
        ([FRIDAY_NIGHT], "2025-06-07 06:00", "2025-06-13 22:00"),
        ([ALL_MONDAY], "2025-06-03 00:00", "2025-06-09 00:00"),
        ([OFFICE, FRIDAY_NIGHT], "2025-06-06 12:00", "2025-06-06 18:00"),
        ([OFFICE, FRIDAY_NIGHT], "2025-06-06 18:00", "2025-06-06 22:00"),
        ([], "2025-06-02 07:00", None),
        ([Span(frozenset(), 0, 60)], "2025-06-02 07:00", None),
    ],
)
def test_when_a_span_next_begins_or_ends(
    hours: list[Span], moment: str, boundary: str | None
) -> None:
    expected = berlin(boundary) if boundary else None
    assert next_boundary(hours, berlin(moment)) == expected


@pytest.mark.parametrize(
    ("hours", "moment", "boundary"),
    [
        ("02:30-05:00", "2025-03-30 00:00", "2025-03-30 01:00"),  # 02:30 is skipped
        ("02:30-05:00", "2025-03-30 01:00", "2025-03-30 03:00"),
        ("00:00-02:30", "2025-03-30 00:00", "2025-03-30 01:00"),
        ("02:30-05:00", "2025-10-26 00:00", "2025-10-26 00:30"),  # 02:30 comes twice
        ("02:30-05:00", "2025-10-26 01:10", "2025-10-26 04:00"),
        ("00:00-02:30", "2025-10-26 00:00", "2025-10-26 00:30"),
        ("00:00-02:30", "2025-10-26 01:10", "2025-10-26 23:00"),
    ],
)
def test_boundaries_on_the_days_on_which_clocks_are_set(
    hours: str, moment: str, boundary: str
) -> None:
    found = next_boundary([span(hours)], there("Europe/Berlin", moment))
    assert found == there("Europe/Berlin", boundary)
    assert found is not None
    assert found.tzinfo is BERLIN
    assert found.timestamp() == utc(boundary).timestamp()


# Against watching the clocks

_minutes_of_day = st.one_of(
    st.sampled_from([0, 1, 60, 90, 120, 135, 150, 180, 1380, 1439]), st.integers(0, 1439)
)
_spans = st.builds(
    Span, st.frozensets(st.integers(0, 6), min_size=1), _minutes_of_day, _minutes_of_day
)
_near = st.integers(-2 * 1440, 2 * 1440)
_changes = st.sampled_from(CHANGES)


def watched(hours: Span, clocks: Wall) -> list[tuple[int, int]]:
    """Return in which minutes the clocks first show that a span begins and ends."""
    found = []
    for day in range(-11, 11):
        midnight = clocks.moment(clocks.middle).replace(hour=0, minute=0, tzinfo=None)
        midnight += day * 1440 * MINUTE
        if midnight.weekday() in hours.days:
            length = (hours.end - hours.start) % 1440 or 1440
            begin = midnight + hours.start * MINUTE
            found.append((clocks.first(begin), clocks.first(begin + length * MINUTE)))
    return found


@given(_changes, _spans, _near)
def test_a_span_contains_what_the_clocks_show(
    change: tuple[str, str], hours: Span, minutes: int
) -> None:
    clocks = wall(*change)
    minute = clocks.middle + minutes
    expected = any(begin <= minute < end for begin, end in watched(hours, clocks))
    assert contains(hours, clocks.moment(minute)) is expected


@given(_changes, st.lists(_spans, min_size=1, max_size=3), _near)
def test_the_next_boundary_is_what_watching_the_clocks_finds(
    change: tuple[str, str], several: Sequence[Span], minutes: int
) -> None:
    clocks = wall(*change)
    minute = clocks.middle + minutes
    stretches = [stretch for hours in several for stretch in watched(hours, clocks)]
    expected = min(each for stretch in stretches for each in stretch if each > minute)
    found = next_boundary(several, clocks.moment(minute))
    assert found is not None
    assert found.timestamp() == clocks.instant(expected).timestamp()


# Modes

SCHEDULE = Schedule(
    [
        ScheduleEntry(span("12:00-13:00", WORKDAYS), Mode.MANUAL),
        ScheduleEntry(OFFICE, Mode.ON_DEMAND),
        ScheduleEntry(span("17:00-20:00", frozenset({MON})), Mode.PERMANENT),
    ]
)


@pytest.mark.parametrize(
    ("moment", "mode"),
    [
        ("2025-06-02 07:00", Mode.MANUAL),  # outside
        ("2025-06-02 08:00", Mode.ON_DEMAND),
        ("2025-06-02 12:30", Mode.MANUAL),  # the first entry wins
        ("2025-06-02 13:00", Mode.ON_DEMAND),
        ("2025-06-02 17:30", Mode.ON_DEMAND),
        ("2025-06-02 18:00", Mode.PERMANENT),
        ("2025-06-02 20:00", Mode.MANUAL),
    ],
)
def test_the_mode_of_the_hour(moment: str, mode: Mode) -> None:
    assert SCHEDULE.mode_at(berlin(moment)) is mode


@pytest.mark.parametrize(
    ("moment", "change"),
    [
        ("2025-06-02 08:00", "2025-06-02 12:00"),
        ("2025-06-02 13:00", "2025-06-02 18:00"),  # at 17:00 an entry begins that does not count
        ("2025-06-02 18:00", "2025-06-02 20:00"),
        ("2025-06-06 18:00", "2025-06-09 08:00"),
    ],
)
def test_when_the_mode_changes(moment: str, change: str) -> None:
    assert SCHEDULE.next_change(berlin(moment)) == berlin(change)


def test_without_a_schedule_there_is_no_mode_of_the_hour() -> None:
    assert Schedule([]).mode_at(berlin("2025-06-02 08:00")) is None
    assert Schedule([]).next_change(berlin("2025-06-02 08:00")) is None


def test_what_is_the_same_at_all_hours_never_changes() -> None:
    always = [
        ScheduleEntry(span("02:30-14:00"), Mode.ON_DEMAND),
        ScheduleEntry(span("14:00-02:30"), Mode.ON_DEMAND),
    ]
    assert Schedule(always).next_change(there("Europe/Berlin", "2025-10-25 12:00")) is None
    night = [ScheduleEntry(span("22:00-06:00", WORKDAYS), Mode.MANUAL)]
    assert Schedule(night).next_change(berlin("2025-06-02 08:00")) is None


_entries = st.lists(st.builds(ScheduleEntry, _spans, st.sampled_from(Mode)), min_size=1, max_size=4)


@given(_changes, _entries, _near)
def test_the_mode_stays_until_it_changes(
    change: tuple[str, str], entries: Sequence[ScheduleEntry], minutes: int
) -> None:
    clocks = wall(*change)
    stretches = [(watched(entry.span, clocks), entry.mode) for entry in entries]

    def mode_at(minute: int) -> Mode:
        for spans, mode in stretches:
            if any(begin <= minute < end for begin, end in spans):
                return mode
        return Mode.MANUAL

    minute = clocks.middle + minutes
    schedule = Schedule(entries)
    assert schedule.mode_at(clocks.moment(minute)) is mode_at(minute)
    boundaries = sorted({each for spans, _ in stretches for pair in spans for each in pair})
    changes = [each for each in boundaries if each > minute and mode_at(each) != mode_at(minute)]
    in_a_week = [each for each in changes if each <= minute + 8 * 1440]
    found = schedule.next_change(clocks.moment(minute))
    if in_a_week:
        assert found is not None
        assert found.timestamp() == clocks.instant(in_a_week[0]).timestamp()
    else:
        assert found is None
