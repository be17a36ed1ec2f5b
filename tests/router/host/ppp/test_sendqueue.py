"""Frames that wait for a card: how many, in which order, and when it is told that none do."""

import asyncio
import socket

from router.host.ppp.packetsocket import PacketSocket, Room
from router.host.ppp.sendqueue import MOST_WAITING, SendQueue
from tests.lab.linerigs import eventually


class Card(PacketSocket):
    """Has room for frames, or not; a descriptor only."""

    def __init__(self) -> None:
        self._near, self._far = socket.socketpair()
        self.room = Room.NOT_ON_DEVICE
        self.sent: list[bytes] = []

    def fileno(self) -> int:
        return self._near.fileno()

    def send(self, frame: bytes) -> Room:
        if self.room is Room.THERE:
            self.sent.append(frame)
        return self.room

    def close(self) -> None:
        self._near.close()
        self._far.close()


def numbered(count: int) -> list[bytes]:
    return [number.to_bytes(2, "big") for number in range(count)]


def test_a_peer_that_asks_for_ever_while_the_card_stands_still_costs_no_more_memory() -> None:
    async def story() -> None:
        card = Card()
        drained: list[None] = []
        queue = SendQueue(card, lambda: drained.append(None))
        frames = numbered(3 * MOST_WAITING)
        for at in range(0, len(frames), 100):
            queue.send(frames[at : at + 100])
        assert queue.is_congested
        card.room = Room.THERE
        await eventually(lambda: drained)
        assert card.sent == frames[:MOST_WAITING]
        queue.send([b"later"])
        assert card.sent[-1] == b"later"
        assert (len(drained), queue.is_congested) == (1, False)
        queue.close()
        card.close()

    asyncio.run(story())
