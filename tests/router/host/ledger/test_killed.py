"""A router that is killed in the middle of its writing, for real."""

import subprocess
import sys
from pathlib import Path

from router.host.ledger.entries import KILLED
from router.host.ledger.recorder import Recorder
from router.host.ledger.store import Store
from router.link.budget import Use
from tests.router.host.ledger.conftest import BOOT, EPOCH, found

RISES = 20  # that end before the one in which the kill falls
HEARTBEATS = 50  # of that one before the kill

# Writes without end; each line on standard output tells of a write that has returned.
WRITER = f"""
import sys
from dataclasses import replace
from itertools import count
from pathlib import Path

from router.host.ledger.recorder import Recorder
from router.host.ledger.store import Store
from router.link.messages import (Rise, Trigger)
from router.link.types import (Cause, Ending)

store = Store(Path(sys.argv[1]), {BOOT!r})
recorder = Recorder(store, lambda now: now + {EPOCH!r}, ["isp"])


def note(rise):
    recorder.note(rise, rise.attempt * 100, rise.attempt * 10)
    print(rise.attempt, "ended" if rise.ended_at else "up" if rise.up_at else "begun", flush=True)


for attempt in range(1, {RISES} + 2):
    rise = Rise("isp", attempt, Trigger(Cause.USER, "mara"), begun_at=attempt * 10.0)
    note(rise)
    note(replace(rise, up_at=attempt * 10.0 + 2.0))
    if attempt <= {RISES}:
        note(replace(rise, up_at=attempt * 10.0 + 2.0, ended_at=attempt * 10.0 + 8.0,
             ending=Ending.USER))
for beat in count(1):
    recorder.heartbeat(attempt * 10.0 + 2.0 + beat * 5.0, attempt * 100 + beat * 7, attempt * 10)
    print("beat", beat, flush=True)
"""


def killed_while_writing(path: Path) -> int:
    """Return the last heartbeat that is known to have been written."""
    command = [sys.executable, "-P", "-c", WRITER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout
        for line in writer.stdout:
            if line == f"beat {HEARTBEATS}\n":
                writer.kill()
                break
        rest = [line for line in writer.stdout if line.endswith("\n")]
    assert writer.returncode == -9
    return HEARTBEATS + len(rest)


def test_nothing_is_lost_by_a_kill_and_the_next_start_closes_the_books(path: Path) -> None:
    beats = killed_while_writing(path)
    store = Store(path, BOOT)
    (closed,) = store.close_abandoned()
    last, *ended = store.entries(100)
    assert [(each.attempt, each.ending, each.up_at, each.ended_at) for each in ended] == [
        (n, "user", EPOCH + n * 10.0 + 2.0, EPOCH + n * 10.0 + 8.0) for n in range(RISES, 0, -1)
    ]
    assert last == closed
    up_at = EPOCH + (RISES + 1) * 10.0 + 2.0
    written = round((last.seen_at - up_at) / 5.0)
    assert written in (beats, beats + 1)  # the last one may have been written but not told
    assert (last.up_at, last.ended_at, last.ending) == (up_at, last.seen_at, KILLED)
    assert last.received_bytes == written * 7
    assert "it may have stayed up longer" in last.detail

    at = last.seen_at - EPOCH + 30.0
    Recorder(store, lambda now: now + EPOCH, ["isp"]).note(found(1, at), 0, 0)
    *others, use = store.uses(EPOCH, {"isp"})
    assert len(others) == RISES
    assert use == Use(up_at, last.seen_at + 30.0, written * 7)
    store.close()


def test_a_router_killed_again_and_again_has_one_rise_in_its_books(path: Path) -> None:
    beats = killed_while_writing(path)
    for again in range(1, 4):
        store = Store(path, BOOT)
        store.close_abandoned()
        at = 1000.0 * again
        Recorder(store, lambda now: now + EPOCH, ["isp"]).note(found(1, at), 0, 0)
        use = store.uses(EPOCH, {"isp"})[-1]
        store.close()  # with the line still up
        assert use.began_s == EPOCH + (RISES + 1) * 10.0 + 2.0
        assert use.ended_s == EPOCH + at
        assert use.bytes >= beats * 7
    store = Store(path, BOOT)
    assert len(store.uses(EPOCH, {"isp"})) == RISES + 1
    store.close()
