"""The gate: a port on the loopback where dnsmasq asks, and where each query is judged first.

Theory of operation. What is to be decided is decided in `errands`; here are the sockets, one for
datagrams and one for connections at the same port, and a task for everything that waits: for the
data plane, for name servers. All of it is bounded by `limits`, and a fault in a task is a failure
told to whoever asked.
"""

import asyncio
import logging
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, NamedTuple

from router.devices import Clock
from router.errors import DeviceError, RouterError
from router.host.machine import netns
from router.host.names.errands import Ask, Effect, Errands, Key, Reply, Seek
from router.host.names.limits import CONNECTION_IDLE_S, CONNECTIONS, TCP_PAYLOAD
from router.host.names.questions import Answer, Query, Question, answer_to, failure_of, read_query
from router.link.messages import Coming, Ready
from router.reasons import Reason

__all__ = ["Gate", "Leave", "Lookup"]

LOOPBACK = "127.0.0.1"
_PORT_TRIES = 10  # somebody else may have the port that was free for the other kind of socket

_log = logging.getLogger(__name__)

Leave = Callable[[Key, float | None], Awaitable[Ready | Coming | Reason]]
"""Asks the data plane: for an errand, and since when it has waited."""

Lookup = Callable[[Question, str], Awaitable[Answer | None]]
"""Asks the name servers of a link."""


class _Datagram(NamedTuple):
    """Who has sent one."""

    address: tuple[str, int]


class Gate:
    """Listens from `open` to `close`; `router` is whom a query is of that tells no host."""

    def __init__(
        self,
        errands: Errands,
        leave: Leave,
        lookup: Lookup,
        *,
        router: int,
        clock: Clock = time.monotonic,
    ) -> None:
        self.port = 0
        self._errands = errands
        self._leave = leave
        self._lookup = lookup
        self._router = router
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections: set[_Connection] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._datagrams: asyncio.DatagramTransport | None = None
        self._server: asyncio.Server | None = None

    async def open(self, netns_name: str) -> None:
        """Listen on a port of the loopback; raises DeviceError."""
        stream, datagram = _sockets(netns_name)
        self.port = stream.getsockname()[1]
        loop = asyncio.get_running_loop()
        self._datagrams, _ = await loop.create_datagram_endpoint(
            lambda: _Datagrams(self), sock=datagram
        )
        self._server = await asyncio.start_server(self._serve, sock=stream)

    async def close(self) -> None:
        """Leave whoever still waits."""
        if self._timer is not None:
            self._timer.cancel()
        if self._server is not None:
            self._server.close()
        if self._datagrams is not None:
            self._datagrams.close()
        for connection in self._connections:
            connection.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def changed(self) -> None:
        """Take note that a link is not what it was."""
        self._errands.changed()
        self._carry_out()

    def hear(self, wire: bytes, address: tuple[str, int]) -> None:
        """Take a datagram."""
        self._take(wire, _Datagram(address))

    def _take(self, wire: bytes, asker: "_Datagram | _Connection") -> None:
        query = read_query(wire, self._router)
        if isinstance(query, Query):
            self._errands.take(query, asker, self._clock())
            self._carry_out()
        elif query is not None:
            self._send(asker, query)

    def _carry_out(self) -> None:
        for effect in self._errands.take_effects():
            self._do(effect)
        self._set_timer()

    def _do(self, effect: Effect) -> None:
        if isinstance(effect, Ask):
            self._begin(self._ask(effect))
        elif isinstance(effect, Seek):
            self._begin(self._seek(effect))
        else:
            self._reply(effect)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask(self, ask: Ask) -> None:
        outcome: Ready | Coming | Reason = Reason.LINE_FAILED
        try:
            outcome = await self._leave(ask.key, ask.since)
        except Exception as error:
            _note(error)
        self._errands.told(ask.key, outcome)
        self._carry_out()

    async def _seek(self, seek: Seek) -> None:
        answer = None
        try:
            answer = await self._lookup(seek.question, seek.link)
        except Exception as error:
            _note(error)
        self._errands.found(seek.question, answer, self._clock())
        self._carry_out()

    def _reply(self, reply: Reply) -> None:
        asker, query, outcome = reply.asker, reply.query, reply.outcome
        assert isinstance(asker, _Datagram | _Connection)
        if isinstance(outcome, Answer):
            limit = query.payload if isinstance(asker, _Datagram) else TCP_PAYLOAD
            self._send(asker, answer_to(query, outcome, age_s=reply.age_s, limit=limit))
        else:
            self._send(asker, failure_of(query, outcome))

    def _send(self, asker: "_Datagram | _Connection", wire: bytes) -> None:
        if isinstance(asker, _Connection):
            asker.send(wire)
        elif self._datagrams is not None:
            self._datagrams.sendto(wire, asker.address)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self._errands.next_deadline()
        if deadline is not None:
            delay_s = max(0.0, deadline - self._clock())
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._handle_timer)

    def _handle_timer(self) -> None:
        self._errands.handle_timer(self._clock())
        self._carry_out()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(writer)
        if len(self._connections) >= CONNECTIONS:
            connection.close()
            return
        self._connections.add(connection)
        try:
            with suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
                while True:
                    async with asyncio.timeout(CONNECTION_IDLE_S):
                        length = int.from_bytes(await reader.readexactly(2), "big")
                        wire = await reader.readexactly(length)
                    self._take(wire, connection)
        finally:
            self._connections.discard(connection)
            connection.close()


class _Connection:
    """One of dnsmasq's; told apart by what it is."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    def send(self, wire: bytes) -> None:
        if not self._writer.is_closing():
            self._writer.write(len(wire).to_bytes(2, "big") + wire)

    def close(self) -> None:
        self._writer.close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._gate.hear(data, addr)


def _sockets(netns_name: str) -> tuple[socket.socket, socket.socket]:
    """Return one for connections and one for datagrams at the same port; raises DeviceError."""
    try:
        with netns.inside(netns_name):
            for _ in range(_PORT_TRIES):
                stream = _bound(socket.SOCK_STREAM, 0)
                try:
                    return stream, _bound(socket.SOCK_DGRAM, stream.getsockname()[1])
                except OSError:
                    stream.close()
    except OSError as error:
        why = error.strerror or str(error)
        raise DeviceError(f"{LOOPBACK} cannot be used{netns.place(netns_name)}: {why}") from error
    raise DeviceError(f"there is no free port on {LOOPBACK}{netns.place(netns_name)}")


def _bound(kind: socket.SocketKind, port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, kind)
    try:
        made.setblocking(False)
        made.bind((LOOPBACK, port))
    except BaseException:
        made.close()
        raise
    return made


def _note(error: Exception) -> None:
    if not isinstance(error, RouterError):
        _log.error("a fault at the gate of names", exc_info=error)
