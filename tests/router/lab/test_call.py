"""A call between a modem that is played and the provider's end, over wires as fast as is said."""

import asyncio
from collections.abc import Callable
from random import Random

import pytest

from router.lab.call import Call
from router.lab.trunk import Wire
from router.wire.hdlc import Decoder, Encoder, Framing

PATIENCE_S = 20.0
FRAMES = [bytes((0, 0x21)) + bytes((number,)) * 1000 for number in range(10)]


class Modem:
    """Implements `call.Caller`: it keeps what it gets."""

    def __init__(self) -> None:
        self.is_full = False
        self.got = bytearray()
        self.told: list[str] = []

    def deliver(self, data: bytes) -> None:
        self.got += data

    def go_on(self) -> None:
        self.told.append("go on")

    def lost(self) -> None:
        self.told.append("lost")

    def frames(self) -> list[bytes]:
        return Decoder(1500).feed(bytes(self.got))


class Played:
    """A call, its modem, and what its provider is told."""

    def __init__(self, rate: float = 1e6, latency_s: float = 0.0) -> None:
        self.modem = Modem()
        self.received: list[bytes] = []
        self.told: list[str] = []
        rng = Random(1)
        up, down = (Wire(rate, rng=rng, latency_s=latency_s) for _ in range(2))
        self.call = Call(up, down, self.modem)

    def begin(self) -> None:
        self.call.begin(self.received.extend, self.told.append, lambda: self.told.append("ready"))

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not holds():
                await asyncio.sleep(0.001)


def test_frames_go_both_ways() -> None:
    async def play() -> None:
        played = Played()
        await played.call.connect()
        played.begin()
        played.call.take(Encoder().encode(FRAMES[:5]))
        played.call.send(FRAMES[5:])
        await played.until(lambda: len(played.received) == 5)
        await played.until(lambda: len(played.modem.frames()) == 5)
        assert [frame.removeprefix(b"\xff\x03") for frame in played.received] == FRAMES[:5]

    asyncio.run(play())


def test_what_came_before_the_beginning_is_not_lost() -> None:
    async def play() -> None:
        played = Played()
        played.call.take(Encoder().encode(FRAMES[:1]))
        await asyncio.sleep(0.05)
        played.begin()
        await played.until(lambda: len(played.received) == 1)

    asyncio.run(play())


@pytest.mark.parametrize("rate", [33600.0, 128e3])
def test_a_provider_that_heeds_congestion_gets_the_rate(rate: float) -> None:
    async def play() -> None:
        played = Played(rate)
        played.begin()
        loop, sent, began = asyncio.get_running_loop(), 0, 0.0
        framing = Framing(accm=0)
        played.call.set_framing(framing)
        began = loop.time()
        while loop.time() < began + 2.0:
            if played.call.is_congested:
                played.told.clear()
                await played.until(lambda: "ready" in played.told)
            else:
                played.call.send([FRAMES[1]])
                sent += 1
        got = len(played.modem.got)
        assert got * 8 == pytest.approx(rate * (loop.time() - began), rel=0.05)
        assert sent * 1000 - got < 4000 + rate / 8 * 0.05

    asyncio.run(play())


def test_a_modem_without_room_is_told_to_go_on() -> None:
    async def play() -> None:
        played = Played(33600.0)
        played.begin()
        played.call.take(bytes(played.call.room()))
        assert played.call.room() == 0
        await played.until(lambda: played.modem.told == ["go on"])
        assert played.call.room() > 0

    asyncio.run(play())


def test_a_modem_that_is_full_is_left_alone() -> None:
    async def play() -> None:
        played = Played()
        played.begin()
        played.modem.is_full = True
        played.call.send(FRAMES[:1])
        assert played.call.is_congested
        await asyncio.sleep(0.05)
        assert (played.modem.got, played.told) == (b"", [])
        played.modem.is_full = False
        await played.until(lambda: played.modem.frames() != [] and played.told == ["ready"])

    asyncio.run(play())


def test_the_modem_hangs_up() -> None:
    async def play() -> None:
        played = Played()
        played.begin()
        played.call.end()
        played.call.end()
        played.call.send(FRAMES)
        assert not played.call.is_congested
        await asyncio.sleep(0.05)
        assert (played.told, played.modem.told) == (["carrier lost"], [])
        assert played.modem.got == b""
        await played.call.disconnect()
        assert played.modem.told == []

    asyncio.run(play())


def test_the_carrier_is_lost_at_both_ends() -> None:
    async def play() -> None:
        played = Played()
        played.begin()
        played.call.drop()
        played.call.drop()
        assert (played.told, played.modem.told) == (["carrier lost"], ["lost"])

    asyncio.run(play())


def test_a_call_that_was_over_before_it_began_is_told() -> None:
    async def play() -> None:
        played = Played()
        played.call.end()
        played.begin()
        assert played.told == ["carrier lost"]

    asyncio.run(play())


def test_the_provider_hangs_up_and_its_last_words_arrive() -> None:
    async def play() -> None:
        played = Played(latency_s=0.1)
        played.begin()
        played.call.send(FRAMES)
        await played.call.disconnect()
        assert len(played.modem.frames()) == len(FRAMES)
        assert (played.told, played.modem.told) == ([], ["lost"])

    asyncio.run(play())


def test_the_provider_hangs_up_on_a_line_that_is_too_slow_for_last_words() -> None:
    async def play() -> None:
        played = Played(rate=300.0)
        played.begin()
        played.call.send(FRAMES)
        async with asyncio.timeout(5.0):
            await played.call.disconnect()
        assert played.modem.told == ["lost"]

    asyncio.run(play())
