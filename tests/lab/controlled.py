"""A control API over a scripted forwarder: real sockets, a real data-plane thread."""

import asyncio
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from router.errors import ConfigError, ControlError
from router.host.control.client import ControlClient, OverLan
from router.host.control.events import EventHub
from router.host.control.listener import open_on_lan
from router.host.control.server import ControlApi
from router.host.dataplane.loop import DataPlane
from router.host.ppp.wiretap import Wiretaps
from router.link.messages import Rise, Signal
from router.link.types import State
from router.wire.address import Endpoint
from tests.lab.scripted import FrameSocket, ManualClock, ScriptedForwarder, link_row
from tests.lab.serving import serving_all

PATIENCE_S = 10.0  # for another thread to get round to it
RULE = {"rule": "tcp 80 -> 192.168.1.10", "origin": "forward.rules:1"}
TOKEN = "correct-horse-battery-staple"  # noqa: S105 - nobody's
WALL = 1_800_000_000.0
DETAILS = {  # of a PPP line, as JSON
    "carrier": "CONNECT 33600", "login": "CHAP", "peer": "203.0.113.1", "dns": ["198.51.100.20"],
    "waiting_packets": 4,
    "frames": {"received": 1032, "sent": 987},
    "bad_frames": {"bad-fcs": 2, "aborted": 0, "malformed": 1},
    "dropped_packets": {"full": 0, "delay": 12},
}  # fmt: skip
LOOPBACK = 0x7F000001


class FakeForwards:
    def __init__(self) -> None:
        self.asked: list[object] = []

    async def listing(self) -> list[dict[str, str]]:
        return [RULE]

    async def add(self, text: str) -> dict[str, str]:
        if text == "nonsense":
            raise ConfigError(["control:1: no arrow", "control:1: no port"])
        self.asked.append(("add", text))
        return {"rule": text, "origin": "control"}

    async def remove(self, text: str) -> dict[str, str]:
        if text == "boom":
            raise ZeroDivisionError
        if text != RULE["rule"]:
            raise ControlError("no forward reads that")
        return RULE

    async def reload(self, *, reset_affected: bool) -> dict[str, int]:
        self.asked.append(("reload", reset_affected))
        return {"forwards": 1, "sessions_reset": 0}


@dataclass(frozen=True)
class Entry:
    limit: int
    link: str | None
    host: str | None
    since: float | None


@dataclass(frozen=True)
class Dialer:
    host: str
    since: float | None


class FakeLedger:
    """Answers with what it was asked for."""

    async def entries(
        self, limit: int, link: str | None, host: str | None, since: float | None
    ) -> list[Entry]:
        return [Entry(limit, link, host, since)]

    async def top_dialers(self, since: float | None) -> list[Dialer]:
        if since == 0:
            raise ControlError("the ledger cannot be read")
        return [Dialer("192.168.1.10", since), Dialer("", since)]


class Controlled:
    """What a router has behind its control sockets; `told` is what the daemon describes."""

    def __init__(self, directory: Path, wall: float = WALL) -> None:
        self.path = directory / "control.sock"
        self.lan, self.wan = FrameSocket("lan0"), FrameSocket("wan0")
        self.forwarder = ScriptedForwarder()
        self.lines = self.forwarder.lines
        self.lines.links = [link_row("isp")]
        self.plane = DataPlane(
            self.forwarder,
            self.lan,
            self.wan,
            clock=ManualClock(),
            on_signals=self._pass_on,
        )
        self.hub = EventHub(lambda: wall)
        self.wiretaps = Wiretaps()
        self.forwards = FakeForwards()
        self.told: dict[str, Any] = {
            "version": "9",
            "pid": 77,
            "uptime_s": 3.0,
            "lan": {"address": "192.168.1.1/24", "device": "eth1", "tun": "lan0"},
            "links": [
                {
                    "name": "isp", "backend": "ppp", "device": None, "tun": "wan0", "details": None,
                }
            ],
            "names": None,
        }  # fmt: skip
        self.api = ControlApi(
            self.plane,
            self.forwards,
            lambda: self.told,
            {"192.168.1.10": "mail"},
            ledger=FakeLedger(),
            events=self.hub,
            wiretaps=self.wiretaps,
        )
        self.client = ControlClient(self.path)
        self.loop: asyncio.AbstractEventLoop
        self.port = 0

    def _pass_on(self, signals: Sequence[Signal]) -> None:
        for signal in signals:
            self.loop.call_soon_threadsafe(self.hub.note, signal, WALL)

    @contextmanager
    def running(self) -> Iterator["Controlled"]:
        """Serve on the Unix socket, and on a port of the loopback as if that were the LAN."""
        lan = open_on_lan(Endpoint(LOOPBACK, 0))
        self.port = lan.getsockname()[1]
        self.plane.start()
        try:
            with serving_all(
                (self.api.application(), self.path), (self.api.application(TOKEN), lan)
            ) as self.loop:
                yield self
        finally:
            self.plane.stop()
            self.lan.close()
            self.wan.close()

    @property
    def lan_client(self) -> ControlClient:
        return ControlClient(OverLan("127.0.0.1", self.port, TOKEN))

    def step(
        self,
        state: State,
        reason: str = "as told",
        by: str = "test",
        rise: Rise | None = None,
        **more: object,
    ) -> None:
        """Have the first link tell of its attempt and go to another state, at once as links do."""

        def job(forwarder: ScriptedForwarder, _now: float) -> None:
            lines = forwarder.lines
            lines.signals += [] if rise is None else [rise]
            lines.step(lines.links[0].name, state, reason, by, **more)

        self.plane.submit(job)  # type: ignore[arg-type]
        self.settle()

    def tell(self, rise: Rise) -> None:
        """Have a link tell of an attempt."""
        self.plane.submit(lambda *_: self.lines.signals.append(rise))
        self.settle()

    def settle(self) -> None:
        """Wait until what has been submitted is done and its signals are events."""
        self.plane.submit(lambda *_: None).result(PATIENCE_S)
        self.on_loop(lambda: None)

    def on_loop(self, job: Callable[[], object]) -> object:
        """Run a job on the loop's thread and return its result."""

        async def run() -> object:
            return job()

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(PATIENCE_S)

    def publish(self, kind: str, **data: object) -> None:
        self.on_loop(lambda: self.hub.publish(kind, data))

    def raw(self, method: str, path: str, **options: Any) -> tuple[int, str]:
        """Ask by the Unix socket."""
        status, text, _ = asyncio.run(_ask(self.path, "http://router", method, path, options))
        return status, text

    def raw_on_lan(
        self, method: str, path: str, token: str | None = TOKEN, **options: Any
    ) -> tuple[int, str, dict[str, str]]:
        """Ask by TCP; return the answer's headers too."""
        if token is not None:
            options["headers"] = {"Authorization": f"Bearer {token}"}
        url = f"http://127.0.0.1:{self.port}"
        return asyncio.run(_ask(None, url, method, path, options))

    def connect(self, *, lan: bool = False) -> socket.socket:
        """Return a connection that has not said anything yet."""
        if lan:
            return socket.create_connection(("127.0.0.1", self.port), PATIENCE_S)
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(PATIENCE_S)
        connection.connect(str(self.path))
        return connection


async def _ask(
    unix: Path | None, url: str, method: str, path: str, options: dict[str, Any]
) -> tuple[int, str, dict[str, str]]:
    connector = aiohttp.UnixConnector(str(unix)) if unix else aiohttp.TCPConnector()
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.request(method, f"{url}{path}", **options) as response,
    ):
        return response.status, await response.text(), dict(response.headers)


def eventually(condition: Callable[[], bool], what: str) -> None:
    """Wait until `condition` holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {PATIENCE_S:.0f} s"
        time.sleep(0.005)
