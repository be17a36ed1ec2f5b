"""What the links signal, carried out: dialling and hanging up, events, the ledger, the log.

Theory of operation. Signals come from the data-plane thread in order. What a backend is to do is
handed on at once; events are published at once; the ledger waits for its disk, so rises queue for
it, and each is entered with what the line had carried by then. Every `HEARTBEAT_S` the ledger is
told that the line is still there and what it carries, the forwarder what has passed (budgets are
about bytes, too), and civil time is corrected, for clocks are set and machines sleep.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

from router.host.control.events import EventHub
from router.host.dataplane.loop import DataPlane
from router.host.dataplane.protocols import Forwarder
from router.host.ledger.ledger import AsyncLedger
from router.host.ledger.recorder import HEARTBEAT_S
from router.host.lines.supervisor import LineSupervisor
from router.link.messages import Rise, Signal, StateChange, Warned
from router.link.types import Cause

__all__ = ["Attendant", "civil_offset", "wall"]

BUDGET_MEMORY_S = 32 * 86400.0  # seconds: a month and a day, for no allowance is about more

CLOCK_SLACK_S = 0.1  # seconds: less is the drift of a clock that is being disciplined

_log = logging.getLogger(__name__)


def civil_offset() -> float:
    """Return the seconds between the monotonic clock and civil time since 1970."""
    return time.time() - time.monotonic()


def wall(instant: float) -> float:
    """Return the civil time, in seconds since 1970, of a monotonic instant."""
    return instant + civil_offset()


class Attendant:
    """Waits on the links of one running router; `metered` names those with a budget."""

    def __init__(
        self,
        dataplane: DataPlane,
        supervisor: LineSupervisor,
        events: EventHub,
        ledger: AsyncLedger,
        metered: Sequence[str],
    ) -> None:
        self._dataplane = dataplane
        self._supervisor = supervisor
        self._events = events
        self._ledger = ledger
        self._metered = metered
        self._offset_s = civil_offset()
        self._rises: asyncio.Queue[Rise | None] = asyncio.Queue()

    def take(self, signals: Sequence[Signal]) -> None:
        """Carry out what has been signalled."""
        for signal in signals:
            self._events.note(signal, time.time())
            self._supervisor.handle(signal)
            if isinstance(signal, Rise):
                self._rises.put_nowait(signal)
            elif isinstance(signal, Warned):
                _log.warning("%s", signal.what)
            elif isinstance(signal, StateChange):
                what = (signal.link, signal.state.value, signal.reason, signal.by)
                _log.info("%s: %s, %s (%s)", *what)

    async def load_usage(self) -> None:
        """Tell the budget what the ledger knows of past use."""
        uses = await self._ledger.uses(time.time() - BUDGET_MEMORY_S, self._metered)
        await asyncio.wrap_future(
            self._dataplane.submit(lambda forwarder, now: forwarder.lines.load_usage(uses, now=now))
        )

    async def keep_books(self) -> None:
        """Enter rises into the ledger until `close_books`."""
        while (rise := await self._rises.get()) is not None:
            received, sent = await self._carried()
            await self._ledger.note(rise, received, sent)
            if rise.trigger.cause is Cause.FOUND and rise.ended_at is None:
                await self.load_usage()  # a line that a killed router left up was in use meanwhile

    def close_books(self) -> None:
        """Let `keep_books` end when it has entered what was signalled."""
        self._rises.put_nowait(None)

    async def beat(self) -> None:
        """Do now and then what keeps ledger, budgets and civil time true; never returns."""
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            received, sent = await self._carried()
            await asyncio.wrap_future(self._dataplane.submit(_told_of(received, sent)))
            await self._correct_time()
            await self._ledger.heartbeat(time.monotonic(), received, sent)

    async def _correct_time(self) -> None:
        offset_s = civil_offset()
        if abs(offset_s - self._offset_s) > CLOCK_SLACK_S:
            self._offset_s = offset_s
            await asyncio.wrap_future(
                self._dataplane.submit(
                    lambda forwarder, now: forwarder.lines.set_civil_offset(offset_s, now=now)
                )
            )

    async def _carried(self) -> tuple[int, int]:
        """Return the bytes received from and sent to the line so far."""
        wan = (await asyncio.wrap_future(self._dataplane.traffic())).wan
        return wan.received_bytes, wan.sent_bytes


def _told_of(received: int, sent: int) -> Callable[[Forwarder, float], None]:
    return lambda forwarder, now: forwarder.lines.note_traffic(received, sent, now=now)
