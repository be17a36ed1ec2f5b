"""Sessions and mappings out of the data plane, a few at a time.

The first message fetches references to all of them, which takes milliseconds even for 100,000;
each further one turns a chunk into rows that may leave the thread. Packets pass in between.
"""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

from router.host.dataplane import DataPlane
from router.host.forwarding import Forwarder, Record

__all__ = ["CHUNK_ROWS", "Select", "select_mappings", "select_sessions", "snapshot"]

CHUNK_ROWS = 200  # rows made per message: about a millisecond

Row = dict[str, Any]
Select = Callable[[Forwarder], Iterable[Record]]


def select_sessions(forwarder: Forwarder) -> Iterable[Record]:
    """Select the sessions for `snapshot`."""
    return forwarder.sessions()


def select_mappings(forwarder: Forwarder) -> Iterable[Record]:
    """Select the mappings for `snapshot`."""
    return forwarder.mappings()


async def snapshot(dataplane: DataPlane, select: Select) -> AsyncIterator[list[Row]]:
    """Yield all selected rows in lists of at most `CHUNK_ROWS`; raises ControlError."""
    records = await asyncio.wrap_future(
        dataplane.submit(lambda forwarder, _: list(select(forwarder)))
    )
    for at in range(0, len(records), CHUNK_ROWS):
        yield await _chunk(dataplane, records[at : at + CHUNK_ROWS])


async def _chunk(dataplane: DataPlane, records: list[Record]) -> list[Row]:
    made = await asyncio.wrap_future(
        dataplane.submit(lambda _, now: [record.row(now) for record in records])
    )
    return [_as_dict(row) for row in made]


def _as_dict(row: Any) -> Row:
    return {field.name: getattr(row, field.name) for field in dataclasses.fields(row)}
