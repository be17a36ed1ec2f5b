"""The hub by itself, and the stream as its readers meet it."""

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from router.devices import Verdict
from router.errors import ControlError
from router.host.control import events
from router.host.control.client import Event
from router.host.control.events import QUEUE_EVENTS, RING_EVENTS, EventHub
from router.link.messages import Warned
from router.link.rows import BudgetRow
from router.link.types import State
from tests.lab.controlled import PATIENCE_S, WALL, Controlled, eventually
from tests.lab.scripted import frame

_T = TypeVar("_T")

ASK = b"GET /v1/events HTTP/1.1\r\nHost: router\r\n\r\n"


def run(scenario: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
    async def in_time() -> _T:
        return await asyncio.wait_for(scenario(), 2 * PATIENCE_S)

    return asyncio.run(in_time())


def nothing() -> None: ...


def numbers(told: bytes) -> list[int]:
    return [int(line[4:]) for line in told.decode().split("\n") if line.startswith("id: ")]


# The hub


def test_an_event_is_encoded_once_for_all() -> None:
    async def scenario() -> list[bytes]:
        hub = EventHub(lambda: WALL)
        with hub.subscription(nothing) as one, hub.subscription(nothing) as other:
            assert one is not None
            assert other is not None
            hub.publish("lease", {"id": "m1"})
            assert one._queue[0].encoded is other._queue[0].encoded
            return [await one.take(), await other.take()]

    number = int(WALL * 1000) + 1
    data = '{"at":1800000000.0,"id":"m1"}'
    assert run(scenario) == [f"id: {number}\nevent: lease\ndata: {data}\n\n".encode()] * 2


def test_a_signal_has_the_time_at_which_it_came() -> None:
    hub = EventHub(lambda: WALL)
    hub.note(Warned("the breaker is open", 7.0), WALL + 2)
    told = hub.missed(hub.newest - 1)
    assert told is not None
    assert b'event: warning\ndata: {"at":1800000002.0,"what":"the breaker is open"}' in told


def test_numbers_go_on_from_one_run_to_the_next() -> None:
    former = EventHub(lambda: WALL)
    for _ in range(100):
        former.publish("lease", {})
    later = EventHub(lambda: WALL + 1)
    assert later.newest > former.newest
    assert later.missed(former.newest) is None


@pytest.mark.parametrize(
    ("published", "after", "told"),
    [
        (0, 0, []),  # number of a snapshot before any event
        (0, -1, None),
        (0, 1, None),
        (3, 0, [1, 2, 3]),
        (3, 2, [3]),
        (3, 3, []),
        (3, 4, None),
        (RING_EVENTS, 0, list(range(1, RING_EVENTS + 1))),
        (RING_EVENTS + 1, 0, None),
        (RING_EVENTS + 1, 1, list(range(2, RING_EVENTS + 2))),
    ],
)
def test_what_was_missed_is_known_as_long_as_the_ring_has_it(
    published: int, after: int, told: list[int] | None
) -> None:
    hub = EventHub(lambda: WALL)
    first = hub.newest
    for _ in range(published):
        hub.publish("lease", {})
    missed = hub.missed(first + after)
    assert told == (None if missed is None else [n - first for n in numbers(missed)])


def test_who_is_too_slow_is_dropped_and_counted_and_nobody_else() -> None:
    async def scenario() -> None:
        hub = EventHub(lambda: WALL)
        broken: list[str] = []
        with (
            hub.subscription(lambda: broken.append("slow")) as slow,
            hub.subscription(lambda: broken.append("quick")) as quick,
        ):
            assert slow is not None
            assert quick is not None
            first = hub.newest + 1
            for _ in range(QUEUE_EVENTS):
                hub.publish("lease", {})
            assert numbers(await quick.take()) == list(range(first, first + QUEUE_EVENTS))
            assert (broken, hub.subscribers) == ([], 2)
            for _ in range(3):
                hub.publish("lease", {})
            assert (broken, hub.subscribers, hub.dropped) == (["slow"], 1, 1)
            assert len(numbers(await quick.take())) == 3
            assert len(slow._queue) == QUEUE_EVENTS
        assert hub.subscribers == 0

    run(scenario)


def test_a_quiet_stream_has_comments(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> list[bytes]:
        hub = EventHub(lambda: WALL)
        with hub.subscription(nothing) as one:
            assert one is not None
            return [await one.take(), await one.take()]

    monkeypatch.setattr(events, "KEEP_ALIVE_S", 0.01)
    assert run(scenario) == [b":\n\n", b":\n\n"]


def test_at_the_end_what_is_left_comes_and_then_nothing() -> None:
    async def scenario() -> list[bytes]:
        hub = EventHub(lambda: WALL)
        with hub.subscription(nothing) as one:
            assert one is not None
            hub.publish("lease", {})
            hub.end_all()
            return [await one.take(), await one.take()]

    left, end = run(scenario)
    assert (b"event: lease" in left, end) == (True, b"")


# The stream


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Controlled]:
    with Controlled(tmp_path).running() as served:
        yield served


@asynccontextmanager
async def reading(
    served: Controlled, after: int | None = None
) -> AsyncIterator[AsyncIterator[Event]]:
    async with aclosing(served.client.events(after)) as stream:
        yield stream


def test_a_snapshot_comes_first_and_then_what_happens(served: Controlled) -> None:
    served.lines.budgets = [BudgetRow("day", "dials", 3, 40, 60.0)]

    async def scenario() -> list[Event]:
        async with reading(served) as stream:
            told = [await anext(stream)]
            await asyncio.to_thread(served.step, State.DIALING, "tcp ...", "alice")
            await asyncio.to_thread(served.step, State.UP, "tcp ...", "alice")
            await asyncio.to_thread(served.publish, "lease", id="m1")
            return told + [await anext(stream) for _ in range(3)]

    snapshot, *later = run(scenario)
    first = int(WALL * 1000)
    assert (snapshot.kind, snapshot.number) == ("snapshot", first)
    assert (snapshot.data["sequence"], snapshot.data["at"]) == (first, WALL)
    (link,), (budget,) = snapshot.data["links"], snapshot.data["budgets"]
    assert (link["name"], link["state"], link["backend"]) == ("isp", "DORMANT", "ppp")
    assert budget["what"] == "dials"
    assert [(event.kind, event.number - first) for event in later] == [
        ("state", 1), ("state", 2), ("lease", 3),
    ]  # fmt: skip
    assert [event.data.get("state") for event in later] == ["DIALING", "UP", None]


def test_nothing_is_missing_after_a_snapshot_and_nothing_comes_twice(served: Controlled) -> None:
    """Readers come while the link changes: each event follows from what was told before it."""
    done = threading.Event()

    def keep_moving() -> None:
        states = [State.DIALING, State.UP, State.HANGING_UP, State.DORMANT]
        while not done.is_set():
            for state in states:
                served.step(state)

    async def follow() -> None:
        async with reading(served) as stream:
            snapshot = await anext(stream)
            state, number = snapshot.data["links"][0]["state"], snapshot.number
            for _ in range(5):
                event = await anext(stream)
                assert (event.data["former"], event.number) == (state, number + 1)
                state, number = event.data["state"], event.number

    async def scenario() -> None:
        for _ in range(10):
            await asyncio.gather(*(follow() for _ in range(4)))

    mover = threading.Thread(target=keep_moving)
    mover.start()
    try:
        run(scenario)
    finally:
        done.set()
        mover.join()


def test_whoever_comes_back_gets_what_he_missed(served: Controlled) -> None:
    before = served.hub.newest
    for name in ("a", "b", "c"):
        served.publish("lease", id=name)

    async def scenario(after: int) -> list[Event]:
        async with reading(served, after) as stream:
            return [await anext(stream) for _ in range(2)]

    missed = run(lambda: scenario(before + 1))
    assert [event.data["id"] for event in missed] == ["b", "c"]


@pytest.mark.parametrize("last", ["7", "-1", "x", "9" * 30, "\u0661"])
def test_an_unknown_number_gets_a_snapshot(served: Controlled, last: str) -> None:
    ask = ASK[:-2] + f"Last-Event-ID: {last}\r\n\r\n".encode()
    with served.connect() as reader:
        reader.sendall(ask)
        assert b"event: snapshot" in read_until(reader, b"\n\n")


def read_until(connection: socket.socket, end: bytes) -> bytes:
    got = b""
    while end not in got:
        piece = connection.recv(65536)
        assert piece, got
        got += piece
    return got


def test_a_reader_that_does_not_read_is_dropped_and_others_are_served(served: Controlled) -> None:
    async def scenario() -> None:
        async with reading(served) as stream:
            number = (await anext(stream)).number
            while not served.hub.dropped:
                await asyncio.to_thread(served.publish, "lease", why="w" * 4000)
                event = await anext(stream)
                assert event.number == number + 1
                number = event.number

    with served.connect() as stalled:
        stalled.sendall(ASK)
        eventually(lambda: served.hub.subscribers == 1, "the stalled reader is there")
        run(scenario)
        assert served.hub.dropped == 1
        with pytest.raises((ConnectionResetError, AssertionError)):
            read_until(stalled, b"no such thing")
    eventually(lambda: served.hub.subscribers == 0, "nobody is left")


def test_readers_that_leave_are_forgotten(served: Controlled) -> None:
    readers = [served.connect() for _ in range(5)]
    for reader in readers:
        reader.sendall(ASK)
    eventually(lambda: served.hub.subscribers == 5, "all are there")
    for reader in readers:
        reader.close()
    eventually(lambda: served.hub.subscribers == 0, "all are gone")
    assert served.hub.dropped == 0


def test_there_are_so_many_readers_and_no_more(
    served: Controlled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "MAX_SUBSCRIBERS", 2)
    readers = [served.connect() for _ in range(2)]
    for reader in readers:
        reader.sendall(ASK)
        assert b"event: snapshot" in read_until(reader, b"\n\n")
    with pytest.raises(ControlError, match="2 readers of events are as many as may be"):
        run(lambda: anext(served.client.events()))
    readers.pop().close()
    eventually(lambda: served.hub.subscribers == 1, "one has gone")
    assert run(lambda: anext(served.client.events())).kind == "snapshot"
    readers.pop().close()


def test_streams_end_when_the_router_stops(tmp_path: Path) -> None:
    controlled = Controlled(tmp_path)
    seen: list[str] = []

    async def follow(there: threading.Event) -> None:
        async for event in controlled.client.events():
            seen.append(event.kind)
            there.set()

    there = threading.Event()
    reader = threading.Thread(target=lambda: run(lambda: follow(there)))
    with controlled.running():
        reader.start()
        assert there.wait(PATIENCE_S)
    reader.join(PATIENCE_S)
    assert (reader.is_alive(), seen) == (False, ["snapshot"])


@pytest.mark.slow
def test_hundreds_of_readers_that_come_and_go_leave_nothing_behind(served: Controlled) -> None:
    """Some read, some break off; frames pass and questions are answered meanwhile."""
    crossed: list[bytes] = []

    async def read() -> str:
        async with reading(served) as stream:
            return (await anext(stream)).kind

    async def break_off() -> str:
        _, writer = await asyncio.open_unix_connection(str(served.path))
        writer.write(ASK)
        writer.transport.abort()
        return "left"

    async def scenario() -> list[str]:
        seats = asyncio.Semaphore(20)

        async def come_and_go(number: int) -> str:
            async with seats:
                kind = await (break_off() if number % 3 == 0 else read())
                served.lan.put(frame(int(Verdict.TO_WAN)))
                crossed.extend(served.wan.got())
                if number % 50 == 0:
                    await served.client.ask("GET", "status")
                return kind

        return await asyncio.gather(*(come_and_go(number) for number in range(300)))

    kinds = run(scenario)
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {"left": 100, "snapshot": 200}
    eventually(lambda: served.hub.subscribers == 0, "nobody is left")
    served.settle()
    crossed.extend(served.wan.got())
    assert (served.hub.dropped, len(crossed)) == (0, 300)


def test_the_stream_is_server_sent_events_by_the_letter(served: Controlled) -> None:
    served.publish("lease", id="m1")
    with served.connect() as reader:
        reader.sendall(ASK)
        head, _, _ = read_until(reader, b"\n\n").partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        assert lines[0] == "HTTP/1.1 200 OK"
        assert "Content-Type: text/event-stream" in lines
        assert "Cache-Control: no-store" in lines
        served.publish("lease", why="two\nlines")
        told = read_until(reader, b"lease").decode()
    (data,) = [line for line in told.split("\n") if line.startswith("data: ") and "why" in line]
    assert json.loads(data.removeprefix("data: "))["why"] == "two\nlines"
