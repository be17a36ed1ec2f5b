"""Complaints 28 to 36: what a NAT on such a line is blamed for."""

from scapy.layers.inet import TCP

from router.link.types import LinkConfig
from router.nat.types import Limits
from tests.lab.provider import STEADY, FakeProvider, NoAnswer, Office, Up
from tests.simulation.talks import ALICE, BOB, DNS, MAIL, ROUTER, WEB, ask_name, connect

FIRST, SECOND = "203.0.113.2", "203.0.113.77"
STRANGER = "192.0.2.66"


def test_28_a_server_sees_who_its_client_is() -> None:
    """podman#5138 and many more: the real address of clients is lost on forwards."""
    office = Office(forwards=f"tcp 25 -> {MAIL}")
    office.find_up(FIRST)
    seen = office.wan(f"tcp {STRANGER}:4000 > {FIRST}:25 S")
    assert seen == [f"lan tcp {STRANGER}:4000 > {MAIL}:25 S"]


def test_29_it_forwards_again_however_long_it_was_cut_off() -> None:
    """gvisor-tap-vsock#648: after 2.5 minutes of unreachable it never forwards again."""
    provider = FakeProvider(isp=[Up(5, FIRST), NoAnswer(), NoAnswer(), NoAnswer(), Up(5, FIRST)])
    office = Office(provider=provider)
    connect(office)
    office.lose()
    for second in range(0, 900, 5):
        office.lan(f"udp {ALICE}:{6000 + second} > {DNS}:53")
        office.wait(5)
        if second == 150:
            assert office.state() != "UP"
    assert office.state() == "UP"
    assert ask_name(office) == [f"lan udp {DNS}:53 > {ALICE}:5353"]


def test_29_a_flow_that_has_timed_out_begins_anew() -> None:
    """gvisor-tap-vsock PR#393: a UDP flow is dead after the proxy's timeout."""
    office = Office(LinkConfig("isp", idle_timeout_s=0.0))
    for _ in range(3):
        assert len(ask_name(office)) == 1
        office.wait(400)
        assert office.sessions == []


def test_30_forwards_follow_the_address() -> None:
    """podman#24970: pasta keeps mapping to the address that it saw at start."""
    office = Office(forwards=f"tcp 25 -> {MAIL}")
    office.find_up(FIRST)
    for address in (SECOND, "203.0.113.99"):
        office.renumber(address)
        seen = office.wan(f"tcp {STRANGER}:4000 > {address}:25 S")
        assert seen == [f"lan tcp {STRANGER}:4000 > {MAIL}:25 S"]
        assert office.wan(f"tcp {STRANGER}:4001 > {FIRST}:25 S") == []


def test_31_window_scaling_is_agreed_between_the_ends_even_while_it_dials() -> None:
    """podman#18237: without it throughput collapses with the round trip time."""
    office = Office()
    office.lan(f"tcp {ALICE}:4000 > {WEB}:80 S", tcp_options=[("WScale", 7)])
    (syn,) = office.wait(5)
    assert ("WScale", 7) in TCP(syn.body).options


def test_32_forwards_outlive_a_flapping_line() -> None:
    """miniupnpd#890: after one flap every mapping fails, silently, until a restart."""
    office = Office(
        LinkConfig("isp", redial=STEADY, idle_timeout_s=0.0), forwards=f"tcp 25 -> {MAIL}"
    )
    for _ in range(5):
        office.find_up(FIRST)
        seen = office.wan(f"tcp {STRANGER}:4000 > {FIRST}:25 S")
        assert seen == [f"lan tcp {STRANGER}:4000 > {MAIL}:25 S"]
        office.lose()
        office.wait(60)


def test_33_one_host_cannot_fill_the_table_for_the_others() -> None:
    """magnetico#253 and others: the table of connections is full and nothing works any more."""
    office = Office(limits=Limits(sessions=200, sessions_per_host=100))
    connect(office, f"{BOB}:4000")
    for port in range(100):
        assert len(office.lan(f"udp {ALICE}:{1024 + port} > {WEB}:6881")) == 1
    refused = f"udp {ALICE}:2000 > {WEB}:6881"
    assert office.lan(refused) == [f"lan prohibited {ROUTER} > {ALICE} ({refused})"]
    assert ask_name(office, f"{BOB}:6000") == [f"lan udp {DNS}:53 > {BOB}:6000"]


def test_34_payload_is_nobodys_business() -> None:
    """NethServer#6326: SIP gateways in routers break what they mean to help."""
    invite = f"INVITE sip:b@{WEB} SIP/2.0\r\nVia: SIP/2.0/UDP {ALICE}:5060\r\n\r\n".encode()
    office = Office()
    office.lan(f"udp {ALICE}:5060 > {WEB}:5060", invite)
    (seen,) = office.wait(5)
    assert seen.body[8:] == invite


def test_35_other_rules_reach_what_is_open_when_asked_to() -> None:
    """openwrt#12017: a change of rules does not affect flows that exist."""
    office = Office(forwards=f"udp 5000 -> {MAIL}")
    office.find_up(FIRST)
    packet = f"udp {STRANGER}:4000 > {FIRST}:5000"
    assert office.wan(packet) == [f"lan udp {STRANGER}:4000 > {MAIL}:5000"]
    assert office.replace_forwards(f"udp 5000 -> {BOB}") == 0
    assert office.wan(packet) == [f"lan udp {STRANGER}:4000 > {MAIL}:5000"]
    assert office.replace_forwards(f"udp 5000 -> {ALICE}", reset_affected=True) == 1
    assert office.wan(packet) == [f"lan udp {STRANGER}:4000 > {ALICE}:5000"]


def test_35_a_forward_made_while_its_flow_knocks_is_followed() -> None:
    """moby#44742: forwards added while a UDP flow exists are ignored."""
    office = Office()
    office.find_up(FIRST)
    packet = f"udp {STRANGER}:4000 > {FIRST}:5000"
    assert [office.wan(packet) for _ in range(3)] == [[], [], []]
    office.replace_forwards(f"udp 5000 -> {MAIL}")
    assert office.wan(packet) == [f"lan udp {STRANGER}:4000 > {MAIL}:5000"]


def test_36_a_server_is_found_by_its_public_address_from_inside() -> None:
    """router7#53, easywall#39: hairpin wanted."""
    office = Office(forwards=f"tcp 80 -> {MAIL}:8080")
    office.find_up(FIRST)
    assert office.lan(f"tcp {ALICE}:4000 > {FIRST}:80 S") == [
        f"lan tcp {FIRST}:4000 > {MAIL}:8080 S"
    ]


def test_36_segments_fit_the_line_the_provider_gave() -> None:
    """FreeBSD FAQ 14.25: connections freeze behind PPPoE."""
    office = Office(provider=FakeProvider(isp=[Up(5, FIRST, mtu=1492)]))
    office.lan(f"tcp {ALICE}:4000 > {WEB}:80 S", tcp_options=[("MSS", 1460)])
    (syn,) = office.wait(5)
    assert TCP(syn.body).options == [("MSS", 1452)]
