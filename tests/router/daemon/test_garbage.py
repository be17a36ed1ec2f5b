import asyncio
import gc
from collections.abc import Iterator

import pytest

from router.daemon import garbage
from router.daemon.garbage import SWEEP_SESSIONS, collect_young_only, sweep_at_leisure


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    threshold = gc.get_threshold()
    yield
    gc.set_threshold(*threshold)
    gc.unfreeze()


class Knot:
    """An object only a collection can free."""

    def __init__(self) -> None:
        self.self = self


def test_only_young_objects_are_looked_at() -> None:
    gc.set_threshold(700, 10, 10)
    collect_young_only()
    full_before = gc.get_stats()[2]["collections"]
    kept = [[number] for number in range(200_000)]
    assert gc.get_stats()[2]["collections"] == full_before
    assert gc.get_stats()[0]["collections"] > 0
    assert len(kept) == 200_000


@pytest.mark.parametrize(
    ("sessions", "swept"), [(SWEEP_SESSIONS, True), (SWEEP_SESSIONS + 1, False)]
)
def test_a_sweep_waits_for_leisure(
    sessions: int, swept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(garbage, "SWEEP_INTERVAL_S", 0)
    asked = 0

    async def count() -> int:
        nonlocal asked
        asked += 1
        return sessions

    async def two_rounds() -> None:
        sweep = asyncio.create_task(sweep_at_leisure(count))
        while asked < 2:
            await asyncio.sleep(0)
        sweep.cancel()

    gc.collect()
    gc.disable()
    try:
        Knot()
        asyncio.run(two_rounds())
        left = any(isinstance(thing, Knot) for thing in gc.get_objects())
    finally:
        gc.enable()
    assert left is not swept
