"""A port that is a program: it speaks PPP, or a modem's commands, on its standard input and output.

Theory of operation. The program has a terminal of its own, raw and without echo, and leads the
session whose terminal that is. When it ends the terminal is hung up; the port reads the end when
nobody has it open any more, so whoever is left of the program's group is ended then. When the port
is closed the program is hung up in turn (SIGHUP), before its group is ended as any command's is
(`host.lines.process`).

What it writes to standard error goes nowhere: programs put secrets there.
"""

import asyncio
import os
import tty
from collections.abc import Sequence

from router.host.lines.backend import DialError
from router.host.lines.process import SYSTEM_PATH, Process, spawn

__all__ = ["PtyPort"]


class PtyPort:
    """Implements `router.host.ppp.port.Port`; `command` is a program and its arguments."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = tuple(command)
        self._descriptor = -1
        self._process: Process | None = None
        self._watch: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        """Return the program's name."""
        return self._command[0]

    @property
    def descriptor(self) -> int:
        """Return the descriptor of our end of the terminal."""
        return self._descriptor

    async def open(self) -> None:
        """Start the program."""
        try:
            ours, its = os.openpty()
        except OSError as error:
            raise DialError(f"no terminal for {self.name}: {error.strerror}") from None
        try:
            tty.setraw(its)
            os.set_blocking(ours, False)
            self._process = _start(self._command, os.ttyname(its))
        except OSError as error:
            os.close(ours)
            raise DialError(f"{self.name} cannot be started: {error.strerror}") from None
        finally:
            os.close(its)
        self._descriptor = ours
        self._watch = asyncio.ensure_future(_outlive(self._process))

    def heed_carrier(self) -> None:
        """Do nothing: the end of the program always counts."""

    async def send_break(self) -> None:
        """Do nothing: a program's terminal has none."""

    async def close(self) -> None:
        """Hang up on the program, and end it and its group; broken off, to be done again."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        if self._process is not None and self._watch is not None:
            self._watch.cancel()
            await asyncio.wait({self._watch})
            await self._process.end()
            self._process = self._watch = None


def _start(command: tuple[str, ...], terminal: str) -> Process:
    """Start a command with this terminal, which it opens itself so that it controls it."""
    files = ((os.POSIX_SPAWN_OPEN, 0, terminal, os.O_RDWR, 0), (os.POSIX_SPAWN_DUP2, 0, 1))
    pid = spawn(command, {"PATH": SYSTEM_PATH}, files)
    return Process(pid, _silence(), _ignore)


async def _outlive(process: Process) -> None:
    """Let nobody of a program's group live on without it."""
    await process.wait()
    await process.end()


def _silence() -> int:
    """Return what a process is heard by that says nothing besides what it says on its terminal."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    os.close(writing)
    return reading


def _ignore(_line: str) -> None: ...
