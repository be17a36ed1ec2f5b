"""A call from a modem to the provider: two wires, and the provider's end of them as a PPP line.

Theory of operation. What the modem sends goes by the wire `up`, what the provider sends by `down`;
what has arrived is looked at when the wires say that it is worth it, by one timer. Whoever is
faster than a wire is told that there is no room and, later, that there is: the modem
(`Caller.go_on`) and the provider's session (`is_congested`, `ready`). A modem that is full because
its terminal does not read is left alone for a tick; what is meant for it waits at its exchange.

A call ends once. The modem hangs up (`end`), the carrier goes (`drop`), or the provider hangs up
(`disconnect`), which lets what is still under way arrive.
"""

import asyncio
from collections.abc import Callable, Iterable
from math import inf
from typing import Protocol

from router.lab.trunk import TICK_S, Wire
from router.wire.hdlc import Decoder, Encoder, Framing

__all__ = ["Call", "Caller"]

_MRU = 1500  # octets of a packet, whatever the line (RFC 1661 section 6.1)
_FAREWELL_S = 2.0  # for what is under way when the provider hangs up


class Caller(Protocol):
    """The modem that has called."""

    @property
    def is_full(self) -> bool:
        """Whether octets should be held back."""
        ...

    def deliver(self, data: bytes) -> None:
        """Take octets from the wire."""
        ...

    def go_on(self) -> None:
        """Send again: there is room."""
        ...

    def lost(self) -> None:
        """Find the carrier gone."""
        ...


class Call:
    """Implements `router.host.ppp.line.Line` for the provider; made where the event loop runs."""

    def __init__(self, up: Wire, down: Wire, caller: Caller) -> None:
        self.mru = _MRU
        self.is_async = True
        self._up = up
        self._down = down
        self._caller = caller
        self._loop = asyncio.get_running_loop()
        self._encoder = Encoder(Framing())
        self._decoder = Decoder(_MRU)
        self._receive: Callable[[list[bytes]], None] | None = None
        self._lost: Callable[[str], None] | None = None
        self._ready: Callable[[], None] | None = None
        self._caller_waits = False
        self._provider_waits = False
        self._is_over = False
        self._timer: asyncio.TimerHandle | None = None

    # The modem's end

    def room(self) -> int:
        """Return how many octets the modem may send; who is told 0 is told to go on later."""
        room = self._up.room(self._loop.time())
        if room >= self._up.backlog // 2:  # with less, octets would be fetched one by one
            return room
        self._caller_waits = True
        self._set_timer()
        return 0

    def take(self, data: bytes) -> None:
        """Take octets of the modem's."""
        self._up.send(data, self._loop.time())
        self._set_timer()

    def end(self) -> None:
        """Have the modem hung up."""
        if not self._is_over:
            self._finish()
            if self._lost is not None:
                self._lost("carrier lost")

    def drop(self) -> None:
        """Lose the carrier, at both ends."""
        if not self._is_over:
            self.end()
            self._caller.lost()

    # The provider's end

    async def connect(self) -> None:
        """Do nothing: it is the call that has come."""

    def begin(
        self,
        receive: Callable[[list[bytes]], None],
        lost: Callable[[str], None],
        ready: Callable[[], None],
    ) -> None:
        """Let frames flow; what has arrived so far is the first."""
        self._receive, self._lost, self._ready = receive, lost, ready
        if self._is_over:
            lost("carrier lost")
        self._set_timer()

    def send(self, frames: Iterable[bytes]) -> None:
        """Send frames."""
        if not self._is_over:
            self._down.send(self._encoder.encode(frames), self._loop.time())
            self._set_timer()

    @property
    def is_congested(self) -> bool:
        """Whether the wire, or the modem behind it, has enough for now."""
        if self._is_over:
            return False
        is_so = self._caller.is_full or not self._down.room(self._loop.time())
        if is_so:
            self._provider_waits = True
            self._set_timer()
        return is_so

    def set_framing(self, framing: Framing) -> None:
        """Have frames sent in this way."""
        self._encoder = Encoder(framing)

    async def disconnect(self) -> None:
        """Hang up, after what is under way."""
        if not self._is_over:
            self._lost = None
            await asyncio.sleep(min(self._down.empty_at() - self._loop.time(), _FAREWELL_S))
            self.drop()

    # In between

    def _look(self) -> None:
        """Take what has arrived, and let go on who may."""
        self._timer = None
        now = self._loop.time()
        if self._receive is not None and (frames := self._decoder.feed(self._up.receive(now))):
            self._receive(frames)
        if not self._is_over and not self._caller.is_full and (data := self._down.receive(now)):
            self._caller.deliver(data)
        if self._caller_waits and self._up.ready_at() <= now:
            self._caller_waits = False
            self._caller.go_on()
        if self._provider_waits and self._is_ready(now):
            self._provider_waits = False
            if self._ready is not None:
                self._ready()
        self._set_timer()

    def _is_ready(self, now: float) -> bool:
        return self._down.ready_at() <= now and not self._caller.is_full

    def _set_timer(self) -> None:
        due = inf if self._is_over else self._due()
        if self._timer is not None:
            if self._timer.when() <= due < inf:
                return
            self._timer.cancel()
        self._timer = None if due == inf else self._loop.call_at(due, self._look)

    def _due(self) -> float:
        due = self._down.next_deadline()
        if self._provider_waits:
            due = min(due, self._down.ready_at())
        if self._caller.is_full:
            due = max(due, self._loop.time() + TICK_S)
        if self._receive is not None:
            due = min(due, self._up.next_deadline())
        if self._caller_waits:
            due = min(due, self._up.ready_at())
        return due

    def _finish(self) -> None:
        self._is_over = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
