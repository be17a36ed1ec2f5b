"""Entries and rises as the ledger's tests tell them; instants in seconds after `EPOCH`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from router.host.ledger.entries import Entry
from router.host.ledger.recorder import Recorder
from router.host.ledger.store import Store
from router.link.messages import Rise, Trigger
from router.link.types import Cause

EPOCH = 1_780_000_000.0  # 2026-05-28 20:26:40 UTC
BOOT = "boot-1"
PACKET = "tcp 192.168.1.10:4000 -> 198.51.100.7:25 flags syn"
TRIGGER = Trigger(
    Cause.DEMAND,
    by="mail",
    host="192.168.1.10",
    mac="52:54:00:12:34:56",
    packet=PACKET,
    rule="accept tcp port 25",
)


class Wall:
    """The clock on the wall; `set_by` moves its hands."""

    def __init__(self) -> None:
        self.offset_s = EPOCH

    def __call__(self, now: float) -> float:
        return now + self.offset_s

    def set_by(self, seconds: float) -> None:
        self.offset_s += seconds


def entry(**fields: object) -> Entry:
    """An entry with these fields; one that has come up, and has not ended, if nothing is said."""
    usual: dict[str, object] = {
        "link": "isp", "run": 1, "attempt": 1, "cause": "traffic", "by": "mail", "why": "",
        "host": "192.168.1.10", "mac": "52:54:00:12:34:56", "packet": PACKET,
        "rule": "accept tcp port 25", "begun_at": EPOCH, "up_at": EPOCH + 5.0,
        "seen_at": EPOCH + 60.0, "ended_at": None, "address": "203.0.113.9", "waited_s": 5.0,
        "held": 3, "lost": 1, "received_bytes": 1000, "sent_bytes": 200, "kept_by": "",
        "ending": "", "detail": "",
    }  # fmt: skip
    return Entry(**(usual | fields))  # type: ignore[arg-type]


def found(attempt: int, at: float, **fields: object) -> Rise:
    """The rise of a line that was up when somebody looked."""
    trigger = Trigger(Cause.FOUND, by="isp", why="it was up already")
    return Rise("isp", attempt, trigger, begun_at=at, up_at=at, **fields)  # type: ignore[arg-type]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    """The store of the second run; entries are of the first if nothing is said."""
    Store(path, BOOT).close()
    opened = Store(path, BOOT)
    assert opened.run == 2
    yield opened
    opened.close()


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def recorder(store: Store, wall: Wall) -> Recorder:
    return Recorder(store, wall, ["isp", "lte"])
