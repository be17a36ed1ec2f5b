import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from router.errors import ControlError, DeviceError
from router.host.ledger.entries import KILLED
from router.host.ledger.ledger import AsyncLedger
from router.link.budget import Use
from router.link.messages import Rise
from router.link.types import Ending
from tests.router.host.ledger.conftest import EPOCH, TRIGGER, Wall, found

UP = Rise("isp", 1, TRIGGER, begun_at=100.0, up_at=106.0, address="203.0.113.9")
FELL = replace(UP, ended_at=400.0, ending=Ending.IDLE)


def with_ledger(state_dir: Path, script: Callable[[AsyncLedger], Awaitable[None]]) -> None:
    async def run() -> None:
        ledger = await AsyncLedger.open(state_dir, Wall(), ["isp"])
        await script(ledger)
        await ledger.close()

    asyncio.run(run())


def workers() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name.startswith("ledger")]


def test_what_is_noted_can_be_asked_for_in_this_run_and_the_next(tmp_path: Path) -> None:
    async def first(ledger: AsyncLedger) -> None:
        await ledger.note(UP, 0, 0)
        await ledger.heartbeat(200.0, 50, 5)
        (told,) = await ledger.entries(10)
        assert (told.seen_at, told.bytes) == (EPOCH + 200.0, 55)
        await ledger.note(FELL, 60, 6)
        (told,) = await ledger.entries(10, link="isp", host="mail", since=EPOCH, before_id=9)
        assert (told.ended_at, told.bytes) == (EPOCH + 400.0, 66)
        (dialer,) = await ledger.top_dialers(EPOCH)
        assert (dialer.by, dialer.dials) == ("mail", 1)
        assert await ledger.uses(EPOCH, {"isp"}) == []

    async def second(ledger: AsyncLedger) -> None:
        assert await ledger.uses(EPOCH, {"isp"}) == [Use(EPOCH + 106.0, EPOCH + 400.0, 66)]

    with_ledger(tmp_path, first)
    with_ledger(tmp_path, second)
    assert workers() == []


def test_calls_are_worked_off_in_their_order(tmp_path: Path) -> None:
    async def script(ledger: AsyncLedger) -> None:
        notes = [
            asyncio.create_task(ledger.note(rise, 0, 0))
            for number in range(20)
            for rise in (replace(UP, attempt=number), replace(FELL, attempt=number))
        ]
        asked = asyncio.create_task(ledger.entries(100))
        told = await asked
        assert [each.attempt for each in told] == list(range(19, -1, -1))
        assert {each.ending for each in told} == {"idle"}
        await asyncio.gather(*notes)

    with_ledger(tmp_path, script)


def test_closing_waits_for_what_was_noted_before(tmp_path: Path) -> None:
    async def script(ledger: AsyncLedger) -> None:
        asyncio.create_task(ledger.note(UP, 0, 0))  # noqa: RUF006 - nobody awaits it, that is it
        await asyncio.sleep(0)

    async def after(ledger: AsyncLedger) -> None:
        assert len(await ledger.entries(10)) == 1

    with_ledger(tmp_path, script)
    with_ledger(tmp_path, after)


def test_what_a_killed_router_left_open_is_closed_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def killed(ledger: AsyncLedger) -> None:
        await ledger.note(UP, 0, 0)
        await ledger.heartbeat(200.0, 0, 0)

    async def next_start(ledger: AsyncLedger) -> None:
        await ledger.note(found(1, 230.0), 0, 0)
        told, before = await ledger.entries(10)
        assert (before.ending, before.ended_at) == (KILLED, EPOCH + 200.0)
        assert (told.continues, told.begun_at) == (before.id, EPOCH + 200.0)
        assert await ledger.uses(EPOCH, {"isp"}) == [Use(EPOCH + 106.0, EPOCH + 230.0, 0)]

    with_ledger(tmp_path, killed)
    assert caplog.records == []
    with_ledger(tmp_path, next_start)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == (
        "line isp: the router was killed, last seen up at 2026-05-28 20:30:00 UTC, "
        "it may have stayed up longer"
    )


def test_a_file_of_a_newer_version_is_refused_and_no_thread_stays(tmp_path: Path) -> None:
    async def newer(ledger: AsyncLedger) -> None:
        await ledger._ask(ledger._store._connection.execute, "PRAGMA user_version = 99")

    async def nothing(_: AsyncLedger) -> None: ...

    with_ledger(tmp_path, newer)
    with pytest.raises(DeviceError, match="of a newer postroad"):
        with_ledger(tmp_path, nothing)
    for thread in threading.enumerate():
        if thread.name.startswith("ledger"):
            thread.join(timeout=10)  # it ends by itself
    assert workers() == []


def test_writing_never_raises_and_asking_says_what_is_wrong(tmp_path: Path) -> None:
    async def script(ledger: AsyncLedger) -> None:
        await ledger._ask(ledger._store._connection.execute, "DROP TABLE rises")
        await ledger.note(UP, 0, 0)
        await ledger.heartbeat(200.0, 0, 0)
        assert ledger.failures == 3  # the heartbeat prunes, too
        for question in (ledger.entries(10), ledger.top_dialers(), ledger.uses(0.0, {"isp"})):
            with pytest.raises(ControlError, match=r"^the dial ledger .*: no such table: rises$"):
                await question

    with_ledger(tmp_path, script)
