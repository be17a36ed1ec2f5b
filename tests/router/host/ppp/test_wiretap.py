"""Who is shown which frames of a PPP line, and what never is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.host.ppp.wiretap import Watcher, Wiretaps, shown

PASSWORD = b"open sesame"
REQUEST = bytes.fromhex("01 07 0016") + b"\x05alice\x0b" + PASSWORD
BLANKED = bytes.fromhex("01 07 0016") + b"\x05alice\x0b***********"
PAP, FULL_PAP = b"\xc0\x23", b"\xff\x03\xc0\x23"


def lcp(code: int, data: bytes) -> bytes:
    return bytes((code, 1)) + (len(data) + 4).to_bytes(2, "big") + data


def rejected(packet: bytes) -> bytes:
    """What an end that does not know PAP answers to a packet of it."""
    return lcp(8, PAP + packet)


# Who is shown them


Seen = list[tuple[bytes, bool]]


def looking(seen: Seen) -> Watcher:
    return lambda frame, inbound: seen.append((frame, inbound))


def test_whoever_watches_a_link_sees_its_frames_both_ways() -> None:
    taps = Wiretaps()
    seen: Seen = []
    other: Seen = []
    isp, modem = taps.on("isp"), taps.on("modem")
    taps.watch("isp", looking(seen))
    taps.watch("modem", looking(other))
    isp(b"\xc0\x21one", True)
    modem(b"\xc0\x21two", False)
    isp(b"\xc0\x21six", False)
    assert seen == [(b"\xff\x03\xc0\x21one", True), (b"\xff\x03\xc0\x21six", False)]
    assert other == [(b"\xff\x03\xc0\x21two", False)]


def test_several_may_watch_and_each_goes_by_itself() -> None:
    taps = Wiretaps()
    first: Seen = []
    second: Seen = []
    isp, watchers = taps.on("isp"), (looking(first), looking(second))
    for watcher in watchers:
        taps.watch("isp", watcher)
    isp(b"\xc0\x21one", True)
    taps.unwatch("isp", watchers[0])
    taps.unwatch("isp", watchers[0])
    isp(b"\xc0\x21two", True)
    assert (len(first), len(second)) == (1, 2)


def test_a_link_is_offered_once_however_often_its_line_is_made() -> None:
    taps = Wiretaps()
    seen: Seen = []
    assert not taps.links
    taps.on("isp")
    taps.watch("isp", looking(seen))
    again = taps.on("isp")
    taps.on("modem")
    again(b"\xc0\x21one", True)
    assert (taps.links, len(seen)) == (("isp", "modem"), 1)


def test_a_link_without_ppp_cannot_be_watched() -> None:
    with pytest.raises(KeyError):
        Wiretaps().watch("lte", looking([]))


# What is shown of them


@pytest.mark.parametrize(
    ("frame", "seen"),
    [
        ("c021 01 01 0004", "ff03 c021 01 01 0004"),
        ("ff03 c021 01 01 0004", "ff03 c021 01 01 0004"),
        ("21 4500", "ff03 0021 4500"),
        ("0021 4500", "ff03 0021 4500"),
        ("ff03 21 4500", "ff03 0021 4500"),
        ("", ""),
        ("c0", "c0"),
        ("ff03", "ff03"),
        ("ff03 c0", "ff03 c0"),
    ],
)
def test_frames_are_shown_in_full(frame: str, seen: str) -> None:
    assert shown(bytes.fromhex(frame)) == bytes.fromhex(seen)


AS_THEY_ARE = {
    "an acknowledgement": b"\x02\x07\x00\x0c\x07welcome",
    "a refusal": b"\x03\x07\x00\x0f\x0awrong name",
    "an empty password": b"\x01\x07\x00\x0b\x05alice\x00",
}


@pytest.mark.parametrize("packet", AS_THEY_ARE.values(), ids=AS_THEY_ARE.keys())
def test_what_has_no_password_is_shown_as_it_is(packet: bytes) -> None:
    assert shown(PAP + packet) == FULL_PAP + packet
    assert shown(b"\xc0\x21" + rejected(packet)) == b"\xff\x03\xc0\x21" + rejected(packet)


def test_other_protocols_are_none_of_its_business() -> None:
    for protocol in (b"\x00\x21", b"\x80\x21", b"\xc0\x21", b"\xc2\x23"):
        assert shown(protocol + REQUEST) == b"\xff\x03" + protocol + REQUEST


BLANKS = {
    "a request": (REQUEST, BLANKED),
    "padding": (REQUEST + PASSWORD, BLANKED + b"*" * 11),
    "a wrong length": (b"\x01\x07\x00\x20" + REQUEST[4:], b"\x01\x07\x00\x20" + b"*" * 18),
    "a name that is too long": (
        REQUEST[:4] + b"\xff" + REQUEST[5:],
        REQUEST[:4] + b"*" * 18,
    ),
    "a name that takes in a part of it": (
        REQUEST[:4] + b"\x08" + REQUEST[5:],
        REQUEST[:4] + b"*" * 18,
    ),
    "a password that is cut off": (REQUEST[:-4], BLANKED[:-4]),
    "a request cut off at its name": (REQUEST[:8], REQUEST[:4] + b"****"),
    "a request cut off at its header": (REQUEST[:3], REQUEST[:3]),
    "another code": (b"\x00" + REQUEST[1:], b"\x00" + REQUEST[1:4] + b"*" * 18),
    "nothing": (b"", b""),
}


@pytest.mark.parametrize(("packet", "seen"), BLANKS.values(), ids=BLANKS.keys())
def test_a_password_is_blanked(packet: bytes, seen: bytes) -> None:
    assert len(seen) == len(packet)
    for before in (PAP, FULL_PAP):
        assert shown(before + packet) == FULL_PAP + seen


@pytest.mark.parametrize(("packet", "seen"), BLANKS.values(), ids=BLANKS.keys())
def test_so_it_is_where_it_is_sent_back(packet: bytes, seen: bytes) -> None:
    head = b"\xff\x03\xc0\x21"
    assert shown(b"\xc0\x21" + rejected(packet)) == head + rejected(seen)
    twice, twice_seen = lcp(7, rejected(packet)), lcp(7, rejected(seen))
    assert shown(b"\xc0\x21" + twice) == head + twice_seen
    thrice, thrice_seen = lcp(8, b"\xc0\x21" + twice), lcp(8, b"\xc0\x21" + twice_seen)
    assert shown(b"\xc0\x21" + thrice) == head + thrice_seen


def test_rejections_of_rejections_without_end_are_a_frame_like_others() -> None:
    endless = b"\xc0\x21" + lcp(7, b"") * 15_000
    assert shown(endless) == b"\xff\x03" + endless


@given(st.binary(max_size=40), st.booleans())
def test_nothing_is_too_odd_to_be_shown(frame: bytes, is_pap: bool) -> None:
    frame = PAP + frame if is_pap else frame
    seen = shown(frame)
    assert shown(seen) == seen
    assert len(seen) - len(frame) in (0, 1, 2, 3)
