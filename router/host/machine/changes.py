"""Reversible changes to the machine: what plumbing is made of.

Theory of operation. A change is plain data: everything needed to apply it and to take it back,
the former value included, so that a journal can hold it and another process can undo it. Each
is written to the journal before it is applied. Undoing therefore accepts any state: a change
that was never applied, one that is undone already, a device or a namespace that has gone. What
is found as wanted is neither written down nor changed, so that undoing never takes away what
somebody else had set up.

The namespace named "" is the one the router was started in.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import pyroute2
from pyroute2.netlink.exceptions import NetlinkError

from router.errors import DeviceError
from router.host.machine import netns as namespaces
from router.host.machine.lookup import has_entry

__all__ = [
    "ConflictError",
    "Entry",
    "Link",
    "LostError",
    "Namespace",
    "Spec",
    "Sysctl",
    "below_sysctls",
    "index_of",
    "list_sysctls",
    "read_sysctl",
    "reporting",
]

Spec: TypeAlias = dict[str, int | str | dict[str, int]]  # keyword arguments of a pyroute2 call

_SYSCTLS = Path("/proc/sys")
_DEVICE_KEY = {"addr": "index", "route": "oif", "neigh": "ifindex"}
# What undoing meets when there is nothing, or nothing any more, to undo.
_SETTLED = frozenset(
    {errno.ENOENT, errno.ESRCH, errno.ENODEV, errno.EADDRNOTAVAIL, errno.EEXIST, errno.EAFNOSUPPORT}
)


class ConflictError(DeviceError):
    """Something else is where a change belongs; nothing was changed."""


class LostError(DeviceError):
    """What a change was made to has gone: worth telling, and nothing to undo any more."""


@dataclass(frozen=True)
class Namespace:
    """A namespace made."""

    netns: str
    kind: Literal["namespace"] = "namespace"

    def __str__(self) -> str:
        return f"namespace {self.netns}"

    def apply(self) -> None:
        """Create it; raises DeviceError."""
        with reporting(f"cannot create network namespace {self.netns}"):
            namespaces.create(self.netns)

    def undo(self) -> None:
        """Delete it; raises DeviceError."""
        with reporting(f"cannot delete network namespace {self.netns}"):
            namespaces.delete(self.netns)


@dataclass(frozen=True)
class Sysctl:
    """A kernel setting; `key` is its path under /proc/sys."""

    netns: str
    key: str
    value: str
    former: str
    kind: Literal["sysctl"] = "sysctl"

    def __post_init__(self) -> None:
        below_sysctls(self.key)

    def __str__(self) -> str:
        return f"{self.key} = {self.value}{namespaces.place(self.netns)}"

    def apply(self) -> None:
        """Write the new value; raises DeviceError."""
        with reporting(f"cannot set {self}"), namespaces.inside(self.netns):
            (_SYSCTLS / self.key).write_text(self.value)

    def undo(self) -> None:
        """Write the former value back, if the setting is still there; raises DeviceError."""
        if not namespaces.exists(self.netns):
            return
        with reporting(f"cannot restore {self.key}"), namespaces.inside(self.netns):
            path = _SYSCTLS / self.key
            if path.exists():
                path.write_text(self.former)


@dataclass(frozen=True)
class Link:
    """Attributes of a network device, such as `mtu` and `state`."""

    netns: str
    device: str
    wanted: Spec
    former: Spec
    kind: Literal["link"] = "link"

    def __str__(self) -> str:
        return f"{_words(self.wanted)} of {self.device}{namespaces.place(self.netns)}"

    def apply(self) -> None:
        """Set the wanted attributes; raises DeviceError."""
        with reporting(f"cannot set {self}"), namespaces.netlink(self.netns) as netlink:
            netlink.link("set", index=index_of(netlink, self.device), **self.wanted)

    def undo(self) -> None:
        """Set the former attributes, if the device is still there; raises DeviceError."""
        if not namespaces.exists(self.netns):
            return
        with (
            reporting(f"cannot restore {self}", _SETTLED),
            namespaces.netlink(self.netns) as netlink,
        ):
            netlink.link("set", index=index_of(netlink, self.device), **self.former)


@dataclass(frozen=True)
class Entry:
    """An entry added to, or with `present` false removed from, one of the kernel's tables.

    `table` names the pyroute2 call: addresses, routes, policy rules or neighbours. A device is
    named and not numbered, because its number changes when it moves between namespaces.
    """

    netns: str
    table: Literal["addr", "route", "rule", "neigh"]
    spec: Spec
    device: str = ""
    present: bool = True
    kind: Literal["entry"] = "entry"

    def __str__(self) -> str:
        on = f" on {self.device}" if self.device else ""
        return f"{self.table} {_words(self.spec)}{on}{namespaces.place(self.netns)}"

    def is_settled(self) -> bool:
        """Return whether all is so already: whoever made it so, it is not ours to take back.

        Raises DeviceError.
        """
        with reporting(f"cannot look for {self}"), namespaces.netlink(self.netns) as netlink:
            index = index_of(netlink, self.device) if self.device else None
            return has_entry(netlink, self.table, self.spec, index) is self.present

    def apply(self) -> None:
        """Add (or remove) the entry.

        Raises DeviceError, and ConflictError when another is in its place.
        """
        verb = "add" if self.present else "remove"
        with reporting(f"cannot {verb} {self}"):
            try:
                self._call(self.present)
            except NetlinkError as error:
                if error.code != errno.EEXIST:
                    raise
                raise ConflictError(f"cannot {verb} {self}: {os.strerror(error.code)}") from error

    def undo(self) -> None:
        """Remove (or add) the entry, if its device is still there; raises DeviceError."""
        if not namespaces.exists(self.netns):
            return
        verb = "remove" if self.present else "add"
        with reporting(f"cannot {verb} {self}", _SETTLED):
            self._call(not self.present)

    def _call(self, add: bool) -> None:
        with namespaces.netlink(self.netns) as netlink:
            at: Spec = {}
            if self.device:
                at = {_DEVICE_KEY[self.table]: index_of(netlink, self.device)}
            getattr(netlink, self.table)("add" if add else "del", **self.spec, **at)


def below_sysctls(key: str) -> Path:
    """Return the setting's path; raises ValueError for one that is not below /proc/sys."""
    if key.startswith("/") or ".." in key.split("/"):
        raise ValueError(f"{key} is not a path below {_SYSCTLS}")
    return _SYSCTLS / key


def index_of(netlink: pyroute2.IPRoute, device: str) -> int:
    """Return the number of a device; raises OSError ENODEV when there is none of that name."""
    for index in netlink.link_lookup(ifname=device):
        return int(index)
    raise OSError(errno.ENODEV, f"there is no network device {device}")


def read_sysctl(netns: str, key: str) -> str | None:
    """Return the setting at a path under /proc/sys, None where the kernel has none.

    Raises DeviceError when the namespace cannot be entered.
    """
    with namespaces.inside(netns):
        try:
            return (_SYSCTLS / key).read_text().strip()
        except OSError:
            return None


def list_sysctls(netns: str, directory: str) -> list[str]:
    """Return the names in a directory under /proc/sys; raises DeviceError as above."""
    with namespaces.inside(netns):
        return sorted(path.name for path in (_SYSCTLS / directory).iterdir())


@contextmanager
def reporting(attempt: str, settled: frozenset[int] = frozenset()) -> Iterator[None]:
    """Turn the kernel's refusal into a DeviceError that begins with `attempt`.

    Errors with a number in `settled` end the block in silence.
    """
    try:
        yield
    except (OSError, NetlinkError) as error:
        code = error.code if isinstance(error, NetlinkError) else error.errno or 0
        if code in settled:
            return
        if code in (errno.EPERM, errno.EACCES):
            raise DeviceError(f"{attempt}: this needs root") from error
        raise DeviceError(f"{attempt}: {os.strerror(code)}") from error


def _words(spec: dict[str, Any]) -> str:
    return " ".join(f"{key} {value}" for key, value in spec.items())
