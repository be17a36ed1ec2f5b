"""Whatever octets arrive, in whatever pieces, the frames found are those of the naive decoder."""

from collections import Counter

from hypothesis import example, given
from hypothesis import strategies as st

from router.wire.hdlc import Decoder, Encoder, Framing
from tests.lab.framing import LONGEST, cut, cuts, decoded, encoded

_frames = st.builds(encoded, st.binary(min_size=2, max_size=30), st.sampled_from([0, 0xFFFFFFFF]))
_odd = st.lists(st.sampled_from(b"\x7d\x7e\x5d\x5e\x11\x13a"), max_size=30).map(bytes)
_long = st.builds(
    lambda piece, times: piece * times,
    st.sampled_from([b"a", b"\x7d]", b"\x7d\x7d", b"\x7d"]),
    st.integers(LONGEST - 3, LONGEST + 3) | st.integers(2 * LONGEST - 3, 2 * LONGEST + 3),
)
_spoiled = st.builds(
    lambda octets, at, octet: octets[: at % len(octets)] + octet + octets[at % len(octets) + 1 :],
    _frames,
    st.integers(0),
    st.binary(max_size=2),
)
lines = st.lists(
    st.one_of(_frames, _odd, _spoiled, _long, st.binary(max_size=30), st.just(b"\x7e")), max_size=8
).map(b"\x7e".join)
accms = st.sampled_from([0, 0x000A0000, 0xFFFFFFFF])


@given(lines, cuts, accms)
@example(b"\x7d\x7d" * LONGEST + b"\x7d\x7e", [2 * LONGEST + 1], 0)
@example(b"\x7d" * (2 * LONGEST) + b"\x7e", [2 * LONGEST], 0)
def test_any_octets(line: bytes, lengths: list[int], accm: int) -> None:
    decoder = Decoder(accm=accm)
    found = []
    for piece in cut(line, lengths):
        found += decoder.feed(piece)
        assert len(decoder._rest) <= 2 * LONGEST
    frames, trouble = decoded(line, accm)
    assert found == frames
    assert trouble == Counter(
        bad_fcs=decoder.bad_fcs,
        aborted=decoder.aborted,
        too_long=decoder.too_long,
        runts=decoder.runts,
    )


@given(lines)
def test_what_is_found_can_be_sent_again(line: bytes) -> None:
    found = Decoder().feed(line + b"\x7e")
    framing = Framing(accm=0, compresses_address=True)
    again = [frame for frame in found if not frame.startswith(b"\xc0\x21")]
    assert Decoder().feed(Encoder(framing).encode(again)) == again
