"""Civil time: exact both ways, and right where clocks are set forward or back."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.link.calendar import (
    Calendar,
    Stretch,
    day_of,
    first_instant,
    hour_of,
    month_of,
    zone_of,
)
from tests.router.link.civil import CHANGES, MINUTE, there, utc, wall

BERLIN = ZoneInfo("Europe/Berlin")


def stretch(begin: str, end: str) -> Stretch:
    return Stretch(utc(begin), utc(end))


@pytest.mark.parametrize(
    ("now", "shown"),
    [
        (0.0, "2025-06-01T12:00:00+02:00"),
        (90.5, "2025-06-01T12:01:30.500000+02:00"),
        (-1.0, "2025-06-01T11:59:59+02:00"),
    ],
)
def test_civil_time_of_an_instant(now: float, shown: str) -> None:
    calendar = Calendar(BERLIN, utc("2025-06-01 10:00").timestamp())
    assert calendar.local(now).isoformat() == shown
    assert calendar.instant(datetime.fromisoformat(shown)) == now


def test_an_hour_that_comes_twice_is_told_apart() -> None:
    calendar = Calendar(BERLIN, utc("2025-10-26 00:30").timestamp())
    first, second = calendar.local(0), calendar.local(3600)
    assert (first.hour, first.minute) == (second.hour, second.minute) == (2, 30)
    assert (calendar.instant(first), calendar.instant(second)) == (0, 3600)


@given(
    st.integers(int(utc("1980-01-01").timestamp()), int(utc("2100-01-01").timestamp())),
    st.floats(0, 4e9),
)
def test_a_boundary_is_reached_at_its_instant(second: int, offset_s: float) -> None:
    """Instants are rounded, and boundaries are whole seconds."""
    calendar, moment = Calendar(BERLIN, offset_s), datetime.fromtimestamp(second, UTC)
    assert calendar.local(calendar.instant(moment)).astimezone(UTC) == moment


def test_civil_time_without_a_zone_is_a_mistake() -> None:
    with pytest.raises(AssertionError, match="civil time has a zone"):
        zone_of(datetime(2025, 1, 1))  # noqa: DTZ001


# When clocks first show a time


@pytest.mark.parametrize(
    ("zone", "civil", "instant"),
    [
        ("Europe/Berlin", "2025-07-01 08:00", "2025-07-01 06:00"),
        ("Europe/Berlin", "2025-03-30 01:59", "2025-03-30 00:59"),
        ("Europe/Berlin", "2025-03-30 02:00", "2025-03-30 01:00"),  # skipped
        ("Europe/Berlin", "2025-03-30 02:30", "2025-03-30 01:00"),  # skipped
        ("Europe/Berlin", "2025-03-30 03:00", "2025-03-30 01:00"),
        ("Europe/Berlin", "2025-10-26 02:00", "2025-10-26 00:00"),  # twice
        ("Europe/Berlin", "2025-10-26 02:30", "2025-10-26 00:30"),  # twice
        ("Europe/Berlin", "2025-10-26 03:00", "2025-10-26 02:00"),
        ("America/Havana", "2025-03-09 00:00", "2025-03-09 05:00"),  # skipped
        ("America/Havana", "2025-11-02 00:00", "2025-11-02 04:00"),  # twice
        ("Australia/Lord_Howe", "2025-10-05 02:15", "2025-10-04 15:30"),  # skipped
        ("America/St_Johns", "2010-03-14 00:30", "2010-03-14 03:31"),  # skipped
        ("America/St_Johns", "2010-11-07 00:00", "2010-11-07 02:30"),  # twice
        ("Pacific/Apia", "2011-12-30 12:00", "2011-12-30 10:00"),  # skipped with its whole day
        ("UTC", "2025-03-30 02:30", "2025-03-30 02:30"),
    ],
)
@pytest.mark.parametrize("fold", [0, 1])
def test_when_clocks_first_show_a_time(zone: str, civil: str, instant: str, fold: int) -> None:
    shown = datetime.fromisoformat(civil).replace(tzinfo=ZoneInfo(zone), fold=fold)
    assert first_instant(shown) == utc(instant)
    assert first_instant(shown).tzinfo is UTC


def test_whatever_is_skipped_is_the_end_of_the_gap() -> None:
    for second in range(3600):
        skipped = datetime(2025, 3, 30, 2, second // 60, second % 60, tzinfo=BERLIN)
        assert first_instant(skipped) == utc("2025-03-30 01:00")


@given(st.sampled_from(CHANGES), st.integers(-3 * 1440, 3 * 1440))
def test_the_first_instant_is_what_watching_the_clocks_finds(
    change: tuple[str, str], minutes: int
) -> None:
    clocks = wall(*change)
    shown = datetime.fromisoformat(change[1]) + minutes * MINUTE
    expected = clocks.instant(clocks.first(shown))
    assert first_instant(shown.replace(tzinfo=clocks.zone)) == expected


# Hours, days and months

HOURS = [
    ("Europe/Berlin", "2025-06-01 10:59", "2025-06-01 10:00", "2025-06-01 11:00"),
    ("Europe/Berlin", "2025-03-30 00:59", "2025-03-30 00:00", "2025-03-30 01:00"),
    ("Europe/Berlin", "2025-03-30 01:30", "2025-03-30 01:00", "2025-03-30 02:00"),
    ("Europe/Berlin", "2025-10-26 00:30", "2025-10-26 00:00", "2025-10-26 01:00"),
    ("Europe/Berlin", "2025-10-26 01:30", "2025-10-26 01:00", "2025-10-26 02:00"),
    ("Asia/Kathmandu", "2025-06-01 10:00", "2025-06-01 09:15", "2025-06-01 10:15"),
    ("Asia/Kathmandu", "2025-06-01 10:15", "2025-06-01 10:15", "2025-06-01 11:15"),
    ("Australia/Lord_Howe", "2025-10-04 15:29", "2025-10-04 14:30", "2025-10-04 15:30"),
    ("Australia/Lord_Howe", "2025-10-04 15:30", "2025-10-04 15:00", "2025-10-04 16:00"),
]


@pytest.mark.parametrize(("zone", "moment", "begin", "end"), HOURS)
def test_hours(zone: str, moment: str, begin: str, end: str) -> None:
    assert hour_of(there(zone, moment)) == stretch(begin, end)


def test_an_hour_begins_to_the_microsecond() -> None:
    last = there("Europe/Berlin", "2025-06-01 11:00") - timedelta(microseconds=1)
    assert hour_of(last) == stretch("2025-06-01 10:00", "2025-06-01 11:00")


DAYS = [
    ("Europe/Berlin", "2025-06-01 21:59", "2025-05-31 22:00", "2025-06-01 22:00"),
    ("Europe/Berlin", "2025-06-01 22:00", "2025-06-01 22:00", "2025-06-02 22:00"),
    ("Europe/Berlin", "2025-03-30 12:00", "2025-03-29 23:00", "2025-03-30 22:00"),  # 23 h
    ("Europe/Berlin", "2025-10-26 12:00", "2025-10-25 22:00", "2025-10-26 23:00"),  # 25 h
    ("America/Havana", "2025-03-09 12:00", "2025-03-09 05:00", "2025-03-10 04:00"),  # from 01:00
    ("America/Havana", "2025-11-02 05:30", "2025-11-02 04:00", "2025-11-03 05:00"),  # 25 h
    ("America/Santiago", "2025-04-06 03:30", "2025-04-05 03:00", "2025-04-06 04:00"),  # 25 h
    ("America/St_Johns", "2010-11-07 02:29", "2010-11-06 02:30", "2010-11-07 02:30"),
    ("America/St_Johns", "2010-11-07 03:00", "2010-11-07 02:30", "2010-11-08 03:30"),  # 23:30 again
    ("Pacific/Apia", "2011-12-30 09:59", "2011-12-29 10:00", "2011-12-30 10:00"),
    ("Pacific/Apia", "2011-12-30 10:00", "2011-12-30 10:00", "2011-12-31 10:00"),
]


@pytest.mark.parametrize(("zone", "moment", "begin", "end"), DAYS)
def test_days(zone: str, moment: str, begin: str, end: str) -> None:
    assert day_of(there(zone, moment)) == stretch(begin, end)


MONTHS = [
    (1, "2025-01-31 22:59", "2024-12-31 23:00", "2025-01-31 23:00"),
    (1, "2025-01-31 23:00", "2025-01-31 23:00", "2025-02-28 23:00"),
    (1, "2025-12-31 22:59", "2025-11-30 23:00", "2025-12-31 23:00"),
    (15, "2025-01-14 22:59", "2024-12-14 23:00", "2025-01-14 23:00"),
    (15, "2025-01-14 23:00", "2025-01-14 23:00", "2025-02-14 23:00"),
    (1, "2025-03-01 12:00", "2025-02-28 23:00", "2025-03-31 22:00"),
    (15, "2025-01-20 12:00", "2025-01-14 23:00", "2025-02-14 23:00"),
    (28, "2025-03-15 12:00", "2025-02-27 23:00", "2025-03-27 23:00"),
    (28, "2025-04-15 12:00", "2025-03-27 23:00", "2025-04-27 22:00"),
]


@pytest.mark.parametrize(("first_day", "moment", "begin", "end"), MONTHS)
def test_months(first_day: int, moment: str, begin: str, end: str) -> None:
    assert month_of(there("Europe/Berlin", moment), first_day) == stretch(begin, end)


@given(st.sampled_from(CHANGES), st.integers(-3 * 1440, 3 * 1440), st.integers(1, 28))
def test_a_moment_is_in_its_day_and_its_month_and_they_follow_one_another(
    change: tuple[str, str], minutes: int, first_day: int
) -> None:
    clocks = wall(*change)
    moment = clocks.moment(clocks.middle + minutes)
    for found, next_one in (
        (day_of(moment), day_of),
        (month_of(moment, first_day), lambda later: month_of(later, first_day)),
    ):
        assert found.begin <= moment < found.end
        assert next_one(found.end.astimezone(clocks.zone)).begin == found.end
