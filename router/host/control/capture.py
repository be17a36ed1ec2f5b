"""Captures: the way of packets from the data plane to whoever asked to see them.

Theory of operation. A `Tap` stands between two threads. The data-plane thread offers it every
frame that enters or leaves either side; the asyncio thread takes what has come and writes it
out as pcapng. The queue between them is bounded in bytes: when the reader is slow, packets
are left out of the capture and counted, and forwarding does not notice. There is no lock:
each byte count has one writer, and appending to and popping from a `deque` is atomic.

Packets lose their virtio-net header. A super-packet of an offloading sender shows as one
packet and its partial checksum as it is, as in a capture on any other Linux interface.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import NamedTuple

from aiohttp import web

from router import __version__
from router.devices import Side
from router.host.control.pcapng import packet_block, preamble, statistics_block
from router.host.dataplane.loop import DataPlane
from router.wire.vnet import VNET_HEADER_LENGTH

__all__ = ["CaptureHandlers", "Captured", "Tap", "pcapng_stream"]

SIDES = {"lan": (Side.LAN,), "wan": (Side.WAN,), "both": (Side.LAN, Side.WAN)}
QUEUE_BYTES = 16 << 20  # 16 MiB: a second at 130 Mbit/s while the reader hesitates


class Captured(NamedTuple):
    """One packet a tap saw; `at_ns` is wall-clock time, `inbound` means read from that side."""

    at_ns: int
    side: Side
    inbound: bool
    packet: bytes


class Tap:
    """A bounded queue of packets from the data-plane thread to the running asyncio loop.

    Only `sides` are watched. `dropped` counts the packets left out.
    """

    def __init__(
        self,
        sides: Sequence[Side],
        *,
        wall_clock_ns: Callable[[], int] = time.time_ns,
        queue_bytes: int = QUEUE_BYTES,
    ) -> None:
        self.sides = tuple(sides)
        self.dropped = 0
        self._wall_clock_ns = wall_clock_ns
        self._queue_bytes = queue_bytes
        self._queue: deque[Captured] = deque()
        self._offered_bytes = 0
        self._taken_bytes = 0
        self._wake_pending = False
        self._ready = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def offer(self, side: Side, frame: bytes | memoryview, *, inbound: bool) -> None:
        """Queue one frame with its virtio-net header; called on the data-plane thread."""
        if side not in self.sides:
            return
        if self._offered_bytes - self._taken_bytes + len(frame) > self._queue_bytes:
            self.dropped += 1
            return
        packet = bytes(frame[VNET_HEADER_LENGTH:])
        self._offered_bytes += len(packet)
        self._queue.append(Captured(self._wall_clock_ns(), side, inbound, packet))
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


async def pcapng_stream(tap: Tap, names: dict[Side, str]) -> AsyncIterator[bytes]:
    """Yield the capture as runs of whole pcapng blocks, without end."""
    yield preamble([names[side] for side in tap.sides], f"postroad {__version__}")
    reported = 0
    while True:
        batch = await tap.take()
        blocks = [
            packet_block(tap.sides.index(side), at_ns, packet, inbound=inbound)
            for at_ns, side, inbound, packet in batch
        ]
        if tap.dropped > reported and batch:
            reported = tap.dropped
            blocks.append(statistics_block(0, batch[-1].at_ns, reported))
        yield b"".join(blocks)


class CaptureHandlers:
    """Answers `GET /v1/capture`."""

    def __init__(self, dataplane: DataPlane) -> None:
        self._dataplane = dataplane

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Tell every packet on the sides asked for until the reader goes."""
        sides = SIDES.get(request.query.get("side", "both"))
        if sides is None:
            raise web.HTTPBadRequest(reason="side is lan, wan or both")
        traffic = await asyncio.wrap_future(self._dataplane.traffic())
        names = {Side.LAN: traffic.lan.tun, Side.WAN: traffic.wan.tun}
        response = web.StreamResponse(headers={"Content-Type": "application/x-pcapng"})
        tap = Tap(sides)
        try:
            await asyncio.wrap_future(self._dataplane.watch(tap))
            await response.prepare(request)
            async for blocks in pcapng_stream(tap, names):
                await response.write(blocks)
        except ConnectionError:  # the reader has seen enough
            pass
        finally:
            self._dataplane.unwatch(tap)
        return response
