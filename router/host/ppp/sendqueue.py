"""Frames on their way to a packet socket, kept in order while there is no room for them."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice

from router.host.ppp.packetsocket import PacketSocket, Room

__all__ = ["SendQueue"]

PAUSE_S = 0.005  # seconds until a device that does not tell is tried again: a few frames' time
MOST_WAITING = 512  # frames: a peer that asks while the card may not send costs no more memory


class SendQueue:
    """Sends at once what there is room for; `ready` is called when all that had to wait is sent."""

    def __init__(self, socket: PacketSocket, ready: Callable[[], None]) -> None:
        self._socket = socket
        self._ready = ready
        self._waiting: deque[bytes] = deque()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_congested(self) -> bool:
        """Whether there are frames that wait."""
        return bool(self._waiting)

    def send(self, frames: Iterable[bytes]) -> None:
        """Take them, or lose those that would have to wait behind too many."""
        was_congested = self.is_congested
        self._waiting.extend(islice(frames, MOST_WAITING - len(self._waiting)))
        if not was_congested:
            self._send()

    def close(self) -> None:
        """Forget what waits."""
        self._waiting.clear()
        self._rest()

    def _send(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            room = self._socket.send(self._waiting[0])
            if room is Room.NOT_IN_SOCKET:
                loop.add_writer(self._socket, self._go_on)
                return
            if room is Room.NOT_ON_DEVICE:
                self._timer = loop.call_later(PAUSE_S, self._go_on)
                return
            self._waiting.popleft()

    def _go_on(self) -> None:
        self._rest()
        self._send()
        if not self.is_congested:
            self._ready()

    def _rest(self) -> None:
        asyncio.get_running_loop().remove_writer(self._socket)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
