"""What the ledger tells: entries, one for each attempt to raise a link, and who dials most.

Instants are seconds since 1970, UTC. Each becomes a JSON object of the control API, field for
field.
"""

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["KILLED", "Dialer", "Entry", "chains"]

KILLED = "router was killed"  # the ending that no core can report


@dataclass(frozen=True, slots=True)
class Entry:
    """One attempt to raise a link and the rise it became, if it did.

    `run` tells the starts of the router apart, `attempt` those of a link in one of them. `cause`,
    `by`, `why`, `host`, `mac`, `packet` and `rule` are those of the trigger; `ending` is "" until
    there is one. `seen_at` is when the router last wrote the entry down: what is known of one that
    has not ended holds for that instant. `continues` is the id of the entry that a kill cut short
    and this one goes on with: then `begun_at` is the end of that, and `up_at` when it was found up.
    `id` is 0 until the database has given one.
    """

    link: str
    run: int
    attempt: int
    cause: str
    by: str
    why: str
    host: str
    mac: str
    packet: str
    rule: str
    begun_at: float
    up_at: float | None
    seen_at: float
    ended_at: float | None
    address: str
    waited_s: float | None
    held: int
    lost: int
    received_bytes: int
    sent_bytes: int
    kept_by: str
    ending: str
    detail: str
    continues: int | None = None
    id: int = 0

    @property
    def until(self) -> float:
        """When it ended, or until when it is known to have lasted."""
        return self.seen_at if self.ended_at is None else self.ended_at

    @property
    def bytes(self) -> int:
        """What it has carried both ways."""
        return self.received_bytes + self.sent_bytes


@dataclass(frozen=True, slots=True)
class Dialer:
    """What one host, user or lease has dialled under one rule; `host` is "" where there is none."""

    by: str
    host: str
    cause: str
    rule: str
    dials: int
    up_s: float
    bytes: int


def chains(entries: Iterable[Entry]) -> list[list[Entry]]:
    """Put what is one rise together, though kills cut it into several entries.

    The entries are in the order in which they were made.
    """
    made: dict[int, list[Entry]] = {}
    for entry in entries:
        before = [] if entry.continues is None else made.pop(entry.continues, [])
        made[entry.id] = [*before, entry]
    return list(made.values())
