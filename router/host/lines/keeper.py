"""One link's keeper: does what it is told with the line, one thing after the other.

Theory of operation. Orders wait in a queue. Only a hang-up breaks off what is going on, a dial or
a watch, and is done then; everything else is done to its end before the next order is looked at.
So a dial that follows a hang-up waits for it, and whatever is late finds the line as it is:

| order | line down | being raised | up |
|---|---|---|---|
| dial | raise it | goes on, under the new number | report the address |
| hang up | report it closed | break off, take down, report | take down, report |
| end | end | break off, take down, report, end | take down, report, end |

A rise is: the device is admitted, the backend dials, the line is plumbed, the address is reported.
Down it goes the other way round, plumbing first, so that nothing goes into a line that is about to
fall. A loss is reported at once and cleared away afterwards; a failed attempt is cleared away
first, because its report says that the line is down. A line found up has the attempt number 0
until the core's own number for that rise is learnt.

Faults of a backend are failures or losses like others; they never end the keeper.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol, TypeVar

from router.errors import RouterError
from router.host.lines.backend import Backend, LineAddress, RefusedError
from router.link.messages import (
    Addressed,
    Closed,
    Connected,
    Dial,
    Failed,
    HangUp,
    Lost,
    Report,
    Rise,
)
from router.link.types import Cause

__all__ = ["Keeper", "Plumber"]

_T = TypeVar("_T")
_log = logging.getLogger(__name__)


class Plumber(Protocol):
    """`router.host.machine.plumbing.Plumbing`, without blocking."""

    def admit(self, name: str) -> Awaitable[None]:
        """Have the link's device where lines are."""
        ...

    def raise_line(self, name: str, line: LineAddress) -> Awaitable[None]:
        """Let packets go by the line."""
        ...

    def drop_line(self, name: str) -> Awaitable[list[str]]:
        """Let no packet go by the line; returns a sentence per failure."""
        ...


class _Told(Exception):  # noqa: N818 - nothing is wrong
    """A hang-up, or None for the end, has come meanwhile."""

    def __init__(self, order: HangUp | None) -> None:
        super().__init__()
        self.order = order


class Keeper:
    """Keeps one line; `line` is what it has while it is up."""

    def __init__(
        self, name: str, backend: Backend, plumber: Plumber, report: Callable[[Report], None]
    ) -> None:
        self.line: LineAddress | None = None
        self.adopted = asyncio.Event()
        self._name = name
        self._backend = backend
        self._plumber = plumber
        self._report = report
        self._orders: asyncio.Queue[Dial | HangUp | None] = asyncio.Queue()
        self._attempt = 0
        self._is_live = False  # being raised, or up
        self._is_connected = False
        self._unheard = ""  # why a line was lost whose number was not known

    def order(self, order: Dial | HangUp | None) -> None:
        """Take an order; None ends the keeper, with the line down."""
        self._orders.put_nowait(order)

    def learn(self, rise: Rise) -> None:
        """Learn the number that the core has given to a line found up."""
        if rise.trigger.cause is not Cause.FOUND or rise.ended_at is not None or self._attempt:
            return
        if self.line is not None:
            self._attempt = rise.attempt
        elif self._unheard:
            self._report(Lost(self._name, rise.attempt, self._unheard))
            self._unheard = ""

    async def run(self) -> None:
        """Find out how the line is, then do as told until the end."""
        await self._adopt()
        self.adopted.set()
        while True:
            try:
                if self.line is None:
                    await self._rest()
                else:
                    await self._stay_up()
            except _Told as told:
                was_live = self._is_live
                await self._take_down()
                if told.order is not None or was_live:
                    number = self._attempt if told.order is None else told.order.attempt
                    self._report(Closed(self._name, number))
                if told.order is None:
                    return

    async def _adopt(self) -> None:
        try:
            line = await self._backend.probe()
            if line is not None:
                await self._plumber.raise_line(self._name, line)
        except Exception as error:
            _log.warning("%s: %s", self._name, _why(error))
            await self._take_down()
            return
        if line is not None:
            self._is_live = True
            self._rose(line)

    async def _rest(self) -> None:
        order = await self._orders.get()
        if not isinstance(order, Dial):
            raise _Told(order)
        self._attempt = order.attempt
        self._is_live, self._is_connected = True, False
        try:
            line = await self._unless_told(self._rise())
        except _Told:
            raise
        except Exception as error:
            await self._take_down()
            refused = isinstance(error, RefusedError)
            self._report(Failed(self._name, self._attempt, _why(error), is_refusal=refused))
        else:
            self._rose(line)

    async def _rise(self) -> LineAddress:
        await self._plumber.admit(self._name)
        line = await self._backend.dial(self._connected)
        await self._plumber.raise_line(self._name, line)
        return line

    async def _stay_up(self) -> None:
        try:
            line = await self._unless_told(self._other_line())
        except _Told:
            raise
        except Exception as error:
            await self._lose(_why(error))
        else:
            self._rose(line)

    async def _other_line(self) -> LineAddress:
        line = await self._backend.watch()
        await self._plumber.raise_line(self._name, line)
        return line

    async def _lose(self, why: str) -> None:
        self.line = None
        self._unheard = "" if self._attempt else why
        self._report(Lost(self._name, self._attempt, why))
        await self._take_down()

    def _rose(self, line: LineAddress) -> None:
        self.line = line
        self._report(Addressed(self._name, self._attempt, line.address, line.mtu))

    def _connected(self) -> None:
        if not self._is_connected:
            self._is_connected = True
            self._report(Connected(self._name, self._attempt))

    async def _take_down(self) -> None:
        """Have the line down and nothing of it left."""
        self._is_live = False
        self.line = None
        try:
            for problem in await self._plumber.drop_line(self._name):
                _log.warning("%s: %s", self._name, problem)
        except Exception as error:
            _log.warning("%s: %s", self._name, _why(error))
        try:
            await self._backend.hang_up()
        except Exception as error:
            _log.warning("%s: %s", self._name, _why(error))

    async def _unless_told(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Return, or raise, what `work` does; break it off and raise _Told for a hang-up."""
        task = asyncio.ensure_future(work)
        order = asyncio.ensure_future(self._orders.get())
        try:
            while True:
                await asyncio.wait({task, order}, return_when=asyncio.FIRST_COMPLETED)
                if not order.done():
                    return task.result()
                told = order.result()
                if not isinstance(told, Dial):
                    raise _Told(told)
                self._renew(told)
                order = asyncio.ensure_future(self._orders.get())
        finally:
            task.cancel()
            order.cancel()
            await asyncio.gather(task, order, return_exceptions=True)

    def _renew(self, dial: Dial) -> None:
        """Go on under another number."""
        self._attempt = dial.attempt
        self._is_connected = False
        if self.line is not None:
            self._rose(self.line)


def _why(error: Exception) -> str:
    if isinstance(error, RouterError):
        return str(error)
    _log.error("a fault in a line's backend", exc_info=error)
    return "a fault in the program; the log has it"
