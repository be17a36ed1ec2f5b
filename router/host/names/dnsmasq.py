"""dnsmasq: what it is told, and the process kept alive.

Theory of operation. It runs in the LAN's namespace, in the foreground, with a configuration of ours
and no file of the system's, listens on the router's LAN address alone, and has the gate for its one
name server. It answers what is local by itself, so that nothing of it ever leaves: names of hosts,
their domain, names without dots, domains that are nobody's (RFC 6761, 6762, 7686, 8375), the
reverse of private addresses. When it dies it is started again, after rests that grow while it keeps
dying. What it says goes to the log.

It ends with the router, however that ends: its parent is a shell that is signalled when the router
is gone (prctl(2), PR_SET_PDEATHSIG), and then ends it. Its own signal dnsmasq would lose, because
it changes its user.
"""

import asyncio
import logging
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from router.errors import DeviceError
from router.host.lines.process import SYSTEM_PATH, Process, start
from router.host.names.limits import RESTART_FIRST_S, RESTART_MAX_S, RESTART_STEADY_S
from router.wire.address import Network, format_address

__all__ = ["Dhcp", "Dnsmasq", "LanHost", "LanNames", "configuration", "find"]

_NOBODYS = ("localhost", "local", "invalid", "onion", "home.arpa")
# Tells the process id. dnsmasq's last words go to standard error, which nobody else hears. A signal
# ends the first wait, and the second one is for what it has ended.
_GUARD = '"$0" "$@" 2>&1 & trap "kill $!" TERM; echo $!; wait $!; code=$?; wait $!; exit $code'
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LanHost:
    """A host by name; it has a name in DNS with an address, a lease by DHCP with both."""

    name: str
    address: int
    mac: str = ""


@dataclass(frozen=True, slots=True)
class Dhcp:
    """The addresses to give, from the first to the last, and for how long."""

    first: int
    last: int
    lease_s: float


@dataclass(frozen=True, slots=True)
class LanNames:
    """What there is to know about names on a LAN."""

    address: int
    network: Network
    domain: str
    hosts: tuple[LanHost, ...] = ()
    dhcp: Dhcp | None = None


def find() -> str:
    """Return the program; raises DeviceError when there is none."""
    found = shutil.which("dnsmasq", path=f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}")
    if found is None:
        raise DeviceError("lan.dns needs dnsmasq; install it (Debian: apt install dnsmasq-base)")
    return found


def configuration(names: LanNames, gate: int, folder: Path) -> str:
    """Return the file that dnsmasq reads; the gate is at that port, its state in the folder."""
    return "".join(f"{line}\n" for line in _lines(names, gate, folder))


def _lines(names: LanNames, gate: int, folder: Path) -> Iterator[str]:
    own = format_address(names.address)
    yield from ("keep-in-foreground", "pid-file", "log-facility=-")
    yield from (f"listen-address={own}", "bind-interfaces")
    yield from ("no-resolv", "no-poll", "no-hosts", f"server=127.0.0.1#{gate}")
    yield from ("add-subnet=32", "strip-subnet")  # which host asks; never what it says itself
    yield from ("domain-needed", "bogus-priv", f"domain={names.domain}", "local=//")
    for domain in dict.fromkeys((names.domain, *_NOBODYS)):
        yield f"local=/{domain}/"
    for host in names.hosts:
        if "." in host.name:
            yield f"local=/{host.name}/"  # so that its other records are not looked for outside
        yield f"host-record={host.name}.{names.domain},{host.name},{format_address(host.address)}"
    if names.dhcp is not None:
        yield from _dhcp_lines(names, names.dhcp, folder)


def _dhcp_lines(names: LanNames, dhcp: Dhcp, folder: Path) -> Iterator[str]:
    own, mask = format_address(names.address), format_address(names.network.mask)
    first, last = format_address(dhcp.first), format_address(dhcp.last)
    yield f"dhcp-range={first},{last},{mask},{dhcp.lease_s:.0f}"
    yield from ("dhcp-authoritative", "quiet-dhcp", f"dhcp-leasefile={folder / 'dhcp.leases'}")
    yield from (f"dhcp-option=option:router,{own}", f"dhcp-option=option:dns-server,{own}")
    # A host that calls itself so would be the proxy of all Windows machines (VU#598349).
    yield from ("dhcp-name-match=set:proxy,wpad", "dhcp-ignore-names=tag:proxy")
    for host in names.hosts:
        if host.mac:
            yield f"dhcp-host={host.mac},{format_address(host.address)}"


class Dnsmasq:
    """The process, from `run` until that is cancelled."""

    def __init__(self, program: str, names: LanNames, folder: Path, netns: str) -> None:
        self._program = program
        self._names = names
        self._folder = folder
        self._netns = netns
        self._process: Process | None = None
        self._pid: int | None = None
        self._said = ""

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._pid if self._process is not None and self._process.is_running else None

    async def run(self, gate: int) -> None:
        """Keep it running, with a gate at that port."""
        self._configuration.write_text(configuration(self._names, gate, self._folder))
        loop, rest_s = asyncio.get_running_loop(), RESTART_FIRST_S
        try:
            while True:
                began_at = loop.time()
                why = await self._run_once()
                if loop.time() - began_at > RESTART_STEADY_S:
                    rest_s = RESTART_FIRST_S
                _log.warning("dnsmasq %s; again in %.0f s", why, rest_s)
                await asyncio.sleep(rest_s)
                rest_s = min(RESTART_MAX_S, rest_s * 2)
        finally:
            await self._end()

    async def _run_once(self) -> str:
        guard = ("setpriv", "--pdeathsig", "TERM", "/bin/sh", "-c", _GUARD)
        command = (*guard, self._program, f"--conf-file={self._configuration}")
        self._pid, self._said = None, ""
        try:
            self._process = start(
                command, netns=self._netns, environment={"PATH": SYSTEM_PATH}, hear=self._hear
            )
        except (OSError, DeviceError) as error:
            return f"cannot be started: {error}"
        code = await self._process.wait()
        await self._end()
        return f"has ended with {code}{f' ({self._said})' if code > 0 and self._said else ''}"

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            await process.end()

    def _hear(self, line: str) -> None:
        if self._pid is None and line.isdecimal():
            self._pid = int(line)
        else:
            self._said = line.removeprefix("dnsmasq: ")
            _log.info("%s", line)

    @property
    def _configuration(self) -> Path:
        return self._folder / "dnsmasq.conf"
