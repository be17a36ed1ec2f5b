"""`top` on a pseudo-terminal, and its screen by itself."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from collections import Counter
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from router.cli.screen import ROWS, View, screen
from router.link.rows import BudgetRow, HeldRow, HolderRow, LeaseRow, LinkRow
from router.link.types import State
from tests.lab.controlled import PATIENCE_S, Controlled
from tests.lab.scripted import link_row
from tests.lab.terminal import heeds_ctrl_c
from tests.router.cli.conftest import command

_ESCAPES = re.compile(rb"\x1b\[[0-9;?]*[a-zA-Z]")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Controlled]:
    with Controlled(tmp_path).running() as served:
        served.lines.links = [link_row("isp", reason="idle")]
        yield served


def drawn(view: View) -> str:
    console = Console(file=StringIO(), width=120, highlight=False)
    console.print(screen(view))
    file = console.file
    assert isinstance(file, StringIO)
    return file.getvalue()


def view_of(served: Controlled, **more: Any) -> View:
    return View(served.client.get("status"), served.client.holding(), **more)


def test_the_screen_has_all_there_is(served: Controlled) -> None:
    served.lines.links = [
        link_row("isp", State.UP, address="203.0.113.2", falls_in_s=42.0, reason="[bold]x"),
        link_row("lte", State.DISABLED, blocked="stands by for isp"),
    ]
    served.lines.budgets = [
        BudgetRow("day", "minutes", 60.4, 120, 7200.0),
        BudgetRow("month", "bytes", 2.5e6, 200_000_000, 86400.0),
    ]
    served.lines.waiting = [HeldRow("mail", f"tcp {n}", 1.0, 59.0, 1, 60) for n in range(ROWS + 3)]
    served.lines.holders = [HolderRow("isp", "mail", "tcp ...:80", "accept everything", 170.0)]
    served.lines.leases = {"m1": LeaseRow("m1", "raise", "mail", "192.168.1.10", 80.0)}
    text = drawn(view_of(served, hosts=Counter({"mail": 3, "192.168.1.11": 12})))
    rows = [line.split() for line in text.splitlines()]
    assert ["isp", "UP", "5s", "203.0.113.2", "42s", "[bold]x", "router"] in rows
    assert "at start; stands by for isp" in text
    assert ["day", "minutes", "60", "120", "50%", "2h"] in rows
    assert ["month", "bytes", "2.5", "MB", "200.0", "MB", "1%", "24h"] in rows
    assert f"tcp {ROWS - 1} " in text
    assert f"tcp {ROWS} " not in text
    assert "and 3 more" in text
    assert ["m1", "raise", "192.168.1.10", "mail", "1m20s"] in rows
    assert rows.index(["192.168.1.11", "12"]) < rows.index(["mail", "3"])


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (
            link_row("isp", State.HOLDOFF, reason="busy", again_in_s=91.4),
            "busy; again in 1m31s, or by postroad up isp",
        ),
        (link_row("isp", State.DISABLED, reason="its hours", blocked="its hours"), "its hours"),
        (
            link_row("isp", State.HOLDOFF, reason="refused", blocked="refused; left to people"),
            "refused; left to people",
        ),
    ],
)
def test_why_a_line_is_down_is_told_once_and_until_when(
    served: Controlled, row: LinkRow, why: str
) -> None:
    served.lines.links = [row]
    lines = drawn(view_of(served)).splitlines()
    (told,) = [" ".join(line.split()) for line in lines if line.startswith("isp")]
    assert told == f"isp {row.state} 5s {why} router"


def test_what_is_quiet_is_said_and_too_many_sessions_are_not_counted(served: Controlled) -> None:
    served.forwarder.names = ["192.168.1.10:25"] * 5000
    text = drawn(view_of(served, hosts=None))
    assert "nothing waits for the line" in text
    assert "nothing holds the line" in text
    assert "5000 sessions are too many to count by host here" in text
    assert "Lease" not in text
    assert "Budget" not in text


def test_without_a_terminal_it_says_so(served: Controlled) -> None:
    done = command("top", "--control", served.path)
    assert done.exit_code == 2
    assert "top draws on a terminal" in done.stderr


class Terminal:
    """`postroad top` on a pseudo-terminal."""

    def __init__(self, path: Path) -> None:
        self.ours, theirs = pty.openpty()
        self.theirs = os.dup(theirs)
        self.before = termios.tcgetattr(theirs)
        termios.tcsetwinsize(theirs, (50, 120))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "router", "top", "--control", str(path)],
            stdin=theirs, stdout=theirs, stderr=theirs, preexec_fn=heeds_ctrl_c,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "50"},
        )  # fmt: skip
        os.close(theirs)
        self.seen = b""

    def read_until(self, text: str) -> None:
        """Read what is drawn until it has `text`; what comes after that is left for later."""
        deadline = time.monotonic() + 2 * PATIENCE_S
        while text.encode() not in (plain := _ESCAPES.sub(b"", self.seen)):
            left = deadline - time.monotonic()
            ready, _, _ = select.select([self.ours], [], [], max(0.0, left))
            assert ready, f"{text!r} is not in {plain[-3000:]!r}"
            self.seen += os.read(self.ours, 65536)
        self.seen = b""

    def press(self, key: bytes) -> None:
        os.write(self.ours, key)

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.ours)
        os.close(self.theirs)


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, None])
def test_it_is_drawn_anew_when_something_happens_and_ends_when_told(
    served: Controlled, ending: signal.Signals | None
) -> None:
    with Terminal(served.path) as terminal:
        terminal.read_until("DORMANT")
        served.step(State.UP, "as asked", "carol", address="203.0.113.2")
        terminal.read_until("203.0.113.2")
        if ending is None:
            terminal.press(b"q")
        else:
            terminal.process.send_signal(ending)
        assert terminal.process.wait(PATIENCE_S) == 0
        assert termios.tcgetattr(terminal.theirs) == terminal.before


@pytest.mark.slow
def test_a_router_that_stops_leaves_its_last_state_and_the_reason(tmp_path: Path) -> None:
    controlled = Controlled(tmp_path)
    with controlled.running():
        terminal = Terminal(controlled.path)
        terminal.read_until("DORMANT")
    with terminal:
        terminal.read_until("as it was, for no router answers at")
        terminal.press(b"q")
        assert terminal.process.wait(PATIENCE_S) == 0


@pytest.mark.slow
def test_a_router_that_does_not_answer_draws_nothing(tmp_path: Path) -> None:
    with Terminal(tmp_path / "control.sock") as terminal:
        terminal.read_until("no router answers at")
        assert terminal.process.wait(PATIENCE_S) == 1
