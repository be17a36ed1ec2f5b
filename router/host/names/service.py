"""Names on the LAN while the router runs: the gate, dnsmasq behind it, and what there is to tell.

    names = NameService(...)
    await names.open()
    names.note(signals)         # of the links: what waits for one is looked at again
    ...
    await names.close()

Theory of operation. A query of a host is judged on the data-plane thread, as the packet that the
host would have sent to the name server that is asked. While no line is up that is the one asked
last, or where none is known yet the router itself, to which the host has sent it.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from router.devices import Rng
from router.host.dataplane.loop import DataPlane
from router.host.lines.backend import LineAddress
from router.host.names.dnsmasq import Dnsmasq
from router.host.names.errands import Errands, Key
from router.host.names.gate import Gate
from router.host.names.questions import Answer, Question, packet_of, words_of
from router.host.names.upstream import Upstream
from router.link.messages import Coming, Ready, Signal, StateChange
from router.reasons import Reason

__all__ = ["NameService"]


class NameService:
    """Made where the event loop runs.

    `router` is its LAN address, `tun` the device its own packets go by, `line_of` tells what a link
    has while it is up.
    """

    def __init__(
        self,
        dnsmasq: Dnsmasq,
        netns: str,
        router: int,
        tun: str,
        dataplane: DataPlane,
        line_of: Callable[[str], LineAddress | None],
        rng: Rng,
    ) -> None:
        self._dnsmasq = dnsmasq
        self._netns = netns
        self._dataplane = dataplane
        self._line_of = line_of
        self._server = router
        self._errands = Errands()
        self._upstream = Upstream(netns, router, tun, rng)
        self._gate = Gate(self._errands, self._leave, self._seek, router=router)
        self._running: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Begin to answer; raises DeviceError."""
        await self._gate.open(self._netns)
        self._running = asyncio.create_task(self._dnsmasq.run(self._gate.port))

    async def close(self) -> None:
        """Answer nothing any more."""
        if self._running is not None:
            running, self._running = self._running, None
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        await self._gate.close()

    def note(self, signals: Sequence[Signal]) -> None:
        """Take note of what has become of links."""
        if self._running is not None and any(isinstance(each, StateChange) for each in signals):
            self._gate.changed()

    def told(self) -> dict[str, Any]:
        """Return what `status` tells."""
        counts = self._errands.counts
        return {
            "pid": self._dnsmasq.pid,
            "queries": counts.queries,
            "cached": counts.cached,
            "refused": counts.refused,
            "failed": counts.failed,
            "waiting": self._errands.waiting,
        }

    async def _leave(self, key: Key, since: float | None) -> Ready | Coming | Reason:
        host, question = key
        packet = packet_of(question, host, self._server)
        words, may_raise = words_of(question, host), not question.is_chatter
        asked = self._dataplane.submit(
            lambda forwarder, now: forwarder.lines.ask(
                packet, host, words, may_raise=may_raise, since=since, now=now
            )
        )
        return await asyncio.wrap_future(asked)

    async def _seek(self, question: Question, link: str) -> Answer | None:
        line = self._line_of(link)
        if line is None or not line.dns:
            return None
        self._server = line.dns[0]
        return await self._upstream.seek(question, line.dns)
