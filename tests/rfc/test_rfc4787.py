"""RFC 4787: NAT behavioural requirements for unicast UDP. The ledger is rfc4787.txt."""

from collections.abc import Callable

import pytest

from router.devices import Side
from router.nat.types import (
    FilteringBehavior,
    Limits,
    MappingBehavior,
    OneToOne,
    Timeouts,
)
from router.wire.address import Network
from tests.lab.network import Router, Seen, joined, renumbered
from tests.lab.packets import error, fragments, udp

Build = Callable[..., Router]

W1, W2, W3 = "198.51.100.10", "198.51.100.20", "192.0.2.30"
L1, L2 = "192.168.1.11", "192.168.1.12"
EIF = FilteringBehavior.ENDPOINT_INDEPENDENT
ADF = FilteringBehavior.ADDRESS_DEPENDENT
APDF = FilteringBehavior.ADDRESS_AND_PORT_DEPENDENT
EIM = MappingBehavior.ENDPOINT_INDEPENDENT
ADM = MappingBehavior.ADDRESS_DEPENDENT
APDM = MappingBehavior.ADDRESS_AND_PORT_DEPENDENT


def out(router: Router, internal: str, remote: str) -> Seen:
    """One datagram out; it must come out as exactly one."""
    (seen,) = router.lan(f"udp {internal} > {remote}")
    assert seen.side.name == "WAN"
    return seen


def delivered(router: Router, remote: str, external: str, internal: str) -> bool:
    """Whether a datagram of `remote` to `external` reaches `internal`, and nobody else."""
    seen = router.wan(f"udp {remote} > {external}")
    assert seen in ([], [f"lan udp {remote} > {internal}"])
    return bool(seen)


# REQ-1, REQ-3, REQ-11: mapping


def test_one_external_endpoint_for_all_remotes(router: Router) -> None:
    remotes = [f"{W1}:53", f"{W1}:54", f"{W2}:53"]
    assert {out(router, f"{L1}:4000", remote).source for remote in remotes} == {"203.0.113.2:4000"}


def test_one_external_endpoint_even_when_ports_collide(router: Router) -> None:
    remotes = [f"{W1}:53", f"{W1}:54", f"{W2}:53"]
    firsts = {out(router, f"{L1}:4000", remote).source for remote in remotes}
    seconds = {out(router, f"{L2}:4000", remote).source for remote in remotes}
    assert len(firsts) == len(seconds) == 1
    assert firsts != seconds


@pytest.mark.parametrize(
    ("mapping", "shared"),
    [(EIM, [0, 0, 0]), (ADM, [0, 0, 1]), (APDM, [0, 1, 2])],
    ids=["independent", "address", "address-and-port"],
)
@pytest.mark.parametrize("host", [L1, L2], ids=["preserved", "collided"])
def test_mapping_behaviour_is_as_configured(
    build: Build, mapping: MappingBehavior, shared: list[int], host: str
) -> None:
    router = build(mapping=mapping)
    for remote in (f"{W1}:53", f"{W1}:54", f"{W2}:53"):
        out(router, f"{L1}:4000", remote)
    sources = [
        out(router, f"{host}:4000", remote).source
        for remote in (f"{W1}:53", f"{W1}:54", f"{W2}:53")
    ]
    groups = list(dict.fromkeys(sources))
    assert [groups.index(source) for source in sources] == shared


def test_no_port_is_overloaded(router: Router) -> None:
    to_same = [out(router, f"192.168.1.{n}:4000", f"{W1}:53").source for n in range(2, 40)]
    to_others = [
        out(router, f"192.168.1.{n}:4001", f"198.51.100.{n}:53").source for n in range(2, 40)
    ]
    assert len({*to_same, *to_others}) == len(to_same) + len(to_others)


def test_replies_reach_the_host_that_asked(router: Router) -> None:
    external = {host: out(router, f"{host}:4000", f"{W1}:53").source for host in (L1, L2)}
    for host in (L2, L1):
        assert delivered(router, f"{W1}:53", external[host], f"{host}:4000")


def test_a_colliding_host_gets_another_port_and_keeps_it(router: Router) -> None:
    assert out(router, f"{L1}:4000", f"{W1}:53").port == 4000
    port = out(router, f"{L2}:4000", f"{W1}:53").port
    assert port != 4000
    router.wait(200)
    assert out(router, f"{L2}:4000", f"{W2}:99").port == port


def test_behaviour_does_not_change_under_collisions(build: Build) -> None:
    router = build(filtering=ADF)
    for n in range(10):
        for host in (L1, L2):
            internal = f"{host}:{5000 + n}"
            external = {out(router, internal, remote).source for remote in (f"{W1}:1", f"{W1}:2")}
            assert len(external) == 1
            (endpoint,) = external
            assert delivered(router, f"{W1}:3", endpoint, internal)
            assert not delivered(router, f"{W3}:1", endpoint, internal)


def test_behaviour_does_not_change_under_load(build: Build) -> None:
    router = build(dynamic_ports=(1024, 1223), filtering=ADF)
    for n in range(190):
        out(router, f"192.168.1.{2 + n % 200}:{1024 + n // 2}", f"{W1}:53")
    external = {out(router, f"{L1}:7000", r).source for r in (f"{W1}:53", f"{W1}:54", f"{W2}:53")}
    assert len(external) == 1
    assert not delivered(router, f"{W3}:53", external.pop(), f"{L1}:7000")


# REQ-2: paired pooling


def test_one_host_has_one_external_address(build: Build) -> None:
    router = build(address=OneToOne((Network.parse("203.0.113.8/29"),)))
    addresses = {
        host: {out(router, f"{host}:{5000 + n}", f"{W1}:{n + 1}").ip.src for n in range(20)}
        for host in (L1, L2)
    }
    assert all(len(used) == 1 for used in addresses.values())
    assert addresses[L1] != addresses[L2]


# REQ-3a, REQ-4: range, parity


@pytest.mark.parametrize("port", [1, 80, 1022, 1023, 1024, 1025, 40000, 65535])
def test_ports_keep_their_range_and_parity(router: Router, port: int) -> None:
    for n in range(2, 18):
        external = out(router, f"192.168.1.{n}:{port}", f"{W1}:53").port
        assert external > 0
        assert (external < 1024) == (port < 1024)
        assert external % 2 == port % 2


def test_port_zero_is_never_handed_out(router: Router) -> None:
    assert out(router, f"{L1}:0", f"{W1}:53").port >= 1024


def test_parity_and_preservation_can_be_turned_off(build: Build) -> None:
    router = build(port_parity=False, port_preservation=False)
    ports = [out(router, f"{L1}:{4000 + 2 * n}", f"{W1}:53").port for n in range(60)]
    assert {port % 2 for port in ports} == {0, 1}
    assert not set(ports) & {4000 + 2 * n for n in range(60)}


# REQ-5, REQ-6: timers


@pytest.mark.parametrize("idle", [119, 299])
@pytest.mark.parametrize("two_way", [False, True], ids=["one-way", "two-way"])
def test_a_mapping_lives_for_five_idle_minutes(router: Router, idle: int, two_way: bool) -> None:
    for _ in range(3 if two_way else 1):
        out(router, f"{L1}:4000", f"{W1}:53")
        if two_way:
            assert delivered(router, f"{W1}:53", "203.0.113.2:4000", f"{L1}:4000")
    router.wait(idle)
    assert delivered(router, f"{W1}:53", "203.0.113.2:4000", f"{L1}:4000")


def test_an_idle_mapping_ends(router: Router) -> None:
    out(router, f"{L1}:4000", f"{W1}:53")
    router.wait(301)
    assert not delivered(router, f"{W1}:53", "203.0.113.2:4000", f"{L1}:4000")
    assert (router.sessions, router.mappings) == ([], [])


def test_the_timer_is_configurable(build: Build) -> None:
    router = build(timeouts=Timeouts(udp=20))
    out(router, f"{L1}:4000", f"{W1}:53")
    router.wait(19)
    assert delivered(router, f"{W1}:53", "203.0.113.2:4000", f"{L1}:4000")
    router.wait(2)
    assert not delivered(router, f"{W1}:53", "203.0.113.2:4000", f"{L1}:4000")


def test_outbound_traffic_refreshes(build: Build) -> None:
    router = build(timeouts=Timeouts(udp=100))
    for _ in range(5):
        out(router, f"{L1}:4000", f"{W1}:53")
        router.wait(60)
    assert delivered(router, f"{W1}:53", "203.0.113.2:4000", f"{L1}:4000")


@pytest.mark.parametrize("refreshes", [False, True])
def test_inbound_traffic_refreshes_only_if_configured(build: Build, refreshes: bool) -> None:
    router = build(timeouts=Timeouts(udp=100), inbound_refresh=refreshes)
    out(router, f"{L1}:4000", f"{W1}:53")
    out(router, f"{L1}:4000", f"{W1}:53")
    router.wait(60)
    assert delivered(router, f"{W1}:53", "203.0.113.2:4000", f"{L1}:4000")
    router.wait(60)
    assert delivered(router, f"{W1}:53", "203.0.113.2:4000", f"{L1}:4000") == refreshes


# REQ-7: the same network on both sides


def test_a_line_inside_the_lan_network_still_translates(build: Build) -> None:
    router = build(line="192.168.1.50")
    assert out(router, f"{L1}:4000", f"{W1}:53").source == "192.168.1.50:4000"
    assert delivered(router, f"{W1}:53", "192.168.1.50:4000", f"{L1}:4000")


# REQ-8: filtering

FILTERINGS = [
    (EIF, {f"{W1}:53": True, f"{W1}:54": True, f"{W2}:53": True}),
    (ADF, {f"{W1}:53": True, f"{W1}:54": True, f"{W2}:53": False}),
    (APDF, {f"{W1}:53": True, f"{W1}:54": False, f"{W2}:53": False}),
]


@pytest.mark.parametrize(("filtering", "expected"), FILTERINGS, ids=["eif", "adf", "apdf"])
@pytest.mark.parametrize("host", [L1, L2], ids=["preserved", "collided"])
@pytest.mark.parametrize("mapping", [EIM, ADM, APDM], ids=["eim", "adm", "apdm"])
def test_filtering_is_as_configured(
    build: Build,
    filtering: FilteringBehavior,
    expected: dict[str, bool],
    host: str,
    mapping: MappingBehavior,
) -> None:
    router = build(filtering=filtering, mapping=mapping)
    out(router, f"{L1}:4000", f"{W1}:53")
    external = out(router, f"{host}:4000", f"{W1}:53").source
    for remote, passes in expected.items():
        assert delivered(router, remote, external, f"{host}:4000") == passes, remote


def test_filtering_is_address_dependent_by_default(router: Router) -> None:
    external = out(router, f"{L1}:4000", f"{W1}:53").source
    assert delivered(router, f"{W1}:54", external, f"{L1}:4000")
    assert not delivered(router, f"{W2}:53", external, f"{L1}:4000")


def test_an_unused_external_port_lets_nobody_in(build: Build) -> None:
    router = build(filtering=EIF)
    assert router.wan(f"udp {W1}:53 > 203.0.113.2:4000") == []
    assert router.reason == "unsolicited"


def test_a_filter_stays_open_to_whom_the_host_speaks(build: Build) -> None:
    """The peer came in through the filter; talking to it must count as talking to it."""
    router = build(filtering=ADF, timeouts=Timeouts(udp=300))
    external = out(router, f"{L1}:4000", f"{W1}:53").source
    router.wait(100)
    for _ in range(3):
        assert delivered(router, f"{W1}:54", external, f"{L1}:4000")
    for _ in range(3):
        out(router, f"{L1}:4000", f"{W1}:54")
        router.wait(100)
    assert delivered(router, f"{W1}:55", external, f"{L1}:4000")


def test_an_independent_filter_is_open_while_the_mapping_lives(build: Build) -> None:
    router = build(filtering=EIF, timeouts=Timeouts(udp=300))
    external = out(router, f"{L1}:4000", f"{W1}:53").source
    router.wait(100)
    assert delivered(router, f"{W2}:53", external, f"{L1}:4000")
    for _ in range(3):
        out(router, f"{L1}:4000", f"{W2}:53")
        router.wait(100)
    assert delivered(router, f"{W3}:53", external, f"{L1}:4000")


# REQ-9: hairpinning


def test_a_hairpin_shows_the_external_source(build: Build) -> None:
    router = build(filtering=EIF)
    first = out(router, f"{L1}:4000", f"{W1}:53").source
    assert router.lan(f"udp {L2}:5000 > {first}") == [f"lan udp 203.0.113.2:5000 > {L1}:4000"]
    assert router.lan(f"udp {L1}:4000 > 203.0.113.2:5000") == [f"lan udp {first} > {L2}:5000"]


def test_a_hairpin_works_when_ports_collide(build: Build) -> None:
    router = build(filtering=EIF)
    first = out(router, f"{L1}:4000", f"{W1}:53").source
    second = out(router, f"{L2}:4000", f"{W1}:53").source
    for _ in range(3):
        assert router.lan(f"udp {L2}:4000 > {first}") == [f"lan udp {second} > {L1}:4000"]
        assert router.lan(f"udp {L1}:4000 > {second}") == [f"lan udp {first} > {L2}:4000"]


def test_a_hairpin_to_oneself(build: Build) -> None:
    router = build(filtering=EIF)
    own = out(router, f"{L1}:4000", f"{W1}:53").source
    assert router.lan(f"udp {L1}:4000 > {own}") == [f"lan udp {own} > {L1}:4000"]


@pytest.mark.parametrize("filtering", list(FilteringBehavior))
def test_a_hairpin_is_no_stranger_to_the_filter(build: Build, filtering: FilteringBehavior) -> None:
    router = build(filtering=filtering)
    first = out(router, f"{L1}:4000", f"{W1}:53").source
    second = out(router, f"{L2}:5000", f"{W1}:53").source
    assert router.lan(f"udp {L2}:5000 > {first}") == [f"lan udp {second} > {L1}:4000"]
    assert router.lan(f"udp {L1}:4000 > {second}") == [f"lan udp {first} > {L2}:5000"]


def test_hairpinning_can_be_turned_off(build: Build) -> None:
    router = build(filtering=EIF, hairpinning=False)
    first = out(router, f"{L1}:4000", f"{W1}:53").source
    assert router.lan(f"udp {L2}:5000 > {first}") == []


# REQ-10: application gateways


def test_a_sip_body_is_not_touched(router: Router) -> None:
    body = b"INVITE sip:b@198.51.100.10 SIP/2.0\r\nVia: SIP/2.0/UDP 192.168.1.11:5060\r\n\r\n"
    (seen,) = router.lan(f"udp {L1}:5060 > {W1}:5060", body)
    assert bytes(seen.body[8:]) == body


# REQ-12: ICMP never ends a mapping

ERRORS = [
    "net-unreachable", "host-unreachable", "protocol-unreachable", "port-unreachable",
    "fragmentation-needed", "prohibited", "source-quench", "redirect", "time-exceeded",
    "reassembly-time-exceeded", "parameter-problem",
]  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_no_icmp_error_ends_a_mapping(router: Router, name: str) -> None:
    sent = out(router, f"{L1}:4000", f"{W1}:53")
    router.wan(error("192.0.2.1", sent.frame, name, mtu=1280))
    assert delivered(router, f"{W1}:53", sent.source, f"{L1}:4000")
    assert out(router, f"{L1}:4000", f"{W2}:53").source == sent.source


@pytest.mark.parametrize("sender", [W1, "192.0.2.1", "203.0.113.1"])
def test_icmp_is_not_filtered_by_its_source(router: Router, sender: str) -> None:
    sent = out(router, f"{L1}:4000", f"{W1}:53")
    seen = router.wan(error(sender, sent.frame, "port-unreachable"))
    assert seen == [f"lan port-unreachable {sender} > {L1} (udp {L1}:4000 > {W1}:53)"]


# REQ-13: too big


def test_too_big_and_df_gets_fragmentation_needed(build: Build) -> None:
    router = build(line_mtu=1280)
    (seen,) = router.lan(f"udp {L1}:4000 > {W1}:53", bytes(1400))
    assert seen == (f"lan fragmentation-needed 192.168.1.1 > {L1} (udp {L1}:4000 > {W1}:53)")
    assert int.from_bytes(seen.body[6:8], "big") == 1280


def test_too_big_without_df_is_fragmented_in_order(build: Build) -> None:
    router = build(line_mtu=1280)
    data = bytes(range(256)) * 12
    pieces = router.lan(f"udp {L1}:4000 > {W1}:53", data, flags="")
    assert [piece.ip.frag * 8 for piece in pieces] == [0, 1256, 2512]
    datagram = joined(pieces)
    assert datagram == f"wan udp 203.0.113.2:4000 > {W1}:53"
    assert datagram.body[8:] == data


# REQ-14: fragments

BIG = bytes(range(256)) * 12
ORDERS = {
    "in-order": [0, 1, 2],
    "reversed": [2, 1, 0],
    "first-last": [1, 2, 0],
    "swapped": [0, 2, 1],
    "middle-first": [1, 0, 2],
}


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_outbound_fragments_in_any_order(router: Router, order: list[int]) -> None:
    pieces = fragments(udp(f"{L1}:4000 > {W1}:53", BIG, flags=""), 1480)
    seen = [seen for at in order for seen in router.lan(pieces[at])]
    assert len(seen) == 3
    datagram = joined(seen)
    assert datagram == f"wan udp 203.0.113.2:4000 > {W1}:53"
    assert datagram.body[8:] == BIG


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_inbound_fragments_in_any_order(router: Router, order: list[int]) -> None:
    out(router, f"{L1}:4000", f"{W1}:53")
    pieces = fragments(udp(f"{W1}:53 > 203.0.113.2:4000", BIG, flags=""), 1480)
    seen = [seen for at in order for seen in router.wan(pieces[at])]
    assert len(seen) == 3
    datagram = joined(seen)
    assert datagram == f"lan udp {W1}:53 > {L1}:4000"
    assert datagram.body[8:] == BIG


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_hairpinned_fragments_in_any_order(build: Build, order: list[int]) -> None:
    router = build(filtering=EIF)
    out(router, f"{L1}:4000", f"{W1}:53")
    pieces = fragments(udp(f"{L2}:5000 > 203.0.113.2:4000", BIG, flags=""), 1480)
    seen = [seen for at in order for seen in router.lan(pieces[at])]
    assert len(seen) == 3
    datagram = joined(seen)
    assert datagram == f"lan udp 203.0.113.2:5000 > {L1}:4000"
    assert datagram.body[8:] == BIG


def test_fragments_of_eight_bytes(router: Router) -> None:
    data = bytes(range(120))
    pieces = fragments(udp(f"{L1}:4000 > {W1}:53", data, flags=""), 8)
    seen = [seen for piece in pieces[::-1] for seen in router.lan(piece)]
    datagram = joined(seen)
    assert datagram.body[8:] == data


def test_early_fragments_wait_no_longer_than_the_timer(router: Router) -> None:
    first, *rest = fragments(udp(f"{L1}:4000 > {W1}:53", BIG, flags=""), 1480)
    assert [router.lan(piece) for piece in rest] == [[], []]
    router.wait(31)
    assert len(router.lan(first)) == 1


def test_fragments_of_an_unknown_flow_are_not_passed(router: Router) -> None:
    pieces = fragments(udp(f"{W1}:53 > 203.0.113.2:4000", BIG, flags=""), 1480)
    assert [seen for piece in pieces for seen in router.wan(piece)] == []


FLOOD = 3000  # datagrams of which one half never comes


@pytest.mark.parametrize("half", ["first", "last"])
@pytest.mark.parametrize("size", [8, 1480])
def test_a_fragment_flood_hurts_neither_whole_packets_nor_orderly_fragments(
    router: Router, half: str, size: int
) -> None:
    out(router, f"{L1}:4000", f"{W1}:53")
    legitimate = fragments(udp(f"{W1}:53 > 203.0.113.2:4000", BIG, flags=""), 1480)
    seen = list(router.wan(legitimate[0]))
    pieces = fragments(udp(f"{W1}:53 > 203.0.113.2:4000", bytes(2 * size - 8), flags=""), size)
    flood(router, pieces[0 if half == "first" else 1], FLOOD)
    for piece in legitimate[1:]:
        seen += router.wan(piece)
    assert len(seen) == 3, "a datagram under way when the flood came"
    later = fragments(udp(f"{W1}:53 > 203.0.113.2:4000", BIG, flags="", id=9), 1480)
    assert [len(router.wan(piece)) for piece in later] == [1, 1, 1]
    assert delivered(router, f"{W1}:53", "203.0.113.2:4000", f"{L1}:4000")
    assert out(router, f"{L1}:4000", f"{W1}:53").port == 4000


def test_a_fragment_flood_is_forgotten(build: Build) -> None:
    router = build(limits=Limits(fragmented_datagrams=64, fragment_bytes=4096))
    out(router, f"{L1}:4000", f"{W1}:53")
    last = fragments(udp(f"{W1}:53 > 203.0.113.2:4000", bytes(2000), flags=""), 1480)[1]
    flood(router, last, 500)
    router.wait(31)
    pieces = fragments(udp(f"{W1}:53 > 203.0.113.2:4000", bytes(2000), flags=""), 1480)
    assert [len(router.wan(piece)) for piece in pieces[::-1]] == [0, 2]


def flood(router: Router, piece: bytes, count: int) -> None:
    """Send copies of an inbound fragment, each of another datagram, unjudged."""
    for number in range(count):
        router.enter(Side.WAN, renumbered(piece, 100 + number))
