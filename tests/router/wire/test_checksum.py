import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scapy.layers.inet import IP, in4_pseudoheader
from scapy.utils import checksum as judge

from router.wire import checksum as sums

# RFC 1071, section 3: the words 0001 f203 f4f5 f6f7 add up to ddf2 with end-around carry.
RFC_1071 = bytes.fromhex("0001f203f4f5f6f7")

# Data without its checksum field, and what belongs there.
KNOWN = [
    (RFC_1071, 0x220D),
    (RFC_1071[:-1], 0x2304),  # odd: the last byte is the high half of a word
    (b"\x01", 0xFEFF),
    (b"\x00\x01", 0xFFFE),
    (b"\xff\xff", 0x0000),  # the sum is minus zero, never plus zero
    (b"\xff\xff\xff\xff", 0x0000),
    (b"\xff\xfe\x00\x01", 0x0000),
    (b"\x80\x00\x80\x00", 0xFFFE),  # the carry comes back in at the end
    # RFC 1624, section 4: cd7a is the sum of all other words of that header.
    (struct.pack("!HH", 0xCD7A, 0x5555), 0xDD2F),
    (struct.pack("!HH", 0xCD7A, 0x3285), 0x0000),
]

words = st.integers(0, 0xFFFF)
datas = st.binary(min_size=1, max_size=80).filter(any)


@pytest.mark.parametrize(("data", "field"), KNOWN)
def test_known_sums(data: bytes, field: int) -> None:
    assert sums.checksum(data) == field
    assert judge(data) == field
    assert sums.verify(data + bytes(len(data) % 2) + field.to_bytes(2))
    assert not sums.verify(data + bytes(len(data) % 2) + (field ^ 0x0101).to_bytes(2))


def test_update_by_the_example_that_corrected_rfc_1141() -> None:
    # RFC 1624, section 4: the old equation gives ffff here, which verifies as a broken header.
    assert sums.update(0xDD2F, sums.delta(0x5555, 0x3285)) == 0x0000


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_kind_of_buffer_adds_up(kind: type) -> None:
    assert sums.checksum(kind(RFC_1071)) == 0x220D
    assert sums.verify(kind(RFC_1071 + b"\x22\x0d"))


def test_an_initial_sum_is_included() -> None:
    assert sums.checksum(RFC_1071[4:], sums.word_sum(RFC_1071[:4])) == 0x220D
    assert sums.checksum(b"\x00\x00", 0xFFFF) == 0x0000
    assert sums.verify(RFC_1071[4:], sums.word_sum(RFC_1071[:4]) + 0x220D)


@given(datas)
def test_scapy_computes_the_same_checksum(data: bytes) -> None:
    assert sums.checksum(data) == judge(data)


@given(datas, words)
def test_verify_holds_for_the_checksum_and_its_other_zero_only(data: bytes, field: int) -> None:
    even = data + bytes(len(data) % 2)
    right = judge(data)
    assert sums.verify(even + field.to_bytes(2)) is (field % 0xFFFF == right % 0xFFFF)


@st.composite
def edits(draw: st.DrawFn) -> tuple[bytes, bytes, int, int]:
    """Data before and after some words in it were replaced, and where those are."""
    before = draw(st.binary(min_size=2, max_size=40).filter(lambda data: len(data) % 2 == 0))
    at = draw(st.integers(0, len(before) // 2 - 1)) * 2
    new = draw(st.integers(1, min(3, (len(before) - at) // 2)))
    piece = draw(st.binary(min_size=2 * new, max_size=2 * new))
    return before, before[:at] + piece + before[at + len(piece) :], at, at + len(piece)


@given(edits())
@example((b"\x00\x01\xff\xff", b"\x00\x01\x00\x00", 2, 4))  # one zero for the other
@example((b"\x12\x34\x00\x00", b"\x12\x34\xff\xff", 2, 4))
@example((b"\x00\x01\xff\xfe", b"\x00\x01\xff\xfd", 2, 4))  # away from a checksum of 0000
@example((b"\x00\x01\xff\xfd", b"\x00\x01\xff\xfe", 2, 4))  # to a checksum of 0000
def test_an_update_is_the_full_sum_over_the_new_data(edit: tuple[bytes, bytes, int, int]) -> None:
    before, after, start, end = edit
    if not any(before) or not any(after):
        return  # no packet: the headers below are never all zero
    change = sums.delta(int.from_bytes(before[start:end]), int.from_bytes(after[start:end]))
    assert sums.update(judge(before), change) == judge(after)


@pytest.mark.parametrize("field", [0x0000, 0x0001, 0x1234, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF])
def test_no_change_leaves_every_field_as_it_is(field: int) -> None:
    assert sums.update(field, sums.delta(0x1234, 0x1234)) == field
    assert sums.update(field, sums.delta(0, 0xFFFF)) == field
    assert sums.update_partial(field, 0) == field


@given(words, words, words)
def test_an_update_is_undone_by_its_opposite(field: int, old: int, new: int) -> None:
    there = sums.update(field, sums.delta(old, new))
    assert sums.update(there, sums.delta(new, old)) % 0xFFFF == field % 0xFFFF


@given(
    st.integers(0, 0xFFFFFFFF),
    st.integers(0, 0xFFFFFFFF),
    st.sampled_from([6, 17]),
    st.integers(8, 65515),
    st.integers(0, 0xFFFFFFFF),
)
def test_the_pseudo_header(
    source: int, destination: int, protocol: int, length: int, new: int
) -> None:
    def full(one: int, other: int) -> int:
        addresses = IP(struct.pack("!BxH8xII", 0x45, 20 + length, one, other))
        return judge(in4_pseudoheader(protocol, addresses, length)) ^ 0xFFFF

    before = full(source, destination)
    assert sums.pseudo_header_sum(source, destination, protocol, length) == before % 0xFFFF
    change = sums.delta(source, new)
    assert sums.update_partial(before, change) == full(new, destination)
