"""Network namespaces: create, delete, enter, and speak netlink inside one.

A namespace is named as `ip netns` names it; the empty name is the one the calling thread is in.
Entering moves only the calling thread, and back again when the block ends. What is opened inside
(a socket, a TUN device) stays bound to the namespace it was opened in.

pyroute2's synchronous calls run an event loop of their own, so a coroutine may not use `netlink`:
use a thread. `inside` it may, if nothing is awaited in the block.
"""

import ctypes
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyroute2
from pyroute2 import netns as pyroute2_netns

from router.errors import DeviceError

__all__ = ["create", "delete", "exists", "identity", "inside", "netlink", "place"]

_RUN_DIR = Path("/run/netns")  # where iproute2 binds named namespaces (ip-netns(8))
_OWN = Path("/proc/thread-self/ns/net")
_LIBC = ctypes.CDLL(None, use_errno=True)  # spares pyroute2 the search, which starts a process


def exists(name: str) -> bool:
    """Return whether the namespace exists; the empty name always does.

    A name may outlive its namespace as a plain file: what `ip netns exec` runs has its own
    mounts, and the namespaces it makes end with it.
    """
    path = _RUN_DIR / name
    return not name or (path.exists() and path.stat().st_dev == _OWN.stat().st_dev)


def create(name: str) -> None:
    """Create the namespace, as `ip netns add` does; raises OSError."""
    if (_RUN_DIR / name).exists():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name)
    pyroute2_netns.create(name, libc=_LIBC)


def delete(name: str) -> None:
    """Delete the namespace's name, a missing one is no error; raises OSError.

    It is gone with its last process and descriptor; physical NICs in it then fall to the
    initial namespace.
    """
    if exists(name):
        pyroute2_netns.remove(name, libc=_LIBC)
    else:
        (_RUN_DIR / name).unlink(missing_ok=True)


def identity(name: str) -> str:
    """Return what tells this namespace from every other one alive; raises DeviceError."""
    with inside(name):
        status = _OWN.stat()
    return f"{status.st_dev}:{status.st_ino}"


def place(name: str) -> str:
    """Return the words that end a sentence about something in this namespace."""
    return f" in namespace {name}" if name else ""


@contextmanager
def inside(name: str) -> Iterator[None]:
    """Run the block with the calling thread in the namespace; raises DeviceError."""
    if not name:
        yield
        return
    home = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _enter(name)
        try:
            yield
        finally:
            pyroute2_netns.setns(home, libc=_LIBC)
    finally:
        os.close(home)


def _enter(name: str) -> None:
    try:
        there = os.open(_RUN_DIR / name, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise DeviceError(f"there is no network namespace {name}") from None
    try:
        pyroute2_netns.setns(there, libc=_LIBC)
    except OSError as error:
        raise DeviceError(
            f"cannot enter network namespace {name}: {os.strerror(error.errno or 0)}; "
            "this needs root"
        ) from error
    finally:
        os.close(there)


@contextmanager
def netlink(name: str) -> Iterator[pyroute2.IPRoute]:
    """Give the block a route netlink socket of the namespace; raises DeviceError.

    The calling thread is in the namespace meanwhile, so files under /proc/sys/net are too.
    """
    with inside(name), pyroute2.IPRoute() as socket:
        yield socket
