"""Complaints 20 to 24: what waits while it dials, and how it dials again."""

from itertools import pairwise

from router.link.types import LinkConfig, RedialConfig
from tests.lab.provider import STEADY, Busy, FakeProvider, NoAnswer, Office, RefusedLogin, Up
from tests.simulation.talks import ALICE, BOB, DNS, ROUTER, WEB, ask_name, connect

LINE = "203.0.113.2"


def test_20_no_packet_is_dropped_while_it_dials_and_repetitions_leave_once() -> None:
    """diald FAQ 2.15 and 2.9: the first packets are dropped, or connections time out first."""
    office = Office(provider=FakeProvider(isp=[Up(20)]))
    for after_s, text in [
        (0, f"tcp {ALICE}:4000 > {WEB}:80 S"),
        (1, f"tcp {ALICE}:4000 > {WEB}:80 S"),
        (1, f"tcp {BOB}:4000 > {WEB}:80 S"),
        (1, f"tcp {ALICE}:4000 > {WEB}:80 S"),
        (4, f"tcp {ALICE}:4000 > {WEB}:80 S"),
    ]:
        office.wait(after_s)
        assert office.lan(text) == []
    first, second = office.wait(20)
    assert first == f"wan tcp {LINE}:4000 > {WEB}:80 S"
    assert second.endswith(f"> {WEB}:80 S")
    assert second.port != 4000
    assert (office.rises[0].held, office.rises[0].lost) == (2, 0)
    assert office.rises[0].waited_s == 20.0


def test_20_what_would_be_stale_does_not_wait() -> None:
    """diald's TODO: it doesn't make sense to buffer some types of packets, NTP for one."""
    office = Office()
    office.lan(f"tcp {ALICE}:4000 > {WEB}:80 S")
    ntp = f"udp {BOB}:123 > {WEB}:123"
    assert office.lan(ntp) == [f"lan host-unreachable {ROUTER} > {BOB} ({ntp})"]
    assert office.wait(5) == [f"wan tcp {LINE}:4000 > {WEB}:80 S"]


def test_21_a_line_that_fell_on_purpose_dials_again_at_once() -> None:
    """ppp#538: the hold-off hurts a fast reconnect after a hangup or a limit."""
    office = Office(LinkConfig("isp", max_session_s=300.0))
    connect(office)
    office.drop_link()
    office.wait(1)
    assert office.state() == "DORMANT"
    connect(office, f"{ALICE}:4001")
    for minute in range(5):
        office.wait(60)
        office.lan(f"tcp {ALICE}:4001 > {WEB}:80 A", seq=4 + minute, ack=5)
    office.wait(5)
    assert [rise.ending and rise.ending.value for rise in office.rises[:2]] == [
        "user",
        "session limit",
    ]
    began = office.now
    connect(office, f"{ALICE}:4002")
    assert office.now - began <= 5.0


def test_21_a_packet_that_comes_while_it_hangs_up_rises_with_the_next_attempt() -> None:
    """ppp#538, as above: even before the line is down."""
    office = Office(provider=FakeProvider(hang_up_s=3.0))
    connect(office)
    office.drop_link()
    assert office.lan(f"tcp {BOB}:4001 > {WEB}:80 S") == []
    assert f"wan tcp {LINE}:4001 > {WEB}:80 S" in office.wait(8)
    assert office.rises[1].begun_at - office.rises[0].begun_at == 8.0


def test_22_dial_on_first_traffic_then_stay() -> None:
    """opnsense/core#1185: dial on demand without an idle timeout is refused."""
    office = Office(LinkConfig("isp", idle_timeout_s=0.0))
    office.wait(3600)
    assert office.rises == []
    connect(office)
    office.wait(3 * 86400)
    assert office.state() == "UP"


def test_23_two_links_can_both_be_on_demand() -> None:
    """WinRoute: only one link can be set for on-demand dialing."""
    links = [LinkConfig(name, redial=STEADY, dead_after=1) for name in ("isp", "backup")]
    office = Office(*links, provider=FakeProvider(isp=[Busy(3)], backup=[Up(5)]))
    office.lan(f"tcp {ALICE}:4000 > {WEB}:80 S")
    assert office.wait(8) == [f"wan tcp {LINE}:4000 > {WEB}:80 S"]
    assert (office.state("backup"), office.row("backup").active) == ("UP", True)


def test_23_the_router_host_itself_dials() -> None:
    """WinRoute: dial on demand does not work from the router host itself."""
    office = Office()
    assert office.lan(f"udp {ROUTER}:4000 > {DNS}:53") == []
    assert office.rises[0].trigger.by == office.holding.waiting[0].host == "the router"
    assert office.wait(5) == [f"wan udp {LINE}:4000 > {DNS}:53"]
    answer = office.wan(f"udp {DNS}:53 > {LINE}:4000")
    assert answer == [f"lan udp {DNS}:53 > {ROUTER}:4000"]


def test_24_attempts_that_fail_come_at_longer_and_longer_intervals() -> None:
    """opnsense#2267, #8646: reconnect loops with a fixed short retry, more than 40 attempts."""
    redial = RedialConfig(first_s=30.0, factor=2.0, max_s=600.0, jitter=0.0)
    provider = FakeProvider(isp=[Busy(0), RefusedLogin(0), NoAnswer(), Busy(0)])
    office = Office(LinkConfig("isp", redial=redial), provider=provider)
    for second in range(0, 3600, 5):
        office.lan(f"tcp {ALICE}:{1024 + second} > {WEB}:80 S")
        office.wait(5)
    dialled = office.dialled()
    gaps = [later - former for former, later in pairwise(dialled)]
    assert gaps[:8] == [30, 60, 185, 240, 480, 600, 600, 600]  # the third took 61 s to time out


def test_24_it_never_gives_up_for_good() -> None:
    """NethServer#5358: rp-pppoe gives up after its timeout and the box is unreachable for ever."""
    provider = FakeProvider(isp=[NoAnswer()] * 10 + [Up(5)])
    office = Office(provider=provider)
    for attempt in range(500):
        office.lan(f"udp {ALICE}:{1024 + attempt} > {DNS}:53")
        office.wait(30)
        if office.state() == "UP":
            break
    assert len(office.rises) == 11
    assert ask_name(office, f"{BOB}:6000") == [f"lan udp {DNS}:53 > {BOB}:6000"]
