"""The sockets of the control API: who may use them, and one router per socket.

The Unix socket is for root and its group, by its mode. The one on the LAN is for whoever has the
token, which its application sees to (`router.host.control.access`).
"""

import asyncio
import logging
import os
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

from aiohttp import web

from router.errors import ControlError, DeviceError
from router.host.control.door import SILENCE_S, Bounds, admit
from router.wire.address import Endpoint, format_address

__all__ = ["listening", "open_on_lan"]

SOCKET_UMASK = 0o117  # leaves 0660: root and its group control the router
SHUTDOWN_TIMEOUT_S = 1.0  # seconds for requests under way when the router stops
LINGERING_S = 1.0  # seconds for the rest of a body that was refused
BACKLOG = 128  # connections that wait in the kernel for their turn
LOG_INTERVAL_S = 10.0  # seconds: what strangers send must not fill the disk

# Both together leave most of the usual 1024 descriptors to the router.
LOCAL_BOUNDS = Bounds(connections=256, per_address=256)
LAN_BOUNDS = Bounds(connections=128, per_address=32)


class _Seldom(logging.Filter):
    """Lets a record pass if none has lately."""

    def __init__(self) -> None:
        super().__init__()
        self._quiet_until = float("-inf")

    def filter(self, _record: logging.LogRecord) -> bool:
        now = time.monotonic()
        if now < self._quiet_until:
            return False
        self._quiet_until = now + LOG_INTERVAL_S
        return True


_http_log = logging.getLogger(f"{__name__}.http")
_http_log.addFilter(_Seldom())


def open_on_lan(at: Endpoint) -> socket.socket:
    """Return a listening TCP socket in the calling thread's namespace; raises DeviceError."""
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((format_address(at.address), at.port))
    except OSError as error:
        made.close()
        raise DeviceError(f"the control API cannot listen on {at}: {error.strerror}") from error
    return made


@asynccontextmanager
async def listening(application: web.Application, at: Path | socket.socket) -> AsyncIterator[None]:
    """Serve `application` while the block runs, at a path or on a socket of `open_on_lan`.

    Afterwards the socket is closed, and the one at a path removed. Raises ControlError when another
    router answers there, DeviceError when the operating system refuses the path.
    """
    if isinstance(at, Path):
        with closing(_open_at(at)) as listener:
            try:
                async with _serving(application, listener, LOCAL_BOUNDS):
                    yield
            finally:
                at.unlink(missing_ok=True)
    else:
        with closing(at):
            async with _serving(application, at, LAN_BOUNDS):
                yield


@asynccontextmanager
async def _serving(
    application: web.Application, listener: socket.socket, bounds: Bounds
) -> AsyncIterator[None]:
    runner = web.AppRunner(
        application,
        access_log=None,
        logger=_http_log,
        handler_cancellation=True,  # a capture ends when its reader goes
        shutdown_timeout=SHUTDOWN_TIMEOUT_S,
        keepalive_timeout=SILENCE_S,
        lingering_time=LINGERING_S,
    )
    await runner.setup()
    assert runner.server is not None
    listener.setblocking(False)
    listener.listen(BACKLOG)
    door = asyncio.create_task(admit(listener, runner.server, bounds))
    try:
        yield
    finally:
        door.cancel()
        await asyncio.wait([door])
        await runner.cleanup()


def _open_at(path: Path) -> socket.socket:
    if _answers(path):
        raise ControlError(f"another router answers at {path}")
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_socket():  # left behind by a router that was killed
            path.unlink()
        previous = os.umask(SOCKET_UMASK)
        try:
            made.bind(str(path))
        finally:
            os.umask(previous)
    except OSError as error:
        made.close()
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise DeviceError(f"cannot make the control socket {path}: {reason}") from error
    return made


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:  # nothing there, or left behind by a router that was killed
            return False
        return True
