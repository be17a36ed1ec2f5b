"""Any bytes are a `Malformed` or a view that lies inside them, as do its edits and fragments."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.wire.ipv4 import IPv4, fragment
from router.wire.malformed import Malformed
from tests.fuzz.inputs import CORPUS, anything
from tests.lab.packets import wrong_checksums
from tests.lab.views import parse, whole

numbers = st.integers(0, 0xFFFFFFFF)


def check(packet: bytes, one: int = 1, other: int = 2, mtu: int = 68) -> None:
    quote = parse(packet, quoted=True)
    view = parse(packet)
    if isinstance(view, Malformed):
        return
    assert isinstance(quote, IPv4)  # a quote may be less, never more
    check_edits(view, packet, one, other)
    if len(view.data) > 0:
        check_fragments(parse(packet), mtu)


def check_edits(view: IPv4, packet: bytes, one: int, other: int) -> None:
    before = bytes(view.buffer)
    view.set_addresses(one, other)
    view.set_ttl(one & 0xFF)
    view.set_identification(other & 0xFFFF)
    assert view.buffer[: view.start] == before[: view.start]
    assert view.buffer[view.payload :] == before[view.payload :]
    assert len(view.buffer) == len(before)
    again = whole(bytes(view.buffer[view.start : view.start + len(packet)]))
    assert (again.source, again.destination, again.ttl) == (one, other, one & 0xFF)
    assert again.identification == other & 0xFFFF


def check_fragments(view: IPv4 | Malformed, mtu: int) -> None:
    assert isinstance(view, IPv4)
    pieces = list(fragment(view, mtu))
    assert b"".join(whole(piece).data for piece in pieces) == view.data
    for piece in pieces:
        assert len(piece) <= mtu
        assert "ip" not in wrong_checksums(piece)
    assert whole(pieces[-1]).more_fragments is view.more_fragments


@pytest.mark.parametrize("name", CORPUS)
def test_corpus(name: str) -> None:
    check(CORPUS[name])


@given(anything, numbers, numbers, st.integers(68, 1500))
def test_anything(packet: bytes, one: int, other: int, mtu: int) -> None:
    check(packet, one, other, mtu)
