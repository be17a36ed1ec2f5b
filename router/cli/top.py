"""`postroad top`: the router at a glance, drawn anew each second and whenever something happens.

Theory of operation. One task asks and draws; another follows the events and wakes it. What is asked
is brief whatever the router has to do: sessions, of which there may be many, are counted only now
and then, and only while they are few. A router that does not answer leaves its last state on the
screen, with the reason; it is asked again. The terminal is as before afterwards.
"""

import asyncio
import os
import signal
import sys
import termios
import tty
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import click
from rich.live import Live

from router.cli.options import control_client, control_options
from router.cli.screen import View, screen
from router.errors import ControlError
from router.host.control.client import ControlClient

__all__ = ["top"]

REFRESH_S = 1.0  # seconds
LEAST_REFRESH_S = 0.2  # seconds, however much happens: nobody reads faster
RETRY_S = 2.0  # seconds until a stream of events that has ended is asked for again
HOSTS_EVERY_S = 5.0  # seconds between two counts of the sessions by host
HOSTS_SESSIONS = 2000  # up to so many are counted: 20 ms of the router's time

_QUIT = (b"q", b"Q", b"")  # or the terminal has gone


@click.command()
@control_options
def top(config_path: Path | None, control: Path | None) -> None:
    """Show links, budgets, what holds and what waits, until q or Ctrl-C."""
    if not sys.stdout.isatty():
        raise click.UsageError(
            'top draws on a terminal; "postroad status" and "postroad holding" print'
        )
    client = control_client(config_path, control)
    with suppress(KeyboardInterrupt):
        asyncio.run(_Top(client).run())


class _Top:
    """The screen of one terminal."""

    def __init__(self, client: ControlClient) -> None:
        self._client = client
        self._ended = False
        self._wake = asyncio.Event()
        self._hosts: Counter[str] | None = Counter()
        self._hosts_at = float("-inf")

    async def run(self) -> None:
        """Draw until somebody ends it; raises ControlError if the router never answers."""
        view = await self._look()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._end)
        following = asyncio.create_task(self._follow())
        try:
            with _keys(self._key), Live(screen(view), screen=True, auto_refresh=False) as live:
                while not self._ended:
                    await self._pause()
                    try:
                        view = await self._look()
                    except ControlError as error:
                        view.trouble = f"as it was, for {error}"
                    live.update(screen(view), refresh=True)
        finally:
            following.cancel()

    def _key(self, key: bytes) -> None:
        if key in _QUIT:
            self._end()

    def _end(self) -> None:
        self._ended = True
        self._wake.set()

    async def _pause(self) -> None:
        """Wait until there is something to draw, or for a second."""
        await asyncio.sleep(LEAST_REFRESH_S)
        with suppress(TimeoutError):
            async with asyncio.timeout(REFRESH_S - LEAST_REFRESH_S):
                await self._wake.wait()
        self._wake.clear()

    async def _look(self) -> View:
        status = await self._client.ask("GET", "status")
        holding = await self._client.ask("GET", "holding")
        await self._count_hosts(status["traffic"]["sessions"])
        return View(status, holding, self._hosts)

    async def _count_hosts(self, sessions: int) -> None:
        now = asyncio.get_running_loop().time()
        if now < self._hosts_at + HOSTS_EVERY_S:
            return
        self._hosts_at = now
        self._hosts = None
        if sessions <= HOSTS_SESSIONS:
            rows = (await self._client.ask("GET", "sessions"))["sessions"]
            internals = ((row["host"], row["internal"].partition(":")[0]) for row in rows)
            self._hosts = Counter(name or address for name, address in internals)

    async def _follow(self) -> None:
        """Have each event drawn soon."""
        while True:
            with suppress(ControlError):
                async for _ in self._client.events():
                    self._wake.set()
            await asyncio.sleep(RETRY_S)


@contextmanager
def _keys(tell: Callable[[bytes], None]) -> Iterator[None]:
    """Tell of each key while the block runs, if standard input is a terminal."""
    if not sys.stdin.isatty():
        yield
        return
    loop, keyboard = asyncio.get_running_loop(), sys.stdin.fileno()
    usual = termios.tcgetattr(keyboard)
    tty.setcbreak(keyboard)
    loop.add_reader(keyboard, lambda: tell(_read_key(keyboard)))
    try:
        yield
    finally:
        loop.remove_reader(keyboard)
        termios.tcsetattr(keyboard, termios.TCSADRAIN, usual)


def _read_key(keyboard: int) -> bytes:
    try:
        return os.read(keyboard, 1)
    except OSError:
        return b""
