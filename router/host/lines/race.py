"""Several things awaited, the first of which counts."""

import asyncio
from collections.abc import Coroutine
from typing import Any, NoReturn, TypeVar

__all__ = ["first_of", "for_ever"]

_T = TypeVar("_T")


async def first_of(*awaited: Coroutine[Any, Any, _T]) -> _T:
    """Return, or raise, what the first to end does; the others are broken off before that."""
    tasks = [asyncio.ensure_future(each) for each in awaited]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return next(task for task in tasks if task in done).result()


async def for_ever() -> NoReturn:
    """Wait for nothing, until broken off."""
    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")
