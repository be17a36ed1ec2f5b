"""Fragments of datagrams: what is remembered, what waits, and what a flood may push out."""

from typing import Any

from router.nat.fragments import DatagramKey, Fragments
from router.wire.ipv4 import IPv4
from tests.lab.packets import VNET_LENGTH, fragments, udp

TIMEOUT_S, DATAGRAMS, BYTES = 30.0, 4, 1000
OVERHEAD = 128  # what a held frame takes beside its bytes


def made() -> Fragments[str]:
    return Fragments(TIMEOUT_S, DATAGRAMS, BYTES)


def key(identification: int) -> DatagramKey:
    return DatagramKey(1, 2, 17, identification)


def test_a_key_is_the_same_for_all_pieces_and_no_other_datagram() -> None:
    def keys(text: str, **fields: Any) -> set[DatagramKey]:
        found = set()
        for piece in fragments(udp(text, bytes(100), flags="", **fields), 40):
            packet = IPv4.parse(bytearray(piece), VNET_LENGTH, len(piece))
            assert isinstance(packet, IPv4)
            found.add(DatagramKey.of(packet))
        return found

    one = keys("192.0.2.1:1 > 192.0.2.2:2", id=5)
    assert len(one) == 1
    assert one == keys("192.0.2.1:3 > 192.0.2.2:4", id=5), "ports are in one piece only"
    assert one != keys("192.0.2.1:1 > 192.0.2.2:2", id=6)
    assert one != keys("192.0.2.3:1 > 192.0.2.2:2", id=5)
    assert one != keys("192.0.2.1:1 > 192.0.2.4:2", id=5)


def test_a_decided_way_is_remembered() -> None:
    known = made()
    assert known.way(key(1)) is None
    assert list(known.decide(key(1), "a", 0)) == []
    assert (known.way(key(1)), known.way(key(2))) == ("a", None)


def test_what_came_early_is_released_once_and_in_order() -> None:
    known = made()
    for frame in (b"third", b"second", b"fourth"):
        known.hold(key(1), frame, 0)
    known.hold(key(2), b"another", 0)
    assert known.held_bytes == 24 + 4 * OVERHEAD
    assert list(known.decide(key(1), "a", 1)) == [b"third", b"second", b"fourth"]
    assert list(known.decide(key(1), "a", 1)) == []
    assert known.held_bytes == 7 + OVERHEAD


def test_an_identification_used_again_starts_anew() -> None:
    known = made()
    known.decide(key(1), "a", 0)
    known.decide(key(1), "b", 20)
    assert known.way(key(1)) == "b"
    known.expire(TIMEOUT_S)
    assert known.way(key(1)) == "b"


def test_a_datagram_decided_anew_is_the_youngest() -> None:
    known = made()
    known.decide(key(1), "a", 0)
    known.decide(key(2), "b", 10)
    known.decide(key(1), "c", 20)
    assert known.next_deadline() == 10 + TIMEOUT_S
    known.expire(10 + TIMEOUT_S)
    assert (known.way(key(1)), known.way(key(2))) == ("c", None)


def test_everything_is_forgotten_in_time() -> None:
    known = made()
    known.decide(key(1), "a", 0)
    known.hold(key(2), b"x", 5)
    assert known.next_deadline() == TIMEOUT_S
    known.expire(TIMEOUT_S - 0.1)
    assert len(known) == 2
    known.expire(TIMEOUT_S)
    assert (len(known), known.next_deadline()) == (1, TIMEOUT_S + 5)
    known.expire(TIMEOUT_S + 5)
    assert (len(known), known.held_bytes, known.next_deadline()) == (0, 0, None)


def test_a_further_piece_does_not_prolong_the_wait() -> None:
    known = made()
    known.hold(key(1), b"x", 0)
    known.hold(key(1), b"y", 29)
    known.expire(TIMEOUT_S)
    assert list(known.decide(key(1), "a", 31)) == []


def test_datagrams_are_bounded_and_the_oldest_goes() -> None:
    known = made()
    for number in range(DATAGRAMS + 2):
        known.decide(key(number), "a", number)
    assert [known.way(key(number)) for number in range(DATAGRAMS + 2)] == [None] * 2 + ["a"] * 4


def test_waiting_datagrams_are_bounded_and_the_oldest_goes() -> None:
    known = made()
    for number in range(DATAGRAMS + 1):
        known.hold(key(number), b"x", 0)
    assert [len(known.decide(key(number), "a", 0)) for number in range(DATAGRAMS + 1)] == [
        0, 1, 1, 1, 1,
    ]  # fmt: skip


def test_waiting_bytes_are_bounded_and_the_oldest_go() -> None:
    known = made()
    for number in range(4):
        known.hold(key(number), bytes(300 - OVERHEAD), 0)
    assert known.held_bytes == 900
    assert [len(known.decide(key(number), "a", 0)) for number in range(4)] == [0, 1, 1, 1]


def test_a_piece_beyond_all_bounds_is_not_kept() -> None:
    known = made()
    known.hold(key(1), bytes(BYTES + 1), 0)
    assert (len(known), known.held_bytes) == (0, 0)


def test_what_waits_never_pushes_out_what_is_decided() -> None:
    known = made()
    known.decide(key(0), "a", 0)
    for number in range(1, 50):
        known.hold(key(number), bytes(400), 0)
    assert known.way(key(0)) == "a"
