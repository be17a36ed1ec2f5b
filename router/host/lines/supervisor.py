"""All lines: orders from the core go to their keepers, reports back to the core.

    supervisor = LineSupervisor(backends, plumbing, report)     # in the order of preference
    await supervisor.adopt()                # lines that are up already are reported
    supervisor.handle(signal)               # each of the core's signals
    ...
    await supervisor.close()                # every line is taken down
    plumbing.undo()

Theory of operation. Each link has a keeper in a task of its own (`keeper`). Plumbing blocks and is
not made for two at once, so one thread does all of it, one call after the other; a call under way
that nobody waits for any more is finished, before the one that takes it back.

At the end every line is hung up that is up or being raised, also those found up at the start: a
line that the router does not watch any more must not cost money. To a static line that means
nothing.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Protocol, TypeVar

from router.host.lines.backend import Backend, LineAddress
from router.host.lines.details import Detailed, LineDetails
from router.host.lines.keeper import Keeper
from router.link.messages import Dial, HangUp, Report, Rise, Signal

__all__ = ["CLOSE_LIMIT_S", "LinePlumbing", "LineSupervisor"]

CLOSE_LIMIT_S = 20.0  # seconds: a hang-up takes 15 at most, unless it is configured to take longer

_T = TypeVar("_T")
_log = logging.getLogger(__name__)


class LinePlumbing(Protocol):
    """What of `router.host.machine.plumbing.Plumbing` is used here; its calls block."""

    def admit(self, name: str) -> None:
        """Have the link's device where lines are; raises DeviceError."""
        ...

    def raise_line(self, name: str, line: LineAddress) -> None:
        """Let packets go by the line; raises DeviceError."""
        ...

    def drop_line(self, name: str) -> list[str]:
        """Let no packet go by the line; return a sentence per failure."""
        ...


class LineSupervisor:
    """Keeps all lines; made, and called, where the event loop runs.

    `report` is called there, too, with each report of a line, and must not block.
    """

    def __init__(
        self,
        backends: Mapping[str, Backend],
        plumbing: LinePlumbing,
        report: Callable[[Report], None],
    ) -> None:
        self._backends = backends
        self._plumber = _Worker(plumbing)
        self._keepers = {
            name: Keeper(name, backend, self._plumber, report) for name, backend in backends.items()
        }
        self._tasks: list[asyncio.Task[None]] = []

    async def adopt(self) -> None:
        """Find out how every line is, report those that are up, and begin to take orders.

        Orders that come meanwhile wait.
        """
        self._tasks = [asyncio.create_task(keeper.run()) for keeper in self._keepers.values()]
        for keeper in self._keepers.values():
            await keeper.adopted.wait()

    def handle(self, signal: Signal) -> None:
        """Do what the core says; what is not for a line is passed over."""
        if isinstance(signal, Dial | HangUp):
            self._keepers[signal.link].order(signal)
        elif isinstance(signal, Rise):
            self._keepers[signal.link].learn(signal)

    def line(self, name: str) -> LineAddress | None:
        """Return what a link has while it is up."""
        return self._keepers[name].line

    def details(self, name: str) -> LineDetails | None:
        """Return what else there is to know of a link's line, None where nothing is."""
        backend = self._backends[name]
        return backend.details() if isinstance(backend, Detailed) else None

    async def close(self) -> None:
        """Take every line down and let go of everything, in bounded time."""
        for keeper in self._keepers.values():
            keeper.order(None)
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=CLOSE_LIMIT_S)
            if late:
                _log.warning("%d lines have not been hung up in time", len(late))
            for task in late:
                task.cancel()
            for result in await asyncio.gather(*self._tasks, return_exceptions=True):
                if isinstance(result, Exception):
                    _log.error("a fault in a line's keeper", exc_info=result)
        for backend in self._backends.values():
            await backend.close()
        self._plumber.close()


class _Worker:
    """Implements `router.host.lines.keeper.Plumber` with a thread."""

    def __init__(self, plumbing: LinePlumbing) -> None:
        self._plumbing = plumbing
        self._thread = ThreadPoolExecutor(1, "plumbing")

    async def admit(self, name: str) -> None:
        """Have the link's device where lines are."""
        await self._do(partial(self._plumbing.admit, name))

    async def raise_line(self, name: str, line: LineAddress) -> None:
        """Let packets go by the line."""
        await self._do(partial(self._plumbing.raise_line, name, line))

    async def drop_line(self, name: str) -> list[str]:
        """Let no packet go by the line."""
        return await self._do(partial(self._plumbing.drop_line, name))

    def close(self) -> None:
        """Wait for the call at hand."""
        self._thread.shutdown()

    async def _do(self, call: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)
