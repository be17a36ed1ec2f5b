"""Held SYNs: silent for their time, answered once, or forgotten."""

from router.nat.unsolicited import UnsolicitedSyns
from router.wire.address import Endpoint

N, W = Endpoint(0xCB007102, 80), Endpoint(0xC633640A, 5000)
OTHER = Endpoint(0xC633640A, 5001)


def test_a_syn_is_due_after_six_seconds_and_once() -> None:
    held = UnsolicitedSyns(6.0, 10)
    assert held.next_deadline() is None
    held.hold(N, W, b"syn", 100)
    assert held.next_deadline() == 106
    assert held.take_due(105.9) == []
    assert held.take_due(106) == [b"syn"]
    assert held.take_due(200) == []


def test_several_are_due_in_their_order() -> None:
    held = UnsolicitedSyns(6.0, 10)
    held.hold(N, W, b"first", 100)
    held.hold(N, OTHER, b"second", 101)
    assert held.take_due(106.5) == [b"first"]
    assert held.next_deadline() == 107


def test_a_retransmission_changes_nothing() -> None:
    held = UnsolicitedSyns(6.0, 10)
    held.hold(N, W, b"first", 100)
    held.hold(N, W, b"again", 103)
    assert held.take_due(106) == [b"first"]
    assert held.next_deadline() is None


def test_an_outbound_syn_of_the_same_connection_takes_it_away() -> None:
    held = UnsolicitedSyns(6.0, 10)
    held.hold(N, W, b"one", 100)
    held.hold(N, OTHER, b"two", 100)
    held.forget(N, W)
    held.forget(W, N)
    assert held.take_due(200) == [b"two"]


def test_no_more_are_held_than_the_limit() -> None:
    held = UnsolicitedSyns(6.0, 2)
    for port in range(5):
        held.hold(N, Endpoint(W.address, port), bytes([port]), 100)
    assert held.take_due(200) == [b"\0", b"\1"]


def test_all_are_forgotten_with_the_address() -> None:
    held = UnsolicitedSyns(6.0, 2)
    held.hold(N, W, b"one", 100)
    held.clear()
    assert (held.take_due(200), held.next_deadline()) == ([], None)
