"""The wire, in a time that is moved by hand."""

from math import inf
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.lab.trunk import LEAST_BACKLOG, Wire


def a_wire(rate: float = 8000.0, **options: float) -> Wire:
    """A wire of 1000 octets a second, unless something else is asked for."""
    return Wire(rate, rng=Random(1), **options)


def test_octets_arrive_one_after_the_other() -> None:
    wire = a_wire()
    wire.send(b"abcd", 10.0)
    looks = (10.0, 10.0009, 10.0011, 10.0031, 10.0041, 11.0)
    assert [wire.receive(now) for now in looks] == [b"", b"", b"a", b"bc", b"d", b""]


def test_latency_delays_and_slows_nothing() -> None:
    wire = a_wire(latency_s=0.5)
    wire.send(b"ab", 10.0)
    wire.send(b"c", 10.3)
    looks = (10.5, 10.5011, 10.5021, 10.79, 10.8011)
    assert [wire.receive(now) for now in looks] == [b"", b"a", b"b", b"", b"c"]


def test_what_is_sent_meanwhile_waits_its_turn() -> None:
    wire = a_wire()
    wire.send(b"x" * 100, 10.0)
    wire.send(b"y", 10.02)
    assert wire.receive(10.1005) == b"x" * 100
    assert wire.receive(10.1011) == b"y"


def test_it_is_looked_at_once_a_tick_and_at_the_end() -> None:
    wire = a_wire()
    assert wire.next_deadline() == inf
    wire.send(b"x" * 12, 10.0)
    looks, now = [], 10.0
    while wire.next_deadline() < inf:
        now = wire.next_deadline()
        looks.append((round(now - 10.0, 6), len(wire.receive(now))))
    assert looks == [(0.006, 6), (0.012, 6)]


@pytest.mark.parametrize("rate", [300.0, 33600.0, 128e3, 10e6])
def test_a_sender_that_heeds_the_backlog_gets_the_rate(rate: float) -> None:
    """An hour of looking late, at random times, and sending what there is room for."""
    wire, rng, now, arrived = a_wire(rate, latency_s=0.05), Random(2), 0.0, 0
    until = 3600.0 if rate < 1e6 else 60.0
    while now < until:
        wire.send(bytes(wire.room(now)), now)
        now += rng.uniform(0.001, 0.045)
        arrived += len(wire.receive(now))
    assert arrived * 8 == pytest.approx(rate * (now - 0.05), rel=1e-3)


def test_many_short_sends_last_as_long_as_one() -> None:
    whole, pieces = a_wire(33600.0), a_wire(33600.0)
    whole.send(bytes(200_000), 1e6)
    for _ in range(200_000):
        pieces.send(b"\0", 1e6)
    end = 1e6 + 1.6e6 / 33600
    assert len(whole.receive(end - 1.0)) == pytest.approx(2e5 - 4200, abs=1)
    assert len(pieces.receive(end - 1.0)) == pytest.approx(2e5 - 4200, abs=2)


def test_the_backlog_is_bounded_and_runs_down() -> None:
    wire = a_wire()
    assert wire.room(0.0) == wire.backlog == LEAST_BACKLOG
    wire.send(bytes(LEAST_BACKLOG), 0.0)
    assert wire.room(0.0) == 0
    assert wire.ready_at() == pytest.approx(0.512)
    assert wire.room(wire.ready_at()) == pytest.approx(512, abs=1)
    assert wire.room(2.0) == LEAST_BACKLOG


def test_what_is_under_way_leaves_room() -> None:
    wire = a_wire(latency_s=5.0)
    wire.send(bytes(LEAST_BACKLOG), 0.0)
    assert wire.receive(2.0) == b""
    assert wire.room(2.0) == LEAST_BACKLOG


def test_a_frame_too_long_for_the_backlog_goes_and_leaves_no_room() -> None:
    wire = a_wire()
    wire.send(bytes(5000), 0.0)
    assert wire.room(0.0) == wire.room(3.0) == 0
    assert len(wire.receive(5.001)) == 5000


def test_a_fast_wire_has_a_backlog_for_a_while() -> None:
    assert a_wire(10e6).backlog == 62500


def test_without_errors_every_octet_is_as_sent() -> None:
    wire, data = a_wire(1e9), Random(3).randbytes(100_000)
    wire.send(data, 0.0)
    assert wire.receive(1.0) == data


@pytest.mark.parametrize("rate", [1e-4, 1e-2, 0.1])
def test_bits_are_turned_over_as_often_as_they_should(rate: float) -> None:
    wire = a_wire(1e9, bit_error_rate=rate)
    turned = 0
    for number in range(200):
        wire.send(bytes(5000), float(number))
        turned += sum(octet.bit_count() for octet in wire.receive(number + 0.5))
    assert turned == pytest.approx(8e6 * rate, rel=0.1)


def test_the_same_seed_spoils_the_same_bits() -> None:
    one, other = (Wire(1e9, rng=Random(5), bit_error_rate=0.01) for _ in range(2))
    one.send(bytes(1000), 0.0)
    for _ in range(100):
        other.send(bytes(10), 0.0)
    spoiled = one.receive(1.0)
    assert spoiled == other.receive(1.0)
    assert spoiled != bytes(1000)


@given(st.lists(st.tuples(st.floats(0.0, 0.1), st.integers(0, 300)), max_size=60))
def test_everything_arrives_in_order_and_when_the_deadlines_say(
    sends: list[tuple[float, int]],
) -> None:
    wire, now, sent, got = a_wire(33600.0, latency_s=0.02), 0.0, bytearray(), bytearray()
    number = 0

    def look_until(instant: float) -> None:
        nonlocal got
        while (due := wire.next_deadline()) <= instant:
            arrived = wire.receive(due)
            assert arrived, "a look for nothing"
            got += arrived

    for pause, length in sends:
        look_until(now + pause)
        now += pause
        data = bytes((number + each) % 251 for each in range(length))
        number += length
        wire.send(data, now)
        sent += data
    look_until(now + 3600.0)
    assert wire.next_deadline() == inf
    assert got == sent
