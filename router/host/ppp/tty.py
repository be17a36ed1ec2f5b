"""A port that is a serial port, with a modem behind it.

Theory of operation. The port is locked in three ways, since programs differ in what they respect:
`flock` on the descriptor, a lock file, and exclusive use, which the kernel keeps for all but root.

It is set to eight bits, raw. While the modem is talked to its carrier detect is ignored (CLOCAL).
Where it has modem lines that ends with `heed_carrier`: from then on the kernel hangs the port up
when the carrier goes, and a read finds the end. A terminal without modem lines, such as one end of
a pty, has its end when the other is closed.

To hang up is to drop DTR, close the port, and leave it for as long as modems want DTR low; behind a
pty they see it closed. What has been sent before leaves first, if it does so soon; what is left is
thrown away, because closing would wait for it. Settings stay as they are: whoever opens a port next
makes his own. Where a modem, or its line, is gone nothing of this succeeds, nor has to.
"""

import asyncio
import errno
import fcntl
import os
import struct
import termios
from contextlib import suppress
from enum import Enum
from pathlib import Path

from router.host.lines.backend import DialError
from router.host.ppp.lockfile import LOCK_DIRECTORY, LockFile

__all__ = ["SPEEDS", "FlowControl", "TtyPort"]

DTR_LOW_S = 0.5  # seconds: modems want DTR low for S25 hundredths (a twentieth), old ones for more
DRAIN_S = 0.5  # seconds for what was sent last, a good frame at 33,600 bit/s

# What this system's serial ports can be told, bit/s, and how (termios(3)).
SPEEDS: dict[int, int] = {
    int(name[1:]): getattr(termios, name)
    for name in sorted(dir(termios), key=lambda name: (len(name), name))
    if name[0] == "B" and name[1:].isdecimal() and name != "B0"
}

_BREAK_S = 0.25  # seconds, as of tcsendbreak(3)
_POLL_S = 0.02  # seconds between looks at a queue that drains
_TIOCSBRK, _TIOCCBRK = 0x5427, 0x5428  # asm-generic/ioctls.h; the module lacks them
_IFLAG, _OFLAG, _CFLAG, _LFLAG, _ISPEED, _OSPEED, _CC = range(7)  # of tcgetattr's list
_INTEGER = struct.Struct("i")
_WHY = {
    errno.ENOENT: "there is no {}",
    errno.EACCES: "no right to open {}",
    errno.EPERM: "no right to open {}",
    errno.EBUSY: "{} is in use by another program",
    errno.ENXIO: "there is nothing behind {}",
    errno.ENODEV: "there is nothing behind {}",
    errno.EIO: "there is nothing behind {}",
    errno.ENOTTY: "{} is no serial port",
}


class FlowControl(Enum):
    """How the modem stops us, and we it."""

    RTS_CTS = "rts-cts"
    NONE = "none"

    __hash__ = object.__hash__


class TtyPort:
    """Implements `router.host.ppp.port.Port`; `speed` is that of the port, one of SPEEDS."""

    def __init__(
        self,
        path: Path,
        speed: int,
        flow: FlowControl = FlowControl.RTS_CTS,
        *,
        lock_directory: Path = LOCK_DIRECTORY,
    ) -> None:
        if speed not in SPEEDS:
            allowed = ", ".join(map(str, SPEEDS))
            raise ValueError(f"{speed} is not a speed of a serial port, which are {allowed}")
        self._path = path
        self._speed = speed
        self._flow = flow
        self._lock_directory = lock_directory
        self._lock_file: LockFile | None = None
        self._is_exclusive = False
        self._descriptor = -1

    @property
    def name(self) -> str:
        """Return the path of the device."""
        return str(self._path)

    @property
    def descriptor(self) -> int:
        """Return the descriptor of the device."""
        return self._descriptor

    async def open(self) -> None:
        """Open, lock and set up the device."""
        try:
            flags = os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC
            self._descriptor = os.open(self._path, flags)
            self._lock()
            self._set_up()
        except (OSError, termios.error) as error:
            self._let_go()
            raise self._refusal(error) from None
        except BaseException:
            self._let_go()
            raise

    def heed_carrier(self) -> None:
        """Have the kernel hang up when the carrier goes, where there are modem lines."""
        with suppress(OSError, termios.error):
            fcntl.ioctl(self._descriptor, termios.TIOCMGET, bytes(_INTEGER.size))
            settings = termios.tcgetattr(self._descriptor)
            settings[_CFLAG] &= ~termios.CLOCAL
            termios.tcsetattr(self._descriptor, termios.TCSANOW, settings)

    async def send_break(self) -> None:
        """Send a break."""
        with suppress(OSError):
            fcntl.ioctl(self._descriptor, _TIOCSBRK)
            try:
                await asyncio.sleep(_BREAK_S)
            finally:
                fcntl.ioctl(self._descriptor, _TIOCCBRK)

    async def close(self) -> None:
        """Hang up by DTR and let go."""
        if self._descriptor < 0:
            return
        is_low = False
        try:
            await self._drain()
            is_low = self._drop_dtr()
        finally:
            self._let_go()
        if is_low:
            await asyncio.sleep(DTR_LOW_S)

    # Opening

    def _lock(self) -> None:
        """Keep other programs out; one that is locked is as busy as an exclusive one."""
        if not os.isatty(self._descriptor):
            raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY)) from None
        self._lock_file = LockFile(self._lock_directory, self._path)
        if holder := self._lock_file.take():
            raise DialError(f"{self.name} is in use by process {holder}")
        fcntl.ioctl(self._descriptor, termios.TIOCEXCL)
        self._is_exclusive = True

    def _set_up(self) -> None:
        settings = termios.tcgetattr(self._descriptor)
        settings[_IFLAG] = termios.IGNBRK | termios.IGNPAR
        settings[_OFLAG] = settings[_LFLAG] = 0
        settings[_CFLAG] = termios.CS8 | termios.CREAD | termios.HUPCL | termios.CLOCAL
        if self._flow is FlowControl.RTS_CTS:
            settings[_CFLAG] |= termios.CRTSCTS
        settings[_ISPEED] = settings[_OSPEED] = SPEEDS[self._speed]
        settings[_CC][termios.VMIN], settings[_CC][termios.VTIME] = 1, 0
        termios.tcsetattr(self._descriptor, termios.TCSANOW, settings)
        termios.tcflush(self._descriptor, termios.TCIOFLUSH)

    def _refusal(self, error: OSError | termios.error) -> DialError:
        number, text = error.args[:2]
        return DialError(_WHY.get(number, "{}: " + str(text).lower()).format(self.name))

    # Closing

    async def _drain(self) -> None:
        with suppress(OSError):
            for _ in range(round(DRAIN_S / _POLL_S)):
                waiting = fcntl.ioctl(self._descriptor, termios.TIOCOUTQ, bytes(_INTEGER.size))
                if not any(waiting):
                    return
                await asyncio.sleep(_POLL_S)

    def _drop_dtr(self) -> bool:
        """Drop DTR; return whether that makes a difference, as it does not after a hang-up."""
        with suppress(OSError, termios.error):
            termios.tcflush(self._descriptor, termios.TCIOFLUSH)
            try:
                dtr = _INTEGER.pack(termios.TIOCM_DTR)
                fcntl.ioctl(self._descriptor, termios.TIOCMBIC, dtr)
            except OSError:  # there are drivers that know no other way than a speed of 0
                settings = termios.tcgetattr(self._descriptor)
                settings[_ISPEED] = settings[_OSPEED] = termios.B0
                termios.tcsetattr(self._descriptor, termios.TCSANOW, settings)
            return True
        return False

    def _let_go(self) -> None:
        if self._is_exclusive:
            self._is_exclusive = False
            with suppress(OSError):  # it outlives us where the other end of a pty stays open
                fcntl.ioctl(self._descriptor, termios.TIOCNXCL)
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        if self._lock_file is not None:
            self._lock_file.release()
            self._lock_file = None
