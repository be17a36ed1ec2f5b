"""Complaints 25 to 27: lines that cost by the day, the minute and the byte."""

from typing import Any

from router.link.types import (
    Action,
    Allowance,
    BudgetConfig,
    HostRight,
    LinkConfig,
    Mode,
    Recovery,
    Right,
)
from router.wire.address import parse_address
from tests.lab.provider import STEADY, FakeProvider, NoAnswer, Office, Outcome, Up, policy
from tests.simulation.talks import ALICE, BOB, CAROL, ROUTER, WEB, connect

FIBRE, LTE = "203.0.113.2", "198.18.0.9"


def an_office(*outcomes: Outcome, recovery: Recovery = Recovery.DRAIN, **options: Any) -> Office:
    """Fibre that is always up, by these outcomes in turn, and LTE that is paid by the day."""
    fibre = LinkConfig("fibre", mode=Mode.PERMANENT, metered=False, redial=STEADY, dead_after=2)
    lte = LinkConfig("lte", redial=STEADY, recovery=recovery)
    provider = FakeProvider(fibre=outcomes, lte=[Up(5, LTE)])
    return Office(fibre, lte, provider=provider, **options)


def test_25_the_metered_backup_stays_down_while_the_primary_works() -> None:
    """openwrt/packages#12769: pay-per-day LTE must stay down unless the fibre fails."""
    office = an_office(Up(2, FIBRE))
    office.wait(2)
    for minute in range(600):
        office.lan(f"tcp {ALICE}:{1024 + minute} > {WEB}:80 S")
        office.wait(60)
    assert office.dialled("lte") == []
    assert office.row("lte").blocked == "stands by for fibre"


def test_25_a_dead_primary_alone_does_not_raise_it() -> None:
    """openwrt/packages#12769: not the failure of a VPN, not a night in which nobody wants it."""
    office = an_office(Up(2, FIBRE, lost_after_s=600.0), NoAnswer())
    office.wait(8 * 3600)
    assert office.row("fibre").failures > 2
    assert office.dialled("lte") == []
    assert office.lan(f"udp {ALICE}:123 > {WEB}:123") != []
    assert office.dialled("lte") == []


def test_25_traffic_that_may_dial_raises_it_once_the_primary_is_dead() -> None:
    office = an_office(Up(2, FIBRE, lost_after_s=600.0), NoAnswer())
    office.wait(1200)
    sent = office.lan(f"tcp {ALICE}:4000 > {WEB}:80 S") + office.wait(5)
    assert sent == [f"wan tcp {LTE}:4000 > {WEB}:80 S"]


def test_25_nobody_waits_for_a_dead_primary_that_is_tried_again() -> None:
    office = an_office(Up(2, FIBRE, lost_after_s=600.0), NoAnswer())
    office.wait(820)
    assert office.state("fibre") == "DIALING"
    sent = office.lan(f"tcp {ALICE}:4000 > {WEB}:80 S") + office.wait(5)
    assert sent == [f"wan tcp {LTE}:4000 > {WEB}:80 S"]


def recovering(recovery: Recovery) -> Office:
    """An office that works over LTE, its fibre about to come back."""
    outcomes: list[Outcome] = [Up(2, FIBRE, lost_after_s=600.0), *[NoAnswer()] * 3, Up(2, FIBRE)]
    office = an_office(*outcomes, recovery=recovery)
    office.wait(850)
    assert connect(office) == f"{LTE}:4000"
    return office


def keep_talking(office: Office, seconds: int) -> list[str]:
    told: list[str] = []
    for _ in range(seconds // 30):
        office.lan(f"tcp {ALICE}:4000 > {WEB}:80 A", seq=4, ack=5)
        told += office.wait(30)
    return told


def test_26_sessions_that_stay_on_the_backup_drain_and_new_ones_do_not_join_them() -> None:
    """opnsense/core#5387, #6803: sessions stay on the metered backup after the primary returns."""
    office = recovering(Recovery.DRAIN)
    assert keep_talking(office, 300) == []
    assert (office.state("fibre"), office.state("lte")) == ("UP", "UP")
    assert connect(office, f"{BOB}:4001") == f"{FIBRE}:4001"
    held_by = {row.link: row.host for row in office.holding.holders}
    assert held_by == {"lte": ALICE, "fibre": BOB}
    office.wait(182)
    assert office.state("lte") != "UP"


def test_26_or_they_are_cut_and_told_at_once() -> None:
    """pfSense Plus 24.03: only now states are killed on failback."""
    office = recovering(Recovery.CUT)
    assert keep_talking(office, 300) == [f"lan tcp {WEB}:80 > {ALICE}:4000 R"]
    assert (office.state("fibre"), office.state("lte")) == ("UP", "DISABLED")
    assert connect(office) == f"{FIBRE}:4000"


def test_26_a_host_without_the_right_never_raises_the_capped_line() -> None:
    """advancedtomato#195: the NAS never uses the capped 4G."""
    nas = HostRight(Right.NEVER, parse_address(CAROL), name="nas")
    office = an_office(Up(2, FIBRE, lost_after_s=600.0), NoAnswer(), hosts=(nas,))
    office.wait(1200)
    sync = f"tcp {CAROL}:4000 > {WEB}:443 S"
    assert office.lan(sync) == [f"lan prohibited {ROUTER} > {CAROL} ({sync})"]
    connect(office)
    assert office.lan(sync) == [f"lan prohibited {ROUTER} > {CAROL} ({sync})"]


def test_27_idle_chatter_of_an_overlay_neither_dials_nor_holds() -> None:
    """netbird#3427: 20 MB a day of idle chatter on a metered line."""
    office = Office(rules=[policy("udp port 51820", Action.IGNORE)])
    for port in range(60):
        office.lan(f"udp {ALICE}:51820 > {WEB}:51820", b"\x04")
        office.wait(25 + port)
    assert office.rises == []


def test_27_a_budget_begins_anew_with_the_plan_and_not_with_the_calendar() -> None:
    """NetworkOptimizer#809: reset when my plan runs out."""
    budget = BudgetConfig(per_month=Allowance(bytes=50 << 20), month_day=12)
    office = Office(budget=budget, at="2025-03-10 12:00")
    connect(office)
    office.carry(50 << 20)
    office.wait(1)
    assert office.row().blocked == "over budget: 50 of 50 MiB used this month"
    office.wait_till("2025-03-11 23:59")
    wanted = f"tcp {ALICE}:4001 > {WEB}:80 S"
    assert office.lan(wanted) == [f"lan prohibited {ROUTER} > {ALICE} ({wanted})"]
    office.wait_till("2025-03-12 00:00")
    connect(office, f"{ALICE}:4001")
