"""Other people's PPPoE at the other end: rp-pppoe's server for the line, its clients for the lab's
concentrator. What a real host and a real concentrator agree on is not for us to say.
"""

import asyncio
import random
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from router.host.lines.backend import DialError
from router.host.ppp.ethernet import PppoeLine
from router.ppp.concentrator import Concentrator
from router.ppp.discovery import DiscoveryConfig
from tests.lab.linerigs import eventually
from tests.lab.pppoerig import CARD, Ethernet, Peer

pytestmark = [pytest.mark.net, pytest.mark.slow]

FRAMES = [bytes.fromhex("c021 0901 0008 12345678"), b"\x00\x21" + bytes(range(256)) * 5]

# In place of pppd: what comes out of the session goes into it again.
LOOP = """#!/bin/sh
while [ "$1" != pty ]; do shift; done
mkfifo {directory}/loop.$$
exec 3<>{directory}/loop.$$
exec sh -c "exec $2" <&3 >&3
"""


@pytest.fixture
def wire() -> Iterator[Ethernet]:
    made = Ethernet()
    try:
        yield made
    finally:
        made.remove()


@asynccontextmanager
async def serving(
    wire: Ethernet, directory: Path, *options: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """rp-pppoe's concentrator, with sessions that echo."""
    loop = directory / "loop"
    loop.write_text(LOOP.format(directory=directory))
    loop.chmod(0o755)
    server = await asyncio.create_subprocess_exec(
        *("ip", "netns", "exec", wire.far, "pppoe-server", "-F", "-I", "eth0", "-C", "real"),
        *("-q", str(loop), "-O", "/dev/null", "-X", str(directory / "pid"), *options),
    )
    try:
        yield server
    finally:
        if server.returncode is None:
            server.terminate()
        await server.wait()


def a_line(wire: Ethernet, **options: object) -> PppoeLine:
    config = DiscoveryConfig(first_wait_s=0.2, **options)  # type: ignore[arg-type]
    return PppoeLine(CARD, netns=wire.near, rng=random.Random(), config=config)


async def connected(line: PppoeLine) -> None:
    """Connect, again while it is full: it waits for its process of the session to end."""
    async with asyncio.timeout(10):
        while True:
            try:
                return await line.connect()
            except DialError:
                await line.disconnect()
                await asyncio.sleep(0.05)


async def output(wire: Ethernet, *command: str) -> str:
    """What a client has printed on the near side; 15 s are more than it asks for."""
    client = await asyncio.create_subprocess_exec(
        *("ip", "netns", "exec", wire.near, *command), stdout=-1, stderr=-2
    )
    try:
        async with asyncio.timeout(15):
            told, _ = await client.communicate()
    finally:
        if client.returncode is None:
            client.kill()
            await client.wait()
    return told.decode()


def test_frames_go_there_and_come_back(wire: Ethernet, tmp_path: Path) -> None:
    async def story() -> None:
        async with serving(wire, tmp_path, "-S", "internet"):
            for options in ({}, {"service": "internet", "concentrator": "real"}):
                heard: list[bytes] = []
                losses: list[str] = []
                line = a_line(wire, **options)
                try:
                    await line.connect()
                    line.begin(heard.extend, losses.append, lambda: None)
                    while not heard:  # its process for the session takes its time
                        line.send(FRAMES[:1])
                        await asyncio.sleep(0.05)
                    line.send(FRAMES)
                    await eventually(lambda heard=heard: heard[-1] == FRAMES[-1])
                    assert (heard[-2:], losses) == (FRAMES, [])
                finally:
                    await line.disconnect()

    asyncio.run(story())


def test_the_session_is_over_there_when_we_hang_up(wire: Ethernet, tmp_path: Path) -> None:
    """It has one session only, so that the next host shows it."""

    async def story() -> None:
        async with serving(wire, tmp_path, "-N", "1"):
            first, second = a_line(wire), a_line(wire)
            try:
                await first.connect()
                with pytest.raises(DialError, match=r"^the access concentrator cannot serve us: "):
                    await second.connect()
                await second.disconnect()
                await first.disconnect()
                await connected(second)
            finally:
                await first.disconnect()
                await second.disconnect()

    asyncio.run(story())


def test_it_ends_the_session(wire: Ethernet, tmp_path: Path) -> None:
    async def story() -> None:
        async with serving(wire, tmp_path) as server:
            losses: list[str] = []
            line = a_line(wire)
            try:
                await line.connect()
                line.begin(lambda _: None, losses.append, lambda: None)
                server.send_signal(signal.SIGTERM)
                await eventually(lambda: losses)
                (why,) = losses
                assert why.startswith("hung up by the access concentrator")
            finally:
                await line.disconnect()

    asyncio.run(story())


def test_a_service_it_has_not(wire: Ethernet, tmp_path: Path) -> None:
    async def story() -> None:
        async with serving(wire, tmp_path, "-S", "internet"):
            line = a_line(wire, service="internet")
            await line.connect()  # it is there
            await line.disconnect()
            line = a_line(wire, service="other", initiations=2)
            with pytest.raises(DialError, match=rf"^no access concentrator answers on {CARD}$"):
                await line.connect()
            await line.disconnect()

    asyncio.run(story())


@pytest.mark.parametrize("client", ["pppoe-discovery -a 1", "pppoe -A", "pppoe -A -U"])
def test_they_find_the_concentrator(wire: Ethernet, client: str) -> None:
    async def story() -> None:
        peer = Peer(wire)
        try:
            told = await output(wire, *client.split(), "-I", CARD, "-t", "1")
            assert "Access-Concentrator: ac\n" in told
            assert f"AC-Ethernet-Address: {peer.mac.hex(':')}" in told
            assert "cookie" in told
        finally:
            peer.close()

    asyncio.run(story())


@pytest.mark.parametrize("unique", [[], ["-U"], ["-W", "c0ffee"]])
def test_they_have_a_session_and_end_it(wire: Ethernet, unique: list[str]) -> None:
    async def story() -> None:
        peer = Peer(wire, Concentrator("ac", rng=random.Random(1), services=("iptv",)))
        base = ("pppoe", "-I", CARD, "-t", "1")
        try:
            told = await output(wire, *base, "-d", "-S", "iptv", "-C", "ac", *unique)
            (admitted,) = peer.sessions
            assert admitted.service == "iptv"
            assert told == f"{admitted.session}:{peer.mac.hex(':')}\n"
            await output(wire, *base, "-k", "-e", told.strip())
            await eventually(lambda: peer.endings)
            assert peer.concentrator.hosts == {}
        finally:
            peer.close()

    asyncio.run(story())
