"""Captures: the way of packets from where they pass to whoever asked to see them.

Theory of operation. A `Tap` stands between two threads. The data-plane thread offers a `SideTap`
every frame that enters or leaves either side; the asyncio thread takes what has come and writes it
out as pcapng. The queue between them is bounded in bytes: when the reader is slow, packets
are left out of the capture and counted, and forwarding does not notice. There is no lock:
each byte count has one writer, and appending to and popping from a `deque` is atomic. A `LineTap`
is offered the frames of a PPP line, on the asyncio thread itself, and has the same bounds.

Packets lose their virtio-net header. A super-packet of an offloading sender shows as one
packet and its partial checksum as it is, as in a capture on any other Linux interface.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

from aiohttp import web

from router import __version__
from router.devices import Side
from router.host.control.access import refusal
from router.host.control.pcapng import (
    LINKTYPE_IPV4,
    LINKTYPE_PPP,
    packet_block,
    preamble,
    statistics_block,
)
from router.host.dataplane.loop import DataPlane
from router.host.ppp.wiretap import Wiretaps
from router.wire.vnet import VNET_HEADER_LENGTH

__all__ = ["CaptureHandlers", "Captured", "LineTap", "SideTap", "Tap", "pcapng_stream"]

SIDES = {"lan": (Side.LAN,), "wan": (Side.WAN,), "both": (Side.LAN, Side.WAN)}
LINE = "line"  # besides these: the frames of a link
QUEUE_BYTES = 16 << 20  # 16 MiB: a second at 130 Mbit/s while the reader hesitates


class Captured(NamedTuple):
    """One packet a tap saw; `at_ns` is wall-clock time, `inbound` means read from there."""

    at_ns: int
    interface: int
    inbound: bool
    packet: bytes


class Tap:
    """A bounded queue of packets from one thread to the running asyncio loop.

    `dropped` counts the packets left out.
    """

    def __init__(
        self,
        *,
        wall_clock_ns: Callable[[], int] = time.time_ns,
        queue_bytes: int = QUEUE_BYTES,
    ) -> None:
        self.dropped = 0
        self._wall_clock_ns = wall_clock_ns
        self._queue_bytes = queue_bytes
        self._queue: deque[Captured] = deque()
        self._offered_bytes = 0
        self._taken_bytes = 0
        self._wake_pending = False
        self._ready = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def put(self, interface: int, packet: bytes | memoryview, *, inbound: bool) -> None:
        """Copy a packet into the queue, or leave it out and count it."""
        if self._offered_bytes - self._taken_bytes + len(packet) > self._queue_bytes:
            self.dropped += 1
            return
        self._offered_bytes += len(packet)
        self._queue.append(Captured(self._wall_clock_ns(), interface, inbound, bytes(packet)))
        if not self._wake_pending:
            self._wake_pending = True
            self._loop.call_soon_threadsafe(self._ready.set)

    async def take(self) -> list[Captured]:
        """Wait until something has come, then return all of it."""
        await self._ready.wait()
        self._ready.clear()
        self._wake_pending = False  # before draining: what comes from here on wakes again
        batch = []
        while self._queue:
            batch.append(self._queue.popleft())
        self._taken_bytes += sum(len(captured.packet) for captured in batch)
        return batch


class SideTap(Tap):
    """Watches one side of the translation or both; the interfaces are these `sides`."""

    def __init__(
        self,
        sides: Sequence[Side],
        *,
        wall_clock_ns: Callable[[], int] = time.time_ns,
        queue_bytes: int = QUEUE_BYTES,
    ) -> None:
        super().__init__(wall_clock_ns=wall_clock_ns, queue_bytes=queue_bytes)
        self.sides = tuple(sides)

    def offer(self, side: Side, frame: bytes | memoryview, *, inbound: bool) -> None:
        """Queue one frame with its virtio-net header; called on the data-plane thread."""
        if side in self.sides:
            packet = memoryview(frame)[VNET_HEADER_LENGTH:]
            self.put(self.sides.index(side), packet, inbound=inbound)


class LineTap(Tap):
    """Watches one PPP line, the one interface there is."""

    def see(self, frame: bytes, inbound: bool) -> None:
        """Queue one frame as it is to be on file."""
        self.put(0, frame, inbound=inbound)


async def pcapng_stream(
    tap: Tap, interfaces: Sequence[str], linktype: int = LINKTYPE_IPV4
) -> AsyncIterator[bytes]:
    """Yield the capture as runs of whole pcapng blocks, without end."""
    yield preamble(interfaces, f"postroad {__version__}", linktype)
    reported = 0
    while True:
        batch = await tap.take()
        blocks = [
            packet_block(interface, at_ns, packet, inbound=inbound)
            for at_ns, interface, inbound, packet in batch
        ]
        if tap.dropped > reported and batch:
            reported = tap.dropped
            blocks.append(statistics_block(0, batch[-1].at_ns, reported))
        yield b"".join(blocks)


class CaptureHandlers:
    """Answers `GET /v1/capture`, until the reader goes."""

    def __init__(self, dataplane: DataPlane, wiretaps: Wiretaps) -> None:
        self._dataplane = dataplane
        self._wiretaps = wiretaps

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Tell every packet on the sides asked for, or every frame of a line."""
        side, link = request.query.get("side", "both"), request.query.get("link", "")
        if side == LINE:
            return await self._tell_line(request, link)
        sides = SIDES.get(side)
        if sides is None:
            return refusal(400, "side is lan, wan, both or line")
        if link:
            return refusal(400, "a link is named for side=line only")
        traffic = await asyncio.wrap_future(self._dataplane.traffic())
        names = {Side.LAN: traffic.lan.tun, Side.WAN: traffic.wan.tun}
        tap = SideTap(sides)
        async with self._watching(tap):
            return await _tell(request, tap, [names[side] for side in sides], LINKTYPE_IPV4)

    @asynccontextmanager
    async def _watching(self, tap: SideTap) -> AsyncIterator[None]:
        try:
            await asyncio.wrap_future(self._dataplane.watch(tap))
            yield
        finally:
            self._dataplane.unwatch(tap)

    async def _tell_line(self, request: web.Request, link: str) -> web.StreamResponse:
        links = self._wiretaps.links
        if not links:
            return refusal(404, "there is no link that speaks PPP")
        there_are = ", ".join(links)
        if link and link not in links:
            return refusal(404, f"{link!r} is not a link that speaks PPP; there are: {there_are}")
        if not link and len(links) > 1:
            return refusal(400, f"several links speak PPP; say which: {there_are}")
        watched = link or links[0]
        tap = LineTap()
        self._wiretaps.watch(watched, tap.see)
        try:
            return await _tell(request, tap, [watched], LINKTYPE_PPP)
        finally:
            self._wiretaps.unwatch(watched, tap.see)


async def _tell(
    request: web.Request, tap: Tap, interfaces: Sequence[str], linktype: int
) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/x-pcapng"})
    with suppress(ConnectionError):  # the reader has seen enough
        await response.prepare(request)
        async for blocks in pcapng_stream(tap, interfaces, linktype):
            await response.write(blocks)
    return response
