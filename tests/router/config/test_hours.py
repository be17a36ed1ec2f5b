import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.config.hours import format_days, format_span, parse_clock, parse_days
from router.link.types import Span

MON, TUE, WED, THU, FRI, SAT, SUN = range(7)

DAYS = [
    ("mon", {MON}),
    ("mon-fri", {MON, TUE, WED, THU, FRI}),
    ("sat,sun", {SAT, SUN}),
    ("mon-fri,sun", {MON, TUE, WED, THU, FRI, SUN}),
    ("fri-mon", {FRI, SAT, SUN, MON}),
    ("tue-tue", {TUE}),
    ("sun, tue", {SUN, TUE}),
    ("mon-wed,tue-thu", {MON, TUE, WED, THU}),
    ("tue-mon", set(range(7))),
    ("daily", set(range(7))),
]


@pytest.mark.parametrize(("text", "days"), DAYS)
def test_days(text: str, days: set[int]) -> None:
    assert parse_days(text) == days


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Mon",
        "monday",
        "mon-",
        "-fri",
        "mon,",
        "mon fri",
        "mon-fri-sun",
        "daily,mon",
        "0",
        "1-5",
    ],
)
def test_what_is_no_list_of_days(text: str) -> None:
    with pytest.raises(ValueError, match='is not a list of days such as "mon-fri", "sat,sun" or'):
        parse_days(text)


@given(st.frozensets(st.integers(0, 6), min_size=1))
def test_written_days_read_back(days: frozenset[int]) -> None:
    assert parse_days(format_days(days)) == days


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("00:00", 0), ("08:00", 480), ("8:05", 485), ("23:59", 1439), ("24:00", 1440)],
)
def test_times_of_day(text: str, minutes: int) -> None:
    assert parse_clock(text) == minutes


@pytest.mark.parametrize(
    "text", ["", "8", "24:01", "25:00", "08:60", "8:5", "008:00", "-1:00", "08:00:00", "8h", "٨:00"]
)
def test_what_is_no_time_of_day(text: str) -> None:
    with pytest.raises(ValueError, match='is not a time of day such as "08:00", up to "24:00"'):
        parse_clock(text)


SPANS = [
    (Span(frozenset({MON, TUE, WED, THU, FRI}), 480, 1080), "mon-fri 08:00-18:00"),
    (Span(frozenset({FRI, SAT}), 1320, 365), "fri-sat 22:00-06:05"),
    (Span(frozenset({SUN, MON, WED}), 0, 0), "mon,wed,sun 00:00-24:00"),
    (Span(frozenset(range(7)), 720, 720), "daily 12:00-12:00"),
]


@pytest.mark.parametrize(("span", "text"), SPANS)
def test_spans_are_told_as_they_are_written(span: Span, text: str) -> None:
    assert format_span(span) == text
