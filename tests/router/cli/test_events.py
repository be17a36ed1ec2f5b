import asyncio
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from router.cli import events
from router.cli.events import Teller
from router.errors import ControlError
from router.host.control.client import ControlClient, Event
from router.host.control.signals import event_of
from router.link.messages import Rise, Signal, StateChange, Trigger, Warned
from router.link.types import Cause, Ending, State
from tests.lab.controlled import PATIENCE_S, WALL, Controlled, eventually
from tests.lab.terminal import heeds_ctrl_c

SYN = "tcp 192.168.1.11:4000 -> 198.51.100.7:80 flags syn"
ALICE = Trigger(Cause.DEMAND, by="alice", packet=SYN, rule="accept everything")
CAROL = Trigger(Cause.USER, by="carol", why="carol asked for it")
AT = f"{datetime.fromtimestamp(WALL, UTC).astimezone():%H:%M:%S}"


def event(kind: str, data: dict[str, Any]) -> Event:
    return Event(kind, 1, {"at": WALL, **data})


SIGNALS: list[tuple[Signal, str]] = [
    (
        StateChange("isp", State.DORMANT, State.DIALING, SYN, "alice", 0.0),
        f"isp DORMANT -> DIALING: {SYN} (alice)",
    ),
    (StateChange("isp", State.UP, State.HOLDOFF, "no carrier", "", 0.0),
     "isp UP -> HOLDOFF: no carrier"),
    (Rise("isp", 3, ALICE, 0.0), f"isp attempt 3 for alice: {SYN} by rule: accept everything"),
    (Rise("isp", 3, CAROL, 0.0), "isp attempt 3 for carol: carol asked for it"),
    (Rise("isp", 3, Trigger(Cause.RECOVERY), 0.0), "isp attempt 3 for recovery: recovery"),
    (
        Rise("isp", 3, ALICE, 0.0, up_at=5.2, address="203.0.113.2"),
        "isp attempt 3 is up with 203.0.113.2 after 5s",
    ),
    (
        Rise("isp", 3, ALICE, 0.0, up_at=5.0, ended_at=65.0, held=4, lost=1, kept_by="tcp ...",
             ending=Ending.IDLE, detail="nothing held it"),
        "isp attempt 3 ended after 1m up: idle, nothing held it; 4 packets held, 1 lost;"
        " held last by tcp ...",
    ),
    (
        Rise("isp", 3, ALICE, 0.0, ended_at=60.0, ending=Ending.TIMED_OUT),
        "isp attempt 3 ended without coming up: timed out; 0 packets held, 0 lost",
    ),
    (Warned("80 % of today's minutes are used", 0.0), "warning: 80 % of today's minutes are used"),
]  # fmt: skip


@pytest.mark.parametrize(("signal", "line"), SIGNALS)
def test_each_signal_is_a_line(signal: Signal, line: str) -> None:
    told = event_of(signal)
    assert told is not None
    assert list(Teller().lines_of(event(*told))) == [f"{AT} {line}"]


UP = Rise("isp", 2, ALICE, 0.0, up_at=5.2, address="203.0.113.2")
ENDED = replace(UP, ended_at=65.0, ending=Ending.CARRIER_LOST, detail="carrier lost")
SNAPSHOT: tuple[str, dict[str, Any]] = ("snapshot", {"links": []})
IS_UP = "isp attempt 2 is up with 203.0.113.2 after 5s"
HAS_ENDED = "isp attempt 2 ended after 1m up: carrier lost; 0 packets held, 0 lost"


@pytest.mark.parametrize(
    ("told", "lines"),
    [
        ([UP, UP, UP], [IS_UP]),
        (
            [UP, replace(UP, held=1, waited_s=5.2), replace(UP, held=3), replace(UP, held=3)],
            [IS_UP, *(f"isp attempt 2: {held} held, 0 lost" for held in ("1 packet", "3 packets"))],
        ),
        ([UP, replace(UP, address="203.0.113.7")], [IS_UP]),  # the change of state says it
        ([UP, replace(UP, kept_by="tcp ...")], [IS_UP]),
        ([UP, ENDED, ENDED], [IS_UP, HAS_ENDED]),
        ([ENDED, replace(ENDED, lost=1)], [HAS_ENDED, "isp attempt 2: 0 packets held, 1 lost"]),
        ([UP, replace(UP, link="lte")], [IS_UP, IS_UP.replace("isp", "lte")]),
        ([UP, replace(UP, attempt=3)], [IS_UP, IS_UP.replace("2 is", "3 is")]),
        ([UP, SNAPSHOT, UP], [IS_UP, IS_UP]),  # of another run
    ],
)  # fmt: skip
def test_of_an_attempt_people_are_told_what_is_new(
    told: list[Signal | tuple[str, dict[str, Any]]], lines: list[str]
) -> None:
    teller, said = Teller(), []
    for each in told:
        kind_and_data = each if isinstance(each, tuple) else event_of(each)
        assert kind_and_data is not None
        said += teller.lines_of(event(*kind_and_data))
    assert said == [f"{AT} {line}" for line in lines]


GRANTED = {
    "change": "granted", "id": "m1", "right": "raise", "why": "mail", "host": "192.168.1.10",
    "by": "root", "expires_in_s": 90.0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "data", "line"),
    [
        ("lease", GRANTED | {"refused": ""}, "lease m1 granted to root for 1m30s: mail"),
        (
            "lease", GRANTED | {"refused": "over budget"},
            "lease m1 granted to root for 1m30s: mail; the line is not raised: over budget",
        ),
        ("lease", {"change": "released", "id": "m1", "by": "root"}, "lease m1 released by root"),
        ("forwards", {"change": "added", "rule": "tcp 25 -> 10.0.0.1", "origin": "control"},
         "forward added: tcp 25 -> 10.0.0.1"),
        ("forwards", {"change": "reloaded", "forwards": 3, "sessions_reset": 0},
         "forwards reloaded: 3 in force"),
        ("of-another-version", {}, "of-another-version"),
    ],
)  # fmt: skip
def test_each_other_event_is_a_line(kind: str, data: dict[str, Any], line: str) -> None:
    assert list(Teller().lines_of(event(kind, data))) == [f"{AT} {line}"]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Controlled]:
    with Controlled(tmp_path).running() as served:
        yield served


@pytest.mark.slow
@pytest.mark.parametrize("as_json", [False, True])
def test_events_are_told_until_ctrl_c(served: Controlled, as_json: bool) -> None:
    line = [sys.executable, "-m", "router", "events", "--control", str(served.path)]
    with subprocess.Popen(
        [*line, "--json"] if as_json else line,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=heeds_ctrl_c,
    ) as telling:
        try:
            assert telling.stdout is not None
            first = telling.stdout.readline()
            served.step(State.UP, "as asked", "carol", address="203.0.113.2")
            second = telling.stdout.readline()
            telling.send_signal(signal.SIGINT)
            assert telling.wait(PATIENCE_S) == 0
        finally:
            telling.kill()
    if as_json:
        told = [json.loads(each) for each in (first, second)]
        assert [each["event"] for each in told] == ["snapshot", "state"]
        assert told[1]["id"] == told[0]["id"] + 1
        assert told[1]["data"]["state"] == "UP"
    else:
        assert first == f"{AT} isp is DORMANT for 5s: at start (router)\n"
        assert second == f"{AT} isp DORMANT -> UP: as asked (carol)\n"


def test_a_router_that_stops_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(events, "RETRY_S", 0.05)
    told: list[str] = []
    first, second = Controlled(tmp_path), Controlled(tmp_path, WALL + 60)

    async def follow() -> None:
        await asyncio.wait_for(events._follow(first.client, lambda e: told.append(e.kind)), 30)

    loop = asyncio.new_event_loop()
    following = loop.create_task(follow())

    def run() -> None:
        loop.run_until_complete(asyncio.wait([following]))
        loop.close()

    reader = threading.Thread(target=run)
    with first.running():
        reader.start()
        eventually(lambda: told == ["snapshot"], "the first router tells")
    with second.running():
        eventually(lambda: told[1:] == ["snapshot"], "the second router tells")
        loop.call_soon_threadsafe(following.cancel)
        reader.join()
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "the router has stopped; asking again until Ctrl-C"
    assert len(said) <= 2  # however often it was asked


def test_a_router_that_never_answered_is_an_error(tmp_path: Path) -> None:
    client = ControlClient(tmp_path / "control.sock")
    with pytest.raises(ControlError, match="no router answers"):
        asyncio.run(events._follow(client, lambda _: None))
