"""From signals and heartbeats to entries of the ledger.

Theory of operation. A link core signals a `Rise` when an attempt begins, is up, has another
address, and ends; each time its entry is written whole, and synced. In between, heartbeats write
until when it was seen and what it has carried: that is all the next start has to go by if the
router is killed.

* *Instants* are monotonic in signals and civil in the ledger. As long as an entry is open all of
  them are converted again with every write, so that a clock that was wrong when the line was
  dialled, and is set by way of it, spoils nothing.
* *Bytes* that pass are charged to the link that carries new sessions, the first of those that are
  up, as the budget does.
* *Trouble* with the database (a full disk, a card that has turned read-only) is counted, told now
  and then and never passed on. What could not be written is kept, within bounds, and goes with the
  next write.
* *Words* of leases, people and commands end up on terminals: what is not printable is replaced.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import inf

from router.errors import DeviceError
from router.host.ledger.entries import Entry
from router.host.ledger.store import Store
from router.link.messages import Rise
from router.link.types import Cause

__all__ = ["HEARTBEAT_S", "KEPT_DAYS", "Recorder"]

HEARTBEAT_S = (
    5.0  # seconds: what a kill may hide of a rise; costs little, it does not wait for disk
)
KEPT_DAYS = 400  # days: a year and a month, so that a month can be held against the year before's
LOG_INTERVAL_S = 3600.0  # seconds: a full disk stays full until somebody comes by
UNWRITTEN_ENTRIES = 500  # about 0.5 MB; at a dial every two minutes that is most of a day

_DAY_S = 86400.0  # seconds
_UNPRINTABLE = "\N{REPLACEMENT CHARACTER}"
_log = logging.getLogger(__name__)
_Key = tuple[str, int]  # link and attempt


@dataclass
class _Open:
    """A rise under way; `before` is the entry it goes on with."""

    rise: Rise
    seen_at: float
    before: Entry | None
    received_bytes: int = 0
    sent_bytes: int = 0


class Recorder:
    """Writes what becomes of every attempt into the store.

    `wall` turns monotonic seconds into those since 1970; `links` are the names of all links, the
    preferred one first. `failures` counts what the database refused.
    """

    def __init__(self, store: Store, wall: Callable[[float], float], links: Sequence[str]) -> None:
        self.failures = 0
        self._store = store
        self._wall = wall
        self._links = links
        self._open: dict[_Key, _Open] = {}
        self._unwritten: dict[_Key, Entry] = {}
        self._totals: tuple[int, int] | None = None
        self._prune_at = -inf
        self._quiet_until = -inf
        self._is_troubled = False  # and people were told

    def note(self, rise: Rise, received_bytes: int, sent_bytes: int) -> None:
        """Enter a signal; the bytes are the totals of the line's TUN so far."""
        self._charge(received_bytes, sent_bytes)
        key = (rise.link, rise.attempt)
        latest = _latest(rise)
        entered = self._open.get(key)
        if entered is None:
            entered = self._open[key] = _Open(rise, latest, self._continued(rise, latest))
        entered.rise = rise
        entered.seen_at = latest if rise.ended_at is not None else max(entered.seen_at, latest)
        self._write([self._entry(entered)], synced=True, at=latest)
        if rise.ended_at is not None:
            del self._open[key]

    def heartbeat(self, now: float, received_bytes: int, sent_bytes: int) -> None:
        """Enter until when the open ones were seen and what they have carried."""
        self._charge(received_bytes, sent_bytes)
        for entered in self._open.values():
            entered.seen_at = now
        if self._open or self._unwritten:
            self._write(map(self._entry, self._open.values()), synced=False, at=now)
        if now >= self._prune_at:
            self._prune(now)

    def _charge(self, received_bytes: int, sent_bytes: int) -> None:
        """Charge what has passed since the last call to the link that carried new sessions."""
        former = self._totals or (received_bytes, sent_bytes)
        self._totals = (received_bytes, sent_bytes)
        up = [entered for entered in self._open.values() if entered.rise.up_at is not None]
        if up:
            active = min(up, key=lambda entered: self._links.index(entered.rise.link))
            active.received_bytes += received_bytes - former[0]
            active.sent_bytes += sent_bytes - former[1]

    def _continued(self, rise: Rise, now: float) -> Entry | None:
        if rise.trigger.cause is not Cause.FOUND:
            return None
        try:
            return self._store.cut_short(rise.link)
        except DeviceError as error:
            self._trouble(error, now)
            return None

    def _entry(self, entered: _Open) -> Entry:
        rise, before, trigger = entered.rise, entered.before, entered.rise.trigger
        begun_at = self._wall(rise.begun_at)
        return Entry(
            link=rise.link,
            run=self._store.run,
            attempt=rise.attempt,
            cause=trigger.cause.value,
            by=_printable(trigger.by),
            why=_printable(trigger.why),
            host=trigger.host,
            mac=trigger.mac,
            packet=_printable(trigger.packet),
            rule=_printable(trigger.rule),
            begun_at=begun_at if before is None else min(begun_at, before.until),
            up_at=None if rise.up_at is None else self._wall(rise.up_at),
            seen_at=self._wall(entered.seen_at),
            ended_at=None if rise.ended_at is None else self._wall(rise.ended_at),
            address=rise.address,
            waited_s=rise.waited_s,
            held=rise.held,
            lost=rise.lost,
            received_bytes=entered.received_bytes,
            sent_bytes=entered.sent_bytes,
            kept_by=_printable(rise.kept_by),
            ending="" if rise.ending is None else rise.ending.value,
            detail=_printable(rise.detail),
            continues=None if before is None else before.id,
        )

    def _write(self, entries: Iterable[Entry], *, synced: bool, at: float) -> None:
        waiting = self._unwritten | {(entry.link, entry.attempt): entry for entry in entries}
        try:
            self._store.write(waiting.values(), synced=synced or bool(self._unwritten))
        except DeviceError as error:
            self._unwritten = dict(list(waiting.items())[-UNWRITTEN_ENTRIES:])
            self._trouble(error, at)
            return
        self._unwritten = {}
        if self._is_troubled:
            self._is_troubled = False
            _log.info("the dial ledger is written again")

    def _prune(self, now: float) -> None:
        self._prune_at = now + _DAY_S
        try:
            self._store.prune(self._wall(now) - KEPT_DAYS * _DAY_S)
        except DeviceError as error:
            self._trouble(error, now)

    def _trouble(self, error: DeviceError, now: float) -> None:
        self.failures += 1
        if now >= self._quiet_until:
            self._quiet_until = now + LOG_INTERVAL_S
            self._is_troubled = True
            _log.error("%s; the router goes on (%d failures so far)", error, self.failures)


def _latest(rise: Rise) -> float:
    return max(at for at in (rise.begun_at, rise.up_at, rise.ended_at) if at is not None)


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else _UNPRINTABLE for each in text)
