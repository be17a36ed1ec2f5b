"""What a router owes its networks beside NAT: hops, fields, martians, sizes. Ledger: router.txt."""

import random
import struct
from collections.abc import Callable

import pytest
from scapy.layers.inet import IP, TCP
from scapy.packet import Raw

from router.devices import KernelHops, Side
from router.nat.types import FilteringBehavior, Limits, OneToOne, Routed, UnsolicitedSyn
from router.wire.address import Network
from tests.lab.network import Router, Seen, joined, whole
from tests.lab.packets import (
    VNET_LENGTH,
    error,
    fragments,
    frame,
    heal_header,
    offloaded,
    parsed,
    ping,
    tcp,
    udp,
    wrong_checksums,
)

Build = Callable[..., Router]

W1, W2 = "198.51.100.10", "198.51.100.20"
L1, L2 = "192.168.1.11", "192.168.1.12"
N, ROUTER = "203.0.113.2", "192.168.1.1"
HOP = "192.0.2.1"
EIF = FilteringBehavior.ENDPOINT_INDEPENDENT
OUT, BACK = f"udp {L1}:4000 > {W1}:53", f"udp {W1}:53 > {N}:4000"
TCP_PAIR = f"tcp {L1}:4000 > {W1}:80 A", f"tcp {W1}:80 > {N}:4000 A"
FORWARD = "tcp 80 -> 192.168.1.10\nudp 81 -> 192.168.1.10"


def with_header(packet: bytes, at: int, change: bytes, *, heal: bool = True) -> bytes:
    """The frame with `change` at `at` in its IP header; `heal` the header checksum."""
    header = bytearray(packet[VNET_LENGTH:])
    header[at : at + len(change)] = change
    if heal:
        heal_header(header)
    return frame(bytes(header))


# Hops


def test_the_time_to_live_goes_down_by_one(router: Router) -> None:
    assert [router.lan(OUT, ttl=33)[0].ip.ttl for _ in range(3)] == [32] * 3
    assert [router.wan(BACK, ttl=44)[0].ip.ttl for _ in range(3)] == [43] * 3


@pytest.mark.parametrize(
    "hops", [KernelHops(0, 0), KernelHops(0, 1), KernelHops(1, 0), KernelHops(1, 1)]
)
def test_the_kernels_steps_count_as_the_same_hop(build: Build, hops: KernelHops) -> None:
    router = build(hops=hops)
    at_the_tun, at_the_tun_again = 33 - hops.lan, 32 + hops.wan
    seen = [router.lan(OUT, ttl=at_the_tun)[0].ip.ttl for _ in range(3)]
    assert seen == [at_the_tun_again] * 3


@pytest.mark.parametrize("hops", [KernelHops(0, 1), KernelHops(1, 1)])
def test_between_hosts_of_the_lan_only_its_own_card_counts(build: Build, hops: KernelHops) -> None:
    router = build(hops=hops)
    (seen,) = router.lan(f"udp {L1}:1 > {L2}:2", ttl=33 - hops.lan)
    assert seen.ip.ttl == 32 + hops.lan


def test_the_last_hop_is_told_before_the_kernel_takes_it(build: Build) -> None:
    """Between a bare LAN TUN and a NIC on the line, the kernel would answer the wrong host."""
    router = build(hops=KernelHops(0, 1))
    assert router.lan(OUT, ttl=1) == [f"lan time-exceeded {ROUTER} > {L1} ({OUT})"]
    assert router.lan(OUT, ttl=2)[0].ip.ttl == 2


def test_the_time_to_live_never_wraps(build: Build) -> None:
    router = build(hops=KernelHops(1, 1))
    assert [router.lan(OUT, ttl=255)[0].ip.ttl for _ in range(3)] == [255] * 3


@pytest.mark.parametrize("settled", [False, True])
def test_time_exceeded_to_the_lan_quotes_the_private_packet(router: Router, settled: bool) -> None:
    for _ in range(3 * settled):
        router.lan(OUT)
    packet = whole(OUT, b"probe", ttl=1)
    (seen,) = router.lan(packet)
    assert seen == f"lan time-exceeded {ROUTER} > {L1} ({OUT})"
    assert seen.quote == packet[VNET_LENGTH:]


@pytest.mark.parametrize("settled", [False, True])
def test_time_exceeded_to_the_wan_quotes_the_external_packet(router: Router, settled: bool) -> None:
    for _ in range(1 + 3 * settled):
        router.lan(OUT)
    packet = whole(BACK, b"probe", ttl=1)
    (seen,) = router.wan(packet)
    assert seen == f"wan time-exceeded {N} > {W1} ({BACK})"
    assert seen.quote == packet[VNET_LENGTH:]


def test_a_stranger_out_of_hops_hears_nothing(router: Router) -> None:
    assert router.wan(BACK, ttl=1) == []


def test_a_packet_out_of_hops_opens_no_session(router: Router) -> None:
    router.lan(OUT, ttl=1)
    assert router.sessions == []


# Silence about what may not be answered


def test_no_error_about_an_error(router: Router) -> None:
    (sent,) = router.lan(OUT)
    assert router.wan(error(HOP, sent.frame, "port-unreachable", ttl=1)) == []
    (came,) = router.wan(BACK)
    assert router.lan(error(L1, came.frame, "port-unreachable", ttl=1)) == []


def test_no_error_about_a_later_fragment(router: Router) -> None:
    first, later = fragments(udp(f"{L1}:4000 > {W1}:53", bytes(2000), flags="", ttl=1), 1480)
    assert len(router.lan(first)) == 1
    assert router.lan(later) == []


@pytest.mark.parametrize("destination", ["224.0.0.251", "239.1.1.1", "255.255.255.255"])
def test_no_error_about_multicast_or_broadcast(router: Router, destination: str) -> None:
    for ttl in (1, 64):
        assert router.lan(f"udp {L1}:4000 > {destination}:53", ttl=ttl) == []


def test_errors_are_limited_in_rate(build: Build) -> None:
    router = build(limits=Limits(icmp_errors_per_second=10))
    assert sum(len(router.lan(OUT, ttl=1)) for _ in range(100)) == 10
    router.wait(0.5)
    assert sum(len(router.lan(OUT, ttl=1)) for _ in range(100)) == 5


# Fields that are none of our business


@pytest.mark.parametrize("way", ["out", "in"])
def test_other_fields_pass_unchanged(router: Router, way: str) -> None:
    options = [("MSS", 1200), ("SAckOK", b""), ("Timestamp", (1, 2)), ("NOP", None), ("WScale", 7)]
    router.lan(f"tcp {L1}:4000 > {W1}:80 S")
    text = f"{L1}:4000 > {W1}:80" if way == "out" else f"{W1}:80 > {N}:4000"
    packet = IP(src=text.split(":")[0], dst=text.split(" > ")[1].split(":")[0], tos=0xBB, id=4711)
    segment = TCP(sport=4000, dport=80, flags="SUPEC", seq=9, ack=8, urgptr=3, window=77)
    if way == "in":
        segment.sport, segment.dport = 80, 4000
    segment.options = options
    packet.flags = "DF"
    sent = frame(packet / segment / Raw(b"payload"))
    (seen,) = (router.lan if way == "out" else router.wan)(sent)
    for name in ("tos", "id", "flags", "len", "ihl"):
        assert getattr(seen.ip, name) == getattr(parsed(sent), name), name
    assert (
        seen.body[4:16] + seen.body[18:]
        == parsed(sent).payload.build()[4:16] + bytes(parsed(sent).payload)[18:]
    )


def test_ip_options_pass_unchanged(router: Router) -> None:
    record_route = b"\x07\x07\x04\x00\x00\x00\x00\x00"
    (seen,) = router.lan(OUT, b"data", options=record_route)
    assert seen.raw[20:28] == record_route


@pytest.mark.parametrize("at", [0, 1, 3])
@pytest.mark.parametrize(("announced", "clamped"), [(1460, 1360), (1360, 1360), (536, 536)])
@pytest.mark.parametrize("narrow", ["line_mtu", "lan_mtu"])
def test_the_mss_shrinks_to_what_both_links_carry(
    build: Build, announced: int, clamped: int, at: int, narrow: str
) -> None:
    router = build(**{narrow: 1400})
    options = [("NOP", None)] * at + [("MSS", announced)]
    (syn,) = router.lan(f"tcp {L1}:4000 > {W1}:80 S", tcp_options=options)
    (answer,) = router.wan(f"tcp {W1}:80 > {N}:4000 SA", tcp_options=options)
    for seen in (syn, answer):
        assert dict(TCP(seen.body).options)["MSS"] == clamped


def test_the_mss_is_left_alone_if_configured(build: Build) -> None:
    router = build(line_mtu=1400, mss_clamp=False)
    (syn,) = router.lan(f"tcp {L1}:4000 > {W1}:80 S", tcp_options=[("MSS", 1460)])
    assert dict(TCP(syn.body).options)["MSS"] == 1460


# What a sender leaves to the device


@pytest.mark.parametrize("settled", [False, True])
@pytest.mark.parametrize("way", ["out", "in"])
@pytest.mark.parametrize("flow", ["udp", "tcp"])
def test_super_packets_pass_whole(router: Router, flow: str, way: str, settled: bool) -> None:
    pair = {"udp": (OUT, BACK), "tcp": TCP_PAIR}[flow]
    for _ in range(1 + 3 * settled):
        router.lan(pair[0])
    data = random.Random(1).randbytes(20000)
    packet = offloaded(whole(pair[way == "in"], data), 1400)
    (seen,) = (router.lan if way == "out" else router.wan)(packet)
    assert seen.frame[:VNET_LENGTH] == packet[:VNET_LENGTH]
    assert seen.body.endswith(data)
    assert seen.side.name == ("WAN" if way == "out" else "LAN")


def test_super_packets_whose_segments_do_not_fit(build: Build) -> None:
    router = build(line_mtu=1000)
    packet = offloaded(whole(TCP_PAIR[0], bytes(5000)), 1400)
    (seen,) = router.lan(packet)
    assert seen == f"lan fragmentation-needed {ROUTER} > {L1} ({TCP_PAIR[0]})"
    assert len(router.lan(offloaded(whole(TCP_PAIR[0], bytes(5000)), 900))) == 1


def test_super_packets_are_cut_where_the_sender_allows_it(build: Build) -> None:
    router = build(line_mtu=1000)
    data = random.Random(1).randbytes(4000)
    pieces = router.lan(offloaded(whole(OUT, data, flags=""), 1400))
    datagrams: dict[int, list[Seen]] = {}
    for piece in pieces:
        datagrams.setdefault(piece.ip.id, []).append(piece)
    assert b"".join(joined(group).body[8:] for group in datagrams.values()) == data


# Malformed packets

GOOD = whole(OUT, b"some data")
MALFORMED = {
    "version": with_header(GOOD, 0, b"\x65"),
    "version-zero": with_header(GOOD, 0, b"\x05"),
    "header-length": with_header(GOOD, 0, b"\x44"),
    "header-beyond-packet": with_header(GOOD, 0, b"\x4f"),
    "total-length-short": with_header(GOOD, 2, b"\x00\x13"),
    "total-length-long": with_header(GOOD, 2, b"\x01\x00"),
    "header-checksum": with_header(GOOD, 10, b"\x12\x34", heal=False),
    "empty": GOOD[:VNET_LENGTH],
    "one-byte": GOOD[: VNET_LENGTH + 1],
    "cut-header": GOOD[: VNET_LENGTH + 19],
    "cut-ports": with_header(GOOD[: VNET_LENGTH + 23], 2, b"\x00\x17"),
    "udp-length-long": GOOD[: VNET_LENGTH + 24] + b"\x01\x00" + GOOD[VNET_LENGTH + 26 :],
    "udp-length-short": GOOD[: VNET_LENGTH + 24] + b"\x00\x07" + GOOD[VNET_LENGTH + 26 :],
    "fragment-beyond-65535": with_header(GOOD, 6, b"\x1f\xff"),
    "fragment-ragged": with_header(GOOD, 6, b"\x20\x00"),
    "option-length": with_header(
        whole(OUT, b"data", options=b"\x07\x07\x04\x00\x00\x00\x00\x00"), 21, b"\x20"
    ),
}


@pytest.mark.parametrize("name", MALFORMED)
@pytest.mark.parametrize("settled", [False, True])
def test_malformed_packets_are_dropped_silently(router: Router, name: str, settled: bool) -> None:
    for _ in range(3 * settled):
        router.lan(OUT)
    assert router.enter(Side.LAN, MALFORMED[name]) == []
    assert router.lan(OUT) == [f"wan udp {N}:4000 > {W1}:53"]


def test_a_tcp_header_longer_than_its_segment_is_dropped(router: Router) -> None:
    packet = bytearray(tcp(f"{L1}:4000 > {W1}:80 S"))
    for offset in (0x40, 0xF0):
        packet[VNET_LENGTH + 32] = offset
        assert router.enter(Side.LAN, bytes(packet)) == []


def test_fragments_that_would_overwrite_flags_are_dropped(router: Router) -> None:
    """RFC 1858, RFC 3128: a TCP fragment at offset 8 hides the flags of the first one."""
    first, second, *_ = fragments(tcp(f"{L1}:4000 > {W1}:80 S", bytes(100), flags=""), 24)
    assert len(router.lan(first)) == 1
    overlapping = with_header(second, 6, b"\x20\x01")
    assert router.enter(Side.LAN, overlapping) == []
    tiny = fragments(tcp(f"{L1}:4001 > {W1}:80 S", flags=""), 8)
    assert [router.enter(Side.LAN, piece) for piece in tiny[:2]] == [[], []]


def test_random_and_mutilated_packets_harm_nothing(router: Router) -> None:
    numbers = random.Random(7)
    router.lan(OUT)
    router.lan(f"tcp {L1}:4000 > {W1}:80 S")
    sent = router.lan(f"ping {L1} > {W1} id 7")[0]
    seeds = [
        GOOD,
        whole(BACK, b"data"),
        tcp(f"{W1}:80 > {N}:4000 SA", b"x", tcp_options=[("MSS", 1460)]),
        ping(f"{L1} > {W1}", b"data", query_id=7),
        error(HOP, sent.frame, "port-unreachable"),
        whole(f"47 {L1} > {W1}", b"gre"),
        *fragments(udp(f"{L1}:4000 > {W1}:53", bytes(64), flags=""), 32),
    ]
    for _ in range(4000):
        packet = bytearray(numbers.choice(seeds)[VNET_LENGTH:])
        for _ in range(numbers.randrange(1, 6)):
            packet[numbers.randrange(len(packet))] = numbers.randrange(256)
        if numbers.random() < 0.7:
            heal_header(packet)
        packet = packet[: numbers.randrange(len(packet))] if numbers.random() < 0.2 else packet
        for transmit in router.enter(numbers.choice(list(Side)), frame(bytes(packet))):
            source = Seen.of(*transmit).ip.src
            assert transmit.side is Side.LAN or not source.startswith("192.168.")
    router.wait(1)
    assert router.lan(OUT) == [f"wan udp {N}:4000 > {W1}:53"]
    assert router.wan(BACK) == [f"lan udp {W1}:53 > {L1}:4000"]


# Sizes (RFC 1191)


@pytest.mark.parametrize("flow", ["udp", "tcp", "ping", "47"])
def test_fragmentation_needed_names_the_next_hops_mtu(build: Build, flow: str) -> None:
    text = {
        "udp": OUT,
        "tcp": f"tcp {L1}:4000 > {W1}:80 A",
        "ping": f"ping {L1} > {W1} id 7",
        "47": f"47 {L1} > {W1}",
    }[flow]
    router = build(line_mtu=1280)
    (seen,) = router.lan(text, bytes(1300))
    assert seen == f"lan fragmentation-needed {ROUTER} > {L1} ({text})"
    assert seen.body[4:8] == struct.pack("!HH", 0, 1280)
    assert len(seen.raw) <= 576
    assert len(router.lan(text, bytes(1200))) == 1


@pytest.mark.parametrize("settled", [False, True])
def test_fragmentation_needed_to_the_wan_quotes_the_external_packet(
    build: Build, settled: bool
) -> None:
    router = build(lan_mtu=1000)
    for _ in range(1 + 3 * settled):
        router.lan(OUT)
    (seen,) = router.wan(BACK, bytes(1200))
    assert seen == f"wan fragmentation-needed {N} > {W1} ({BACK})"
    assert seen.body[4:8] == struct.pack("!HH", 0, 1000)


def test_the_size_rule_holds_to_the_byte(build: Build) -> None:
    router = build(line_mtu=1280)
    for _ in range(3):
        assert router.lan(OUT, bytes(1280 - 28)) == [f"wan udp {N}:4000 > {W1}:53"]
        assert router.lan(OUT, bytes(1281 - 28))[0].startswith("lan fragmentation-needed")


@pytest.mark.parametrize("mtu", [900, 1234])
def test_a_router_beyond_tells_of_its_mtu(router: Router, mtu: int) -> None:
    (sent,) = router.lan(f"tcp {L1}:4000 > {W1}:80 A", bytes(1400))
    (seen,) = router.wan(error(HOP, sent.frame, "fragmentation-needed", mtu=mtu, quote=28))
    assert seen == f"lan fragmentation-needed {HOP} > {L1} (tcp {L1}:4000 > {W1}:80)"
    assert seen.body[4:8] == struct.pack("!HH", 0, mtu)


# Routes


def test_without_a_line_the_host_is_told(build: Build) -> None:
    router = build(line=None)
    assert router.lan(OUT) == [f"lan prohibited {ROUTER} > {L1} ({OUT})"]
    assert router.wan(BACK) == []


def test_a_session_survives_the_line_with_the_same_address(router: Router) -> None:
    for _ in range(3):
        router.lan(OUT)
    router.line_down()
    assert router.lan(OUT) == [f"lan prohibited {ROUTER} > {L1} ({OUT})"]
    assert router.wan(BACK) == []
    router.line_up(N)
    assert router.wan(BACK) == [f"lan udp {W1}:53 > {L1}:4000"]
    assert router.lan(OUT) == [f"wan udp {N}:4000 > {W1}:53"]


def test_another_line_address_ends_the_sessions_of_the_former(router: Router) -> None:
    for _ in range(3):
        router.lan(OUT)
    router.line_down()
    told = f"udp {L1}:4000 > {W1}:53"
    assert router.line_up("203.0.113.77") == [f"lan host-unreachable {ROUTER} > {L1} ({told})"]
    assert router.sessions == []
    assert router.lan(OUT) == [f"wan udp 203.0.113.77:4000 > {W1}:53"]
    assert router.wan(BACK) == []


@pytest.mark.parametrize("flow", [f"udp {L1}:4000 > {W1}:53", f"47 {L1} > {W1}"], ids=["udp", "47"])
def test_no_fragment_leaves_with_a_former_address(router: Router, flow: str) -> None:
    first, later = fragments(whole(flow, bytes(2000), flags=""), 1480)
    assert len(router.lan(first)) == 1
    router.line_up("203.0.113.77")
    assert [seen.ip.src for seen in router.lan(later)] in ([], ["203.0.113.77"])
    router.wait(1000)
    assert router.sessions == []


def test_while_the_line_is_down_nothing_comes_in_late(build: Build) -> None:
    router = build(address=OneToOne((Network.parse("203.0.113.8/30"),)))
    for _ in range(3):
        router.lan(OUT)
    router.line_down()
    for _ in range(3):
        assert router.wan(f"udp {W1}:53 > 203.0.113.8:4000") == []
        assert router.lan(OUT) == [f"lan prohibited {ROUTER} > {L1} ({OUT})"]


def test_another_line_mtu_holds_at_once(router: Router) -> None:
    for _ in range(3):
        router.lan(OUT, bytes(1400))
    router.line_up(N, mtu=1000)
    assert router.lan(OUT, bytes(1400))[0].startswith("lan fragmentation-needed")


def test_lan_networks_reach_each_other_untranslated(build: Build) -> None:
    router = build(lan_routes=["192.168.7.0/24", "192.168.7.128/25"])
    assert router.lan(f"udp {L1}:4000 > 192.168.7.200:53") == [
        f"lan udp {L1}:4000 > 192.168.7.200:53"
    ]
    assert router.sessions == []


def test_between_lan_networks_hops_and_sizes_count_too(build: Build) -> None:
    router = build(lan_routes=["192.168.7.0/24"], lan_mtu=1000, line_mtu=1500)
    text = f"udp {L1}:4000 > 192.168.7.5:53"
    assert router.lan(text, ttl=9)[0].ip.ttl == 8
    assert router.lan(text, ttl=1) == [f"lan time-exceeded {ROUTER} > {L1} ({text})"]
    assert router.lan(text, bytes(1200)) == [f"lan fragmentation-needed {ROUTER} > {L1} ({text})"]
    assert joined(router.lan(text, bytes(1200), flags="")) == f"lan {text}"


def test_hosts_of_further_lan_networks_are_translated(build: Build) -> None:
    router = build(lan_routes=["192.168.7.0/24"])
    assert router.lan(f"udp 192.168.7.5:4000 > {W1}:53") == [f"wan udp {N}:4000 > {W1}:53"]
    assert router.wan(BACK) == [f"lan udp {W1}:53 > 192.168.7.5:4000"]


# Our own addresses


def test_the_lan_address_answers_pings(router: Router) -> None:
    (seen,) = router.lan(f"ping {L1} > {ROUTER} id 7", b"payload", tos=0x20)
    assert seen == f"lan pong {ROUTER} > {L1} id 7"
    assert (seen.body[8:], seen.ip.tos) == (b"payload", 0x20)


@pytest.mark.parametrize("answers", [True, False])
def test_the_line_address_answers_pings_as_configured(build: Build, answers: bool) -> None:
    router = build(answer_wan_ping=answers)
    seen = router.wan(f"ping {W1} > {N} id 7")
    assert seen == ([f"wan pong {N} > {W1} id 7"] if answers else [])


def test_a_closed_port_of_the_lan_address(router: Router) -> None:
    assert router.lan(f"udp {L1}:4000 > {ROUTER}:53") == [
        f"lan port-unreachable {ROUTER} > {L1} (udp {L1}:4000 > {ROUTER}:53)"
    ]
    (seen,) = router.lan(f"tcp {L1}:4000 > {ROUTER}:80 S", seq=41)
    assert seen == f"lan tcp {ROUTER}:80 > {L1}:4000 RA"
    assert (TCP(seen.body).seq, TCP(seen.body).ack) == (0, 42)
    (seen,) = router.lan(f"tcp {L1}:4000 > {ROUTER}:80 A", ack=99)
    assert seen == f"lan tcp {ROUTER}:80 > {L1}:4000 R"
    assert TCP(seen.body).seq == 99
    assert router.lan(f"tcp {L1}:4000 > {ROUTER}:80 R") == []
    assert router.lan(f"47 {L1} > {ROUTER}") == [
        f"lan protocol-unreachable {ROUTER} > {L1} (47 {L1} > {ROUTER})"
    ]


# Martians and borrowed sources

MARTIANS = ["0.0.0.0", "0.1.2.3", "127.0.0.1", "127.8.9.10", "169.254.1.2", "240.1.2.3"]  # noqa: S104
GROUPS = ["224.0.0.1", "239.255.255.250", "255.255.255.255"]


@pytest.mark.parametrize("source", [*MARTIANS, *GROUPS, "8.8.8.8", "10.1.2.3", W2, N])
def test_only_lan_sources_go_out(router: Router, source: str) -> None:
    for destination in (W1, N, ROUTER):
        assert router.lan(f"udp {source}:4000 > {destination}:53") == []
    assert router.sessions == []


@pytest.mark.parametrize("source", ["192.168.1.0", "192.168.1.255"])
def test_a_lan_broadcast_is_no_source(router: Router, source: str) -> None:
    assert router.lan(f"udp {source}:4000 > {W1}:53") == []


@pytest.mark.parametrize("source", [*MARTIANS, *GROUPS, L1, L2, "192.168.1.255", ROUTER, N])
def test_martians_and_our_own_addresses_never_come_in(build: Build, source: str) -> None:
    router = build(forwards=FORWARD, filtering=EIF)
    for _ in range(3):
        router.lan(OUT)
    for packet in (
        f"udp {source}:53 > {N}:4000",
        f"udp {source}:53 > {N}:81",
        f"tcp {source}:53 > {N}:80 S",
        f"ping {source} > {N} id 7",
    ):
        assert router.wan(packet) == [], packet


@pytest.mark.parametrize("destination", MARTIANS)
def test_martian_destinations_are_dropped(router: Router, destination: str) -> None:
    assert router.lan(f"udp {L1}:4000 > {destination}:53") == []
    assert router.wan(f"udp {W1}:4000 > {destination}:53") == []


@pytest.mark.parametrize("destination", [L1, ROUTER, "192.168.1.10", W2, "10.1.2.3"])
def test_the_wan_reaches_no_address_but_ours(build: Build, destination: str) -> None:
    router = build(forwards=FORWARD + "\ndefault -> 192.168.1.10")
    router.lan(OUT)
    for packet in (f"udp {W1}:53 > {destination}:4000", f"tcp {W1}:53 > {destination}:80 S"):
        assert router.wan(packet) == []


@pytest.mark.parametrize("address", ["192.168.1.255", "192.168.1.0", "255.255.255.255"])
def test_directed_broadcasts_are_not_forwarded(router: Router, address: str) -> None:
    assert router.wan(f"udp {W1}:53 > {address}:4000") == []
    assert router.reason == "broadcast"
    assert router.lan(f"udp {L1}:4001 > {address}:4000") == []
    assert router.reason == "broadcast"


def test_a_directed_broadcast_to_a_routed_network_is_not_forwarded(build: Build) -> None:
    router = build(address=Routed(), lan="198.18.5.1/24", forwards="default -> 198.18.5.9")
    assert router.wan(f"udp {W1}:53 > 198.18.5.255:4000") == []
    assert router.reason == "broadcast"


@pytest.mark.parametrize("option", [131, 137], ids=["loose", "strict"])
def test_source_routes_are_not_forwarded(router: Router, option: int) -> None:
    options = bytes([option, 7, 4, 198, 51, 100, 20, 0])
    router.lan(OUT)
    assert router.lan(OUT, options=options) == []
    assert router.wan(BACK, options=options) == []


# Unknown protocols


@pytest.mark.parametrize("protocol", [0, 2, 4, 33, 41, 47, 50, 51, 132, 136, 253, 255])
def test_other_protocols_are_translated_by_address(router: Router, protocol: int) -> None:
    data = bytes(range(40))
    for _ in range(2):
        (seen,) = router.lan(f"{protocol} {L1} > {W1}", data)
        assert seen == f"wan {protocol} {N} > {W1}"
        assert seen.body == data
    (seen,) = router.wan(f"{protocol} {W1} > {N}", data)
    assert seen == f"lan {protocol} {W1} > {L1}"
    assert seen.body == data
    assert router.wan(f"{protocol} {W2} > {N}", data) == []


def test_a_second_host_may_not_take_the_way_back(router: Router) -> None:
    router.lan(f"47 {L1} > {W1}")
    assert router.lan(f"47 {L2} > {W1}") == [f"lan prohibited {ROUTER} > {L2} (47 {L2} > {W1})"]
    assert router.lan(f"47 {L2} > {W2}") == [f"wan 47 {N} > {W2}"]
    assert router.wan(f"47 {W1} > {N}") == [f"lan 47 {W1} > {L1}"]
    assert router.wan(f"47 {W2} > {N}") == [f"lan 47 {W2} > {L2}"]


def test_other_protocols_end_when_idle(router: Router) -> None:
    router.lan(f"47 {L1} > {W1}")
    router.wait(599)
    assert len(router.wan(f"47 {W1} > {N}")) == 1
    router.wait(2)
    assert router.wan(f"47 {W1} > {N}") == []
    assert router.lan(f"47 {L2} > {W1}") == [f"wan 47 {N} > {W1}"]


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 0, 2], [0, 2, 1]])
def test_fragments_of_other_protocols_keep_one_identification(
    router: Router, order: list[int]
) -> None:
    pieces = fragments(whole(f"47 {L1} > {W1}", bytes(3500), flags=""), 1480)
    seen = [packet for at in order for packet in router.lan(pieces[at])]
    assert len(seen) == 3
    assert len({packet.ip.id for packet in seen}) == 1


# Checksums


def test_a_udp_checksum_of_zero_stays_zero(router: Router) -> None:
    for _ in range(3):
        (seen,) = router.lan(OUT, b"data", checksum=False)
        assert seen.body[6:8] == bytes(2)
        (seen,) = router.wan(BACK, b"data", checksum=False)
        assert seen.body[6:8] == bytes(2)


@pytest.mark.parametrize("settled", [False, True])
@pytest.mark.parametrize("way", ["out", "in"])
def test_a_udp_checksum_that_comes_out_as_zero_is_sent_as_ones(
    router: Router, settled: bool, way: str
) -> None:
    for _ in range(1 + 3 * settled):
        router.lan(OUT)
    before, after = (OUT, f"udp {N}:4000 > {W1}:53"), (BACK, f"udp {W1}:53 > {L1}:4000")
    text, translated = before if way == "out" else after
    # The word that makes the translated datagram's checksum zero, which scapy writes as ones.
    (field,) = struct.unpack_from("!H", whole(translated, bytes(2)), VNET_LENGTH + 26)
    packet = whole(text, struct.pack("!H", field))
    (seen,) = (router.lan if way == "out" else router.wan)(packet)
    assert seen.body[6:8] == b"\xff\xff"


def broken(packet: bytes) -> bytes:
    copy = bytearray(packet)
    copy[-1] ^= 0x5A
    return bytes(copy)


@pytest.mark.parametrize("settled", [False, True])
@pytest.mark.parametrize("flow", ["udp", "tcp", "ping"])
def test_a_wrong_checksum_is_never_made_right(router: Router, settled: bool, flow: str) -> None:
    texts = {
        "udp": (OUT, BACK),
        "tcp": (f"tcp {L1}:4000 > {W1}:80 A", f"tcp {W1}:80 > {N}:4000 A"),
        "ping": (f"ping {L1} > {W1} id 7", f"pong {W1} > {N} id 7"),
    }[flow]
    router.lan(texts[0], b"data")
    for _ in range(3 * settled):
        router.lan(texts[0], b"data")
        router.wan(texts[1], b"data")
    for side, text in zip((router.lan, router.wan), texts, strict=True):
        for seen in side(broken(whole(text, b"data")), damaged=True):
            assert wrong_checksums(seen.raw) == [{"ping": "icmp"}.get(flow, flow)]


@pytest.mark.parametrize("flow", ["udp", "tcp", "ping"])
def test_random_payloads_keep_right_checksums(router: Router, flow: str) -> None:
    numbers = random.Random(3)
    out, back = {
        "udp": (OUT, BACK),
        "tcp": (f"tcp {L1}:4000 > {W1}:80 A", f"tcp {W1}:80 > {N}:4000 A"),
        "ping": (f"ping {L1} > {W1} id 7", f"pong {W1} > {N} id 7"),
    }[flow]
    payloads = [numbers.randbytes(numbers.randrange(200)) for _ in range(300)]
    payloads += [b"\xff" * n for n in range(1, 40, 3)] + [bytes(n) for n in range(8)]
    for data in payloads:
        ((seen,), (answer,)) = router.lan(out, data), router.wan(back, data)
        start = 20 if flow == "tcp" else 8
        assert seen.body[start:] == answer.body[start:] == data


def test_all_sums_of_the_header_survive(router: Router) -> None:
    """Every value of one word of the header: the incremental update meets both zeros."""
    for _ in range(2):
        router.lan(OUT)
    for identification in range(0, 65536, 257):
        (seen,) = router.lan(OUT, id=identification)
        assert seen.ip.id == identification


def test_sctp_ports_stay_because_its_checksum_covers_them(router: Router) -> None:
    data = struct.pack("!HHII", 4000, 5000, 1, 0xDEADBEEF) + bytes(8)
    (seen,) = router.lan(f"132 {L1} > {W1}", data)
    assert seen.body == data


# Port forwards


def test_a_forward_shows_the_real_client_and_answers_from_outside(build: Build) -> None:
    router = build(forwards="tcp 80 -> 192.168.1.10:8080")
    assert router.wan(f"tcp {W1}:5000 > {N}:80 S") == [f"lan tcp {W1}:5000 > 192.168.1.10:8080 S"]
    assert router.lan(f"tcp 192.168.1.10:8080 > {W1}:5000 SA") == [f"wan tcp {N}:80 > {W1}:5000 SA"]


def test_a_port_range_is_forwarded_in_step(build: Build) -> None:
    router = build(forwards="udp 5000-5010 -> 192.168.1.20:6000-6010")
    for offset in (0, 5, 10):
        assert router.wan(f"udp {W1}:9 > {N}:{5000 + offset}") == [
            f"lan udp {W1}:9 > 192.168.1.20:{6000 + offset}"
        ]
    assert router.wan(f"udp {W1}:9 > {N}:5011") == []


def test_a_forward_admits_its_sources_only(build: Build) -> None:
    router = build(forwards="tcp 25 -> 192.168.1.10 from 198.51.100.0/28")
    assert len(router.wan(f"tcp {W1}:5000 > {N}:25 S")) == 1
    assert router.wan(f"tcp {W2}:5000 > {N}:25 S") == []
    assert router.reason == "source-refused"
    assert router.lan(f"tcp {L1}:5000 > {N}:25 S") == [f"lan tcp {N}:5000 > 192.168.1.10:25 S"]


def test_the_default_host_gets_the_rest(build: Build) -> None:
    router = build(forwards=f"{FORWARD}\ndefault -> 192.168.1.30")
    assert router.wan(f"tcp {W1}:9 > {N}:80 S") == [f"lan tcp {W1}:9 > 192.168.1.10:80 S"]
    assert router.wan(f"tcp {W1}:9 > {N}:443 S") == [f"lan tcp {W1}:9 > 192.168.1.30:443 S"]
    assert router.wan(f"47 {W1} > {N}") == [f"lan 47 {W1} > 192.168.1.30"]
    assert router.lan(f"tcp 192.168.1.30:443 > {W1}:9 SA") == [f"wan tcp {N}:443 > {W1}:9 SA"]


def test_a_closed_server_port_is_told_from_the_external_address(build: Build) -> None:
    router = build(forwards=FORWARD)
    router.wan(f"tcp {W1}:9 > {N}:80 S")
    assert router.lan(f"tcp 192.168.1.10:80 > {W1}:9 RA") == [f"wan tcp {N}:80 > {W1}:9 RA"]
    (came,) = router.wan(f"udp {W1}:9 > {N}:81")
    assert router.lan(error("192.168.1.10", came.frame, "port-unreachable")) == [
        f"wan port-unreachable {N} > {W1} (udp {W1}:9 > {N}:81)"
    ]


def test_other_ports_are_silent(build: Build) -> None:
    router = build(forwards=FORWARD)
    assert router.wan(f"tcp {W1}:9 > {N}:81 S") == []
    assert router.wan(f"udp {W1}:9 > {N}:80") == []
    assert router.wait(60) == []


def test_a_forwarded_port_is_never_handed_out(build: Build) -> None:
    router = build(forwards="udp 4000 -> 192.168.1.10", dynamic_ports=(3990, 4010))
    ports = [router.lan(f"udp 192.168.1.{n}:4000 > {W1}:53")[0].port for n in range(20, 40)]
    assert 4000 not in ports
    assert len(set(ports)) == 20


def test_a_server_speaks_from_its_forwarded_port(build: Build) -> None:
    router = build(forwards="udp 4000 -> 192.168.1.10:53")
    assert router.lan(f"udp 192.168.1.10:53 > {W1}:9") == [f"wan udp {N}:4000 > {W1}:9"]


def test_a_forward_from_inside_shows_the_external_client(build: Build) -> None:
    router = build(forwards="udp 81 -> 192.168.1.10")
    assert router.lan(f"udp {L1}:4000 > {N}:81") == [f"lan udp {N}:4000 > 192.168.1.10:81"]
    assert router.lan(f"udp 192.168.1.10:81 > {N}:4000") == [f"lan udp {N}:81 > {L1}:4000"]


def test_reloading_forwards_leaves_live_sessions_alone(build: Build) -> None:
    router = build(forwards=FORWARD)
    router.wan(f"tcp {W1}:9 > {N}:80 S")
    assert router.replace_forwards("tcp 80 -> 192.168.1.44") == 0
    assert router.lan(f"tcp 192.168.1.10:80 > {W1}:9 SA") == [f"wan tcp {N}:80 > {W1}:9 SA"]
    assert router.wan(f"tcp {W1}:9 > {N}:80 A") == [f"lan tcp {W1}:9 > 192.168.1.10:80 A"]
    assert router.wan(f"tcp {W1}:10 > {N}:80 S") == [f"lan tcp {W1}:10 > 192.168.1.44:80 S"]


def test_reloading_forwards_ends_affected_sessions_if_asked(build: Build) -> None:
    router = build(forwards=f"{FORWARD}\ntcp 119 -> 192.168.1.10")
    for port in (80, 119):
        router.wan(f"tcp {W1}:9 > {N}:{port} S")
        router.lan(f"tcp 192.168.1.10:{port} > {W1}:9 SA")
    router.lan(OUT)
    changed = "tcp 80 -> 192.168.1.44\ntcp 119 -> 192.168.1.10"
    assert router.replace_forwards(changed, reset_affected=True) == 1
    assert router.wan(f"tcp {W1}:9 > {N}:80 A") == []
    assert len(router.wan(f"tcp {W1}:9 > {N}:119 A")) == 1
    assert len(router.wan(BACK)) == 1


def test_a_removed_forward_lets_nobody_new_in(build: Build) -> None:
    router = build(forwards=FORWARD, filtering=EIF)
    router.wan(f"udp {W1}:9 > {N}:81")
    router.lan(f"udp 192.168.1.10:81 > {W1}:9")
    router.replace_forwards("")
    assert router.wan(f"udp {W1}:9 > {N}:81") == [f"lan udp {W1}:9 > 192.168.1.10:81"]
    assert router.wan(f"udp {W2}:9 > {N}:82") == []


def test_a_reload_with_the_same_rules_resets_nothing(build: Build) -> None:
    rules = "udp 4000 -> 192.168.1.10:53 from 198.51.100.0/28\ndefault -> 192.168.1.30"
    router = build(forwards=rules)
    for opening in (f"udp {W1}:9 > {N}:4000", f"tcp {W1}:9 > {N}:443 S"):
        assert len(router.wan(opening)) == 1
    for opening in (f"udp {L1}:5000 > {N}:4000", f"udp 192.168.1.10:53 > {W2}:9", OUT):
        assert len(router.lan(opening)) == 1
    assert router.replace_forwards(rules, reset_affected=True) == 0


@pytest.mark.parametrize("opened", ["from-outside", "from-inside"])
def test_a_port_in_use_by_a_former_forward_is_not_handed_out(build: Build, opened: str) -> None:
    router = build(forwards="udp 4000 -> 192.168.1.10:53")
    if opened == "from-outside":
        router.wan(f"udp {W1}:9 > {N}:4000")
    else:
        router.lan(f"udp 192.168.1.10:53 > {W1}:9")
    router.replace_forwards("")
    (seen,) = router.lan(f"udp {L1}:4000 > {W2}:53")
    assert seen.port != 4000
    assert router.wan(f"udp {W1}:9 > {N}:4000") == [f"lan udp {W1}:9 > 192.168.1.10:53"]


def test_a_port_becomes_a_forward_while_a_host_has_it(build: Build) -> None:
    router = build()
    router.lan(OUT)
    router.replace_forwards("udp 4000 -> 192.168.1.10:53")
    assert router.wan(BACK) == [f"lan udp {W1}:53 > {L1}:4000"]
    assert router.wan(f"udp {W2}:9 > {N}:4000") == [f"lan udp {W2}:9 > 192.168.1.10:53"]
    assert router.lan(f"udp 192.168.1.10:53 > {W2}:9") == [f"wan udp {N}:4000 > {W2}:9"]
    router.wait(301)
    assert router.lan(f"udp {L1}:4000 > {W1}:53")[0].port != 4000


def test_two_forwards_to_one_server_do_not_mix_two_clients(build: Build) -> None:
    router = build(forwards="udp 81 -> 192.168.1.10:80\nudp 82 -> 192.168.1.10:80")
    assert router.wan(f"udp {W1}:9 > {N}:81") == [f"lan udp {W1}:9 > 192.168.1.10:80"]
    assert router.wan(f"udp {W1}:9 > {N}:82") == []
    assert router.wan(f"udp {W2}:9 > {N}:82") == [f"lan udp {W2}:9 > 192.168.1.10:80"]
    assert router.lan(f"udp 192.168.1.10:80 > {W1}:9") == [f"wan udp {N}:81 > {W1}:9"]
    assert router.lan(f"udp 192.168.1.10:80 > {W2}:9") == [f"wan udp {N}:82 > {W2}:9"]


# Ways of addressing


def test_routed_addresses_pass_untranslated_but_filtered(build: Build) -> None:
    router = build(address=Routed(), lan="198.18.5.1/24", forwards="tcp 80 -> 198.18.5.10")
    assert router.lan(f"udp 198.18.5.9:4000 > {W1}:53") == [f"wan udp 198.18.5.9:4000 > {W1}:53"]
    assert router.wan(f"udp {W1}:53 > 198.18.5.9:4000") == [f"lan udp {W1}:53 > 198.18.5.9:4000"]
    assert router.wan(f"udp {W2}:53 > 198.18.5.9:4000") == []
    assert router.wan(f"tcp {W2}:53 > 198.18.5.10:80 S") == [f"lan tcp {W2}:53 > 198.18.5.10:80 S"]
    assert router.wan(f"tcp {W2}:53 > 198.18.5.9:80 S") == []


def test_time_exceeded_about_a_routed_host(build: Build) -> None:
    router = build(address=Routed(), lan="198.18.5.1/24")
    router.lan(f"udp 198.18.5.9:4000 > {W1}:53")
    (seen,) = router.wan(f"udp {W1}:53 > 198.18.5.9:4000", ttl=1)
    assert seen.endswith(f"> {W1} (udp {W1}:53 > 198.18.5.9:4000)")


def test_one_to_one_keeps_ports_and_gives_each_host_an_address(build: Build) -> None:
    router = build(address=OneToOne((Network.parse("203.0.113.8/30"),)))
    first = router.lan(f"udp {L1}:4000 > {W1}:53")[0].source
    second = router.lan(f"udp {L2}:4000 > {W1}:53")[0].source
    assert {first, second} == {"203.0.113.8:4000", "203.0.113.9:4000"}
    assert router.wan(f"udp {W1}:53 > {first}") == [f"lan udp {W1}:53 > {L1}:4000"]
    assert router.wan(f"udp {W1}:53 > {second}") == [f"lan udp {W1}:53 > {L2}:4000"]


def test_one_to_one_hairpins_between_external_addresses(build: Build) -> None:
    router = build(address=OneToOne((Network.parse("203.0.113.8/30"),)), filtering=EIF)
    first = router.lan(f"udp {L1}:4000 > {W1}:53")[0].source
    assert router.lan(f"udp {L2}:5000 > {first}") == [f"lan udp 203.0.113.9:5000 > {L1}:4000"]


def test_a_free_address_of_a_block_leads_nowhere(build: Build) -> None:
    router = build(address=OneToOne((Network.parse("203.0.113.8/30"),)), filtering=EIF)
    assert router.wan(f"udp {W1}:53 > 203.0.113.8:4000") == []
    assert router.reason == "unsolicited"


def test_the_line_address_beside_a_block_serves_the_router_alone(build: Build) -> None:
    router = build(address=OneToOne((Network.parse("203.0.113.8/30"),)), forwards=FORWARD)
    assert router.wan(f"tcp {W1}:9 > {N}:80 S") == []
    assert router.wan(f"ping {W1} > {N} id 7") == [f"wan pong {N} > {W1} id 7"]
    assert router.lan(f"tcp {L1}:9 > {N}:80 S") == [f"lan tcp {N}:80 > {L1}:9 RA"]


def test_forwards_of_hosts_with_addresses_of_their_own(build: Build) -> None:
    fixed = ((0xC0A8010A, 0xCB007108), (0xC0A80114, 0xCB007109))
    router = build(
        address=OneToOne((Network.parse("203.0.113.8/30"),), fixed),
        forwards="tcp 80 -> 192.168.1.10",
    )
    assert router.wan(f"tcp {W1}:9 > 203.0.113.8:80 S") == [f"lan tcp {W1}:9 > 192.168.1.10:80 S"]
    assert router.wan(f"tcp {W1}:9 > 203.0.113.9:80 S") == []


# Load and limits


def test_more_sessions_than_ports_share_nothing(build: Build) -> None:
    router = build(dynamic_ports=(1024, 1279), limits=Limits(icmp_errors_per_second=5))
    hosts = [f"192.168.1.{2 + n % 200}:{3000 + n}" for n in range(400)]
    answers = [router.lan(f"udp {host} > {W1}:53")[:1] for host in hosts]
    sources = [seen[0].source for seen in answers if seen and seen[0].startswith("wan")]
    assert len(sources) == len(set(sources)) == 256
    for host, seen in zip(hosts, answers, strict=True):
        if seen and seen[0].startswith("wan"):
            assert router.wan(f"udp {W1}:53 > {seen[0].source}") == [f"lan udp {W1}:53 > {host}"]


def test_a_full_house_has_room_again_when_sessions_end(build: Build) -> None:
    router = build(dynamic_ports=(1024, 1033), unsolicited_syn=UnsolicitedSyn.UNREACHABLE)
    for n in range(10):
        router.lan(f"udp {L1}:{3000 + n} > {W1}:53")
    assert router.lan(f"udp {L2}:3000 > {W1}:53")[0].startswith("lan prohibited")
    router.wait(301)
    assert router.lan(f"udp {L2}:3000 > {W1}:53")[0].startswith("wan")
