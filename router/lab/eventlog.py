"""What the lab's servers write down: one line an event, on standard output.

A line is `TIME SERVICE REMOTE OWN WHAT`: UTC with milliseconds, then both ends as `a.b.c.d:port`.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

__all__ = ["Event", "events", "note"]


@dataclass(frozen=True, slots=True)
class Event:
    """One line: when, which service, whom it saw at the other end, where, and what happened."""

    at: datetime
    service: str
    remote: str
    own: str
    what: str

    @property
    def remote_address(self) -> str:
        """Return the remote's address without its port."""
        return self.remote.rpartition(":")[0]


def note(service: str, remote: tuple[str, int], own: tuple[str, int], what: str) -> None:
    """Write one event down now."""
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    print(at, service, f"{remote[0]}:{remote[1]}", f"{own[0]}:{own[1]}", what, flush=True)


def events(log: Path) -> list[Event]:
    """Read back what a server has noted so far; lines of another kind are passed over."""
    return [event for line in log.read_text().splitlines() if (event := _event(line))]


def _event(line: str) -> Event | None:
    try:
        at, service, remote, own, what = line.split(" ", 4)
        return Event(datetime.fromisoformat(at), service, remote, own, what)
    except ValueError:
        return None
