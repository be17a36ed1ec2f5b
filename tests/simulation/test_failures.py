"""What a line and its provider do wrong: scripts of events and effects."""

from itertools import pairwise

import pytest
from scapy.layers.inet import TCP

from router.link.types import BreakerConfig, HoldLimits, LinkConfig
from tests.lab.provider import (
    STEADY,
    Busy,
    FakeProvider,
    NoAnswer,
    Office,
    Outcome,
    RefusedLogin,
    Up,
)
from tests.simulation.talks import ALICE, BOB, CAROL, ROUTER, WEB, ask_name, connect

FIRST, SECOND = "203.0.113.2", "203.0.113.77"
SYN = f"tcp {ALICE}:4000 > {WEB}:80 S"
UNREACHABLE = f"lan host-unreachable {ROUTER} > {ALICE} ({SYN})"
PROHIBITED = f"lan prohibited {ROUTER} > {ALICE} ({SYN})"
NO_BREAKER = BreakerConfig(failures=0, useless=0, dials_per_hour=0)


# Raising it


@pytest.mark.parametrize("delay_s", [0.0, 0.5, 20.0, 59.0])
def test_the_first_packet_waits_for_as_long_as_dialling_takes(delay_s: float) -> None:
    office = Office(provider=FakeProvider(isp=[Up(delay_s)]))
    sent = office.lan(SYN) + office.wait(delay_s)
    assert sent == [f"wan tcp {FIRST}:4000 > {WEB}:80 S"]
    assert office.rises[0].waited_s == delay_s


@pytest.mark.parametrize(
    ("outcome", "after_s", "detail"),
    [
        (Busy(3), 3, "busy"),
        (RefusedLogin(4), 4, "login refused: wrong password"),
        (NoAnswer(), 60, "no line after 60 s"),
        (NoAnswer(carrier=True), 60, "no line after 60 s"),
    ],
    ids=str,
)
def test_what_waits_is_told_as_soon_as_the_attempt_has_failed(
    outcome: Outcome, after_s: float, detail: str
) -> None:
    office = Office(provider=FakeProvider(isp=[outcome]), hold=HoldLimits(age_s=300.0))
    office.lan(SYN)
    assert office.wait(after_s - 0.1) == []
    assert office.wait(1.1) == [UNREACHABLE]
    assert office.state() == "HOLDOFF"
    assert (office.rises[0].detail, office.rises[0].lost) == (detail, 1)
    assert office.lan(SYN) == [UNREACHABLE]


def test_a_backend_that_never_says_that_a_line_is_down_is_not_waited_for() -> None:
    office = Office(provider=FakeProvider(hang_up_s=float("inf")))
    connect(office)
    office.drop_link()
    office.wait(14.9)
    assert office.state() == "HANGING_UP"
    office.wait(0.2)
    assert office.state() == "DORMANT"


def test_an_address_that_comes_when_nobody_waits_for_it_any_more_is_not_believed() -> None:
    office = Office(provider=FakeProvider(isp=[Up(62)]))
    office.lan(SYN)
    office.wait(70)
    assert office.states() == ["DIALING", "NEGOTIATING", "HANGING_UP", "HOLDOFF"]


# Losing it


def test_three_connections_live_on_when_the_address_returns() -> None:
    office = Office(provider=FakeProvider(isp=[Up(5, FIRST)]))
    external = [connect(office, f"{host}:4000") for host in (ALICE, BOB, CAROL)]
    assert office.lose() == []
    assert office.wait(60) == []
    for host, end in zip((ALICE, BOB, CAROL), external, strict=True):
        sent = office.lan(f"tcp {host}:4000 > {WEB}:80 PA", b"on", seq=4, ack=5)
        assert sent == [f"wan tcp {end} > {WEB}:80 PA"]


def test_three_connections_are_reset_when_another_address_comes() -> None:
    office = Office(provider=FakeProvider(isp=[Up(5, FIRST), Up(5, SECOND)]))
    hosts = (ALICE, BOB, CAROL)
    for host in hosts:
        connect(office, f"{host}:4000")
    office.lose()
    told = office.wait(9)
    assert told == [f"lan tcp {WEB}:80 > {host}:4000 R" for host in hosts]
    assert [TCP(reset.body).seq for reset in told] == [5, 5, 5]
    assert office.sessions == []


def test_other_talks_are_told_by_icmp() -> None:
    office = Office()
    ask_name(office)
    office.lan(f"ping {BOB} > {WEB} id 7")
    office.lan(f"47 {CAROL} > {WEB}")
    told = office.renumber(SECOND)
    assert [seen.split(" (")[0] for seen in told] == [
        f"lan host-unreachable {ROUTER} > {host}" for host in (ALICE, BOB, CAROL)
    ]


def test_a_line_in_use_comes_back_by_itself() -> None:
    office = Office()
    connect(office)
    office.lose()
    office.wait(8)
    assert office.state() == "UP"
    assert [rise.trigger.cause.value for rise in office.rises] == ["traffic", "reconnect"]


def test_a_line_nobody_uses_stays_down() -> None:
    office = Office()
    office.raise_link()
    office.wait(60)
    office.lose()
    office.wait(3600)
    assert (office.state(), len(office.rises)) == ("DORMANT", 1)


def test_a_black_hole_trips_the_breaker() -> None:
    office = Office(LinkConfig("isp", idle_timeout_s=30.0))
    for minute in range(60):
        office.lan(f"tcp {ALICE}:{4000 + minute} > {WEB}:80 S")
        office.wait(60)
    assert len(office.rises) == 5
    assert "automatic dialling stops: 5 rises in a row answered nothing" in office.warnings[0]
    assert office.lan(SYN) == [PROHIBITED]


def test_while_the_breaker_is_open_packets_are_told_at_once_and_people_may_dial() -> None:
    breaker = BreakerConfig(failures=2)
    provider = FakeProvider(isp=[Busy(1), Busy(1), Up(5)])
    office = Office(provider=provider, breaker=breaker)
    for _ in range(2):
        office.lan(SYN)
        office.wait(120)
    assert office.lan(SYN) == [PROHIBITED]
    assert office.state() == "DISABLED"
    assert office.raise_link(by="boss") == ""
    office.wait(5)
    assert office.rises[-1].trigger.by == "boss"
    assert office.lan(SYN) == [f"wan tcp {FIRST}:4000 > {WEB}:80 S"]
    office.drop_link()
    office.wait(1)
    assert connect(office, f"{BOB}:4001") == f"{FIRST}:4001"


def test_a_line_that_flaps_dials_no_more_often_than_the_breaker_allows() -> None:
    office = Office(provider=FakeProvider(isp=[Up(2, lost_after_s=5.0)]))
    for second in range(0, 6 * 3600, 5):
        for reply in office.lan(f"tcp {ALICE}:{1024 + second} > {WEB}:80 S") + office.wait(5):
            if reply.startswith("wan"):
                office.wan(f"tcp {WEB}:80 > {reply.source} SA", ack=1)
    dialled = office.dialled()
    busiest = max(sum(at <= each < at + 3600 for each in dialled) for at in dialled)
    assert busiest == 30
    assert len(dialled) <= 6 * 30


def test_without_a_breaker_the_redial_delay_bounds_a_flapping_line() -> None:
    provider = FakeProvider(isp=[Up(2, lost_after_s=5.0)])
    office = Office(provider=provider, breaker=NO_BREAKER)
    for second in range(0, 600, 2):
        office.lan(f"udp {ALICE}:{1024 + second} > {WEB}:6000")
        office.wait(2)
    assert min(later - former for former, later in pairwise(office.dialled())) >= 2 + 5 + 3


# The hold queue


def test_a_full_hold_queue_takes_from_who_has_most() -> None:
    office = Office(hold=HoldLimits(packets=4))
    office.lan(f"udp {BOB}:6000 > {WEB}:6000")
    told = []
    for port in range(4000, 4008):
        told += office.lan(f"udp {ALICE}:{port} > {WEB}:6000")
    assert [seen.split(" (")[0] for seen in told] == [
        f"lan host-unreachable {ROUTER} > {ALICE}" for _ in range(5)
    ]
    assert [seen.port for seen in office.wait(5)] == [6000, 4005, 4006, 4007]
    assert (office.rises[0].held, office.rises[0].lost) == (4, 5)


def test_what_has_waited_for_too_long_is_told() -> None:
    office = Office(provider=FakeProvider(isp=[Up(30)]), hold=HoldLimits(age_s=10.0))
    office.lan(SYN)
    assert office.wait(9.9) == []
    assert office.wait(0.1) == [UNREACHABLE]
    assert office.reason == "waited-too-long"
    assert office.wait(20) == []
    assert (office.state(), office.rises[0].lost) == ("UP", 1)


def test_a_packet_larger_than_the_hold_queue_does_not_wait() -> None:
    office = Office(hold=HoldLimits(bytes=100))
    big = f"udp {ALICE}:4000 > {WEB}:6000"
    assert office.lan(big, bytes(200)) == [f"lan host-unreachable {ROUTER} > {ALICE} ({big})"]


# Failover


def test_traffic_goes_to_the_backup_in_the_attempt_that_proves_the_primary_dead() -> None:
    links = [LinkConfig(name, redial=STEADY, dead_after=2) for name in ("isp", "backup")]
    provider = FakeProvider(isp=[Busy(3)], backup=[Up(5, SECOND)])
    office = Office(*links, provider=provider)
    office.lan(SYN)
    assert office.wait(3) == [UNREACHABLE]
    office.wait(30)
    assert office.lan(SYN) == []
    assert office.wait(8) == [f"wan tcp {SECOND}:4000 > {WEB}:80 S"]
    assert (office.dialled("isp")[:2], office.dialled("backup")) == ([0.0, 33.0], [36.0])


def test_two_dead_links_fail_fast() -> None:
    links = [LinkConfig(name, redial=STEADY, dead_after=1) for name in ("isp", "backup")]
    office = Office(*links, provider=FakeProvider(isp=[Busy(3)], backup=[Busy(3)]))
    office.lan(SYN)
    assert office.wait(6) == [UNREACHABLE]
    assert office.lan(SYN) == [UNREACHABLE]
    assert (office.dialled("isp"), office.dialled("backup")) == ([0.0], [3.0])
