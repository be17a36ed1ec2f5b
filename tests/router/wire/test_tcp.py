import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP

from router.wire.ipv4 import PROTO_TCP, PROTO_UDP, IPv4, build
from router.wire.malformed import Malformed
from router.wire.tcp import Flag, Tcp, build_reset, overlays_flags
from router.wire.transport import complete_checksum
from tests.lab.packets import (
    VNET_LENGTH,
    completed,
    describe,
    fragments,
    frame,
    offloaded,
    resized,
    tcp,
    wrong_checksums,
)
from tests.lab.strategies import frames
from tests.lab.views import behind, variants, whole

# 192.168.1.11:4000 > 198.51.100.10:80 SYN, MSS 1460, nop, window scale 7
SYN = bytes.fromhex(
    "45000030 00014000 40064ed6 c0a8010b c633640a"
    "0fa00050 01020304 00000000 7002faf0 89400000 020405b4 01030307"
)
# The same connection, PSH and ACK, "GET /"
DATA = bytes.fromhex(
    "4500002d 00014000 40064ed9 c0a8010b c633640a"
    "0fa00050 01020305 0a0b0c0d 5018faf0 d4700000 474554202f"
)
WAY = "192.168.1.11:4000 > 198.51.100.10:80"


def segment(packet: bytes) -> Tcp:
    view = behind(whole(packet))
    assert isinstance(view, Tcp)
    return view


def with_options(options: str, data: bytes = b"") -> bytes:
    """A SYN with these option bytes, padded with the end of options to whole words."""
    octets = bytes.fromhex(options)
    octets += bytes(-len(octets) % 4)
    header = bytearray(SYN[20:40]) + octets
    header[12] = len(header) // 4 << 4
    view = whole(resized(SYN, bytes(header) + data))
    complete_checksum(view)
    return bytes(view.buffer[view.start : view.end])


def tight_window_scale(packet: bytes) -> int:
    """The shift count, read from a buffer that ends where the packet does."""
    view = IPv4.parse(bytearray(packet), 0, len(packet))
    assert isinstance(view, IPv4)
    syn = Tcp.parse(view)
    assert isinstance(syn, Tcp)
    return syn.window_scale


# Parsing


def test_literal_segments() -> None:
    syn = segment(SYN)
    assert (syn.source_port, syn.destination_port) == (4000, 80)
    assert (syn.sequence, syn.acknowledgment) == (0x01020304, 0)
    assert (syn.flags, syn.window, syn.window_scale) == (Flag.SYN, 64240, 7)
    assert syn.data == syn.end
    data = segment(DATA)
    assert (data.sequence, data.acknowledgment) == (0x01020305, 0x0A0B0C0D)
    assert data.flags == Flag.PSH | Flag.ACK
    assert bytes(data.buffer[data.data : data.end]) == b"GET /"
    assert data.window_scale == 0


@pytest.mark.parametrize("packet", [SYN, DATA])
def test_at_every_length_a_view_or_a_reason(packet: bytes) -> None:
    header_length = (packet[32] >> 4) * 4
    for data in variants(packet[20:]):
        view = behind(whole(resized(packet, data)))
        if len(data) < 20:
            assert view is Malformed.TRUNCATED
        elif len(data) < header_length:
            assert view is Malformed.DATA_OFFSET
        else:
            assert isinstance(view, Tcp)
            assert view.end - view.data == len(data) - header_length


@pytest.mark.parametrize("words", range(16))
def test_every_data_offset(words: int) -> None:
    view = behind(whole(DATA[:32] + bytes([words << 4]) + DATA[33:]))
    assert isinstance(view, Tcp) if words in (5, 6) else view is Malformed.DATA_OFFSET


@pytest.mark.parametrize("size", [8, 16, 24])
def test_a_first_fragment_must_hold_the_whole_header(size: int) -> None:
    first, *_ = fragments(tcp(f"{WAY} A", bytes(40)), size)
    view = behind(whole(first[VNET_LENGTH:]))
    assert isinstance(view, Tcp) if size > 20 else view is Malformed.TINY_FRAGMENT


@pytest.mark.parametrize("flags", range(256))
def test_every_combination_of_flags_parses(flags: int) -> None:
    view = segment(DATA[:33] + bytes([flags]) + DATA[34:])
    assert view.flags == flags
    assert view.segment_length == 5 + bool(flags & 0x02) + bool(flags & 0x01)


@pytest.mark.parametrize(
    ("offset", "protocol", "verdict"),
    [
        (0, PROTO_TCP, False),
        (8, PROTO_TCP, True),  # the flags lie at 13
        (16, PROTO_TCP, False),
        (8, PROTO_UDP, False),
    ],
)
def test_a_fragment_that_overwrites_flags(offset: int, protocol: int, *, verdict: bool) -> None:
    piece = build(1, 2, protocol, bytes(40), dont_fragment=False, fragment_offset=offset)
    assert overlays_flags(whole(piece)) is verdict


# Options

OPTIONS = [  # bytes, MSS as one reads them, window scale
    ("", None, 0),
    ("020405b4", 1460, 0),
    ("01 020405b4", 1460, 0),
    ("0101 020405b4 0303 07", 1460, 7),
    ("0402 080a0000000100000000 030307 020405b4", 1460, 7),
    ("03030f", None, 14),  # more than 14 means 14 (RFC 7323, section 2.3)
    ("030300", None, 0),
    ("00 020405b4", None, 0),  # nothing counts behind the end
    ("0002 020405b4", None, 0),
    ("0203 05 020405b4", 1460, 0),  # an MSS of a wrong length is none
    ("0206 05b40000 020405b4", 1460, 0),
    ("0200 05b4 020405b4", None, 0),  # length 0 would never end
    ("0201 05b4 020405b4", None, 0),
    ("fe04 0000 020405b4", 1460, 0),
    ("fe20 0000 020405b4", None, 0),  # beyond the header
    ("010101 02", None, 0),  # kind without length
    ("0101 0204", None, 0),  # length without value
    ("010101 03", None, 0),
]


@pytest.mark.parametrize(("options", "mss", "scale"), OPTIONS)
@pytest.mark.parametrize("data", ["", "0405b40303070000"])  # as options they would go on
def test_options_are_read_as_far_as_they_parse(
    options: str, mss: int | None, scale: int, data: str
) -> None:
    packet = with_options(options, bytes.fromhex(data))
    view = segment(packet)
    assert view.window_scale == scale
    view.clamp_mss(1000, partial=False)
    after = bytes(view.buffer[view.start - 20 : view.end])
    assert tight_window_scale(packet) == scale
    assert (after == packet) is (mss is None)
    assert wrong_checksums(after) == []
    if mss is not None:
        at = packet.index(b"\x02\x04" + mss.to_bytes(2)) + 2
        expected = packet[:at] + (1000).to_bytes(2) + packet[at + 2 :]
        assert after == expected[:36] + after[36:38] + expected[38:]


@pytest.mark.parametrize(
    ("announced", "limit", "after"),
    [
        (1460, 1452, 1452),
        (1460, 1460, 1460),
        (1452, 1460, 1452),  # never raised
        (0, 1460, 0),
        (65535, 1460, 1460),
        (65535, 0, 0),  # one zero for the other: the checksum stays
    ],
)
@pytest.mark.parametrize("nops", range(4))
def test_clamping_at_every_alignment(announced: int, limit: int, after: int, nops: int) -> None:
    packet = with_options("01" * nops + f"0204{announced:04x}")
    view = segment(packet)
    view.clamp_mss(limit, partial=False)
    clamped = bytes(view.buffer[view.start - 20 : view.end])
    assert ("MSS", after) in IP(clamped)[TCP].options
    assert wrong_checksums(clamped) == []


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF), st.integers(0, 3), st.integers(0, 0xFFFF))
def test_clamping_keeps_the_checksum(announced: int, limit: int, nops: int, window: int) -> None:
    packet = bytearray(with_options("01" * nops + f"0204{announced:04x}"))
    packet[34:36] = window.to_bytes(2)
    whole_view = whole(bytes(packet))
    complete_checksum(whole_view)
    view = Tcp.parse(whole_view)
    assert isinstance(view, Tcp)
    view.clamp_mss(limit, partial=False)
    assert wrong_checksums(bytes(view.buffer[view.start - 20 : view.end])) == []


@pytest.mark.parametrize("nops", range(4))
def test_a_partial_checksum_does_not_cover_the_option_yet(nops: int) -> None:
    options = [*[("NOP", None)] * nops, ("MSS", 1460)]
    handed_over = offloaded(tcp(f"{WAY} S", tcp_options=options))[VNET_LENGTH:]
    view = whole(handed_over)
    syn = Tcp.parse(view)
    assert isinstance(syn, Tcp)
    syn.clamp_mss(1000, partial=True)
    after = bytes(view.buffer[view.start : view.end])
    assert after[36:38] == handed_over[36:38]
    assert wrong_checksums(completed(after)) == []
    assert ("MSS", 1000) in IP(after)[TCP].options


# Resets

# What a closed port says (RFC 9293, section 3.10.7.1): flags, sequence, acknowledgment
RESETS = [
    (tcp(f"{WAY} S", seq=100), "RA", 0, 101),
    (tcp(f"{WAY} S", b"early", seq=100), "RA", 0, 106),
    (tcp(f"{WAY} F", b"late", seq=100), "RA", 0, 105),
    (tcp(f"{WAY} SF", seq=100), "RA", 0, 102),
    (tcp(f"{WAY} .", b"data", seq=100), "RA", 0, 104),
    (tcp(f"{WAY} S", seq=0xFFFFFFFF), "RA", 0, 0),
    (tcp(f"{WAY} A", seq=100, ack=200), "R", 200, 0),
    (tcp(f"{WAY} SA", seq=100, ack=200), "R", 200, 0),
    (tcp(f"{WAY} FPA", b"data", seq=100, ack=0xFFFFFFFF), "R", 0xFFFFFFFF, 0),
]


@pytest.mark.parametrize(
    ("offending", "flags", "sequence", "acknowledgment"),
    RESETS,
    ids=[describe(r[0]) for r in RESETS],
)
def test_resets(offending: bytes, flags: str, sequence: int, acknowledgment: int) -> None:
    packet = whole(offending[VNET_LENGTH:])
    view = Tcp.parse(packet)
    assert isinstance(view, Tcp)
    reset = build_reset(packet, view)
    assert describe(frame(reset)) == f"tcp 198.51.100.10:80 > 192.168.1.11:4000 {flags}"
    assert (IP(reset)[TCP].seq, IP(reset)[TCP].ack) == (sequence, acknowledgment)
    assert (IP(reset)[TCP].window, len(reset)) == (0, 40)
    assert wrong_checksums(reset) == []


@given(frames(("tcp",)))
def test_every_reset_is_a_right_segment_back(offending: bytes) -> None:
    packet = whole(offending[VNET_LENGTH:])
    view = Tcp.parse(packet)
    assert isinstance(view, Tcp)
    reset = build_reset(packet, view)
    assert wrong_checksums(reset) == []
    back = segment(reset)
    assert (back.source_port, back.destination_port) == (view.destination_port, view.source_port)
    assert back.flags & Flag.RST
    assert bool(back.flags & Flag.ACK) is not bool(view.flags & Flag.ACK)
