from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scapy.utils import checksum

from router.wire.address import Endpoint, parse_address
from router.wire.icmpv4 import Icmp, quoted_packet
from router.wire.ipv4 import PROTO_TCP, IPv4, build
from router.wire.malformed import Malformed
from router.wire.tcp import Tcp
from router.wire.transport import complete_checksum, parse_transport, translate
from router.wire.udp import Udp
from tests.lab.packets import (
    VNET_LENGTH,
    completed,
    describe,
    error,
    fragments,
    frame,
    offloaded,
    ping,
    pong,
    tcp,
    udp,
    wrong_checksums,
)
from tests.lab.strategies import evil_packets, frames
from tests.lab.views import behind, parse, whole

EXTERNAL = Endpoint(parse_address("203.0.113.2"), 61000)
SERVER = Endpoint(parse_address("198.51.100.10"), 8080)
TCP_WAY, UDP_WAY = (f"192.168.1.11:{port} > 198.51.100.10:80" for port in (4000, 5353))
PING_WAY = "192.168.1.11 > 198.51.100.10"

endpoints = st.builds(
    Endpoint,
    st.sampled_from([0, 0x0000FFFF, 0xFFFF0000, 0xFFFFFFFF]) | st.integers(0, 0xFFFFFFFF),
    st.sampled_from([0, 1, 0xFFFE, 0xFFFF]) | st.integers(0, 0xFFFF),
)


def translated(whole_frame: bytes, source: Endpoint, destination: Endpoint) -> bytes:
    view = whole(whole_frame[VNET_LENGTH:])
    translate(view, source, destination)
    return bytes(view.buffer[view.start : view.end])


# Parsing


@pytest.mark.parametrize(
    ("packet", "kind"),
    [
        (tcp(f"{TCP_WAY} S"), Tcp),
        (udp(UDP_WAY), Udp),
        (ping(PING_WAY), Icmp),
        (frame(build(1, 2, 47, b"GRE has no ports")), type(None)),
        (frame(build(1, 2, 47, b"")), type(None)),
        (fragments(tcp(f"{TCP_WAY} A", bytes(40)), 24)[1], type(None)),
        (fragments(udp(UDP_WAY, bytes(40)), 8)[1], type(None)),
    ],
    ids=lambda value: describe(value) if isinstance(value, bytes) else value.__name__,
)
def test_what_is_behind_an_ip_header(packet: bytes, kind: type) -> None:
    assert type(behind(whole(packet[VNET_LENGTH:]))) is kind


def test_a_tcp_fragment_that_could_overwrite_the_flags_is_refused() -> None:
    piece = build(1, 2, 6, bytes(16), dont_fragment=False, fragment_offset=8)
    assert behind(whole(piece)) is Malformed.TINY_FRAGMENT


@pytest.mark.parametrize("protocol", [1, 6, 17])
def test_nothing_behind_the_header_is_too_short(protocol: int) -> None:
    assert behind(whole(build(1, 2, protocol, b""))) is Malformed.TRUNCATED


@given(evil_packets())
def test_a_reason_or_a_view_inside_the_packet(packet: bytes) -> None:
    view = parse(packet)
    if isinstance(view, IPv4):
        behind(view)


# Translation of whole packets

TRANSLATIONS = [
    (tcp(f"{TCP_WAY} S"), "tcp 203.0.113.2:61000 > 198.51.100.10:8080 S"),
    (tcp(f"{TCP_WAY} A", b"odd"), "tcp 203.0.113.2:61000 > 198.51.100.10:8080 A"),
    (udp(UDP_WAY, b"odd"), "udp 203.0.113.2:61000 > 198.51.100.10:8080"),
    (udp(UDP_WAY, b"x", options=b"\x94\x04\x00\x00"), "udp 203.0.113.2:61000 > 198.51.100.10:8080"),
    (ping(PING_WAY, b"odd"), "ping 203.0.113.2 > 198.51.100.10 id 61000"),
    (pong(PING_WAY), "pong 203.0.113.2 > 198.51.100.10 id 61000"),
    (ping(PING_WAY, type_=13), "timestamp 203.0.113.2 > 198.51.100.10 id 61000"),
]


@pytest.mark.parametrize(("before", "after"), TRANSLATIONS, ids=[t[1] for t in TRANSLATIONS])
def test_translations(before: bytes, after: str) -> None:
    packet = translated(before, EXTERNAL, SERVER)
    assert describe(frame(packet)) == after
    assert wrong_checksums(packet) == []


@given(frames(), endpoints, endpoints)
def test_translation_writes_the_endpoints_and_nothing_else(
    before: bytes, source: Endpoint, destination: Endpoint
) -> None:
    packet = translated(before, source, destination)
    assert wrong_checksums(packet) == []
    original = before[VNET_LENGTH:]
    at = (original[0] & 15) * 4
    expected = bytearray(original)
    expected[12:20] = source.address.to_bytes(4) + destination.address.to_bytes(4)
    field = {1: 2, 6: 16, 17: 6}[original[9]]
    if original[9] == 1:
        expected[at + 4 : at + 6] = source.port.to_bytes(2)
    else:
        expected[at : at + 4] = source.port.to_bytes(2) + destination.port.to_bytes(2)
    for summed in (10, at + field):
        expected[summed : summed + 2] = packet[summed : summed + 2]
    assert packet == expected


@given(frames(("tcp", "udp")), endpoints, endpoints)
def test_there_and_back_again(before: bytes, source: Endpoint, destination: Endpoint) -> None:
    view = whole(before[VNET_LENGTH:])
    ports = parse_transport(view)
    assert isinstance(ports, Tcp | Udp)
    home = (
        Endpoint(view.source, ports.source_port),
        Endpoint(view.destination, ports.destination_port),
    )
    translate(view, source, destination)
    translate(view, *home)
    assert bytes(view.buffer[view.start : view.end]) == before[VNET_LENGTH:]


def test_a_datagram_without_checksum_stays_without() -> None:
    packet = translated(udp(UDP_WAY, b"data", checksum=False), EXTERNAL, SERVER)
    assert packet[26:28] == bytes(2)
    assert wrong_checksums(packet) == []


def test_a_checksum_that_comes_out_as_zero_is_sent_as_ffff() -> None:
    # RFC 768: zero would say that there is none. The last two bytes are chosen to get there.
    zero = translated(udp(UDP_WAY, b"\x00\x00"), EXTERNAL, SERVER)[26:28]
    packet = translated(udp(UDP_WAY, zero), EXTERNAL, SERVER)
    assert packet[26:28] == b"\xff\xff"
    assert wrong_checksums(packet) == []


def test_a_checksum_of_ffff_is_one() -> None:
    ffff = udp(UDP_WAY, udp(UDP_WAY, b"\x00\x00")[VNET_LENGTH + 26 :][:2])
    assert ffff[VNET_LENGTH + 26 :][:2] == b"\xff\xff"
    packet = translated(ffff, EXTERNAL, SERVER)
    assert packet[26:28] not in (b"\x00\x00", b"\xff\xff")
    assert wrong_checksums(packet) == []


@pytest.mark.parametrize(("before", "after"), [(7, 0), (0, 7), (0, 0), (0xFFFF, 0), (0, 0xFFFF)])
def test_the_message_that_is_all_zero(before: int, after: int) -> None:
    # The only one whose sum is plus zero: it verifies with ffff and with nothing else.
    request = pong(PING_WAY, query_id=before, seq=0)
    packet = translated(request, Endpoint(1, after), Endpoint(2, after))
    assert packet[20:22] + packet[24:] == bytes(2) + after.to_bytes(2) + bytes(2)
    assert checksum(packet[20:]) == 0


def test_protocols_without_ports_get_addresses_only() -> None:
    packet = translated(frame(build(1, 2, 47, b"GRE data")), EXTERNAL, SERVER)
    assert packet[20:] == b"GRE data"
    assert packet[12:20] == EXTERNAL.address.to_bytes(4) + SERVER.address.to_bytes(4)
    assert wrong_checksums(packet) == []


# Partial checksums


@given(frames(("tcp", "udp")), endpoints, endpoints)
@example(tcp(f"{TCP_WAY} S"), Endpoint(0, 0), Endpoint(0, 0))
def test_partial_checksums_completed_afterwards_are_the_full_ones(
    before: bytes, source: Endpoint, destination: Endpoint
) -> None:
    view = whole(offloaded(before)[VNET_LENGTH:])
    translate(view, source, destination, partial=True)
    by_device = completed(bytes(view.buffer[view.start : view.end]))
    assert wrong_checksums(by_device) == []
    complete_checksum(view)
    assert bytes(view.buffer[view.start : view.end]) == by_device


@given(frames(("tcp", "udp")))
def test_a_partial_checksum_is_completed(before: bytes) -> None:
    view = whole(offloaded(before)[VNET_LENGTH:])
    complete_checksum(view)
    assert wrong_checksums(bytes(view.buffer[view.start : view.end])) == []


@pytest.mark.parametrize(
    ("build_with", "at", "field"),
    [(partial(udp, UDP_WAY), 26, "ffff"), (partial(tcp, f"{TCP_WAY} A"), 36, "0000")],
    ids=["udp", "tcp"],
)
def test_a_completed_checksum_of_zero(
    build_with: Callable[[bytes], bytes], at: int, field: str
) -> None:
    # The last two bytes are chosen to get there: the checksum of the packet without them.
    zero = build_with(b"\x00\x00")[VNET_LENGTH + at :][:2]
    view = whole(offloaded(build_with(zero))[VNET_LENGTH:])
    complete_checksum(view)
    after = bytes(view.buffer[view.start : view.end])
    assert after[at : at + 2].hex() == field
    assert wrong_checksums(after) == []


# Fragments


@given(
    st.sampled_from([tcp(f"{TCP_WAY} A", bytes(range(80))), udp(UDP_WAY, bytes(range(80)))]),
    st.sampled_from([8, 24, 32, 40]),
    endpoints,
    endpoints,
)
def test_fragments_translated_one_by_one_make_the_datagram_translated_whole(
    before: bytes, size: int, source: Endpoint, destination: Endpoint
) -> None:
    if before[VNET_LENGTH + 9] == PROTO_TCP:
        size = max(size, 24)  # smaller ones are refused before
    pieces = [translated(piece, source, destination) for piece in fragments(before, size)]
    assert [wrong_checksums(piece) for piece in pieces] == [[]] * len(pieces)
    data = b"".join(piece[20:] for piece in pieces)
    assert data == translated(before, source, destination)[20:]


def test_the_ports_of_a_later_fragment_are_data() -> None:
    _, later, *_ = fragments(udp(UDP_WAY, bytes(range(64))), 24)
    packet = translated(later, EXTERNAL, SERVER)
    assert packet[20:] == later[VNET_LENGTH + 20 :]


# Packets quoted by ICMP errors


@pytest.mark.parametrize("length", range(20, 61))
@pytest.mark.parametrize(
    "about", [tcp(f"{TCP_WAY} A", b"data" * 5), udp(UDP_WAY, b"data" * 8)], ids=["tcp", "udp"]
)
def test_a_quote_is_translated_as_far_as_it_goes(about: bytes, length: int) -> None:
    outer = whole(error("203.0.113.1", about, "host-unreachable", quote=length)[VNET_LENGTH:])
    quote = quoted_packet(outer)
    assert isinstance(quote, IPv4)
    behind_packet = bytes(outer.buffer[outer.end :])
    translate(quote, EXTERNAL, SERVER)
    full = translated(about, EXTERNAL, SERVER)[:length]
    if length < 24:  # not both ports, so neither
        full = full[:20] + about[VNET_LENGTH:][20:length]
    field = 20 + (16 if about[VNET_LENGTH + 9] == 6 else 6)
    if field < length < field + 2:  # half a checksum
        full = full[:field] + about[VNET_LENGTH:][field:length]
    assert bytes(quote.buffer[quote.start : quote.end]) == full
    assert bytes(outer.buffer[outer.end :]) == behind_packet


@pytest.mark.parametrize("length", range(20, 37))
def test_a_quoted_query_is_translated_as_far_as_it_goes(length: int) -> None:
    about = ping(PING_WAY, b"data data")
    outer = whole(error("203.0.113.1", about, "host-unreachable", quote=length)[VNET_LENGTH:])
    quote = quoted_packet(outer)
    assert isinstance(quote, IPv4)
    behind_packet = bytes(outer.buffer[outer.end :])
    translate(quote, EXTERNAL, EXTERNAL)
    full = translated(about, EXTERNAL, EXTERNAL)[:length]
    if length < 26:  # the id is not there
        full = full[:20] + about[VNET_LENGTH:][20:length]
    assert bytes(quote.buffer[quote.start : quote.end]) == full
    assert bytes(outer.buffer[outer.end :]) == behind_packet
