"""When Python may look for reference cycles, because nothing moves while it does.

A full collection visits every session: with 100,000 of them packets waited 200 ms, each time
the table had grown by a quarter. Sessions make no cycles that outlive them, so full collections
do not come by themselves here. What the control API leaves behind is found young or, now and
then, by `sweep_at_leisure`.
"""

import asyncio
import gc
from collections.abc import Awaitable, Callable

__all__ = ["collect_young_only", "sweep_at_leisure"]

YOUNG, MIDDLE = 700, 10  # objects made, young collections: Python's own values, 0.5 ms at most
NEVER = 1_000_000_000  # middle collections before a full one

SWEEP_INTERVAL_S = 600.0
SWEEP_SESSIONS = 2000  # up to so many a full collection takes less than 5 ms


def collect_young_only() -> None:
    """Collect once, spare what is there now for good, and do no full collections from here on."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, NEVER)


async def sweep_at_leisure(count_sessions: Callable[[], Awaitable[int]]) -> None:
    """Do a full collection every ten minutes if there are few sessions; never returns."""
    while True:
        await asyncio.sleep(SWEEP_INTERVAL_S)
        if await count_sessions() <= SWEEP_SESSIONS:
            gc.collect()
