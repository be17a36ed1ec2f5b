"""What becomes of orders, as a script of orders, of what happens to the line, and of reports."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest

from router.host.lines.backend import DialError, RefusedError
from router.host.lines.supervisor import LineSupervisor
from router.link.messages import (
    Addressed,
    Closed,
    Connected,
    Dial,
    Failed,
    HangUp,
    Lost,
    Report,
    Rise,
    StateChange,
    Trigger,
)
from router.link.types import Cause, Ending, State
from router.wire.address import parse_address
from tests.lab.lines import (
    ENGAGED,
    LOGIN_REFUSED,
    BlackHole,
    FakeBackend,
    FakePlumbing,
    Flap,
    a_line,
)

WANTED = Trigger(Cause.DEMAND)
OTHER = a_line("203.0.113.77", 1400)


def up(attempt: int, address: str = "203.0.113.2", mtu: int = 1500, link: str = "isp") -> Addressed:
    return Addressed(link, attempt, parse_address(address), mtu)


class Desk:
    """The core's side of a supervisor: gives orders, reads reports."""

    def __init__(self, *answers: object, **backends: FakeBackend) -> None:
        self.backends = backends or {"isp": FakeBackend(*answers)}  # type: ignore[arg-type]
        self.plumbing = FakePlumbing()
        self.reports: asyncio.Queue[Report] = asyncio.Queue()
        self.supervisor = LineSupervisor(self.backends, self.plumbing, self.reports.put_nowait)

    @property
    def isp(self) -> FakeBackend:
        return self.backends["isp"]

    def dial(self, attempt: int, link: str = "isp") -> None:
        self.supervisor.handle(Dial(link, attempt, WANTED))

    def hang_up(self, attempt: int, link: str = "isp") -> None:
        self.supervisor.handle(HangUp(link, attempt, Ending.IDLE))

    async def hears(self, *expected: Report) -> None:
        for each in expected:
            assert await self.reports.get() == each

    async def hears_no_more(self) -> None:
        """End, and see that nothing but closing came of it."""
        await self.supervisor.close()
        while not self.reports.empty():
            assert isinstance(self.reports.get_nowait(), Closed)


def play(desk: Callable[[], Desk], story: Callable[[Desk], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with asyncio.timeout(5):
            made = desk()
            await made.supervisor.adopt()
            await story(made)
            await made.hears_no_more()
            assert made.plumbing.lines == {}
            assert all(backend.calls[-1] == "close" for backend in made.backends.values())
            assert all(backend.line is None for backend in made.backends.values())

    asyncio.run(whole())


def test_a_line_is_dialled_plumbed_and_hung_up() -> None:
    async def story(desk: Desk) -> None:
        desk.dial(1)
        await desk.hears(Connected("isp", 1), up(1))
        assert desk.supervisor.line("isp") == a_line()
        desk.hang_up(1)
        await desk.hears(Closed("isp", 1))
        assert desk.supervisor.line("isp") is None
        assert desk.plumbing.done == ["admit isp", "raise isp 203.0.113.2/24", "drop isp"]
        desk.dial(2)
        await desk.hears(Connected("isp", 2), up(2))

    play(Desk, story)


@pytest.mark.parametrize(
    ("why", "is_refusal"), [(DialError(ENGAGED), False), (RefusedError(LOGIN_REFUSED), True)]
)
def test_a_failed_attempt_is_cleared_away_before_it_is_reported(
    why: DialError, is_refusal: bool
) -> None:
    async def story(desk: Desk) -> None:
        desk.isp.may_hang_up.clear()
        desk.dial(1)
        await desk.isp.dialling.wait()
        assert desk.reports.empty()
        desk.isp.may_hang_up.set()
        await desk.hears(Failed("isp", 1, str(why), is_refusal))
        assert desk.isp.calls[-2:] == ["dial", "hang up"]
        desk.dial(2)
        await desk.hears(Connected("isp", 2), up(2))

    play(lambda: Desk(why, a_line()), story)


@pytest.mark.parametrize("connects", [True, False])
def test_a_hang_up_breaks_a_dial_off(connects: bool) -> None:
    async def story(desk: Desk) -> None:
        desk.dial(1)
        await desk.isp.dialling.wait()
        desk.hang_up(1)
        if connects:
            await desk.hears(Connected("isp", 1))
        await desk.hears(Closed("isp", 1))
        assert desk.isp.calls == ["probe", "dial", "hang up"]

    play(lambda: Desk(BlackHole(connects=connects)), story)


def test_a_dial_waits_for_the_hang_up_before_it() -> None:
    async def story(desk: Desk) -> None:
        desk.dial(1)
        await desk.hears(Connected("isp", 1), up(1))
        desk.isp.may_hang_up.clear()
        desk.hang_up(1)
        desk.dial(2)
        while desk.isp.calls[-1] != "hang up":
            await asyncio.sleep(0)
        assert desk.reports.empty()
        desk.isp.may_hang_up.set()
        await desk.hears(Closed("isp", 1), Connected("isp", 2), up(2))

    play(Desk, story)


def test_orders_in_one_breath_are_done_in_order() -> None:
    async def story(desk: Desk) -> None:
        desk.dial(1)
        desk.hang_up(1)
        desk.dial(2)
        heard: list[Report] = []
        while up(2) not in heard:
            heard.append(await desk.reports.get())
        assert heard[-3:] == [Closed("isp", 1), Connected("isp", 2), up(2)]

    play(Desk, story)


def test_a_hang_up_that_comes_late_is_answered_all_the_same() -> None:
    async def story(desk: Desk) -> None:
        desk.hang_up(7)
        await desk.hears(Closed("isp", 7))

    play(Desk, story)


def test_a_dial_while_the_line_is_up_reports_the_address_under_its_number() -> None:
    async def story(desk: Desk) -> None:
        desk.dial(1)
        await desk.hears(Connected("isp", 1), up(1))
        desk.dial(2)
        await desk.hears(up(2))
        desk.isp.lose()
        await desk.hears(Lost("isp", 2, "carrier lost"))
        assert desk.isp.calls.count("dial") == 1

    play(Desk, story)


def test_a_dial_during_a_dial_goes_on_under_its_number() -> None:
    async def story(desk: Desk) -> None:
        desk.dial(1)
        await desk.isp.dialling.wait()
        desk.dial(2)
        desk.hang_up(2)
        await desk.hears(Closed("isp", 2))
        assert desk.isp.calls.count("dial") == 1

    play(lambda: Desk(BlackHole()), story)


def test_a_loss_is_reported_once_and_at_once() -> None:
    async def story(desk: Desk) -> None:
        desk.dial(1)
        await desk.hears(Connected("isp", 1), up(1))
        desk.isp.may_hang_up.clear()
        desk.isp.lose("the modem is gone")
        await desk.hears(Lost("isp", 1, "the modem is gone"))
        desk.dial(2)
        desk.isp.may_hang_up.set()
        await desk.hears(Connected("isp", 2), up(2))
        assert desk.plumbing.done[-3:] == ["drop isp", "admit isp", "raise isp 203.0.113.2/24"]

    play(Desk, story)


def test_a_hang_up_that_crosses_a_loss_is_answered() -> None:
    async def story(desk: Desk) -> None:
        desk.dial(1)
        await desk.hears(Connected("isp", 1), up(1))
        desk.isp.lose()
        await desk.hears(Lost("isp", 1, "carrier lost"))
        desk.hang_up(1)
        await desk.hears(Closed("isp", 1))

    play(Desk, story)


def test_a_renumbering_is_plumbed_and_reported() -> None:
    async def story(desk: Desk) -> None:
        desk.dial(1)
        await desk.hears(Connected("isp", 1), up(1))
        desk.isp.renumber(OTHER)
        await desk.hears(up(1, "203.0.113.77", 1400))
        assert desk.plumbing.lines == {"isp": OTHER}
        desk.isp.renumber(a_line())
        await desk.hears(up(1))

    play(Desk, story)


def test_a_line_that_flaps_is_reported_each_time() -> None:
    async def story(desk: Desk) -> None:
        for attempt in range(1, 20):
            desk.dial(attempt)
            await desk.hears(Connected("isp", attempt), up(attempt))
            await desk.hears(Lost("isp", attempt, "carrier lost"))
        assert [each for each in desk.plumbing.done if each.startswith("admit")] == [
            "admit isp"
        ] * 19

    play(lambda: Desk(Flap(a_line())), story)


class TestFound:
    """Lines that are up at the start, and the number the core gives to that rise."""

    def found(self) -> Desk:
        return Desk(isp=FakeBackend(found=a_line()), backup=FakeBackend())

    def rise(self, number: int) -> Rise:
        return Rise("isp", number, Trigger(Cause.FOUND), begun_at=0.0)

    def test_one_is_plumbed_and_reported(self) -> None:
        async def story(desk: Desk) -> None:
            await desk.hears(up(0))
            assert desk.plumbing.lines == {"isp": a_line()}
            assert desk.supervisor.line("backup") is None

        play(self.found, story)

    def test_its_loss_has_the_cores_number(self) -> None:
        async def story(desk: Desk) -> None:
            await desk.hears(up(0))
            desk.supervisor.handle(self.rise(1))
            desk.isp.renumber(OTHER)
            await desk.hears(up(1, "203.0.113.77", 1400))
            desk.isp.lose()
            await desk.hears(Lost("isp", 1, "carrier lost"))

        play(self.found, story)

    def test_a_loss_before_the_number_is_told_again(self) -> None:
        async def story(desk: Desk) -> None:
            await desk.hears(up(0))
            desk.isp.lose()
            await desk.hears(Lost("isp", 0, "carrier lost"))
            desk.supervisor.handle(self.rise(1))
            await desk.hears(Lost("isp", 1, "carrier lost"))
            desk.supervisor.handle(self.rise(1))
            assert desk.reports.empty()

        play(self.found, story)

    def test_it_is_hung_up_as_told(self) -> None:
        async def story(desk: Desk) -> None:
            await desk.hears(up(0))
            desk.hang_up(1)
            await desk.hears(Closed("isp", 1))

        play(self.found, story)

    def test_a_dial_that_crosses_the_finding_has_the_address_reported(self) -> None:
        def desk() -> Desk:
            made = self.found()
            made.dial(1)
            return made

        async def story(desk: Desk) -> None:
            await desk.hears(up(0), up(1))
            assert desk.isp.calls.count("dial") == 0

        play(desk, story)

    def test_one_that_cannot_be_plumbed_is_taken_down(self) -> None:
        def desk() -> Desk:
            made = self.found()
            made.plumbing.refusal = "cannot add route"
            return made

        async def story(desk: Desk) -> None:
            assert desk.reports.empty()
            assert desk.isp.calls == ["probe", "hang up"]

        play(desk, story)


class TestFaults:
    def test_a_line_that_cannot_be_plumbed_has_failed(self) -> None:
        async def story(desk: Desk) -> None:
            desk.plumbing.refusal = "there is no network device ppp0"
            desk.dial(1)
            await desk.hears(Connected("isp", 1))
            await desk.hears(Failed("isp", 1, "there is no network device ppp0"))
            desk.dial(2)
            await desk.hears(Connected("isp", 2), up(2))

        play(Desk, story)

    def test_a_new_address_that_cannot_be_plumbed_is_a_loss(self) -> None:
        async def story(desk: Desk) -> None:
            desk.dial(1)
            await desk.hears(Connected("isp", 1), up(1))
            desk.plumbing.refusal = "cannot add route"
            desk.isp.renumber(OTHER)
            await desk.hears(Lost("isp", 1, "cannot add route"))
            desk.dial(2)
            await desk.hears(Connected("isp", 2), up(2))
            assert desk.isp.calls[:5] == ["probe", "dial", "watch", "hang up", "dial"]

        play(Desk, story)

    def test_a_fault_of_a_backend_is_a_failure_and_no_more(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def story(desk: Desk) -> None:
            desk.dial(1)
            await desk.hears(Failed("isp", 1, "a fault in the program; the log has it"))
            desk.dial(2)
            await desk.hears(Connected("isp", 2), up(2))

        with caplog.at_level(logging.ERROR):
            play(lambda: Desk(ZeroDivisionError(), a_line()), story)
        assert "ZeroDivisionError" in caplog.text

    def test_what_was_not_restored_is_told(self, caplog: pytest.LogCaptureFixture) -> None:
        async def story(desk: Desk) -> None:
            desk.dial(1)
            await desk.hears(Connected("isp", 1), up(1))
            desk.plumbing.problems = ["cannot remove route"]
            desk.hang_up(1)
            await desk.hears(Closed("isp", 1))

        play(Desk, story)
        assert "isp: cannot remove route" in caplog.text


class TestEnd:
    def test_every_line_is_hung_up_and_reported(self) -> None:
        async def whole() -> None:
            desk = Desk(isp=FakeBackend(), backup=FakeBackend(BlackHole()), third=FakeBackend())
            await desk.supervisor.adopt()
            desk.dial(1)
            await desk.hears(Connected("isp", 1), up(1))
            desk.dial(1, "backup")
            await desk.backends["backup"].dialling.wait()
            await desk.supervisor.close()
            closed = {desk.reports.get_nowait() for _ in range(2)}
            assert closed == {Closed("isp", 1), Closed("backup", 1)}
            assert desk.reports.empty()
            assert desk.plumbing.lines == {}

        asyncio.run(whole())

    def test_a_line_that_does_not_hang_up_does_not_hold_it_up(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr("router.host.lines.supervisor.CLOSE_LIMIT_S", 0.01)

        async def whole() -> None:
            desk = Desk()
            await desk.supervisor.adopt()
            desk.dial(1)
            await desk.hears(Connected("isp", 1), up(1))
            desk.isp.may_hang_up.clear()
            await desk.supervisor.close()
            assert desk.isp.calls[-2:] == ["hang up", "close"]

        asyncio.run(whole())
        assert "not been hung up in time" in caplog.text


def test_two_lines_do_not_wait_for_each_other() -> None:
    async def story(desk: Desk) -> None:
        desk.dial(1)
        await desk.isp.dialling.wait()
        desk.dial(1, "backup")
        await desk.hears(Connected("backup", 1), up(1, link="backup"))
        desk.hang_up(1)
        await desk.hears(Closed("isp", 1))
        assert set(desk.plumbing.lines) == {"backup"}

    play(lambda: Desk(isp=FakeBackend(BlackHole()), backup=FakeBackend()), story)


def test_signals_that_are_not_for_a_line_are_passed_over() -> None:
    async def story(desk: Desk) -> None:
        desk.supervisor.handle(
            StateChange("isp", State.DORMANT, State.DIALING, "because", "alice", 0.0)
        )
        desk.dial(1)
        await desk.hears(Connected("isp", 1), up(1))

    play(Desk, story)
