"""Framing for asynchronous lines, judged by one that goes octet by octet (RFC 1662)."""

import random
from dataclasses import replace

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from router.wire import ppp
from router.wire.hdlc import Decoder, Encoder, Framing
from tests.lab.framing import cut, cuts, encoded, fcs

BARE = Framing(accm=0, compresses_protocol=True, compresses_address=True)
FRAMINGS = [
    Framing(),
    BARE,
    Framing(accm=0),
    Framing(accm=0x000A0000),  # XON and XOFF
    Framing(compresses_address=True),
    replace(BARE, compresses_address=False),
]
PROTOCOLS = [*ppp.Protocol, 0x0001, 0x00FD, 0x7E21, 0x7D5D, 0xFE01]
COUNTERS = ("bad_fcs", "aborted", "too_long", "runts")

# What Windows CE begins with, seen on a serial line: it escapes no control characters itself and
# asks for both compressions.
REQUEST = bytes.fromhex("c021 01 01 000e 02 06 00000000 07 02 08 02")
REQUEST_ON_THE_LINE = bytes.fromhex(
    "7e ff 7d23 c0 21 7d21 7d21 7d20 7d2e 7d22 7d26 7d20 7d20 7d20 7d20 7d27 7d22 7d28 7d22 7034 7e"
)
IP = ppp.join(ppp.Protocol.IP, b"packet")

_odd = st.sampled_from(b"\x7d\x7e\x5d\x5e\x00\x11\x13\x1f\x20\xff\x03")
informations = st.binary(max_size=60) | st.lists(_odd, max_size=60).map(bytes)
frames = st.builds(ppp.join, st.sampled_from(PROTOCOLS), informations)
framings = st.sampled_from(FRAMINGS) | st.builds(
    Framing, st.integers(0, 0xFFFFFFFF), st.booleans(), st.booleans()
)


def counters(decoder: Decoder) -> dict[str, int]:
    """Those that are not zero."""
    return {name: value for name in COUNTERS if (value := getattr(decoder, name))}


def on_the_line(frame: bytes, accm: int = 0) -> bytes:
    return b"\x7e" + encoded(frame, accm) + b"\x7e"


def fed(data: bytes, decoder: Decoder | None = None) -> tuple[list[bytes], dict[str, int]]:
    decoder = decoder or Decoder()
    return decoder.feed(data), counters(decoder)


# The check sequence.


def test_the_judge_knows_the_check_value() -> None:
    assert fcs(b"123456789") == bytes.fromhex("6e90")  # CRC-16/X-25, low octet first


@given(st.binary(min_size=2, max_size=400))
@example(b"\x00\x00")
@example(b"123456789")
def test_the_quick_fcs_is_the_slow_one(data: bytes) -> None:
    framing = Framing(accm=0, compresses_address=True)
    assume(not data.startswith(b"\xc0\x21"))
    assert Encoder(framing).encode([data]) == on_the_line(data)


def test_a_request_as_peers_send_it() -> None:
    assert Encoder(BARE).encode([REQUEST]) == REQUEST_ON_THE_LINE
    assert fed(REQUEST_ON_THE_LINE) == ([ppp.ADDRESS_CONTROL + REQUEST], {})


# Encoding.


@pytest.mark.parametrize(
    ("framing", "frame", "content"),
    [
        (Framing(accm=0), "0021 45", "ff03 0021 45"),
        (Framing(accm=0, compresses_address=True), "0021 45", "0021 45"),
        (replace(BARE, compresses_address=False), "0021 45", "ff03 21 45"),
        (BARE, "0021 45", "21 45"),
        (BARE, "0021", "0021"),  # in one octet it would be shorter than a frame may be
        (BARE, "8021 0102", "8021 0102"),  # too great a number for one octet
        (BARE, "0020 45", "0020 45"),  # no number of a protocol, and not made one
        (BARE, "c023 01", "c023 01"),
        (BARE, "c021 01", "ff03 c021 01"),
    ],
)
def test_what_is_shortened(framing: Framing, frame: str, content: str) -> None:
    octets = Encoder(framing).encode([bytes.fromhex(frame)])
    assert fed(octets) == ([bytes.fromhex(content)], {})


@pytest.mark.parametrize("framing", FRAMINGS)
def test_what_is_escaped(framing: Framing) -> None:
    frame = ppp.join(ppp.Protocol.IPCP, bytes(range(256)))
    octets = Encoder(framing).encode([frame])
    prefix = b"" if framing.compresses_address else ppp.ADDRESS_CONTROL
    assert octets == on_the_line(prefix + frame, framing.accm)


@pytest.mark.parametrize("framing", FRAMINGS)
def test_lcp_is_sent_in_the_default_framing_always(framing: Framing) -> None:
    frame = ppp.join(ppp.Protocol.LCP, bytes(range(256)))
    assert Encoder(framing).encode([frame]) == on_the_line(
        ppp.ADDRESS_CONTROL + frame, Framing().accm
    )


def test_frames_sent_together_share_a_flag() -> None:
    octets = Encoder(BARE).encode([IP, REQUEST, IP])
    assert octets.count(b"\x7e") == 4
    assert octets[0] == octets[-1] == 0x7E
    assert Encoder(BARE).encode([]) == b""


# Decoding.


@given(st.lists(frames, max_size=5), framings, cuts)
def test_frames_arrive_as_they_were_sent(
    sent: list[bytes], framing: Framing, lengths: list[int]
) -> None:
    decoder = Decoder()
    octets = Encoder(framing).encode(sent)
    arrived = [frame for piece in cut(octets, lengths) for frame in decoder.feed(piece)]
    assert [ppp.split(frame) for frame in arrived] == [ppp.split(frame) for frame in sent]
    assert counters(decoder) == {}


@given(frames, framings)
def test_octet_by_octet(frame: bytes, framing: Framing) -> None:
    decoder = Decoder()
    octets = Encoder(framing).encode([frame])
    arrived = [decoder.feed(bytes((octet,))) for octet in octets]
    assert [ppp.split(one) for one in arrived.pop()] == [ppp.split(frame)]
    assert not any(arrived)


@given(st.binary(max_size=300), st.lists(frames, min_size=1, max_size=3), framings)
@example(b"CONNECT 33600\r\n", [IP], BARE)
@example(b"\x7d", [IP], BARE)
@example(b"\x7e\x7d\x7d", [IP], BARE)
def test_noise_before_frames_does_not_cost_any(
    noise: bytes, sent: list[bytes], framing: Framing
) -> None:
    arrived = Decoder().feed(noise + Encoder(framing).encode(sent))
    assert [ppp.split(one) for one in arrived[-len(sent) :]] == [ppp.split(one) for one in sent]


@given(st.lists(frames, min_size=1, max_size=3), st.binary(max_size=300), framings)
def test_noise_between_frames_does_not_cost_any(
    sent: list[bytes], noise: bytes, framing: Framing
) -> None:
    octets = Encoder(framing).encode(sent)
    arrived = Decoder().feed(octets + noise + octets)
    wanted = [ppp.split(one) for one in sent]
    assert [ppp.split(one) for one in arrived[: len(sent)]] == wanted
    assert [ppp.split(one) for one in arrived[-len(sent) :]] == wanted


@given(frames, st.integers(0))
def test_no_frame_with_one_wrong_bit_is_taken(frame: bytes, bit: int) -> None:
    content = frame + fcs(frame)
    at, shift = divmod(bit % (8 * len(content)), 8)
    spoiled = bytearray(content)
    spoiled[at] ^= 1 << shift
    octets = b"".join(
        bytes((0x7D, octet ^ 0x20)) if octet in (0x7D, 0x7E) else bytes((octet,))
        for octet in spoiled
    )
    assert fed(b"\x7e" + octets + b"\x7e") == ([], {"bad_fcs": 1})


@given(frames, st.integers(0), framings)
def test_no_frame_with_one_wrong_bit_on_the_line_is_taken(
    frame: bytes, bit: int, framing: Framing
) -> None:
    octets = bytearray(Encoder(framing).encode([frame]))
    at, shift = divmod(8 + bit % (8 * (len(octets) - 2)), 8)
    before = octets[at]
    octets[at] ^= 1 << shift
    # A flag or an escape that comes or goes changes more than one bit; 1 in 65,536 would pass.
    assume(not {before, octets[at]} & {0x7D, 0x7E})
    assert fed(bytes(octets)) == ([], {"bad_fcs": 1})


@pytest.mark.parametrize(
    ("octets", "counted"),
    [
        (b"\x7e\x7e\x7e\x7e", {}),
        (b"\x7eabc\x7e", {"runts": 1}),
        (b"\x7e\x7da\x7d]\x7db\x7e", {"runts": 1}),
        (b"\x7eabcd\x7e", {"bad_fcs": 1}),
        (b"\x7e" + encoded(IP, 0) + b"\x7d\x7e", {"aborted": 1}),
        (b"\x7e\x7d\x7e", {"aborted": 1}),
        (b"\x7ea\x7d\x7d\x7d\x7e", {"aborted": 1}),
        (b"\x7ea\x7d\x7d\x7e", {"runts": 1}),  # an escaped octet, though nobody has to escape it
        (b"noise\x7e\x7eabc\x7e\x7d\x7e", {"bad_fcs": 1, "runts": 1, "aborted": 1}),
        (b"\x7e" + bytes(1507) + b"\x7e", {"too_long": 1}),
        (b"\x7e" + bytes(4000) + b"\x7e", {"too_long": 1}),
        (b"\x7e" + bytes(4000), {"too_long": 1}),
        (b"\x7e" + bytes(3000), {}),
    ],
)
def test_what_is_no_frame_is_counted(octets: bytes, counted: dict[str, int]) -> None:
    assert fed(octets) == ([], counted)
    by_octet = Decoder()
    assert [by_octet.feed(octets[at : at + 1]) for at in range(len(octets))].count([]) == len(
        octets
    )
    assert counters(by_octet) == counted


@pytest.mark.parametrize(
    "octets", ["a\x7d\x7db", "\x7d\x7d\x7d^", "]\x7d\x7d]", "\x7d\x7d\x7d\x7d"]
)
def test_escapes_that_are_escaped_by_themselves(octets: str) -> None:
    # 7d 7d stands for 5d; a quick unescaping must not see an escape in its second octet.
    content = octets.encode().replace(b"\x7d\x7d", b"]").replace(b"\x7d^", b"~")
    frame = IP + content
    line = b"\x7e" + encoded(IP, 0)[:-2] + octets.encode() + _escaped_fcs(frame) + b"\x7e"
    assert fed(line) == ([frame], {})


def _escaped_fcs(frame: bytes) -> bytes:
    return b"".join(bytes((0x7D, octet ^ 0x20)) for octet in fcs(frame))


@given(frames)
def test_a_peer_may_escape_everything(frame: bytes) -> None:
    octets = b"".join(bytes((0x7D, octet ^ 0x20)) for octet in frame + fcs(frame))
    assume(b"\x7e" not in octets)  # 5e cannot be escaped
    assert fed(b"\x7e" + octets + b"\x7e") == ([frame], {})


@pytest.mark.parametrize("mru", [100, 1500, 1501, 9000])
def test_the_longest_frame(mru: int) -> None:
    longest = max(mru, 1500)
    for information, arrives in ((bytes(longest), True), (b"\x7d" * longest, True),
                                 (bytes(longest + 1), False)):  # fmt: skip
        frame = ppp.ADDRESS_CONTROL + ppp.join(ppp.Protocol.IP, information)
        frames_found, counted = fed(on_the_line(frame, Framing().accm), Decoder(mru))
        assert (frames_found == [frame]) is arrives
        assert counted == ({} if arrives else {"too_long": 1})


def test_what_never_ends_is_counted_once_and_not_kept() -> None:
    decoder = Decoder()
    for _ in range(1000):
        assert decoder.feed(bytes(1000)) == []
        assert len(decoder._rest) <= 4012
    assert counters(decoder) == {"too_long": 1}
    assert decoder.feed(b"its end" + on_the_line(IP)) == [IP]
    assert counters(decoder) == {"too_long": 1}


def test_control_characters_that_something_on_the_way_put_in_are_thrown_away() -> None:
    frame = ppp.join(ppp.Protocol.IP, bytes(range(256)))
    accm = 0x000A0000
    rng = random.Random(1)
    disturbed = b"".join(
        bytes((octet,)) + rng.choice([b"", b"\x11", b"\x13", b"\x13\x11"])
        for octet in on_the_line(frame, accm)
    )
    assert fed(disturbed, Decoder(accm=accm)) == ([frame], {})
    assert fed(disturbed, Decoder())[0] == []


def test_control_characters_that_may_come_are_kept() -> None:
    frame = ppp.join(ppp.Protocol.IP, bytes(range(256)))
    assert fed(on_the_line(frame), Decoder(accm=0)) == ([frame], {})
    assert fed(on_the_line(frame), Decoder(accm=0x00000001)) == ([], {"bad_fcs": 1})
