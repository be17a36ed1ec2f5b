"""Rests between attempts: growing, capped, never quite the same."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.link.redial import Redial
from router.link.types import RedialConfig

CONFIG = RedialConfig(first_s=30, factor=2, max_s=600, jitter=0.2, after_loss_s=3)


class Least:
    """Draws the least number there is."""

    def randrange(self, start: int, stop: int) -> int:
        assert start < stop
        return start


class Most:
    """Draws the greatest number there is."""

    def randrange(self, start: int, stop: int) -> int:
        assert start < stop
        return stop - 1


@pytest.mark.parametrize(
    ("failures", "least_s", "most_s"),
    [
        (1, 30, 36),
        (2, 60, 72),
        (3, 120, 144),
        (5, 480, 576),
        (6, 600, 720),  # the cap, and jitter on top
        (1000, 600, 720),
        (100_000, 600, 720),
    ],
)
def test_rests_after_failures(failures: int, least_s: float, most_s: float) -> None:
    assert Redial(CONFIG, Least()).after_failure(failures) == pytest.approx(least_s)
    assert Redial(CONFIG, Most()).after_failure(failures) == pytest.approx(most_s)


@pytest.mark.parametrize(
    ("factor", "failures", "rest_s"),
    [(1, 100_000, 30), (1.5, 3, 67.5), (1.001, 100_000, 600), (1000, 2, 600), (1e308, 3, 600)],
)
def test_other_factors(factor: float, failures: int, rest_s: float) -> None:
    redial = Redial(replace(CONFIG, factor=factor), Least())
    assert redial.after_failure(failures) == pytest.approx(rest_s)


def test_a_first_rest_beyond_the_cap_is_the_cap() -> None:
    assert Redial(replace(CONFIG, max_s=10), Least()).after_failure(1) == 10


def test_the_rest_after_a_lost_carrier_does_not_grow() -> None:
    assert Redial(CONFIG, Least()).after_loss() == pytest.approx(3)
    assert Redial(CONFIG, Most()).after_loss() == pytest.approx(3.6)


def test_without_jitter_rests_are_exact() -> None:
    redial = Redial(replace(CONFIG, jitter=0), random.Random(1))
    assert [redial.after_failure(1), redial.after_failure(2), redial.after_loss()] == [30, 60, 3]


def test_two_ends_do_not_rest_in_step() -> None:
    one, other = (Redial(CONFIG, random.Random(seed)) for seed in (1, 2))
    assert {one.after_failure(1) for _ in range(20)}.isdisjoint(
        other.after_failure(1) for _ in range(3)
    )


@given(st.integers(1, 10**6), st.floats(1, 1e6), st.integers())
def test_a_rest_is_never_out_of_bounds(failures: int, factor: float, seed: int) -> None:
    redial = Redial(replace(CONFIG, factor=factor), random.Random(seed))
    assert 30 <= redial.after_failure(failures) <= 720.0001
