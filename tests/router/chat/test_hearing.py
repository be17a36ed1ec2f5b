"""Strings, lines and reports in a stream that is cut up in any way."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from router.chat.hearing import Discretion, Lines, Reports, Search, audible, span_of

few = st.sampled_from(b"ab\r").map(lambda octet: bytes((octet,)))
streams = st.lists(few, max_size=30).map(b"".join)
strings = st.lists(st.lists(few, min_size=1, max_size=4).map(b"".join), max_size=4)
cuts = st.lists(st.integers(0, 30), max_size=6).map(sorted)


def chunks(stream: bytes, at: list[int]) -> list[bytes]:
    return [stream[start:end] for start, end in pairwise([0, *at, max(30, len(stream))])]


def naive(stream: bytes, wanted: list[bytes]) -> tuple[int, int] | None:
    """Which string ends first, and where; the one named first of those."""
    for end in range(1, len(stream) + 1):
        for which, string in enumerate(wanted):
            if stream[:end].endswith(string):
                return which, end
    return None


@given(streams, strings, cuts)
@example(b"aab", [b"ab", b"aab"], [1, 2])
def test_a_search_finds_what_ends_first(stream: bytes, wanted: list[bytes], at: list[int]) -> None:
    search, before, found = Search(wanted), 0, None
    for chunk in chunks(stream, at):
        hit = search.feed(chunk)
        if hit is not None:
            found = (hit[0], before + hit[1])
            break
        before += len(chunk)
    assert found == naive(stream, wanted)


@given(st.binary(max_size=20), st.integers(1, 20))
def test_a_span_ends_with_the_octet_that_was_heard(octets: bytes, count: int) -> None:
    heard = audible(octets)
    span = span_of(octets, count)
    assert audible(octets[:span]) == heard[:count]
    assert count > len(heard) or audible(octets[: span - 1]) == heard[: count - 1]


@given(streams, cuts)
def test_lines(stream: bytes, at: list[int]) -> None:
    lines = Lines()
    whole = [line for line in stream.split(b"\r")[:-1] if line]
    assert [line for chunk in chunks(stream, at) for line in lines.feed(chunk)] == whole


@given(streams, strings, cuts)
def test_reports_are_the_same_in_any_chunks(
    stream: bytes, wanted: list[bytes], at: list[int]
) -> None:
    at_once, in_parts = Reports(Discretion()), Reports(Discretion())
    for reports, parts in ((at_once, [stream]), (in_parts, chunks(stream, at))):
        for string in wanted:
            reports.watch(string, wanted=True)
        for part in parts:
            reports.feed(part)
        reports.finish(b"a")
    assert in_parts.texts == at_once.texts


@pytest.mark.parametrize(
    ("sent", "said", "told"),
    [
        ([], b"CONNECT 33600", "CONNECT 33600"),
        ([b"\r"], b"CONNECT 33600", "CONNECT 33600"),
        ([b"pin\r"], b"your pin is pin", "your ... is ..."),
        ([b"pin", b"pinpin"], b"pinpin pin", "... ..."),
        ([b"a.b"], b"axb a.b", "axb ..."),
        ([b".", b"x."], b"x. .", "... ..."),
        ([b"one\rtwo"], b"two one", "... ..."),
        ([b" p\xc3\xbc "], b"pC<", "..."),
        ([b"\xf0\xe9\xee"], b"\xf0in!", "...!"),
        ([], b"\x1b[1mbold\x7f", "[1mbold"),
        ([], b"\x00\x80", ""),
    ],
)
def test_discretion(sent: list[bytes], said: bytes, told: str) -> None:
    discretion = Discretion()
    for octets in sent:
        discretion.note(octets)
    assert discretion.tell(said) == told
