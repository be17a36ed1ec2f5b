import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from router.host.dataplane import DataPlane
from router.host.rows import CHUNK_ROWS, session_rows, snapshot
from tests.lab.scripted import FrameSocket, ManualClock, ScriptedForwarder


@pytest.fixture
def plane() -> Iterator[DataPlane]:
    lan, wan = FrameSocket("lan0"), FrameSocket("wan0")
    forwarder = ScriptedForwarder()
    forwarder.names = [f"192.168.1.10:{port}" for port in range(2 * CHUNK_ROWS + 1)]
    plane = DataPlane(forwarder, lan, wan, clock=ManualClock())
    plane.start()
    yield plane
    plane.stop()
    lan.close()
    wan.close()


def test_rows_come_in_chunks_and_all_of_them(plane: DataPlane) -> None:
    async def fetch() -> list[list[dict[str, Any]]]:
        return [rows async for rows in snapshot(plane, session_rows)]

    chunks = asyncio.run(fetch())
    assert [len(rows) for rows in chunks] == [CHUNK_ROWS, CHUNK_ROWS, 1]
    assert [row["internal"] for rows in chunks for row in rows] == [
        f"192.168.1.10:{port}" for port in range(2 * CHUNK_ROWS + 1)
    ]
