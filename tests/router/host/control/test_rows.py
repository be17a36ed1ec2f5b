import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from router.host.control.rows import CHUNK_ROWS, Select, mapping_rows, session_rows, snapshot
from router.host.dataplane.loop import DataPlane
from tests.lab.scripted import FrameSocket, ManualClock, ScriptedForwarder


@pytest.fixture
def forwarder() -> ScriptedForwarder:
    return ScriptedForwarder()


@pytest.fixture
def plane(forwarder: ScriptedForwarder) -> Iterator[DataPlane]:
    lan, wan = FrameSocket("lan0"), FrameSocket("wan0")
    plane = DataPlane(forwarder, lan, wan, clock=ManualClock())
    plane.start()
    yield plane
    plane.stop()
    lan.close()
    wan.close()


def fetch(plane: DataPlane, select: Select) -> list[list[dict[str, Any]]]:
    async def chunks() -> list[list[dict[str, Any]]]:
        return [rows async for rows in snapshot(plane, select)]

    return asyncio.run(chunks())


@pytest.mark.parametrize("count", [0, 1, CHUNK_ROWS, CHUNK_ROWS + 1, 3 * CHUNK_ROWS])
def test_sessions_come_in_chunks_and_all_of_them(
    plane: DataPlane, forwarder: ScriptedForwarder, count: int
) -> None:
    forwarder.names = [f"192.168.1.10:{port}" for port in range(count)]
    chunks = fetch(plane, session_rows)
    assert all(0 < len(rows) <= CHUNK_ROWS for rows in chunks)
    assert [row["internal"] for rows in chunks for row in rows] == forwarder.names


def test_a_mapping_that_ended_meanwhile_is_left_out(
    plane: DataPlane, forwarder: ScriptedForwarder
) -> None:
    forwarder.mapped = ["192.168.1.10:1", "closed", "192.168.1.10:2"]
    (rows,) = fetch(plane, mapping_rows)
    assert [row["internal"] for row in rows] == ["192.168.1.10:1", "192.168.1.10:2"]
