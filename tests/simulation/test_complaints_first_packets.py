"""Complaints 1 to 6: the first packet, and an address that is another one after a redial."""

import pytest
from scapy.layers.inet import TCP

from router.link.types import LinkConfig
from tests.lab.provider import STEADY, FakeProvider, NoAnswer, Office, Up
from tests.simulation.talks import ALICE, BOB, CAROL, DNS, ROUTER, WEB, ask_name, close, connect

FIRST, SECOND = "203.0.113.2", "203.0.113.77"


def redialling(*addresses: str) -> Office:
    """An office whose line has these addresses, one at each dial."""
    return Office(provider=FakeProvider(isp=[Up(5, address) for address in addresses]))


def test_01_the_first_connection_survives_a_dynamic_address() -> None:
    """diald FAQ 6.11: the first TCP session over a line always freezes."""
    office = redialling(SECOND)
    assert office.lan(f"tcp {ALICE}:4000 > {WEB}:80 S", seq=700) == []
    assert office.wait(4.9) == []
    (syn,) = office.wait(0.1)
    assert syn == f"wan tcp {SECOND}:4000 > {WEB}:80 S"
    assert TCP(syn.body).seq == 700
    answer = office.wan(f"tcp {WEB}:80 > {SECOND}:4000 SA", ack=701)
    assert answer == [f"lan tcp {WEB}:80 > {ALICE}:4000 SA"]


def test_02_tcp_dials_and_nothing_leaves_before_there_is_an_address() -> None:
    """diald's dynamic.filter lets only UDP and ICMP dial, and packets leave before masquerading."""
    office = redialling(FIRST)
    held = [f"tcp {ALICE}:4000 > {WEB}:80 S", f"udp {BOB}:5000 > {DNS}:53", f"ping {CAROL} > {WEB}"]
    assert [office.lan(text + " id 7" * ("ping" in text)) for text in held] == [[], [], []]
    assert office.rises[0].trigger.packet == f"tcp {ALICE}:4000 -> {WEB}:80 flags syn"
    assert office.wait(5) == [
        f"wan tcp {FIRST}:4000 > {WEB}:80 S",
        f"wan udp {FIRST}:5000 > {DNS}:53",
        f"wan ping {FIRST} > {WEB} id 7",
    ]
    assert (office.rises[0].held, office.rises[0].lost) == (3, 0)


def test_03_every_first_connection_connects_not_only_that_of_the_first_dial() -> None:
    """FreeBSD FAQ 14.21: the process that forces a dial never connects, not even a second time."""
    addresses = [FIRST, SECOND, FIRST]
    office = redialling(*addresses)
    for port, address in enumerate(addresses, 4000):
        assert connect(office, f"{ALICE}:{port}") == f"{address}:{port}"
        close(office, f"{address}:{port}", f"{ALICE}:{port}")
        office.wait(600)
        assert office.state() == "DORMANT"


def test_04_the_same_address_keeps_every_connection() -> None:
    """pppd(8): demand with a dynamic address may disrupt existing connections."""
    office = redialling(FIRST)
    external = connect(office)
    office.wait(200)
    assert office.state() == "DORMANT"
    assert office.lan(f"tcp {ALICE}:4000 > {WEB}:80 PA", b"more", seq=4, ack=5) == []
    assert office.wait(5) == [f"wan tcp {external} > {WEB}:80 PA"]
    assert len(office.wan(f"tcp {WEB}:80 > {external} PA", b"page", seq=5, ack=8)) == 1


def test_04_another_address_resets_connections_at_the_sequence_they_expect() -> None:
    """pppd(8), as above: what cannot live on is told so at once."""
    office = redialling(FIRST, SECOND)
    connect(office)
    office.wait(200)
    assert office.lan(f"tcp {ALICE}:4000 > {WEB}:80 PA", b"more", seq=4, ack=5) == []
    (reset, *rest) = office.wait(5)
    assert reset == f"lan tcp {WEB}:80 > {ALICE}:4000 R"
    assert TCP(reset.body).seq == 5
    assert [seen for seen in rest if FIRST in seen] == []


def test_05_a_keepalive_that_never_ages_out_gets_the_new_address_at_once() -> None:
    """landscape#214: WireGuard kept the mapping of the former address alive for eight hours."""
    office = redialling(FIRST)
    keepalive = f"udp {ALICE}:51820 > {WEB}:51820"
    office.lan(keepalive, b"\x04")
    office.wait(5)
    for _ in range(10):
        office.wait(25)
        assert office.lan(keepalive, b"\x04") == [f"wan udp {FIRST}:51820 > {WEB}:51820"]
        office.wan(f"udp {WEB}:51820 > {FIRST}:51820", b"\x04")
    told = office.renumber(SECOND)
    assert told == [f"lan host-unreachable {ROUTER} > {ALICE} ({keepalive})"]
    assert office.lan(keepalive, b"\x04") == [f"wan udp {SECOND}:51820 > {WEB}:51820"]
    assert office.sessions == [f"udp {ALICE}:51820 {SECOND}:51820 {WEB}:51820"]


def test_06_a_phone_registers_anew_from_the_new_address() -> None:
    """opnsense/core#4652: REGISTER retries kept the state of the former address alive."""
    office = redialling(FIRST, SECOND)
    register = f"udp {ALICE}:5060 > {WEB}:5060"
    office.lan(register, b"REGISTER")
    office.wait(5)
    office.lose()
    assert office.lan(register, b"REGISTER again") == []
    sent = office.wait(60)
    assert f"wan udp {SECOND}:5060 > {WEB}:5060" in sent
    assert office.sessions == [f"udp {ALICE}:5060 {SECOND}:5060 {WEB}:5060"]


def test_06_only_what_used_the_former_address_ends() -> None:
    """redmine.pfsense.org/issues/8555: killing all states drops good calls."""
    provider = FakeProvider(isp=[NoAnswer(), Up(5, SECOND)], backup=[Up(5, FIRST)])
    links = [LinkConfig(name, redial=STEADY, dead_after=1) for name in ("isp", "backup")]
    office = Office(*links, provider=provider)
    office.lan(f"tcp {ALICE}:4000 > {WEB}:80 S")
    office.wait(66)
    good_call = connect(office, f"{BOB}:4001")
    office.wait(40)
    assert (office.state("isp"), office.state("backup")) == ("UP", "UP")
    assert connect(office, f"{CAROL}:4002") == f"{SECOND}:4002"
    told = office.renumber("203.0.113.99")
    assert told == [f"lan tcp {WEB}:80 > {CAROL}:4002 R"]
    assert len(office.lan(f"tcp {BOB}:4001 > {WEB}:80 PA", b"on", seq=4, ack=5)) == 1
    assert len(office.wan(f"tcp {WEB}:80 > {good_call} PA", b"on", seq=5, ack=6)) == 1


@pytest.mark.parametrize("way", ["lost", "dropped"])
def test_06_nothing_is_killed_while_there_is_nowhere_to_go(way: str) -> None:
    """internetsecure.org: killing states when no failover target exists causes the outage."""
    office = redialling(FIRST)
    connect(office)
    ask_name(office)
    if way == "dropped":
        office.drop_link()
    assert (office.wait(1) if way == "dropped" else office.lose()) == []
    assert len(office.sessions) == 2
