"""One suite for every line: octets over each kind of port, with a modem or without, and PPPoE."""

import asyncio
import random
import re
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest

from router.host.lines.backend import DialError
from router.host.ppp import stream
from router.host.ppp import tty as ppp_tty
from router.host.ppp.line import Line
from tests.lab.linerigs import eventually
from tests.lab.ppplines import LineRig, ProgramLineRig, StreamRig, TcpLineRig, TtyLineRig
from tests.lab.pppoerig import PppoeRig

KINDS: dict[str, type[LineRig]] = {
    "modem at a fake port": StreamRig,
    "modem at a serial port": TtyLineRig,
    "modem at a TCP port": TcpLineRig,
    "program": ProgramLineRig,
    "PPPoE": PppoeRig,
}
_IP = b"\x00\x21"
LARGEST = 1492  # octets of a packet that passes on any line
MANY = 44  # frames of that size: 64 KiB


def lines(*abilities: str) -> pytest.MarkDecorator:
    """Run a test for each kind of line to which this can happen."""
    kinds = [
        pytest.param(kind, marks=pytest.mark.net if kind.needs_root else (), id=name)
        for name, kind in KINDS.items()
        if kind.can.issuperset(abilities)
    ]
    return pytest.mark.parametrize("kind", kinds)


@pytest.fixture(autouse=True)
def _swift(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ppp_tty, "DTR_LOW_S", 0.01)
    monkeypatch.setattr(stream, "LINGER_S", 0.1)


class Ear:
    """What a line has told."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.losses: list[str] = []
        self.drains = 0

    def begin(self, line: Line) -> None:
        line.begin(self._receive, self.losses.append, self._ready)

    def _receive(self, frames: list[bytes]) -> None:
        assert frames
        assert not self.losses
        self.frames += [frame.removeprefix(b"\xff\x03") for frame in frames]

    def _ready(self) -> None:
        self.drains += 1

    async def hears(self, frames: list[bytes]) -> None:
        await eventually(lambda: len(self.frames) >= len(frames))
        assert self.frames == frames


Story = Callable[[LineRig, Line, Ear], Awaitable[None]]


def play(kind: type[LineRig], directory: Path, story: Story) -> None:
    """Play a story with a line that is taken down in the end, in a time a person would wait."""

    async def whole() -> None:
        async with asyncio.timeout(30):
            rig = kind(directory)
            line = rig.line()
            try:
                await story(rig, line, Ear())
            finally:
                await line.disconnect()
                await rig.close()

    asyncio.run(whole())


def frames_of(count: int, seed: int, length: int = LARGEST) -> list[bytes]:
    rng = random.Random(seed)
    lengths = [*(rng.randrange(1, length + 1) for _ in range(count - 1)), length]
    return [_IP + rng.randbytes(each) for each in lengths]


async def rise(line: Line, ear: Ear) -> None:
    await line.connect()
    ear.begin(line)


@lines()
def test_frames_pass_both_ways_at_once_whole_and_in_order(
    kind: type[LineRig], tmp_path: Path
) -> None:
    ours = [frame.ljust(LARGEST, b"~") for frame in frames_of(MANY, 1)]
    theirs = [frame.ljust(LARGEST, b"\x03") for frame in frames_of(MANY, 2)]

    async def story(rig: LineRig, line: Line, ear: Ear) -> None:
        await rise(line, ear)
        saying = asyncio.ensure_future(rig.say(theirs))
        for frame in ours:
            await eventually(lambda: not line.is_congested)
            line.send([frame])
        await saying
        await ear.hears(theirs)
        await eventually(lambda: len(rig.heard) == len(ours))
        assert rig.heard == ours
        assert not ear.losses

    play(kind, tmp_path, story)


@lines()
def test_the_largest_packet_passes(kind: type[LineRig], tmp_path: Path) -> None:
    async def story(rig: LineRig, line: Line, ear: Ear) -> None:
        largest = _IP + bytes(index % 256 for index in range(line.mru))
        await rise(line, ear)
        line.send([largest])
        await rig.say([largest])
        await ear.hears([largest])
        await eventually(lambda: rig.heard == [largest])

    play(kind, tmp_path, story)


@lines()
def test_nothing_is_lost_between_the_carrier_and_the_beginning(
    kind: type[LineRig], tmp_path: Path
) -> None:
    first = frames_of(5, 3, 100)

    async def story(rig: LineRig, line: Line, ear: Ear) -> None:
        saying = asyncio.ensure_future(rig.say(first))
        await line.connect()
        await saying
        await asyncio.sleep(0.05)
        ear.begin(line)
        await ear.hears(first)

    play(kind, tmp_path, story)


@lines("refuse")
def test_a_connect_fails_with_a_reason_and_the_next_may_succeed(
    kind: type[LineRig], tmp_path: Path
) -> None:
    async def story(rig: LineRig, line: Line, ear: Ear) -> None:
        before = rig.leftovers()
        reason = rig.refuse()
        for _ in range(2):
            with pytest.raises(DialError, match=f"^{reason}$"):
                await line.connect()
            await line.disconnect()
            assert rig.leftovers() == before
        rig.answer()
        await rise(line, ear)
        line.send(frames_of(1, 4))
        await eventually(lambda: rig.heard)

    play(kind, tmp_path, story)


@lines("stall")
def test_a_connect_broken_off_leaves_nothing(kind: type[LineRig], tmp_path: Path) -> None:
    async def story(rig: LineRig, line: Line, ear: Ear) -> None:
        before = rig.leftovers()
        rig.stall()
        connecting = asyncio.ensure_future(line.connect())
        await rig.stalled()
        assert rig.leftovers() != before
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
        await line.disconnect()
        assert rig.leftovers() == before
        rig.answer()
        await rise(line, ear)

    play(kind, tmp_path, story)


def _has_heard(rig: LineRig, last: list[bytes]) -> bool:
    return rig.heard[-len(last) :] == last


@lines()
def test_to_disconnect_takes_the_line_down_and_leaves_nothing(
    kind: type[LineRig], tmp_path: Path
) -> None:
    async def story(rig: LineRig, line: Line, ear: Ear) -> None:
        before = rig.leftovers()
        await line.disconnect()
        for seed in range(2):
            await rise(line, ear)
            frames = frames_of(2, seed)
            line.send(frames)
            await eventually(partial(_has_heard, rig, frames))
            await line.disconnect()
            await line.disconnect()
            await rig.down()
            assert rig.leftovers() == before
            assert not line.is_congested
        assert not ear.losses

    play(kind, tmp_path, story)


@lines("lose")
def test_a_loss_is_told_once_and_nothing_after_it(kind: type[LineRig], tmp_path: Path) -> None:
    async def story(rig: LineRig, line: Line, ear: Ear) -> None:
        before = rig.leftovers()
        for rises in (1, 2):
            await rise(line, ear := Ear())
            await asyncio.sleep(0.05)
            assert not ear.losses
            await rig.lose()
            await eventually(partial(len, ear.losses))
            line.send(frames_of(50, rises))
            await asyncio.sleep(0.05)
            (why,) = ear.losses
            assert re.match(r"\w", why)
            assert not line.is_congested
            await line.disconnect()
            assert rig.leftovers() == before

    play(kind, tmp_path, story)


@lines("lose")
def test_a_carrier_lost_at_once_is_lost_when_frames_were_to_flow(
    kind: type[LineRig], tmp_path: Path
) -> None:
    async def story(rig: LineRig, line: Line, ear: Ear) -> None:
        await line.connect()
        await rig.lose()
        ear.begin(line)
        assert not ear.losses, "nobody is called from within a call"
        line.send(frames_of(3, 5))
        await eventually(lambda: ear.losses)
        assert len(ear.losses) == 1

    play(kind, tmp_path, story)


@lines()
def test_a_line_taken_down_tells_nothing(kind: type[LineRig], tmp_path: Path) -> None:
    async def story(rig: LineRig, line: Line, ear: Ear) -> None:
        await rise(line, ear)
        await rig.say(frames_of(1, 6))
        await ear.hears(frames_of(1, 6))
        await rig.say(frames_of(1, 7))
        await line.disconnect()
        await asyncio.sleep(0.05)
        assert ear.frames == frames_of(1, 6)
        assert not ear.losses

    play(kind, tmp_path, story)


@lines("congest")
def test_a_line_whose_other_end_stops_is_congested_until_it_goes_on(
    kind: type[LineRig], tmp_path: Path
) -> None:
    async def story(rig: LineRig, line: Line, ear: Ear) -> None:
        await rise(line, ear)
        rig.pause()
        sent: list[bytes] = []
        while not line.is_congested or not await _stays_congested(line):
            assert len(sent) < 20000, "the line takes everything"
            sent += frames_of(1, len(sent))
            line.send(sent[-1:])
        drains = ear.drains
        rig.resume()
        await eventually(lambda: not line.is_congested)
        assert ear.drains == drains + 1
        await eventually(lambda: len(rig.heard) == len(sent))
        assert rig.heard == sent

    play(kind, tmp_path, story)


async def _stays_congested(line: Line) -> bool:
    for _ in range(10):
        await asyncio.sleep(0.01)
        if not line.is_congested:
            return False
    return True


@lines("congest")
def test_a_line_that_takes_nothing_any_more_is_taken_down_in_time(
    kind: type[LineRig], tmp_path: Path
) -> None:
    async def story(rig: LineRig, line: Line, ear: Ear) -> None:
        before = rig.leftovers()
        await rise(line, ear)
        rig.pause()
        while not line.is_congested or not await _stays_congested(line):
            line.send(frames_of(4, 8))
        begun = asyncio.get_running_loop().time()
        await line.disconnect()
        assert asyncio.get_running_loop().time() - begun < 4
        assert rig.leftovers() == before
        rig.resume()

    play(kind, tmp_path, story)


@lines()
def test_what_kind_of_line_it_is(kind: type[LineRig], tmp_path: Path) -> None:
    async def story(rig: LineRig, line: Line, _: Ear) -> None:
        assert line.is_async is rig.is_async
        assert line.mru == (1500 if rig.is_async else 1492)

    play(kind, tmp_path, story)
