"""RFC 7857: updates to the NAT behavioural requirements. The ledger is rfc7857.txt."""

from collections.abc import Callable
from itertools import pairwise

import pytest

from router.nat.types import FilteringBehavior, OneToOne, Timeouts
from router.wire.address import Network
from tests.lab.network import Router, Seen, joined
from tests.lab.packets import error, fragments, udp

Build = Callable[..., Router]

W1, W2 = "198.51.100.10", "198.51.100.20"
L1, L2, L3 = "192.168.1.11", "192.168.1.12", "192.168.1.13"
N = "203.0.113.2"
EIF = FilteringBehavior.ENDPOINT_INDEPENDENT


def connect(router: Router) -> None:
    router.lan(f"tcp {L1}:4000 > {W1}:80 S", seq=1000)
    router.wan(f"tcp {W1}:80 > {N}:4000 SA", seq=5000, ack=1001)
    router.lan(f"tcp {L1}:4000 > {W1}:80 A", seq=1001, ack=5001)


def reset(router: Router, side: str) -> list[Seen]:
    if side == "inside":
        return router.lan(f"tcp {L1}:4000 > {W1}:80 R", seq=1001)
    return router.wan(f"tcp {W1}:80 > {N}:4000 R", seq=5001)


# Section 2: TCP


@pytest.mark.parametrize("side", ["inside", "outside"])
def test_a_reset_is_translated_and_leaves_state_for_four_minutes(router: Router, side: str) -> None:
    connect(router)
    assert len(reset(router, side)) == 1
    router.wait(239)
    assert len(reset(router, side)) == 1
    router.wait(2)
    assert router.sessions == []


@pytest.mark.parametrize("side", ["inside", "outside"])
def test_data_after_a_reset_shows_that_the_connection_lives(router: Router, side: str) -> None:
    connect(router)
    reset(router, side)
    router.wait(200)
    assert len(router.lan(f"tcp {L1}:4000 > {W1}:80 PA", b"x", seq=1001, ack=5001)) == 1
    router.wait(7400)
    assert len(router.wan(f"tcp {W1}:80 > {N}:4000 A", seq=5001, ack=1002)) == 1


def test_a_reset_that_matches_no_mapping_is_dropped(router: Router) -> None:
    connect(router)
    assert router.wan(f"tcp {W1}:81 > {N}:4000 R") == []
    assert router.wan(f"tcp {W1}:80 > {N}:4001 R") == []


def test_opening_and_closing_have_a_timer_of_their_own(build: Build) -> None:
    router = build(timeouts=Timeouts(tcp_established=1000, tcp_transitory=10))
    router.lan(f"tcp {L1}:4000 > {W1}:80 S")
    router.wait(11)
    assert router.sessions == []
    connect(router)
    router.wait(999)
    assert len(router.sessions) == 1


# Section 4: paired pooling when ports run out


def test_no_second_address_when_ports_of_the_first_run_out(build: Build) -> None:
    router = build(dynamic_ports=(1024, 1033))
    for port in range(10):
        assert len(router.lan(f"udp {L1}:{2000 + port} > {W1}:53")) == 1
    assert router.lan(f"udp {L2}:2000 > {W1}:53") == [
        f"lan prohibited 192.168.1.1 > {L2} (udp {L2}:2000 > {W1}:53)"
    ]


def test_no_second_address_for_a_host_of_a_pool(build: Build) -> None:
    router = build(address=OneToOne((Network.parse("203.0.113.8/31"),)))
    assert router.lan(f"udp {L1}:1 > {W1}:53") == [f"wan udp 203.0.113.8:1 > {W1}:53"]
    assert router.lan(f"udp {L2}:1 > {W1}:53") == [f"wan udp 203.0.113.9:1 > {W1}:53"]
    assert router.lan(f"udp {L3}:1 > {W1}:53") == [
        f"lan prohibited 192.168.1.1 > {L3} (udp {L3}:1 > {W1}:53)"
    ]


# Sections 5 and 6: each protocol for itself


def test_a_udp_mapping_opens_nothing_for_tcp(build: Build) -> None:
    router = build(filtering=EIF)
    router.lan(f"udp {L1}:4000 > {W1}:53")
    assert router.wan(f"tcp {W2}:80 > {N}:4000 S") == []
    router.lan(f"tcp {L2}:4000 > {W1}:80 S")
    assert router.wan(f"tcp {W2}:80 > {N}:4000 S") == [f"lan tcp {W2}:80 > {L2}:4000 S"]
    assert router.wan(f"udp {W2}:80 > {N}:4000") == [f"lan udp {W2}:80 > {L1}:4000"]


# Section 7: refresh


@pytest.mark.parametrize("refreshes", [False, True])
def test_inbound_refresh_of_an_open_filter_is_configurable(build: Build, refreshes: bool) -> None:
    router = build(filtering=EIF, inbound_refresh=refreshes, timeouts=Timeouts(udp=100))
    router.lan(f"udp {L1}:4000 > {W1}:53")
    passed = 0
    for port in range(1, 5):
        router.wait(60)
        passed += len(router.wan(f"udp {W2}:{port} > {N}:4000"))
    assert passed == (4 if refreshes else 1)


def test_outbound_errors_do_not_refresh(build: Build) -> None:
    router = build(timeouts=Timeouts(udp=100))
    router.lan(f"udp {L1}:4000 > {W1}:53")
    for _ in range(3):
        (came,) = router.wan(f"udp {W1}:53 > {N}:4000")
        assert len(router.lan(error(L1, came.frame, "port-unreachable"))) == 1
        router.wait(33)
    router.wait(2)
    assert router.wan(f"udp {W1}:53 > {N}:4000") == []


def test_outbound_resets_do_not_refresh(build: Build) -> None:
    router = build(timeouts=Timeouts(tcp_transitory=100))
    connect(router)
    for _ in range(3):
        assert len(reset(router, "inside")) == 1
        router.wait(45)
    assert router.sessions == []


# Section 9: ports are hard to guess


def test_colliding_ports_are_chosen_at_random(build: Build) -> None:
    def ports(seed: int) -> list[int]:
        router = build(seed=seed)
        hosts = [f"192.168.1.{n}" for n in range(2, 63)]
        return [router.lan(f"udp {host}:4000 > {W1}:53")[0].port for host in hosts][1:]

    chosen = ports(1)
    steps = [abs(after - before) for before, after in pairwise(chosen)]
    assert sum(step <= 16 for step in steps) < 6
    assert max(chosen) - min(chosen) > 32768
    assert len(set(chosen) & set(ports(2))) < 6


def test_query_ids_are_chosen_at_random(router: Router) -> None:
    hosts = [f"192.168.1.{n}" for n in range(2, 63)]
    chosen = [router.lan(f"ping {host} > {W1} id 7")[0].query_id for host in hosts][1:]
    assert len(set(chosen)) == len(chosen)
    assert max(chosen) - min(chosen) > 32768


# Section 10: IP identification (RFC 6864, section 5.3.1)


def big(source: str, destination: str, fill: int, size: int = 2000) -> bytes:
    return udp(f"{source} > {destination}", bytes([fill]) * size, flags="", id=77)


def apart(seen: list[Seen]) -> list[bytes]:
    """The datagrams a receiver makes of interleaved fragments."""
    groups: dict[tuple[str, str, int], list[Seen]] = {}
    for piece in seen:
        groups.setdefault((piece.ip.src, piece.ip.dst, piece.ip.id), []).append(piece)
    return [joined(pieces).body[8:] for pieces in groups.values()]


@pytest.mark.parametrize("order", [[0, 2, 1, 3], [3, 1, 2, 0], [0, 2, 3, 1]])
def test_fragments_of_two_hosts_with_the_same_identification(
    router: Router, order: list[int]
) -> None:
    pieces = [
        *fragments(big(f"{L1}:4000", f"{W1}:53", 1), 1480),
        *fragments(big(f"{L2}:5000", f"{W1}:53", 2), 1480),
    ]
    seen = [packet for at in order for packet in router.lan(pieces[at])]
    assert sorted(apart(seen)) == [b"\1" * 2000, b"\2" * 2000]


def test_datagrams_the_router_cuts_itself(build: Build) -> None:
    router = build(line_mtu=1280)
    first = router.lan(udp(f"{L1}:4000 > {W1}:53", b"\1" * 1400, flags="", id=77))
    second = router.lan(udp(f"{L2}:5000 > {W1}:53", b"\2" * 1400, flags="", id=77))
    seen = [first[0], second[0], second[1], first[1]]
    assert sorted(apart(seen)) == [b"\1" * 1400, b"\2" * 1400]


def test_fragments_the_router_cuts_once_more(build: Build) -> None:
    router = build(line_mtu=1000)
    pieces = [fragments(big(f"{h}:4000", f"{W1}:53", n), 1480) for n, h in ((1, L1), (2, L2))]
    seen = [packet for at in (0, 1) for piece in pieces for packet in router.lan(piece[at])]
    assert sorted(apart(seen)) == [b"\1" * 2000, b"\2" * 2000]


def test_hairpinned_fragments_with_the_same_identification(build: Build) -> None:
    router = build(filtering=EIF)
    router.lan(f"udp {L3}:4000 > {W1}:53")
    pieces = [
        *fragments(big(f"{L1}:4001", f"{N}:4000", 1), 1480),
        *fragments(big(f"{L2}:5001", f"{N}:4000", 2), 1480),
    ]
    seen = [packet for at in (0, 2, 1, 3) for packet in router.lan(pieces[at])]
    assert sorted(apart(seen)) == [b"\1" * 2000, b"\2" * 2000]


def test_identifications_are_unique_for_a_while(router: Router) -> None:
    hosts = [f"192.168.1.{n}" for n in range(2, 250)]
    firsts = [fragments(big(f"{host}:4000", f"{W1}:53", 1), 1480)[0] for host in hosts]
    assert len({router.lan(first)[0].ip.id for first in firsts}) == len(hosts)


# Section 12: hairpinned queries


@pytest.mark.parametrize("answers", [True, False])
def test_the_external_address_answers_pings_from_inside(build: Build, answers: bool) -> None:
    router = build(answer_wan_ping=answers)
    assert router.lan(f"ping {L1} > {N} id 7") == [f"lan pong {N} > {L1} id 7"]
