"""RFC 5508: NAT behavioural requirements for ICMP. The ledger is rfc5508.txt."""

import struct
from collections.abc import Callable

import pytest
from scapy.utils import checksum

from router.nat.types import FilteringBehavior, Limits, MappingBehavior, OneToOne, Timeouts
from router.wire.address import Network
from tests.lab.network import Router, Seen
from tests.lab.packets import VNET_LENGTH, error, fragments, ping, tcp, udp

Build = Callable[..., Router]

W1, W2 = "198.51.100.10", "198.51.100.20"
L1, L2 = "192.168.1.11", "192.168.1.12"
N = "203.0.113.2"
HOP = "192.0.2.1"  # a router somewhere on the way
EIF = FilteringBehavior.ENDPOINT_INDEPENDENT
FLOWS = {  # what L1 sends, and how the host and the WAN call it
    "udp": (f"udp {L1}:4000 > {W1}:53", f"udp {N}:4000 > {W1}:53"),
    "tcp": (f"tcp {L1}:4000 > {W1}:80 S", f"tcp {N}:4000 > {W1}:80 S"),
    "ping": (f"ping {L1} > {W1} id 7", f"ping {N} > {W1} id 7"),
    "47": (f"47 {L1} > {W1}", f"47 {N} > {W1}"),
}
REPLIES = {
    "udp": f"udp {W1}:53 > {N}:4000",
    "tcp": f"tcp {W1}:80 > {N}:4000 SA",
    "ping": f"pong {W1} > {N} id 7",
    "47": f"47 {W1} > {N}",
}
PASSED = {
    "net-unreachable": (3, 0),
    "host-unreachable": (3, 1),
    "port-unreachable": (3, 3),
    "fragmentation-needed": (3, 4),
    "time-exceeded": (11, 0),
    "reassembly-time-exceeded": (11, 1),
    "parameter-problem": (12, 0),
}


def sent(router: Router, flow: str) -> Seen:
    """The flow's packet as the WAN sees it."""
    (seen,) = router.lan(FLOWS[flow][0], b"some data")
    assert seen == f"wan {FLOWS[flow][1]}"
    return seen


def edited(whole: bytes, at: int, change: bytes, *, heal: bool = False) -> bytes:
    """The frame with `change` at `at` bytes into its IP data; `heal` the ICMP checksum."""
    copy = bytearray(whole)
    start = VNET_LENGTH + 20
    copy[start + at : start + at + len(change)] = change
    if heal:
        copy[start + 2 : start + 4] = bytes(2)
        copy[start + 2 : start + 4] = checksum(bytes(copy[start:])).to_bytes(2, "big")
    return bytes(copy)


# REQ-1, REQ-2: queries


def test_a_query_and_its_reply_pass(router: Router) -> None:
    assert router.lan(f"ping {L1} > {W1} id 7", b"abc") == [f"wan ping {N} > {W1} id 7"]
    (seen,) = router.wan(f"pong {W1} > {N} id 7", b"abc")
    assert seen == f"lan pong {W1} > {L1} id 7"
    assert seen.body[8:] == b"abc"


def test_equal_ids_of_two_hosts(router: Router) -> None:
    ids = {host: router.lan(f"ping {host} > {W1} id 7")[0].query_id for host in (L1, L2)}
    assert len(set(ids.values())) == 2
    for host, query_id in ids.items():
        assert router.wan(f"pong {W1} > {N} id {query_id}") == [f"lan pong {W1} > {host} id 7"]


@pytest.mark.parametrize("host", [L1, L2], ids=["preserved", "collided"])
def test_the_external_id_does_not_depend_on_the_server(router: Router, host: str) -> None:
    router.lan(f"ping {L1} > {W1} id 7")
    ids = {router.lan(f"ping {host} > {server} id 7")[0].query_id for server in (W1, W2)}
    assert len(ids) == 1


def test_id_mapping_follows_the_configuration(build: Build) -> None:
    router = build(mapping=MappingBehavior.ADDRESS_DEPENDENT)
    ids = [router.lan(f"ping {L1} > {server} id 7")[0].query_id for server in (W1, W2, W1)]
    assert ids[0] == ids[2] != ids[1]


def test_timestamp_queries_pass(router: Router) -> None:
    stamps = bytes(12)
    query = ping(f"{L1} > {W1}", stamps, query_id=7, type_=13)
    assert router.lan(query) == [f"wan timestamp {N} > {W1} id 7"]
    reply = ping(f"{W1} > {N}", stamps, query_id=7, type_=14)
    assert router.wan(reply) == [f"lan timestamp-reply {W1} > {L1} id 7"]


def test_a_query_with_id_zero(router: Router) -> None:
    (query,) = router.lan(f"ping {L1} > {W1} id 0")
    assert router.wan(f"pong {W1} > {N} id {query.query_id}") == [f"lan pong {W1} > {L1} id 0"]


def test_a_reply_nobody_asked_for_is_dropped(router: Router) -> None:
    assert router.wan(f"pong {W1} > {N} id 7") == []
    assert router.lan(f"pong {L1} > {W1} id 7") == []


def test_a_default_host_gets_queries_but_no_stray_replies(build: Build) -> None:
    router = build(forwards=f"default -> {L2}", answer_wan_ping=False)
    assert router.wan(f"pong {W1} > {N} id 7") == []
    assert router.wan(f"ping {W1} > {N} id 7") == [f"lan ping {W1} > {L2} id 7"]
    assert router.lan(f"pong {L2} > {W1} id 7") == [f"wan pong {N} > {W1} id 7"]


def test_a_query_lives_for_sixty_seconds(router: Router) -> None:
    router.lan(f"ping {L1} > {W1} id 7")
    router.wait(59)
    assert len(router.wan(f"pong {W1} > {N} id 7")) == 1
    router.wait(2)
    assert router.wan(f"pong {W1} > {N} id 7") == []


def test_the_query_timer_is_configurable(build: Build) -> None:
    router = build(timeouts=Timeouts(icmp=200))
    router.lan(f"ping {L1} > {W1} id 7")
    router.wait(199)
    assert len(router.wan(f"pong {W1} > {N} id 7")) == 1


# REQ-3: what is checked in an error, and what is not


def test_a_wrong_icmp_checksum_is_dropped(router: Router) -> None:
    message = error(HOP, sent(router, "udp").frame, "port-unreachable")
    assert router.wan(edited(message, 2, b"\x12\x34")) == []
    assert len(router.wan(message)) == 1


def test_a_wrong_checksum_of_the_quoted_header_is_dropped(router: Router) -> None:
    message = error(HOP, sent(router, "udp").frame, "port-unreachable")
    assert router.wan(edited(message, 8 + 10, b"\x12\x34", heal=True)) == []


def test_a_wrong_checksum_of_the_quoted_transport_is_not_looked_at(router: Router) -> None:
    message = error(HOP, sent(router, "udp").frame, "port-unreachable")
    (seen,) = router.wan(edited(message, 8 + 20 + 6, b"\x12\x34", heal=True))
    assert seen == f"lan port-unreachable {HOP} > {L1} (udp {L1}:4000 > {W1}:53)"


def test_options_of_the_quoted_header_are_skipped(router: Router) -> None:
    router_alert = b"\x94\x04\x00\x00"
    (seen,) = router.lan(f"udp {L1}:4000 > {W1}:53", options=router_alert)
    (translated,) = router.wan(error(HOP, seen.frame, "port-unreachable"))
    assert translated == f"lan port-unreachable {HOP} > {L1} (udp {L1}:4000 > {W1}:53)"
    assert translated.quote[20:24] == router_alert


def test_extensions_are_kept(router: Router) -> None:
    """RFC 4884: the length word says where the quote stops and an extension object begins."""
    packet = sent(router, "udp").raw
    quote = packet + bytes(128 - len(packet))
    objects = struct.pack("!BBHHBBI", 0x20, 0, 0, 8, 1, 1, 0xDEADBEEF)
    header = struct.pack("!BBHBBH", 11, 0, 0, 0, 32, 0)
    whole = ping(f"{HOP} > {N}", quote + objects)
    message = edited(whole, 0, header + quote + objects, heal=True)
    (seen,) = router.wan(message)
    assert seen == f"lan time-exceeded {HOP} > {L1} (udp {L1}:4000 > {W1}:53)"
    assert seen.body[4:8] == header[4:]
    assert seen.quote[128:] == objects
    assert len(seen.quote) == 128 + len(objects)


# REQ-4: errors from outside


@pytest.mark.parametrize("quote", [28, 32, 548], ids=["eight-bytes", "twelve-bytes", "whole"])
@pytest.mark.parametrize("sender", [W1, HOP], ids=["server", "third-router"])
@pytest.mark.parametrize("name", PASSED)
@pytest.mark.parametrize("flow", FLOWS)
def test_an_error_from_outside_reaches_the_host_as_it_knows_the_packet(
    router: Router, flow: str, name: str, sender: str, quote: int
) -> None:
    message = error(sender, sent(router, flow).frame, name, mtu=1234, quote=quote)
    (seen,) = router.wan(message)
    text = FLOWS[flow][0].removesuffix(" S") if quote < 40 else FLOWS[flow][0]
    assert seen == f"lan {name} {sender} > {L1} ({text})"
    assert tuple(seen.body[:2]) == PASSED[name]
    assert seen.body[4:8] == struct.pack("!HH", 0, 1234)


@pytest.mark.parametrize("flow", ["udp", "tcp"])
def test_the_quoted_transport_checksum_is_the_hosts_own_again(router: Router, flow: str) -> None:
    build_frame = udp if flow == "udp" else tcp
    original = build_frame(FLOWS[flow][0].removeprefix(f"{flow} "), b"some data", ttl=33)
    (out,) = router.lan(original)
    (seen,) = router.wan(error(HOP, out.frame, "port-unreachable"))
    assert seen.quote[20:] == original[VNET_LENGTH + 20 :]


def test_a_quoted_udp_checksum_of_zero_stays_zero(router: Router) -> None:
    (out,) = router.lan(udp(f"{L1}:4000 > {W1}:53", b"data", checksum=False))
    (seen,) = router.wan(error(HOP, out.frame, "port-unreachable"))
    assert seen.quote[26:28] == bytes(2)


@pytest.mark.parametrize("flow", FLOWS)
def test_an_error_about_an_unknown_flow_is_dropped_silently(router: Router, flow: str) -> None:
    seen = sent(router, flow)
    router.wait(1000)
    assert router.wan(error(HOP, seen.frame, "port-unreachable")) == []


def test_an_error_to_another_address_than_it_quotes_is_dropped(build: Build) -> None:
    router = build(address=OneToOne((Network.parse("203.0.113.8/29"),)))
    first = router.lan(f"udp {L1}:4000 > {W1}:53")[0]
    second = router.lan(f"udp {L2}:4000 > {W1}:53")[0]
    message = error(HOP, first.frame, "port-unreachable", destination=second.ip.src)
    assert router.wan(message) == []


def test_an_error_about_a_first_fragment(router: Router) -> None:
    first = fragments(udp(f"{L1}:4000 > {W1}:53", bytes(2000), flags=""), 1480)[0]
    (seen,) = router.lan(first)
    (translated,) = router.wan(error(HOP, seen.frame, "reassembly-time-exceeded"))
    assert translated == (
        f"lan reassembly-time-exceeded {HOP} > {L1} (udp {L1}:4000 > {W1}:53 fragment 0+)"
    )


@pytest.mark.parametrize("cut", [0, 4, 19, 20, 24, 27])
def test_a_quote_too_short_to_tell_is_dropped(router: Router, cut: int) -> None:
    assert router.wan(error(HOP, sent(router, "udp").frame, "port-unreachable", quote=cut)) == []


@pytest.mark.parametrize("number", [3, 11])
def test_an_error_about_an_error_is_dropped(router: Router, number: int) -> None:
    """The word where a query has its id may well be that of a live query."""
    query = sent(router, "ping")
    outer = edited(query.frame, 0, bytes([number]), heal=True)
    assert router.wan(error(HOP, outer, "host-unreachable")) == []


# REQ-5: errors from inside


@pytest.mark.parametrize("sender", [L1, "192.168.1.77", "192.168.7.1"], ids=["host", "peer", "hop"])
@pytest.mark.parametrize("name", ["port-unreachable", "time-exceeded", "fragmentation-needed"])
@pytest.mark.parametrize("flow", FLOWS)
def test_an_error_from_inside_comes_from_the_external_address(
    build: Build, flow: str, name: str, sender: str
) -> None:
    router = build(lan_routes=["192.168.7.0/24"])
    router.lan(FLOWS[flow][0])
    (came,) = router.wan(REPLIES[flow], b"some data")
    (seen,) = router.lan(error(sender, came.frame, name, mtu=900, destination=W1))
    assert seen == f"wan {name} {N} > {W1} ({REPLIES[flow]})"
    assert tuple(seen.body[:2]) == PASSED[name]
    assert seen.body[4:8] == struct.pack("!HH", 0, 900)


def test_an_error_from_inside_about_a_collided_flow(router: Router) -> None:
    router.lan(f"udp {L1}:4000 > {W1}:53")
    external = router.lan(f"udp {L2}:4000 > {W1}:53")[0].source
    (came,) = router.wan(f"udp {W1}:53 > {external}")
    assert router.lan(error(L2, came.frame, "port-unreachable")) == [
        f"wan port-unreachable {N} > {W1} (udp {W1}:53 > {external})"
    ]


def test_an_error_from_inside_about_an_unknown_flow_is_dropped(router: Router) -> None:
    about = udp(f"{W1}:53 > {L1}:4000")
    assert router.lan(error(L1, about, "port-unreachable")) == []


# REQ-6: an error neither refreshes nor deletes


def test_an_error_about_a_query_does_not_end_it(router: Router) -> None:
    router.wan(error(HOP, sent(router, "ping").frame, "host-unreachable"))
    assert len(router.wan(f"pong {W1} > {N} id 7")) == 1


@pytest.mark.parametrize(("flow", "timeout"), [("ping", 60), ("udp", 300), ("tcp", 240)])
def test_an_error_does_not_refresh(router: Router, flow: str, timeout: int) -> None:
    message = error(HOP, sent(router, flow).frame, "host-unreachable")
    router.wait(timeout - 1)
    assert len(router.wan(message)) == 1
    router.wait(2)
    assert router.sessions == []


# REQ-7: hairpinned errors


@pytest.mark.parametrize("sender", [L1, "192.168.1.77"])
def test_a_hairpinned_error(build: Build, sender: str) -> None:
    router = build(filtering=EIF)
    router.lan(f"udp {L1}:4000 > {W1}:53")
    (came,) = router.lan(f"udp {L2}:5000 > {N}:4000")
    assert came == f"lan udp {N}:5000 > {L1}:4000"
    assert router.lan(error(sender, came.frame, "port-unreachable", destination=N)) == [
        f"lan port-unreachable {N} > {L2} (udp {L2}:5000 > {N}:4000)"
    ]


def test_a_hairpinned_error_about_a_forward(build: Build) -> None:
    router = build(forwards=f"tcp 80 -> {L1}:8080")
    (came,) = router.lan(f"tcp {L2}:5000 > {N}:80 S")
    assert router.lan(error(L1, came.frame, "host-unreachable")) == [
        f"lan host-unreachable {N} > {L2} (tcp {L2}:5000 > {N}:80 S)"
    ]


def test_a_hairpinned_query_to_an_address_of_its_own(build: Build) -> None:
    """Basic NAT: L1 spoke to L2's external address, so L2 may ask it back."""
    fixed = ((0xC0A8010B, 0xCB00710B), (0xC0A8010C, 0xCB00710C))
    router = build(address=OneToOne((Network.parse("203.0.113.8/29"),), fixed), filtering=EIF)
    router.lan(f"ping {L1} > {W1} id 7")
    assert router.lan(f"ping {L2} > 203.0.113.11 id 7") == [f"lan ping 203.0.113.12 > {L1} id 7"]
    assert router.lan(f"pong {L1} > 203.0.113.12 id 7") == [f"lan pong 203.0.113.11 > {L2} id 7"]


# REQ-8: no session can be made


@pytest.mark.parametrize("flow", FLOWS)
def test_a_refused_session_is_told_the_host(build: Build, flow: str) -> None:
    router = build(limits=Limits(sessions_per_host=1))
    router.lan(f"udp {L1}:1 > {W2}:1")
    (seen,) = router.lan(FLOWS[flow][0])
    assert seen == f"lan prohibited 192.168.1.1 > {L1} ({FLOWS[flow][0]})"


def test_a_full_table_leaves_older_sessions_alone(build: Build) -> None:
    router = build(limits=Limits(sessions=5))
    for port in range(5):
        router.lan(f"udp {L1}:{4000 + port} > {W1}:53")
    assert router.lan(f"udp {L2}:4000 > {W1}:53") == [
        f"lan prohibited 192.168.1.1 > {L2} (udp {L2}:4000 > {W1}:53)"
    ]
    for port in range(4000, 4005):
        assert router.wan(f"udp {W1}:53 > {N}:{port}") == [f"lan udp {W1}:53 > {L1}:{port}"]


# REQ-10: which messages pass


@pytest.mark.parametrize("name", ["redirect", "source-quench"])
@pytest.mark.parametrize("flow", FLOWS)
def test_redirects_and_source_quench_pass_neither_way(router: Router, flow: str, name: str) -> None:
    assert router.wan(error(HOP, sent(router, flow).frame, name)) == []
    (came,) = router.wan(REPLIES[flow])
    assert router.lan(error(L1, came.frame, name)) == []


@pytest.mark.parametrize("type_", [1, 2, 6, 7, 9, 10, 15, 16, 17, 18, 30, 40, 255])
def test_other_messages_pass_neither_way(router: Router, type_: int) -> None:
    router.lan(f"ping {L1} > {W1} id 7")
    assert router.lan(icmp(L1, W1, type_)) == []
    assert router.wan(icmp(W1, N, type_)) == []


def icmp(source: str, destination: str, type_: int) -> bytes:
    whole = ping(f"{source} > {destination}", bytes(20), query_id=7)
    return edited(whole, 0, bytes([type_]), heal=True)


def test_a_traceroute(router: Router) -> None:
    """Each hop answers about the probe as it saw it; the host hears of its own probe."""
    for ttl in range(2, 6):
        (probe,) = router.lan(f"udp {L1}:40000 > {W1}:{33434 + ttl}", b"probe", ttl=ttl)
        assert probe.ip.ttl == ttl - 1
        (heard,) = router.wan(error(f"192.0.2.{ttl}", probe.frame, "time-exceeded"))
        assert heard == (
            f"lan time-exceeded 192.0.2.{ttl} > {L1} (udp {L1}:40000 > {W1}:{33434 + ttl})"
        )


def test_a_fragmented_ping(router: Router) -> None:
    pieces = fragments(ping(f"{L1} > {W1}", bytes(2000), query_id=7, flags=""), 1480)
    assert [router.lan(piece) for piece in pieces] == [
        [f"wan ping {N} > {W1} id 7 fragment 0+"],
        [f"wan icmp {N} > {W1} fragment 1480"],
    ]
