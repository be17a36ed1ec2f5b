"""Who is let in: how many connections at once, and how fast one after the other.

Theory of operation. Python serves a request on the same interpreter that moves packets, so work
that anybody on the LAN can cause has to be bounded. Each connection that is accepted, served or
not, is charged to a `Pace`; when that is used up, the next one waits in the kernel's backlog, and
what does not fit there the kernel turns away at no cost to us. So ten thousand clients that come at
once, or come back again and again, get a fixed share of the machine and no more.

There are at most `Bounds.connections` at once, and so many from one address; what goes beyond is
closed at once. So is a connection that has sent no whole request within `SILENCE_S`, counted from
its beginning or its last answer (aiohttp's `keepalive_timeout`, which since 3.14.5 begins with the
connection). On TCP the kernel gives up on peers that have not taken what was sent for `UNREAD_S`.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

from aiohttp import web

__all__ = ["SILENCE_S", "Bounds", "Pace", "admit"]

SILENCE_S = 10.0  # seconds: a request is one packet, its sender's terminal is not waited for
UNREAD_S = 30.0  # seconds: two keep-alives of an event stream

SERVED_COST_S = 0.005  # seconds of pace: 200 a second, which take 0.4 ms of a processor each
REFUSED_COST_S = 0.0005  # seconds of pace: closing takes a tenth of serving
BURST_S = 0.25  # seconds of pace that may be used at once: 50 connections, 20 ms of a processor
FAILURE_COST_S = 1.0  # seconds of pace: without a free descriptor there soon will be none either

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many connections may be open at once, in all and from one address."""

    connections: int
    per_address: int


class Pace:
    """Spaces out work that costs time: after a burst, each piece waits for its turn."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._paid_until = clock()

    def charge(self, cost_s: float) -> float:
        """Charge a piece of work; return after how many seconds the next one may be done."""
        now = self._clock()
        self._paid_until = max(self._paid_until, now) + cost_s
        return max(0.0, self._paid_until - now - BURST_S)


async def admit(listener: socket.socket, server: web.Server, bounds: Bounds) -> NoReturn:
    """Accept connections of a listening socket for `server` until cancelled."""
    loop = asyncio.get_running_loop()
    pace = Pace(loop.time)
    while True:
        try:
            connection, peer = await _accept(listener)
        except OSError as error:
            _log.warning("the control API cannot accept a connection: %s", error.strerror)
            cost_s = FAILURE_COST_S
        else:
            cost_s = await _receive(connection, peer, server, bounds)
        await asyncio.sleep(pace.charge(cost_s))


async def _accept(listener: socket.socket) -> tuple[socket.socket, object]:
    """Accept a connection, without a moment in which nobody has it: what is cancelled waits."""
    while True:
        await _readable(listener)
        with suppress(BlockingIOError):  # it has gone meanwhile
            connection, peer = listener.accept()
            connection.setblocking(False)
            return connection, peer


async def _readable(listener: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(listener, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(listener)


async def _receive(
    connection: socket.socket, peer: object, server: web.Server, bounds: Bounds
) -> float:
    """Serve a connection or close it; return what that costs."""
    if _is_full(server, peer, bounds):
        connection.close()
        return REFUSED_COST_S
    try:
        if connection.family == socket.AF_INET:
            unread_ms = round(UNREAD_S * 1000)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, unread_ms)
        await asyncio.get_running_loop().connect_accepted_socket(server, connection)
    except OSError:  # it has gone meanwhile
        connection.close()
    except asyncio.CancelledError:
        connection.close()
        raise
    return SERVED_COST_S


def _is_full(server: web.Server, peer: object, bounds: Bounds) -> bool:
    open_now = server.connections
    if len(open_now) >= bounds.connections:
        return True
    if not isinstance(peer, tuple):
        return False
    addresses = [handler.peername[0] for handler in open_now if handler.peername]
    return addresses.count(peer[0]) >= bounds.per_address
