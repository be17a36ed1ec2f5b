"""A line that commands raise and take down.

Theory of operation. `up` raises the line and ends when that is done; what has to stay runs in the
background. Either it says the line's address (`script` has the language), or the line has that
which its device has got by then, or gets afterwards from a daemon of its own. So there are two
kinds of rise:

- *told*: what is said counts, and the device only has to keep its carrier. What it says the next
  time `status` is asked may be another address.
- *seen*: the device's address counts. Another one is a renumbering, none at all a loss. On a card
  the default route is part of it, because DHCP clients set it a moment after the address.

A loss is also a device that goes, a carrier that goes after there was one, and a `status` that
fails; it is asked every so often while the line is up. At start `status`, or else the address of
the device, tells whether the line is up. Where there is neither, or an address cannot be told, the
line is taken down, because a line nobody knows of costs money.

`down` takes the line down, and is run after every attempt that was begun and every rise, also one
found at start. It must be able to do so whatever `up` has come to, or been broken off at. What then
remains in the process group of `up` is ended.

All is bounded: `up` by whoever dials, `status` and `down` here.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from router.host.lines.backend import DialError, LineAddress, LineLostError, RefusedError
from router.host.lines.process import GRACE_S, Process
from router.host.lines.race import first_of, for_ever
from router.host.lines.script import STATUS_LIMIT_S, Outcome, Script, Told, not_started
from router.host.lines.watch import DeviceWatch
from router.host.machine.sight import Sight

__all__ = ["CommandBackend", "Commands"]

SETTLE_S = 1.0  # seconds: DHCP clients change address and route one after the other

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Commands:
    """The commands of a line, each a program and its arguments; `status` may be empty."""

    up: Sequence[str]
    down: Sequence[str]
    status: Sequence[str] = ()


class CommandBackend:
    """Implements `router.host.lines.backend.Backend`; made where an event loop runs."""

    def __init__(
        self,
        link: str,
        commands: Commands,
        *,
        netns: str,
        device: str | None = None,
        mtu: int = 1500,
        status_interval_s: float = 30.0,
        hang_up_timeout_s: float = 15.0,
    ) -> None:
        self._link = link
        self._commands = commands
        self._device = device
        self._mtu = mtu
        self._status_interval_s = status_interval_s
        # `up` may have to be ended before `down`, and `down` itself after it.
        self._down_limit_s = max(GRACE_S, hang_up_timeout_s - 3 * GRACE_S)
        self._watch = DeviceWatch(netns, device) if device is not None else None
        self._script = Script(link, netns, device)
        self._raising: Process | None = None
        self._is_begun = False  # there may be something to take down
        self._line: LineAddress | None = None  # what was last returned
        self._is_seen = False
        self._had_carrier = False

    async def probe(self) -> LineAddress | None:
        """Ask `status` or look at the device; take the line down where that says too little."""
        is_up, line = self._watch is None, None
        if self._commands.status:
            outcome = await self._ask()
            if outcome.why and not outcome.told.wrong:
                return None
            is_up, line = True, await self._told_line(outcome.told)
        if line is None and self._watch is not None:
            line = self._seen_line(await self._watch.look())
        self._is_begun = is_up or line is not None
        self._line = line
        if line is None:
            await self.hang_up()
        return line

    async def dial(self, progress: Callable[[], None]) -> LineAddress:
        """Run `up`, and wait for an address if it has told none."""
        self._is_begun, self._had_carrier = True, False
        told = Told(self._link, progress)
        try:
            self._raising = self._script.start(self._commands.up, told)
        except OSError as error:
            raise DialError(not_started("up", error)) from None
        outcome = Outcome.of("up", told, await self._raising.wait())
        if outcome.is_refusal:
            raise RefusedError(f"login refused: {outcome.why}")
        if outcome.why:
            raise DialError(outcome.why)
        line = await self._told_line(told)
        if line is None and self._watch is None:
            raise DialError("its up command told no address, and there is no device to have one")
        self._line = line or await self._appearance(progress)
        return self._line

    async def watch(self) -> LineAddress:
        """Wait for another address or the line's end."""
        self._line = await first_of(self._other_told(), self._other_seen())
        return self._line

    async def hang_up(self) -> None:
        """Run `down`, if there may be anything to take down, and end what `up` has left."""
        if not self._is_begun:
            return
        if self._raising is not None and self._raising.is_running:
            await self._end_raising()
        try:
            outcome = await self._script.run("down", self._commands.down, self._down_limit_s)
        finally:
            await self._end_raising()
        if outcome.why:
            _log.warning("%s: %s", self._link, outcome.why)
        self._is_begun = False
        self._line = None

    async def close(self) -> None:
        """End whatever runs."""
        await self._script.close()

    async def _end_raising(self) -> None:
        if self._raising is not None:
            await self._script.end(self._raising)
            self._raising = None

    async def _ask(self) -> Outcome:
        return await self._script.run("status", self._commands.status, STATUS_LIMIT_S)

    # Told

    async def _told_line(self, told: Told, former: LineAddress | None = None) -> LineAddress | None:
        """Return what has been told, and of the rest what the line had before."""
        if told.address is None:
            return None
        if former is None:
            former = LineAddress(0, 0, self._mtu)
        mtu = min(self._mtu, told.mtu or former.mtu)
        if self._watch is not None:
            mtu = min(mtu, (await self._watch.look()).mtu or mtu)
        self._is_seen = False
        gateway = former.gateway if told.gateway is None else told.gateway
        return LineAddress(*told.address, mtu, gateway, tuple(told.dns) or former.dns)

    async def _other_told(self) -> LineAddress:
        while self._commands.status:
            await asyncio.sleep(self._status_interval_s)
            outcome = await self._ask()
            if outcome.why:
                raise LineLostError(outcome.why)
            if not self._is_seen:
                line = await self._told_line(outcome.told, self._line)
                if line is not None and line != self._line:
                    return line
        return await for_ever()

    # Seen

    def _seen_line(self, sight: Sight) -> LineAddress | None:
        if sight.address is None:
            return None
        self._is_seen = True
        mtu = min(self._mtu, sight.mtu)
        return LineAddress(sight.address, sight.prefix, mtu, sight.gateway)

    async def _appearance(self, progress: Callable[[], None]) -> LineAddress:
        """Wait until the device has an address that stays for a moment."""
        assert self._watch is not None

        def has_address(sight: Sight) -> bool:
            if sight.has_carrier:
                progress()
            return sight.address is not None

        while True:
            sight = await self._watch.until(has_address)
            line = self._seen_line(await self._settled(sight.address))
            if line is not None:
                return line

    async def _settled(self, known: int | None) -> Sight:
        """Return the device with all it can have, or a moment later with whatever it has."""
        assert self._watch is not None
        try:
            async with asyncio.timeout(SETTLE_S):
                return await self._watch.until(_is_whole, known)
        except TimeoutError:
            return await self._watch.look(known)

    async def _other_seen(self) -> LineAddress:
        if self._watch is None:
            return await for_ever()
        former = self._line
        assert former is not None
        while True:
            sight = await self._watch.until(self._is_news, former.address)
            self._check_carrier(sight)
            sight = await self._settled(former.address)
            line = self._seen_line(sight)
            if line is None:
                self._check_carrier(sight)
                raise LineLostError(f"{self._device} has no address any more")
            if line != former:
                return line

    def _is_news(self, sight: Sight) -> bool:
        if not sight.is_there or (self._had_carrier and not sight.has_carrier):
            return True
        self._had_carrier = sight.has_carrier
        line = self._line
        assert line is not None
        seen = (sight.address, sight.prefix, sight.gateway)
        return self._is_seen and seen != (line.address, line.prefix, line.gateway)

    def _check_carrier(self, sight: Sight) -> None:
        if not sight.is_there:
            raise LineLostError(f"{self._device} is gone")
        if self._had_carrier and not sight.has_carrier:
            raise LineLostError(f"carrier lost on {self._device}")


def _is_whole(sight: Sight) -> bool:
    has_ways = sight.gateway is not None or not sight.has_arp
    return sight.address is not None and has_ways
