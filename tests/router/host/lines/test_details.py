"""What a PPP line tells of itself: from a real session, over a wire that spoils some of it."""

import asyncio
import random
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from typing import cast

import pytest

from router.chat.machine import Chat
from router.chat.script import parse_script
from router.host.lines import ppp as lines
from router.host.lines.backend import DialError
from router.host.lines.details import Detailed, LineDetails
from router.host.lines.ppp import PppBackend
from router.host.lines.supervisor import LineSupervisor
from router.host.ppp import stream
from router.host.ppp.stream import StreamLine
from router.host.ppp.tun import PacketTun
from router.ppp.session import Session
from router.ppp.types import Login, Method, Retries, SessionConfig
from router.wire.address import parse_address
from tests.lab.linerigs import eventually
from tests.lab.lines import FakeBackend, FakePlumbing
from tests.lab.ppp import ALICE, PASSWORD, a_server
from tests.lab.ppplines import Deframer, FakePort, framed
from tests.lab.slowline import packet

SOON = Retries(restart_s=0.1)
DIAL = parse_script("REPORT CONNECT '' ATDT\\T CONNECT '\\c'", "modem.chat")
NUMBER = "5551234"
_IP = b"\x00\x21"
_FLAG = 0x7E


class Device:
    """A device of packets: those `emit`ted go by the line, those that came by it are `got`."""

    def __init__(self) -> None:
        self._near, self._far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._near.setblocking(False)
        self.got: list[bytes] = []

    def fileno(self) -> int:
        return self._near.fileno()

    def read(self) -> bytes:
        try:
            return self._near.recv(2000)
        except BlockingIOError:
            return b""

    def write(self, packet: bytes) -> None:
        self.got.append(packet)

    async def emit(self, packets: list[bytes]) -> None:
        self._far.setblocking(False)
        for one in packets:
            await asyncio.get_running_loop().sock_sendall(self._far, one)

    def close(self) -> None:
        self._near.close()
        self._far.close()


class Provider:
    """The far end of a port: a modem that answers, and a session behind it."""

    def __init__(self, port: FakePort, config: SessionConfig) -> None:
        self._port = port
        self._config = config

    async def serve(self) -> None:
        """Serve one call until it ends; break off to have it listen no longer."""
        await self._port.opened.wait()
        far, loop = self._port.far, asyncio.get_running_loop()
        assert await far.read_until(b"\r") == f"ATDT{NUMBER}\r".encode()
        await far.write(b"\r\nCONNECT 33600\r\n")
        session = Session(self._config, rng=random.Random(7), now=loop.time())
        deframer = Deframer()
        session.start(loop.time())
        await self.say(session.take_frames())
        while octets := await far.read():
            for frame in deframer.feed(octets):
                session.receive(frame, loop.time())
            await self.say(session.take_frames())

    async def say(self, frames: list[bytes]) -> None:
        for frame in frames:
            await self._port.far.write(framed(frame))

    async def say_spoilt(self, frames: list[bytes], rng: random.Random) -> int:
        """Have a bit wrong in each; return how many of what arrives is no frame then."""
        judge = Deframer()
        for frame in frames:
            octets = bytearray(framed(frame))
            octets[rng.randrange(1, len(octets) - 1)] ^= 1 << rng.randrange(8)
            assert judge.feed(octets) == []
            await self._port.far.write(bytes(octets))
        return judge.noise


class Stage:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, config: SessionConfig) -> None:
        self.port = FakePort()
        self.provider = Provider(self.port, config)
        self.devices: list[Device] = []
        monkeypatch.setattr(lines, "open_packet_tun", self._open)
        self.backend = PppBackend(
            "isp",
            StreamLine(self.port, [lambda: Chat(DIAL, NUMBER)]),
            SessionConfig(retries=SOON),
            netns="wan",
            device="ppp0",
            rng=random.Random(9),
            login=lambda: Login(ALICE, PASSWORD),
            is_outside=lambda address: address != parse_address("9.9.9.10"),
            hang_up_timeout_s=0.2,
        )
        self._serving: asyncio.Future[None] | None = None

    def _open(self, *_: str, **__: object) -> PacketTun:
        self.devices.append(Device())
        return cast(PacketTun, self.devices[-1])

    async def rise(self) -> Device:
        self._serving = asyncio.ensure_future(self.provider.serve())
        await self.backend.dial(lambda: None)
        return self.devices[-1]

    async def fall(self) -> None:
        await self.backend.hang_up()
        self.listen_no_longer()
        self.port.far.close()

    def listen_no_longer(self) -> None:
        assert self._serving is not None
        self._serving.cancel()

    @property
    def told(self) -> LineDetails:
        return self.backend.details()


def play(
    monkeypatch: pytest.MonkeyPatch,
    story: Callable[[Stage], Awaitable[None]],
    *demanded: Method,
) -> None:
    monkeypatch.setattr(stream, "LINGER_S", 0.1)

    async def whole() -> None:
        async with asyncio.timeout(20):
            stage = Stage(monkeypatch, a_server(*demanded, retries=SOON))
            try:
                await story(stage)
            finally:
                await stage.fall()

    asyncio.run(whole())


def packets(count: int, size: int = 200) -> list[bytes]:
    return [packet("a", number, size) for number in range(count)]


def in_frames(some: list[bytes]) -> list[bytes]:
    return [_IP + one for one in some]


def test_a_line_tells_what_it_has_got_while_it_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(stage: Stage) -> None:
        nothing = ("", "", "", ())
        told = stage.told
        assert (told.carrier, told.login, told.peer, told.dns) == nothing
        await stage.rise()
        told = stage.told
        assert (told.carrier, told.login) == ("CONNECT 33600", "MS-CHAPv2")
        assert (told.peer, told.dns) == ("10.0.0.1", ("9.9.9.9",)), "9.9.9.10 is not asked"
        assert NUMBER not in repr(told)
        assert PASSWORD not in repr(told)
        await stage.fall()
        told = stage.told
        assert (told.carrier, told.login, told.peer, told.dns) == nothing
        assert told.frames["received"] > 0

    play(monkeypatch, story, Method.MSCHAPV2)


def test_a_provider_that_asks_for_no_login_is_told_as_such(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def story(stage: Stage) -> None:
        await stage.rise()
        assert (stage.told.login, stage.told.peer) == ("", "10.0.0.1")

    play(monkeypatch, story)


def test_what_a_noisy_wire_spoils_is_counted_from_rise_to_rise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = random.Random(11)

    async def story(stage: Stage) -> None:
        spoilt = 0
        for _ in range(2):
            device = await stage.rise()
            before = stage.told
            assert sum(before.bad_frames.values()) == spoilt
            spoilt += await stage.provider.say_spoilt(in_frames(packets(60)), rng)
            await stage.provider.say(in_frames(packets(40)))
            await eventually(partial(_has_got, device, 40))
            assert device.got == packets(40)
            told = stage.told
            assert sum(told.bad_frames.values()) == spoilt
            assert told.bad_frames["bad-fcs"] > 0
            assert told.frames["received"] == before.frames["received"] + 40
            await stage.fall()
            after = stage.told
            assert sum(after.bad_frames.values()) == spoilt
            assert after.frames["received"] > told.frames["received"], "the good-bye is in it"
        assert spoilt >= 120

    play(monkeypatch, story, Method.PAP)


def _has_got(device: Device, count: int) -> bool:
    return len(device.got) == count


def test_frames_that_hold_no_packet_are_malformed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(stage: Stage) -> None:
        device = await stage.rise()
        await stage.provider.say([*in_frames([b"short"]), b"\xc0\x21\x01", *in_frames(packets(1))])
        await eventually(lambda: device.got)
        assert stage.told.bad_frames == {
            "bad-fcs": 0, "aborted": 0, "too-long": 0, "runt": 0, "malformed": 2,
        }  # fmt: skip

    play(monkeypatch, story)


def test_packets_that_wait_and_those_that_waited_in_vain_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def story(stage: Stage) -> None:
        device = await stage.rise()
        sent = stage.told.frames["sent"]
        await device.emit(packets(3))
        await eventually(lambda: stage.told.frames["sent"] == sent + 3)
        assert stage.told.waiting_packets == 0
        stage.listen_no_longer()
        await device.emit(packets(1000, 1500))
        await eventually(lambda: _accounted(stage) == sent + 1003)
        told = stage.told
        assert told.waiting_packets > 0
        assert set(told.dropped_packets) == {"full", "delay", "late", "ended"}
        await stage.fall()
        assert stage.told.waiting_packets == 0
        ended = stage.told.dropped_packets["ended"]
        assert ended == told.waiting_packets

    play(monkeypatch, story)


def _accounted(stage: Stage) -> int:
    """Packets and frames that have gone, wait or were dropped."""
    told = stage.told
    return told.frames["sent"] + told.waiting_packets + sum(told.dropped_packets.values())


def test_a_failed_dial_counts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(stage: Stage) -> None:
        stage.port.refusal = "is in use"
        with pytest.raises(DialError):
            await stage.backend.dial(lambda: None)
        await stage.backend.hang_up()
        assert stage.told.frames == {"received": 0, "sent": 0}
        stage.port.refusal = ""
        await stage.rise()
        counted = stage.told.frames
        await stage.fall()
        await stage.backend.close()
        after = stage.told.frames
        assert after["sent"] > counted["sent"] > 0
        await stage.backend.close()
        assert stage.told.frames == after, "nothing is counted twice"

    play(monkeypatch, story)


class _Telling(FakeBackend):
    def details(self) -> LineDetails:
        return LineDetails("CONNECT", "", "", (), 0, {}, {}, {})


def test_the_supervisor_passes_details_on_where_there_are_any() -> None:
    async def story() -> None:
        modem, card = _Telling(), FakeBackend()
        assert isinstance(modem, Detailed)
        supervisor = LineSupervisor({"isp": modem, "lte": card}, FakePlumbing(), lambda _: None)
        told = supervisor.details("isp")
        assert told is not None
        assert told.carrier == "CONNECT"
        assert supervisor.details("lte") is None
        await supervisor.close()

    asyncio.run(story())
