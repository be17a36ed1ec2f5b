import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP

from router.wire.address import parse_address
from router.wire.ipv4 import MIN_MTU, IPv4, build, fragment
from router.wire.malformed import Malformed
from tests.lab.packets import VNET_LENGTH, dotted, fragments, heal_header, udp, wrong_checksums
from tests.lab.strategies import evil_packets, packets
from tests.lab.views import parse, variants, whole

# 192.168.1.11 > 198.51.100.10, UDP, five bytes of data behind a UDP header
PLAIN = bytes.fromhex(
    "45000021 beef4000 3f1190eb c0a8010b c633640a"  # ttl 63, id beef, do not fragment
    "14e90035 000deb90 1234010000"
)
# The same with options: router alert (copied), nop, record route of 7 bytes (not copied)
OPTIONS = bytes.fromhex("94040000 01 07070400000000")
WITH_OPTIONS = bytes.fromhex(
    "4800002a 00014000 4011afc1 c0a8010b c633640a 94040000 01070704 0000000014e90035 000a9661 6869"
)
FIRST_FRAGMENT = bytes.fromhex(
    "45000024 00012000 40116ed7 c0a8010b c633640a 14e90035 00207a0e 00010203 04050607"
)
LAST_FRAGMENT = bytes.fromhex(
    "45000024 00010002 40118ed5 c0a8010b c633640a 08090a0b 0c0d0e0f 10111213 14151617"
)
HOST, SERVER = parse_address("192.168.1.11"), parse_address("198.51.100.10")
WAY = "192.168.1.11:5353 > 198.51.100.10:53"


def edited(packet: bytes, at: int, value: str, *, heal: bool = True) -> bytes:
    """The packet with the bytes at `at` replaced, its header checksum right again."""
    octets = bytes.fromhex(value)
    changed = bytearray(packet[:at] + octets + packet[at + len(octets) :])
    if heal:
        heal_header(changed)
    return bytes(changed)


# Parsing


def test_a_literal_packet() -> None:
    view = whole(PLAIN)
    assert (view.source, view.destination) == (HOST, SERVER)
    assert (view.tos, view.total_length, view.identification) == (0, 33, 0xBEEF)
    assert (view.ttl, view.protocol) == (63, 17)
    assert (view.dont_fragment, view.more_fragments, view.fragment_offset) == (True, False, 0)
    assert not view.is_fragment
    assert view.header == PLAIN[:20]
    assert view.data == PLAIN[20:]
    assert view.options() == []
    assert not view.source_routed


def test_a_literal_packet_with_options() -> None:
    view = whole(WITH_OPTIONS)
    assert view.header == WITH_OPTIONS[:32]
    assert view.data == WITH_OPTIONS[32:]
    assert view.options() == [OPTIONS[:4], b"\x01", OPTIONS[5:]]
    assert not view.source_routed


@pytest.mark.parametrize(
    ("packet", "more", "offset"), [(FIRST_FRAGMENT, True, 0), (LAST_FRAGMENT, False, 16)]
)
def test_literal_fragments(packet: bytes, offset: int, *, more: bool) -> None:
    view = whole(packet)
    assert view.is_fragment
    assert (view.more_fragments, view.fragment_offset) == (more, offset)
    assert not view.dont_fragment


@pytest.mark.parametrize("packet", [PLAIN, WITH_OPTIONS, FIRST_FRAGMENT, LAST_FRAGMENT])
def test_cut_short_it_is_malformed_and_padded_it_ends_where_it_says(packet: bytes) -> None:
    for data in variants(packet):
        view = parse(data)
        if len(data) < 20:
            assert view is Malformed.TRUNCATED
        elif len(data) < (packet[0] & 15) * 4:
            assert view is Malformed.HEADER_LENGTH
        elif len(data) < len(packet):
            assert view is Malformed.TOTAL_LENGTH
        else:
            assert isinstance(view, IPv4)
            assert view.data == packet[view.payload - view.start :]


@pytest.mark.parametrize("packet", [PLAIN, WITH_OPTIONS, FIRST_FRAGMENT, LAST_FRAGMENT])
def test_quoted_it_may_stop_anywhere_behind_its_header(packet: bytes) -> None:
    header_length = (packet[0] & 15) * 4
    for data in variants(packet):
        view = parse(data, quoted=True)
        assert isinstance(view, IPv4) is (len(data) >= header_length)
        if isinstance(view, IPv4):
            assert view.data == packet[header_length : len(data)]
            assert view.total_length == len(packet)


EVIL = [
    ("version 0", edited(PLAIN, 0, "05"), Malformed.VERSION),
    ("version 6", edited(PLAIN, 0, "65"), Malformed.VERSION),
    ("header length 0", edited(PLAIN, 0, "40"), Malformed.HEADER_LENGTH),
    ("header length 16", edited(PLAIN, 0, "44"), Malformed.HEADER_LENGTH),
    ("header length 60, packet 33", edited(PLAIN, 0, "4f"), Malformed.HEADER_LENGTH),
    ("header length over total length", edited(PLAIN, 0, "4600 0014"), Malformed.TOTAL_LENGTH),
    ("total length 0", edited(PLAIN, 2, "0000"), Malformed.TOTAL_LENGTH),
    ("total length 19", edited(PLAIN, 2, "0013"), Malformed.TOTAL_LENGTH),
    ("total length one too many", edited(PLAIN, 2, "0022"), Malformed.TOTAL_LENGTH),
    ("total length 65535", edited(PLAIN, 2, "ffff"), Malformed.TOTAL_LENGTH),
    ("one bit in the header", edited(PLAIN, 8, "3e", heal=False), Malformed.HEADER_CHECKSUM),
    ("bytes swapped", edited(PLAIN, 8, "113f", heal=False), Malformed.HEADER_CHECKSUM),
    (
        "one bit in the options",
        edited(WITH_OPTIONS, 31, "01", heal=False),
        Malformed.HEADER_CHECKSUM,
    ),
    ("middle of 5 bytes", edited(PLAIN[:33], 6, "2000"), Malformed.FRAGMENT),
    ("middle without data", edited(PLAIN[:20], 2, "0014 beef 2001"), Malformed.FRAGMENT),
    ("ping of death", edited(PLAIN[:24], 2, "0018 beef 1ffd"), Malformed.FRAGMENT),
    ("the same in the middle", edited(FIRST_FRAGMENT, 6, "3fff"), Malformed.FRAGMENT),
]
ODD_BUT_GOOD = [
    ("header alone", edited(PLAIN[:20], 2, "0014")),
    ("reserved flag", edited(PLAIN, 6, "8000")),
    ("do not fragment, yet a fragment", edited(FIRST_FRAGMENT, 6, "6000")),
    ("ttl 0", edited(PLAIN, 8, "00")),
    ("protocol 0", edited(PLAIN, 9, "00")),
    ("from itself to itself", edited(PLAIN, 12, "c633640a")),
    ("last fragment without data", edited(PLAIN[:20], 2, "0014 beef 0001")),
    ("last byte a datagram can have", edited(PLAIN[:23], 2, "0017 beef 1ffd")),
]


@pytest.mark.parametrize(("packet", "reason"), [e[1:] for e in EVIL], ids=[e[0] for e in EVIL])
def test_evil_packets(packet: bytes, reason: Malformed) -> None:
    assert parse(packet) is reason


@pytest.mark.parametrize("packet", [g[1] for g in ODD_BUT_GOOD], ids=[g[0] for g in ODD_BUT_GOOD])
def test_odd_packets_that_pass(packet: bytes) -> None:
    whole(packet)


@pytest.mark.parametrize("zero", ["0000", "ffff"])
def test_both_forms_of_a_zero_header_checksum_pass(zero: str) -> None:
    # With the old checksum as identification, all other words sum to minus zero.
    packet = edited(edited(PLAIN, 4, "0000"), 10, "0000", heal=False)
    packet = edited(packet, 4, edited(PLAIN, 4, "0000")[10:12].hex(), heal=False)
    whole(edited(packet, 10, zero, heal=False))


def test_every_single_bit_wrong_in_a_header_is_found() -> None:
    for bit in range(20 * 8):
        wrong = bytearray(PLAIN)
        wrong[bit // 8] ^= 0x80 >> bit % 8
        assert isinstance(parse(bytes(wrong)), Malformed)


@given(evil_packets(), st.booleans())
def test_a_reason_or_a_view_inside_the_packet(packet: bytes, quoted: bool) -> None:
    parse(packet, quoted=quoted)


# Options


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ("00000000", []),
        ("01010101", ["01"] * 4),
        ("01000000", ["01"]),
        ("00 940400", []),  # nothing counts behind the end
        ("94040000", ["94040000"]),
        ("01 890300", ["01", "890300"]),
        ("4402 4402", ["4402", "4402"]),
        ("010101 94", None),  # no room for a length
        ("94000000", None),  # length 0 would never end
        ("94010000", None),
        ("94050000", None),  # beyond the header
        ("94ff0000", None),
        ("01 9404 00", None),
    ],
)
@pytest.mark.parametrize("data", [b"", b"\x02data"])
def test_options(options: str, found: list[str] | None, data: bytes) -> None:
    octets = bytes.fromhex(options)
    view = whole(build(HOST, SERVER, 17, data, options=octets))
    expected = Malformed.OPTIONS if found is None else [bytes.fromhex(one) for one in found]
    assert view.options() == expected


@pytest.mark.parametrize(
    ("options", "routed"),
    [
        ("", False),
        ("83 07 04 01020304 00", True),  # loose
        ("89 07 04 01020304 00", True),  # strict
        ("01 83 03 04", True),
        ("07 07 04 00000000 00", False),  # record route tells, it does not direct
        ("00 83 03 04", False),
        ("94 00 00 00", True),  # who knows what a broken option hides
    ],
)
def test_source_routes(options: str, *, routed: bool) -> None:
    view = whole(build(HOST, SERVER, 17, b"data", options=bytes.fromhex(options)))
    assert view.source_routed is routed


# Editing


@given(packets(), st.integers(0, 0xFFFFFFFF), st.integers(0, 0xFFFFFFFF), st.integers(0, 0xFFFF))
def test_edits_keep_the_header_checksum(packet: bytes, one: int, other: int, number: int) -> None:
    view = whole(packet)
    view.set_addresses(one, other)
    view.set_ttl(number & 0xFF)
    view.set_identification(number)
    assert (view.source, view.destination) == (one, other)
    assert (view.ttl, view.identification) == (number & 0xFF, number)
    after = bytes(view.buffer[view.start : view.end])
    judge = IP(packet)
    judge.src, judge.dst, judge.ttl, judge.id = (
        dotted(one.to_bytes(4)),
        dotted(other.to_bytes(4)),
        number & 0xFF,
        number,
    )
    del judge.chksum
    assert after[:20] == bytes(judge)[:20]
    assert after[20:] == packet[20:]
    again = whole(after)
    assert (again.source, again.destination, again.ttl) == (one, other, number & 0xFF)


def test_the_change_of_addresses_is_what_a_pseudo_header_needs() -> None:
    view = whole(PLAIN)
    change = view.set_addresses(HOST + 5, SERVER - 2)
    assert change == 3


def test_edits_stay_in_the_header() -> None:
    view = whole(PLAIN)
    before = bytes(view.buffer)
    view.set_addresses(0, 0xFFFFFFFF)
    view.set_ttl(0)
    view.set_identification(0)
    assert view.buffer[: view.start] == before[: view.start]
    assert view.buffer[view.payload :] == before[view.payload :]


# Building


@given(
    st.integers(0, 0xFFFFFFFF),
    st.integers(0, 0xFFFFFFFF),
    st.integers(0, 255),
    st.binary(max_size=64),
    st.fixed_dictionaries(
        {},
        optional={
            "ttl": st.integers(0, 255),
            "tos": st.integers(0, 255),
            "identification": st.integers(0, 0xFFFF),
            "dont_fragment": st.booleans(),
            "options": st.sampled_from([b"", bytes(4), OPTIONS, b"\x01" * 40]),
        },
    ),
)
def test_what_is_built_parses_to_what_was_said(
    source: int, destination: int, protocol: int, data: bytes, fields: dict[str, int | bytes]
) -> None:
    packet = build(source, destination, protocol, data, **fields)  # type: ignore[arg-type]
    view = whole(packet)
    assert (view.source, view.destination, view.protocol) == (source, destination, protocol)
    assert view.data == data
    assert view.ttl == fields.get("ttl", 64)
    assert view.tos == fields.get("tos", 0)
    assert view.identification == fields.get("identification", 0)
    assert view.dont_fragment is fields.get("dont_fragment", True)
    assert view.header[20:] == fields.get("options", b"")
    judge = IP(packet)
    del judge.chksum
    assert bytes(judge) == packet


def test_a_fragment_is_built() -> None:
    packet = build(
        HOST,
        SERVER,
        17,
        FIRST_FRAGMENT[20:],
        identification=1,
        dont_fragment=False,
        more_fragments=True,
    )
    assert packet == FIRST_FRAGMENT
    packet = build(
        HOST,
        SERVER,
        17,
        LAST_FRAGMENT[20:],
        identification=1,
        dont_fragment=False,
        fragment_offset=16,
    )
    assert packet == LAST_FRAGMENT


# Fragments


def reassemble(pieces: list[bytes]) -> bytes:
    """The datagram of fragments in any order, by the letter of RFC 791 and no faster than that."""
    octets: dict[int, int] = {}
    length, first = None, b""
    for piece in pieces:
        header_length = (piece[0] & 15) * 4
        flags_offset = int.from_bytes(piece[6:8])
        data = piece[header_length : int.from_bytes(piece[2:4])]
        for place, octet in enumerate(data, start=(flags_offset & 0x1FFF) * 8):
            assert place not in octets, "fragments overlap"
            octets[place] = octet
        if not flags_offset & 0x2000:
            assert length is None, "two ends"
            length = (flags_offset & 0x1FFF) * 8 + len(data)
        if not flags_offset & 0x1FFF:
            first = piece[:header_length]
    assert sorted(octets) == list(range(length or 0)), "a hole, or no end"
    header = bytearray(first)
    header[2:4] = (len(first) + len(octets)).to_bytes(2)
    header[6:8] = bytes(2)
    heal_header(header)
    return bytes(header) + bytes(octets[place] for place in sorted(octets))


def datagram(data: bytes, options: bytes = b"") -> bytes:
    return udp(WAY, data, flags="", options=options, id=7)[VNET_LENGTH:]


@given(
    st.binary(max_size=3000),
    st.integers(MIN_MTU, 1500),
    st.sampled_from([b"", OPTIONS, b"\x94\x04\x00\x00" * 10, b"\x01" * 40]),
    st.randoms(use_true_random=False),
)
def test_fragments_fit_and_make_the_datagram_again(
    data: bytes, mtu: int, options: bytes, rng: random.Random
) -> None:
    packet = datagram(data, options)
    pieces = list(fragment(whole(packet), mtu))
    assert all(len(piece) <= mtu for piece in pieces)
    assert [wrong_checksums(piece) for piece in pieces] == [[]] * len(pieces)
    assert all(whole(piece).is_fragment for piece in pieces) or len(packet) <= mtu
    rng.shuffle(pieces)
    assert reassemble(pieces) == packet


@given(st.binary(min_size=500, max_size=2000), st.integers(200, 600), st.integers(MIN_MTU, 199))
def test_fragments_of_fragments_make_the_datagram_too(data: bytes, mtu: int, less: int) -> None:
    packet = datagram(data, OPTIONS)
    smaller = [
        small for piece in fragment(whole(packet), mtu) for small in fragment(whole(piece), less)
    ]
    assert max(map(len, smaller)) <= less
    assert reassemble(smaller) == packet


def test_fragments_made_by_scapy_can_be_cut_again() -> None:
    packet = datagram(bytes(range(200)))
    theirs = [piece[VNET_LENGTH:] for piece in fragments(bytes(10) + packet, 96)]
    ours = [small for piece in theirs for small in fragment(whole(piece), MIN_MTU)]
    assert reassemble(ours) == packet


@pytest.mark.parametrize("mtu", [MIN_MTU, 576, 1280, 1400, 1492, 1499])
def test_all_but_the_last_are_as_long_as_the_link_and_the_unit_of_8_allow(mtu: int) -> None:
    *full, _ = fragment(whole(datagram(bytes(1472))), mtu)
    assert {len(piece) for piece in full} == {20 + (mtu - 20) // 8 * 8}


@pytest.mark.parametrize(
    ("options", "later"),
    [
        ("", ""),
        ("94040000", "94040000"),
        ("07070400 00000000", ""),
        ("01 94040000 07070400000000", "94040000"),
        ("07070400 00000001 89030400", "89030400"),  # a nop for alignment is not copied
        ("820b0000 00000000 00000001", "820b0000 00000000 00000000"),  # padded to whole words
        ("94000000", ""),  # broken: left where it is
    ],
)
def test_only_options_with_the_copied_flag_go_into_later_fragments(
    options: str, later: str
) -> None:
    packet = build(HOST, SERVER, 17, bytes(100), options=bytes.fromhex(options))
    first, *others = fragment(whole(packet), 100)
    assert whole(first).header[20:] == bytes.fromhex(options)
    assert others
    assert {whole(piece).header[20:] for piece in others} == {bytes.fromhex(later)}


def test_what_fits_is_one_piece() -> None:
    packet = datagram(bytes(40))
    assert list(fragment(whole(packet), len(packet))) == [packet]
    assert len(list(fragment(whole(packet), len(packet) - 1))) == 2


def test_type_of_service_hops_and_identification_are_those_of_the_datagram() -> None:
    packet = udp(WAY, bytes(200), tos=0xB8, ttl=7, id=0xABCD)[VNET_LENGTH:]
    for piece in map(whole, fragment(whole(packet), MIN_MTU)):
        assert (piece.tos, piece.ttl, piece.identification) == (0xB8, 7, 0xABCD)
        assert not piece.dont_fragment
