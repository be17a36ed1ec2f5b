"""The cable, with programs that open its name as they open a serial port."""

import asyncio
import errno
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from router.lab.terminal import LINGER_S, Terminal

PATIENCE_S = 20.0
EVERY_OCTET = bytes(range(256))


class Bench:
    """A cable, and what has come by it."""

    def __init__(self, link: Path) -> None:
        self.link = link
        self.room = 65536
        self.heard = bytearray()
        self.gone = 0
        self.cable = Terminal(
            link, room=lambda: self.room, receive=self.heard.extend, gone=self._count
        )

    def _count(self) -> None:
        self.gone += 1
        self.cable.write(b"to nobody")
        self.cable.hang_up()

    def open(self) -> int:
        return os.open(self.link, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)

    async def until_heard(self, count: int) -> bytes:
        async with asyncio.timeout(PATIENCE_S):
            while len(self.heard) < count:
                await asyncio.sleep(0.001)
        return bytes(self.heard)

    async def until_fresh(self, old: int) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while self.link.stat().st_rdev == os.fstat(old).st_rdev:
                await asyncio.sleep(0.001)

    async def until_gone(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while self.gone < count:
                await asyncio.sleep(0.001)


@asynccontextmanager
async def a_bench(folder: Path) -> AsyncIterator[Bench]:
    bench = Bench(folder / "modem")
    try:
        yield bench
    finally:
        bench.cable.close()


async def read(descriptor: int, count: int) -> bytes:
    """Read so many octets, or what there is until the end."""
    data = bytearray()
    async with asyncio.timeout(PATIENCE_S):
        while len(data) < count:
            try:
                more = os.read(descriptor, 65536)
            except BlockingIOError:
                await asyncio.sleep(0.001)
                continue
            if not more:
                break
            data += more
    return bytes(data)


async def is_hung_up(descriptor: int) -> bool:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                return not os.read(descriptor, 65536)
            except BlockingIOError:
                await asyncio.sleep(0.001)
            except OSError as error:
                return error.errno == errno.EIO


def test_every_octet_goes_both_ways_as_it_is(tmp_path: Path) -> None:
    async def play() -> None:
        async with a_bench(tmp_path) as bench:
            port = bench.open()
            os.write(port, EVERY_OCTET)
            assert await bench.until_heard(256) == EVERY_OCTET
            bench.cable.write(EVERY_OCTET)
            assert await read(port, 256) == EVERY_OCTET
            os.close(port)

    asyncio.run(play())


def test_closed_it_is_there_for_the_next_one_and_nothing_is_left_in_it(tmp_path: Path) -> None:
    async def play() -> None:
        async with a_bench(tmp_path) as bench:
            for number in (1, 2, 3):
                port = bench.open()
                os.write(port, b"last words")
                os.close(port)
                await bench.until_gone(number)
                assert bench.heard == b"last words" * number
            port = bench.open()
            bench.cable.write(b"hello")
            assert await read(port, 5) == b"hello"
            os.close(port)

    asyncio.run(play())


def test_hung_up_the_terminal_finds_the_end(tmp_path: Path) -> None:
    async def play() -> None:
        async with a_bench(tmp_path) as bench:
            old = bench.open()
            bench.cable.write(b"NO CARRIER")
            bench.cable.hang_up()
            assert await read(old, 10) == b"NO CARRIER"
            assert await is_hung_up(old)
            await bench.until_fresh(old)
            fresh = bench.open()
            os.close(old)
            os.write(fresh, b"still there")
            assert await bench.until_heard(11) == b"still there"
            assert bench.gone == 0
            os.close(fresh)

    asyncio.run(play())


def test_hung_up_a_terminal_that_does_not_read_finds_the_end_too(tmp_path: Path) -> None:
    async def play() -> None:
        async with a_bench(tmp_path) as bench:
            old = bench.open()
            while not bench.cable.is_full:
                bench.cable.write(bytes(4096))
            bench.cable.hang_up()
            bench.cable.hang_up()
            await bench.until_fresh(old)
            assert os.read(old, 65536) == b""
            os.close(old)

    asyncio.run(play())


def test_closed_while_hanging_up_there_is_nothing(tmp_path: Path) -> None:
    async def play() -> None:
        async with a_bench(tmp_path) as bench:
            bench.cable.write(b"unread")
            bench.cable.hang_up()
            bench.cable.close()
            await asyncio.sleep(LINGER_S + 0.1)
            assert list(tmp_path.iterdir()) == []

    asyncio.run(play())


def test_without_room_the_terminal_has_to_wait(tmp_path: Path) -> None:
    async def play() -> None:
        async with a_bench(tmp_path) as bench:
            bench.room, port, written = 0, bench.open(), 0
            try:
                while True:
                    written += os.write(port, bytes(1000))
                    await asyncio.sleep(0)
            except BlockingIOError:
                pass
            assert bench.heard == b""
            bench.room = 100
            bench.cable.read()
            assert len(await bench.until_heard(written)) == written
            os.close(port)

    asyncio.run(play())


def test_a_terminal_that_does_not_read_is_full_and_loses_nothing(tmp_path: Path) -> None:
    async def play() -> None:
        async with a_bench(tmp_path) as bench:
            port, sent = bench.open(), bytearray()
            while not bench.cable.is_full:
                piece = EVERY_OCTET * 16
                bench.cable.write(piece)
                sent += piece
            assert await read(port, len(sent)) == sent
            assert not bench.cable.is_full
            os.close(port)

    asyncio.run(play())


def test_closed_there_is_nothing(tmp_path: Path) -> None:
    async def play() -> None:
        async with a_bench(tmp_path) as bench:
            port = bench.open()
            bench.cable.close()
            assert await is_hung_up(port)
            os.close(port)
            assert list(tmp_path.iterdir()) == []

    asyncio.run(play())


def test_a_name_that_was_left_over_is_taken(tmp_path: Path) -> None:
    async def play() -> None:
        (tmp_path / "modem").symlink_to("/dev/pts/no-more")
        (tmp_path / ".modem.new").symlink_to("/dev/pts/no-more")
        async with a_bench(tmp_path) as bench:
            os.close(bench.open())

    asyncio.run(play())
