"""One router at a time for each state directory."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from router.errors import DeviceError

__all__ = ["instance_lock"]


@contextmanager
def instance_lock(state_dir: Path) -> Iterator[None]:
    """Hold the state directory, made if missing, while the block runs.

    The kernel lets go of the lock when the process ends, however it ends. Raises DeviceError
    when another router holds it or the directory cannot be used.
    """
    path = state_dir / "lock"
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
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
