"""Budgets: what is used in the civil hour, day and month, against a meter read every minute."""

from collections import Counter
from collections.abc import Sequence
from functools import cache
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.link.budget import Budget, Use
from router.link.calendar import Calendar
from router.link.types import Allowance, BudgetConfig
from tests.properties.footprint import footprint
from tests.router.link.civil import MINUTE, utc

BERLIN = ZoneInfo("Europe/Berlin")
H, D = 3600.0, 86400.0  # seconds
MIB = 1 << 20
PER_DAY = BudgetConfig(per_day=Allowance(minutes=120, dials=4, bytes=200 * MIB))


def calendar(start: str, zone: ZoneInfo = BERLIN) -> Calendar:
    """Return the calendar of a router that starts at instant 0, at a moment in UTC."""
    return Calendar(zone, utc(start).timestamp())


def at_midnight(config: BudgetConfig = PER_DAY) -> Budget:
    """Return a budget that begins at midnight of a Monday, the 2nd of June, in Berlin."""
    return Budget(config, calendar("2025-06-01 22:00"))


def rows(budget: Budget, now: float) -> dict[tuple[str, str], float]:
    return {(row.period, row.what): row.used for row in budget.rows(now)}


def used(budget: Budget, what: str, now: float) -> float:
    return rows(budget, now)["day", what]


def ride(budget: Budget, began: float, ended: float, link: str = "isp") -> None:
    budget.dialled(began)
    budget.line_up(link, began)
    budget.line_down(link, ended)


# What counts


def test_without_allowances_there_is_nothing_to_say() -> None:
    budget = at_midnight(BudgetConfig())
    ride(budget, 0, 40 * D)
    budget.add_bytes(1 << 40, 40 * D)
    assert budget.exhausted(40 * D) == budget.must_fall(40 * D) == ""
    assert budget.warnings(40 * D) == []
    assert budget.next_deadline(40 * D) is None
    assert budget.rows(40 * D) == ()


def test_rows_tell_each_allowance_and_when_it_begins_anew() -> None:
    config = BudgetConfig(
        per_hour=Allowance(dials=5), per_day=Allowance(minutes=120), per_month=Allowance(bytes=999)
    )
    budget = at_midnight(config)
    ride(budget, 10 * H, 10 * H + 90)
    budget.add_bytes(500, 10 * H + 90)
    found = [
        (row.period, row.what, row.used, row.allowed, row.resets_in_s)
        for row in budget.rows(10 * H + 100)
    ]
    assert found == [
        ("hour", "dials", 1, 5, H - 100),
        ("day", "minutes", 1.5, 120, 14 * H - 100),
        ("month", "bytes", 500, 999, 28 * D + 14 * H - 100),
    ]


def test_the_time_of_a_line_that_is_up_counts_as_it_passes() -> None:
    budget = at_midnight()
    budget.line_up("isp", 60)
    assert [used(budget, "minutes", now) for now in (60, 90, 660)] == [0, 0.5, 10]
    budget.line_down("isp", 660)
    assert used(budget, "minutes", 6000) == 10


def test_two_lines_at_once_count_twice() -> None:
    budget = at_midnight()
    budget.line_up("isp", 0)
    budget.line_up("lte", 300)
    assert used(budget, "minutes", 600) == 15
    budget.line_down("isp", 600)
    assert used(budget, "minutes", 900) == 20


def test_a_line_that_is_up_twice_is_one_line() -> None:
    budget = at_midnight()
    budget.line_up("isp", 0)
    budget.line_up("isp", 300)  # renumbered
    budget.line_down("isp", 600)
    budget.line_down("isp", 900)
    budget.line_down("lte", 900)
    assert used(budget, "minutes", 900) == 10


def test_a_line_that_stays_up_over_midnight_is_shared_out_exactly() -> None:
    budget = at_midnight()
    budget.line_up("isp", D - 600)
    assert used(budget, "minutes", D - 1) == pytest.approx(599 / 60)
    assert used(budget, "minutes", D) == 0
    assert used(budget, "minutes", D + 300) == 5
    budget.line_down("isp", D + 300)
    assert used(budget, "minutes", D + 400) == 5
    assert used(budget, "minutes", 2 * D) == 0


def test_a_moment_up_at_midnight_is_shared_out_too() -> None:
    budget = at_midnight()
    budget.line_up("isp", D - 0.25)
    budget.line_down("isp", D + 0.5)
    assert used(budget, "minutes", D + 1) == pytest.approx(0.5 / 60)


def test_dials_and_bytes_begin_anew_at_midnight() -> None:
    budget = at_midnight()
    budget.dialled(D - 1)
    budget.add_bytes(1000, D - 1)
    budget.add_bytes(70, D)  # within the same minute as the bytes before
    budget.dialled(D)
    budget.dialled(D)
    assert rows(budget, D) == {("day", "minutes"): 0, ("day", "dials"): 2, ("day", "bytes"): 70}


# What is used up


@pytest.mark.parametrize(
    ("config", "use", "clause"),
    [
        (PER_DAY, {"minutes": 119.9}, ""),
        (PER_DAY, {"minutes": 120}, "120 of 120 minutes used today"),
        (PER_DAY, {"minutes": 131.9}, "131 of 120 minutes used today"),
        (PER_DAY, {"dials": 3}, ""),
        (PER_DAY, {"dials": 4}, "4 of 4 dials used today"),
        (PER_DAY, {"bytes": 200 * MIB - 1}, ""),
        (PER_DAY, {"bytes": 200 * MIB}, "200 of 200 MiB used today"),
        (
            BudgetConfig(per_hour=Allowance(bytes=1500)),
            {"bytes": 1501},
            "1501 of 1500 bytes used this hour",
        ),
        (
            BudgetConfig(per_month=Allowance(bytes=96 << 10)),
            {"bytes": 100 << 10},
            "100 of 96 KiB used this month",
        ),
        (
            BudgetConfig(per_month=Allowance(bytes=3 << 30)),
            {"bytes": (3 << 30) + 5},
            "3 of 3 GiB used this month",
        ),
        (BudgetConfig(per_day=Allowance(minutes=0)), {}, "0 of 0 minutes used today"),
        (BudgetConfig(per_day=Allowance(bytes=0)), {"bytes": 9}, "9 of 0 bytes used today"),
        (
            BudgetConfig(
                per_hour=Allowance(minutes=1),
                per_day=Allowance(minutes=5),
                per_month=Allowance(minutes=2),
            ),
            {"minutes": 5},
            "5 of 2 minutes used this month",  # what forbids for longest
        ),
    ],
)
def test_what_is_used_up(config: BudgetConfig, use: dict[str, float], clause: str) -> None:
    budget = at_midnight(config)
    minutes_s = use.get("minutes", 0) * 60
    if minutes_s:
        budget.line_up("isp", 12 * H - minutes_s)
    for _ in range(int(use.get("dials", 0))):
        budget.dialled(12 * H - 1)
    budget.add_bytes(int(use.get("bytes", 0)), 12 * H - 1)
    assert budget.exhausted(12 * H - 1e-7) == clause


def test_what_was_used_up_may_be_used_again_when_the_period_is_over() -> None:
    budget = at_midnight()
    ride(budget, 0, 3 * H)
    assert budget.exhausted(D - 1) == "180 of 120 minutes used today"
    assert budget.exhausted(D) == ""


def test_the_last_dial_may_be_used_to_its_end() -> None:
    budget = at_midnight()
    for _ in range(4):
        budget.dialled(0)
    budget.line_up("isp", 0)
    assert budget.exhausted(60) == "4 of 4 dials used today"
    assert budget.must_fall(60) == ""
    assert budget.must_fall(2 * H) == "120 of 120 minutes used today"
    assert at_midnight(BudgetConfig(per_day=Allowance(bytes=0))).must_fall(0) != ""


# What people are told


def test_people_are_told_once_in_each_period() -> None:
    budget = at_midnight()
    budget.line_up("isp", 0)
    assert budget.warnings(96 * 60 - 1) == []
    assert budget.warnings(96 * 60) == ["96 of 120 minutes used today"]
    assert budget.warnings(97 * 60) == budget.warnings(2 * H) == []
    assert budget.warnings(D) == []
    assert budget.warnings(D + 100 * 60) == ["100 of 120 minutes used today"]


def test_people_are_told_of_each_allowance() -> None:
    config = BudgetConfig(
        per_hour=Allowance(dials=2), per_day=Allowance(dials=4, bytes=1000), warn=0.5
    )
    budget = at_midnight(config)
    told = []
    for now in range(4):
        budget.dialled(now)
        told.append(budget.warnings(now))
    budget.add_bytes(500, 10)
    told.append(budget.warnings(10))
    assert told == [
        ["1 of 2 dials used this hour"],
        ["2 of 4 dials used today"],
        [],
        [],
        ["500 of 1000 bytes used today"],
    ]


def test_nothing_used_is_nothing_to_tell() -> None:
    budget = at_midnight(BudgetConfig(per_day=Allowance(minutes=0, dials=0)))
    assert budget.warnings(0) == []
    budget.dialled(0)
    assert budget.warnings(0) == ["1 of 0 dials used today"]


# When to ask again


@pytest.mark.parametrize(
    ("config", "script", "now", "deadline"),
    [
        (PER_DAY, [], 0, None),
        (PER_DAY, [(60, "up isp")], 60, 60 + 96 * 60),  # the warning
        (PER_DAY, [(60, "up isp")], 60 + 100 * 60, 60 + 120 * 60),
        (PER_DAY, [(60, "up isp")], 60 + 120 * 60, D),  # used up
        (PER_DAY, [(0, "up isp"), (0, "up lte")], 0, 48 * 60),
        (PER_DAY, [(0, "up isp"), (H, "down isp")], H, None),
        (PER_DAY, [(0, "up isp"), (2 * H, "down isp")], 2 * H, D),
        (PER_DAY, [(D - 600, "up isp")], D - 600, D),  # in the next day there is more to say
        (PER_DAY, [(D - 600, "up isp")], D, D + 96 * 60),
        (PER_DAY, [(5, "dial"), (5, "dial"), (5, "dial")], 5, None),
        (PER_DAY, [(5, "dial"), (5, "dial"), (5, "dial"), (5, "dial")], 5, D),
        (BudgetConfig(per_hour=Allowance(bytes=1)), [(H + 5, "bytes")], H + 5, 2 * H),
        (BudgetConfig(per_hour=Allowance(dials=9)), [(0, "up isp")], 0, None),
    ],
)
def test_when_to_ask_again(
    config: BudgetConfig, script: list[tuple[float, str]], now: float, deadline: float | None
) -> None:
    budget = at_midnight(config)
    for at, event in script:
        do(budget, event, at)
    assert budget.next_deadline(now) == (None if deadline is None else pytest.approx(deadline))


def do(budget: Budget, event: str, now: float) -> None:
    match event.split():
        case ["up", link]:
            budget.line_up(link, now)
        case ["down", link]:
            budget.line_down(link, now)
        case ["dial"]:
            budget.dialled(now)
        case ["bytes"]:
            budget.add_bytes(1000, now)
        case _:
            assert event == "wait"


@given(st.floats(0, D), st.floats(0, 3e6), st.integers(1, 3))
def test_when_a_deadline_has_come_there_is_something_to_say(
    began: float, uptime: float, lines: int
) -> None:
    """Instants are rounded; a deadline that comes a moment too early would be asked for forever."""
    start = uptime + began
    budget = Budget(PER_DAY, Calendar(BERLIN, utc("2025-06-01 22:00").timestamp() - uptime))
    for link in range(lines):
        budget.line_up(str(link), start)
    now, told = start, 0
    for _ in range(4):
        due = budget.next_deadline(now)
        assert due is not None
        assert due > now
        midnight = budget.rows(due)[0].resets_in_s == pytest.approx(D)
        told_now = bool(budget.warnings(due))
        assert midnight or told_now or budget.must_fall(due)
        now, told = due, told + told_now
    assert told


# Clocks that are set


def test_a_day_of_23_hours() -> None:
    budget = Budget(PER_DAY, calendar("2025-03-29 23:00"))
    budget.line_up("isp", 22 * H)
    assert used(budget, "minutes", 23 * H - 60) == 59
    assert used(budget, "minutes", 23 * H + 60) == 1


def test_an_hour_that_comes_twice_is_two() -> None:
    config = BudgetConfig(per_hour=Allowance(minutes=30), per_day=Allowance(minutes=999))
    budget = Budget(config, calendar("2025-10-26 00:00"))
    budget.line_up("isp", 0)
    assert rows(budget, 50 * 60) == {("hour", "minutes"): 50, ("day", "minutes"): 50}
    assert rows(budget, 70 * 60) == {("hour", "minutes"): 10, ("day", "minutes"): 70}
    assert rows(budget, 140 * 60) == {("hour", "minutes"): 20, ("day", "minutes"): 140}


def test_a_month_begins_on_the_day_of_the_plan() -> None:
    config = BudgetConfig(per_month=Allowance(minutes=999), month_day=15)
    budget = Budget(config, calendar("2025-06-14 21:00"))  # 23:00 on the 14th
    budget.line_up("isp", 0)
    assert [row.used for now in (30 * 60, 90 * 60) for row in budget.rows(now)] == [30, 30]


def test_a_router_without_a_clock_counts_what_it_used_before_it_knew_the_time() -> None:
    """It starts in 1970, dials for the time, and learns that it is ten to midnight."""
    budget = Budget(PER_DAY, Calendar(BERLIN, 0.0))
    budget.load(
        [Use(utc("2025-06-02 10:00").timestamp(), utc("2025-06-02 11:00").timestamp(), 7)], 0
    )
    budget.dialled(100)
    budget.line_up("isp", 110)
    budget.add_bytes(5, 150)
    assert rows(budget, 170) == {("day", "minutes"): 1, ("day", "dials"): 1, ("day", "bytes"): 5}
    budget.set_calendar(Calendar(BERLIN, utc("2025-06-02 21:50").timestamp() - 170))
    assert rows(budget, 170) == {("day", "minutes"): 61, ("day", "dials"): 2, ("day", "bytes"): 12}
    assert rows(budget, 770) == {("day", "minutes"): 0, ("day", "dials"): 0, ("day", "bytes"): 0}


def test_a_clock_that_is_put_right_by_seconds_changes_no_total() -> None:
    budget = at_midnight()
    ride(budget, 0, 100 * 60)
    assert budget.warnings(100 * 60) != []
    before = rows(budget, 2 * H)
    budget.set_calendar(Calendar(BERLIN, utc("2025-06-01 22:00").timestamp() + 5))
    assert rows(budget, 2 * H) == before
    assert budget.rows(2 * H)[0].resets_in_s == 22 * H - 5
    assert budget.warnings(2 * H) == []  # they have been told


def test_bytes_are_to_a_minute_when_the_clock_has_been_set() -> None:
    budget = at_midnight()
    for now in range(0, 600, 10):
        budget.add_bytes(1, now)
    budget.set_calendar(Calendar(BERLIN, utc("2025-06-01 21:55").timestamp()))
    assert used(budget, "bytes", 600) == 30


def test_bytes_of_one_minute_stay_in_their_hours() -> None:
    limits = Allowance(bytes=9999)
    budget = at_midnight(BudgetConfig(per_hour=limits, per_day=limits, per_month=limits))
    budget.add_bytes(1000, H - 1)
    budget.add_bytes(70, H)
    budget.load([], H)
    assert [row.used for row in budget.rows(H)] == [70, 1070, 1070]


def test_nothing_of_the_longest_month_is_forgotten_when_the_clock_is_set() -> None:
    budget = Budget(BudgetConfig(per_month=Allowance(dials=9999)), calendar("2024-12-31 23:00"))
    for day in range(31):
        budget.dialled(day * D + 60)
    assert budget.rows(31 * D - 1)[0].used == 31
    budget.set_calendar(calendar("2024-12-31 22:59"))
    assert budget.rows(31 * D - 1)[0].used == 31


def test_what_is_older_is_forgotten() -> None:
    budget = at_midnight()
    for hour in range(100 * 24):
        ride(budget, hour * H, hour * H + 60)
        for second in range(60):
            budget.add_bytes(1, hour * H + 60 + second / 2)
    hours_of_a_month = 32 * 24 + 1
    assert footprint(budget)["._records"] <= hours_of_a_month * 3


# What the ledger knows


def epoch(text: str) -> float:
    return utc(text).timestamp()


LEDGER = [
    Use(epoch("2025-06-01 21:30"), epoch("2025-06-01 22:30"), 1000),  # over midnight
    Use(epoch("2025-06-02 05:00"), epoch("2025-06-02 05:10"), 50),
    Use(epoch("2025-06-02 06:00"), epoch("2025-06-02 06:00"), 0),  # it never came up
    Use(epoch("2025-05-20 06:00"), epoch("2025-05-20 07:00"), 9999),
]


def test_the_ledger_brings_back_what_former_runs_used() -> None:
    budget = Budget(PER_DAY, calendar("2025-06-02 08:00"))
    budget.load(LEDGER, 0)
    expected = {("day", "minutes"): 40, ("day", "dials"): 2, ("day", "bytes"): 550}
    assert rows(budget, 0) == expected
    budget.load(LEDGER, 60)  # again: in place of what it said before
    assert rows(budget, 60) == expected
    budget.load([], 60)
    assert set(rows(budget, 60).values()) == {0}


def test_the_ledger_may_come_late() -> None:
    budget = Budget(PER_DAY, calendar("2025-06-02 08:00"))
    ride(budget, 0, 300)
    budget.add_bytes(3, 300)
    budget.line_up("isp", 300)
    budget.load(LEDGER, 600)
    assert rows(budget, 660) == {("day", "minutes"): 51, ("day", "dials"): 3, ("day", "bytes"): 553}


def test_bytes_of_an_instant_in_the_ledger_are_of_that_instant() -> None:
    budget = Budget(PER_DAY, calendar("2025-06-02 08:00"))
    set_back = Use(epoch("2025-06-02 05:00"), epoch("2025-06-02 04:00"), 60)
    budget.load([set_back, Use(epoch("2025-06-01 22:00"), epoch("2025-06-01 22:00"), 7)], 0)
    assert rows(budget, 0) == {("day", "minutes"): 0, ("day", "dials"): 2, ("day", "bytes"): 67}


def test_what_the_ledger_has_of_tomorrow_is_of_tomorrow() -> None:
    """The clock was ahead when it was written."""
    budget = Budget(PER_DAY, calendar("2025-06-02 08:00"))
    budget.load([Use(epoch("2025-06-02 22:00"), epoch("2025-06-02 22:10"), 7)], 0)
    assert set(rows(budget, 0).values()) == {0}
    assert rows(budget, 14 * H) == {
        ("day", "minutes"): 10,
        ("day", "dials"): 1,
        ("day", "bytes"): 7,
    }


def test_what_people_were_told_by_a_former_run_they_are_not_told_again() -> None:
    hours = [Use(epoch("2025-06-02 05:00"), epoch("2025-06-02 06:40"), 0)]
    budget = Budget(PER_DAY, calendar("2025-06-02 08:00"))
    budget.load(hours, 0)
    assert budget.warnings(0) == []
    assert Budget(PER_DAY, calendar("2025-06-02 08:00")).warnings(0) == []


def test_what_becomes_too_much_with_what_former_runs_used_is_told() -> None:
    budget = Budget(PER_DAY, calendar("2025-06-02 08:00"))
    budget.line_up("isp", 0)
    budget.load([Use(epoch("2025-06-02 05:00"), epoch("2025-06-02 06:30"), 0)], 300)
    assert budget.warnings(360) == ["96 of 120 minutes used today"]


def test_it_is_used_up_by_former_runs_too() -> None:
    budget = Budget(PER_DAY, calendar("2025-06-02 08:00"))
    budget.load([Use(epoch("2025-06-02 05:00"), epoch("2025-06-02 07:00"), 0)], 0)
    assert budget.exhausted(0) == "120 of 120 minutes used today"
    assert budget.next_deadline(0) == 14 * H


# Against a meter that is read every minute

STARTS = [
    ("Europe/Berlin", "2025-03-29 20:00"),
    ("Europe/Berlin", "2025-10-25 20:00"),
    ("Europe/Berlin", "2024-12-31 12:00"),
    ("America/Havana", "2025-03-08 22:00"),
    ("America/Havana", "2025-11-01 22:00"),
    ("America/Santiago", "2025-04-05 20:00"),
    ("Asia/Kathmandu", "2025-06-14 12:00"),
    ("Pacific/Apia", "2011-12-29 20:00"),
]
MONTH_DAY = 15


@cache
def periods(zone: str, start: str, minute: int) -> tuple[tuple[object, ...], ...]:
    """Return what the clocks and the calendar on the wall say in a minute: hour, day, month."""
    shown = (utc(start) + minute * MINUTE).astimezone(ZoneInfo(zone))
    month = shown.year * 12 + shown.month - (shown.day < MONTH_DAY)
    return (
        ("hour", shown.date(), shown.hour, shown.utcoffset()),
        ("day", shown.date()),
        ("month", month),
    )


class Meter:
    """Counts into the period of each minute what the lines that are up use in it."""

    def __init__(self, zone: str, start: str) -> None:
        self._place = (zone, start)
        self._used: Counter[tuple[object, str]] = Counter()
        self.up: set[str] = set()
        self.minute = 0

    def count(self, what: str, amount: int) -> None:
        for period in periods(*self._place, self.minute):
            self._used[period, what] += amount

    def pass_minute(self) -> None:
        self.count("minutes", len(self.up))
        self.minute += 1

    def used(self) -> dict[tuple[str, str], float]:
        return {
            (str(period[0]), what): self._used[period, what]
            for period in periods(*self._place, self.minute)
            for what in ("minutes", "dials", "bytes")
        }


LIMITS = {
    ("hour", "minutes"): 40, ("hour", "dials"): 2, ("hour", "bytes"): 3000,
    ("day", "minutes"): 300, ("day", "dials"): 4, ("day", "bytes"): 5000,
    ("month", "minutes"): 900, ("month", "dials"): 6, ("month", "bytes"): 8000,
}  # fmt: skip
LIMITED = BudgetConfig(
    Allowance(40, 2, 3000), Allowance(300, 4, 5000), Allowance(900, 6, 8000), month_day=MONTH_DAY
)
_waits = st.sampled_from([0, 1, 5, 30, 59, 60, 61, 240, 600, 1440])
_events = st.sampled_from(["up a", "up a", "up b", "down a", "down b", "dial", "bytes", "wait"])
_scripts = st.lists(st.tuples(_waits, _events), max_size=15)


def is_used_up(meter: Meter) -> bool:
    return any(meter.used()[key] >= limit for key, limit in LIMITS.items())


@given(st.sampled_from(STARTS), _scripts)
def test_it_counts_what_a_meter_counts(
    place: tuple[str, str], script: Sequence[tuple[int, str]]
) -> None:
    zone, start = place
    meter, budget = Meter(zone, start), Budget(LIMITED, calendar(start, ZoneInfo(zone)))
    for wait, event in [*script, (61, "wait")]:
        now = meter.minute * 60.0
        due, before = budget.next_deadline(now), is_used_up(meter)
        for _ in range(wait):
            meter.pass_minute()
            if is_used_up(meter) is not before:
                assert due is not None
                assert due <= meter.minute * 60.0  # never too late to ask
        now = meter.minute * 60.0
        do(budget, event, now)
        enter(meter, event)
        assert rows(budget, now) == pytest.approx(meter.used())
        assert bool(budget.exhausted(now)) is is_used_up(meter)


def enter(meter: Meter, event: str) -> None:
    match event.split():
        case ["up", link]:
            meter.up.add(link)
        case ["down", link]:
            meter.up.discard(link)
        case ["dial"]:
            meter.count("dials", 1)
        case ["bytes"]:
            meter.count("bytes", 1000)


@given(
    st.sampled_from(STARTS),
    st.lists(st.tuples(_waits, st.sampled_from([0, 1, 30, 120, 700])), max_size=8),
    st.integers(0, 8),
)
def test_a_restart_loses_nothing(
    place: tuple[str, str], rides: Sequence[tuple[int, int]], before: int
) -> None:
    """What runs after the restart is counted, what ran before comes from the ledger."""
    zone, start = place
    meter, ledger, later = Meter(zone, start), [], []
    began_s = utc(start).timestamp()
    for number, (wait, length) in enumerate(rides):
        for _ in range(wait):
            meter.pass_minute()
        began = meter.minute
        meter.count("dials", 1)
        meter.up.add("isp")
        for _ in range(length):
            meter.pass_minute()
        meter.up.clear()
        if number < before:
            ledger.append(Use(began_s + began * 60, began_s + meter.minute * 60, 0))
        else:
            later.append((began * 60.0, meter.minute * 60.0))
    budget = Budget(LIMITED, calendar(start, ZoneInfo(zone)))
    budget.load(ledger[::-1], later[0][0] if later else meter.minute * 60.0)
    for ride_began, ride_ended in later:
        ride(budget, ride_began, ride_ended)
    assert rows(budget, meter.minute * 60.0) == pytest.approx(meter.used())
