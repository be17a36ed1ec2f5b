"""Who may use a line, when, for how long and how much: scripts of events and effects."""

import pytest

from router.link.types import (
    Action,
    Allowance,
    BreakerConfig,
    BudgetConfig,
    Cause,
    Ending,
    HostRight,
    LinkConfig,
    Mode,
    Right,
    ScheduleEntry,
    Span,
)
from router.wire.address import parse_address
from tests.lab.provider import STEADY, FakeProvider, Office, Up, policy
from tests.simulation.talks import ALICE, BOB, CAROL, MAIL, ROUTER, WEB, ask_name, connect

FIRST = "203.0.113.2"
SYN = f"tcp {ALICE}:4000 > {WEB}:80 S"
PROHIBITED = f"lan prohibited {ROUTER} > {ALICE} ({SYN})"
NO_BREAKER = BreakerConfig(failures=0, useless=0, dials_per_hour=0)
OFFICE_HOURS = Span(frozenset(range(5)), 8 * 60, 18 * 60)
NIGHT = Span(frozenset(range(7)), 22 * 60, 6 * 60)


def endings(office: Office) -> list[Ending | None]:
    return [rise.ending for rise in office.rises]


# Who may


@pytest.mark.parametrize(
    ("right", "down", "up"),
    [
        (Right.MAY_DIAL, "held", "new-session"),
        (Right.MAY_USE, "may-not-raise", "new-session"),
        (Right.NEVER, "host-refused", "host-refused"),
    ],
)
def test_what_a_host_may(right: Right, down: str, up: str) -> None:
    office = Office(hosts=[HostRight(right, parse_address(ALICE))])
    told = office.lan(SYN)
    assert (office.reason, told) == (down, [] if down == "held" else [PROHIBITED])
    office.wait(5)
    connect(office, f"{BOB}:4001")
    office.lan(f"udp {ALICE}:4001 > {WEB}:6000")
    assert office.reason == up


def test_a_host_that_may_use_waits_for_a_line_that_another_raises() -> None:
    office = Office(hosts=[HostRight(Right.MAY_USE, parse_address(ALICE))])
    office.lan(f"tcp {BOB}:4001 > {WEB}:80 S")
    assert office.lan(SYN) == []
    assert [seen.port for seen in office.wait(5)] == [4001, 4000]
    assert office.rises[0].trigger.host == BOB


def test_a_host_has_another_right_at_its_hours() -> None:
    night = ((NIGHT, Right.NEVER),)
    office = Office(
        hosts=[HostRight(Right.MAY_USE, parse_address(ALICE), exceptions=night)],
        at="2025-03-03 21:59",
    )
    office.find_up()
    assert office.lan(f"udp {ALICE}:4000 > {WEB}:6000") != []
    for civil, reason in [
        ("2025-03-03 22:00", "host-refused"),
        ("2025-03-04 05:59", "host-refused"),
        ("2025-03-04 06:00", "may-not-raise"),
    ]:
        office.wait_till(civil)
        office.lan(SYN)
        assert office.reason == reason


def test_what_the_policy_rejects_is_told_whether_the_line_is_up_or_down() -> None:
    office = Office(rules=[policy("tcp dst port 80", Action.REJECT)])
    assert office.lan(SYN) == [PROHIBITED]
    office.find_up()
    assert office.lan(SYN) == [PROHIBITED]


@pytest.mark.parametrize(
    ("action", "raises", "holds_s"), [(Action.BRINGUP, True, 60.0), (Action.KEEPUP, False, 60.0)]
)
def test_what_only_raises_does_not_hold_and_what_only_holds_does_not_raise(
    action: Action, raises: bool, holds_s: float
) -> None:
    office = Office(
        LinkConfig("isp", idle_timeout_s=20.0), rules=[policy("tcp dst port 80", action, holds_s)]
    )
    office.lan(SYN)
    assert bool(office.rises) is raises
    if not raises:
        ask_name(office, f"{BOB}:6000")
    else:
        office.wait(5)
    connect(office, f"{CAROL}:4002")
    assert [row.host for row in office.holding.holders if row.host == CAROL] == (
        [] if raises else [CAROL]
    )


# Leases


def test_a_lease_raises_the_line_and_holds_it_until_it_is_released() -> None:
    office = Office()
    assert office.lease("mail-1", ttl_s=3600.0) == ""
    office.wait(1800)
    assert office.state() == "UP"
    assert office.rises[0].trigger.by == "mail-1"
    assert office.release("mail-1")
    office.wait(2)
    assert office.state() == "DORMANT"
    assert not office.release("mail-1")


def test_a_lease_whose_holder_has_died_holds_until_its_time_is_over() -> None:
    office = Office()
    office.lease("mail-1", ttl_s=600.0)
    office.wait(500)
    assert office.renew("mail-1", 600.0)
    office.wait(599)
    assert office.state() == "UP"
    office.wait(3)
    assert office.state() == "DORMANT"
    assert not office.renew("mail-1", 600.0)


def test_a_lease_to_use_what_is_up_raises_nothing() -> None:
    office = Office()
    assert office.lease("mail-1", "use-if-up", ttl_s=3600.0) == ""
    office.wait(60)
    assert office.rises == []
    connect(office)
    office.wait(1800)
    assert office.state() == "UP"


def test_flows_of_a_lease_holder_do_not_count() -> None:
    """It has said itself how long it needs the line; what it has opened says nothing else later."""
    office = Office()
    office.lease("mail-1", host=MAIL, ttl_s=300.0)
    office.wait(5)
    external = connect(office, f"{MAIL}:4025", f"{WEB}:25")
    office.wait(294)
    office.lan(f"tcp {MAIL}:4025 > {WEB}:25 PA", b"DATA", seq=4, ack=5)
    assert office.holding.holders == ()
    office.wait(2)
    assert office.state() in ("HANGING_UP", "DORMANT")
    assert external in office.sessions[0]


def test_flows_from_before_a_lease_count_again_after_it() -> None:
    office = Office()
    connect(office, f"{MAIL}:4000")
    office.lease("mail-1", host=MAIL, ttl_s=60.0)
    office.wait(120)
    assert [row.host for row in office.holding.holders] == [MAIL]
    assert office.state() == "UP"


def test_leases_end_when_a_person_takes_the_line_down() -> None:
    office = Office()
    office.lease("mail-1", host=MAIL, ttl_s=300.0)
    office.wait(5)
    assert [row.host for row in office.holding.leases] == [MAIL]
    office.drop_link()
    office.wait(60)
    assert (office.holding.leases, office.state()) == ((), "DORMANT")


def test_a_lease_is_told_why_it_cannot_raise_the_line() -> None:
    office = Office(schedule=[ScheduleEntry(OFFICE_HOURS, Mode.ON_DEMAND)], at="2025-03-03 19:00")
    assert office.lease("mail-1") == "isp is down, outside its hours"


# Budgets and hours


def test_what_is_over_budget_fails_fast_and_people_may_still_dial() -> None:
    office = Office(budget=BudgetConfig(per_day=Allowance(minutes=10)), breaker=NO_BREAKER)
    connect(office)
    for minute in range(12):
        office.lan(f"tcp {ALICE}:4000 > {WEB}:80 A", seq=4 + minute, ack=5)
        office.wait(60)
    assert endings(office) == [Ending.BUDGET]
    assert office.warnings == ["8 of 10 minutes used today"]
    assert office.lan(f"tcp {BOB}:4001 > {WEB}:80 S") != []
    assert office.reason == "line-denied"
    assert office.raise_link(by="boss") == ""
    office.wait(600)
    assert office.rises[-1].trigger.by == "boss"
    assert endings(office)[-1] is not Ending.BUDGET
    office.wait_till("2025-03-04 00:00")
    assert connect(office, f"{CAROL}:4002") == f"{FIRST}:4002"


def test_what_is_redialled_is_nobodys_any_more_for_the_budget() -> None:
    office = Office(budget=BudgetConfig(per_day=Allowance(minutes=10)), breaker=NO_BREAKER)
    office.raise_link(by="boss")
    office.wait(5)
    connect(office)
    office.lose()
    office.wait(9)
    for number in range(12 * 3):
        office.lan(f"udp {BOB}:{4000 + number} > {WEB}:6000")
        office.wait(20)
    assert [rise.trigger.cause for rise in office.rises] == [Cause.USER, Cause.RECONNECT]
    assert endings(office) == [Ending.CARRIER_LOST, Ending.BUDGET]


def test_what_is_over_budget_is_not_redialled_even_if_a_person_raised_it() -> None:
    office = Office(budget=BudgetConfig(per_day=Allowance(dials=1)))
    office.raise_link(by="boss")
    office.wait(5)
    connect(office)
    office.lose()
    office.wait(600)
    assert endings(office) == [Ending.CARRIER_LOST]


@pytest.mark.parametrize(("mode", "stops"), [(Mode.ON_DEMAND, True), (Mode.PERMANENT, False)])
def test_redials_that_answer_nothing_stop_but_for_a_permanent_line(mode: Mode, stops: bool) -> None:
    office = Office(
        LinkConfig("isp", mode=mode, redial=STEADY),
        provider=FakeProvider(isp=[Up(5, lost_after_s=10.0)]),
        breaker=BreakerConfig(failures=0, useless=3, dials_per_hour=0),
    )
    for second in range(600):
        office.lan(f"udp {ALICE}:{1000 + second} > {WEB}:6000")
        office.wait(1)
    assert {rise.trigger.cause for rise in office.rises[1:]} == {Cause.RECONNECT}
    assert (len(office.rises) == 3, bool(office.warnings)) == (stops, stops)


def test_the_last_dial_that_is_allowed_is_no_reason_to_fall() -> None:
    office = Office(budget=BudgetConfig(per_hour=Allowance(dials=2)))
    for port in (4000, 4001):
        connect(office, f"{ALICE}:{port}")
        office.wait(200)
    assert endings(office) == [Ending.IDLE, Ending.IDLE]
    assert office.lan(SYN.replace("4000", "4002")) != []
    assert office.row().blocked == "over budget: 2 of 2 dials used this hour"
    office.wait_till("2025-03-03 10:00")
    connect(office, f"{ALICE}:4003")


@pytest.mark.parametrize(
    ("civil", "reason"),
    [
        ("2025-03-03 07:59", "line-denied"),
        ("2025-03-03 08:00", "held"),
        ("2025-03-03 17:59", "held"),
        ("2025-03-03 18:00", "line-denied"),
        ("2025-03-08 12:00", "line-denied"),
    ],
)
def test_traffic_raises_it_only_at_its_hours(civil: str, reason: str) -> None:
    schedule = [ScheduleEntry(OFFICE_HOURS, Mode.ON_DEMAND)]
    office = Office(schedule=schedule, zone="Europe/Berlin", at="2025-03-03 07:00")
    office.wait_till(civil)
    office.lan(SYN)
    assert office.reason == reason


@pytest.mark.parametrize(
    ("evening", "morning", "hours"),
    [
        ("2025-03-28", "2025-03-29", 8),
        ("2025-03-29", "2025-03-30", 7),  # the clocks are set forward
        ("2025-10-25", "2025-10-26", 9),  # and back
    ],
)
def test_hours_across_midnight_last_as_long_as_the_clocks_say(
    evening: str, morning: str, hours: int
) -> None:
    schedule = [ScheduleEntry(NIGHT, Mode.PERMANENT)]
    office = Office(schedule=schedule, zone="Europe/Berlin", at=f"{evening} 21:00")
    office.wait_till(f"{morning} 07:00")
    (rise,) = office.rises
    assert rise.begun_at == office.began + 3600
    assert rise.ended_at == rise.begun_at + hours * 3600 + 1
    assert rise.ending is Ending.SCHEDULE


def test_a_line_raised_by_a_person_outlives_its_hours() -> None:
    office = Office(schedule=[ScheduleEntry(OFFICE_HOURS, Mode.ON_DEMAND)], at="2025-03-03 17:59")
    office.raise_link()
    office.wait(120)
    assert office.state() == "UP"


# How long


def test_what_is_paid_for_is_used() -> None:
    """A unit of 15 minutes: an idle line falls just before the next one begins."""
    office = Office(LinkConfig("isp", billing_unit_s=900.0, idle_timeout_s=60.0))
    connect(office)
    office.wait(894)
    assert office.state() == "UP"
    office.wait(1)
    assert office.state() == "HANGING_UP"


def test_what_is_in_use_begins_the_next_unit() -> None:
    office = Office(LinkConfig("isp", billing_unit_s=900.0, idle_timeout_s=60.0))
    external = connect(office)
    office.wait(880)
    assert office.lan(f"tcp {ALICE}:4000 > {WEB}:80 A", seq=4, ack=5) == [
        f"wan tcp {external} > {WEB}:80 A"
    ]
    connect(office, f"{BOB}:4001")
    office.wait(900)
    assert office.state() == "UP"
    office.wait(20)
    assert office.state() == "DORMANT"
    (rise,) = office.rises
    assert rise.up_at is not None
    assert rise.ended_at == rise.up_at + 1795 + 1


def test_a_line_stays_for_its_minimum_and_not_beyond_its_maximum() -> None:
    link = LinkConfig("isp", min_up_s=300.0, max_session_s=600.0, idle_timeout_s=30.0)
    office = Office(link, breaker=NO_BREAKER)
    ask_name(office)
    office.wait(299)
    assert office.state() == "UP"
    office.wait(2)
    assert office.state() == "DORMANT"
    connect(office)
    for n in range(60):
        office.lan(f"tcp {ALICE}:4000 > {WEB}:80 A", seq=4 + n, ack=5)
        office.wait(10)
    office.wait(2)
    assert endings(office) == [Ending.IDLE, Ending.SESSION_LIMIT]


@pytest.mark.parametrize(("idle_s", "stayed_s"), [(10.0, 10.0), (180.0, 30.0)])
def test_what_the_shipped_rules_hold_is_no_more_than_the_idle_timeout(
    idle_s: float, stayed_s: float
) -> None:
    office = Office(LinkConfig("isp", idle_timeout_s=idle_s))
    ask_name(office)
    office.wait(600)
    (rise,) = office.rises
    assert rise.ended_at is not None
    assert rise.up_at is not None
    assert rise.ended_at - rise.up_at - 1 == pytest.approx(stayed_s)
