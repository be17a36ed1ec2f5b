"""A line that is always on: a card with a fixed address, or the bare TUN.

Theory of operation. Nothing raises it and nothing takes it down. It is up while the card has a
carrier and, where there is a command for `status`, while that says so: a dead provider behind a
live modem is seen by nothing else. A dial waits a moment for the carrier, as a card that has just
been taken up needs it, and then fails, so that a line behind this one gets its turn.

The bare TUN is always up, but for its `status`.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from router.host.lines.backend import DialError, LineAddress, LineLostError
from router.host.lines.race import first_of, for_ever
from router.host.lines.script import STATUS_LIMIT_S, Script
from router.host.lines.watch import DeviceWatch
from router.host.machine.sight import Sight

__all__ = ["CARRIER_WAIT_S", "StaticBackend"]

CARRIER_WAIT_S = 5.0  # seconds: two ends of a cable agree on a speed within three or four


class StaticBackend:
    """Implements `router.host.lines.backend.Backend`; made where an event loop runs."""

    def __init__(
        self,
        link: str,
        line: LineAddress,
        *,
        netns: str,
        device: str | None = None,
        status: Sequence[str] = (),
        status_interval_s: float = 30.0,
        carrier_wait_s: float = CARRIER_WAIT_S,
    ) -> None:
        self._line = line
        self._device = device
        self._status = status
        self._status_interval_s = status_interval_s
        self._carrier_wait_s = carrier_wait_s
        self._watch = DeviceWatch(netns, device) if device is not None else None
        self._script = Script(link, netns, device)

    async def probe(self) -> LineAddress | None:
        """Return the line's address if it has a carrier and its status is good."""
        if self._watch is not None and not (await self._watch.look()).has_carrier:
            return None
        return None if await self._trouble() else await self._whole()

    async def dial(self, progress: Callable[[], None]) -> LineAddress:
        """Return the line's address as soon as it has a carrier and its status is good."""
        if self._watch is not None:
            await self._carrier(self._watch)
        progress()
        if trouble := await self._trouble():
            raise DialError(trouble)
        return await self._whole()

    async def watch(self) -> LineAddress:
        """Wait for the line to die."""
        return await first_of(self._lose_carrier(), self._lose_status())

    async def hang_up(self) -> None:
        """Do nothing: the line is always on, and carries nothing once it is not plumbed."""

    async def close(self) -> None:
        """Let go of processes."""
        await self._script.close()

    async def _carrier(self, watch: DeviceWatch) -> None:
        try:
            async with asyncio.timeout(self._carrier_wait_s):
                await watch.until(lambda sight: sight.has_carrier)
        except TimeoutError:
            raise DialError(f"no carrier on {self._device}") from None

    async def _whole(self) -> LineAddress:
        if self._watch is None:
            return self._line
        mtu = (await self._watch.look()).mtu or self._line.mtu
        return replace(self._line, mtu=min(self._line.mtu, mtu))

    async def _trouble(self) -> str:
        if not self._status:
            return ""
        return (await self._script.run("status", self._status, STATUS_LIMIT_S)).why

    async def _lose_carrier(self) -> LineAddress:
        if self._watch is None:
            return await for_ever()
        last = await self._watch.until(lambda sight: not sight.has_carrier)
        raise LineLostError(_loss(last, self._device))

    async def _lose_status(self) -> LineAddress:
        while self._status:
            await asyncio.sleep(self._status_interval_s)
            if trouble := await self._trouble():
                raise LineLostError(trouble)
        return await for_ever()


def _loss(sight: Sight, device: str | None) -> str:
    return f"carrier lost on {device}" if sight.is_there else f"{device} is gone"
