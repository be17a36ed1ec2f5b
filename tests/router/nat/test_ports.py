"""Port pools: preservation, ranges, parity, quarantine, and what remains when all are gone."""

import random
from typing import Any

import pytest

from router.nat.ports import PortPool, PortRules
from router.wire.address import Endpoint

A, B = 0xC0A8010B, 0xC0A8010C
RULES = PortRules(range(1, 1024), range(1024, 65536), True, True, 120.0)


def pool(seed: int = 1, reserved: tuple[int, ...] = (), **changes: Any) -> PortPool:
    return PortPool(RULES._replace(**changes), reserved, random.Random(seed))


def test_a_free_port_is_preserved() -> None:
    ports = pool()
    assert [ports.allocate(Endpoint(A, port), 0) for port in (1, 1023, 1024, 65535)] == [
        1, 1023, 1024, 65535,
    ]  # fmt: skip


def test_preservation_off_draws_at_random() -> None:
    drawn = [pool(seed, preserve=False).allocate(Endpoint(A, 4000), 0) for seed in range(50)]
    assert len(set(drawn)) > 45


@pytest.mark.parametrize("port", [1, 2, 1022, 1023, 1024, 65535])
def test_another_port_is_of_the_same_range_and_parity(port: int) -> None:
    ports = pool()
    for host in range(200):
        got = ports.allocate(Endpoint(host, port), 0)
        assert got is not None
        assert got > 0
        assert (got < 1024) == (port < 1024)
        assert got % 2 == port % 2


def test_port_zero_counts_as_high() -> None:
    got = pool().allocate(Endpoint(A, 0), 0)
    assert got is not None
    assert got >= 1024


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("parity", [False, True])
def test_every_port_of_a_range_is_found_and_none_twice(size: int, parity: bool) -> None:
    high = range(5000, 5000 + size)
    ports = pool(high=high, parity=parity)
    got = [ports.allocate(Endpoint(A, 40001), 0) for _ in range(size)]
    assert sorted(port or 0 for port in got) == list(high)
    assert ports.allocate(Endpoint(A, 40001), 0) is None


def test_parity_is_kept_while_it_can_be() -> None:
    ports = pool(high=range(5000, 5010))
    got = [ports.allocate(Endpoint(A, 40001), 0) for _ in range(10)]
    assert all(port is not None and port % 2 == 1 for port in got[:5])
    assert all(port is not None and port % 2 == 0 for port in got[5:])


def test_reserved_ports_are_never_handed_out() -> None:
    ports = pool(high=range(5000, 5010), reserved=(5000, 5003, 5009))
    got = {ports.allocate(Endpoint(A, 5000 + n), 0) for n in range(7)}
    assert got == {5001, 5002, 5004, 5005, 5006, 5007, 5008}
    assert ports.allocate(Endpoint(A, 5000), 0) is None


def test_a_port_that_is_reserved_no_more_is_found() -> None:
    ports = pool(high=range(5000, 5002), reserved=(5001,))
    assert ports.allocate(Endpoint(A, 5000), 0) == 5000
    assert ports.allocate(Endpoint(B, 7000), 0) is None
    ports.reserve(())
    assert ports.allocate(Endpoint(B, 7000), 0) == 5001


def test_a_released_port_rests_except_for_its_owner() -> None:
    for owner, now, same in ((B, 119.9, False), (A, 1.0, True), (B, 120.0, True)):
        ports = pool()
        ports.allocate(Endpoint(A, 4000), 0)
        ports.release(4000, Endpoint(A, 4000), 0)
        assert (ports.allocate(Endpoint(owner, 4000), now) == 4000) == same


def test_the_owner_is_an_endpoint_not_a_host() -> None:
    ports = pool(high=range(4000, 4002))
    ports.allocate(Endpoint(A, 4000), 0)
    ports.release(4000, Endpoint(A, 4000), 0)
    assert ports.allocate(Endpoint(A, 4002), 1) == 4001


def test_without_quarantine_a_port_is_free_at_once() -> None:
    ports = pool(quarantine_s=0.0)
    ports.allocate(Endpoint(A, 4000), 0)
    ports.release(4000, Endpoint(A, 4000), 0)
    assert ports.allocate(Endpoint(B, 4000), 0) == 4000


def test_when_nothing_else_is_left_the_longest_rested_port_is_taken() -> None:
    ports = pool(high=range(5000, 5003))
    for n in range(3):
        ports.allocate(Endpoint(A, 5000 + n), 0)
    for now, port in ((1, 5001), (2, 5002), (3, 5000)):
        ports.release(port, Endpoint(A, port), now)
    assert [ports.allocate(Endpoint(B, 9001), 4) for _ in range(3)] == [5001, 5002, 5000]


@pytest.mark.parametrize("quarantine_s", [0.0, 120.0])
def test_a_full_range_stays_full_until_something_is_released(quarantine_s: float) -> None:
    ports = pool(high=range(5000, 5002), quarantine_s=quarantine_s)
    ports.allocate(Endpoint(A, 5000), 0)
    ports.allocate(Endpoint(A, 5001), 0)
    assert ports.allocate(Endpoint(B, 5000), 0) is None
    assert ports.allocate(Endpoint(B, 80), 0) == 80, "the low range is another"
    ports.release(5001, Endpoint(A, 5001), 0)
    assert ports.allocate(Endpoint(B, 5000), 1) == 5001


def test_a_claimed_port_is_free_when_the_last_claim_ends() -> None:
    ports = pool(quarantine_s=0.0)
    ports.claim(4000)
    ports.claim(4000)
    assert ports.allocate(Endpoint(A, 4000), 0) != 4000
    ports.release(4000, Endpoint(B, 25), 0)
    assert ports.allocate(Endpoint(A, 4000), 0) != 4000
    ports.release(4000, Endpoint(B, 25), 0)
    assert ports.allocate(Endpoint(A, 4000), 0) == 4000


def test_a_claim_ends_a_quarantine() -> None:
    ports = pool()
    ports.allocate(Endpoint(A, 4000), 0)
    ports.release(4000, Endpoint(A, 4000), 0)
    ports.claim(4000)
    assert ports.allocate(Endpoint(A, 4000), 1) != 4000


def test_without_ranges_every_port_is_one_of_them() -> None:
    """Query ids: no low range, no parity."""
    ports = pool(low=None, high=range(1, 65536), parity=False)
    got = {ports.allocate(Endpoint(host, 7), 0) for host in range(200)}
    assert 7 in got
    assert {port % 2 for port in got if port} == {0, 1}


def test_the_same_seed_draws_the_same_ports() -> None:
    def drawn(seed: int) -> list[int | None]:
        ports = pool(seed)
        return [ports.allocate(Endpoint(host, 4000), 0) for host in range(20)]

    assert drawn(3) == drawn(3) != drawn(4)
