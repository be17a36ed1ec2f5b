"""The ledger's database: what is written into it, and what can be asked of it.

Theory of operation. An entry is written whole, again and again while it lives; the key is run,
link and attempt. A write that is `synced` is on the disk when it returns, and with it all before
it. One that is not is left to the kernel, which writes it out after half a minute or so: a power
cut costs the end of a rise at most that, and spares a flash card a write every few seconds.

**What a kill leaves.** Entries of earlier runs that have not ended are closed at the start with
what is known: they ended when they were last seen, and may have lasted longer. If a link is then
*found up*, in the same boot of the machine, and its last entry was cut short like that, the new
entry goes on with that one: it begins where the other ends. Together they are one rise, one dial
and one use without a gap, so that a kill neither costs a dial nor hides minutes.

**Budgets** count for themselves what is used in this run of the router, a line that was found up
from the find on. `uses` is the rest: what former runs have used, up to the find where a rise of
theirs goes on. It grows by that much when a found rise has been noted.
"""

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime
from pathlib import Path

from router.errors import DeviceError
from router.host.ledger.database import open_database
from router.host.ledger.entries import KILLED, Dialer, Entry, chains
from router.link.budget import Use
from router.link.types import Cause

__all__ = ["Store"]

_Value = str | float | None
_Values = Mapping[str, _Value] | tuple[_Value, ...]

_COLUMNS = [field.name for field in fields(Entry) if field.name != "id"]
_KEY = ("run", "link", "attempt")
# The names are those of the dataclass, never of anybody else.
_WRITE = (
    f"INSERT INTO rises ({', '.join(_COLUMNS)}) VALUES (:{', :'.join(_COLUMNS)})"  # noqa: S608
    f" ON CONFLICT ({', '.join(_KEY)}) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS if name not in _KEY)
)
_NEWEST = """
    SELECT * FROM rises
    WHERE (:link IS NULL OR link = :link)
      AND (:host IS NULL OR host = :host OR by = :host)
      AND (:since IS NULL OR coalesce(ended_at, seen_at) >= :since)
      AND (:before_id IS NULL OR id < :before_id)
    ORDER BY id DESC LIMIT :limit
"""
_SINCE = "SELECT * FROM rises WHERE coalesce(ended_at, seen_at) >= ? ORDER BY id"
_ABANDONED = "SELECT * FROM rises WHERE ended_at IS NULL AND run < ? ORDER BY id"
_LAST_OF_LINK = """
    SELECT rises.*, runs.boot = (SELECT boot FROM runs WHERE id = :run) AS in_this_boot
    FROM rises JOIN runs ON runs.id = rises.run
    WHERE link = :link ORDER BY rises.id DESC LIMIT 1
"""
_PRUNE = (
    "DELETE FROM rises WHERE ended_at < :before",
    "DELETE FROM runs WHERE id < :run AND id NOT IN (SELECT run FROM rises)",
)


class Store:
    """The ledger in the file `path`, opened for one run of the router; `boot` is the machine's.

    One thread may use it, the one that made it. Raises DeviceError, here for a file of a newer
    version, and in every method when the database refuses.
    """

    def __init__(self, path: Path, boot: str) -> None:
        self._path = path
        self._connection, self.run = open_database(path, boot)

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    # Writing

    def write(self, entries: Iterable[Entry], *, synced: bool) -> None:
        """Write these down, all or none; `synced`: not even a power cut may lose them."""
        with self._refusals():
            self._connection.execute(f"PRAGMA synchronous = {'FULL' if synced else 'NORMAL'}")
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                self._connection.executemany(_WRITE, map(asdict, entries))

    def close_abandoned(self) -> list[Entry]:
        """Close what earlier runs left open, because they were killed; return that."""
        closed = [_closed(entry) for entry in self._select(_ABANDONED, (self.run,))]
        self.write(closed, synced=True)
        return closed

    def prune(self, before: float) -> None:
        """Forget what ended before that instant."""
        with self._refusals(), self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            for statement in _PRUNE:
                self._connection.execute(statement, {"before": before, "run": self.run})

    # Asking

    def entries(
        self,
        limit: int,
        link: str | None = None,
        host: str | None = None,
        since: float | None = None,
        before_id: int | None = None,
    ) -> list[Entry]:
        """Return at most `limit` entries, the newest first.

        `host` is a LAN address, or the name of who raised it; `since` leaves out what had ended by
        then; `before_id` is the last id of the page before.
        """
        asked = {"limit": limit, "link": link, "host": host, "since": since, "before_id": before_id}
        return self._select(_NEWEST, asked)

    def uses(self, since: float, links: Collection[str]) -> list[Use]:
        """Return what former runs have used of these links, as far as it reaches past `since`."""
        entries = self._select(_SINCE, (since,))
        rises = chains(entry for entry in entries if entry.link in links)
        return [self._use(rise) for rise in rises if rise[0].run < self.run]

    def _use(self, rise: list[Entry]) -> Use:
        former = [entry for entry in rise if entry.run < self.run]
        began, ended = _span(rise, former[-1].until)
        if len(former) < len(rise):
            found = rise[len(former)]
            ended = found.begun_at if found.up_at is None else found.up_at
        return Use(began, max(began, ended), sum(entry.bytes for entry in former))

    def top_dialers(self, since: float | None = None) -> list[Dialer]:
        """Return who has dialled, since then or ever, and by which rule, the most dials first.

        A line that was found up has been dialled by nobody here.
        """
        sums: dict[tuple[str, str, str, str], tuple[int, float, int]] = {}
        for rise in chains(self._select(_SINCE, (since or 0.0,))):
            first = rise[0]
            if first.cause == Cause.FOUND.value:
                continue
            who = (first.by, first.host, first.cause, first.rule)
            dials, up_s, carried = sums.get(who, (0, 0.0, 0))
            began, ended = _span(rise, rise[-1].until)
            carried += sum(entry.bytes for entry in rise)
            sums[who] = (dials + 1, up_s + ended - began, carried)
        dialers = [Dialer(*who, *used) for who, used in sums.items()]
        return sorted(dialers, key=lambda one: (-one.dials, -one.up_s))

    def cut_short(self, link: str) -> Entry | None:
        """Return the link's last entry if a kill cut it short in this boot of the machine."""
        with self._refusals():
            asked = {"link": link, "run": self.run}
            row = self._connection.execute(_LAST_OF_LINK, asked).fetchone()
        if row is None:
            return None
        values = dict(row)
        in_this_boot = values.pop("in_this_boot")
        return Entry(**values) if in_this_boot and values["ending"] == KILLED else None

    def _select(self, query: str, values: _Values) -> list[Entry]:
        with self._refusals():
            return [Entry(**row) for row in self._connection.execute(query, values)]

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise DeviceError(f"the dial ledger {self._path}: {error}") from error


def _closed(entry: Entry) -> Entry:
    """Return the entry as far as it is known."""
    seen = datetime.fromtimestamp(entry.seen_at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    detail = (
        f"last seen being raised at {seen}, it may have come up after that"
        if entry.up_at is None
        else f"last seen up at {seen}, it may have stayed up longer"
    )
    return replace(entry, ended_at=entry.seen_at, ending=KILLED, detail=detail)


def _span(rise: list[Entry], until: float) -> tuple[float, float]:
    """Return from when to when a line was up; an attempt that failed lasted no time."""
    first = rise[0]
    began = first.begun_at if first.up_at is None else first.up_at
    was_up = any(entry.up_at is not None for entry in rise)
    return began, max(began, until) if was_up else began
