"""The breaker: its table, and scripts of attempts and what they came to."""

from dataclasses import replace

import pytest

from router.link.breaker import TRANSITIONS, Breaker, BreakerEvent, BreakerState
from router.link.types import BreakerConfig

TRANSCRIPTION = """
            TRIPPED  RESTED     USEFUL  FUTILE  RESET
closed      open     closed     closed  closed  closed
open        open     half-open  open    open    closed
half-open   open     half-open  closed  open    closed
"""
CONFIG = BreakerConfig(failures=3, useless=2, dials_per_hour=6, rest_s=600)
OFF = BreakerConfig(failures=0, useless=0, dials_per_hour=0, rest_s=600)
CLOSED, OPEN, HALF_OPEN = BreakerState


def test_the_whole_table_is_as_transcribed() -> None:
    head, *rows = TRANSCRIPTION.strip().splitlines()
    transcribed = {
        (name, event): after
        for name, *cells in (row.split() for row in rows)
        for event, after in zip(head.split(), cells, strict=True)
    }
    found = {
        (name_of(before), event.name): name_of(after)
        for before, row in TRANSITIONS.items()
        for event, after in row.items()
    }
    assert found == transcribed
    assert len(found) == len(BreakerState) * len(BreakerEvent)


def name_of(state: BreakerState) -> str:
    return state.name.lower().replace("_", "-")


def play(script: str, config: BreakerConfig = CONFIG) -> Breaker:
    """Return a breaker after a script of attempts, each as long after the one before as it says.

    `60 failed` is an attempt that begins after 60 seconds and fails in the same moment; `dialled`
    only begins.
    """
    breaker, now = Breaker(config), 0.0
    for step in script.split(", "):
        after_s, event = step.split()
        now += float(after_s)
        do(breaker, event, now)
    return breaker


def do(breaker: Breaker, event: str, now: float) -> None:
    if event == "reset":
        breaker.reset(now)
        return
    breaker.dialled(now)
    if event == "failed":
        breaker.failed(now)
    elif event in ("useful", "useless"):
        breaker.ended(now, event == "useful")
    else:
        assert event == "dialled"


@pytest.mark.parametrize(
    ("script", "state"),
    [
        ("0 failed, 30 failed", CLOSED),
        ("0 failed, 30 failed, 60 failed", OPEN),
        ("0 failed, 30 failed, 60 useful, 30 failed, 60 failed", CLOSED),  # no row of three
        ("0 failed, 30 failed, 60 useless, 30 failed, 60 failed", CLOSED),
        ("0 failed, 30 failed, 30 reset, 30 failed, 60 failed", CLOSED),
        ("0 useless", CLOSED),
        ("0 useless, 300 useless", OPEN),
        ("0 useless, 300 failed, 300 useless", OPEN),  # what failed was no rise
        ("0 useless, 300 useful, 300 useless", CLOSED),
        ("0 useless, 300 reset, 300 useless", CLOSED),
        ("0 useful, 60 useful, 60 useful, 60 useful, 60 useful", CLOSED),
        ("0 useful, 60 useful, 60 useful, 60 useful, 60 useful, 3359 dialled", OPEN),
        ("0 useful, 60 useful, 60 useful, 60 useful, 60 useful, 3360 dialled", CLOSED),
        ("0 useful, 60 useful, 60 useful, 60 reset, 60 useful, 60 useful, 60 useful", CLOSED),
        # after the rest, one attempt decides
        ("0 useless, 0 useless, 600 dialled", HALF_OPEN),
        ("0 useless, 0 useless, 600 useful", CLOSED),
        ("0 useless, 0 useless, 600 useless", OPEN),
        ("0 useless, 0 useless, 600 failed", OPEN),
        ("0 useless, 0 useless, 600 useful, 60 useless", CLOSED),
        ("0 useless, 0 useless, 600 failed, 600 dialled", HALF_OPEN),
        ("0 useless, 0 useless, 600 failed, 60 reset", CLOSED),
        ("0 useless, 0 useless, 600 dialled, 60 reset", CLOSED),
        # what was under way when it tripped changes nothing
        ("0 useless, 0 useless, 60 useful", OPEN),
        ("0 useless, 0 useless, 60 failed", OPEN),
        # a line that comes and goes without an end that says anything
        ("0 useless, 0 useless, 600 dialled, 9 dialled, 9 dialled, 9 dialled", OPEN),
    ],
)
def test_what_trips_it_and_what_closes_it(script: str, state: BreakerState) -> None:
    assert play(script).state is state


@pytest.mark.parametrize(
    "script",
    [", ".join(["1 failed"] * 100), ", ".join(["1 useless"] * 100), ", ".join(["1 useful"] * 100)],
)
def test_each_condition_can_be_switched_off(script: str) -> None:
    breaker = play(script, OFF)
    assert breaker.state is CLOSED
    assert breaker.blocked(100) == ""
    assert breaker.next_deadline() is None


@pytest.mark.parametrize(
    ("on", "script", "state"),
    [
        ("failures", "0 failed, 0 failed, 0 failed", OPEN),
        ("useless", "0 useless, 0 useless", OPEN),
        ("dials_per_hour", "0 useful, 0 useful, 0 useful, 0 useful, 0 useful, 0 useful", OPEN),
        ("failures", "0 useless, 0 useless", CLOSED),
        ("useless", "0 failed, 0 failed, 0 failed", CLOSED),
    ],
)
def test_each_condition_works_alone(on: str, script: str, state: BreakerState) -> None:
    config = replace(OFF, **{on: getattr(CONFIG, on)})
    assert play(script, config).state is state


@pytest.mark.parametrize(
    ("script", "now", "clause"),
    [
        ("0 failed, 0 failed", 0, ""),
        (
            "0 failed, 0 failed, 0 failed",
            8,
            "3 attempts failed in a row; next try in 9m52s, or by postroad up",
        ),
        (
            "0 useless, 0 useless",
            0.5,
            "2 rises in a row answered nothing; next try in 10m, or by postroad up",
        ),
        (
            "0 useful, 0 useful, 0 useful, 0 useful, 0 useful, 0 dialled",
            599.5,
            "6 dials within an hour; next try in 1s, or by postroad up",
        ),
        (
            "0 failed, 0 failed, 0 failed, 600 failed",
            600,
            "4 attempts failed in a row; next try in 10m, or by postroad up",
        ),
        (
            "0 useless, 0 useless, 600 failed",
            600,
            "the last attempt failed; next try in 10m, or by postroad up",
        ),
        (
            "0 failed, 0 failed, 0 failed, 600 useless",
            600,
            "the last rise answered nothing; next try in 10m, or by postroad up",
        ),
        ("0 useless, 0 useless", 600, ""),
        ("0 useless, 0 useless, 600 dialled", 700, ""),
        ("0 useless, 0 useless, 10 reset", 10, ""),
    ],
)
def test_why_nothing_may_dial(script: str, now: float, clause: str) -> None:
    assert play(script).blocked(now) == clause


def test_the_rest_is_a_deadline() -> None:
    breaker = play("0 useless, 5 useless")
    assert breaker.next_deadline() == 605
    breaker.handle_timer(604.9)
    assert breaker.state is OPEN
    breaker.handle_timer(605)
    assert breaker.state is HALF_OPEN
    assert breaker.next_deadline() is None


def test_the_rest_begins_anew_after_the_attempt_that_was_let_through() -> None:
    assert play("0 useless, 0 useless, 700 failed").next_deadline() == 1300


def test_what_fails_during_the_rest_does_not_make_it_longer() -> None:
    assert play("0 useless, 0 useless, 60 failed").next_deadline() == 600


def test_an_attempt_may_outlast_the_rest() -> None:
    """It was under way when the breaker tripped; as it ends only now, it is the one that counts."""
    breaker = play("0 useless, 0 useless")
    breaker.failed(700)
    assert breaker.next_deadline() == 1300
    breaker.ended(1400, useful=True)
    assert breaker.state is CLOSED


@pytest.mark.parametrize(
    ("on", "script"),
    [("failures", "0 failed"), ("useless", "0 useless"), ("dials_per_hour", "0 dialled")],
)
def test_one_may_be_too_many(on: str, script: str) -> None:
    assert play(script, replace(OFF, **{on: 1})).state is OPEN


def test_people_are_told_once_of_each_trip() -> None:
    breaker = play("0 failed, 0 failed, 0 failed")
    told = (
        "automatic dialling stops: 3 attempts failed in a row; next try in 10m, or by postroad up"
    )
    assert [breaker.take_trip(), breaker.take_trip()] == [told, ""]
    do(breaker, "failed", 600)
    assert breaker.state is OPEN
    assert breaker.take_trip() == ""  # no news
    do(breaker, "useful", 1200)
    do(breaker, "useless", 5000)
    do(breaker, "useless", 5000)
    assert breaker.take_trip().startswith("automatic dialling stops: 2 rises in a row")


def test_a_trip_that_nobody_has_been_told_of_is_not_forgotten_while_it_rests() -> None:
    breaker = play("0 useless, 0 useless")
    assert breaker.blocked(600) == ""
    assert breaker.take_trip() != ""


def test_who_raises_the_line_by_hand_need_not_be_told() -> None:
    assert play("0 useless, 0 useless, 0 reset").take_trip() == ""


def test_the_charge_unit_disaster() -> None:
    """A night of a host that dials every minute for nothing costs ten attempts, not 600."""
    breaker, attempts = Breaker(BreakerConfig()), 0
    for minute in range(600):
        now = minute * 60.0
        if not breaker.blocked(now):
            do(breaker, "failed", now)
            attempts += 1
    assert attempts == 10 + 9
