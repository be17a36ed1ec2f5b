"""The cable between a modem and its terminal: a pseudo-terminal behind a name that stays.

Theory of operation. The terminal opens `link` as it opens any serial port. The slave behind it is
raw from the start; speeds and handshakes that the terminal sets mean nothing. When the terminal
closes it, or the modem lets go of the line, a fresh pseudo-terminal takes its place behind the
name, and who still has the old one open finds it hung up. So nothing that was meant for one who had
it open is read by the next.

The kernel throws away what has not been read of a terminal that is hung up, and a serial port does
not. So a terminal is left a moment to read what it was sent, before it finds the end.

Octets for the terminal wait here while it does not read; `is_full` is for whoever can hold them
back. Octets of the terminal for which there is no room wait here as well, and meanwhile it may send
no more: its output is stopped, as a modem does with CTS. The kernel would take 18,000 octets of it
otherwise, four seconds of a modem's time, and no queue before the line could be short.
"""

import asyncio
import errno
import fcntl
import os
import struct
import termios
import tty
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

__all__ = ["Terminal"]

LINGER_S = 0.5  # seconds until a terminal that does not read is hung up all the same

_POLL_S = 0.01  # seconds between looks at what a terminal has not read
_MOST = 65536  # octets read at once
_UNLOCK, _NUMBER = 0x40045431, 0x80045430  # TIOCSPTLCK and TIOCGPTN (ioctl_tty(2))
_FULL = 16384  # octets that wait for a terminal, beyond what the kernel holds for it


class Terminal:
    """The cable; made, and called, where the event loop runs.

    `room` says how many octets of the terminal may come now, `receive` is given them. `gone` is
    called when a terminal has closed its end, before the next one can open it.
    """

    def __init__(
        self,
        link: Path,
        *,
        room: Callable[[], int],
        receive: Callable[[bytes], None],
        gone: Callable[[], None],
    ) -> None:
        self._link = link
        self._room = room
        self._receive = receive
        self._gone = gone
        self._loop = asyncio.get_running_loop()
        self._waiting = bytearray()
        self._typed = bytearray()  # by the terminal, no room yet
        self._is_reading = False
        self._is_stopped = False
        self._master, self._slave = -1, ""
        self._parting: asyncio.Task[None] | None = None
        self._plug_in()

    @property
    def is_full(self) -> bool:
        """Whether so much waits for the terminal that more should be held back."""
        return len(self._waiting) >= _FULL

    def write(self, data: bytes) -> None:
        """Send octets to the terminal; without one they are lost."""
        if self._master >= 0:
            was_empty = not self._waiting
            self._waiting += data
            if was_empty:
                self._flush()

    def read(self) -> None:
        """Go on, because there is room."""
        if self._master >= 0 and self._parting is None:
            self._pass_on()

    def _start_reading(self) -> None:
        if not self._is_reading:
            self._is_reading = True
            self._loop.add_reader(self._master, self._take)

    def hang_up(self) -> None:
        """Have the terminal find its end hung up, and be there for the next one, in a moment."""
        if self._master >= 0 and self._parting is None:
            self._stop_reading()
            self._parting = asyncio.create_task(self._part())

    def close(self) -> None:
        """Have nothing there any more."""
        if self._parting is not None:
            self._parting.cancel()
        self._unplug()
        self._link.unlink(missing_ok=True)

    def _plug_in(self) -> None:
        self._master, self._slave = _pseudo_terminal()
        fresh = self._link.with_name(f".{self._link.name}.new")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(self._slave)
        fresh.replace(self._link)
        self._start_reading()

    def _unplug(self) -> None:
        if self._master >= 0:
            self._loop.remove_reader(self._master)
            self._loop.remove_writer(self._master)
            os.close(self._master)
        self._master, self._is_reading = -1, False
        self._waiting.clear()
        self._typed.clear()
        self._is_stopped = False

    async def _part(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                while self._waiting or _unread(self._slave):
                    await asyncio.sleep(_POLL_S)
        self._parting = None
        self._unplug()
        self._plug_in()

    def _stop_reading(self) -> None:
        self._is_reading = False
        self._loop.remove_reader(self._master)

    def _take(self) -> None:
        with suppress(BlockingIOError):
            try:
                self._typed += os.read(self._master, _MOST)
            except OSError as error:
                if error.errno != errno.EIO:  # all have closed it
                    raise
                self._lose()
            else:
                self._pass_on()

    def _pass_on(self) -> None:
        """Pass on what there is room for, and have the terminal send while nothing waits."""
        while self._typed and (room := self._room()):
            data = bytes(self._typed[:room])
            del self._typed[:room]
            self._receive(data)
        if bool(self._typed) != self._is_stopped and self._master >= 0:
            self._is_stopped = bool(self._typed)
            _let_send(self._slave, not self._is_stopped)

    def _lose(self) -> None:
        self._unplug()
        self._gone()
        self._plug_in()

    def _flush(self) -> None:
        with suppress(BlockingIOError):
            del self._waiting[: os.write(self._master, self._waiting)]
        if self._waiting:
            self._loop.add_writer(self._master, self._flush)
        else:
            self._loop.remove_writer(self._master)


def _pseudo_terminal() -> tuple[int, str]:
    """Return the master of a new pseudo-terminal and the name of its slave, which is raw.

    The slave is not opened for that: a terminal that has closed it is told from none by its having
    been open.
    """
    master = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(master, _UNLOCK, struct.pack("i", 0))
    (number,) = struct.unpack("i", fcntl.ioctl(master, _NUMBER, bytes(4)))
    tty.setraw(master)
    return master, f"/dev/pts/{number}"


def _unread(slave: str) -> int:
    """Return how many octets the terminal has not read."""
    descriptor = os.open(slave, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        (count,) = struct.unpack("i", fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)))
        return int(count)
    finally:
        os.close(descriptor)


def _let_send(slave: str, may: bool) -> None:
    """Stop the terminal's output, or let it go on."""
    descriptor = os.open(slave, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        termios.tcflow(descriptor, termios.TCOON if may else termios.TCOOFF)
    finally:
        os.close(descriptor)
