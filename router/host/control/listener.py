"""The Unix socket of the control API: who may use it, and one router per socket."""

import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from router.errors import ControlError, DeviceError

__all__ = ["listening"]

SOCKET_UMASK = 0o117  # leaves 0660: root and its group control the router
SHUTDOWN_TIMEOUT_S = 1.0  # seconds for requests under way when the router stops


@asynccontextmanager
async def listening(application: web.Application, path: Path) -> AsyncIterator[None]:
    """Serve `application` at `path` while the block runs, then remove the socket.

    Raises ControlError when another router answers there, DeviceError when the operating
    system refuses the path.
    """
    if _answers(path):
        raise ControlError(f"another router answers at {path}")
    runner = web.AppRunner(
        application,
        access_log=None,
        handler_cancellation=True,  # a capture ends when its reader goes
        shutdown_timeout=SHUTDOWN_TIMEOUT_S,
    )
    await runner.setup()
    try:
        await _bind(runner, path)
        yield
        path.unlink(missing_ok=True)
    finally:
        await runner.cleanup()


async def _bind(runner: web.AppRunner, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        previous = os.umask(SOCKET_UMASK)
        try:
            await web.UnixSite(runner, path).start()
        finally:
            os.umask(previous)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise DeviceError(f"cannot make the control socket {path}: {reason}") from error


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:  # nothing there, or left behind by a router that was killed
            return False
        return True
