"""A running router without devices: real forwarder, data plane and control API, socket pairs."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from router.cli import main
from router.config import StaticLink, load
from router.daemon.forwards import RunningForwards
from router.host.control.events import EventHub
from router.host.control.server import ControlApi
from router.host.dataplane.loop import DataPlane
from router.host.ppp.wiretap import Wiretaps
from router.link.messages import Addressed
from router.notation import parse_packet
from tests.lab.controlled import FakeLedger
from tests.lab.links import a_forwarder
from tests.lab.scripted import FrameSocket, ManualClock
from tests.lab.serving import serving_all

HEADER = bytes(10)
CONFIG = """
[router]
control = "control.sock"
forward_rules = "forward.rules"
[lan]
address = "192.168.1.1/24"
[[link]]
name = "isp"
backend = "static"
address = "203.0.113.2/24"
[[host]]
address = "192.168.1.10"
name = "mail"
"""
RULES = "tcp 25 -> 192.168.1.10\ntcp 8080 -> 192.168.1.10:80 from 198.51.100.0/24\n"


def command(*arguments: str | Path) -> Result:
    """Run `postroad` with these arguments."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def config_path(tmp_path: Path) -> Path:
    """A sound configuration with two forward rules."""
    (tmp_path / "forward.rules").write_text(RULES)
    path = tmp_path / "router.toml"
    path.write_text(CONFIG)
    return path


class RunningRouter:
    """What a `postroad run` has behind its control socket."""

    def __init__(self, config_path: Path) -> None:
        self.config_path = config_path
        self.loop: asyncio.AbstractEventLoop
        config = load(config_path)
        self.lan, self.wan = FrameSocket("lan0"), FrameSocket("wan0")
        self.clock = ManualClock()
        self.forwarder = a_forwarder(
            config.forwarder_config(), now=self.clock.now, forwards=config.load_forwards()
        )
        (link,) = config.links
        assert isinstance(link, StaticLink)
        (row,) = self.forwarder.lines.link_rows(self.clock.now)
        up = Addressed(link.name, row.attempt, link.address.address, 1500)
        self.forwarder.lines.report(up, now=self.clock.now)
        self.plane = DataPlane(self.forwarder, self.lan, self.wan, clock=self.clock)
        self.wiretaps = Wiretaps()
        self.api = ControlApi(
            self.plane,
            RunningForwards(self.plane, config),
            lambda: STATUS,
            {"192.168.1.10": "mail"},
            ledger=FakeLedger(),
            events=EventHub(),
            wiretaps=self.wiretaps,
        )

    def command(self, *arguments: str) -> Result:
        return command(*arguments, "-c", self.config_path)

    @staticmethod
    def frame(packet: str) -> bytes:
        return HEADER + parse_packet(packet)

    def outbound(self, *packets: str) -> None:
        """Have hosts on the LAN send; returns when all have crossed to the WAN."""
        self.wan.far.setblocking(True)
        for packet in packets:
            self.lan.put(self.frame(packet))
            self.wan.far.recv(70000)


STATUS = {
    "version": "9.9",
    "pid": 77,
    "config": "router.toml",
    "uptime_s": 3661.0,
    "lan": {
        "address": "192.168.1.1/24", "device": "eth1", "tun": "lan0", "netns": "", "mtu": 1500,
    },
    "links": [
        {
            "name": "isp", "backend": "static", "device": None, "tun": "wan0",
            "netns": "postroad-wan", "details": None,
        }
    ],
    "names": None,
}  # fmt: skip


@pytest.fixture
def running(config_path: Path) -> Iterator[RunningRouter]:
    router = RunningRouter(config_path)
    router.plane.start()
    listener = (router.api.application(), config_path.parent / "control.sock")
    with serving_all(listener) as router.loop:
        yield router
    router.plane.stop()
    router.lan.close()
    router.wan.close()
