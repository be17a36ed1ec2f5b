import asyncio
import threading
from collections.abc import Awaitable

from router.devices import Side
from router.host.control.capture import Captured, SideTap, pcapng_stream
from router.host.control.pcapng import ENHANCED_PACKET, dropped_in, split_blocks

HEADER = b"virtio-hdr"
BOTH = (Side.LAN, Side.WAN)


def tap(sides: tuple[Side, ...] = BOTH, queue_bytes: int = 1000) -> SideTap:
    return SideTap(sides, wall_clock_ns=lambda: 77, queue_bytes=queue_bytes)


async def soon(awaited: Awaitable[list[Captured]]) -> list[Captured]:
    return await asyncio.wait_for(awaited, 10)


def test_what_is_offered_on_a_thread_is_taken_on_the_loop() -> None:
    async def scenario() -> list[Captured]:
        one = tap()

        def offer() -> None:
            one.offer(Side.LAN, memoryview(HEADER + b"in"), inbound=True)
            one.offer(Side.WAN, HEADER + b"out", inbound=False)

        thread = threading.Thread(target=offer)
        thread.start()
        thread.join()
        return await soon(one.take())

    assert asyncio.run(scenario()) == [
        Captured(77, 0, True, b"in"),
        Captured(77, 1, False, b"out"),
    ]


def test_sides_not_asked_for_are_left_out() -> None:
    async def scenario() -> list[Captured]:
        one = tap((Side.WAN,))
        one.offer(Side.LAN, HEADER + b"no", inbound=True)
        one.offer(Side.WAN, HEADER + b"yes", inbound=True)
        return await soon(one.take())

    assert asyncio.run(scenario()) == [Captured(77, 0, True, b"yes")]


def test_a_slow_reader_loses_packets_and_is_told() -> None:
    async def scenario() -> tuple[int, list[tuple[int, int]]]:
        one = tap((Side.LAN,), queue_bytes=250)
        for _ in range(5):
            one.offer(Side.LAN, HEADER + bytes(100), inbound=True)
        stream = pcapng_stream(one, ["lan0"])
        await anext(stream)  # the preamble
        blocks = list(split_blocks(await asyncio.wait_for(anext(stream), 10)))
        one.offer(Side.LAN, HEADER + bytes(100), inbound=True)  # room again
        blocks += split_blocks(await asyncio.wait_for(anext(stream), 10))
        return one.dropped, [(kind, dropped_in(kind, block)) for kind, block in blocks]

    dropped, blocks = asyncio.run(scenario())
    assert dropped == 3
    assert [kind == ENHANCED_PACKET for kind, _ in blocks] == [True, True, False, True]
    assert [left_out for _, left_out in blocks] == [0, 0, 3, 0]


def test_taking_waits_for_the_next_packet() -> None:
    async def scenario() -> list[Captured]:
        one = tap()
        one.offer(Side.LAN, HEADER + b"first", inbound=True)
        await soon(one.take())
        waiting = asyncio.create_task(one.take())
        await asyncio.sleep(0)
        assert not waiting.done()
        one.offer(Side.LAN, HEADER + b"second", inbound=True)
        return await soon(waiting)

    assert [captured.packet for captured in asyncio.run(scenario())] == [b"second"]
