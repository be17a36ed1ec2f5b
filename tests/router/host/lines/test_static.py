"""What is particular to static lines; what all lines do is in `test_conformance`."""

import asyncio
from pathlib import Path

import pytest

from router.host.lines.backend import DialError, LineAddress, LineLostError
from router.host.lines.static import StaticBackend
from router.host.machine import netns
from router.wire.address import parse_address
from tests.lab.box import Box

LINE = LineAddress(parse_address("203.0.113.2"), 24, 1500, parse_address("203.0.113.1"))


def ignore() -> None: ...


@pytest.fixture
def health(tmp_path: Path) -> Path:
    """What the line's status command shows: the line is up while it is empty."""
    path = tmp_path / "health"
    path.write_text("")
    return path


@pytest.fixture
def vouched(health: Path) -> StaticBackend:
    status = ["/bin/sh", "-c", f"[ -s {health} ] || exit 0; echo failed $(cat {health}); exit 1"]
    return StaticBackend("isp", LINE, netns="", status=status, status_interval_s=0.02)


def test_a_line_whose_status_is_bad_is_down(vouched: StaticBackend, health: Path) -> None:
    async def story() -> None:
        assert await vouched.probe() == LINE
        assert await vouched.dial(ignore) == LINE
        health.write_text("the gateway is silent")
        assert await vouched.probe() is None
        with pytest.raises(DialError, match=r"^the gateway is silent$"):
            await vouched.dial(ignore)

    asyncio.run(story())


def test_it_is_lost_when_its_status_turns_bad(vouched: StaticBackend, health: Path) -> None:
    async def story() -> None:
        await vouched.dial(ignore)
        watch = asyncio.ensure_future(vouched.watch())
        await asyncio.sleep(0.1)
        assert not watch.done()
        health.write_text("the gateway is silent")
        with pytest.raises(LineLostError, match=r"^the gateway is silent$"):
            await watch

    asyncio.run(story())


def test_a_bare_line_without_a_status_is_never_lost() -> None:
    async def story() -> None:
        bare = StaticBackend("isp", LINE, netns="")
        await bare.dial(ignore)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(bare.watch(), 0.05)

    asyncio.run(story())


@pytest.mark.net
class TestCard:
    @pytest.fixture
    def card(self, box: Box) -> StaticBackend:
        netns.create(box.wan)
        box.ip(box.box, "link", "set", "eth2", "netns", box.wan)
        box.ip(box.wan, "link", "set", "eth2", "mtu", "1400", "up")
        return StaticBackend("isp", LINE, netns=box.wan, device="eth2", carrier_wait_s=5)

    def test_it_carries_no_more_than_the_card_does(self, card: StaticBackend) -> None:
        assert asyncio.run(card.dial(ignore)).mtu == 1400

    def test_a_dial_waits_a_moment_for_the_carrier(self, box: Box, card: StaticBackend) -> None:
        async def story() -> None:
            box.ip(box.outside, "link", "set", "eth0", "down")
            dial = asyncio.ensure_future(card.dial(ignore))
            await asyncio.sleep(0.2)
            assert not dial.done()
            box.ip(box.outside, "link", "set", "eth0", "up")
            assert (await dial).address == LINE.address

        asyncio.run(story())

    def test_a_card_that_goes_takes_the_line_with_it(self, box: Box, card: StaticBackend) -> None:
        async def story() -> None:
            await card.dial(ignore)
            watch = asyncio.ensure_future(card.watch())
            box.ip(box.wan, "link", "del", "eth2")
            with pytest.raises(LineLostError, match=r"^eth2 is gone$"):
                await watch

        asyncio.run(story())
