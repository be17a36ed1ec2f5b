"""Which external address a host has, in all three ways of addressing."""

import pytest

from router.nat.addressing import (
    Addressing,
    MasqueradeAddressing,
    OneToOneAddressing,
    RoutedAddressing,
)
from router.nat.types import OneToOne
from router.wire.address import Network, parse_address

A, B, C = (parse_address(f"192.168.1.{n}") for n in (11, 12, 13))
LINE = parse_address("203.0.113.2")
BLOCK = Network.parse("203.0.113.8/31")
FIRST, SECOND = BLOCK.address, BLOCK.address + 1
REST_S = 120.0


def one_to_one(fixed: tuple[tuple[int, int], ...] = ()) -> OneToOneAddressing:
    return OneToOneAddressing(OneToOne((BLOCK,), fixed), REST_S)


# Masquerade


def test_masquerade_gives_everyone_the_lines_address() -> None:
    addressing = MasqueradeAddressing()
    assert addressing.acquire(A, 0) is None
    assert not addressing.owns(LINE)
    addressing.set_line_addresses([LINE])
    assert [addressing.acquire(host, 0) for host in (A, B)] == [LINE, LINE]
    assert addressing.owns(LINE)
    assert not addressing.owns(LINE + 1)
    assert addressing.host_of(LINE) is None
    assert not addressing.exclusive


def test_masquerade_without_a_line_owns_nothing() -> None:
    addressing = MasqueradeAddressing()
    addressing.set_line_addresses([LINE])
    addressing.release(A, 0)
    addressing.set_line_addresses([])
    assert not addressing.owns(LINE)


# Routed


def test_routed_addresses_stay_what_they_are() -> None:
    addressing = RoutedAddressing((Network.parse("198.18.5.0/24"), Network.parse("198.18.7.0/24")))
    host = parse_address("198.18.7.9")
    assert addressing.acquire(host, 0) == host
    assert addressing.host_of(host) == host
    addressing.set_line_addresses([LINE])
    addressing.release(host, 0)
    assert addressing.owns(host)
    assert not addressing.owns(LINE)
    assert addressing.host_of(LINE) is None
    assert addressing.exclusive


# One to one


def test_each_host_has_an_address_of_its_own() -> None:
    addressing = one_to_one()
    assert [addressing.acquire(host, 0) for host in (A, B, A)] == [FIRST, SECOND, FIRST]
    assert (addressing.host_of(FIRST), addressing.host_of(SECOND)) == (A, B)
    assert addressing.acquire(C, 0) is None
    assert addressing.exclusive


@pytest.mark.parametrize(("address", "owned"), [(FIRST, True), (SECOND, True), (LINE, False)])
def test_the_blocks_are_owned_whatever_the_line(address: int, owned: bool) -> None:
    addressing = one_to_one()
    for lines in ([], [LINE]):
        addressing.set_line_addresses(lines)
        assert addressing.owns(address) == owned


def test_a_free_address_has_no_host() -> None:
    assert one_to_one().host_of(FIRST) is None


def test_an_idle_hosts_address_rests_and_goes_to_another() -> None:
    addressing = one_to_one()
    addressing.acquire(A, 0)
    addressing.acquire(B, 0)
    addressing.release(A, 100)
    assert addressing.acquire(C, 100 + REST_S - 1) is None
    assert addressing.acquire(C, 100 + REST_S) == FIRST
    assert addressing.host_of(FIRST) == C
    assert addressing.acquire(A, 100 + REST_S) is None


def test_an_idle_host_keeps_its_address_while_nobody_needs_it() -> None:
    addressing = one_to_one()
    addressing.acquire(A, 0)
    addressing.release(A, 0)
    assert addressing.host_of(FIRST) == A
    assert addressing.acquire(B, 1000) == SECOND
    assert addressing.acquire(A, 100000) == FIRST


def test_a_host_that_is_back_keeps_its_address() -> None:
    addressing = one_to_one()
    addressing.acquire(A, 0)
    addressing.acquire(B, 0)
    addressing.release(A, 0)
    addressing.acquire(A, 60)
    assert addressing.acquire(C, 1000) is None


def test_a_host_is_idle_when_its_last_mapping_is_gone() -> None:
    addressing = one_to_one()
    for host in (A, A, B):
        addressing.acquire(host, 0)
    addressing.release(A, 0)
    assert addressing.acquire(C, 1000) is None
    addressing.release(A, 1000)
    assert addressing.acquire(C, 1000 + REST_S) == FIRST


def test_the_longest_idle_goes_first() -> None:
    addressing = one_to_one()
    for host in (A, B):
        addressing.acquire(host, 0)
    addressing.release(B, 1)
    addressing.release(A, 2)
    assert addressing.acquire(C, 1000) == SECOND


def test_fixed_addresses_are_bound_for_good() -> None:
    addressing = one_to_one(((A, SECOND),))
    assert addressing.host_of(SECOND) == A
    assert addressing.acquire(B, 0) == FIRST
    assert addressing.acquire(A, 0) == SECOND
    addressing.release(A, 0)
    assert addressing.acquire(C, 100000) is None
    assert addressing.host_of(SECOND) == A


@pytest.mark.parametrize("addressing", [MasqueradeAddressing(), RoutedAddressing(()), one_to_one()])
def test_all_three_answer_the_same_questions(addressing: Addressing) -> None:
    assert addressing.owns(A) is False
