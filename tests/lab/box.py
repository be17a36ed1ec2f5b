"""A machine between a LAN and the outside, made of network namespaces; needs root.

    alice 192.168.1.10 -- eth1 192.168.1.1 [box] eth2 -- 203.0.113.1 outside 198.51.100.10

`eth2` is up with an address and a default route of its own, as on a machine that was online
before the router came. IPv6 is off in the box, so that no autoconfiguration changes its state
while a test compares it.
"""

import itertools
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from router.host.machine import netns

State = dict[str, list[str]]

_numbers = itertools.count()

TOPOLOGY = """
{box} link add eth1 type veth peer name eth0 netns {alice}
{box} link add eth2 type veth peer name eth0 netns {outside}
{alice} addr add 192.168.1.10/24 dev eth0
{alice} link set eth0 up
{alice} route add default via 192.168.1.1
{outside} addr add 203.0.113.1/24 dev eth0
{outside} link set eth0 up
{outside} link set lo up
{outside} addr add 198.51.100.10/32 dev lo
{outside} route add 192.168.1.0/24 via 203.0.113.2
{box} link set lo up
{box} addr add 192.168.1.1/24 dev eth1
{box} link set eth1 up
{box} addr add 203.0.113.7/24 dev eth2
{box} addr add 203.0.113.8/24 dev eth2 label eth2:1
{box} link set eth2 up
{box} route add default via 203.0.113.1 metric 50 mtu 1400
{box} route add 198.51.100.0/24 via 203.0.113.1 src 203.0.113.8 table 77
"""


class Box:
    """The three namespaces, and the name of the one the router will make for the WAN."""

    def __init__(self) -> None:
        prefix = f"pt{os.getpid():x}-{next(_numbers)}"
        self.alice, self.box, self.outside, self.wan, self.extra = (
            f"{prefix}-{role}" for role in ("alice", "box", "outside", "wan", "extra")
        )

    def build(self) -> None:
        for name in (self.alice, self.box, self.outside):
            netns.create(name)
        self.sysctl("net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")
        lines = [line.split(" ", 1) for line in TOPOLOGY.format(**vars(self)).strip().splitlines()]
        for name, commands in itertools.groupby(lines, key=lambda line: line[0]):
            batch = "\n".join(command for _, command in commands)
            run("ip", "-n", name, "-batch", "-", text=batch)

    def remove(self) -> None:
        for name in (self.alice, self.box, self.outside, self.wan, self.extra):
            netns.delete(name)

    def ip(self, name: str, *arguments: str) -> str:
        return run("ip", "-n", name, *arguments)

    def sysctl(self, *settings: str) -> None:
        with netns.inside(self.box):
            run("sysctl", "-qw", *settings)

    def state(self) -> State:
        """Return everything plumbing may touch in the box.

        Left out are whether a cable is plugged in, which is found late by up to a second, and
        queueing disciplines, which are not restored.
        """
        state = {
            what: [_settled(entry) for entry in json.loads(self.ip(self.box, "-j", *what.split()))]
            for what in ("addr", "route show table all", "rule")
        }
        state["proxies"] = self.ip(self.box, "neigh", "show", "proxy").splitlines()
        with netns.inside(self.box):
            state["settings"] = [
                f"{path} = {_text(path)}"
                for part in ("ipv4/conf", "ipv4/neigh", "ipv6/conf", "ipv6/neigh")
                for path in sorted(Path("/proc/sys/net", part).glob("*/*"))
            ]
        names = {path.name for path in Path("/run/netns").iterdir()}
        state["namespaces"] = sorted(names.intersection(vars(self).values()))
        return state

    def pings(self, name: str, address: str, *options: str) -> bool:
        """Return whether an address answers one ping within a second."""
        command = ["ip", "netns", "exec", name, "ping", "-c1", "-W1", "-n", *options, address]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


@contextmanager
def a_box() -> Iterator[Box]:
    box = Box()
    try:
        box.build()
        yield box
    finally:
        box.remove()


def run(*command: str, text: str = "") -> str:
    """Run a command that must succeed, with `text` on its input; return its output."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


def differences(before: State, after: State) -> list[str]:
    """Return what a person wants to read when two states are not the same."""
    return [
        f"{sign} {what} {line}"
        for what in before
        for sign, one, other in (("-", before, after), ("+", after, before))
        for line in one[what]
        if line not in other[what]
    ]


def _settled(entry: dict[str, Any]) -> str:
    for what in ("operstate", "qdisc"):
        entry.pop(what, None)
    late = {"linkdown", "NO-CARRIER", "LOWER_UP"}
    if "flags" in entry:
        entry["flags"] = [flag for flag in entry["flags"] if flag not in late]
    return json.dumps(entry)


def _text(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:
        return None
