"""A card with an access concentrator behind it, in the hands of a test; needs root.

    card eth2 [namespace "near"] ---- eth0 [namespace "far"] concentrator

What the wire has carried is kept, both ways, for a judge that knows PPPoE by itself. Frames of the
session are put together here octet by octet.
"""

import asyncio
import itertools
import os
import random
import socket
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from router.host.machine import netns
from router.host.ppp.ethernet import PppoeLine
from router.host.ppp.line import Line
from router.ppp.concentrator import Admitted, Concentrator, Ended
from router.ppp.discovery import DiscoveryConfig
from tests.lab.box import run

CARD = "eth2"
NAME = "ac"
PATIENCE_S = 0.05  # seconds until a host asks again

_DISCOVERY, _SESSION = 0x8863, 0x8864
_FRAME = 2048  # octets: more than there are in a frame
_numbers = itertools.count()


class Ethernet:
    """Two namespaces and the wire between them."""

    def __init__(self) -> None:
        prefix = f"pe{os.getpid():x}-{next(_numbers)}"
        self.near, self.far = f"{prefix}-near", f"{prefix}-far"
        try:
            self._build()
        except BaseException:
            self.remove()
            raise

    def _build(self) -> None:
        for name in (self.near, self.far):
            netns.create(name)
            with netns.inside(name):  # no packets but those of the test
                run("sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1")
        self.plug()

    def plug(self) -> None:
        """Have the card and its cable."""
        run("ip", "-n", self.near, "link", "add", CARD, "type", "veth",
            "peer", "name", "eth0", "netns", self.far)  # fmt: skip
        run("ip", "-n", self.far, "link", "set", "eth0", "up")
        self.card("up")

    def card(self, *settings: str) -> None:
        """Set up the card, as `ip link set` does."""
        run("ip", "-n", self.near, "link", "set", CARD, *settings)

    def rate(self, *shape: str) -> None:
        """Let the card send no faster than this."""
        run("tc", "-n", self.near, "qdisc", "replace", "dev", CARD, "root", "tbf", *shape)

    def listener(self, protocol: int) -> socket.socket:
        """A packet socket at the far end; reading does not block."""
        with netns.inside(self.far):
            made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
        made.bind(("eth0", protocol))
        return made

    def remove(self) -> None:
        for name in (self.near, self.far):
            netns.delete(name)


class Peer:
    """A concentrator on the far end, made where an event loop runs.

    `discovered` and `seen` are the frames of discovery and of sessions that it got, whole;
    `sessions` and `endings` what has become of hosts. While `is_deaf` it answers no discovery.
    """

    def __init__(self, wire: Ethernet, concentrator: Concentrator | None = None) -> None:
        self.concentrator = concentrator or Concentrator(NAME, rng=random.Random(1))
        self.is_deaf = False
        self.greeting: list[bytes] = []
        self.discovered: list[bytes] = []
        self.seen: list[bytes] = []
        self.sessions: list[Admitted] = []
        self.endings: list[Ended] = []
        self._wire = wire
        self._open()

    def _open(self) -> None:
        self._discovery = self._wire.listener(_DISCOVERY)
        self._session = self._wire.listener(_SESSION)
        self.mac = self._discovery.getsockname()[4]
        loop = asyncio.get_running_loop()
        loop.add_reader(self._discovery, self._hear)
        loop.add_reader(self._session, self._read)

    def say(self, frames: list[bytes], *, mac: bytes = b"", session: int = 0, pad: int = 0) -> None:
        """Send PPP frames in the last session, or as a stranger would."""
        last = self.sessions[-1]
        header = last.host + (mac or self.mac) + _SESSION.to_bytes(2, "big") + b"\x11\x00"
        header += (session or last.session).to_bytes(2, "big")
        for frame in frames:
            whole = header + len(frame).to_bytes(2, "big") + frame
            self._session.send(whole.ljust(pad, b"\xa5"))

    def send(self, to: bytes, packet: bytes, *, mac: bytes = b"") -> None:
        """Send a discovery packet."""
        self._discovery.send(to + (mac or self.mac) + _DISCOVERY.to_bytes(2, "big") + packet)

    def hang_up(self, why: str = "") -> None:
        """End the last session."""
        self.concentrator.terminate(self.sessions[-1].session, why)
        self._speak()

    def heard(self) -> list[bytes]:
        """The PPP frames that have come in sessions there have been."""
        numbers = {each.session for each in self.sessions}
        frames = []
        for whole in self.seen:
            assert whole[:6] == self.mac
            assert whole[12:16] == b"\x88\x64\x11\x00"
            assert int.from_bytes(whole[16:18], "big") in numbers
            frames.append(whole[20 : 20 + int.from_bytes(whole[18:20], "big")])
        return frames

    def close(self) -> None:
        loop = asyncio.get_running_loop()
        for each in (self._discovery, self._session):
            loop.remove_reader(each)
            each.close()

    def _hear(self) -> None:
        while (frame := _next(self._discovery)) is not None:
            self.discovered.append(frame)
            if not self.is_deaf:
                self.concentrator.receive(frame[6:12], frame[14:])
        self._speak()

    def _speak(self) -> None:
        for to, packet in self.concentrator.take_packets():
            self.send(to, packet)
        for event in self.concentrator.take_events():
            if isinstance(event, Ended):
                self.endings.append(event)
            else:
                self.sessions.append(event)
                self.say(self.greeting)

    def _read(self) -> None:
        while (frame := _next(self._session)) is not None:
            self.seen.append(frame)


def _next(listening: socket.socket) -> bytes | None:
    with suppress(BlockingIOError):
        return listening.recv(_FRAME)
    return None


class PppoeRig:
    """Implements `tests.lab.ppplines.LineRig`."""

    can: ClassVar = frozenset({"refuse", "stall", "lose", "congest"})
    needs_root: ClassVar = True
    is_async: ClassVar = False

    def __init__(self, _directory: Path) -> None:
        self.wire = Ethernet()
        self._full = Concentrator(NAME, rng=random.Random(2), limit=0)
        self._open = Concentrator(NAME, rng=random.Random(1))
        self.peer = Peer(self.wire, self._open)
        self._rng = random.Random(3)

    @property
    def heard(self) -> list[bytes]:
        return self.peer.heard()

    def line(self) -> Line:
        config = DiscoveryConfig(first_wait_s=PATIENCE_S)
        return PppoeLine(CARD, netns=self.wire.near, rng=self._rng, config=config)

    def refuse(self) -> str:
        self.peer.concentrator = self._full
        return "the access concentrator cannot serve us: all sessions are taken"

    def stall(self) -> None:
        self.peer.is_deaf = True
        self.peer.discovered.clear()

    async def stalled(self) -> None:
        while not self.peer.discovered:
            await asyncio.sleep(0.01)

    def answer(self) -> None:
        self.peer.concentrator = self._open
        self.peer.is_deaf = False

    async def say(self, frames: list[bytes]) -> None:
        while not self._open.hosts:
            await asyncio.sleep(0.01)
        self.peer.say(frames)

    async def lose(self) -> None:
        self.peer.hang_up()

    async def down(self) -> None:
        while self._open.hosts:
            await asyncio.sleep(0.01)

    def pause(self) -> None:
        self.wire.rate("rate", "40kbit", "burst", "2000", "limit", "20000")

    def resume(self) -> None:
        self.wire.rate("rate", "1gbit", "burst", "200kb", "limit", "2mb")

    def leftovers(self) -> str:
        """The packet sockets there are besides our own."""
        with netns.inside(self.wire.near):
            return "\n".join(Path("/proc/thread-self/net/packet").read_text().splitlines()[1:])

    async def close(self) -> None:
        self.peer.close()
        self.wire.remove()
