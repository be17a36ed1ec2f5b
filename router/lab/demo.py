"""The demonstration: a lab of its own, real programs in it, and what they saw, step by step."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table
from rich.text import Text

from router.errors import DeviceError
from router.lab import build, process
from router.lab.files import Line
from router.lab.process import Process
from router.lab.registry import Lab
from router.lab.stage import Finding, Stage, StepError
from router.lab.steps import STEPS, Step

__all__ = ["recorded", "run"]

_TABLES = ("why", "sessions", "mappings", "forward list", "status")
# No step leaves the line unused for so long but those that are about it; bulk takes some seconds.
_LINE = Line(dial_s=3, idle_s=8, rate=10_000_000)
_PIPE_WIDTH = 120  # columns where there is no terminal
_TCPDUMP_START_S = 10.0
_POLL_S = 0.05
_STYLES = {Finding.COMMAND: ("  ", "cyan"), Finding.FACT: ("    ", "")}


@dataclass(frozen=True, slots=True)
class _Result:
    step: Step
    seconds: float
    failure: str


def run() -> bool:
    """Bring a lab up, perform every step, show the router's tables, take the lab down.

    Returns whether all steps and tables succeeded. Raises RouterError when the lab cannot be built.
    """
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH)
    began = time.monotonic()
    with _unwinding_at_sigterm(), _own_lab(console) as lab:
        with recorded(lab):
            results = _perform_all(console, lab)
        shown = [_show_table(console, lab, command) for command in _TABLES]
        succeeded = all(shown) and not any(result.failure for result in results)
        if not succeeded:
            _show_log(console, lab)
    _summarize(console, results, time.monotonic() - began)
    return succeeded


@contextmanager
def _unwinding_at_sigterm() -> Iterator[None]:
    """Have SIGTERM leave the block as Ctrl-C does, so that what was set up is taken down.

    So does SIGHUP, of a terminal that is closed; what comes after the first does not disturb.
    """
    numbers = (signal.SIGTERM, signal.SIGHUP)

    def leave(number: int, _frame: FrameType | None) -> None:
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        sys.exit(128 + number)

    usual = [signal.signal(number, leave) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, usual, strict=True):
            signal.signal(number, handler)


@contextmanager
def _own_lab(console: Console) -> Iterator[Lab]:
    name = f"demo-{os.getpid()}"
    lab = build.up(name, process.current("owner"), _LINE)
    try:
        console.print(
            f"A LAN, a router and an Internet, in the namespaces {lab.prefix}-*\n", style="dim"
        )
        yield lab
    finally:
        build.down(name)


@contextmanager
def recorded(lab: Lab) -> Iterator[None]:
    """Record what passes on the line, as the provider sees it, while the block runs."""
    log = lab.log("tcpdump")
    # Nothing else there has packets of its own, and no device may be named that is down.
    command = ("tcpdump", "-U", "-n", "-s", "128", "-Z", "root", "-i", "any")
    target = ("-w", str(lab.recording))
    watcher = process.start("tcpdump", lab.namespace("internet"), (*command, *target), log)
    _wait_for_tcpdump(watcher, log)
    try:
        yield
    finally:
        process.stop(watcher, grace_s=1.0)


def _wait_for_tcpdump(watcher: Process, log: Path) -> None:
    deadline = time.monotonic() + _TCPDUMP_START_S
    while "listening on" not in log.read_text():
        if not process.is_alive(watcher) or time.monotonic() > deadline:
            raise DeviceError(f"tcpdump does not record: {log.read_text()}")
        time.sleep(_POLL_S)


def _perform_all(console: Console, lab: Lab) -> list[_Result]:
    results = []
    columns = (SpinnerColumn(), MofNCompleteColumn(), BarColumn(), TextColumn("{task.description}"))
    shown = console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=not shown) as progress:
        task = progress.add_task("", total=len(STEPS))
        for number, step in enumerate(STEPS, 1):
            progress.update(task, description=step.title)
            results.append(_perform(console, lab, number, step))
            progress.advance(task)
    return results


def _perform(console: Console, lab: Lab, number: int, step: Step) -> _Result:
    stage = Stage(lab)
    began = time.monotonic()
    try:
        step.perform(stage)
        failure = ""
    except StepError as error:
        failure = str(error)
    except Exception as error:  # of the step itself; the others still have something to show
        failure = f"{type(error).__name__}: {error}"
    seconds = time.monotonic() - began
    console.print(Text(f"{number:2} {step.title}", style="bold"))
    for finding, text in stage.evidence:
        indent, style = _STYLES[finding]
        console.print(Text(f" {indent}{text}", style=style), soft_wrap=True)
    if failure:
        console.print(Text(f"   FAILED: {failure}", style="bold red"), soft_wrap=True)
    else:
        console.print(Text(f"   done in {seconds:.1f} s", style="green"))
    return _Result(step, seconds, failure)


def _show_table(console: Console, lab: Lab, command: str) -> bool:
    console.print(Text(f"\n$ postroad {command}", style="cyan"))
    sys.stdout.flush()
    line = [*build.POSTROAD, *command.split(), "-c", str(lab.config)]
    code = subprocess.run(line, check=False).returncode
    if code:
        console.print(Text(f"   FAILED: exit code {code}", style="bold red"))
    return code == 0


def _show_log(console: Console, lab: Lab) -> None:
    console.print("\nWhat the router has logged", style="bold")
    console.print(Text(lab.log("router").read_text()), soft_wrap=True)


def _summarize(console: Console, results: Sequence[_Result], seconds: float) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("Step", "", "Result", "Seconds"):
        table.add_column(heading, justify="right" if heading in ("Step", "Seconds") else "left")
    for number, result in enumerate(results, 1):
        outcome = (
            Text("failed", style="bold red") if result.failure else Text("done", style="green")
        )
        table.add_row(str(number), result.step.title, outcome, f"{result.seconds:.1f}")
    console.print()
    console.print(table)
    succeeded = sum(not result.failure for result in results)
    console.print(
        f"\n{succeeded} of {len(results)} steps succeeded, {seconds:.0f} s in all; the lab is gone."
    )
