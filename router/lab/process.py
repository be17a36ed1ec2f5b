"""Processes of a lab: started in a namespace, known again later, ended without mistaking another.

A process outlives the command that started it, and its number may be given to a stranger after
it has ended. So it is known by number *and* start time, and is signalled through a descriptor
(pidfd) that was opened before the start time was compared: a stranger is never hit. One that
has ended is a zombie until the command that started it ends too, and counts as dead.
"""

import os
import select
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from router.errors import DeviceError
from router.host.machine import netns

__all__ = [
    "Process",
    "current",
    "in_namespace",
    "is_alive",
    "start",
    "stop",
    "wait_until_listening",
]

_PROC = Path("/proc")
_NAMED = Path("/run/netns")  # where named namespaces are bound (ip-netns(8))
_STATE, _START_TIME = 0, 19  # after the command's name in /proc/PID/stat (proc(5), fields 3, 22)
_LISTEN = "0A"  # TCP_LISTEN in /proc/PID/net/tcp
_POLL_S = 0.02  # a Python server takes some 300 ms to start


@dataclass(frozen=True, slots=True)
class Process:
    """One process: what it is for, its number, its start time in clock ticks since boot."""

    role: str
    pid: int
    start_time: int


def start(role: str, namespace: str, command: Sequence[str], log: Path) -> Process:
    """Start a command in the namespace, its output in `log`, in a session of its own.

    Raises DeviceError when the program or the namespace does not exist.
    """
    output = (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    files = (
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        output,
        (os.POSIX_SPAWN_DUP2, 1, 2),
    )
    with netns.inside(namespace):
        try:
            pid = os.posix_spawnp(
                command[0],
                tuple(command),
                os.environ,
                file_actions=files,
                setsid=True,
                setsigmask=(),
            )
        except FileNotFoundError:
            raise DeviceError(f"{command[0]} is not installed; the lab needs it") from None
    fields = _stat(pid)
    assert fields is not None  # should it have ended, nobody else takes a child's status
    return Process(role, pid, int(fields[_START_TIME]))


def current(role: str) -> Process:
    """Return the process that asks."""
    fields = _stat(os.getpid())
    assert fields is not None
    return Process(role, os.getpid(), int(fields[_START_TIME]))


def is_alive(process: Process) -> bool:
    """Return whether this very process still runs; a zombie does not."""
    fields = _stat(process.pid)
    return (
        fields is not None
        and int(fields[_START_TIME]) == process.start_time
        and fields[_STATE] != "Z"
    )


def stop(process: Process, *, grace_s: float) -> None:
    """End the process: SIGTERM, and SIGKILL if it is still there after `grace_s` seconds."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    try:
        if is_alive(process):
            _signal(descriptor, signal.SIGTERM)
            if not _has_ended(descriptor, grace_s):
                _signal(descriptor, signal.SIGKILL)
                _has_ended(descriptor, grace_s)
    finally:
        os.close(descriptor)


def in_namespace(name: str) -> list[Process]:
    """Return every process in the namespace, whoever started it."""
    try:
        home = (_NAMED / name).stat()
    except FileNotFoundError:
        return []
    found = []
    for entry in _PROC.glob("[0-9]*"):
        with suppress(OSError):  # ended while we looked
            fields = _stat(int(entry.name))
            if fields and os.path.samestat((entry / "ns/net").stat(), home):
                found.append(Process("", int(entry.name), int(fields[_START_TIME])))
    return found


def wait_until_listening(process: Process, port: int, *, timeout_s: float) -> None:
    """Wait until something in the process's namespace listens on the TCP port.

    The kernel's table is read rather than a connection made, which the server would log.
    Raises DeviceError when the process ends first or the time is up.
    """
    deadline = time.monotonic() + timeout_s
    while port not in _listening(process.pid):
        if not is_alive(process):
            raise DeviceError(f"the lab's {process.role} ended at once")
        if time.monotonic() > deadline:
            raise DeviceError(f"the lab's {process.role} does not listen on port {port}")
        time.sleep(_POLL_S)


def _stat(pid: int) -> list[str] | None:
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()  # the name before it may hold anything


def _listening(pid: int) -> set[int]:
    try:
        rows = (_PROC / str(pid) / "net/tcp").read_text().splitlines()[1:]
    except OSError:
        return set()
    sockets = [row.split() for row in rows]
    return {int(socket[1].rpartition(":")[2], 16) for socket in sockets if socket[3] == _LISTEN}


def _signal(descriptor: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(descriptor, number)


def _has_ended(descriptor: int, timeout_s: float) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(timeout_s * 1000))
