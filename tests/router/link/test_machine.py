"""One link: its table against the documents, and its life in scripts of events and signals."""

from math import inf
from pathlib import Path
from random import Random
from typing import Any

import pytest

from router.link.machine import TRANSITIONS, Act, Event, LinkMachine
from router.link.messages import (
    Addressed,
    Closed,
    Connected,
    Dial,
    Failed,
    HangUp,
    Lost,
    Rise,
    Signal,
    StateChange,
    Trigger,
    Warned,
)
from router.link.types import Cause, Ending, LinkConfig, RedialConfig, State
from router.wire.address import parse_address

STEADY = RedialConfig(jitter=0.0)
ALICE = Trigger(Cause.DEMAND, "alice", packet="tcp alice -> www", rule="accept tcp")
BOSS = Trigger(Cause.USER, "boss", "boss asked for it")
ADDRESS, OTHER = parse_address("203.0.113.2"), parse_address("203.0.113.77")


def a_machine(**options: Any) -> LinkMachine:
    return LinkMachine(LinkConfig("isp", redial=STEADY, **options), rng=Random(1), now=0.0)


def said(signal: Signal) -> str:
    if isinstance(signal, Dial):
        return f"dial {signal.attempt}"
    if isinstance(signal, HangUp):
        return f"hang up {signal.attempt}, {signal.ending.value}"
    if isinstance(signal, StateChange):
        return f"{signal.former.value} > {signal.state.value}"
    if isinstance(signal, Warned):
        return f"people are told: {signal.what}"
    assert isinstance(signal, Rise)
    if signal.ending is not None:
        return f"rise {signal.attempt} ends, {signal.ending.value}"
    return f"rise {signal.attempt} {'is up' if signal.up_at is not None else 'begins'}"


def told(machine: LinkMachine) -> list[str]:
    return [said(signal) for signal in machine.take_signals()]


def raised(now: float = 0.0, **options: Any) -> LinkMachine:
    """A machine whose first attempt is up since `now`."""
    machine = a_machine(**options)
    machine.raise_(ALICE, now)
    machine.handle(Addressed("isp", 1, ADDRESS, 1500), now)
    machine.take_signals()
    return machine


def test_the_table_is_the_one_in_the_architecture() -> None:
    text = (Path(__file__).parents[3] / "ARCHITECTURE.md").read_text()
    lines = text.split("<!-- link-table:begin -->")[1].split("<!-- link-table:end -->")[0]
    header, _, *rows = [
        [cell.strip() for cell in line.strip("| ").split("|")] for line in lines.strip().split("\n")
    ]
    written = {
        (row[0], event): cell
        for row in rows
        for event, cell in zip(header[1:], row[1:], strict=True)
    }
    in_force = {}
    for state in State:
        for event in Event:
            after, act = TRANSITIONS[state][event]
            cell = "." if after is state else after.value
            in_force[state.value, event.value] = cell + (f" / {act.value}" if act.value else "")
    assert written == in_force


def test_every_state_has_every_event() -> None:
    assert {state: set(row) for state, row in TRANSITIONS.items()} == {
        state: set(Event) for state in State
    }


def test_acts_go_with_entering_the_state_they_cause() -> None:
    for state, row in TRANSITIONS.items():
        for after, act in row.values():
            entered = after if after is not state else None
            assert (act is Act.DIAL) == (entered is State.DIALING)
            assert (act is Act.HANG_UP) == (entered is State.HANGING_UP)


def test_a_rise_from_the_first_packet_to_the_idle_drop() -> None:
    machine = a_machine()
    machine.raise_(ALICE, 10.0)
    assert told(machine) == ["rise 1 begins", "DORMANT > DIALING", "dial 1"]
    machine.handle(Connected("isp", 1), 15.0)
    assert told(machine) == ["DIALING > NEGOTIATING"]
    machine.handle(Addressed("isp", 1, ADDRESS, 1400), 16.0)
    assert told(machine) == ["rise 1 is up", "NEGOTIATING > UP"]
    assert (machine.address, machine.mtu) == (ADDRESS, 1400)
    machine.drop(Ending.IDLE, 300.0, by="idle timer")
    assert told(machine) == ["UP > HANGING_UP", "hang up 1, idle"]
    assert machine.address is None
    machine.handle(Closed("isp", 1), 301.0)
    assert told(machine) == ["rise 1 ends, idle", "HANGING_UP > DORMANT"]
    assert machine.next_deadline() == inf


def test_the_whole_dial_has_one_timer() -> None:
    machine = a_machine(dial_timeout_s=60.0)
    machine.raise_(ALICE, 0.0)
    machine.handle(Connected("isp", 1), 50.0)
    assert machine.next_deadline() == 60.0
    machine.handle_timer(60.0)
    assert told(machine)[-2:] == ["NEGOTIATING > HANGING_UP", "hang up 1, timed out"]
    machine.handle(Closed("isp", 1), 61.0)
    assert told(machine) == ["rise 1 ends, timed out", "HANGING_UP > HOLDOFF"]
    assert machine.failures == 1


def test_a_backend_that_does_not_hang_up_is_taken_for_gone() -> None:
    machine = raised(hang_up_timeout_s=15.0)
    machine.drop(Ending.USER, 100.0, by="boss")
    assert machine.next_deadline() == 115.0
    machine.handle_timer(115.0)
    assert machine.state is State.DORMANT


def test_failures_rest_longer_and_longer_and_success_ends_the_row() -> None:
    machine, now, rests = a_machine(), 0.0, []
    for attempt in range(1, 8):
        machine.raise_(ALICE, now)
        machine.handle(Failed("isp", attempt, "busy"), now)
        assert machine.state is State.HOLDOFF
        rests.append(machine.next_deadline() - now)
        now = machine.next_deadline()
        machine.handle_timer(now)
        assert machine.state is State.DORMANT
    assert rests == [30.0, 60.0, 120.0, 240.0, 480.0, 600.0, 600.0]
    machine.raise_(ALICE, now)
    machine.handle(Addressed("isp", 8, ADDRESS, 1500), now)
    assert machine.failures == 0


def refuse(machine: LinkMachine, now: float) -> None:
    machine.handle(Failed("isp", machine.attempt, "login refused: wrong", is_refusal=True), now)


def test_a_refused_login_is_a_failure_of_its_own_kind_and_the_last_is_told_to_people() -> None:
    machine = a_machine()
    machine.raise_(ALICE, 0.0)
    machine.take_signals()
    refuse(machine, 1.0)
    assert told(machine) == ["rise 1 ends, refused", "DIALING > HOLDOFF"]
    assert (machine.failures, machine.refusal, machine.next_deadline()) == (1, "", 31.0)
    machine.raise_(ALICE, 31.0)
    machine.take_signals()
    refuse(machine, 32.0)
    refusal = "login refused: wrong; left to people: postroad up isp"
    assert machine.refusal == refusal
    assert told(machine) == [
        "rise 2 ends, refused",
        "DIALING > HOLDOFF",
        f"people are told: isp stays down, {refusal}",
    ]


@pytest.mark.parametrize(
    ("refusals", "events", "is_refused"),
    [
        (2, "refused", False),
        (2, "refused refused", True),
        (2, "refused engaged engaged refused", True),
        (2, "refused up refused", False),
        (2, "refused forgiven refused", False),
        (2, "refused refused forgiven", False),
        (2, "refused refused up", False),
        (2, "refused forgiven refused refused", True),
        (1, "refused", True),
        (1, "engaged", False),
        (3, "refused refused", False),
        (3, "refused refused refused", True),
        (0, "refused refused refused refused", False),
    ],
)
def test_which_rows_of_refusals_leave_a_link_to_people(
    refusals: int, events: str, is_refused: bool
) -> None:
    machine = a_machine(refusals=refusals, dead_after=100)
    for now, event in enumerate(events.split()):
        if event == "forgiven":
            machine.forgive()
            continue
        machine.raise_(ALICE, now)
        match event:
            case "refused":
                refuse(machine, now)
            case "engaged":
                machine.handle(Failed("isp", machine.attempt, "engaged"), now)
            case "up":
                machine.handle(Addressed("isp", machine.attempt, ADDRESS, 1500), now)
                machine.handle(Lost("isp", machine.attempt, "gone"), now)
    assert (bool(machine.refusal), machine.is_dead) == (is_refused, is_refused)


def test_a_refusal_counts_when_nobody_waits_for_the_attempt_any_more() -> None:
    machine = a_machine(refusals=1)
    machine.raise_(ALICE, 0.0)
    machine.handle_timer(60.0)
    machine.take_signals()
    refuse(machine, 60.5)
    assert machine.refusal
    assert told(machine)[0] == "rise 1 ends, timed out"


def test_a_refusal_of_an_attempt_that_has_ended_does_not_count() -> None:
    machine = a_machine(refusals=2)
    machine.raise_(ALICE, 0.0)
    refuse(machine, 1.0)
    refuse(machine, 2.0)
    assert machine.refusal == ""


@pytest.mark.parametrize(
    "ending",
    [Ending.IDLE, Ending.USER, Ending.SESSION_LIMIT, Ending.BUDGET, Ending.REPLACED],
)
def test_what_falls_on_purpose_does_not_rest(ending: Ending) -> None:
    machine = raised()
    machine.drop(ending, 50.0, by="somebody")
    machine.handle(Closed("isp", 1), 51.0)
    assert machine.state is State.DORMANT


def test_a_lost_carrier_rests_for_a_moment_and_comes_back_if_it_was_in_use() -> None:
    machine = raised()
    machine.handle(Lost("isp", 1, "no carrier"), 50.0, reconnect=True)
    assert told(machine) == ["rise 1 ends, carrier lost", "UP > HOLDOFF"]
    assert machine.next_deadline() == 53.0
    assert machine.is_on_its_way
    machine.handle_timer(53.0)
    assert machine.wanted is not None
    assert machine.wanted.cause is Cause.RECONNECT


def test_a_lost_line_nobody_used_stays_down() -> None:
    machine = raised()
    machine.handle(Lost("isp", 1, "no carrier"), 50.0)
    assert not machine.is_on_its_way


@pytest.mark.parametrize(
    ("first", "who"),
    [
        (ALICE, "alice had raised it"),
        (BOSS, "boss had raised it"),
        (Trigger(Cause.USER), "somebody had raised it"),
        (Trigger(Cause.LEASE, "m1", "mail"), "the lease m1 had raised it"),
        (Trigger(Cause.PERMANENT, "configuration"), "the router had raised it"),
        (Trigger(Cause.RECOVERY, "failover"), "the router had raised it"),
    ],
)
def test_a_reconnect_is_the_routers_and_tells_who_raised_the_line_first(
    first: Trigger, who: str
) -> None:
    machine, why = a_machine(), f"the line was in use when it was lost; {who}"
    machine.raise_(first, 0.0)
    for attempt, now in ((1, 50.0), (2, 100.0), (3, 150.0)):
        machine.handle(Addressed("isp", attempt, ADDRESS, 1500), now)
        machine.handle(Lost("isp", attempt, "no carrier"), now + 1, reconnect=True)
        assert machine.wanted == Trigger(Cause.RECONNECT, "the router", why)
        machine.raise_(machine.wanted, now + 4)


def test_a_reconnect_of_what_was_found_up_says_so() -> None:
    machine = a_machine()
    machine.handle(Addressed("isp", 0, ADDRESS, 1500), 0.0)
    machine.handle(Lost("isp", 1, "no carrier"), 50.0, reconnect=True)
    assert machine.wanted is not None
    assert machine.wanted.why == "the line was in use when it was lost; it had been found up"


def test_who_raises_it_after_a_reconnect_is_who_had_raised_it_at_the_next() -> None:
    machine = raised()
    machine.handle(Lost("isp", 1, "no carrier"), 50.0, reconnect=True)
    machine.raise_(BOSS, 51.0)
    machine.handle(Addressed("isp", 2, ADDRESS, 1500), 55.0)
    machine.handle(Lost("isp", 2, "no carrier"), 60.0, reconnect=True)
    assert machine.wanted is not None
    assert machine.wanted.why.endswith("; boss had raised it")


@pytest.mark.parametrize(
    "late",
    [
        Connected("isp", 1),
        Addressed("isp", 1, ADDRESS, 1500),
        Failed("isp", 1, "busy"),
        Lost("isp", 1, "gone"),
        Closed("isp", 1),
    ],
    ids=lambda report: type(report).__name__,
)
def test_reports_of_a_former_attempt_change_nothing(late: Any) -> None:
    machine = a_machine()
    machine.raise_(ALICE, 0.0)
    machine.handle(Failed("isp", 1, "busy"), 1.0)
    machine.raise_(BOSS, 2.0)  # a person does not wait for the rest to end
    machine.take_signals()
    machine.handle(late, 3.0)
    assert (machine.state, told(machine)) == (State.DIALING, [])


def test_asked_for_while_hanging_up_it_is_raised_again_when_down() -> None:
    machine = raised()
    machine.drop(Ending.IDLE, 50.0, by="idle timer")
    machine.raise_(ALICE, 50.5)
    assert machine.is_on_its_way
    machine.handle(Closed("isp", 1), 51.0)
    assert (machine.state, machine.wanted) == (State.DORMANT, ALICE)


def test_a_failed_attempt_that_hangs_up_is_not_wanted_again() -> None:
    machine = a_machine()
    machine.raise_(ALICE, 0.0)
    machine.handle_timer(60.0)
    machine.raise_(ALICE, 60.5)
    assert not machine.is_on_its_way


def test_found_up_it_is_believed_and_gets_an_account() -> None:
    machine = a_machine()
    machine.handle(Addressed("isp", 0, ADDRESS, 1500), 5.0)
    assert told(machine) == ["rise 1 is up", "DORMANT > UP"]
    assert machine.cause is Cause.FOUND


def test_renumbered_while_up_it_tells_and_stays() -> None:
    machine = raised()
    machine.handle(Addressed("isp", 1, OTHER, 1500), 50.0)
    assert told(machine) == ["rise 1 is up", "UP > UP"]
    assert machine.reason == "renumbered to 203.0.113.77"
    machine.handle(Addressed("isp", 1, OTHER, 1500), 51.0)
    assert told(machine) == []


@pytest.mark.parametrize(
    ("options", "asked_at", "falls_at"),
    [
        ({}, 20.0, 180.0),  # the grace after coming up: the idle timeout
        ({}, 500.0, 500.0),
        ({"idle_timeout_s": 0.0}, 500.0, inf),
        ({"min_up_s": 600.0}, 500.0, 600.0),
        ({"billing_unit_s": 3600.0}, 500.0, 3595.0),  # 5 s before the next hour is begun
        ({"billing_unit_s": 3600.0}, 3597.0, 3597.0),  # in the margin: now
        ({"billing_unit_s": 3600.0}, 3601.0, 7195.0),  # begun, so paid for
        ({"billing_unit_s": 20.0}, 301.0, 318.0),  # a tenth, where units are short
        ({"billing_unit_s": 60.0, "min_up_s": 90.0}, 10.0, 235.0),
    ],
)
def test_when_an_idle_line_falls(
    options: dict[str, float], asked_at: float, falls_at: float
) -> None:
    assert raised(**options).falls_at(asked_at) == pytest.approx(falls_at)


def test_the_grace_is_that_of_the_rule_that_raised_it() -> None:
    machine = a_machine()
    machine.raise_(Trigger(Cause.DEMAND, "alice", grace_s=30.0), 0.0)
    machine.handle(Addressed("isp", 1, ADDRESS, 1500), 10.0)
    assert machine.falls_at(11.0) == 40.0


def test_the_longest_session_ends_whatever_holds_it() -> None:
    machine = raised(max_session_s=3600.0)
    assert machine.next_deadline() == 3600.0
    machine.handle_timer(3600.0)
    assert told(machine) == ["UP > HANGING_UP", "hang up 1, session limit"]


def test_blocked_it_is_disabled_only_while_down() -> None:
    machine = raised()
    machine.block("outside its hours", 50.0)
    assert machine.state is State.UP
    machine.drop(Ending.USER, 60.0, by="boss")
    machine.handle(Closed("isp", 1), 61.0)
    machine.block("outside its hours", 61.0)
    assert (machine.state, machine.reason) == (State.DISABLED, "outside its hours")
    machine.raise_(BOSS, 70.0)
    assert machine.state is State.DIALING


def test_packets_are_accounted_for_while_it_lives_and_after() -> None:
    machine = raised()
    machine.account(held=3, waited_s=5.5)
    machine.drop(Ending.USER, 50.0, by="boss")
    machine.handle(Closed("isp", 1), 51.0)
    machine.account(lost=2)
    last = [signal for signal in machine.take_signals() if isinstance(signal, Rise)][-1]
    assert (last.held, last.lost, last.waited_s, last.ending) == (3, 2, 5.5, Ending.USER)


def test_shutting_down_ends_the_rise() -> None:
    machine = raised()
    machine.shut_down(50.0)
    assert told(machine)[0] == "rise 1 ends, router stopped"
    machine.shut_down(51.0)
    assert told(machine) == []
