"""Packets between a device and a slow line: what waits where, what passes what, and until when."""

import asyncio
import errno
import os
import random
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import cast

import pytest

from router.host.ppp.engine import BATCH, EndedError, Engine
from router.host.ppp.tun import PacketTun
from router.ppp.backlog import Cause
from router.ppp.session import Session
from router.ppp.types import Phase, Retries
from router.wire.hdlc import Framing
from tests.lab.linerigs import eventually
from tests.lab.ppp import a_client, a_server
from tests.lab.slowline import flow_of, number_of, packet

SOON = Retries(restart_s=0.1)
_IP = b"\x00\x21"
_IPCP_REQUEST = b"\x80\x21\x01\x63\x00\x0a\x03\x06\x0a\x00\x00\x01"
_ECHO_REQUEST = b"\xc0\x21\x09\x05\x00\x08\x00\x00\x00\x00"
_ECHO_REPLY = b"\xc0\x21\x0a"


class SlowPeer:
    """A line with a session at its far end, which a test makes slow.

    While it is `slow` a frame that holds a packet waits, and the line is congested, until the test
    lets it go. `carried` is what has gone, in order: packets, and `echo` for an answer.
    """

    mru = 1500
    is_async = False

    def __init__(self) -> None:
        self.slow = False
        self.silent = False
        self.carried: list[bytes | str] = []
        self.lost: Callable[[str], None]
        self._waiting: deque[bytes] = deque()
        self._loop = asyncio.get_running_loop()
        self.meet()

    def meet(self) -> None:
        """Have another session at the far end."""
        self.peer = Session(a_server(retries=SOON), rng=random.Random(7), now=self._loop.time())

    def greet(self) -> None:
        """Have the far end begin, and its first words heard at once."""
        self.peer.start(self._loop.time())
        for frame in self.peer.take_frames():
            self.say(frame)

    async def connect(self) -> None: ...

    def begin(
        self,
        receive: Callable[[list[bytes]], None],
        lost: Callable[[str], None],
        ready: Callable[[], None],
    ) -> None:
        self._receive, self.lost, self._ready = receive, lost, ready
        self.peer.start(self._loop.time())
        self._answer()

    def send(self, frames: Iterable[bytes]) -> None:
        self._waiting.extend(frames)
        if not self.slow:
            self._carry(len(self._waiting))

    @property
    def is_congested(self) -> bool:
        return bool(self._waiting)

    def set_framing(self, framing: Framing) -> None: ...

    async def disconnect(self) -> None: ...

    def take(self, count: int) -> list[bytes | str]:
        """Have so many frames gone, one after the other; return what they were."""
        before = len(self.carried)
        while len(self.carried) < before + count:
            self._carry(1)
            if not self._waiting:
                self._ready()
        return self.carried[before:]

    def hurry(self) -> None:
        """Be slow no longer."""
        self.slow = False
        self._carry(len(self._waiting))
        self._ready()

    def say(self, frame: bytes) -> None:
        self._receive([frame])

    def _carry(self, count: int) -> None:
        for _ in range(count):
            frame = self._waiting.popleft()
            arrived = self.peer.receive(frame, self._loop.time())
            if frame.startswith(_IP):
                self.carried.append(frame.removeprefix(_IP))
                assert arrived == frame.removeprefix(_IP), "the peer was not ready for it"
            elif frame.startswith(_ECHO_REPLY):
                self.carried.append("echo")
        self._answer()

    def _answer(self) -> None:
        frames = self.peer.take_frames()
        if frames and not self.silent:
            self._loop.call_soon(self._receive, frames)


class Device:
    """A device of packets in a test's hand."""

    name = "ppp0"

    def __init__(self) -> None:
        self._near, self._far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._near.setblocking(False)
        self._far.setblocking(False)
        self.is_gone = False
        self.reads = 0

    def emit(self, script: str) -> None:
        """Have the kernel send packets; a letter is one of that flow, `.` a ping."""
        for number, letter in enumerate(script):
            self._far.send(packet("ping" if letter == "." else letter, number))

    def fileno(self) -> int:
        return self._near.fileno()

    def read(self) -> bytes:
        self.reads += 1
        if self.is_gone:
            raise OSError(errno.EBADFD, os.strerror(errno.EBADFD))
        try:
            return self._near.recv(2000)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        self._near.close()
        self._far.close()


Story = Callable[[Engine, SlowPeer, Device], Awaitable[None]]


def play(story: Story) -> None:
    """Play a story with an engine whose session is open."""

    async def whole() -> None:
        async with asyncio.timeout(10):
            line, device = SlowPeer(), Device()
            engine = Engine(
                a_client(retries=SOON),
                line,
                lambda _: cast(PacketTun, device),
                rng=random.Random(1),
            )
            try:
                await engine.connect()
                await engine.open()
                await story(engine, line, device)
                line.hurry()
            finally:
                await engine.hang_up()

    asyncio.run(whole())


def shown(carried: Iterable[bytes | str]) -> str:
    letters = {"ping": ".", "echo": "!"}
    flows = (one if isinstance(one, str) else flow_of(one) for one in carried)
    return "".join(letters.get(flow, flow) for flow in flows)


def test_packets_go_at_once_and_in_order_while_the_line_takes_them() -> None:
    async def story(engine: Engine, line: SlowPeer, device: Device) -> None:
        device.emit("a" * 50)
        await eventually(lambda: len(line.carried) == 50)
        assert [number_of(cast(bytes, one)) for one in line.carried] == list(range(50))
        assert not engine.backlog
        assert not engine.backlog.dropped

    play(story)


def test_the_device_is_emptied_however_slow_the_line_is() -> None:
    async def story(engine: Engine, line: SlowPeer, device: Device) -> None:
        line.slow = True
        device.emit("a" * (2 * BATCH))
        await eventually(lambda: len(engine.backlog) == 2 * BATCH - 1)
        assert device.read() == b""
        assert line.carried == []
        assert shown(line.take(10)) == "a" * 10

    play(story)


def test_a_ping_passes_an_upload() -> None:
    async def story(engine: Engine, line: SlowPeer, device: Device) -> None:
        line.slow = True
        device.emit("a" * 40)
        await eventually(lambda: len(engine.backlog) == 39)
        assert shown(line.take(3)) == "aaa"
        device.emit(".")
        await eventually(lambda: len(engine.backlog) == 37)
        assert shown(line.take(3)) == "a.a", "one was with the line already"

    play(story)


def test_frames_of_the_session_wait_for_no_packets() -> None:
    async def story(engine: Engine, line: SlowPeer, device: Device) -> None:
        line.slow = True
        device.emit("a" * 40)
        await eventually(lambda: len(engine.backlog) == 39)
        line.say(_ECHO_REQUEST)
        assert shown(line.take(3)) == "a!a"

    play(story)


def test_what_waits_goes_when_the_line_is_ready_again() -> None:
    async def story(engine: Engine, line: SlowPeer, device: Device) -> None:
        line.slow = True
        device.emit("a" * 30)
        await eventually(lambda: len(engine.backlog) == 29)
        line.hurry()
        assert shown(line.carried) == "a" * 30

    play(story)


def test_packets_wait_while_the_session_negotiates_again() -> None:
    async def story(engine: Engine, line: SlowPeer, device: Device) -> None:
        line.silent = True
        line.meet()
        line.greet()
        assert engine.session.phase is Phase.ESTABLISH
        device.emit("abc")
        await eventually(lambda: len(engine.backlog) == 3)
        assert line.carried == []
        line.silent = False
        line.meet()
        line.greet()
        await eventually(lambda: len(line.carried) == 3)
        assert shown(line.carried) == "abc"
        assert not engine.backlog.dropped

    play(story)


def test_packets_but_one_wait_while_ipcp_alone_is_negotiated_again() -> None:
    async def story(engine: Engine, line: SlowPeer, device: Device) -> None:
        line.silent = True
        line.say(_IPCP_REQUEST)
        assert engine.session.phase is Phase.NETWORK
        device.emit("abcd")
        await eventually(lambda: len(engine.backlog) == 3)
        device.emit("e")
        await eventually(lambda: len(engine.backlog) == 4)
        assert line.carried == []
        line.silent = False
        line.meet()
        line.greet()
        await eventually(lambda: len(line.carried) == 4)
        assert shown(line.carried) == "bcde"

    play(story)


def test_what_waits_is_forgotten_when_the_session_ends() -> None:
    async def story(engine: Engine, line: SlowPeer, device: Device) -> None:
        line.slow = True
        device.emit("a" * 20)
        await eventually(lambda: len(engine.backlog) == 19)
        line.lost("carrier lost")
        assert len(engine.backlog) == 0
        assert engine.backlog.dropped == {Cause.ENDED: 19}
        with pytest.raises(EndedError, match="carrier lost"):
            await engine.change()
        reads = device.reads
        device.emit("a")
        for _ in range(5):
            await asyncio.sleep(0)
        assert device.reads == reads, "nobody reads any more"

    play(story)


def test_a_device_that_is_gone_ends_the_session_once() -> None:
    async def story(engine: Engine, line: SlowPeer, device: Device) -> None:
        device.is_gone = True
        device.emit("a")
        await eventually(lambda: line.peer.phase is Phase.TERMINATE)
        with pytest.raises(EndedError, match="ppp0 is gone: File descriptor in bad state"):
            await engine.change()
        assert device.reads == 1, "nobody tries again"

    play(story)
