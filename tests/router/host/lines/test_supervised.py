"""Lines on a real machine: dialled, plumbed, renumbered, lost, and found again after a death."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from router.host.lines.backend import Backend
from router.host.lines.command import CommandBackend, Commands
from router.host.lines.static import StaticBackend
from router.host.lines.supervisor import LineSupervisor
from router.host.machine.journal import Journal
from router.host.machine.plumbing import LanSide, LineAddress, Plumbing, WanLink, WanSide
from router.link.messages import (
    Addressed,
    Closed,
    Connected,
    Dial,
    Failed,
    HangUp,
    Lost,
    Report,
    Trigger,
)
from router.link.types import Cause, Ending
from router.wire.address import parse_address
from tests.lab.box import Box, differences

pytestmark = pytest.mark.net

OURS, OTHER = parse_address("203.0.113.2"), parse_address("203.0.113.77")
CARD = "ip addr add {address}/24 dev eth2; ip route add default via 203.0.113.1"
PEER = (
    "ip tuntap add ppp0 mode tun; ip link set ppp0 up; "
    "ip addr add {address} peer 203.0.113.1/32 dev ppp0"
)


def script(directory: Path, name: str, text: str) -> list[str]:
    path = directory / name
    path.write_text(f"#!/bin/sh\ncd {directory}\n{text}\n")
    path.chmod(0o755)
    return [str(path)]


def telling(box: Box, directory: Path) -> Backend:
    """Says its address and keeps it in a file, which is all there is of the line."""
    tell = "(echo address 203.0.113.2/24; echo gateway 203.0.113.1)"
    commands = Commands(
        script(directory, "up", f"{tell} | tee is-up"),
        script(directory, "down", "rm -f is-up"),
        script(directory, "status", "cat is-up"),
    )
    return CommandBackend("isp", commands, netns=box.wan, device="eth2", status_interval_s=0.05)


def setting_up_a_card(box: Box, directory: Path) -> Backend:
    commands = Commands(
        script(directory, "up", f"ip link set eth2 up; {CARD.format(address='203.0.113.2')}"),
        script(directory, "down", "ip addr flush dev eth2; ip link set eth2 down"),
    )
    return CommandBackend("isp", commands, netns=box.wan, device="eth2")


def making_a_device(box: Box, directory: Path) -> Backend:
    commands = Commands(
        script(directory, "up", PEER.format(address="203.0.113.2")),
        script(directory, "down", "ip link del ppp0"),
    )
    return CommandBackend("isp", commands, netns=box.wan, device="ppp0")


def a_card(box: Box, _directory: Path) -> Backend:
    line = LineAddress(OURS, 24, 1500, parse_address("203.0.113.1"))
    return StaticBackend("isp", line, netns=box.wan, device="eth2")


KINDS: dict[str, tuple[Callable[[Box, Path], Backend], WanLink]] = {
    "telling": (telling, WanLink("isp", "eth2", comes_and_goes=True)),
    "setting up a card": (setting_up_a_card, WanLink("isp", "eth2", comes_and_goes=True)),
    "making a device": (making_a_device, WanLink("isp", "ppp0", comes_and_goes=True)),
    "static": (a_card, WanLink("isp", "eth2")),
}


class Site:
    """A machine with one line of a kind, and the core's side of its supervisor."""

    def __init__(self, box: Box, directory: Path, kind: str) -> None:
        self.box = box
        self._make, link = KINDS[kind]
        self._directory = directory
        self.plumbing = Plumbing(
            LanSide("lan0", 1500),
            WanSide("wan0", box.wan, (link,)),
            Journal(directory / "journal"),
        )
        self.reports: asyncio.Queue[Report] = asyncio.Queue()

    async def adopt(self) -> None:
        backends = {"isp": self._make(self.box, self._directory)}
        self.supervisor = LineSupervisor(backends, self.plumbing, self.reports.put_nowait)
        await self.supervisor.adopt()

    async def rises(self, attempt: int) -> None:
        self.supervisor.handle(Dial("isp", attempt, Trigger(Cause.DEMAND)))
        while isinstance(heard := await self.reports.get(), Connected):
            pass
        assert heard == Addressed("isp", attempt, OURS, 1500)

    async def is_up(self) -> None:
        """Have the line up, as a static one is from the start."""
        if self.reports.empty():
            await self.rises(1)
        else:
            await self.reports.get()

    async def falls(self, attempt: int) -> None:
        self.supervisor.handle(HangUp("isp", attempt, Ending.IDLE))
        assert await self.reports.get() == Closed("isp", attempt)

    @property
    def rules(self) -> str:
        return self.box.ip(self.box.wan, "rule")


def play(site: Site, story: Callable[[Site], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with asyncio.timeout(20):
            await site.adopt()
            try:
                await story(site)
            finally:
                await site.supervisor.close()

    assert site.plumbing.recover() == []
    site.plumbing.apply()
    try:
        asyncio.run(whole())
    finally:
        assert site.plumbing.undo() == []


@pytest.fixture(params=KINDS)
def site(request: pytest.FixtureRequest, box: Box, tmp_path: Path) -> Site:
    return Site(box, tmp_path, request.param)


def test_rises_and_falls_leave_nothing(site: Site) -> None:
    before = site.box.state()

    async def story(site: Site) -> None:
        if not site.reports.empty():  # a static line is found up
            assert await site.reports.get() == Addressed("isp", 0, OURS, 1500)
            await site.falls(1)
        for attempt in (2, 3):
            await site.rises(attempt)
            assert "from 203.0.113.2 iif wan0" in site.rules
            await site.falls(attempt)
            assert "203.0.113.2" not in site.rules
            assert "203.0.113.2" not in site.box.ip(site.box.wan, "addr")

    play(site, story)
    assert not differences(before, site.box.state())
    assert site.reports.empty()


def test_a_router_that_ends_takes_its_line_down(site: Site) -> None:
    before = site.box.state()

    async def story(site: Site) -> None:
        await site.is_up()

    play(site, story)
    assert isinstance(site.reports.get_nowait(), Closed)
    assert not differences(before, site.box.state())


@pytest.mark.parametrize(
    ("kind", "renumber"),
    [
        ("telling", "echo address 203.0.113.77/24 >{directory}/new; mv {directory}/new {up}"),
        ("setting up a card", f"ip addr flush dev eth2; {CARD.format(address='203.0.113.77')}"),
        ("making a device", "ip addr flush dev ppp0; ip addr add 203.0.113.77 dev ppp0"),
    ],
)
def test_a_new_address_is_plumbed(box: Box, tmp_path: Path, kind: str, renumber: str) -> None:
    site = Site(box, tmp_path, kind)
    command = renumber.format(directory=tmp_path, up=tmp_path / "is-up")

    async def story(site: Site) -> None:
        await site.rises(1)
        subprocess.run(["ip", "netns", "exec", box.wan, "sh", "-c", command], check=True)
        assert await site.reports.get() == Addressed("isp", 1, OTHER, 1500)
        assert "from 203.0.113.77 iif wan0" in site.rules
        assert "203.0.113.2 " not in site.rules

    play(site, story)


def test_a_cable_pulled_out_is_a_loss_and_plugged_in_a_line(box: Box, tmp_path: Path) -> None:
    site = Site(box, tmp_path, "static")

    async def story(site: Site) -> None:
        await site.is_up()
        box.ip(box.outside, "link", "set", "eth0", "down")
        heard = await site.reports.get()
        assert isinstance(heard, Lost)
        assert heard.why == "carrier lost on eth2"
        box.ip(box.outside, "link", "set", "eth0", "up")
        await site.rises(2)

    play(site, story)


def test_a_line_that_cannot_be_plumbed_is_taken_down(box: Box, tmp_path: Path) -> None:
    site = Site(box, tmp_path, "making a device")

    async def story(site: Site) -> None:
        script(tmp_path, "up", "echo address 203.0.113.2/24")  # and makes no device
        site.supervisor.handle(Dial("isp", 1, Trigger(Cause.DEMAND)))
        sentence = f"there is no network device ppp0 in namespace {box.wan}"
        assert await site.reports.get() == Failed("isp", 1, sentence)

    play(site, story)


DIE_WHILE_UP = """
import asyncio, os, signal, sys
from pathlib import Path
from tests.lab.box import Box
from tests.router.host.lines.test_supervised import *
box = Box()
box.wan = sys.argv[2]
async def story(site):
    await site.is_up()
    os.kill(os.getpid(), signal.SIGKILL)
play(Site(box, Path(sys.argv[1]), sys.argv[3]), story)
"""


@pytest.mark.parametrize("kind", KINDS)
def test_a_line_is_found_up_after_a_kill_minus_9(box: Box, tmp_path: Path, kind: str) -> None:
    before = box.state()
    command = [sys.executable, "-c", DIE_WHILE_UP, str(tmp_path), box.wan, kind]
    died = subprocess.run(command, check=False, capture_output=True, text=True)
    assert died.returncode == -signal.SIGKILL, died.stderr
    site = Site(box, tmp_path, kind)

    async def story(site: Site) -> None:
        assert await site.reports.get() == Addressed("isp", 0, OURS, 1500)
        assert "from 203.0.113.2 iif wan0" in site.rules

    play(site, story)
    assert site.reports.get_nowait() == Closed("isp", 0)
    assert not differences(before, box.state())
    assert not (tmp_path / "is-up").exists()
