"""`postroad capture`: packets on either side of the translation, or frames of a line, as pcapng.

The file is opened when the first block comes, so that one that exists is not emptied for a router
that does not answer. Writing blocks, and a reader that stalls stalls nothing else here: SIGINT and
SIGTERM end a write as they end a wait.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import click

from router.cli.options import control_client, control_options
from router.errors import DeviceError
from router.host.control.client import ControlClient
from router.host.control.pcapng import ENHANCED_PACKET, dropped_in, split_blocks

__all__ = ["capture"]


@click.command()
@click.argument("side", type=click.Choice(["lan", "wan", "both", "line"]))
@click.option(
    "-w",
    "write_path",
    required=True,
    metavar="FILE",
    help='Where the pcapng goes; "-" is standard output, as in: -w - | tcpdump -n -r -',
)
@click.option(
    "--link", default="", metavar="NAME", help="Whose line, where several links speak PPP."
)
@click.option("--count", type=click.IntRange(min=1), help="End after so many packets.")
@control_options
def capture(
    side: str,
    write_path: str,
    link: str,
    count: int | None,
    config_path: Path | None,
    control: Path | None,
) -> None:
    """Capture packets until Ctrl-C: before translation on one side, after it on the other.

    "line" captures the frames of a PPP line instead, also those before it is up: how the two ends
    negotiate and log in. Passwords of PAP are blanked.
    """
    if link and side != "line":
        raise click.UsageError("--link goes with the side line")
    if write_path == "-" and sys.stdout.isatty():
        raise click.UsageError('standard output is a terminal; pipe it or give "-w FILE"')
    client = control_client(config_path, control)
    with _Recording(write_path, count) as recording, _ended_by_signals():
        asyncio.run(_record(client, side, link, recording))


class _Recording:
    """Where the blocks go, and how many packets went there; tells at its end, had it a start."""

    def __init__(self, path: str, count: int | None) -> None:
        self._path = path
        self._count = count
        self._target: int | None = None
        self._packets = self._dropped = 0

    def __enter__(self) -> "_Recording":
        return self

    def __exit__(self, *_: object) -> None:
        if self._target is not None:
            click.echo(f"{self._packets} packets captured, {self._dropped} left out", err=True)

    def add(self, blocks: bytes) -> bool:
        """Write whole blocks, nothing held back; return whether more are wanted.

        Raises DeviceError when they cannot be written, BrokenPipeError when nobody reads on.
        """
        split = list(split_blocks(blocks))
        self._dropped = max([self._dropped, *(dropped_in(*block) for block in split)])
        try:
            if self._target is None:
                self._target = self._open()
            for block_type, block in split:
                _write(self._target, block)
                self._packets += block_type == ENHANCED_PACKET
                if self._packets == self._count:
                    return False
        except BrokenPipeError:
            raise
        except OSError as error:
            raise DeviceError(f"cannot write {self._path}: {error.strerror}") from error
        return True

    def _open(self) -> int:
        if self._path == "-":
            return sys.stdout.fileno()
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        return os.open(self._path, flags, 0o600)


def _write(target: int, block: bytes) -> None:
    view = memoryview(block)
    while view:
        view = view[os.write(target, view) :]


async def _record(client: ControlClient, side: str, link: str, recording: _Recording) -> None:
    with suppress(BrokenPipeError):  # the reader of the pipe has seen enough
        async for blocks in client.capture(side, link):
            if not recording.add(blocks):
                return


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Have SIGINT and SIGTERM end the block; a second one ends the process as usual."""
    numbers = (signal.SIGINT, signal.SIGTERM)

    def end(_number: int, _frame: FrameType | None) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)
        raise KeyboardInterrupt

    usual = [signal.signal(number, end) for number in numbers]
    try:
        with suppress(KeyboardInterrupt):
            yield
    finally:
        for number, handler in zip(numbers, usual, strict=True):
            signal.signal(number, handler)
