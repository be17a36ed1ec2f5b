"""Packets that wait for the line: in what order, how many, for how long, and whose go first."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import pytest

from router.link.hold_queue import Held, HoldQueue
from router.link.rows import HeldRow
from router.link.types import HoldLimits
from tests.lab.packets import (
    VNET_LENGTH,
    describe,
    error,
    fragments,
    offloaded,
    ping,
    tcp,
    udp,
)

ALICE, BOB, CAROL = 0xC0A8010B, 0xC0A8010C, 0xC0A8010D
AGE_S = 60.0
_NUMBER_AT = VNET_LENGTH + 28  # behind IP and UDP headers

TO_WWW = "192.168.1.11:4000 > 198.51.100.10:80"
TO_DNS = "192.168.1.11:5000 > 198.51.100.53:53"


def made(packets: int = 100, size: int = 100_000) -> HoldQueue:
    return HoldQueue(HoldLimits(packets, size, AGE_S))


def numbered(number: int, size: int = 100) -> bytes:
    """A packet of so many bytes, virtio-net header not counted, that is like no other."""
    blank = _blank(size)
    return blank[:_NUMBER_AT] + number.to_bytes(4) + blank[_NUMBER_AT + 4 :]


@lru_cache
def _blank(size: int) -> bytes:
    return udp("192.168.1.11:6000 > 198.51.100.10:6000", bytes(size - 28), checksum=False)


def numbers(held: list[Held]) -> list[int]:
    return [int.from_bytes(one.frame[_NUMBER_AT : _NUMBER_AT + 4]) for one in held]


def filled(queue: HoldQueue, script: str) -> str:
    """Put one packet per letter, a host each; return whose were pushed out, in order."""
    gone = ""
    for number, letter in enumerate(script):
        gone += "".join(chr(one.host) for one in queue.put(numbered(number), ord(letter), number))
    return gone


def waiting(queue: HoldQueue) -> str:
    return "".join(chr(one.host) for one in queue.take_all())


# Order and age


def test_everything_is_taken_once_in_order_of_arrival() -> None:
    queue = made()
    frames = [tcp(f"{TO_WWW} S"), ping("192.168.1.12 > 198.51.100.10"), udp(TO_DNS, b"?")]
    for at, (frame, host) in enumerate(zip(frames, (ALICE, BOB, ALICE), strict=True)):
        assert queue.put(frame, host, at) == []
    assert len(queue) == 3
    assert queue.held_bytes == sum(len(frame) - VNET_LENGTH for frame in frames)
    assert queue.take_all() == [
        Held(frames[0], ALICE, 0, 0),
        Held(frames[1], BOB, 1, 0),
        Held(frames[2], ALICE, 2, 0),
    ]
    assert (len(queue), queue.held_bytes, queue.next_deadline(), queue.take_all()) == (
        0, 0, None, [],
    )  # fmt: skip


def test_after_it_was_emptied_the_queue_is_as_new() -> None:
    queue = made(packets=3)
    filled(queue, "aaab")
    queue.take_all()
    assert filled(queue, "bbba") == "b"


def test_what_has_waited_too_long_is_returned_once() -> None:
    queue = made()
    for number in range(4):
        queue.put(numbered(number), ALICE, 10.0 * number)
    assert queue.next_deadline() == AGE_S
    assert queue.expire(AGE_S - 0.1) == []
    assert numbers(queue.expire(AGE_S + 10)) == [0, 1]
    assert queue.expire(AGE_S + 10) == []
    assert (len(queue), queue.held_bytes, queue.next_deadline()) == (2, 200, AGE_S + 20)
    assert numbers(queue.expire(1000)) == [2, 3]
    assert (len(queue), queue.held_bytes, queue.next_deadline()) == (0, 0, None)


# Repetitions

_QUERY = b"\x12\x34\x01\x00\x00\x01 who is www.example.net"


@pytest.mark.parametrize(
    ("what", "first", "again"),
    [
        ("a SYN", tcp(f"{TO_WWW} S", seq=7), tcp(f"{TO_WWW} S", seq=7, id=2)),
        (
            "a SYN with fewer options",
            tcp(f"{TO_WWW} SEC", seq=7, tcp_options=[("MSS", 1460), ("WScale", 7)]),
            tcp(f"{TO_WWW} S", seq=7, tcp_options=[("MSS", 1460)]),
        ),
        (
            "a SYN whose checksum is left to the device",
            offloaded(tcp(f"{TO_WWW} S", seq=7, window=100)),
            offloaded(tcp(f"{TO_WWW} S", seq=7, window=200)),
        ),
        ("a question", udp(TO_DNS, _QUERY), udp(TO_DNS, _QUERY, id=2)),
        ("a question with another id", udp(TO_DNS, _QUERY), udp(TO_DNS, b"\0\1" + _QUERY[2:])),
        (
            "a question behind IP options",
            udp(TO_DNS, _QUERY, options=b"\x94\x04\x00\x00"),
            udp(TO_DNS, b"\0\1" + _QUERY[2:], options=b"\x94\x04\x00\x00"),
        ),
        ("a datagram", udp("1.2.3.4:5 > 5.6.7.8:9"), udp("1.2.3.4:5 > 5.6.7.8:9", id=9)),
        ("a ping", ping("1.2.3.4 > 5.6.7.8", seq=3), ping("1.2.3.4 > 5.6.7.8", seq=3, id=9)),
        ("data", tcp(f"{TO_WWW} PA", b"GET", seq=8), tcp(f"{TO_WWW} PA", b"GET", seq=8, id=9)),
    ],
)  # fmt: skip
def test_a_repetition_takes_the_place_of_what_it_repeats(
    what: str, first: bytes, again: bytes
) -> None:
    queue, other = made(), numbered(1)
    queue.put(first, ALICE, 0)
    queue.put(other, BOB, 1)
    assert queue.put(again, ALICE, 2) == [], what
    assert queue.held_bytes == len(again) + len(other) - 2 * VNET_LENGTH
    assert queue.next_deadline() == AGE_S
    queue.put(again, ALICE, 3)
    assert queue.take_all() == [Held(again, ALICE, 0, 2), Held(other, BOB, 1, 0)]


@pytest.mark.parametrize(
    ("what", "one", "other"),
    [
        ("another port", tcp(f"{TO_WWW} S"), tcp(f"{TO_WWW.replace('4000', '4001')} S")),
        ("another server", tcp(f"{TO_WWW} S"), tcp(f"{TO_WWW.replace('.10:', '.11:')} S")),
        ("another connection", tcp(f"{TO_WWW} S", seq=1), tcp(f"{TO_WWW} S", seq=2)),
        ("no first SYN", tcp(f"{TO_WWW} SA", seq=1), tcp(f"{TO_WWW} SA", seq=1, ack=2)),
        ("no SYN", tcp(f"{TO_WWW} A", seq=1), tcp(f"{TO_WWW} A", seq=1, window=1)),
        ("another question", udp(TO_DNS, _QUERY), udp(TO_DNS, _QUERY + b"!")),
        (
            "a question from another port",
            udp(TO_DNS, _QUERY),
            udp(TO_DNS.replace("5000", "5001"), _QUERY),
        ),
        (
            "what looks like a question",
            udp("1.2.3.4:53 > 5.6.7.8:9", _QUERY),
            udp("1.2.3.4:53 > 5.6.7.8:9", b"\0\1" + _QUERY[2:]),
        ),
        (
            "TCP to port 53",
            tcp(f"{TO_DNS} PA", b"\0\1same"),
            tcp(f"{TO_DNS} PA", b"\0\2same"),
        ),
        ("another hop", ping("1.2.3.4 > 5.6.7.8", ttl=1), ping("1.2.3.4 > 5.6.7.8", ttl=2)),
        ("another ping", ping("1.2.3.4 > 5.6.7.8", seq=1), ping("1.2.3.4 > 5.6.7.8", seq=2)),
    ],
)
def test_what_differs_in_anything_that_counts_is_kept(what: str, one: bytes, other: bytes) -> None:
    queue = made()
    queue.put(one, ALICE, 0)
    queue.put(other, ALICE, 0)
    assert [held.frame for held in queue.take_all()] == [one, other], what


def test_the_same_packet_of_another_host_is_another_packet() -> None:
    queue, same = made(), numbered(1)
    queue.put(same, ALICE, 0)
    queue.put(same, BOB, 0)
    assert [held.host for held in queue.take_all()] == [ALICE, BOB]


def test_fragments_of_a_datagram_sent_again_are_not_mixed_with_the_first_ones() -> None:
    def pieces(identification: int, data: bytes) -> list[bytes]:
        return fragments(udp(TO_DNS, data, flags="", id=identification), 48)

    queue = made()
    first, again = pieces(1, bytes(90)), pieces(2, bytes(90))
    for frame in (*first, *again, *again):
        queue.put(frame, ALICE, 0)
    held = queue.take_all()
    assert [one.frame for one in held] == [*first, *again]
    assert [one.copies for one in held] == [0] * len(first) + [1] * len(again)


@pytest.mark.parametrize("packet", [b"", b"\x45", bytes(20), b"\x60" + bytes(60)])
def test_what_is_no_packet_only_equals_itself(packet: bytes) -> None:
    queue, frame = made(), bytes(VNET_LENGTH) + packet
    for number in range(3):
        queue.put(frame, ALICE, number)
    queue.put(frame + b"\0", ALICE, 3)
    assert queue.take_all() == [Held(frame, ALICE, 0, 2), Held(frame + b"\0", ALICE, 3, 0)]


# Bounds and fairness


@pytest.mark.parametrize(
    ("script", "gone", "left"),
    [
        ("aaaa", "", "aaaa"),
        ("aaaaaa", "aa", "aaaa"),
        ("aaab", "", "aaab"),
        ("aaaab", "a", "aaab"),
        ("aaaabb", "aa", "aabb"),
        ("aaaabbb", "aab", "aabb"),
        ("aaaabbbc", "aaba", "abbc"),
        ("baaaaaaaa", "aaaaa", "baaa"),
        ("abcd", "", "abcd"),
        ("abcde", "a", "bcde"),
        ("abcdeb", "ab", "cdeb"),
        ("abcdee", "ae", "bcde"),
    ],
)
def test_a_full_queue_costs_whoever_holds_most_his_oldest(
    script: str, gone: str, left: str
) -> None:
    queue = made(packets=4)
    assert filled(queue, script) == gone
    assert waiting(queue) == left


def test_bytes_are_bounded_as_packets_are() -> None:
    queue = made(size=1000)
    for number in range(4):
        assert queue.put(numbered(number, 200), ALICE, number) == []
    assert queue.put(numbered(4, 100), BOB, 4) == []
    assert numbers(queue.put(numbered(5, 150), BOB, 5)) == [0]
    assert numbers(queue.put(numbered(6, 500), BOB, 6)) == [4, 5, 1]
    assert queue.held_bytes == 900
    assert numbers(queue.take_all()) == [2, 3, 6]


def test_few_large_packets_are_as_much_as_many_small_ones() -> None:
    queue = made(packets=10, size=1000)
    queue.put(numbered(0, 900), ALICE, 0)
    for number in range(1, 3):
        assert queue.put(numbered(number, 50), BOB, number) == []
    assert numbers(queue.put(numbered(3, 50), BOB, 3)) == [0], "nine tenths of the bytes"
    for number in range(4, 11):
        assert queue.put(numbered(number, 50), BOB, number) == []
    assert numbers(queue.put(numbered(11, 300), ALICE, 11)) == [1], "all packets, half the bytes"


@pytest.mark.parametrize("size", [1001, 60_000])
def test_a_packet_that_alone_is_too_large_costs_nobody_else_anything(size: int) -> None:
    queue = made(size=1000)
    queue.put(numbered(0, 900), ALICE, 0)
    large = numbered(1, size)
    assert queue.put(large, BOB, 5) == [Held(large, BOB, 5, 0)]
    assert numbers(queue.take_all()) == [0]


def test_a_super_packet_waits_whole() -> None:
    queue = made(size=70_000)
    whole = offloaded(tcp(f"{TO_WWW} PA", bytes(64_000)), gso_size=1448)
    assert queue.put(whole, ALICE, 0) == []
    assert [one.frame for one in queue.take_all()] == [whole]


def test_a_queue_for_nothing_holds_nothing() -> None:
    queue = made(packets=0)
    assert numbers(queue.put(numbered(1), ALICE, 0)) == [1]
    assert (len(queue), queue.next_deadline()) == (0, None)


def test_a_repetition_that_has_grown_makes_room_too() -> None:
    def syn(**fields: Any) -> bytes:
        return tcp(f"{TO_WWW} S", seq=7, **fields)

    queue = made(size=300)
    queue.put(syn(), ALICE, 0)
    queue.put(numbered(1, 130), BOB, 1)
    queue.put(numbered(2, 130), BOB, 2)
    assert numbers(queue.put(syn(tcp_options=[("MSS", 1460)]), ALICE, 3)) == [1]


def test_a_flood_costs_a_quiet_host_nothing() -> None:
    queue, quiet = made(packets=256, size=256 << 10), []
    for number in range(20_000):
        gone = queue.put(numbered(number), ALICE, number * 1e-5)
        if number % 1000 == 500:
            quiet.append(number)
            gone += queue.put(numbered(1_000_000 + number), BOB, number * 1e-5)
        assert all(one.host == ALICE for one in gone)
    held = queue.take_all()
    assert [one.host for one in held].count(BOB) == len(quiet)
    assert len(held) == 256


def test_two_floods_share_the_room() -> None:
    queue = made(packets=100)
    for number in range(5000):
        queue.put(numbered(number), ALICE, number)
        queue.put(numbered(number, 1000), BOB, number)
        queue.put(numbered(number), CAROL, number)
    hosts = [one.host for one in queue.take_all()]
    shares = [hosts.count(host) for host in (ALICE, BOB, CAROL)]
    assert max(shares) <= 34
    assert min(shares) >= 32


@pytest.mark.parametrize("host_of", [lambda _: 1, lambda number: number, lambda number: number % 9])
def test_a_flood_leaves_nothing_behind_but_what_waits(host_of: Callable[[int], int]) -> None:
    queue = made(packets=50)
    for number in range(10_000):
        queue.put(numbered(number), host_of(number), number)
    assert len(queue._ranks) <= 2 * 50 + 1024
    assert sum(len(share.numbers) for share in queue._shares.values()) == len(queue) == 50
    queue.expire(1e9)
    assert not queue._shares


def test_a_packet_costs_no_more_when_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    rank, steps = HoldQueue._rank, 0

    def counted(*arguments: Any) -> Any:
        nonlocal steps
        steps += 1
        return rank(*arguments)

    queue = made(packets=1000, size=1 << 30)
    for number in range(1000):
        queue.put(numbered(number), ALICE, number)
    monkeypatch.setattr(HoldQueue, "_rank", counted)
    for number in range(5000):
        queue.put(numbered(1000 + number), BOB if number % 2 else ALICE, number)
    assert steps <= 3 * 5000


# Views


def test_rows_tell_who_waits_with_what() -> None:
    queue = made()
    syn = tcp(f"{TO_WWW} S", seq=7)
    for at in (100.0, 101.0, 103.0):
        queue.put(syn, ALICE, at)
    blocked = error("192.168.1.12", udp("198.51.100.10:7 > 192.168.1.12:9"), "port-unreachable")
    queue.put(blocked, BOB, 104.0)
    names = {ALICE: "alice", BOB: "192.168.1.12"}
    rows = queue.rows(110.0, names.__getitem__, describe)
    assert rows == (
        HeldRow("alice", "tcp 192.168.1.11:4000 > 198.51.100.10:80 S", 10.0, 50.0, 2, 40),
        HeldRow("192.168.1.12", describe(blocked), 6.0, 54.0, 0, len(blocked) - VNET_LENGTH),
    )
    assert [row.expires_in_s for row in queue.rows(1000.0, str, describe)] == [0.0, 0.0]
