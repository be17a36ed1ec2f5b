"""A site with its own `postroad run` and an Internet around it, all in network namespaces.

    alice 192.168.1.11, bob .12, mail .10 -- LAN -- [box] 203.0.113.2 -- 203.0.113.1 internet
                                                                  198.51.100.10, 198.51.100.20

Either side of the box is a card (`nic`), a bridge (`bridge`, LAN only), a TUN the router makes
(`bare`), or a TUN that was there before it (`persistent`). With a TUN for a LAN, alice is its
kernel end and there is no bob and no mail. The Internet has a route to the LAN, as an attacker
on the line would. Nothing here knows how the router works: it is started, and its LAN and its
line are looked at from outside.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

EXTERNAL, GATEWAY = "203.0.113.2", "203.0.113.1"
SERVER, OTHER_SERVER = "198.51.100.10", "198.51.100.20"
ROUTER = "192.168.1.1"
ADDRESSES = {"alice": "192.168.1.11", "bob": "192.168.1.12", "mail": "192.168.1.10"}
PATIENCE_S = 15.0  # for another process to get round to it, on a busy machine
POSTROAD = (sys.executable, "-c", "from router.cli import main; main()")
TUNS = ("bare", "persistent")

_numbers = count()

_CONFIG = """
[router]
state_dir = "state"
control = "control.sock"
forward_rules = "forward.rules"
[lan]
address = "192.168.1.1/24"
{lan}
[wan]
netns = "{wan_namespace}"
[[link]]
name = "isp"
{link}
mtu = {mtu}
[nat]
{nat}
{more}
"""
_STATIC = 'backend = "static"\naddress = "203.0.113.2/24"\n'
_DIALLED = """backend = "command"
device = "eth2"
up = "./up"
down = "./down"
status = "./status"
status_interval = "1s"
{dialled}"""
# The line is up while the file `line` has its address; `next` is the one it gets when dialled.
_COMMANDS = {
    "up": "sleep $(cat dial-time); echo connected; cp next line; exec ./status",
    "down": "rm -f line",
    "status": 'test -f line && echo "address $(cat line)/24" && echo "gateway 203.0.113.1"',
}

_LAN_NIC = """
lan link add br0 type bridge
lan link set br0 up
lan link add router type veth peer name eth1 netns {box}
lan link set router up master br0
box addr add 192.168.1.1/24 dev eth1
box link set eth1 up
"""
_LAN_BRIDGE = """
box link add br0 type bridge
box addr add 192.168.1.1/24 dev br0
box link set br0 up
"""
_WEB = """
import http.server, socketserver, sys
class Page(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        if self.path != "/who":
            return super().do_GET()
        text = self.client_address[0].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
Server((sys.argv[1], 80), Page).serve_forever()
"""
_HOST = """
{switch} link add {host} type veth peer name eth0 netns {namespace}
{switch} link set {host} up master br0
{host} addr add {address}/24 dev eth0
{host} link set eth0 up
{host} route add default via 192.168.1.1
"""
_LAN_TUN = """
alice addr add 192.168.1.11/24 dev lan0
alice link set lan0 up
alice route add default dev lan0
"""
_WAN_NIC = """
box link add eth2 type veth peer name eth0 netns {internet}
internet addr add 203.0.113.1/24 dev eth0
internet link set eth0 up
internet route add 192.168.1.0/24 via 203.0.113.2
"""
_WAN_TUN = """
internet addr add 203.0.113.1/24 dev wan0
internet link set wan0 up
internet route add 192.168.1.0/24 via 203.0.113.2
"""


def eventually(holds: Callable[[], Any], what: str, seconds: float = PATIENCE_S) -> Any:
    """Poll until `holds` returns something true, and return that."""
    deadline = time.monotonic() + seconds
    while not (result := holds()):
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.02)
    return result


class Site:
    """The namespaces, the processes started in them, and one router at a time."""

    def __init__(
        self,
        directory: Path,
        *,
        lan: str = "nic",
        wan: str = "nic",
        nat: str = "",
        mtu: int = 1500,
        rules: str = "",
        dialled: str | None = None,
        more: str = "",
    ) -> None:
        self.directory, self.lan, self.wan, self.mtu = directory, lan, wan, mtu
        self.dialled, self.more = dialled, more
        self._prefix = f"pn{os.getpid():x}-{next(_numbers)}"
        self._processes: list[subprocess.Popen[str]] = []
        self._router: subprocess.Popen[str] | None = None
        self.hosts = ["alice"] if lan in TUNS else list(ADDRESSES)
        self.configure(nat=nat, rules=rules)

    # What there is

    def namespace(self, node: str) -> str:
        return f"{self._prefix}-{node}"

    @property
    def line_end(self) -> tuple[str, str]:
        """The device at the other end of the line, and where it is."""
        return "internet", "wan0" if self.wan in TUNS else "eth0"

    @property
    def lan_end(self) -> tuple[str, str]:
        """A device on which all passes that the box sends to its LAN, as incoming packets."""
        if self.lan in TUNS:
            return "alice", "lan0"
        return ("lan", "router") if self.lan == "nic" else ("alice", "eth0")

    @property
    def log(self) -> str:
        return (self.directory / "router.log").read_text()

    def configure(self, *, nat: str = "", rules: str = "") -> None:
        """Write the router's files, for its next start."""
        lan = {"nic": 'device = "eth1"', "bridge": 'device = "br0"'}
        tun = f'netns = "{self.namespace("alice")}"'
        wan = self.namespace("internet" if self.wan in TUNS else "wan")
        link = _STATIC
        if self.dialled is not None:
            link = _DIALLED.format(dialled=self.dialled)
            self._write_commands()
        elif self.wan == "nic":
            link += f'device = "eth2"\ngateway = "{GATEWAY}"'
        (self.directory / "forward.rules").write_text(rules)
        (self.directory / "router.toml").write_text(
            _CONFIG.format(
                lan=lan.get(self.lan, tun), link=link, wan_namespace=wan, mtu=self.mtu, nat=nat,
                more=self.more,
            )
        )  # fmt: skip

    def _write_commands(self) -> None:
        for name, body in _COMMANDS.items():
            command = self.directory / name
            command.write_text(f"#!/bin/sh\ncd {self.directory} || exit 1\n{body}\n")
            command.chmod(0o755)
        self.provide()

    def provide(self, address: str = EXTERNAL, dial_time_s: float = 0.0) -> None:
        """Say which address the line gets at the next dial, and how long that takes."""
        (self.directory / "next").write_text(f"{address}\n")
        (self.directory / "dial-time").write_text(f"{dial_time_s}\n")

    # Building

    def build(self) -> None:
        _sweep()
        for node in ("box", "internet", *self.hosts, *(["lan"] if self.lan == "nic" else [])):
            _checked("ip", "netns", "add", self.namespace(node))
            self.run(node, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1",
                     "net.ipv6.conf.default.disable_ipv6=1")  # fmt: skip
            self.ip(node, "link", "set", "lo", "up")
        if self.lan in TUNS:
            self.ip("box", "addr", "add", ROUTER, "dev", "lo")  # so that it has any address
        else:
            self._lay(_LAN_NIC if self.lan == "nic" else _LAN_BRIDGE)
            for host in self.hosts:
                switch = "lan" if self.lan == "nic" else "box"
                namespace, address = self.namespace(host), ADDRESSES[host]
                self._lay(_HOST, switch=switch, host=host, namespace=namespace, address=address)
        for address in (SERVER, OTHER_SERVER):
            self.ip("internet", "addr", "add", f"{address}/32", "dev", "lo")
        if self.wan == "nic":
            self._lay(_WAN_NIC)
        for kind, node, device in ((self.lan, "alice", "lan0"), (self.wan, "internet", "wan0")):
            if kind == "persistent":
                self.ip(node, "tuntap", "add", "dev", device, "mode", "tun")
                self._lay(_LAN_TUN if device == "lan0" else _WAN_TUN)

    def _lay(self, lines: str, **names: str) -> None:
        names = {"box": self.namespace("box"), "internet": self.namespace("internet")} | names
        for line in lines.format(**names).strip().splitlines():
            node, *arguments = line.split()
            self.ip(node, *arguments)

    def remove(self) -> None:
        """Take everything away again, whatever state it is in."""
        try:
            for process in self._processes:
                process.kill()
                process.communicate()
        finally:
            for name in _namespaces(self._prefix):
                _checked("ip", "netns", "del", name)

    # The router

    def start(self) -> None:
        """Start the router and wait until it forwards."""
        # Not by `ip netns exec`: names of namespaces made in its mount namespace end with it.
        inside = ("nsenter", f"--net=/run/netns/{self.namespace('box')}")
        command = (*inside, *POSTROAD, "run", "-c", str(self.directory / "router.toml"))
        with (self.directory / "router.log").open("w") as log:
            router = subprocess.Popen(command, stdout=log, stderr=log, text=True)
        self._router = router
        self._processes.append(router)

        def answers() -> bool:
            assert router.poll() is None, self.log
            return "control API on" in self.log

        eventually(answers, "the router's start")
        for kind, lines in ((self.lan, _LAN_TUN), (self.wan, _WAN_TUN)):
            if kind == "bare":
                self._lay(lines)
        if self.dialled is None:
            eventually(lambda: self.pings("alice", SERVER), "a ping through the router")

    @property
    def pid(self) -> int:
        """The router's process number."""
        assert self._router is not None
        return self._router.pid

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End the router by a signal and return its exit code."""
        assert self._router is not None
        self._router.send_signal(number)
        return self._router.wait(PATIENCE_S)

    def status(self) -> Any:
        """How the router is doing, as the control API says."""
        return self.control("status")

    def control(self, resource: str, *options: str) -> Any:
        """The control API's answer, asked by curl."""
        path = str(self.directory / "control.sock")
        curl = ("curl", "-sSf", "-m", "10", "--unix-socket", path, *options)
        return json.loads(_checked(*curl, f"http://postroad/v1/{resource}"))

    @property
    def line(self) -> dict[str, Any]:
        """The one link, as `status` has it."""
        (link,) = self.status()["links"]
        found: dict[str, Any] = link
        return found

    def state(self) -> dict[str, list[str]]:
        """All that can be set about devices, addresses, routes and rules, of each namespace."""
        state = {}
        for name in sorted(_namespaces(self._prefix)):
            ip = ("ip", "-n", name)
            links = json.loads(_checked(*ip, "-j", "link"))
            routes = _checked(*ip, "route", "show", "table", "all").replace(" linkdown", "")
            state[name] = [
                *(f"{link['ifname']} {link['mtu']} {'UP' in link['flags']}" for link in links),
                *_checked(*ip, "-o", "addr").splitlines(),
                *routes.splitlines(),
                *_checked(*ip, "rule").splitlines(),
            ]
        return state

    # Programs in the namespaces

    def within(self, node: str) -> list[str]:
        return ["ip", "netns", "exec", self.namespace(node)]

    def ip(self, node: str, *arguments: str) -> str:
        return _checked("ip", "-n", self.namespace(node), *arguments)

    def run(self, node: str, *command: str) -> str:
        """Run a program that must succeed; return what it says."""
        return _checked(*self.within(node), *command)

    def ask(self, node: str, *command: str) -> str:
        """Run a program that may fail; return all it says."""
        done = subprocess.run(
            [*self.within(node), *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, check=False, timeout=60,
        )  # fmt: skip
        return done.stdout

    def ask_all(self, commands: list[tuple[str, ...]]) -> list[str]:
        """`ask` at the same time: each command's first word is its node."""
        started = [
            subprocess.Popen(
                [*self.within(node), *command], stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True,
            )
            for node, *command in commands
        ]  # fmt: skip
        self._processes += started
        return [process.communicate(timeout=60)[0] for process in started]

    def serve(self, node: str, *command: str, ready: str) -> subprocess.Popen[str]:
        """Start a server; wait until `ss` shows the socket, as `address:port`."""
        with (self.directory / f"{node}-{Path(command[0]).name}.log").open("a") as log:
            server = subprocess.Popen(
                [*self.within(node), *command], stdout=log, stderr=log, text=True
            )
        self._processes.append(server)

        def listens() -> bool:
            assert server.poll() is None, f"{command} has ended"
            return any(
                ready in line.split() for line in self.run(node, "ss", "-Hlntu").splitlines()
            )

        eventually(listens, f"{ready} of {command[0]}")
        return server

    def serve_web(self, node: str, address: str) -> None:
        """Serve the site's directory, and at /who the address of the one who asks."""
        web = ("env", "-C", str(self.directory), sys.executable, "-c", _WEB, address)
        self.serve(node, *web, ready=f"{address}:80")

    def background(self, node: str, *command: str) -> subprocess.Popen[str]:
        """Start a program whose standard error is to be read."""
        process = subprocess.Popen(
            [*self.within(node), *command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        self._processes.append(process)
        return process

    def pings(self, node: str, address: str, *options: str) -> bool:
        """Whether an address answers one ping within a second."""
        command = [*self.within(node), "ping", "-c1", "-W1", "-n", *options, address]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


@contextmanager
def a_site(directory: Path, **options: Any) -> Iterator[Site]:
    """Build a site, without its router, and take it down again."""
    site = Site(directory, **options)
    try:
        site.build()
        yield site
    finally:
        site.remove()


def _sweep() -> None:
    """Remove the sites of test runs that were killed, with all that still runs in them."""
    for name in _namespaces("pn*"):
        ours = re.fullmatch(r"pn([0-9a-f]+)-\d+-[a-z]+", name)
        if not ours or Path(f"/proc/{int(ours[1], 16)}").exists():
            continue
        for process in _checked("ip", "netns", "pids", name).split():
            with suppress(ProcessLookupError):
                os.kill(int(process), signal.SIGKILL)
        _checked("ip", "netns", "del", name)


def _namespaces(prefix: str) -> list[str]:
    return [path.name for path in Path("/run/netns").glob(f"{prefix}-*")]


def _checked(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr or done.stdout}"
    return done.stdout
