"""One suite for every port, and what is particular to each kind."""

import asyncio
import errno
import fcntl
import json
import os
import random
import socket
import struct
import sys
import termios
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from router.host.lines.backend import DialError
from router.host.ppp import tty as ppp_tty
from router.host.ppp.port import Port
from router.host.ppp.pty import PtyPort
from router.host.ppp.tcp import TcpPort
from router.host.ppp.tty import SPEEDS, FlowControl, TtyPort
from tests.lab.linerigs import eventually
from tests.lab.ppplines import (
    FakePortRig,
    Far,
    PortRig,
    ProgramRig,
    TcpRig,
    TtyRig,
    children,
)

KINDS: dict[str, Callable[[Path], PortRig]] = {
    "fake": FakePortRig,
    "serial port": TtyRig,
    "program": ProgramRig,
    "TCP": TcpRig,
}
LARGE = 64 << 10  # octets
ports = pytest.mark.parametrize("kind", KINDS)
Story = Callable[[PortRig, Port], Awaitable[None]]


@pytest.fixture(autouse=True)
def _swift(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ppp_tty, "DTR_LOW_S", 0.01)


def play(make: Callable[[Path], PortRig], directory: Path, story: Story) -> None:
    """Play a story with a port that is closed in the end, in a time a person would wait."""

    async def whole() -> None:
        async with asyncio.timeout(20):
            rig = make(directory)
            port = rig.port()
            try:
                await story(rig, port)
            finally:
                await port.close()
                rig.close()

    asyncio.run(whole())


async def read(port: Port, count: int) -> bytes:
    far = Far(os.dup(port.descriptor))
    try:
        octets = b""
        while len(octets) < count and (more := await far.read()):
            octets += more
        return octets
    finally:
        far.close()


async def write(port: Port, octets: bytes) -> None:
    far = Far(os.dup(port.descriptor))
    try:
        await far.write(octets)
    finally:
        far.close()


async def read_far(far: Far, count: int) -> bytes:
    octets = b""
    while len(octets) < count and (more := await far.read()):
        octets += more
    return octets


# All of them


@ports
def test_every_octet_passes_both_ways_as_it_is(kind: str, tmp_path: Path) -> None:
    octets = random.Random(1).randbytes(LARGE) + bytes(range(256))

    async def story(rig: PortRig, port: Port) -> None:
        await port.open()
        far = await rig.far()
        received, received_far, *_ = await asyncio.gather(
            read(port, len(octets)),
            read_far(far, len(octets)),
            write(port, octets),
            far.write(octets),
        )
        assert received == octets
        assert received_far == octets

    play(KINDS[kind], tmp_path, story)


@ports
def test_a_port_that_does_not_open_says_why_and_may_open_later(kind: str, tmp_path: Path) -> None:
    async def story(rig: PortRig, port: Port) -> None:
        before = rig.leftovers()
        reason = rig.refuse()
        with pytest.raises(DialError, match=f"^{reason}$"):
            await port.open()
        assert len(rig.leftovers().splitlines()) <= len(before.splitlines())
        rig.answer()
        await port.open()
        assert (await rig.far()).descriptor >= 0

    play(KINDS[kind], tmp_path, story)


@ports
def test_the_loss_of_the_carrier_is_the_end_of_what_can_be_read(kind: str, tmp_path: Path) -> None:
    async def story(rig: PortRig, port: Port) -> None:
        for _ in range(2):
            await port.open()
            port.heed_carrier()
            (await rig.far()).close()
            assert await read(port, 1) == b""
            await port.close()
            rig.answer()

    play(KINDS[kind], tmp_path, story)


@ports
def test_closing_hangs_up_and_leaves_nothing(kind: str, tmp_path: Path) -> None:
    async def story(rig: PortRig, port: Port) -> None:
        before = rig.leftovers()
        await port.close()
        for _ in range(2):
            await port.open()
            far = await rig.far()
            assert rig.leftovers() != before
            await port.close()
            await port.close()
            assert await far.read() == b""
            assert rig.leftovers() == before

    play(KINDS[kind], tmp_path, story)


@ports
def test_its_descriptor_does_not_block_and_is_nobody_else_s(kind: str, tmp_path: Path) -> None:
    async def story(_: PortRig, port: Port) -> None:
        await port.open()
        with pytest.raises(BlockingIOError):
            os.read(port.descriptor, 1)
        assert not os.get_inheritable(port.descriptor)

    play(KINDS[kind], tmp_path, story)


@ports
def test_a_break_is_no_octet(kind: str, tmp_path: Path) -> None:
    async def story(rig: PortRig, port: Port) -> None:
        await port.open()
        far = await rig.far()
        await port.send_break()
        await write(port, b"!")
        assert await far.read() == b"!"

    play(KINDS[kind], tmp_path, story)


# Serial ports


def settings_of(port: Port) -> list[Any]:
    return termios.tcgetattr(port.descriptor)


@pytest.mark.parametrize(("flow", "is_controlled"), [("rts-cts", True), ("none", False)])
def test_a_serial_port_is_raw_at_its_speed(flow: str, is_controlled: bool, tmp_path: Path) -> None:
    async def story(rig: PortRig, _: Port) -> None:
        assert isinstance(rig, TtyRig)
        port = TtyPort(rig.path, 57600, FlowControl(flow), lock_directory=tmp_path)
        await port.open()
        iflag, oflag, cflag, lflag, ispeed, ospeed, _cc = settings_of(port)
        assert (oflag, lflag) == (0, 0)
        assert ispeed == ospeed == termios.B57600
        assert cflag & termios.CSIZE == termios.CS8
        assert cflag & termios.CLOCAL
        assert cflag & termios.HUPCL
        assert bool(cflag & termios.CRTSCTS) is is_controlled
        assert not iflag & (termios.IXON | termios.IXOFF | termios.ICRNL | termios.ISTRIP)
        await port.close()

    play(TtyRig, tmp_path, story)


def test_what_came_before_it_was_opened_is_not_heard(tmp_path: Path) -> None:
    async def story(rig: PortRig, port: Port) -> None:
        await port.open()
        far = await rig.far()
        await far.write(b"stale")
        await port.close()
        await port.open()
        await far.write(b"fresh")
        assert await read(port, 1) == b"fresh"

    play(TtyRig, tmp_path, story)


def test_an_unknown_speed_is_told_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"^33600 is not a speed .*\b9600, .*\b115200, "):
        TtyPort(Path("/dev/ttyS1"), 33600)
    assert list(SPEEDS) == sorted(SPEEDS)
    assert SPEEDS[115200] == termios.B115200


@pytest.mark.parametrize("path", ["file", "directory", "null"])
def test_what_is_no_serial_port_is_told(path: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "directory").mkdir()
    (tmp_path / "null").symlink_to(os.devnull)
    reasons = {"directory": "{}: is a directory"}
    reason = reasons.get(path, "{} is no serial port").format(tmp_path / path)

    async def whole() -> None:
        with pytest.raises(DialError, match=f"^{reason}$"):
            await TtyPort(tmp_path / path, 9600, lock_directory=tmp_path).open()

    asyncio.run(whole())


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.EACCES, "no right to open {}"),
        (errno.EBUSY, "{} is in use by another program"),
        (errno.ENXIO, "there is nothing behind {}"),
        (errno.EIO, "there is nothing behind {}"),
    ],
)
def test_why_the_system_refuses_is_told_in_a_clause(
    number: int, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(rig: PortRig, port: Port) -> None:
        before = rig.leftovers()

        def refuse(*_: object) -> None:
            raise termios.error(number, os.strerror(number))

        monkeypatch.setattr(termios, "tcsetattr", refuse)
        with pytest.raises(DialError, match=f"^{reason.format(port.name)}$"):
            await port.open()
        assert rig.leftovers() == before

    play(TtyRig, tmp_path, story)


class TestLocks:
    def test_a_port_in_use_is_not_opened_again(self, tmp_path: Path) -> None:
        async def story(rig: PortRig, port: Port) -> None:
            other = rig.port()
            await port.open()
            with pytest.raises(DialError, match=r"^.*modem is in use by another program$"):
                await other.open()
            far = await rig.far()
            await far.write(b"still there")
            assert await read(port, 1) == b"still there"
            assert self.is_exclusive(port)
            await port.close()
            await other.open()
            await other.close()

        play(TtyRig, tmp_path, story)

    def is_exclusive(self, port: Port) -> bool:
        answer = fcntl.ioctl(port.descriptor, 0x80045440, bytes(4))  # TIOCGEXCL
        return bool(struct.unpack("i", answer)[0])

    def test_a_port_that_was_closed_is_free_for_others(self, tmp_path: Path) -> None:
        async def story(rig: PortRig, port: Port) -> None:
            await port.open()
            await port.close()
            assert isinstance(rig, TtyRig)
            stranger = os.open(rig.path, os.O_RDWR | os.O_NOCTTY)
            answer = fcntl.ioctl(stranger, 0x80045440, bytes(4))
            os.close(stranger)
            assert struct.unpack("i", answer) == (0,)

        play(TtyRig, tmp_path, story)

    def lock_file(self, rig: PortRig) -> Path:
        assert isinstance(rig, TtyRig)
        return rig.directory / f"LCK..pts_{rig.path.resolve().name}"

    def test_its_lock_file_holds_our_number_while_it_is_open(self, tmp_path: Path) -> None:
        async def story(rig: PortRig, port: Port) -> None:
            await port.open()
            assert self.lock_file(rig).read_text() == f"{os.getpid():10d}\n"
            assert self.lock_file(rig).stat().st_mode & 0o777 == 0o644
            await port.close()
            assert not list(tmp_path.glob("*..*"))

        play(TtyRig, tmp_path, story)

    def test_a_lock_of_another_program_is_respected(self, tmp_path: Path) -> None:
        async def story(rig: PortRig, port: Port) -> None:
            lock = self.lock_file(rig)
            lock.write_text(f"{os.getppid():10d} minicom root\n")
            before = rig.leftovers()
            with pytest.raises(DialError, match=f"^.*modem is in use by process {os.getppid()}$"):
                await port.open()
            assert rig.leftovers() == before
            lock.unlink()

        play(TtyRig, tmp_path, story)

    @pytest.mark.parametrize("content", ["", "garbage\n", "0\n", "-1\n", "9" * 30, "own", "dead"])
    def test_a_lock_nobody_holds_is_taken_over(self, content: str, tmp_path: Path) -> None:
        numbers = {"own": f"{os.getpid()}\n", "dead": f"{self.dead_process()}\n"}

        async def story(rig: PortRig, port: Port) -> None:
            self.lock_file(rig).write_text(numbers.get(content, content))
            await port.open()
            assert self.lock_file(rig).read_text() == f"{os.getpid():10d}\n"

        play(TtyRig, tmp_path, story)

    def dead_process(self) -> int:
        pid = os.posix_spawn("/bin/true", ["true"], {})
        os.waitpid(pid, 0)
        return pid

    def test_without_a_place_for_locks_there_are_none(self, tmp_path: Path) -> None:
        async def story(rig: PortRig, _: Port) -> None:
            assert isinstance(rig, TtyRig)
            port = TtyPort(rig.path, 9600, lock_directory=tmp_path / "nowhere")
            await port.open()
            await port.close()

        play(TtyRig, tmp_path, story)


class Uart:
    """Modem lines where a pty has none: the requests that were made of them, and their moments."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.dropped_at = 0.0
        self._real: Callable[..., Any] = fcntl.ioctl
        monkeypatch.setattr(fcntl, "ioctl", self._ioctl)

    def _ioctl(self, descriptor: int, request: int, *rest: Any) -> Any:
        if request == termios.TIOCMGET:
            return struct.pack("i", termios.TIOCM_DTR | termios.TIOCM_CAR)
        if request == termios.TIOCMBIC:
            assert rest == (struct.pack("i", termios.TIOCM_DTR),)
            self.dropped_at = time.monotonic()
            return rest[0]
        return self._real(descriptor, request, *rest)


class TestModemLines:
    def test_the_carrier_is_heeded_once_the_chat_is_over(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Uart(monkeypatch)

        async def story(_: PortRig, port: Port) -> None:
            await port.open()
            assert settings_of(port)[2] & termios.CLOCAL
            port.heed_carrier()
            assert not settings_of(port)[2] & termios.CLOCAL

        play(TtyRig, tmp_path, story)

    def test_without_modem_lines_there_is_no_carrier_to_heed(self, tmp_path: Path) -> None:
        async def story(_: PortRig, port: Port) -> None:
            await port.open()
            port.heed_carrier()
            assert settings_of(port)[2] & termios.CLOCAL

        play(TtyRig, tmp_path, story)

    def test_a_port_is_left_with_dtr_low_for_a_while(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(ppp_tty, "DTR_LOW_S", 0.2)
        uart = Uart(monkeypatch)

        async def story(rig: PortRig, port: Port) -> None:
            await port.open()
            far = await rig.far()
            closing = asyncio.ensure_future(port.close())
            assert await far.read() == b""
            assert uart.dropped_at
            await closing
            assert 0.19 <= time.monotonic() - uart.dropped_at < 2

        play(TtyRig, tmp_path, story)

    def test_a_speed_of_zero_is_the_way_where_there_is_no_other(self, tmp_path: Path) -> None:
        async def story(rig: PortRig, port: Port) -> None:
            await port.open()
            far = await rig.far()
            await port.close()
            assert termios.tcgetattr(far.descriptor)[5] == termios.B0
            await port.open()
            assert termios.tcgetattr(far.descriptor)[5] == termios.B115200

        play(TtyRig, tmp_path, story)

    def test_a_close_broken_off_closes(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(ppp_tty, "DTR_LOW_S", 600)

        async def story(rig: PortRig, port: Port) -> None:
            before = rig.leftovers()
            await port.open()
            closing = asyncio.ensure_future(port.close())
            await asyncio.sleep(0.05)
            closing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await closing
            assert rig.leftovers() == before

        play(TtyRig, tmp_path, story)


# Programs


FACTS = """
import json, os
print(json.dumps({
    "leads": os.getpid() == os.getsid(0) == os.getpgid(0),
    "controls": os.tcgetpgrp(0) == os.getpid(),
    "files": [fd for fd in sorted(map(int, os.listdir("/proc/self/fd"))) if os.path.exists(
        f"/proc/self/fd/{fd}")],
    "environment": list(os.environ),
}))
"""


DEAF = "trap '' TERM HUP; (while :; do sleep 1; done) & printf x; while :; do sleep 1; done"


class TestPrograms:
    def run(self, program: str | list[str], story: Callable[[PtyPort], Awaitable[None]]) -> None:
        async def whole() -> None:
            async with asyncio.timeout(20):
                script = ["/bin/sh", "-c", program] if isinstance(program, str) else program
                port = PtyPort(script)
                try:
                    await port.open()
                    await story(port)
                finally:
                    await port.close()
                assert not children()

        asyncio.run(whole())

    def test_cat_is_an_echo(self) -> None:
        async def story(port: PtyPort) -> None:
            await write(port, bytes(range(256)))
            assert await read(port, 256) == bytes(range(256))

        self.run("exec cat", story)

    def test_its_end_is_the_loss_of_the_carrier_also_with_others_in_its_session(self) -> None:
        async def story(port: PtyPort) -> None:
            assert await read(port, 10) == b"bye"

        self.run("trap '' HUP; sleep 600 & printf bye", story)

    def test_it_leads_a_session_on_its_terminal_with_nothing_of_the_router(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("SECRET", "1")
        with (tmp_path / "file").open("w") as inheritable:
            os.set_inheritable(inheritable.fileno(), True)

            async def story(port: PtyPort) -> None:
                facts = json.loads(await read(port, 100000))
                assert facts["leads"]
                assert facts["controls"]
                assert facts["files"] == [0, 1, 2]
                assert set(facts["environment"]) - {"LC_CTYPE"} == {"PATH"}

            self.run([sys.executable, "-c", FACTS], story)

    def test_what_it_says_to_standard_error_goes_nowhere(self) -> None:
        async def story(port: PtyPort) -> None:
            assert await read(port, 100) == b"heard"

        self.run("echo secret >&2; printf heard", story)

    def test_one_that_heeds_nothing_is_killed_with_its_group(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("router.host.lines.process.GRACE_S", 0.1)

        async def story(port: PtyPort) -> None:
            await read(port, 1)
            begun = time.monotonic()
            await port.close()
            assert time.monotonic() - begun < 2

        self.run(DEAF, story)

    def test_a_close_broken_off_is_made_good_by_the_next(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("router.host.lines.process.GRACE_S", 0.3)

        async def story(port: PtyPort) -> None:
            await read(port, 1)
            closing = asyncio.ensure_future(port.close())
            await asyncio.sleep(0.1)
            closing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await closing
            assert children()

        self.run(DEAF, story)

    def test_it_is_hung_up_first(self, tmp_path: Path) -> None:
        end = tmp_path / "end"

        async def story(port: PtyPort) -> None:
            await read(port, 1)
            await port.close()
            assert end.read_text().startswith("hung up")

        heeds_one = f"trap '' TERM; trap 'echo hung up >>{end}; exit' HUP; printf x; "
        self.run(heeds_one + "while :; do sleep 0.01; done", story)


# TCP


class TestTcp:
    def test_a_host_that_does_not_exist_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def nobody(*_: object, **__: object) -> None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        async def whole() -> None:
            monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", nobody)
            with pytest.raises(DialError, match=r"^there is no address of modems\.example$"):
                await TcpPort("modems.example", 7000).open()

        asyncio.run(whole())

    @pytest.mark.parametrize("host", ["a" * 70 + ".example", "a..b"])
    def test_what_is_no_name_is_told(self, host: str) -> None:
        async def whole() -> None:
            with pytest.raises(DialError, match=r"^there is no address of "):
                await TcpPort(host, 7000).open()

        asyncio.run(whole())

    def test_every_address_is_tried(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        async def story(rig: PortRig, port: Port) -> None:
            assert isinstance(port, TcpPort)
            there = (await asyncio.get_running_loop().getaddrinfo(
                "127.0.0.1", int(port.name.split()[-1]), type=socket.SOCK_STREAM))[0]  # fmt: skip
            nowhere = (*there[:4], ("127.0.0.1", 1))

            async def two(*_: object, **__: object) -> list[object]:
                return [nowhere, there]

            monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", two)
            await port.open()
            await rig.far()

        play(TcpRig, tmp_path, story)

    def test_a_lookup_does_not_hold_up_the_loop(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def slow(*_: object, **__: object) -> list[object]:
            time.sleep(0.2)
            return []

        async def whole() -> None:
            monkeypatch.setattr(socket, "getaddrinfo", slow)
            opening = asyncio.ensure_future(TcpPort("modems.example", 7000).open())
            turns = 0
            while not opening.done():
                await asyncio.sleep(0.01)
                turns += 1
            assert turns > 5
            with pytest.raises(DialError):
                opening.result()

        asyncio.run(whole())

    def test_an_open_broken_off_leaves_nothing(self, tmp_path: Path) -> None:
        """A listener whose queue is full answers nobody."""

        async def whole() -> None:
            rig = TcpRig(tmp_path)
            with socket.create_server(("127.0.0.1", 0), backlog=0) as deaf:
                address = deaf.getsockname()
                with socket.create_connection(address):
                    before = rig.leftovers()
                    port = TcpPort(*address)
                    opening = asyncio.ensure_future(port.open())
                    await eventually(lambda: rig.leftovers() != before)
                    await asyncio.sleep(0.05)
                    assert not opening.done()
                    opening.cancel()
                    with pytest.raises(asyncio.CancelledError):
                        await opening
                    assert rig.leftovers() == before
            rig.close()

        asyncio.run(whole())

    def test_small_frames_wait_for_nothing_and_a_vanished_peer_is_found(
        self, tmp_path: Path
    ) -> None:
        async def story(_: PortRig, port: Port) -> None:
            await port.open()
            with socket.socket(fileno=os.dup(port.descriptor)) as made:
                assert made.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                assert made.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
                idle, interval, count = (
                    made.getsockopt(socket.IPPROTO_TCP, option)
                    for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
                )
                assert idle + interval * count <= 60

        play(TcpRig, tmp_path, story)
