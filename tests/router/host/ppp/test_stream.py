"""A line of octets: its chats, one per number, what it writes and when, how it hangs up."""

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from types import SimpleNamespace

import pytest

from router.chat.machine import Chat
from router.chat.script import parse_script
from router.errors import ConfigError
from router.host.lines.backend import DialError
from router.host.ppp import conversation, stream
from router.host.ppp.flow import MOST_WAITING
from router.host.ppp.stream import StreamLine
from router.wire.hdlc import Framing
from tests.lab.linerigs import eventually
from tests.lab.ppplines import Deframer, FakePort, framed

LOGIN = r"""
ABORT BUSY
REPORT CONNECT
SAY 'dialling\n'
'' ATDT\T
CONNECT '\c'
ogin: ppp
word: @isp.password
"""
IP = b"\x00\x21"
Number = Callable[[], Chat]


def chat(script: str, number: str = "") -> Number:
    parsed = parse_script(script, "test.chat")
    return lambda: Chat(parsed, number, {"isp.password": b"swordfish\n"})


def play(
    story: Callable[[FakePort, StreamLine], Awaitable[None]],
    chats: Sequence[Number] = (),
    hang_up_chat: Number | None = None,
    speed: int = 0,
) -> None:
    async def whole() -> None:
        async with asyncio.timeout(20):
            port = FakePort()
            line = StreamLine(port, chats, hang_up_chat=hang_up_chat, speed=speed)
            try:
                await story(port, line)
            finally:
                await line.disconnect()
                port.far.close()

    asyncio.run(whole())


async def modem(port: FakePort, *talk: tuple[bytes, bytes]) -> None:
    """Be a modem that hears and answers this, in turn."""
    await port.opened.wait()
    for heard, answer in talk:
        assert await port.far.read_until(heard[-1:]) == heard
        await port.far.write(answer)


def ignore(*_: object) -> None: ...


DIALS = [(1, "BUSY"), (2, "BUSY"), (3, "BUSY"), (1, "BUSY"), (2, "CONNECT"), (2, "CONNECT"),
         (2, "BUSY"), (3, "CONNECT")]  # fmt: skip


class TestChats:
    def test_a_whole_login_is_held_and_what_follows_is_the_peer_s(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        frames: list[bytes] = []

        async def story(port: FakePort, line: StreamLine) -> None:
            answering = asyncio.ensure_future(
                modem(
                    port,
                    (b"ATDT5551234\r", b"ATDT5551234\r\r\nCONNECT 33600\r\nlogin:"),
                    (b"ppp\r", b"ppp\r\npassword:"),
                    (b"swordfish\r", b"swordfish\r\nWelcome" + framed(IP + b"first")),
                )
            )
            assert line.carrier == ""
            await line.connect()
            await answering
            assert line.carrier == "CONNECT 33600"
            assert port.heeds_carrier
            line.begin(frames.extend, ignore, ignore)
            await eventually(lambda: frames)
            assert not any(line.bad_frames.values()), "a welcome is no bad frame"
            await line.disconnect()
            assert line.carrier == ""

        play(story, [chat(LOGIN, "5551234")])
        assert [frame.removeprefix(b"\xff\x03") for frame in frames] == [IP + b"first"]
        told = [record.getMessage() for record in caplog.records if record.name != "asyncio"]
        assert told == ["the port: dialling", "the port: CONNECT 33600"]

    def test_numbers_take_turns_until_one_answers_which_stays(self) -> None:
        async def story(port: FakePort, line: StreamLine) -> None:
            for number, answer in DIALS:
                talk = (f"ATDT{number}\r".encode(), f"{answer}\r\n".encode())
                answering = asyncio.ensure_future(modem(port, talk))
                if answer == "BUSY":
                    with pytest.raises(DialError, match=r"^the modem says BUSY$"):
                        await line.connect()
                else:
                    await line.connect()
                await answering
                await line.disconnect()
                port.far.close()

        numbers = [chat(r"ABORT BUSY '' ATDT\T CONNECT '\c'", number) for number in "123"]
        play(story, numbers)

    def test_a_number_that_is_given_up_counts_and_a_port_that_fails_does_not(self) -> None:
        async def story(port: FakePort, line: StreamLine) -> None:
            port.refusal = "is in use"
            with pytest.raises(DialError, match=r"^the port is in use$"):
                await line.connect()
            await line.disconnect()
            port.refusal = ""
            for number in "121":
                connecting = asyncio.ensure_future(line.connect())
                await modem(port, (f"ATDT{number}\r".encode(), b""))
                connecting.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await connecting
                await line.disconnect()
                port.far.close()

        play(story, [chat(r"'' ATDT\T CONNECT '\c'", number) for number in "12"])

    def test_a_modem_that_says_nothing_has_its_time(self) -> None:
        async def story(_: FakePort, line: StreamLine) -> None:
            with pytest.raises(DialError, match=r"^no OK within 1 s$"):
                await line.connect()

        play(story, [chat("TIMEOUT 1 '' ATZ OK '\\c'")])

    def test_a_modem_that_never_stops_talking_keeps_nobody_from_his_turn(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """There is always something to read, as there is from whoever is faster than us."""
        ends_at = time.monotonic() + 5
        turns: list[None] = []

        def read(*_: int) -> bytes:
            return b"noise\r\n" if time.monotonic() < ends_at else b""

        async def count() -> None:
            while True:
                turns.append(None)
                await asyncio.sleep(0)

        async def story(_: FakePort, line: StreamLine) -> None:
            monkeypatch.setattr(conversation, "os", SimpleNamespace(read=read, write=os.write))
            counting = asyncio.ensure_future(count())
            with pytest.raises(DialError, match=r"^no OK within 1 s$"):
                await line.connect()
            counting.cancel()

        play(story, [chat("TIMEOUT 1 '' ATZ OK '\\c'")])
        assert len(turns) > 100

    @pytest.mark.parametrize(
        ("script", "reason"),
        [
            ("'' ATZ OK '\\c'", "the modem has hung up"),
            ("HANGUP OFF '' ATZ OK '\\c'", "the port has hung up"),
        ],
    )
    def test_a_port_that_ends_in_the_middle_ends_the_chat(self, script: str, reason: str) -> None:
        async def story(port: FakePort, line: StreamLine) -> None:
            connecting = asyncio.ensure_future(line.connect())
            await modem(port, (b"ATZ\r", b"half an ans"))
            port.far.close()
            with pytest.raises(DialError, match=f"^{reason}$"):
                await connecting

        play(story, [chat(script)])

    def test_a_modem_that_takes_nothing_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(conversation, "STUCK_S", 0.05)

        async def story(port: FakePort, line: StreamLine) -> None:
            real = port.open

            async def open_blocked() -> None:
                await real()
                while True:
                    try:
                        os.write(port.descriptor, bytes(65536))
                    except BlockingIOError:
                        return

            monkeypatch.setattr(port, "open", open_blocked)
            with pytest.raises(DialError, match=r"^the port takes nothing: is a modem there"):
                await line.connect()

        play(story, [chat("'' ATZ OK '\\c'")])

    def test_a_break_is_sent_by_the_port(self) -> None:
        async def story(port: FakePort, line: StreamLine) -> None:
            answering = asyncio.ensure_future(modem(port, (b"after\r", b"OK")))
            await line.connect()
            await answering
            assert port.breaks == 1

        play(story, [chat(r"'' \Kafter OK '\c'")])

    def test_a_chat_that_cannot_be_made_says_why(self) -> None:
        def missing() -> Chat:
            raise ConfigError(["there is no file isp.password"])

        async def story(_: FakePort, line: StreamLine) -> None:
            with pytest.raises(DialError, match=r"^there is no file isp\.password$"):
                await line.connect()

        play(story, [missing])


HANG_UP = chat(r"'' +++ OK ATH OK '\c'")


class TestHangUp:
    def test_a_modem_without_dtr_is_told_after_the_last_frame(self) -> None:
        async def story(port: FakePort, line: StreamLine) -> None:
            await line.connect()
            line.begin(ignore, ignore, ignore)
            line.send([IP + b"last"])
            answering = asyncio.ensure_future(self.listen(port))
            await line.disconnect()
            heard = await answering
            assert Deframer().feed(heard[: -len(b"+++\rATH\r")]) == [IP + b"last"]
            assert heard.endswith(b"+++\rATH\r")

        play(story, hang_up_chat=HANG_UP)

    async def listen(self, port: FakePort) -> bytes:
        heard = await port.far.read_until(b"+++\r")
        await port.far.write(b"\r\nOK\r\n")
        heard += await port.far.read_until(b"ATH\r")
        await port.far.write(b"\r\nOK\r\n")
        return heard

    def test_a_modem_that_does_not_answer_is_not_waited_for(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(stream, "HANG_UP_S", 0.1)

        async def story(port: FakePort, line: StreamLine) -> None:
            await line.connect()
            line.begin(ignore, ignore, ignore)
            begun = asyncio.get_running_loop().time()
            await line.disconnect()
            assert 0.05 < asyncio.get_running_loop().time() - begun < 2
            assert await port.far.read_until(b"never") == b"+++\r"

        play(story, hang_up_chat=HANG_UP)

    def test_where_the_carrier_is_gone_nobody_is_told(self) -> None:
        async def story(port: FakePort, line: StreamLine) -> None:
            lost: list[str] = []
            await line.connect()
            line.begin(ignore, lost.append, ignore)
            port.far.close()
            await eventually(lambda: lost)
            begun = asyncio.get_running_loop().time()
            await line.disconnect()
            assert asyncio.get_running_loop().time() - begun < 1

        play(story, hang_up_chat=chat("'' \\d\\d\\d+++ OK '\\c'"))

    def test_a_dial_that_came_to_nothing_is_hung_up_too(self) -> None:
        async def story(port: FakePort, line: StreamLine) -> None:
            connecting = asyncio.ensure_future(line.connect())
            await modem(port, (b"ATDT1\r", b""))
            connecting.cancel()
            await asyncio.wait({connecting})
            answering = asyncio.ensure_future(self.listen(port))
            await line.disconnect()
            assert await answering == b"+++\rATH\r"

        play(story, [chat("'' ATDT1 CONNECT '\\c'")], HANG_UP)


class TestWriting:
    def taken(self, port: FakePort) -> int:
        """How many octets the port has been given."""
        return len(os.read(port.far.descriptor, 1 << 20))

    @pytest.mark.parametrize(("speed", "octets"), [(9600, 3020), (115200, 3020), (921600, 23040)])
    def test_a_serial_port_is_given_a_quarter_of_a_second_or_two_frames(
        self, speed: int, octets: int
    ) -> None:
        async def story(port: FakePort, line: StreamLine) -> None:
            drains: list[None] = []
            await line.connect()
            line.begin(ignore, ignore, lambda: drains.append(None))
            line.send([IP + b"x" * 1500] * 16)
            assert line.is_congested
            assert self.taken(port) == octets
            await eventually(lambda: not line.is_congested)
            assert len(drains) == 1

        play(story, speed=speed)

    def test_what_fits_is_written_at_once_and_is_no_congestion(self) -> None:
        async def story(port: FakePort, line: StreamLine) -> None:
            await line.connect()
            line.begin(ignore, ignore, ignore)
            for _ in range(100):
                line.send([IP + b"small"])
                assert not line.is_congested
                assert self.taken(port)

        play(story)

    def test_what_waits_has_an_end(self) -> None:
        async def story(port: FakePort, line: StreamLine) -> None:
            await line.connect()
            line.begin(ignore, ignore, ignore)
            count = 2 * MOST_WAITING // 1500
            for number in range(count):
                line.send([IP + number.to_bytes(4, "big") + b"x" * 1496])
            heard: list[bytes] = []
            deframer = Deframer()
            while line.is_congested:
                heard += deframer.feed(await port.far.read())
            assert MOST_WAITING // 1600 < len(heard) < count
            assert [int.from_bytes(frame[2:6], "big") for frame in heard] == list(range(len(heard)))

        play(story)

    def test_another_framing_counts_for_what_is_sent_then(self) -> None:
        async def story(port: FakePort, line: StreamLine) -> None:
            await line.connect()
            line.begin(ignore, ignore, ignore)
            line.send([IP + b"\x01"])
            assert b"\x01" not in os.read(port.far.descriptor, 100)
            line.set_framing(Framing(0, compresses_protocol=True, compresses_address=True))
            line.send([IP + b"\x01"])
            assert os.read(port.far.descriptor, 100)[1:3] == b"\x21\x01"

        play(story)

    def test_a_framing_ends_with_its_connection(self) -> None:
        async def story(port: FakePort, line: StreamLine) -> None:
            await line.connect()
            line.begin(ignore, ignore, ignore)
            line.set_framing(Framing(0))
            await line.disconnect()
            port.far.close()
            await line.connect()
            line.begin(ignore, ignore, ignore)
            line.send([IP + b"\x01"])
            assert b"\x01" not in os.read(port.far.descriptor, 100)

        play(story)

    def test_what_can_still_be_read_is_read_when_writing_fails(self) -> None:
        async def story(port: FakePort, line: StreamLine) -> None:
            told: list[object] = []
            await line.connect()
            line.begin(told.extend, told.append, ignore)
            await port.far.write(framed(IP + b"last words"))
            port.far.close()
            line.send([IP + b"too late"])
            assert not told
            await eventually(lambda: len(told) == 2)
            assert told == [b"\xff\x03" + IP + b"last words", "carrier lost"]

        play(story)


NOISE = b"~noise~a~aborted\x7d~" + b"x" * 4000 + b"~"


def test_damaged_frames_are_counted_from_connection_to_connection() -> None:
    async def story(port: FakePort, line: StreamLine) -> None:
        assert line.bad_frames == dict.fromkeys(("bad-fcs", "aborted", "too-long", "runt"), 0)
        for rises in (1, 2):
            frames: list[bytes] = []
            await line.connect()
            line.begin(frames.extend, ignore, ignore)
            await port.far.write(NOISE + framed(IP + b"whole"))
            await eventually(partial(len, frames))
            told = dict.fromkeys(("bad-fcs", "aborted", "too-long", "runt"), rises)
            assert line.bad_frames == told
            await line.disconnect()
            assert line.bad_frames == told
            port.far.close()

    play(story)
