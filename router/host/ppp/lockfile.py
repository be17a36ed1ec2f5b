"""Lock files of serial ports, by which programs keep out of each other's way.

The convention is UUCP's: a file named after the device holds the number of the process that uses
it, in ten columns. One whose process is gone, or that holds no number, is anybody's; so nothing is
left to be undone after a crash. A place for such files that does not exist, or is closed to us, is
how a system says that it does not use them.
"""

import os
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

__all__ = ["LOCK_DIRECTORY", "LockFile"]

LOCK_DIRECTORY = Path("/var/lock")  # Filesystem Hierarchy Standard 3.0, section 5.9

_DEVICES = Path("/dev")
_FOR_ALL = 0o644
_LONGEST = 32  # bytes: ten columns and a program's name, which some add


class LockFile:
    """The lock file of one device."""

    def __init__(self, directory: Path, device: Path) -> None:
        real = device.resolve()
        name = real.relative_to(_DEVICES) if real.is_relative_to(_DEVICES) else Path(real.name)
        self._path = directory / ("LCK.." + str(name).replace("/", "_"))
        self._is_ours = False

    def take(self) -> int:
        """Take the device; return the process that has it already, 0 for none."""
        try:
            return self._take()
        except OSError:
            return 0

    def release(self) -> None:
        """Give the device back, if it was taken."""
        if self._is_ours:
            self._is_ours = False
            with suppress(OSError):
                self._path.unlink()

    def _take(self) -> int:
        """Write the file under another name first: nobody shall find one without a number."""
        with NamedTemporaryFile(prefix="TMP..", dir=self._path.parent) as draft:
            draft.write(f"{os.getpid():10d}\n".encode())
            draft.flush()
            os.fchmod(draft.fileno(), _FOR_ALL)
            while not self._is_ours:
                try:
                    os.link(draft.name, self._path)
                    self._is_ours = True
                except FileExistsError:
                    if holder := self._holder():
                        return holder
                    self._path.unlink(missing_ok=True)
        return 0

    def _holder(self) -> int:
        """Return the process that has the device, 0 when it is gone."""
        try:
            file = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                number = max(0, int(os.read(file, _LONGEST).split()[0]))
            finally:
                os.close(file)
        except (FileNotFoundError, IndexError, ValueError):
            return 0
        # Ours is left over from a process that had our number: the device is locked twice.
        return number if number not in (0, os.getpid()) and _is_alive(number) else 0


def _is_alive(number: int) -> bool:
    try:
        os.kill(number, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True
