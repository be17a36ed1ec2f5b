"""One suite for every backend: static, command and PPP lines of each kind, and the fake."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from router.host.lines.backend import Backend, DialError, LineLostError, RefusedError
from router.host.machine import netns
from tests.lab.box import a_box
from tests.lab.linerigs import BareRig, CardRig, FakeRig, Rig, SeenRig, TellingRig
from tests.lab.ppprig import PppRig

KINDS: dict[str, type[FakeRig | BareRig]] = {
    "fake": FakeRig,
    "static card": CardRig,
    "bare TUN": BareRig,
    "command that tells": TellingRig,
    "command that is watched": SeenRig,
    "PPP": PppRig,
}
T = TypeVar("T")


def lines(*abilities: str) -> pytest.MarkDecorator:
    """Run a test for each kind of line to which this can happen."""
    kinds = [kind for kind, rig in KINDS.items() if rig.can.issuperset(abilities)]
    marked = [pytest.param(kind, marks=() if kind == "fake" else pytest.mark.net) for kind in kinds]
    return pytest.mark.parametrize("rig", marked, indirect=True)


@pytest.fixture
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    kind = KINDS[request.param]
    if issubclass(kind, FakeRig):
        yield kind()
        return
    with a_box() as box, netns.inside(box.box):
        yield kind(box, tmp_path)


def within(rig: Rig, story: Callable[[Backend], Awaitable[T]]) -> T:
    """Play a story with a backend that is closed in the end, in a time a person would wait."""

    async def play() -> T:
        async with asyncio.timeout(20):
            backend = rig.backend()
            try:
                return await story(backend)
            finally:
                await backend.close()

    return asyncio.run(play())


def ignore() -> None: ...


@lines()
def test_a_dial_raises_the_line(rig: Rig) -> None:
    async def story(backend: Backend) -> None:
        assert await backend.dial(ignore) == rig.line

    within(rig, story)


@lines()
def test_progress_is_told_before_the_address(rig: Rig) -> None:
    async def story(backend: Backend) -> None:
        told: list[str] = []
        await backend.dial(lambda: told.append("connected"))
        assert told[0] == "connected"

    within(rig, story)


@lines("fail")
def test_a_dial_fails_with_a_reason_and_the_next_one_may_succeed(rig: Rig) -> None:
    reason = rig.refuse()

    async def story(backend: Backend) -> None:
        with pytest.raises(DialError, match=f"^{reason}$"):
            await backend.dial(ignore)
        await backend.hang_up()
        rig.answer()
        assert await backend.dial(ignore) == rig.line

    within(rig, story)


@lines("login")
def test_a_refused_login_is_told_from_other_failures(rig: Rig) -> None:
    refused, failed = rig.refuse_login, rig.refuse

    async def story(backend: Backend) -> None:
        for refusal, refuse in ((True, refused), (False, failed), (True, refused)):
            reason = refuse()
            with pytest.raises(DialError, match=f"^{reason}$") as told:
                await backend.dial(ignore)
            assert isinstance(told.value, RefusedError) is refusal
            await backend.hang_up()
        rig.answer()
        assert await backend.dial(ignore) == rig.line

    within(rig, story)


@lines("stall")
def test_a_dial_broken_off_leaves_nothing(rig: Rig) -> None:
    before = rig.leftovers()
    rig.stall()

    async def story(backend: Backend) -> None:
        dial = asyncio.ensure_future(backend.dial(ignore))
        await rig.stalled()
        dial.cancel()
        with pytest.raises(asyncio.CancelledError):
            await dial
        await backend.hang_up()
        assert rig.leftovers() == before
        rig.answer()
        assert await backend.dial(ignore) == rig.line

    within(rig, story)


@lines()
def test_hanging_up_again_or_for_nothing_does_nothing(rig: Rig) -> None:
    before = rig.leftovers()

    async def story(backend: Backend) -> None:
        await backend.hang_up()
        await backend.dial(ignore)
        for _ in range(2):
            await backend.hang_up()
            assert rig.leftovers() == before
        assert await backend.dial(ignore) == rig.line

    within(rig, story)


@lines("lose")
def test_a_loss_has_a_reason_and_is_told_once(rig: Rig) -> None:

    async def story(backend: Backend) -> None:
        await backend.dial(ignore)
        for _ in range(2):
            watch = asyncio.ensure_future(backend.watch())
            await asyncio.sleep(0.2)
            assert not watch.done()
            rig.lose()
            with pytest.raises(LineLostError, match=r"\w"):
                await watch
            await backend.hang_up()
            rig.answer()
            assert await backend.dial(ignore) == rig.line

    within(rig, story)


@lines("renumber")
def test_a_renumbering_is_told_once(rig: Rig) -> None:

    async def story(backend: Backend) -> None:
        await backend.dial(ignore)
        watch = asyncio.ensure_future(backend.watch())
        rig.renumber()
        assert await watch == rig.other
        watch = asyncio.ensure_future(backend.watch())
        await asyncio.sleep(0.2)
        assert not watch.done()
        watch.cancel()

    within(rig, story)


@lines("renumber", "lose")
def test_nothing_is_missed_while_nobody_watches(rig: Rig) -> None:

    async def story(backend: Backend) -> None:
        await backend.dial(ignore)
        rig.renumber()
        assert await backend.watch() == rig.other
        rig.lose()
        with pytest.raises(LineLostError):
            await backend.watch()

    within(rig, story)


@lines("renumber")
def test_a_watch_broken_off_goes_on_later(rig: Rig) -> None:

    async def story(backend: Backend) -> None:
        await backend.dial(ignore)
        watch = asyncio.ensure_future(backend.watch())
        await asyncio.sleep(0.1)
        watch.cancel()
        with pytest.raises(asyncio.CancelledError):
            await watch
        rig.renumber()
        assert await backend.watch() == rig.other

    within(rig, story)


@lines("hang-up")
def test_a_probe_tells_the_truth(rig: Rig) -> None:

    async def probe() -> object:
        backend = rig.backend()
        try:
            return await backend.probe()
        finally:
            await backend.close()

    async def story(backend: Backend) -> None:
        assert await backend.probe() is None
        await backend.dial(ignore)

    within(rig, story)
    found = asyncio.run(probe())
    assert found is not None
    assert getattr(found, "address", None) == rig.line.address

    async def end(backend: Backend) -> None:
        assert await backend.probe() is not None
        await backend.hang_up()

    within(rig, end)
    assert asyncio.run(probe()) is None


@pytest.mark.net
@pytest.mark.parametrize("rig", ["static card", "bare TUN"], indirect=True)
def test_a_probe_of_a_line_that_is_always_on_tells_whether_it_works(rig: Rig) -> None:
    async def is_up(backend: Backend) -> None:
        assert await backend.probe() == rig.line

    async def is_down(backend: Backend) -> None:
        assert await backend.probe() is None

    within(rig, is_up)
    if "lose" in rig.can:
        rig.lose()
        within(rig, is_down)


@lines()
def test_after_hang_up_and_close_nothing_is_left(rig: Rig) -> None:
    before = rig.leftovers()

    async def story(backend: Backend) -> None:
        await backend.dial(ignore)
        await backend.hang_up()

    within(rig, story)
    assert rig.leftovers() == before


@lines("stall")
def test_close_in_the_middle_of_a_dial_leaves_no_process(rig: Rig) -> None:
    before = rig.leftovers()
    rig.stall()

    async def story(backend: Backend) -> None:
        dial = asyncio.ensure_future(backend.dial(ignore))
        await rig.stalled()
        dial.cancel()

    within(rig, story)
    assert rig.leftovers() == before
