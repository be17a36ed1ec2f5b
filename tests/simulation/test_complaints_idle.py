"""Complaints 7 to 19: the link never drops, or comes up for nothing."""

import pytest

from router.link.types import Action, BreakerConfig, Cause, HostRight, LinkConfig, Mode, Right
from router.wire.address import parse_address
from tests.lab.network import whole
from tests.lab.provider import STEADY, FakeProvider, Office, Up, policy
from tests.simulation.talks import (
    ALICE,
    BOB,
    CAROL,
    DNS,
    MAIL,
    ROUTER,
    WEB,
    ask_name,
    close,
    connect,
)

LINE = "203.0.113.2"


def test_07_an_idle_line_falls_after_its_timeout() -> None:
    """VyOS documents an idle-timeout for PPPoE that no template renders: it would never drop."""
    office = Office(LinkConfig("isp", idle_timeout_s=90.0))
    connect(office)
    office.wait(89)
    assert office.state() == "UP"
    office.wait(2)
    assert office.state() == "DORMANT"
    assert office.rises[0].ending is not None
    assert office.rises[0].ending.value == "idle"


def test_08_when_it_falls_and_what_holds_it_can_be_seen() -> None:
    """Cisco 23423: the idle timeout never expires, or is a default that nobody can see."""
    office = Office()
    external = connect(office)
    (holder,) = office.holding.holders
    assert holder.session == f"tcp {ALICE}:4000 -> {WEB}:80"
    assert holder.rule == "accept everything"
    assert holder.holds_s == 180.0
    close(office, external, f"{ALICE}:4000")
    office.wait(100)
    assert office.holding.holders[0].holds_s == 80.0
    assert office.row().falls_in_s is None
    office.raise_link()
    office.wait(80)
    assert office.state() == "HANGING_UP"


def test_08_a_line_that_was_raised_for_nothing_says_when_it_falls() -> None:
    office = Office()
    office.raise_link()
    office.wait(65)
    assert office.row().falls_in_s == 120.0


@pytest.mark.parametrize(
    "packet",
    [
        f"tcp 192.0.2.66:1234 > {LINE}:22 S",
        f"udp 192.0.2.66:1234 > {LINE}:53",
        f"ping 192.0.2.66 > {LINE} id 1",
        f"tcp 192.0.2.66:1234 > {LINE}:4000 A",
        f"udp {WEB}:9 > {LINE}:4000",
    ],
)
def test_09_what_comes_unasked_does_not_hold_the_line(packet: str) -> None:
    """Cisco 12.1(2)T: unexpected traffic from the Internet keeps the link up."""
    office = Office()
    connect(office)
    for _ in range(18):
        office.wait(10)
        office.wan(packet)
    office.wait(2)
    assert office.state() == "DORMANT"


def test_09_scans_of_a_forwarded_port_do_not_hold_the_line() -> None:
    """HP-UX's default is keepup !send, for the same reason: here SYNs that nobody completes."""
    office = Office(forwards=f"tcp 80 -> {MAIL}")
    connect(office)
    for port in range(36):
        office.wait(5)
        office.wan(f"tcp 192.0.2.66:{2000 + port} > {LINE}:80 S")
        office.lan(f"tcp {MAIL}:80 > 192.0.2.66:{2000 + port} SA")
    office.wait(30)
    assert office.state() == "DORMANT"


def test_10_a_dial_tells_its_host_its_packet_and_its_rule() -> None:
    """FreeBSD FAQ 14.16: it dials for no reason; usually it is DNS."""
    alice = HostRight(Right.MAY_DIAL, parse_address(ALICE), name="alice")
    office = Office(hosts=[alice])
    ask_name(office)
    trigger = office.rises[0].trigger
    assert (trigger.by, trigger.host) == ("alice", ALICE)
    assert trigger.packet == f"udp {ALICE}:5353 -> {DNS}:53"
    assert trigger.rule == "accept udp dst port 53 or tcp dst port 53 (default)"


def test_10_mail_rides_along_and_does_not_dial() -> None:
    """FreeBSD FAQ 14.16: usually it is sendmail; queue mail and send it when the link is up."""
    office = Office(rules=[policy(f"src host {MAIL} and tcp dst port 25", Action.IGNORE)])
    smtp = f"tcp {MAIL}:4025 > {WEB}:25 S"
    office.lan(smtp)
    office.wait(60)
    assert office.rises == []
    connect(office)
    assert office.lan(smtp) == [f"wan tcp {LINE}:4025 > {WEB}:25 S"]


def test_11_a_rule_keeps_name_servers_quiet_and_clients_served() -> None:
    """Pppd FAQ, diald FAQ 6.3: filtering named to named stops legitimate lookups too."""
    office = Office(rules=[policy("udp src port 53 and udp dst port 53", Action.IGNORE)])
    office.lan(f"udp {MAIL}:53 > {DNS}:53", b"refresh")
    assert office.rises == []
    assert ask_name(office) == [f"lan udp {DNS}:53 > {ALICE}:5353"]
    assert office.lan(f"udp {MAIL}:53 > {DNS}:53") == [f"wan udp {LINE}:53 > {DNS}:53"]


def test_12_traffic_for_the_office_itself_never_dials() -> None:
    """diald FAQ 6.5 and 6.10: an xterm dials, and mail to a local host does."""
    office = Office(lan_routes=["192.168.7.0/24"])
    local = [f"tcp {ALICE}:4000 > {MAIL}:25 S", f"udp {ALICE}:4000 > {ROUTER}:53"]
    for packet in [*local, f"tcp {ALICE}:4000 > 192.168.7.9:25 S"]:
        office.lan(packet)
    assert office.rises == []


def test_12_what_goes_nowhere_never_dials() -> None:
    office = Office()
    for remote in ("10.1.2.3", "127.0.0.1", "0.0.0.9", "240.0.0.1", "169.254.1.1"):
        office.lan(f"tcp {ALICE}:4000 > {remote}:80 S")
    dialled = [rise.trigger.packet for rise in office.rises]
    assert dialled in ([], [f"tcp {ALICE}:4000 -> 10.1.2.3:80 flags syn"])


@pytest.mark.parametrize(
    "packet",
    [
        f"udp {ALICE}:123 > {WEB}:123",
        f"udp {ALICE}:137 > {WEB}:137",
        f"udp {ALICE}:138 > 192.168.1.255:138",
        f"tcp {ALICE}:4000 > {WEB}:445 S",
        f"udp {ALICE}:5353 > 224.0.0.251:5353",
        f"udp {ALICE}:4000 > {WEB}:5355",
        f"udp {ALICE}:4000 > 239.255.255.250:1900",
        f"udp {ALICE}:4000 > {WEB}:3702",
    ],
)
def test_15_chatter_of_machines_never_dials_and_never_holds(packet: str) -> None:
    """Apple TA22015 and others: NTP clients, printers and Windows dial all day."""
    office = Office()
    office.lan(packet)
    assert office.rises == []
    connect(office)
    for _ in range(18):
        office.wait(10)
        office.lan(packet)
    office.wait(2)
    assert office.state() == "DORMANT"


def test_15_who_may_not_dial_does_not_whatever_runs_on_it() -> None:
    """BITS, antivirus updates, Outlook: some hosts are to use the line and not to raise it."""
    printer = HostRight(Right.MAY_USE, parse_address(CAROL), name="printer")
    office = Office(hosts=[printer])
    update = f"tcp {CAROL}:4000 > {WEB}:443 S"
    assert office.lan(update) == [f"lan prohibited {ROUTER} > {CAROL} ({update})"]
    connect(office, f"{ALICE}:4001")
    assert office.lan(update) == [f"wan tcp {LINE}:4000 > {WEB}:443 S"]
    assert office.rises[0].trigger.host == ALICE


def test_16_a_broadcast_never_dials() -> None:
    """HP-UX: a licence manager's sunrpc broadcast dialled every hour."""
    office = Office()
    for destination in ("255.255.255.255", "192.168.1.255", "224.0.0.1"):
        assert office.lan(f"udp {ALICE}:1000 > {destination}:111") == []
    assert office.rises == []


def test_17_dialling_that_does_no_good_stops_by_itself() -> None:
    """isdn4linux FAQ 16, the charge unit disaster: unlimited dials run up a bill overnight."""
    link = LinkConfig("isp", redial=STEADY, idle_timeout_s=10.0)
    office = Office(link, breaker=BreakerConfig())
    for minute in range(8 * 60):
        office.wait(60)
        office.lan(f"udp {ALICE}:{1000 + minute} > {WEB}:6000")
    assert len(office.rises) == 5 + 7  # five in a row, then one each hour
    assert office.warnings[0].startswith("automatic dialling stops: 5 rises in a row")
    assert "rises in a row answered nothing; next try in" in office.row().blocked
    assert office.raise_link(by="boss") == ""
    office.wait(5)
    assert office.state() == "UP"


def test_17_redials_are_no_persons_even_if_a_person_raised_the_line() -> None:
    """The same, begun by hand: whoever raised the line once has not ordered what follows."""
    provider = FakeProvider(isp=[Up(5, lost_after_s=10.0)])
    office = Office(LinkConfig("isp", redial=STEADY), provider=provider, breaker=BreakerConfig())
    office.raise_link(by="boss")
    for second in range(600):
        office.lan(f"udp {ALICE}:{1000 + second} > {WEB}:6000")
        office.wait(1)
    first, *redials = office.rises
    assert (first.trigger.cause, first.trigger.by) == (Cause.USER, "boss")
    assert {(each.trigger.cause, each.trigger.why) for each in redials} == {
        (Cause.RECONNECT, "the line was in use when it was lost; boss had raised it")
    }
    assert len(redials) == 5
    assert office.warnings[0].startswith("automatic dialling stops: 5 rises in a row")


@pytest.mark.parametrize("flags", ["R", "RA", "F", "FA", "FPA"])
def test_18_the_end_of_a_connection_never_dials(flags: str) -> None:
    """user-ppp denies finrst in its samples; with pppd a reset still dials."""
    office = Office()
    connect(office)
    office.wait(200)
    assert office.state() == "DORMANT"
    assert office.lan(f"tcp {ALICE}:4000 > {WEB}:80 {flags}", seq=4, ack=5) == []
    assert office.lan(f"tcp {BOB}:4001 > {WEB}:80 {flags}", seq=4, ack=5) == []
    assert len(office.rises) == 1


def test_18_an_error_message_never_dials() -> None:
    office = Office()
    connect(office)
    office.wait(200)
    late = whole(f"udp {WEB}:80 > {ALICE}:4000")
    about = whole(f"icmp {ALICE} > {WEB}".replace("icmp", "1"), b"\x03\x03" + bytes(6) + late[10:])
    office.lan(about)
    assert len(office.rises) == 1


def test_19_each_kind_of_traffic_holds_for_its_own_time() -> None:
    """WinRoute: no optimum length; too short dials too often, too long keeps it up for nothing."""
    office = Office(rules=[policy("tcp dst port 22", Action.ACCEPT, 900.0)])
    held = []
    for talk in ("name", "page", "shell"):
        if talk == "name":
            ask_name(office)
        else:
            connect(office, f"{ALICE}:4{len(talk)}", f"{WEB}:{80 if talk == 'page' else 22}")
        office.wait(1800)
        rise = office.rises[-1]
        assert rise.ended_at is not None
        assert rise.up_at is not None
        held.append(rise.ended_at - rise.up_at - 1)
    assert held == [30.0, 180.0, 900.0]


def test_19_a_line_that_is_to_stay_stays() -> None:
    """user-ppp FAQ 14.5: why does my connection drop after three minutes?"""
    office = Office(LinkConfig("isp", mode=Mode.PERMANENT), provider=FakeProvider())
    office.wait(24 * 3600)
    assert office.state() == "UP"
    assert len(office.rises) == 1


def test_09_what_turns_back_to_the_lan_does_not_hold_the_line() -> None:
    """Nothing of it passes the line, however long it goes on."""
    office = Office(forwards=f"udp 5000 -> {MAIL}")
    connect(office)
    for _ in range(17):
        office.wait(10)
        office.lan(f"udp {ALICE}:4000 > {LINE}:5000")
    office.wait(12)
    assert office.state() == "DORMANT"
