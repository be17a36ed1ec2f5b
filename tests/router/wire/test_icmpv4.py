import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP

from router.wire.address import parse_address
from router.wire.icmpv4 import (
    Icmp,
    Type,
    Unreachable,
    build_echo_reply,
    build_error,
    quoted_packet,
    refresh_checksum,
)
from router.wire.ipv4 import IPv4, build
from router.wire.malformed import Malformed
from tests.lab.packets import (
    VNET_LENGTH,
    describe,
    error,
    frame,
    ping,
    resized,
    tcp,
    udp,
    with_sum,
    wrong_checksums,
)
from tests.lab.strategies import error_packets, frames
from tests.lab.views import behind, variants, whole

# 192.168.1.11 > 198.51.100.10, echo request, id 7, sequence 1
PING = bytes.fromhex("45000020 00014000 40014eeb c0a8010b c633640a 08003331 00070001 61626364")
# 203.0.113.1 > 192.168.1.11, time exceeded, quoting 28 bytes of the datagram below
TIME_EXCEEDED = bytes.fromhex(
    "45000038 00014000 40013d0f cb007101 c0a8010b 0b004976 00000000"
    "4500001e 00014000 40114edd c0a8010b c633640a 14e90035 000a9661"
)
DATAGRAM = "udp 192.168.1.11:5353 > 198.51.100.10:53"
ROUTER = parse_address("203.0.113.1")
HOST = parse_address("192.168.1.11")
WAY = "192.168.1.11:5353 > 198.51.100.10:53"


def message(packet: bytes) -> Icmp:
    view = behind(whole(packet))
    assert isinstance(view, Icmp)
    return view


def summed(packet: bytes) -> bytes:
    """The packet with its ICMP checksum made right."""
    return packet[:20] + with_sum(packet[20:])


# Parsing


def test_a_literal_query() -> None:
    view = message(PING)
    assert (view.type, view.code, view.query_id) == (Type.ECHO, 0, 7)
    assert (view.is_query, view.is_reply, view.is_error) == (True, False, False)


def test_a_literal_error_and_the_packet_it_quotes() -> None:
    view = message(TIME_EXCEEDED)
    assert (view.type, view.code) == (Type.TIME_EXCEEDED, 0)
    assert (view.is_query, view.is_reply, view.is_error) == (False, False, True)
    quote = quoted_packet(whole(TIME_EXCEEDED))
    assert isinstance(quote, IPv4)
    assert quote.header == TIME_EXCEEDED[28:48]
    assert quote.data == TIME_EXCEEDED[48:]
    assert (quote.source, quote.total_length) == (HOST, 30)


@pytest.mark.parametrize("packet", [PING, TIME_EXCEEDED])
def test_at_every_length_a_view_or_a_reason(packet: bytes) -> None:
    for data in variants(packet[20:]):
        view = behind(whole(resized(packet, data)))
        assert isinstance(view, Icmp) if len(data) >= 8 else view is Malformed.TRUNCATED


@pytest.mark.parametrize("type_", range(256))
def test_every_type_is_one_kind_at_most(type_: int) -> None:
    view = message(PING[:20] + bytes([type_]) + PING[21:])
    kind = [view.is_query, view.is_reply, view.is_error]
    expected = {8: 0, 13: 0, 0: 1, 14: 1, 3: 2, 4: 2, 5: 2, 11: 2, 12: 2}
    assert kind == [expected.get(type_) == index for index in range(3)]


# Quotes


def test_a_quote_at_every_length_is_a_view_or_a_reason() -> None:
    for data in variants(TIME_EXCEEDED[28:]):
        packet = whole(summed(resized(TIME_EXCEEDED, TIME_EXCEEDED[20:28] + data)))
        quote = quoted_packet(packet)
        if len(data) < 20:
            assert quote is Malformed.QUOTE
        else:
            assert isinstance(quote, IPv4)
            assert packet.payload + 8 == quote.start < quote.payload <= quote.end <= packet.end
            assert quote.data == data[20:30]


def test_every_single_bit_wrong_in_an_error_is_found() -> None:
    for bit in range(8 * 36):
        wrong = bytearray(TIME_EXCEEDED)
        wrong[20 + bit // 8] ^= 0x80 >> bit % 8
        assert quoted_packet(whole(bytes(wrong))) is Malformed.ICMP_CHECKSUM


QUOTES = [  # offset in the quote, new bytes, verdict on the quote
    ("version 6", 0, "65", Malformed.QUOTE),
    ("header length beyond the quote", 0, "4f", Malformed.QUOTE),
    ("total length below the header", 2, "0013", Malformed.QUOTE),
    ("header checksum", 10, "0000", Malformed.QUOTE),  # RFC 5508 REQ-3a
    ("transport checksum", 26, "0000", None),  # RFC 5508 REQ-3c
]


@pytest.mark.parametrize(
    ("at", "value", "verdict"), [q[1:] for q in QUOTES], ids=[q[0] for q in QUOTES]
)
def test_what_a_quote_may_have_wrong(at: int, value: str, verdict: Malformed | None) -> None:
    octets = bytes.fromhex(value)
    at += 28
    packet = summed(TIME_EXCEEDED[:at] + octets + TIME_EXCEEDED[at + len(octets) :])
    quote = quoted_packet(whole(packet))
    assert isinstance(quote, IPv4) if verdict is None else quote is verdict


@given(error_packets())
def test_any_error_quotes_a_view_inside_it_or_nothing(packet: bytes) -> None:
    outer = whole(packet)
    quote = quoted_packet(outer)
    if isinstance(quote, IPv4):
        assert outer.payload + 8 == quote.start < quote.payload <= quote.end <= outer.end
    else:
        assert quote is Malformed.QUOTE


@given(frames(("udp", "tcp")), st.integers(0, 0xFFFFFFFF), st.integers(0, 0xFFFFFFFF))
def test_after_its_quote_was_edited_an_error_is_summed_anew(
    about: bytes, source: int, destination: int
) -> None:
    outer = whole(error("203.0.113.1", about, "host-unreachable")[VNET_LENGTH:])
    quote = quoted_packet(outer)
    assert isinstance(quote, IPv4)
    quote.set_addresses(source, destination)
    refresh_checksum(outer)
    after = bytes(outer.buffer[outer.start : outer.end])
    assert wrong_checksums(after) == []
    again = quoted_packet(whole(after))
    assert isinstance(again, IPv4)
    assert (again.source, again.destination) == (source, destination)


# Errors of our own

ABOUT = [
    udp(WAY, b"hi"),
    udp(WAY, b"hi", options=b"\x94\x04\x00\x00" * 10),
    udp(WAY, bytes(519)),  # one byte less than what fits
    udp(WAY, bytes(520)),
    udp(WAY, bytes(521)),
    tcp("192.168.1.11:4000 > 198.51.100.10:80 A", bytes(1460)),
    ping("192.168.1.11 > 198.51.100.10", b"odd"),
]


@pytest.mark.parametrize("about", ABOUT, ids=lambda about: f"{describe(about)}, {len(about)} bytes")
def test_an_error_quotes_as_much_as_576_bytes_hold(about: bytes) -> None:
    built = build_error(ROUTER, whole(about[VNET_LENGTH:]), Type.UNREACHABLE, Unreachable.PORT)
    assert len(built) == min(576, 28 + len(about) - VNET_LENGTH)
    assert built[28:] == about[VNET_LENGTH:][:548]
    assert wrong_checksums(built) == []
    text = f"port-unreachable 203.0.113.1 > 192.168.1.11 ({describe(about)})"
    assert describe(frame(built)) == text
    assert IP(built).tos == 0xC0


@pytest.mark.parametrize(
    ("type_", "code", "mtu", "words"),
    [
        (Type.UNREACHABLE, Unreachable.FRAGMENTATION_NEEDED, 1280, "0304xxxx 00000500"),
        (Type.UNREACHABLE, Unreachable.FRAGMENTATION_NEEDED, 65535, "0304xxxx 0000ffff"),
        (Type.UNREACHABLE, Unreachable.ADMINISTRATIVELY_PROHIBITED, 0, "030dxxxx 00000000"),
        (Type.TIME_EXCEEDED, 0, 0, "0b00xxxx 00000000"),
    ],
)
def test_the_eight_bytes_of_an_error(type_: int, code: int, mtu: int, words: str) -> None:
    built = build_error(ROUTER, whole(PING), type_, code, mtu)
    assert f"{built[20:22].hex()}xxxx {built[24:28].hex()}" == words
    assert wrong_checksums(built) == []


def test_padding_behind_the_packet_is_not_quoted() -> None:
    packet = IPv4.parse(bytearray(PING + b"\xaa" * 14), 0, len(PING) + 14)
    assert isinstance(packet, IPv4)
    assert build_error(ROUTER, packet, 3, 1)[28:] == PING


@given(frames())
def test_an_error_of_our_own_quotes_what_it_is_about(about: bytes) -> None:
    packet = whole(about[VNET_LENGTH:])
    quote = quoted_packet(whole(build_error(ROUTER, packet, Type.TIME_EXCEEDED, 0)))
    assert isinstance(quote, IPv4)
    assert (quote.header, quote.data) == (packet.header, packet.data)


# Echo replies


@given(st.binary(max_size=64), st.integers(0, 0xFFFF), st.integers(0, 0xFFFF))
def test_an_echo_comes_back_with_its_data(data: bytes, query_id: int, seq: int) -> None:
    request = ping("192.168.1.11 > 198.51.100.10", data, query_id=query_id, seq=seq, tos=8, id=9)
    reply = build_echo_reply(whole(request[VNET_LENGTH:]))
    assert describe(frame(reply)) == f"pong 198.51.100.10 > 192.168.1.11 id {query_id}"
    assert reply[24:] == request[VNET_LENGTH + 24 :]
    assert (IP(reply).tos, IP(reply).id, IP(reply).flags) == (8, 9, "DF")
    assert wrong_checksums(reply) == []


def test_the_reply_that_is_all_zero_has_the_other_checksum() -> None:
    # Type 0, code 0, id 0, sequence 0, no data: one's complement of nothing is ffff.
    reply = build_echo_reply(whole(build(HOST, ROUTER, 1, bytes.fromhex("0800f7ff 00000000"))))
    assert reply[20:] == bytes.fromhex("0000ffff 00000000")
    assert wrong_checksums(reply) == []
