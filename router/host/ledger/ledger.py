"""The ledger as the event loop uses it.

Theory of operation. SQLite waits for the disk and its connection belongs to one thread, so the
store and the recorder live on a worker thread of their own. Calls are worked off in the order in
which they begin: what is asked after a note knows of it.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar

from router.errors import ControlError, DeviceError
from router.host.ledger.entries import Dialer, Entry
from router.host.ledger.recorder import Recorder
from router.host.ledger.store import Store
from router.link.budget import Use
from router.link.messages import Rise

__all__ = ["AsyncLedger"]

FILE_NAME = "ledger.db"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

_P = ParamSpec("_P")
_T = TypeVar("_T")
_log = logging.getLogger(__name__)


class AsyncLedger:
    """The ledger of one run of the router; `AsyncLedger.open` makes it.

    Writing never raises. Asking raises ControlError when the database does not answer.
    """

    def __init__(self, worker: ThreadPoolExecutor, store: Store, recorder: Recorder) -> None:
        self._worker = worker
        self._store = store
        self._recorder = recorder

    @classmethod
    async def open(
        cls, state_dir: Path, wall: Callable[[float], float], links: Sequence[str]
    ) -> "AsyncLedger":
        """Open the ledger in `state_dir` and close what a killed router left open in it.

        `wall` turns monotonic seconds into those since 1970, on a thread of the ledger's; `links`
        are the names of all links, the preferred one first. Raises DeviceError when a newer
        version has written the file.
        """
        worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")
        try:
            store = await _on(worker, _opened, state_dir / FILE_NAME)
        except BaseException:
            worker.shutdown(wait=False)
            raise
        return cls(worker, store, Recorder(store, wall, links))

    @property
    def failures(self) -> int:
        """How many times the database refused to be written."""
        return self._recorder.failures

    async def close(self) -> None:
        """Close the database once all before is done; the ledger is of no use afterwards."""
        await _on(self._worker, self._store.close)
        self._worker.shutdown()

    async def note(self, rise: Rise, received_bytes: int, sent_bytes: int) -> None:
        """Enter a signal; the bytes are the totals of the line's TUN so far."""
        await _on(self._worker, self._recorder.note, rise, received_bytes, sent_bytes)

    async def heartbeat(self, now: float, received_bytes: int, sent_bytes: int) -> None:
        """Enter until when open rises were seen, every `recorder.HEARTBEAT_S`; else as `note`."""
        await _on(self._worker, self._recorder.heartbeat, now, received_bytes, sent_bytes)

    async def entries(
        self,
        limit: int,
        link: str | None = None,
        host: str | None = None,
        since: float | None = None,
        before_id: int | None = None,
    ) -> list[Entry]:
        """Return entries, the newest first, as `Store.entries` does."""
        return await self._ask(self._store.entries, limit, link, host, since, before_id)

    async def top_dialers(self, since: float | None = None) -> list[Dialer]:
        """Return who has dialled most, as `Store.top_dialers` does."""
        return await self._ask(self._store.top_dialers, since)

    async def uses(self, since: float, links: Collection[str]) -> list[Use]:
        """Return the use of these links since then, as `Store.uses` does."""
        return await self._ask(self._store.uses, since, links)

    async def _ask(self, question: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return await _on(self._worker, question, *args, **kwargs)
        except DeviceError as error:
            raise ControlError(str(error)) from error


async def _on(
    worker: ThreadPoolExecutor, job: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs
) -> _T:
    return await asyncio.wrap_future(worker.submit(job, *args, **kwargs))


def _opened(path: Path) -> Store:
    store = Store(path, _BOOT_ID.read_text().strip())
    try:
        closed = store.close_abandoned()
    except DeviceError as error:
        _log.error("%s; what the last run left open stays open", error)
        closed = []
    for entry in closed:
        _log.warning("line %s: the router was killed, %s", entry.link, entry.detail)
    return store
