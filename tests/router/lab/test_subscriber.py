"""A modem at work, between a program that has its port open and an exchange that is played."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from router.lab.modemstates import State
from router.lab.subscriber import Subscriber

PATIENCE_S = 20.0


class Played:
    """Implements `subscriber.Exchange`: it does nothing, and writes down what it should do."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.free: int | None = None

    def dial(self, number: str) -> None:
        self.told.append(f"dial {number}")

    def hang_up(self) -> None:
        self.told.append("hang up")

    def room(self) -> int | None:
        return self.free

    def send(self, data: bytes) -> None:
        self.told.append(f"send {data.decode()}")


class Desk:
    """A modem, its exchange, its log, and a program with the port open."""

    def __init__(self, folder: Path) -> None:
        self.exchange = Played()
        self.log: list[str] = []
        self.link = folder / "modem"
        self.subscriber = Subscriber(self.link, self.exchange, self.log.append)
        self.port = self.open()

    def open(self) -> int:
        return os.open(self.link, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)

    async def say(self, text: str, answer: str) -> None:
        """Send a line and read until the answer has come."""
        os.write(self.port, text.encode())
        await self.hear(answer)

    async def hear(self, answer: str) -> None:
        heard = ""
        async with asyncio.timeout(PATIENCE_S):
            while not heard.endswith(answer):
                try:
                    heard += os.read(self.port, 4096).decode()
                except BlockingIOError:
                    await asyncio.sleep(0.001)

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not holds():
                await asyncio.sleep(0.001)

    async def call(self) -> None:
        await self.say("ATE0\r", "OK\r\n")
        os.write(self.port, b"ATDT5551234\r")
        await self.until(lambda: bool(self.exchange.told))
        self.exchange.free = 4096
        self.subscriber.connected(33600)
        await self.hear("CONNECT 33600\r\n")


@asynccontextmanager
async def a_desk(folder: Path) -> AsyncIterator[Desk]:
    desk = Desk(folder)
    try:
        yield desk
    finally:
        os.close(desk.port)
        desk.subscriber.close()


def test_a_call_and_its_log(tmp_path: Path) -> None:
    async def play() -> None:
        async with a_desk(tmp_path) as desk:
            await desk.call()
            os.write(desk.port, b"secret")
            await desk.until(lambda: "send secret" in desk.exchange.told)
            desk.subscriber.deliver(b"password?")
            await desk.hear("password?")
            assert desk.exchange.told == ["dial 5551234", "send secret"]
            assert desk.log == ["> ATE0", "< OK", "> ATDT5551234", "< CONNECT 33600"]

    asyncio.run(play())


def test_a_program_that_closes_the_port_hangs_up(tmp_path: Path) -> None:
    async def play() -> None:
        async with a_desk(tmp_path) as desk:
            await desk.call()
            os.close(desk.port)
            await desk.until(lambda: desk.exchange.told[-1] == "hang up")
            desk.port = desk.open()
            await desk.say("AT\r", "\r\nOK\r\n")
            assert desk.log[-3:] == ["< NO CARRIER", "> AT", "< OK"]

    asyncio.run(play())


def test_a_program_that_closes_the_port_ends_the_dialling(tmp_path: Path) -> None:
    async def play() -> None:
        async with a_desk(tmp_path) as desk:
            os.write(desk.port, b"ATDT1\r")
            await desk.until(lambda: desk.exchange.told == ["dial 1"])
            os.close(desk.port)
            await desk.until(lambda: desk.exchange.told == ["dial 1", "hang up"])
            desk.port = desk.open()

    asyncio.run(play())


def test_carrier_loss_hangs_the_port_up(tmp_path: Path) -> None:
    async def play() -> None:
        async with a_desk(tmp_path) as desk:
            await desk.call()
            desk.subscriber.lost()
            assert desk.log[-1] == "< NO CARRIER"
            await desk.hear("\r\nNO CARRIER\r\n")
            await desk.until(lambda: desk.link.stat().st_rdev != os.fstat(desk.port).st_rdev)
            assert os.read(desk.port, 4096) == b""
            os.close(desk.port)
            desk.port = desk.open()
            await desk.say("AT\r", "\r\nOK\r\n")

    asyncio.run(play())


def test_without_room_in_the_call_the_program_waits(tmp_path: Path) -> None:
    async def play() -> None:
        async with a_desk(tmp_path) as desk:
            await desk.call()
            desk.exchange.free = 0
            os.write(desk.port, b"late")
            await asyncio.sleep(0.05)
            assert desk.exchange.told == ["dial 5551234"]
            desk.exchange.free = 2
            desk.subscriber.go_on()
            await desk.until(lambda: desk.exchange.told[1:] == ["send la", "send te"])

    asyncio.run(play())


def test_the_modem_has_its_timers(tmp_path: Path) -> None:
    async def play() -> None:
        async with a_desk(tmp_path) as desk:
            await desk.say("ATS12=5\r", "OK\r\n")
            await desk.call()
            await asyncio.sleep(0.11)
            await desk.say("+++", "\r\nOK\r\n")
            assert desk.subscriber.modem.state is State.ONLINE_COMMAND
            await desk.say("ATH\r", "")
            await desk.until(lambda: desk.exchange.told[-1] == "hang up")

    asyncio.run(play())


def test_results_are_what_the_exchange_found(tmp_path: Path) -> None:
    async def play() -> None:
        async with a_desk(tmp_path) as desk:
            await desk.say("ATE0\r", "OK\r\n")
            for found, result in (
                (desk.subscriber.busy, "BUSY"),
                (desk.subscriber.no_answer, "NO ANSWER"),
                (desk.subscriber.no_dialtone, "NO DIALTONE"),
            ):
                os.write(desk.port, b"ATDT1\r")
                await desk.until(lambda: desk.subscriber.modem.state is State.DIALLING)
                found()
                await desk.hear(f"\r\n{result}\r\n")

    asyncio.run(play())
