"""What labs there are: one folder each under /run/postroad-lab, and one lock over all.

Invariants: a lab's `lab.json` is there before the first thing it names is made, and goes last,
so nothing of a lab is ever left that no record tells of. Whoever makes or removes a lab holds
the lock; so a lab that has no running router while one holds the lock has crashed, in whatever
way, and may be removed. A lab with an owner lives no longer than that process does.
"""

import fcntl
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from router.errors import RouterError
from router.host.machine import netns
from router.lab import process, topology
from router.lab.process import Process

__all__ = ["DamagedError", "Lab", "every", "find", "forget", "locked", "reserve", "salvage", "save"]

_ROOT = Path("/run/postroad-lab")  # goes at reboot, as do namespaces
_RECORD = "lab.json"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")  # it becomes a folder's name
_PREFIX_BYTES = 2  # four hexadecimal digits: short in `ip netns`, and checked to be free


class DamagedError(RouterError):
    """A lab's record is not what was written; `record` is its file."""

    def __init__(self, record: Path) -> None:
        name = record.parent.name
        super().__init__(f"{record} is damaged; `postroad lab down --name {name}` removes the lab")
        self.record = record


@dataclass(frozen=True, slots=True)
class Lab:
    """One lab: its name, the prefix of its namespaces, the processes that make it live.

    `owner` is who has it for itself and takes it down, a demonstration for instance.
    """

    name: str
    prefix: str
    processes: tuple[Process, ...] = ()
    owner: Process | None = None

    @property
    def directory(self) -> Path:
        """Return the folder of the lab's files."""
        return _ROOT / self.name

    @property
    def config(self) -> Path:
        """Return the router's configuration file."""
        return self.directory / "router.toml"

    @property
    def control(self) -> Path:
        """Return the router's control socket."""
        return self.directory / "control.sock"

    @property
    def recording(self) -> Path:
        """Return the file that holds what was on the line, if somebody has recorded it."""
        return self.directory / "outside.pcap"

    def log(self, role: str) -> Path:
        """Return the file that holds what this process has said."""
        return self.directory / f"{role}.log"

    def namespace(self, node: str) -> str:
        """Return the node's namespace; raises RouterError when the lab has no such node."""
        if node not in topology.NODES:
            raise RouterError(f"there is no {node} in a lab; there are {', '.join(topology.NODES)}")
        return topology.namespace(self.prefix, node)

    @property
    def is_alive(self) -> bool:
        """Return whether the lab's router runs, and its owner, if it has one."""
        if self.owner and not process.is_alive(self.owner):
            return False
        return any(one.role == "router" and process.is_alive(one) for one in self.processes)

    def process(self, role: str) -> Process:
        """Return the process of this role; raises KeyError when it was never started."""
        return {one.role: one for one in self.processes}[role]

    def with_process(self, one: Process) -> "Lab":
        """Return the lab with one more process."""
        return replace(self, processes=(*self.processes, one))


@contextmanager
def locked() -> Iterator[None]:
    """Hold the lock over all labs; waits for whoever holds it; raises RouterError."""
    try:
        _ROOT.mkdir(mode=0o755, exist_ok=True)
        descriptor = os.open(_ROOT / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except PermissionError:
        raise RouterError("a lab makes network namespaces, which needs root") from None
    except OSError as error:
        raise RouterError(f"a lab keeps its files in {_ROOT}: {error.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def every() -> list[Lab]:
    """Return all recorded labs, dead ones included, by name; raises RouterError."""
    found = []
    for record in sorted(_ROOT.glob(f"*/{_RECORD}")):
        with suppress(FileNotFoundError):  # taken down while we looked
            found.append(_load(record))
    return found


def find(name: str) -> Lab:
    """Return the lab of this name; raises RouterError when there is none to be read."""
    record = _record(name)
    if not record.exists():
        raise RouterError(f"there is no lab {name}; `postroad lab up --name {name}` builds it")
    return _load(record)


def salvage(name: str) -> Lab:
    """Return as much of the lab as its files tell, whatever state its record is in.

    The prefix is in every one of them. Raises RouterError when there is no lab of this name.
    """
    try:
        return find(name)
    except DamagedError as damaged:
        files = (damaged.record, Lab(name, "").config)
        texts = [file.read_bytes().decode(errors="replace") for file in files if file.exists()]
        prefixes = re.findall(rf"\bpr-[0-9a-f]{{{2 * _PREFIX_BYTES}}}\b", "\n".join(texts))
        return Lab(name, prefixes[0] if prefixes else "")


def reserve(name: str, owner: Process | None = None) -> Lab:
    """Record a new lab under a free prefix; raises RouterError when the name is taken."""
    if _record(name).exists():
        raise RouterError(
            f"the lab {name} is up already; `postroad lab down --name {name}` removes it"
        )
    prefix = f"pr-{secrets.token_hex(_PREFIX_BYTES)}"
    while any(netns.exists(topology.namespace(prefix, node)) for node in topology.NODES):
        prefix = f"pr-{secrets.token_hex(_PREFIX_BYTES)}"
    lab = Lab(name, prefix, owner=owner)
    lab.directory.mkdir(parents=True, exist_ok=True)
    save(lab)
    return lab


def save(lab: Lab) -> None:
    """Write the lab's record in one step."""
    fresh = lab.directory / f"{_RECORD}.new"
    fresh.write_text(json.dumps(asdict(lab), indent=2) + "\n")
    fresh.replace(lab.directory / _RECORD)


def forget(lab: Lab) -> None:
    """Remove the lab's folder, the record last, so that a half-removed lab is still known."""
    for entry in lab.directory.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        elif entry.name != _RECORD:
            entry.unlink()
    (lab.directory / _RECORD).unlink()
    lab.directory.rmdir()


def _record(name: str) -> Path:
    if not _NAME.fullmatch(name):
        raise RouterError(f"{name!r} is no name for a lab: lower-case letters, digits, hyphens")
    return _ROOT / name / _RECORD


def _load(record: Path) -> Lab:
    text = record.read_bytes()
    try:
        fields = json.loads(text)
        processes = tuple(Process(**one) for one in fields.pop("processes"))
        owner = fields.pop("owner", None)
        return Lab(**fields, processes=processes, owner=Process(**owner) if owner else None)
    except (ValueError, TypeError, KeyError, AttributeError):
        raise DamagedError(record) from None
