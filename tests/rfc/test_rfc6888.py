"""RFC 6888: what a carrier asks of a NAT, as far as a small one goes. Ledger: rfc6888.txt."""

from collections.abc import Callable

import pytest

from router.nat.types import Limits, OneToOne, Timeouts
from router.wire.address import Network
from tests.lab.network import Router

Build = Callable[..., Router]

W1, W2 = "198.51.100.10", "198.51.100.20"
L1, L2 = "192.168.1.11", "192.168.1.12"
N = "203.0.113.2"


def external(router: Router, packet: str) -> str:
    (seen,) = router.lan(packet)
    assert seen.side.name == "WAN", seen
    return seen.source


# REQ-3: any set of external addresses


def test_several_blocks_of_external_addresses(build: Build) -> None:
    blocks = tuple(map(Network.parse, ("203.0.113.8/31", "198.18.0.77/32")))
    router = build(address=OneToOne(blocks))
    hosts = [f"192.168.1.{n}" for n in range(2, 5)]
    used = {external(router, f"udp {host}:1 > {W1}:53") for host in hosts}
    assert used == {"203.0.113.8:1", "203.0.113.9:1", "198.18.0.77:1"}


# REQ-4, REQ-5, REQ-11: limits


@pytest.mark.parametrize("flow", ["udp {}:{} > {}:53", "tcp {}:{} > {}:80 S"])
def test_one_host_cannot_take_everything(build: Build, flow: str) -> None:
    router = build(limits=Limits(sessions_per_host=20))
    seen = [router.lan(flow.format(L2, 3000 + n, W1))[0] for n in range(30)]
    assert [packet.side.name for packet in seen] == ["WAN"] * 20 + ["LAN"] * 10
    assert all(packet.startswith("lan prohibited") for packet in seen[20:])
    assert router.lan(flow.format(L1, 3000, W1))[0].side.name == "WAN"
    assert len(router.sessions) == 21


def test_a_limit_counts_inbound_sessions_too(build: Build) -> None:
    router = build(
        forwards=f"udp 81 -> {L1}", limits=Limits(sessions_per_host=6, inbound_sessions_per_host=3)
    )
    passed = [len(router.wan(f"udp {W1}:{port} > {N}:81")) for port in range(1, 6)]
    assert passed == [1] * 3 + [0] * 2, "strangers have a share of their own"
    assert [len(router.lan(f"udp {L1}:{port} > {W2}:53")) for port in range(2000, 2003)] == [1] * 3
    assert router.lan(f"udp {L1}:2003 > {W2}:53")[0].startswith("lan prohibited")


def test_nothing_old_is_evicted_for_something_new(build: Build) -> None:
    router = build(limits=Limits(sessions=50))
    for n in range(50):
        external(router, f"udp {L1}:{3000 + n} > {W1}:53")
    before = router.sessions
    for n in range(200):
        router.lan(f"udp {L2}:{3000 + n} > {W1}:53")
    assert router.sessions == before


# REQ-8: quarantine


def test_a_freed_port_rests_before_a_stranger_gets_it(router: Router) -> None:
    assert external(router, f"udp {L1}:4000 > {W1}:53") == f"{N}:4000"
    router.wait(301)
    assert external(router, f"udp {L2}:4000 > {W1}:53") != f"{N}:4000"
    router.wait(119 + 301)
    assert external(router, f"udp 192.168.1.13:4000 > {W1}:53") == f"{N}:4000"


def test_its_former_owner_may_have_it_back(router: Router) -> None:
    external(router, f"udp {L1}:4000 > {W1}:53")
    router.wait(301)
    assert external(router, f"udp {L1}:4000 > {W1}:53") == f"{N}:4000"


def test_a_tracked_connections_port_has_rested_already(router: Router) -> None:
    external(router, f"tcp {L1}:4000 > {W1}:80 S")
    router.wait(241)
    assert external(router, f"tcp {L2}:4000 > {W1}:80 S") == f"{N}:4000"


def test_the_quarantine_is_configurable(build: Build) -> None:
    router = build(timeouts=Timeouts(udp=10, port_quarantine=0))
    external(router, f"udp {L1}:4000 > {W1}:53")
    router.wait(11)
    assert external(router, f"udp {L2}:4000 > {W1}:53") == f"{N}:4000"


def test_a_resting_port_is_better_than_none(build: Build) -> None:
    router = build(timeouts=Timeouts(udp=10), dynamic_ports=(1024, 1025))
    for n in range(2):
        external(router, f"udp {L1}:{1024 + n} > {W1}:53")
        router.wait(5)
    router.wait(6)
    assert external(router, f"udp {L2}:3000 > {W1}:53") == f"{N}:1024"


def test_a_freed_address_rests_before_a_stranger_gets_it(build: Build) -> None:
    router = build(address=OneToOne((Network.parse("203.0.113.8/32"),)), timeouts=Timeouts(udp=10))
    external(router, f"udp {L1}:1 > {W1}:53")
    router.wait(11)
    assert router.lan(f"udp {L2}:1 > {W1}:53")[0].startswith("lan prohibited")
    router.wait(120)
    assert external(router, f"udp {L2}:1 > {W1}:53") == "203.0.113.8:1"
    assert router.wan(f"udp {W1}:53 > 203.0.113.8:1") == [f"lan udp {W1}:53 > {L2}:1"]


def test_a_flood_from_outside_leaves_the_server_its_own_way_out(build: Build) -> None:
    router = build(
        forwards=f"tcp 80 -> {L1}",
        limits=Limits(sessions_per_host=200, inbound_sessions_per_host=100),
    )
    passed = [router.wan(f"tcp {W1}:{port} > {N}:80 S") for port in range(1000, 1200)]
    assert [bool(seen) for seen in passed] == [True] * 100 + [False] * 100
    assert router.lan(f"tcp {L1}:5000 > {W2}:25 S") == [f"wan tcp {N}:5000 > {W2}:25 S"]
    assert router.lan(f"tcp {L2}:5000 > {W2}:25 S") != []


def test_a_flood_from_outside_leaves_the_lan_half_the_table(build: Build) -> None:
    forwards = f"tcp 80 -> {L1}\ntcp 81 -> {L2}"
    router = build(forwards=forwards, limits=Limits(sessions=100, inbound_sessions=50))
    for port in range(1000, 1100):
        router.wan(f"tcp {W1}:{port} > {N}:80 S")
        router.wan(f"tcp {W1}:{port} > {N}:81 S")
    assert len(router.sessions) == 50
    assert router.lan(f"udp {L1}:5000 > {W2}:53") == [f"wan udp {N}:5000 > {W2}:53"]
