"""Entries of the ledger as the control API answers with them, read in central Europe."""

import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pytest

from router.host.ledger.entries import Entry

__all__ = ["BEGUN", "NO_LINE", "NO_PACKET", "OPEN", "PACKET", "told", "zone"]

BEGUN = 1_780_000_000.0  # Thu 2026-05-28 22:26:40 in Zürich
PACKET = "tcp 192.168.1.10:4000 -> 198.51.100.7:25 flags syn"


@pytest.fixture(autouse=True)
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The time of central Europe."""
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
        time.tzset()
        yield
    time.tzset()


def told(name: str = "", **fields: object) -> dict[str, Any]:
    """What the control API tells of an entry: a rise that ended, if nothing is said."""
    usual: dict[str, object] = {
        "link": "isp", "run": 4, "attempt": 2, "cause": "traffic", "by": "mail", "why": "",
        "host": "192.168.1.10", "mac": "52:54:00:12:34:56", "packet": PACKET,
        "rule": "accept tcp port 25", "begun_at": BEGUN, "up_at": BEGUN + 6.2,
        "seen_at": BEGUN + 772.0, "ended_at": BEGUN + 772.0, "address": "203.0.113.9",
        "waited_s": 6.24, "held": 3, "lost": 0, "received_bytes": 1_204_000,
        "sent_bytes": 340_000, "kept_by": "mail, by accept tcp port 25", "ending": "idle",
        "detail": "nothing held it", "continues": None, "id": 31,
    }  # fmt: skip
    return asdict(Entry(**(usual | fields))) | {"name": name}  # type: ignore[arg-type]


OPEN: dict[str, object] = {"ended_at": None, "ending": "", "detail": "", "kept_by": ""}
NO_LINE: dict[str, object] = {"up_at": None, "address": "", "waited_s": None, "kept_by": ""}
NO_PACKET: dict[str, object] = {"host": "", "mac": "", "packet": "", "rule": "", "held": 0}
