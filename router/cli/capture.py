"""`postroad capture`: packets on either side of the translation, as pcapng."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import click

from router.cli.options import control_client, control_options
from router.errors import DeviceError
from router.host.client import ControlClient
from router.host.pcapng import ENHANCED_PACKET, dropped_in, split_blocks

__all__ = ["capture"]


@click.command()
@click.argument("side", type=click.Choice(["lan", "wan", "both"]))
@click.option(
    "-w",
    "write_path",
    required=True,
    metavar="FILE",
    help='Where the pcapng goes; "-" is standard output, as in: -w - | tcpdump -n -r -',
)
@click.option("--count", type=click.IntRange(min=1), help="End after so many packets.")
@control_options
def capture(
    side: str,
    write_path: str,
    count: int | None,
    config_path: Path | None,
    control: Path | None,
) -> None:
    """Capture packets until Ctrl-C: before translation on one side, after it on the other."""
    client = control_client(config_path, control)
    if write_path == "-":
        if sys.stdout.isatty():
            raise click.UsageError('standard output is a terminal; pipe it or give "-w FILE"')
        target = sys.stdout.fileno()
    else:
        target = _create(Path(write_path))
    packets, dropped = asyncio.run(_record(client, side, target, count))
    click.echo(f"{packets} packets captured, {dropped} left out", err=True)


def _create(path: Path) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise DeviceError(f"cannot write {path}: {error.strerror}") from error


async def _record(
    client: ControlClient, side: str, target: int, count: int | None
) -> tuple[int, int]:
    """Write blocks as they come, nothing held back; return packets written and left out."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    packets = dropped = 0
    try:
        async for blocks in client.capture(side):
            for block_type, block in split_blocks(blocks):
                _write(target, block)
                packets += block_type == ENHANCED_PACKET
                dropped = max(dropped, dropped_in(block_type, block))
                if packets == count:
                    return packets, dropped
    except (asyncio.CancelledError, BrokenPipeError):
        pass  # asked to end, or the reader of the pipe has seen enough
    return packets, dropped


def _write(target: int, block: bytes) -> None:
    view = memoryview(block)
    while view:
        view = view[os.write(target, view) :]
