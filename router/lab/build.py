"""Building a lab and taking it down again, whole or half-built.

Order matters one way only: the router ends first and by SIGTERM, so that it can take back what
it has set up; then everything else in the lab's namespaces; then the namespaces; the record last.
"""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from pyroute2 import NetlinkError

from router.errors import ControlError, DeviceError, RouterError
from router.host.control.client import ControlClient
from router.lab import files, process, registry, topology
from router.lab.files import Line
from router.lab.process import Process
from router.lab.registry import Lab
from router.lab.servers import HTTP_PORT, NNTP_PORT

__all__ = ["POSTROAD", "command_in", "down", "sweep", "up"]

# This very program; -P because a `router` in the current folder is somebody else's.
POSTROAD = (sys.executable, "-P", "-m", "router")

_DIALLED = Line()
_START_S = 20.0  # a Python server takes 0.3 s on a free machine; this may be a busy one
_DNS_PORT = 53
_GRACE_S = 5.0  # for the router to take its devices, routes and rules back
_POLL_S = 0.05
_LOG_LINES = 12  # enough of a log to show why a process ended


@dataclass(frozen=True, slots=True)
class _Server:
    """A server of the lab, the node it runs in, the TCP port that tells it is ready."""

    role: str
    node: str
    port: int
    command: tuple[str, ...]


def _servers(lab: Lab) -> tuple[_Server, ...]:
    names = ("dnsmasq", "--keep-in-foreground", f"--conf-file={lab.directory}/dnsmasq.conf")
    own = (sys.executable, "-P", "-m", "router.lab.servers")
    return (
        _Server("names", "internet", _DNS_PORT, names),
        _Server("internet", "internet", HTTP_PORT, (*own, "internet")),
        _Server("mail", "mail", NNTP_PORT, (*own, "mail")),
    )


def up(name: str, owner: Process | None = None, line: Line | None = _DIALLED) -> Lab:
    """Build a lab and return it when its router answers; crashed labs are removed first.

    A line to dial has a provider with a modem; without one there is a static line. With an owner
    the lab is removed like crashed ones when that process is gone. Raises RouterError, with the lab
    taken down again, when any part does not start.
    """
    with registry.locked():
        sweep()
        lab = registry.reserve(name, owner)
        try:
            with _refusals_told():
                topology.build(lab.prefix, cable=line is None)
            files.write(lab, line)
            if line is not None:
                lab = _start_provider(lab)
            return _start_all(lab)
        except BaseException:
            _remove(registry.find(name))
            raise


def down(name: str) -> None:
    """Take a lab down, alive or not; raises RouterError when there is none of this name."""
    with registry.locked():
        _remove(registry.salvage(name))


def sweep() -> None:
    """Remove every lab whose router or owner is dead; the caller holds the lock."""
    for lab in registry.every():
        if not lab.is_alive:
            _remove(lab)


def command_in(lab: Lab, node: str, command: Sequence[str]) -> list[str]:
    """Return the command line that runs a command in a node of the lab."""
    return ["ip", "netns", "exec", lab.namespace(node), *command]


def _start_all(lab: Lab) -> Lab:
    servers = _servers(lab)
    for server in servers:
        lab = _start(lab, server.role, server.node, server.command)
    lab = _start(lab, "router", "router", (*POSTROAD, "run", "-c", str(lab.config)))
    for server in servers:
        with _log_shown(lab, server.role):
            process.wait_until_listening(lab.process(server.role), server.port, timeout_s=_START_S)
    with _log_shown(lab, "router"):
        _wait_until_answering(lab)
    return lab


def _start_provider(lab: Lab) -> Lab:
    """Start the provider of a line that is dialled, and wait until there is a modem to open."""
    command = (sys.executable, "-P", "-m", "router.lab.isp", str(files.provider_file(lab)))
    lab = _start(lab, "isp", "internet", command)
    deadline = time.monotonic() + _START_S
    with _log_shown(lab, "isp"):
        while not files.modem(lab).exists():
            if not process.is_alive(lab.process("isp")):
                raise DeviceError("the lab's provider ended at once")
            if time.monotonic() > deadline:
                raise DeviceError("the lab's provider has no modem")
            time.sleep(_POLL_S)
    return lab


def _start(lab: Lab, role: str, node: str, command: Sequence[str]) -> Lab:
    lab = lab.with_process(process.start(role, lab.namespace(node), command, lab.log(role)))
    registry.save(lab)
    return lab


def _wait_until_answering(lab: Lab) -> None:
    deadline = time.monotonic() + _START_S
    while True:
        try:
            ControlClient(lab.control).get("status")
        except ControlError as error:
            if not process.is_alive(lab.process("router")):
                raise DeviceError("the lab's router ended at once") from None
            if time.monotonic() > deadline:
                raise DeviceError(f"the lab's router does not answer: {error}") from None
            time.sleep(_POLL_S)
        else:
            return


@contextmanager
def _refusals_told() -> Iterator[None]:
    """Make a DeviceError of what the machine refuses to a lab being built."""
    try:
        yield
    except NetlinkError as error:
        reason = os.strerror(error.code)
        raise DeviceError(
            f"a lab is made of veth pairs and a bridge, which this machine refuses: {reason}"
        ) from error
    except OSError as error:
        at = f" {error.filename}" if error.filename else ""
        raise DeviceError(
            "a lab makes network namespaces and files in /etc/netns, which this machine refuses:"
            f"{at} {error.strerror or os.strerror(error.errno or 0)}"
        ) from error


@contextmanager
def _log_shown(lab: Lab, role: str) -> Iterator[None]:
    """Add to an error what the process itself has said last."""
    try:
        yield
    except RouterError as error:
        said = lab.log(role).read_text().splitlines()[-_LOG_LINES:]
        raise DeviceError("\n  ".join([f"{error}; its last words:", *said])) from None


def _remove(lab: Lab) -> None:
    for one in reversed(lab.processes):
        process.stop(one, grace_s=_GRACE_S)
    for node in topology.NODES:
        for one in process.in_namespace(lab.namespace(node)):
            process.stop(one, grace_s=_GRACE_S)
    topology.remove(lab.prefix)
    registry.forget(lab)
