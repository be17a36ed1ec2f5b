"""One router at a time for each state directory."""

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from router.errors import DeviceError

__all__ = ["instance_lock"]


@contextmanager
def instance_lock(state_dir: Path) -> Iterator[None]:
    """Hold the state directory, made if missing, while the block runs.

    The kernel lets go of the lock when the process ends, however it ends. Raises DeviceError
    when another router holds it or the directory cannot be used. Nobody else may write there,
    because the next start undoes with all its rights what the journal says.
    """
    path = state_dir / "lock"
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_owner(state_dir)
        file = path.open("a+", encoding="ascii")
    except OSError as error:
        raise DeviceError(f"cannot use state directory {state_dir}: {error.strerror}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise DeviceError(
                f"a router already runs with state directory {state_dir} (process {holder})"
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def _check_owner(directory: Path) -> None:
    status = directory.stat()
    if status.st_uid != os.geteuid():
        raise DeviceError(f"state directory {directory} belongs to another user")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise DeviceError(
            f"other users may write to state directory {directory}; 'chmod go-w' ends that"
        )
