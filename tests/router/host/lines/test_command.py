"""What is particular to command lines; what all lines do is in `test_conformance`."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from router.host.lines import command
from router.host.lines.backend import DialError, LineAddress, LineLostError
from router.host.lines.command import CommandBackend, Commands
from router.host.machine import netns
from router.wire.address import parse_address
from tests.lab.box import Box
from tests.lab.linerigs import eventually

TELL = "echo address 203.0.113.2/24"


def line(
    address: str, prefix: int = 24, mtu: int = 1500, gateway: str = "", *dns: str
) -> LineAddress:
    way = parse_address(gateway) if gateway else None
    return LineAddress(parse_address(address), prefix, mtu, way, tuple(map(parse_address, dns)))


class Workshop:
    """Makes a line of three shell scripts; `done` is what they have written to $DONE."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def line(self, up: str = TELL, down: str = "", status: str = "", **how: Any) -> CommandBackend:
        commands = Commands(
            self.script("up", up),
            self.script("down", f"{down}\necho down >>$DONE"),
            self.script("status", status) if status else (),
        )
        told: dict[str, Any] = {"netns": "", "status_interval_s": 0.02} | how
        return CommandBackend("isp", commands, **told)

    def script(self, name: str, text: str) -> list[str]:
        path = self.directory / name
        path.write_text(f"#!/bin/sh\nDONE={self.directory}/done\n{text}\n")
        path.chmod(0o755)
        return [str(path)]

    @property
    def done(self) -> list[str]:
        path = self.directory / "done"
        return path.read_text().split() if path.exists() else []


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


def ignore() -> None: ...


def play(backend: CommandBackend, story: Callable[[CommandBackend], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with asyncio.timeout(20):
            try:
                await story(backend)
            finally:
                await backend.hang_up()
                await backend.close()

    asyncio.run(whole())


@pytest.mark.parametrize(
    ("up", "made"),
    [
        (TELL, line("203.0.113.2")),
        (f"{TELL}; echo mtu 1400", line("203.0.113.2", mtu=1400)),
        (f"{TELL}; echo mtu 9000", line("203.0.113.2")),
        (
            "echo dns 9.9.9.9; echo gateway 100.64.0.1; echo dns 1.1.1.1; echo address 100.64.0.7",
            line("100.64.0.7", 32, 1500, "100.64.0.1", "9.9.9.9", "1.1.1.1"),
        ),
    ],
)
def test_the_line_is_what_is_told(workshop: Workshop, up: str, made: LineAddress) -> None:
    async def story(backend: CommandBackend) -> None:
        assert await backend.dial(ignore) == made

    play(workshop.line(up), story)


@pytest.mark.parametrize(
    ("up", "why"),
    [
        ("exit 0", "its up command told no address, and there is no device to have one"),
        ("echo failed no dial tone; exit 1", "no dial tone"),
        (f"{TELL}; exit 9", "its up command ended with code 9"),
        ("echo address everywhere", "its up command gave no valid address"),
    ],
)
def test_a_failed_dial_has_a_reason_and_is_taken_down(
    workshop: Workshop, up: str, why: str
) -> None:
    async def story(backend: CommandBackend) -> None:
        with pytest.raises(DialError, match=f"^{why}$"):
            await backend.dial(ignore)
        assert workshop.done == []
        await backend.hang_up()
        assert workshop.done == ["down"]

    play(workshop.line(up), story)


def test_a_program_that_is_missing_is_a_failed_dial(workshop: Workshop) -> None:
    async def story(backend: CommandBackend) -> None:
        (workshop.directory / "up").unlink()
        sentence = r"^its up command cannot be started: No such file or directory$"
        with pytest.raises(DialError, match=sentence):
            await backend.dial(ignore)

    play(workshop.line(), story)


class TestProbe:
    @pytest.mark.parametrize(
        ("status", "found", "done"),
        [
            ("exit 1", None, []),
            (TELL, line("203.0.113.2"), []),
            ("exit 0", None, ["down"]),
            ("echo address everywhere", None, ["down"]),
            ("", None, ["down"]),
        ],
    )
    def test_a_line_nobody_can_know_of_is_taken_down(
        self, workshop: Workshop, status: str, found: LineAddress | None, done: list[str]
    ) -> None:
        async def story(backend: CommandBackend) -> None:
            assert await backend.probe() == found
            assert workshop.done == done

        play(workshop.line(status=status), story)

    def test_a_line_found_up_is_hung_up_as_any_other(self, workshop: Workshop) -> None:
        async def story(backend: CommandBackend) -> None:
            await backend.probe()
            await backend.hang_up()
            assert workshop.done == ["down"]

        play(workshop.line(status=TELL), story)


class TestStatus:
    def test_what_it_does_not_say_stays(self, workshop: Workshop) -> None:
        up = f"{TELL}; echo gateway 203.0.113.1; echo mtu 1400; echo dns 9.9.9.9"
        status = "echo address $(cat $DONE.address)"
        address = workshop.directory / "done.address"
        address.write_text("203.0.113.2/24")

        async def story(backend: CommandBackend) -> None:
            await backend.dial(ignore)
            watch = asyncio.ensure_future(backend.watch())
            await asyncio.sleep(0.2)
            assert not watch.done()
            address.write_text("203.0.113.9/24")
            assert await watch == line("203.0.113.9", 24, 1400, "203.0.113.1", "9.9.9.9")

        play(workshop.line(up, status=status), story)

    @pytest.mark.parametrize(
        ("status", "why"),
        [
            ("exit 1", "its status command ended with code 1"),
            ("echo failed the peer is silent; exit 1", "the peer is silent"),
            ("sleep 600", "its status command took longer than 0 s"),
        ],
    )
    def test_a_line_it_does_not_vouch_for_is_lost(
        self, workshop: Workshop, monkeypatch: pytest.MonkeyPatch, status: str, why: str
    ) -> None:
        monkeypatch.setattr(command, "STATUS_LIMIT_S", 0.2)

        async def story(backend: CommandBackend) -> None:
            await backend.dial(ignore)
            with pytest.raises(LineLostError, match=f"^{why}$"):
                await backend.watch()

        play(workshop.line(status=status), story)


class TestHangUp:
    def test_an_up_that_runs_is_ended_before_down(self, workshop: Workshop) -> None:
        async def story(backend: CommandBackend) -> None:
            dial = asyncio.ensure_future(backend.dial(ignore))
            await eventually(lambda: workshop.done)
            dial.cancel()
            await backend.hang_up()
            assert workshop.done == ["begun", "ended", "down"]

        up = (
            "trap 'echo ended >>$DONE; exit' TERM; echo begun >>$DONE; while :; do sleep 0.01; done"
        )
        play(workshop.line(up), story)

    def test_what_keeps_the_line_is_ended_after_down(self, workshop: Workshop) -> None:
        async def story(backend: CommandBackend) -> None:
            await backend.dial(ignore)
            await eventually(lambda: workshop.done)
            await backend.hang_up()
            assert workshop.done == ["begun", "down", "ended"]

        daemon = "trap 'echo ended >>$DONE; exit' TERM; echo begun >>$DONE; "
        up = f"({daemon} while :; do sleep 0.01; done) & {TELL}"
        play(workshop.line(up), story)

    @pytest.mark.parametrize(
        ("down", "why"),
        [
            ("exit 4", "its down command ended with code 4"),
            ("sleep 600", "its down command took longer than 0 s"),
        ],
    )
    def test_one_that_fails_is_told_and_bounded(
        self,
        workshop: Workshop,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
        down: str,
        why: str,
    ) -> None:
        monkeypatch.setattr(command, "GRACE_S", 0.2)

        async def story(backend: CommandBackend) -> None:
            await backend.dial(ignore)
            await backend.hang_up()

        begun = time.monotonic()
        with caplog.at_level(logging.WARNING):
            play(workshop.line(down=down, hang_up_timeout_s=0.4), story)
        assert caplog.messages == [f"isp: {why}"]
        assert time.monotonic() - begun < 3


@pytest.mark.net
class TestDevice:
    """`eth2` is in the WAN namespace, up and without an address."""

    @pytest.fixture
    def at_line(self, box: Box, workshop: Workshop) -> Callable[..., CommandBackend]:
        netns.create(box.wan)
        box.ip(box.box, "link", "set", "eth2", "netns", box.wan)
        box.ip(box.wan, "link", "set", "eth2", "up")

        def make(up: str, device: str = "eth2", **how: Any) -> CommandBackend:
            return workshop.line(up, netns=box.wan, device=device, **how)

        return make

    def test_one_that_is_told_an_address_only_needs_its_carrier(
        self, box: Box, at_line: Callable[..., CommandBackend]
    ) -> None:
        async def story(backend: CommandBackend) -> None:
            assert await backend.dial(ignore) == line("203.0.113.2")
            watch = asyncio.ensure_future(backend.watch())
            box.ip(box.wan, "addr", "add", "203.0.113.2/24", "dev", "eth2")  # as plumbing does
            await asyncio.sleep(0.2)
            assert not watch.done()
            box.ip(box.outside, "link", "set", "eth0", "down")
            with pytest.raises(LineLostError, match=r"^carrier lost on eth2$"):
                await watch

        play(at_line(TELL), story)

    def test_one_that_has_had_no_carrier_has_not_lost_it(
        self, box: Box, at_line: Callable[..., CommandBackend]
    ) -> None:
        async def story(backend: CommandBackend) -> None:
            box.ip(box.wan, "link", "set", "eth2", "down")
            await backend.dial(ignore)
            watch = asyncio.ensure_future(backend.watch())
            await asyncio.sleep(0.2)
            assert not watch.done()
            box.ip(box.wan, "link", "set", "eth2", "up")
            await asyncio.sleep(0.2)
            assert not watch.done()

        play(at_line(TELL), story)

    def test_the_address_may_come_after_up_has_ended(
        self, at_line: Callable[..., CommandBackend]
    ) -> None:
        async def story(backend: CommandBackend) -> None:
            progress: list[str] = []
            found = await backend.dial(lambda: progress.append("connected"))
            assert found == line("203.0.113.2", 24, 1500, "203.0.113.1")
            assert progress

        late = "sleep 0.3; ip addr add 203.0.113.2/24 dev eth2; sleep 0.3"
        play(at_line(f"({late}; ip route add default via 203.0.113.1) &"), story)

    def test_a_network_without_a_way_out_is_waited_for_no_longer_than_a_moment(
        self, at_line: Callable[..., CommandBackend], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(command, "SETTLE_S", 0.1)

        async def story(backend: CommandBackend) -> None:
            assert await backend.dial(ignore) == line("203.0.113.2")

        play(at_line("ip addr add 203.0.113.2/24 dev eth2"), story)

    def test_one_that_is_made_needs_no_gateway(
        self, at_line: Callable[..., CommandBackend]
    ) -> None:
        async def story(backend: CommandBackend) -> None:
            begun = time.monotonic()
            assert await backend.dial(ignore) == line("100.64.0.7", 32, 1400)
            assert time.monotonic() - begun < command.SETTLE_S
            assert await backend.probe() == line("100.64.0.7", 32, 1400)

        up = (
            "ip tuntap add ppp0 mode tun; ip link set ppp0 mtu 1400 up; "
            "ip addr add 100.64.0.7 peer 100.64.0.1/32 dev ppp0"
        )
        play(at_line(up, "ppp0"), story)

    def test_one_that_goes_takes_the_line_with_it(
        self, box: Box, at_line: Callable[..., CommandBackend]
    ) -> None:
        async def story(backend: CommandBackend) -> None:
            await backend.dial(ignore)
            watch = asyncio.ensure_future(backend.watch())
            box.ip(box.wan, "link", "del", "ppp0")
            with pytest.raises(LineLostError, match=r"^ppp0 is gone$"):
                await watch

        up = "ip tuntap add ppp0 mode tun; ip link set ppp0 up; ip addr add 100.64.0.7 dev ppp0"
        play(at_line(up, "ppp0"), story)

    def test_a_further_address_changes_nothing_and_losing_the_first_renumbers(
        self, box: Box, at_line: Callable[..., CommandBackend]
    ) -> None:
        async def story(backend: CommandBackend) -> None:
            await backend.dial(ignore)
            watch = asyncio.ensure_future(backend.watch())
            box.ip(box.wan, "addr", "add", "10.0.0.1/8", "dev", "eth2")
            await asyncio.sleep(0.2)
            assert not watch.done()
            box.ip(box.wan, "addr", "del", "203.0.113.2/24", "dev", "eth2")
            assert (await watch).address == parse_address("10.0.0.1")

        up = "ip addr add 203.0.113.2/24 dev eth2; ip route add default via 203.0.113.1"
        play(at_line(up), story)

    def test_an_address_that_goes_is_the_lines_end(
        self, box: Box, at_line: Callable[..., CommandBackend]
    ) -> None:
        async def story(backend: CommandBackend) -> None:
            await backend.dial(ignore)
            watch = asyncio.ensure_future(backend.watch())
            box.ip(box.wan, "addr", "flush", "dev", "eth2")
            with pytest.raises(LineLostError, match=r"^eth2 has no address any more$"):
                await watch

        up = "ip addr add 203.0.113.2/24 dev eth2; ip route add default via 203.0.113.1"
        play(at_line(up), story)

    def test_a_device_without_an_address_is_a_line_that_is_down(
        self, workshop: Workshop, at_line: Callable[..., CommandBackend]
    ) -> None:
        async def story(backend: CommandBackend) -> None:
            assert await backend.probe() is None
            assert workshop.done == []

        play(at_line(TELL), story)
