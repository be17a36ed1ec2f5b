"""The provider as a process, called by a router's own PPP line, each in a namespace of its own."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from router.chat.machine import Chat
from router.chat.script import parse_script
from router.host.lines.backend import DialError, LineAddress, LineLostError, RefusedError
from router.host.lines.ppp import PppBackend
from router.host.machine import netns
from router.host.ppp.stream import StreamLine
from router.host.ppp.tty import TtyPort
from router.lab import files, process
from router.lab.process import Process
from router.lab.provider import MODEM, Provider
from router.ppp.types import BY_STRENGTH, Login, Method, SessionConfig
from router.wire.address import format_address
from tests.lab.box import run

pytestmark = [pytest.mark.net, pytest.mark.slow]

PATIENCE_S = 30.0
NUMBER = "5550123"
USERS = {"ann": "correct horse"}
GATEWAY, NAMES = "203.0.113.1", "198.51.100.20"

_numbers = count()


@dataclass
class Site:
    """A provider that runs, and where who calls it lives."""

    inside: str
    outside: str
    file: Path
    isp: Process
    log: Path

    def change(self, **what: Any) -> None:
        replace(Provider.load(self.file), **what).save(self.file)

    def said(self, what: str) -> list[str]:
        lines = (line.split(" ", 2) for line in self.log.read_text().splitlines())
        return [line[2] for line in lines if line[1] == what]

    def backend(self, login: Login | None = None, number: str = NUMBER) -> PppBackend:
        script = parse_script(files.CHAT, "isp.chat")
        port = TtyPort(self.file.with_name(MODEM), 115200, lock_directory=self.file.parent)
        return PppBackend(
            "isp",
            StreamLine(port, [lambda: Chat(script, number)]),
            SessionConfig(),
            netns=self.inside,
            device="ppp0",
            rng=random.Random(1),
            login=lambda: login or Login("ann", USERS["ann"]),
        )


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    prefix = f"pi{os.getpid():x}-{next(_numbers)}"
    inside, outside = f"{prefix}-in", f"{prefix}-out"
    file, log = tmp_path / "provider.json", tmp_path / "isp.log"
    try:
        for name in (inside, outside):
            netns.create(name)
            with netns.netlink(name) as link:
                link.link("set", index=1, state="up")
        Provider(outside, 0.05, rate=10e6, numbers=(NUMBER,), users=USERS).save(file)
        command = (sys.executable, "-P", "-m", "router.lab.isp", str(file))
        isp = process.start("isp", outside, command, log)
        try:
            wait_for(file.with_name(MODEM))
            yield Site(inside, outside, file, isp, log)
        finally:
            process.stop(isp, grace_s=5.0)
        assert not file.with_name(MODEM).is_symlink(), log.read_text()
        assert "Traceback" not in log.read_text(), log.read_text()
    finally:
        for name in (inside, outside):
            netns.delete(name)


def wait_for(link: Path) -> None:
    async def wait() -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not link.exists():
                await asyncio.sleep(0.02)

    asyncio.run(wait())


@asynccontextmanager
async def raised(site: Site, backend: PppBackend) -> AsyncIterator[LineAddress]:
    """A line that is up, its device with the address, until the block is left."""
    try:
        line = await backend.dial(lambda: None)
        ends = ("local", format_address(line.address), "peer", f"{GATEWAY}/32")
        run("ip", "-n", site.inside, "addr", "add", *ends, "dev", "ppp0")
        yield line
    finally:
        await backend.hang_up()


def play(script: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await script()

    asyncio.run(limited())


async def pings(site: Site, address: str) -> bool:
    command = ("ip", "netns", "exec", site.inside, "ping", "-c1", "-W5", "-n", address)
    running = await asyncio.create_subprocess_exec(*command, stdout=subprocess.DEVNULL)
    return await running.wait() == 0


async def until(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(0.02)


def test_a_call_from_the_first_command_to_the_last_word(site: Site) -> None:
    async def script() -> None:
        async with raised(site, site.backend()) as line:
            assert format_address(line.address) == "203.0.113.2"
            assert [format_address(server) for server in line.dns] == [NAMES]
            assert await pings(site, GATEWAY)
            assert Provider.load(site.file).rises == 1
        await until(lambda: len(site.said("session")) == 2)

    play(script)
    assert site.said("modem") == [
        "> ATZ",
        "< OK",
        "> ATX4S7=255",
        "< OK",
        f"> ATDT{NUMBER}",
        "< CONNECT 10000000",
        "< NO CARRIER",
    ]
    logged_in, over = site.said("session")
    assert logged_in == "ann has logged in by CHAP and is 203.0.113.2"
    assert over in ("over: hung up by the peer", "over: carrier lost")  # both are true at once
    assert USERS["ann"] not in site.log.read_text()


@pytest.mark.parametrize(
    ("sticky", "last"), [(False, [2, 3, 4, 5, 2]), (True, [2] * 5)], ids=["pool", "sticky"]
)
def test_each_rise_has_an_address(site: Site, sticky: bool, last: list[int]) -> None:
    site.change(sticky=sticky)
    addresses = []

    async def script() -> None:
        backend = site.backend()
        for _ in last:
            async with raised(site, backend) as line:
                addresses.append(format_address(line.address))

    play(script)
    assert addresses == [f"203.0.113.{number}" for number in last]


@pytest.mark.parametrize("method", BY_STRENGTH, ids=lambda method: method.value)
def test_who_logs_in_proves_it_as_the_provider_likes(site: Site, method: Method) -> None:
    site.change(methods=(method.value,))

    async def script() -> None:
        async with raised(site, site.backend()):
            assert await pings(site, GATEWAY)

    play(script)
    by = "PAP" if method is Method.PAP else "CHAP"
    assert site.said("session")[0] == f"ann has logged in by {by} and is 203.0.113.2"


@pytest.mark.parametrize(
    "login", [Login("ann", "wrong"), Login("bob", "correct horse")], ids=["password", "user"]
)
@pytest.mark.parametrize("method", BY_STRENGTH, ids=lambda method: method.value)
def test_a_wrong_login_is_refused_and_counts_for_nothing(
    site: Site, method: Method, login: Login
) -> None:
    site.change(methods=(method.value,))

    async def script() -> None:
        with pytest.raises(RefusedError):
            async with raised(site, site.backend(login)):
                pass

    play(script)
    assert Provider.load(site.file).rises == 0
    assert login.password not in site.log.read_text()


@pytest.mark.parametrize(
    ("ways", "number", "why"),
    [
        ({"busy": True}, NUMBER, "BUSY"),
        ({"answers": False}, NUMBER, "NO ANSWER"),
        ({}, "5559999", "NO ANSWER"),
        ({"dialtone": False}, NUMBER, "NO DIALTONE"),
    ],
)
def test_a_call_that_comes_to_nothing(
    site: Site, ways: dict[str, Any], number: str, why: str
) -> None:
    site.change(**ways)

    async def script() -> None:
        with pytest.raises(DialError, match=why):
            async with raised(site, site.backend(number=number)):
                pass

    play(script)
    assert site.said("modem")[-1] == f"< {why}"


def test_a_file_that_is_damaged_is_a_number_that_nobody_answers(site: Site) -> None:
    site.file.write_text("{")

    async def script() -> None:
        with pytest.raises(DialError, match="NO ANSWER"):
            async with raised(site, site.backend()):
                pass

    play(script)
    assert len(site.said("provider")) == 1


def test_the_file_may_be_changed_during_a_dial(site: Site) -> None:
    site.change(dial_s=0.5)

    async def script() -> None:
        backend = site.backend()
        dialling = asyncio.create_task(backend.dial(lambda: None))
        await until(lambda: f"> ATDT{NUMBER}" in site.said("modem"))
        site.change(busy=True)
        with pytest.raises(DialError, match="BUSY"):
            await dialling
        await backend.hang_up()

    play(script)


def test_dialling_takes_its_time(site: Site) -> None:
    site.change(dial_s=1.5)

    async def script() -> None:
        loop = asyncio.get_running_loop()
        began, connected = loop.time(), 0.0

        def progress() -> None:
            nonlocal connected
            connected = loop.time()

        backend = site.backend()
        await backend.dial(progress)
        assert connected - began == pytest.approx(1.5, abs=0.3)
        await backend.hang_up()

    play(script)


def test_from_connect_to_an_address_it_takes_less_than_six_round_trips(site: Site) -> None:
    site.change(latency_s=0.2)

    async def script() -> None:
        loop, began = asyncio.get_running_loop(), 0.0

        def progress() -> None:
            nonlocal began
            began = loop.time()

        backend = site.backend()
        await backend.dial(progress)
        assert 2 * 0.4 < loop.time() - began < 6 * 0.4
        await backend.hang_up()

    play(script)


def test_a_noisy_line_is_raised_all_the_same(site: Site) -> None:
    """One octet of 600 is wrong, so that of frames as long as a negotiation's some are lost."""
    site.change(bit_error_rate=2e-4, rate=33_600)

    async def script() -> None:
        async with raised(site, site.backend()) as line:
            assert format_address(line.address) == "203.0.113.2"
            while not await pings(site, GATEWAY):
                pass

    play(script)


def test_a_dial_that_is_broken_off_leaves_the_line_free(site: Site) -> None:
    site.change(dial_s=5.0)

    async def script() -> None:
        backend = site.backend()
        dialling = asyncio.create_task(backend.dial(lambda: None))
        await until(lambda: f"> ATDT{NUMBER}" in site.said("modem"))
        dialling.cancel()
        await asyncio.wait([dialling])
        await backend.hang_up()
        site.change(dial_s=0.0)
        async with raised(site, backend) as line:
            assert format_address(line.address) == "203.0.113.2"

    play(script)
    assert "< NO CARRIER" in site.said("modem")


def test_a_carrier_that_is_lost_ends_the_call_and_the_next_one_succeeds(site: Site) -> None:
    async def script() -> None:
        backend = site.backend()
        async with raised(site, backend):
            os.kill(site.isp.pid, signal.SIGHUP)
            with pytest.raises(LineLostError, match="carrier lost"):
                await backend.watch()
        async with raised(site, backend) as line:
            assert format_address(line.address) == "203.0.113.3"
            assert await pings(site, GATEWAY)

    play(script)
    assert "over: carrier lost" in site.said("session")


def test_a_carrier_is_lost_without_a_call_and_nothing_happens(site: Site) -> None:
    os.kill(site.isp.pid, signal.SIGHUP)

    async def script() -> None:
        async with raised(site, site.backend()):
            pass

    play(script)


def test_the_device_is_there_while_the_line_is(site: Site) -> None:
    async def script() -> None:
        async with raised(site, site.backend()):
            assert "peer 203.0.113.2/32" in device(site)

    play(script)
    play(lambda: until(lambda: device(site) == ""))


def device(site: Site) -> str:
    command = ["ip", "-n", site.outside, "-4", "addr", "show", "dev", "ppp0"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize("rate", [33_600, 128_000, 10_000_000])
@pytest.mark.parametrize("way", ["up", "down"])
def test_bulk_has_the_rate_of_the_line(site: Site, rate: int, way: str) -> None:
    """A flood of datagrams for some seconds, counted where they come out of the line."""
    site.change(rate=rate)

    async def script() -> None:
        async with raised(site, site.backend()) as line:
            near, far = (site.inside, site.outside) if way == "up" else (site.outside, site.inside)
            to = GATEWAY if way == "up" else format_address(line.address)
            flood = await flooding(near, to, rate)
            try:
                await asyncio.sleep(1.0)  # until the buffers are full
                began, before = await arrival(far)
                await asyncio.sleep(4.0)
                ended, after = await arrival(far)
            finally:
                flood.terminate()
                await flood.wait()
            assert (after - before) * 8 / (ended - began) == pytest.approx(rate, rel=0.05)

    play(script)


# Half as much again as goes; nobody listens, and what does not go is lost before the line.
_FLOOD = """
import os, socket, time
flood = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
due = time.monotonic()
while True:
    try:
        flood.sendto(os.urandom(1472), ("{to}", 9))
    except OSError:
        pass  # it was told that nobody listens
    due += 1500 * 8 / ({rate} * 1.5)
    time.sleep(max(0.0, due - time.monotonic()))
"""


async def flooding(name: str, to: str, rate: int) -> asyncio.subprocess.Process:
    script = _FLOOD.format(to=to, rate=rate)
    command = ("ip", "netns", "exec", name, sys.executable, "-c", script)
    return await asyncio.create_subprocess_exec(*command)


async def arrival(name: str) -> tuple[float, int]:
    """Return when the next packet has come by the line, and how many octets there were till then.

    A packet takes a third of a second on the slowest line.
    """
    loop, before = asyncio.get_running_loop(), received(name)
    while (octets := received(name)) == before:
        await asyncio.sleep(0.005)
    return loop.time(), octets


def received(name: str) -> int:
    """Return how many octets of packets the line has brought to a namespace."""
    counters = run("ip", "netns", "exec", name, "cat", "/proc/net/dev")
    (row,) = (line for line in counters.splitlines() if line.lstrip().startswith("ppp0:"))
    return int(row.partition(":")[2].split()[0])
