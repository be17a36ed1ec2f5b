"""Every kind of port and of PPP line with its other end in a test's hand, for their two suites.

A rig is made where the event loop runs, and closed with `close`. What it judges frames by is
written here anew, octet by octet: a judge must not share the code it judges.
"""

import asyncio
import os
import select
import socket
import sys
import tty
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, Protocol

from router.chat.machine import Chat
from router.chat.script import parse_script
from router.host.lines.backend import DialError
from router.host.ppp.line import Line
from router.host.ppp.port import Port
from router.host.ppp.pty import PtyPort
from router.host.ppp.stream import StreamLine
from router.host.ppp.tcp import TcpPort
from router.host.ppp.tty import TtyPort

_LOOPBACK = "127.0.0.1"
_SPEED = 115200
_POLL_S = 0.01


class Far:
    """The other end of a port that is open."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        if descriptor >= 0:
            os.set_blocking(descriptor, False)

    async def read(self) -> bytes:
        """Some octets, or nothing at the end."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                return os.read(self.descriptor, 65536)
            except BlockingIOError:
                await _event(self.descriptor, loop.add_reader, loop.remove_reader)
            except OSError:
                return b""

    async def read_until(self, end: bytes) -> bytes:
        """Octets up to these, which come last; fewer at the end."""
        heard = b""
        while not heard.endswith(end) and (octets := await self.read()):
            heard += octets
        return heard

    async def write(self, octets: bytes) -> None:
        loop = asyncio.get_running_loop()
        while octets:
            try:
                octets = octets[os.write(self.descriptor, octets) :]
            except BlockingIOError:
                await _event(self.descriptor, loop.add_writer, loop.remove_writer)

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


async def _event(
    descriptor: int,
    add: Callable[[int, Callable[[], None]], None],
    remove: Callable[[int], bool],
) -> None:
    ready = asyncio.Event()
    add(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        remove(descriptor)


# Ports


class PortRig(Protocol):
    """A port and its other end."""

    def port(self) -> Port:
        """A port, as of a program that has just been started."""
        ...

    async def far(self) -> Far:
        """The other end, once the port is open; that of the next opening when called again."""
        ...

    def refuse(self) -> str:
        """Have it not open from now on; return a pattern for the reason."""
        ...

    def answer(self) -> None:
        """Have it open again, also after its other end was closed."""
        ...

    def leftovers(self) -> str:
        """What there is because the port has been open."""
        ...

    def close(self) -> None: ...


class _Rig:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._fars: list[Far] = []

    def _keep(self, far: Far) -> Far:
        self._fars.append(far)
        return far

    def leftovers(self) -> str:
        """Descriptors but for those of the rig, children, lock files."""
        own = self._own_descriptors()
        descriptors = []
        for link in Path("/proc/self/fd").iterdir():
            with suppress(OSError):  # the directory's own
                if int(link.name) not in own:
                    descriptors.append(f"{link.name} {link.readlink()}")
        listing = f"/proc/{os.getpid()}/fd"
        locks = [path.name for path in self.directory.glob("*..*")]
        kept = sorted(each for each in descriptors if listing not in each)
        return "\n".join([*kept, *sorted(locks), *children()])

    def _own_descriptors(self) -> set[int]:
        return {far.descriptor for far in self._fars}

    def close(self) -> None:
        for far in self._fars:
            far.close()


def children() -> list[str]:
    """The processes started here that have not been cleared away."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            name, _, rest = entry.read_text().rpartition(")")
            if int(rest.split()[1]) == os.getpid():
                found.append(name)
    return found


class FakePort:
    """Implements `router.host.ppp.port.Port`; `far` is the other end while it is open."""

    name = "the port"

    def __init__(self) -> None:
        self.refusal = ""
        self.heeds_carrier = False
        self.breaks = 0
        self.opened = asyncio.Event()
        self.far = Far(-1)
        self._ours: socket.socket | None = None

    @property
    def descriptor(self) -> int:
        assert self._ours is not None
        return self._ours.fileno()

    async def open(self) -> None:
        if self.refusal:
            raise DialError(f"{self.name} {self.refusal}")
        self._ours, its = socket.socketpair()
        self._ours.setblocking(False)
        self.far = Far(its.detach())
        self.heeds_carrier = False
        self.opened.set()

    def heed_carrier(self) -> None:
        self.heeds_carrier = True

    async def send_break(self) -> None:
        self.breaks += 1

    async def close(self) -> None:
        if self._ours is not None:
            self._ours.close()
            self._ours = None
            self.opened.clear()


class FakePortRig(_Rig):
    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.made = FakePort()

    def port(self) -> Port:
        return self.made

    async def far(self) -> Far:
        await self.made.opened.wait()
        self.made.opened.clear()
        return self._keep(self.made.far)

    def refuse(self) -> str:
        self.made.refusal = "is not there"
        return "the port is not there"

    def answer(self) -> None:
        self.made.refusal = ""


class TtyRig(_Rig):
    """One end of a pty, found by a symbolic link as that of an emulated modem is."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.path = directory / "modem"
        self._master = Far(-1)
        self.answer()

    def port(self) -> Port:
        return TtyPort(self.path, _SPEED, lock_directory=self.directory)

    async def far(self) -> Far:
        """Wait for the port to be opened: until then its other end is hung up."""
        poll = select.poll()
        poll.register(self._master.descriptor, select.POLLIN)
        while any(event & select.POLLHUP for _, event in poll.poll(0)):
            await asyncio.sleep(_POLL_S)
        return self._master

    def refuse(self) -> str:
        self.path.unlink()
        return f"there is no {self.path}"

    def answer(self) -> None:
        self._master.close()
        master, slave = os.openpty()
        tty.setraw(slave)
        self.path.unlink(missing_ok=True)
        self.path.symlink_to(os.ttyname(slave))
        os.close(slave)
        self._master = self._keep(Far(master))


_BRIDGE = """
import os, select, socket, sys
far = socket.socket(socket.AF_UNIX)
far.connect(sys.argv[1])
while True:
    ready, _, _ = select.select([0, far], [], [])
    if 0 in ready:
        far.sendall(os.read(0, 4096))
    if far in ready:
        octets = far.recv(4096)
        if not octets:
            break
        os.write(1, octets)
"""


class ProgramRig(_Rig):
    """A program between its terminal and a socket."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._program = directory / "program"
        self._path = directory / "socket"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._path))
        self._listener.listen()
        self._listener.setblocking(False)
        self.answer()

    def port(self) -> Port:
        return PtyPort([str(self._program), "-ISc", _BRIDGE, str(self._path)])

    async def far(self) -> Far:
        connection, _ = await asyncio.get_running_loop().sock_accept(self._listener)
        return self._keep(Far(connection.detach()))

    def refuse(self) -> str:
        self._program.unlink()
        return f"{self._program} cannot be started: No such file or directory"

    def answer(self) -> None:
        if not self._program.exists():
            self._program.symlink_to(Path(sys.executable).resolve())

    def close(self) -> None:
        super().close()
        self._listener.close()


class TcpRig(_Rig):
    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._port = 0
        self._listener = socket.socket()
        self.answer()

    def port(self) -> Port:
        return TcpPort(_LOOPBACK, self._port)

    async def far(self) -> Far:
        connection, _ = await asyncio.get_running_loop().sock_accept(self._listener)
        return self._keep(Far(connection.detach()))

    def refuse(self) -> str:
        self._listener.close()
        return f"{_LOOPBACK} port {self._port}: connection refused"

    def answer(self) -> None:
        self._listener.close()
        self._listener = socket.create_server((_LOOPBACK, self._port))
        self._listener.setblocking(False)
        self._port = self._listener.getsockname()[1]

    def _own_descriptors(self) -> set[int]:
        return {*super()._own_descriptors(), self._listener.fileno()}

    def close(self) -> None:
        super().close()
        self._listener.close()


# Frames as octets

_FLAG, _ESCAPE = 0x7E, 0x7D
_ALL_STATIONS = b"\xff\x03"


def framed(frame: bytes) -> bytes:
    """A frame on a line where everything is escaped that can be."""
    octets = _ALL_STATIONS + frame
    octets += _check(octets).to_bytes(2, "little")
    escaped = bytearray()
    for octet in octets:
        if octet < 0x20 or octet in (_FLAG, _ESCAPE):
            escaped += bytes((_ESCAPE, octet ^ 0x20))
        else:
            escaped.append(octet)
    return bytes((_FLAG, *escaped, _FLAG))


class Deframer:
    """Takes the frames out of octets; what is no frame, it counts."""

    def __init__(self) -> None:
        self.noise = 0
        self._begun = bytearray()

    def feed(self, octets: bytes) -> list[bytes]:
        frames = []
        for octet in octets:
            if octet != _FLAG:
                self._begun.append(octet)
            elif self._begun:
                frames += self._whole(bytes(self._begun))
                self._begun.clear()
        return frames

    def _whole(self, escaped: bytes) -> list[bytes]:
        octets = bytearray()
        is_escaped = False
        for octet in escaped:
            if octet == _ESCAPE:
                is_escaped = True
            else:
                octets.append(octet ^ 0x20 if is_escaped else octet)
                is_escaped = False
        frame, check = bytes(octets[:-2]), bytes(octets[-2:])
        if len(octets) < 4 or check != _check(frame).to_bytes(2, "little"):
            self.noise += 1
            return []
        return [frame.removeprefix(_ALL_STATIONS)]


def _check(octets: bytes) -> int:
    """FCS-16 (RFC 1662 appendix C), a bit at a time."""
    check = 0xFFFF
    for octet in octets:
        check ^= octet
        for _ in range(8):
            check = check >> 1 ^ (0x8408 if check & 1 else 0)
    return check ^ 0xFFFF


# Lines


class LineRig(Protocol):
    """A PPP line and its other end.

    `can` are the things that can happen to it: refuse, stall, lose, congest. `heard` are the frames
    that have arrived at the other end, in full but without address and control.
    """

    can: ClassVar[frozenset[str]]
    needs_root: ClassVar[bool]
    is_async: ClassVar[bool]

    def __init__(self, directory: Path) -> None: ...

    @property
    def heard(self) -> list[bytes]: ...

    def line(self) -> Line:
        """The line, which is down."""
        ...

    def refuse(self) -> str:
        """Have connects fail from now on; return a pattern for the reason."""
        ...

    def stall(self) -> None:
        """Have connects come to no end from now on."""
        ...

    async def stalled(self) -> None:
        """Wait until a connect is under way."""
        ...

    def answer(self) -> None:
        """Have connects succeed again."""
        ...

    async def say(self, frames: list[bytes]) -> None:
        """Have the other end of a line that is connected send frames."""
        ...

    async def lose(self) -> None:
        """Have the carrier go."""
        ...

    async def down(self) -> None:
        """Wait until the other end knows that the line was taken down."""
        ...

    def pause(self) -> None:
        """Have the other end listen no longer."""
        ...

    def resume(self) -> None:
        """Have the other end listen again."""
        ...

    def leftovers(self) -> str:
        """What there is because of the line."""
        ...

    async def close(self) -> None: ...


MODEM = parse_script("ABORT BUSY TIMEOUT 30 '' ATDT\\T CONNECT '\\c'", "modem.chat")
NUMBER = "5551234"


class StreamRig:
    """A port with a modem behind it that knows one command, and then a peer."""

    can: ClassVar = frozenset({"refuse", "stall", "lose", "congest"})
    needs_root: ClassVar = False
    is_async: ClassVar = True
    ports: ClassVar[type[FakePortRig | TtyRig | ProgramRig | TcpRig]] = FakePortRig
    has_modem: ClassVar = True

    def __init__(self, directory: Path) -> None:
        self.heard: list[bytes] = []
        self.port_rig = self.ports(directory)
        self._mode = "answer"
        self._far: Far | None = None
        self._stalled = asyncio.Event()
        self._online = asyncio.Event()
        self._offline = asyncio.Event()
        self._listens = asyncio.Event()
        self._listens.set()
        self._task = asyncio.ensure_future(self._serve())

    def line(self) -> Line:
        chats = [lambda: Chat(MODEM, NUMBER)] if self.has_modem else []
        return StreamLine(self.port_rig.port(), chats, speed=_SPEED)

    def refuse(self) -> str:
        self._mode = "refuse"
        return "the modem says BUSY" if self.has_modem else self.port_rig.refuse()

    def stall(self) -> None:
        self._mode = "stall"

    async def stalled(self) -> None:
        await self._stalled.wait()

    def answer(self) -> None:
        self._mode = "answer"
        if not self.has_modem:
            self.port_rig.answer()

    async def say(self, frames: list[bytes]) -> None:
        await self._online.wait()
        assert self._far is not None
        for frame in frames:
            await self._far.write(framed(frame))

    async def lose(self) -> None:
        await self._online.wait()
        assert self._far is not None
        await self._end()
        self._far.close()
        self._online.clear()
        self.port_rig.answer()
        self._task = asyncio.ensure_future(self._serve())

    async def down(self) -> None:
        await self._offline.wait()

    def pause(self) -> None:
        self._listens.clear()

    def resume(self) -> None:
        self._listens.set()

    def leftovers(self) -> str:
        return self.port_rig.leftovers()

    async def close(self) -> None:
        await self._end()
        self.port_rig.close()

    async def _end(self) -> None:
        """Let go of the descriptor before anybody closes it."""
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _serve(self) -> None:
        while True:
            self._far = far = await self.port_rig.far()
            self._offline.clear()
            if not self.has_modem or await self._dialled(far):
                self._online.set()
                await self._listen(far)
            self._online.clear()
            self._offline.set()

    async def _dialled(self, far: Far) -> bool:
        command = await far.read_until(b"\r")
        if not command:
            return False
        assert command == f"ATDT{NUMBER}\r".encode()
        if self._mode == "answer":
            await far.write(b"\r\nCONNECT 33600\r\n")
            return True
        if self._mode == "stall":
            self._stalled.set()
        else:
            await far.write(b"\r\nBUSY\r\n")
        await far.read_until(b"never")
        return False

    async def _listen(self, far: Far) -> None:
        deframer = Deframer()
        while True:
            await self._listens.wait()
            octets = await far.read()
            if not octets:
                return
            self.heard += deframer.feed(octets)


class TtyLineRig(StreamRig):
    ports: ClassVar = TtyRig


class TcpLineRig(StreamRig):
    ports: ClassVar = TcpRig


class ProgramLineRig(StreamRig):
    can: ClassVar = StreamRig.can - {"stall"}
    ports: ClassVar = ProgramRig
    has_modem: ClassVar = False
