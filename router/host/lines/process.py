"""A command of a line: started in a namespace, listened to, and ended with all it has started.

Theory of operation. The command leads a session and process group of its own. What it says is
heard line by line as long as anything of the group may speak, in bounded memory. When it has
ended, others of its group may live on, as a DHCP client in the background does.

Its own status is not collected before `end`. So it stays a zombie until then, nobody else is given
its number, and a signal to the group never hits a stranger.

It gets no descriptors of the router, no signals blocked or ignored by it, and nothing on its
standard input. What it writes to standard error goes nowhere: programs put secrets there.
"""

import asyncio
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from router.host.machine import netns as namespaces

__all__ = ["GRACE_S", "SYSTEM_PATH", "Process", "spawn", "start"]

# Where programs are looked for; of the router's own environment they are told nothing.
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
GRACE_S = 2.0  # seconds to end after SIGTERM: a modem may take one to go on hook
LONGEST_LINE = 512  # bytes; what is longer says nothing we know

_POLL_S = 0.02  # seconds between looks at a group that is about to end
_PIPE = 65536  # bytes a pipe holds (pipe(7))
_STATE, _GROUP = 0, 2  # after the command's name in /proc/PID/stat (proc(5), fields 3 and 5)
# Python ignores some, nohup(1) and shells others in what they start in the background.
_TO_THEIR_DEFAULT = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}


def start(
    command: Sequence[str],
    *,
    netns: str,
    environment: Mapping[str, str],
    hear: Callable[[str], None],
) -> "Process":
    """Start a command where an event loop runs; `hear` is given each line it says.

    Raises OSError when it cannot be started, DeviceError when there is no such namespace.
    """
    reading, writing = os.pipe2(os.O_CLOEXEC)
    files = (
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, writing, 1),
    )
    try:
        with namespaces.inside(netns):  # nothing is awaited in there
            pid = spawn(command, environment, files)
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    return Process(pid, reading, hear)


def spawn(
    command: Sequence[str], environment: Mapping[str, str], files: Sequence[tuple[Any, ...]]
) -> int:
    """Start a command in a session of its own and return its number; raises OSError.

    `files` says as in `os.posix_spawn` what its standard input and output are.
    """
    rest = (
        (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
        *((os.POSIX_SPAWN_CLOSE, descriptor) for descriptor in _inheritable()),
    )
    return os.posix_spawnp(
        command[0],
        tuple(command),
        dict(environment),
        file_actions=(*files, *rest),
        setsid=True,
        setsigmask=(),
        setsigdef=_TO_THEIR_DEFAULT,
    )


class Process:
    """A command that runs, or has run and has not been cleared away by `end`."""

    def __init__(self, pid: int, output: int, hear: Callable[[str], None]) -> None:
        self.pid = pid
        self._hear = hear
        self._output = output
        self._heard = b""
        self._descriptor = os.pidfd_open(pid)
        self._code: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._is_over = False
        os.set_blocking(output, False)
        loop = asyncio.get_running_loop()
        loop.add_reader(output, self._listen)
        loop.add_reader(self._descriptor, self._note_end)

    @property
    def is_running(self) -> bool:
        """Whether the command itself has not ended."""
        return not self._code.done()

    async def wait(self) -> int:
        """Wait until the command has ended; return its exit code, or its signal negated."""
        return await asyncio.shield(self._code)

    async def end(self) -> None:
        """End the command and its whole group, politely first, and clear away.

        Takes no longer than twice the time of grace; ending again does nothing.
        """
        if self._is_over:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self._is_deserted():
                break
            with suppress(ProcessLookupError):
                os.killpg(self.pid, number)
            await self._desertion(GRACE_S)
        self._clear_away()

    async def _desertion(self, limit_s: float) -> None:
        deadline = asyncio.get_running_loop().time() + limit_s
        while not self._is_deserted() and asyncio.get_running_loop().time() < deadline:
            if self.is_running:
                await asyncio.wait({self._code}, timeout=limit_s)
            else:
                await asyncio.sleep(_POLL_S)

    def _is_deserted(self) -> bool:
        return not self.is_running and not any(state != "Z" for state in _states_in_group(self.pid))

    def _clear_away(self) -> None:
        self._is_over = True
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._descriptor)
        with suppress(ChildProcessError):
            os.waitid(os.P_PIDFD, self._descriptor, os.WEXITED | os.WNOHANG)
        os.close(self._descriptor)
        self._stop_listening()

    def _note_end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._descriptor)
        self._listen()
        self._hear_rest()
        result = os.waitid(os.P_PIDFD, self._descriptor, os.WEXITED | os.WNOWAIT)
        assert result is not None
        killed = result.si_code in (os.CLD_KILLED, os.CLD_DUMPED)
        self._code.set_result(-result.si_status if killed else result.si_status)

    def _listen(self) -> None:
        if self._output < 0:
            return
        try:
            said = os.read(self._output, _PIPE)
        except BlockingIOError:
            return
        if not said:
            self._hear_rest()
            self._stop_listening()
            return
        *lines, rest = (self._heard + said).split(b"\n")
        self._heard = rest[: LONGEST_LINE + 1]
        for line in lines:
            self._take(line)

    def _hear_rest(self) -> None:
        """Take what was said last, without an end of line."""
        rest, self._heard = self._heard, b""
        self._take(rest)

    def _take(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace").strip()
        if text and len(line) <= LONGEST_LINE:
            self._hear(text)

    def _stop_listening(self) -> None:
        if self._output >= 0:
            asyncio.get_running_loop().remove_reader(self._output)
            os.close(self._output)
            self._output = -1


def _inheritable() -> list[int]:
    """Return what the router itself was started with beside the standard three."""
    found = []
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - numbers, not paths
        with suppress(OSError):  # the directory's own, which is closed by now
            if int(name) > 2 and os.get_inheritable(int(name)):
                found.append(int(name))
    return found


def _states_in_group(group: int) -> list[str]:
    states = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # ended while we looked
            fields = entry.read_text().rpartition(")")[2].split()  # the name may hold anything
            if int(fields[_GROUP]) == group:
                states.append(fields[_STATE])
    return states
