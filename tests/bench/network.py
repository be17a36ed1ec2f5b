"""The namespaces, processes and built tools of one benchmark run, all gone when it ends.

Names of namespaces and of the temporary directory carry the run's process id: two runs never
collide, and a run first removes what a dead one left. Child processes die with their parent
even when that is killed.
"""

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

__all__ = ["BenchError", "Testbed"]

PREFIX = "bench"
NETNS_DIRECTORY = Path("/run/netns")
SOURCES = Path(__file__).parent
START_TIMEOUT = 10.0  # seconds for a process to say it is ready; starting Python takes under one
STOP_TIMEOUT = 10.0  # seconds for a process to clean up after SIGTERM
RUN_TIMEOUT = 60.0  # seconds for one load, the longest of which takes a few
SYSCTLS = (
    "net.ipv4.tcp_congestion_control=reno",
    "net.ipv4.tcp_no_metrics_save=1",  # else one run's loss sets the next run's ssthresh
    "net.ipv4.ip_forward=1",
    "net.ipv6.conf.all.disable_ipv6=1",
)


class BenchError(Exception):
    """A tool failed or is missing; one plain sentence."""


class Testbed:
    """Owns every namespace and process of the run; use it as a context manager."""

    __test__ = False

    def __init__(self) -> None:
        self._namespaces: list[str] = []
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> "Testbed":
        _remove_stale()
        self.directory = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in reversed(self._processes):
            _stop(process)
        for name in self._namespaces:
            _delete_namespace(name)
        shutil.rmtree(self.directory)

    def build(self, name: str) -> str:
        """Compile `name`.c once and return the path of the program."""
        program = self.directory / name
        if not program.exists():
            source = SOURCES / f"{name}.c"
            self.run(None, "gcc", "-O2", "-pthread", "-o", str(program), str(source))
        return str(program)

    def namespace(self, role: str) -> str:
        """Make a namespace with loopback up and the run's sysctls, and return its name."""
        name = f"{PREFIX}{os.getpid()}-{role}"
        self.run(None, "ip", "netns", "add", name)
        self._namespaces.append(name)
        self.run(name, "sysctl", "-qw", *SYSCTLS)
        self.ip(name, "link set lo up")
        return name

    def ip(self, namespace: str, *commands: str) -> None:
        """Run each command with ip(8) in the namespace."""
        for command in commands:
            self.run(None, "ip", "-n", namespace, *command.split())

    def run(self, namespace: str | None, *command: str, stdin: str = "") -> str:
        """Run a command to its end and return what it printed; raise BenchError if it fails."""
        line = _inside(namespace, command)
        try:
            done = subprocess.run(
                line, input=stdin, capture_output=True, text=True, timeout=RUN_TIMEOUT, check=False
            )
        except subprocess.TimeoutExpired:
            raise BenchError(f"{' '.join(command)} did not end in {RUN_TIMEOUT:.0f} s") from None
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip()
            raise BenchError(f"{' '.join(command)} failed: {said}")
        return done.stdout

    def start(self, namespace: str | None, *command: str, until: str, **environ: str) -> Path:
        """Start a process that lasts as long as the run, wait for `until` in its output.

        Returns the file its output goes to; raises BenchError when it ends or stays silent.
        """
        log = self.directory / f"{len(self._processes)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                _inside(namespace, command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | environ,
            )
        self._processes.append(process)
        deadline = time.monotonic() + START_TIMEOUT
        while until not in log.read_text():
            if process.poll() is not None or time.monotonic() > deadline:
                raise BenchError(f"{' '.join(command)} did not start: {log.read_text().strip()}")
            time.sleep(0.02)
        return log


def _inside(namespace: str | None, command: tuple[str, ...]) -> list[str]:
    # The kernel kills the child when this process dies, however it dies.
    line = ["setpriv", "--pdeathsig", "KILL"]
    if namespace is not None:
        line += ["ip", "netns", "exec", namespace]
    return [*line, *command]


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _delete_namespace(name: str) -> None:
    subprocess.run(["ip", "netns", "delete", name], check=False)


def _remove_stale() -> None:
    pattern = f"{PREFIX}[0-9]*-*"
    for path in filter(_owner_is_dead, NETNS_DIRECTORY.glob(pattern)):
        _delete_namespace(path.name)
    for path in filter(_owner_is_dead, Path(tempfile.gettempdir()).glob(pattern)):
        shutil.rmtree(path)


def _owner_is_dead(path: Path) -> bool:
    owner = path.name.removeprefix(PREFIX).partition("-")[0]
    return not Path("/proc", owner).exists()
