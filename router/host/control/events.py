"""Events: what happens to links, leases and forwards, told to whoever listens as it happens.

Theory of operation. The `EventHub` numbers each event, encodes it once and puts the same bytes into
the queue of every subscription; nothing is copied per reader. Queues are bounded: a reader whose
queue is full is dropped, its connection with it, and counted. Nobody waits for a slow reader, and
nothing grows for him. There are at most `MAX_SUBSCRIBERS` at once.

A stream is Server-Sent Events. It begins with a `snapshot` of all links and allowances, whose
number is that of the last event it includes: the rows are taken in a job of the data plane, which
hands over what was signalled before it first, so nothing is missing between the two and nothing
comes twice. A reader that comes back with `Last-Event-ID` gets what he has missed instead, as long
as the ring of the last `RING_EVENTS` still has it. A comment every `KEEP_ALIVE_S` has the kernel
find out about readers that are gone.

Numbers begin with the time at which the hub was made, in milliseconds since 1970: they go on from
one run of the router to the next, and the number of a former run is known for what it is.

All of it belongs to the event loop's thread.
"""

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from aiohttp import web

from router.host.control.access import refusal
from router.host.control.links import Describe, LineState, line_state
from router.host.control.signals import event_of
from router.host.dataplane.loop import DataPlane
from router.host.dataplane.protocols import Forwarder
from router.link.messages import Signal

__all__ = ["EventHandlers", "EventHub", "Subscription"]

MAX_SUBSCRIBERS = 64  # a site has a mail host, a screen or two and somebody's terminal
QUEUE_EVENTS = 256  # about 100 KB; a rise has ten, so whoever is behind by 25 rises is not there
RING_EVENTS = 256  # what a reader may have missed while he reconnected; a day, usually
KEEP_ALIVE_S = 15.0  # seconds: HTML's advice on Server-Sent Events, because of proxies
RETRY_MS = 2000  # milliseconds after which a browser that lost the stream should come back

_KEEP_ALIVE = b":\n\n"


class _Event(NamedTuple):
    number: int
    encoded: bytes


class Subscription:
    """What one reader has yet to be told; `break_off` is called when he is dropped."""

    def __init__(self, number: int, break_off: Callable[[], object]) -> None:
        self.number = number
        self._break_off = break_off
        self._queue: deque[_Event] = deque()
        self._ended = False
        self._ready = asyncio.Event()

    def put(self, event: _Event) -> bool:
        """Queue an event; return False, and be over, if the queue is full."""
        if len(self._queue) >= QUEUE_EVENTS:
            self.end()
            self._break_off()
            return False
        self._queue.append(event)
        self._ready.set()
        return True

    def restart(self, number: int) -> None:
        """Forget what has come so far: a snapshot with this number says it all."""
        self.number = number
        self._queue.clear()

    def end(self) -> None:
        """Have the stream end once all is told."""
        self._ended = True
        self._ready.set()

    async def take(self) -> bytes:
        """Wait for events and return all there are; a comment if none come, nothing at the end."""
        try:
            async with asyncio.timeout(KEEP_ALIVE_S):
                while not self._queue and not self._ended:
                    self._ready.clear()
                    await self._ready.wait()
        except TimeoutError:
            return _KEEP_ALIVE
        taken = b"".join(event.encoded for event in self._queue)
        self._queue.clear()
        return taken


class EventHub:
    """Tells every subscription what is published; `dropped` counts readers that were too slow."""

    def __init__(self, wall_clock: Callable[[], float] = time.time) -> None:
        self.newest = int(wall_clock() * 1000)
        self.dropped = 0
        self._wall_clock = wall_clock
        self._ring: deque[_Event] = deque(maxlen=RING_EVENTS)
        self._subscriptions: set[Subscription] = set()

    @property
    def subscribers(self) -> int:
        """How many listen."""
        return len(self._subscriptions)

    def note(self, signal: Signal, wall: float) -> None:
        """Tell what a link core has signalled, if it is an event; `wall` is when, since 1970."""
        event = event_of(signal)
        if event is not None:
            self._publish(*event, wall)

    def publish(self, kind: str, data: Mapping[str, object]) -> None:
        """Tell that something has just happened."""
        self._publish(kind, data, self._wall_clock())

    def _publish(self, kind: str, data: Mapping[str, object], at: float) -> None:
        self.newest += 1
        event = _Event(self.newest, _encoded(self.newest, kind, {"at": at, **data}))
        self._ring.append(event)
        for subscription in list(self._subscriptions):
            if not subscription.put(event):
                self.dropped += 1
                self._subscriptions.discard(subscription)

    def missed(self, number: int) -> bytes | None:
        """Return the events after that one, None if that cannot be told."""
        oldest = self._ring[0].number if self._ring else self.newest + 1
        if not oldest - 1 <= number <= self.newest:
            return None
        return b"".join(event.encoded for event in self._ring if event.number > number)

    def snapshot(self, number: int, data: Mapping[str, object]) -> bytes:
        """Return the event that a stream begins with."""
        return _encoded(number, "snapshot", {"at": self._wall_clock(), "sequence": number, **data})

    @contextmanager
    def subscription(self, break_off: Callable[[], object]) -> Iterator[Subscription | None]:
        """Give the block a subscription from now on, None if there are too many."""
        if len(self._subscriptions) >= MAX_SUBSCRIBERS:
            yield None
            return
        subscription = Subscription(self.newest, break_off)
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)

    def end_all(self) -> None:
        """End every stream: the router stops."""
        for subscription in self._subscriptions:
            subscription.end()


def _encoded(number: int, kind: str, data: Mapping[str, object]) -> bytes:
    text = json.dumps(data, separators=(",", ":"))
    return f"id: {number}\nevent: {kind}\ndata: {text}\n\n".encode()


class EventHandlers:
    """Answers `GET /v1/events`."""

    def __init__(self, dataplane: DataPlane, describe: Describe, hub: EventHub) -> None:
        self._dataplane = dataplane
        self._describe = describe
        self._hub = hub

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Tell what happens until the reader goes, is too slow, or the router stops."""
        transport = request.transport
        if transport is None:
            raise ConnectionResetError("whoever asked has gone")
        with self._hub.subscription(transport.abort) as subscription:
            if subscription is None:
                answer = refusal(503, f"{MAX_SUBSCRIBERS} readers of events are as many as may be")
                answer.headers["Retry-After"] = str(RETRY_MS // 1000)
                return answer
            beginning = await self._beginning(request, subscription)
            response = web.StreamResponse(
                headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
            )
            await response.prepare(request)
            await response.write(beginning)
            while told := await subscription.take():
                await response.write(told)
        return response

    async def _beginning(self, request: web.Request, subscription: Subscription) -> bytes:
        last = request.headers.get("Last-Event-ID", "")
        if last.isascii() and last.isdigit() and len(last) <= len(str(self._hub.newest)):
            missed = self._hub.missed(int(last))
            if missed is not None:
                return _KEEP_ALIVE + missed
        line = await asyncio.wrap_future(self._dataplane.submit(self._cut(subscription)))
        told = self._hub.snapshot(subscription.number, line.told(self._describe))
        return f"retry: {RETRY_MS}\n".encode() + told

    def _cut(self, subscription: Subscription) -> Callable[[Forwarder, float], LineState]:
        """Return the job that takes the rows and has the subscription begin where they end."""
        loop = asyncio.get_running_loop()

        def restart() -> None:
            subscription.restart(self._hub.newest)

        def job(forwarder: Forwarder, now: float) -> LineState:
            loop.call_soon_threadsafe(restart)
            return line_state(forwarder, now)

        return job
