"""A line with PPP and its provider in a test's hand, for the suite all backends pass.

The provider is a `Session` behind a TCP port on loopback. It has one user.
"""

import asyncio
import random
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from router.host.lines.backend import Backend
from router.host.lines.ppp import PppBackend
from router.host.ppp.stream import StreamLine
from router.host.ppp.tcp import TcpPort
from router.ppp.session import Session
from router.ppp.types import Demand, Framed, Login, Retries, SessionConfig
from router.wire.address import parse_address
from router.wire.hdlc import Decoder, Encoder
from tests.lab.box import Box
from tests.lab.linerigs import BareRig, LineAddress, eventually

DEVICE = "ppp0"
GATEWAY, NAMES = parse_address("203.0.113.1"), parse_address("198.51.100.20")
LINE = LineAddress(parse_address("203.0.113.2"), 32, 1500, dns=(NAMES,))
QUICK = Retries(restart_s=0.2)
_HOST = "127.0.0.1"


class _Connection(asyncio.Protocol):
    """One connection to the provider: a session in the server's role."""

    def __init__(self, rig: "PppRig") -> None:
        self._rig = rig
        self._loop = asyncio.get_running_loop()
        config = SessionConfig(
            demand=Demand(rig.passwords.get, "provider"),
            address=GATEWAY,
            peer_address=LINE.address,
            dns=LINE.dns,
            retries=QUICK,
        )
        self._session = Session(config, rng=random.Random(7), now=self._loop.time())
        self._encoder, self._decoder = Encoder(), Decoder()
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._rig.connections.append(transport)
        self._transport = transport
        if self._rig.is_alive:
            self._session.start(self._loop.time())
            self._drain()

    def data_received(self, data: bytes) -> None:
        if self._rig.is_alive:
            for frame in self._decoder.feed(data):
                self._session.receive(frame, self._loop.time())
            self._drain()

    def connection_lost(self, _error: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _drain(self) -> None:
        for event in self._session.take_events():
            if isinstance(event, Framed):
                self._encoder = Encoder(event.framing)
        assert isinstance(self._transport, asyncio.WriteTransport)
        self._transport.write(self._encoder.encode(self._session.take_frames()))
        if self._timer is not None:
            self._timer.cancel()
        due = self._session.next_deadline()
        self._timer = None if due is None else self._loop.call_at(due, self._handle_timer)

    def _handle_timer(self) -> None:
        self._session.handle_timer(self._loop.time())
        self._drain()


class _Backend(PppBackend):
    """Takes its provider with it."""

    def __init__(
        self,
        rig: "PppRig",
        serving: asyncio.Future[asyncio.Server],
        link: str,
        *rest: Any,
        **more: Any,
    ) -> None:
        super().__init__(link, *rest, **more)
        self._rig = rig
        self._serving = serving

    async def close(self) -> None:
        await super().close()
        (await self._serving).close()
        self._rig.lose()
        await asyncio.sleep(0)


class PppRig(BareRig):
    """PPP in the process, by way of a TCP port."""

    can: ClassVar = frozenset({"fail", "login", "stall", "lose"})
    line = other = LINE

    def __init__(self, box: Box, directory: Path) -> None:
        super().__init__(box, directory)
        box.ip(box.box, "link", "set", "lo", "up")
        self.passwords = {"anna": "hush"}
        self.connections: list[asyncio.BaseTransport] = []
        self.is_alive = True

    def backend(self) -> Backend:
        listening = socket.create_server((_HOST, 0))
        loop = asyncio.get_running_loop()
        serving = asyncio.ensure_future(
            loop.create_server(lambda: _Connection(self), sock=listening)
        )
        _, port = listening.getsockname()
        return _Backend(
            self,
            serving,
            "isp",
            StreamLine(TcpPort(_HOST, port)),
            SessionConfig(retries=QUICK),
            netns=self._box.wan,
            device=DEVICE,
            rng=random.Random(9),
            login=lambda: Login("anna", "hush"),
        )

    def refuse(self) -> str:
        self._restore()
        self.is_alive = False
        return "the peer does not answer"

    def refuse_login(self) -> str:
        self._restore()
        self.passwords = {"anna": "sesame"}
        return "login refused: .+"

    def stall(self) -> None:
        self.is_alive = False

    async def stalled(self) -> None:
        await eventually(lambda: self.connections)

    def answer(self) -> None:
        self._restore()

    def _restore(self) -> None:
        self.is_alive = True
        self.passwords = {"anna": "hush"}

    def lose(self) -> None:
        for connection in self.connections:
            with suppress(RuntimeError):
                connection.close()

    def leftovers(self) -> str:
        return super().leftovers() + self._box.ip(self._box.wan, "-o", "link")
