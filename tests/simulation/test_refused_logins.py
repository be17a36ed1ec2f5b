"""A provider that refuses the login, which locks accounts that keep trying: scripts of a month."""

from collections.abc import Callable
from typing import Any

import pytest

from router.link.types import Ending, LinkConfig, Mode
from tests.lab.provider import STEADY, Busy, FakeProvider, Office, Outcome, RefusedLogin, Up
from tests.simulation.talks import ALICE, BOB, ROUTER, WEB, connect

DSL, LTE = "203.0.113.2", "198.18.0.9"
SYN = f"tcp {ALICE}:4000 > {WEB}:80 S"
UNREACHABLE = f"lan host-unreachable {ROUTER} > {ALICE} ({SYN})"
PROHIBITED = f"lan prohibited {ROUTER} > {ALICE} ({SYN})"
REFUSED = "login refused: wrong password; left to people: postroad up isp"
HOUR_S = 3600
DAY_S = 24 * HOUR_S


def an_office(*outcomes: Outcome, **options: Any) -> Office:
    """One line that meets these outcomes in turn, a wrong password without any."""
    provider = FakeProvider(isp=outcomes or (RefusedLogin(4),))
    return Office(LinkConfig("isp", redial=STEADY, **options), provider=provider)


def with_backup(*outcomes: Outcome, **options: Any) -> Office:
    """DSL with these outcomes, and LTE behind it that always works."""
    links = [LinkConfig(name, redial=STEADY, dead_after=5, **options) for name in ("dsl", "lte")]
    return Office(*links, provider=FakeProvider(dsl=outcomes, lte=[Up(5, LTE)]))


def refused_twice(office: Office) -> Office:
    for _ in range(2):
        office.lan(SYN)
        office.wait(60)
    return office


def by_traffic(office: Office) -> None:
    office.lan(SYN)


def by_a_lease(office: Office) -> None:
    office.lease("mail", ttl_s=2.0 * HOUR_S)


def by_itself(_: Office) -> None: ...


# Left alone


@pytest.mark.parametrize(
    ("mode", "wanted"),
    [
        (Mode.ON_DEMAND, by_traffic),
        (Mode.ON_DEMAND, by_a_lease),
        (Mode.PERMANENT, by_itself),
        (Mode.PERMANENT, by_traffic),
    ],
)
def test_a_wrong_password_is_tried_twice_and_then_left_alone_for_a_month(
    mode: Mode, wanted: Callable[[Office], None]
) -> None:
    office = an_office(mode=mode)
    for _ in range(30 * 24):
        wanted(office)
        office.wait(HOUR_S)
    assert len(office.dialled()) == 2
    assert [rise.ending for rise in office.rises] == [Ending.REFUSED] * 2
    assert [rise.detail for rise in office.rises] == ["login refused: wrong password"] * 2
    assert office.warnings == [f"isp stays down, {REFUSED}"]
    assert (office.state(), office.row().blocked) == ("DISABLED", REFUSED)


def test_the_second_try_waits_for_as_long_as_after_any_failure() -> None:
    office = an_office()
    assert (office.lan(SYN), office.wait(4)) == ([], [UNREACHABLE])
    assert office.row().blocked == ""
    for _ in range(60):
        office.lan(SYN)
        office.wait(1)
    assert office.dialled() == [0.0, 34.0]


def test_what_waits_is_told_at_once_when_the_line_is_given_up() -> None:
    office = an_office()
    office.lan(SYN)
    office.wait(60)
    other = f"tcp {BOB}:4000 > {WEB}:80 S"
    assert office.lan(SYN) + office.lan(other) + office.wait(3.9) == []
    assert office.wait(0.1) == [PROHIBITED, f"lan prohibited {ROUTER} > {BOB} ({other})"]
    assert office.lan(SYN) == [PROHIBITED]


@pytest.mark.parametrize(("refusals", "dials"), [(1, 1), (3, 3)])
def test_how_often_it_is_tried_can_be_chosen(refusals: int, dials: int) -> None:
    office = an_office(mode=Mode.PERMANENT, metered=False, refusals=refusals)
    office.wait(DAY_S)
    assert len(office.dialled()) == dials


def test_where_no_account_is_locked_it_may_be_tried_for_ever() -> None:
    office = an_office(mode=Mode.PERMANENT, metered=False, refusals=0)
    office.wait(DAY_S)
    assert len(office.dialled()) > 100
    assert office.warnings == []


def test_what_never_gets_as_far_as_the_login_is_no_reason_to_try_on() -> None:
    office = an_office(RefusedLogin(), Busy(), Busy(), RefusedLogin(), mode=Mode.PERMANENT)
    office.wait(DAY_S)
    assert len(office.dialled()) == 4


def test_a_login_that_succeeds_is_trusted_anew() -> None:
    office = an_office(
        RefusedLogin(), Up(lost_after_s=60.0), RefusedLogin(), Up(), mode=Mode.PERMANENT
    )
    office.wait(DAY_S)
    assert (len(office.dialled()), office.state()) == (4, "UP")


# When again


def test_it_is_told_when_it_is_tried_again_and_then_that_it_is_left_to_people() -> None:
    office = an_office()
    told = []
    for _ in range(2):
        office.lan(SYN)
        office.wait(14)
        told.append((office.state(), office.row().again_in_s, office.row().blocked))
        office.wait(46)
    assert told == [("HOLDOFF", 20.0, ""), ("HOLDOFF", None, REFUSED)]
    office.wait(HOUR_S)
    assert (office.state(), office.row().again_in_s) == ("DISABLED", None)


# By hand


def test_by_hand_it_is_tried_again() -> None:
    office = refused_twice(an_office(RefusedLogin(), RefusedLogin(), Up(5)))
    office.wait(DAY_S)
    assert office.raise_link() == ""
    office.wait(5)
    assert (office.state(), office.row().blocked) == ("UP", "")
    assert office.lan(SYN) == [f"wan tcp {DSL}:4000 > {WEB}:80 S"]
    office.drop_link()
    office.wait(1)
    assert connect(office, f"{BOB}:4001") == f"{DSL}:4001"


def test_a_password_that_is_still_wrong_is_told_again_and_left_alone_again() -> None:
    office = refused_twice(an_office())
    office.raise_link()
    for _ in range(24):
        office.wait(HOUR_S)
        office.lan(SYN)
    assert len(office.dialled()) == 2 + 2
    assert office.warnings == [f"isp stays down, {REFUSED}"] * 2


def test_a_person_may_try_as_often_as_he_likes() -> None:
    office = an_office(mode=Mode.MANUAL)
    for _ in range(5):
        assert office.raise_link() == ""
        office.wait(60)
    assert (len(office.dialled()), office.warnings) == (5, [])


# With a backup


def test_a_backup_carries_at_once_however_many_failures_prove_the_line_dead() -> None:
    office = with_backup(RefusedLogin(4))
    assert office.lan(SYN) + office.wait(4) == [UNREACHABLE]
    office.wait(30)
    assert office.lan(SYN) + office.wait(9) == [f"wan tcp {LTE}:4000 > {WEB}:80 S"]
    assert (office.dialled("dsl"), office.dialled("lte")) == ([0.0, 34.0], [38.0])


def test_while_the_backup_carries_the_refused_line_is_not_tried_whether_it_has_recovered() -> None:
    office = refused_twice(with_backup(RefusedLogin(4)))
    assert connect(office, f"{ALICE}:4001") == f"{LTE}:4001"
    for _ in range(DAY_S // 60):
        office.lan(f"tcp {ALICE}:4001 > {WEB}:80 A", seq=4, ack=5)
        office.wait(60)
    assert (office.state("lte"), len(office.dialled("dsl"))) == ("UP", 2)
    assert office.row("dsl").blocked == REFUSED.replace("isp", "dsl")


def test_by_hand_the_line_comes_back_before_its_backup() -> None:
    office = refused_twice(with_backup(RefusedLogin(4), RefusedLogin(4), Up(5, DSL)))
    connect(office, f"{ALICE}:4001")
    assert office.raise_link("dsl") == ""
    office.wait(5)
    assert connect(office, f"{BOB}:4001") == f"{DSL}:4001"
    assert office.row("lte").blocked == "stands by for dsl"


def test_when_both_are_refused_nobody_waits() -> None:
    links = [LinkConfig(name, redial=STEADY) for name in ("dsl", "lte")]
    office = Office(*links, provider=FakeProvider(dsl=[RefusedLogin(4)], lte=[RefusedLogin(4)]))
    for _ in range(DAY_S // 60):
        office.lan(SYN)
        office.wait(60)
    assert (len(office.dialled("dsl")), len(office.dialled("lte"))) == (2, 2)
    assert office.lan(SYN) == [PROHIBITED]
    assert office.warnings == [
        f"{name} stays down, {REFUSED.replace('isp', name)}" for name in ("dsl", "lte")
    ]
