"""A line that takes a packet at a time, and senders in front of it, in time that nobody waits for.

    line = SlowLine(33_600, Backlog())
    line.at(0.0, lambda: line.put(packet))
    line.run(until=60.0)
    line.sent                     what went when, and how long it had waited

A packet is headers and a number, so that it is told from all others; a letter says of which flow
it is.
"""

import heapq
import itertools
from collections.abc import Callable
from functools import lru_cache, partial
from typing import NamedTuple

from router.ppp.backlog import Backlog
from tests.lab.packets import VNET_LENGTH, ping, udp

FULL = 1500  # octets
_BITS = 8
_PORT = slice(20, 22)
_NUMBER = slice(28, 32)


@lru_cache
def _blank(kind: str, size: int) -> bytes:
    ends, data = "192.168.1.11{} > 198.51.100.10{}", bytes(size - 28)
    if kind == "ping":
        return ping(ends.format("", ""), data)[VNET_LENGTH:]
    return udp(ends.format(":1", ":80"), data, checksum=False)[VNET_LENGTH:]


def packet(flow: str, number: int = 0, size: int = FULL) -> bytes:
    """A packet of a flow, a letter or `ping`."""
    numbered = bytearray(_blank("ping" if flow == "ping" else "udp", size))
    numbered[_NUMBER] = number.to_bytes(4, "big")
    if flow != "ping":
        numbered[_PORT] = ord(flow).to_bytes(2, "big")
    return bytes(numbered)


def flow_of(one: bytes) -> str:
    return chr(int.from_bytes(one[_PORT], "big")) if one[9] == 17 else "ping"


def number_of(one: bytes) -> int:
    return int.from_bytes(one[_NUMBER], "big")


class Sent(NamedTuple):
    """A packet that the line took `at`, after it had waited."""

    at: float
    flow: str
    number: int
    size: int
    waited_s: float


class SlowLine:
    """Takes a packet from the backlog whenever it has sent what it took before.

    `bunch` is how many packets it takes in a row, as a serial port does; then it wants no more
    until all of them are sent. `arrived` is told what has reached the other end.
    """

    def __init__(self, rate: float, backlog: Backlog, *, bunch: int = 1) -> None:
        self.rate = rate
        self.backlog = backlog
        self.bunch = bunch
        self.now = 0.0
        self.sent: list[Sent] = []
        self.most_waiting = 0
        self.arrived: Callable[[Sent], None] | None = None
        self._put_at: dict[bytes, float] = {}
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._is_busy = False

    @property
    def packet_s(self) -> float:
        """How long a full packet takes."""
        return FULL * _BITS / self.rate

    def at(self, instant: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._events, (instant, next(self._order), action))

    def every(self, span_s: float, action: Callable[[], None], *, until: float) -> None:
        """Do it now and again."""
        action()
        if self.now + span_s < until:
            self.at(self.now + span_s, lambda: self.every(span_s, action, until=until))

    def put(self, one: bytes) -> None:
        self._put_at[one] = self.now
        self.backlog.put(one, self.now)
        self.most_waiting = max(self.most_waiting, len(self.backlog))
        if not self._is_busy:
            self._take()

    def run(self, until: float) -> None:
        while self._events and self._events[0][0] <= until:
            self.now, _, action = heapq.heappop(self._events)
            action()
        self.now = until

    def _take(self) -> None:
        free_at = self.now
        for _ in range(self.bunch):
            one = self.backlog.take(self.now)
            if one is None:
                break
            free_at += len(one) * _BITS / self.rate
            waited_s = self.now - self._put_at.pop(one)
            sent = Sent(free_at, flow_of(one), number_of(one), len(one), waited_s)
            self.sent.append(sent)
            if self.arrived is not None:
                self.at(free_at, partial(self.arrived, sent))
        self._is_busy = free_at > self.now
        if self._is_busy:
            self.at(free_at, self._take)

    # What went

    def share(self, flow: str, since: float = 0.0) -> float:
        """The part of the line that a flow had."""
        octets = sum(sent.size for sent in self.sent if sent.flow == flow and sent.at > since)
        return octets * _BITS / (self.rate * (self.now - since))

    def waits(self, flow: str, since: float = 0.0) -> list[float]:
        return [sent.waited_s for sent in self.sent if sent.flow == flow and sent.at > since]


class Upload:
    """A sender that heeds losses, as TCP does in outline: one window, doubled and then growing.

    The other end tells of each packet after a round trip. What was sent before one of which it
    tells, and of which it does not, is lost; that halves the window, once for each window. Silence
    of a second or more begins anew with one packet.
    """

    def __init__(self, line: SlowLine, flow: str, round_trip_s: float) -> None:
        self.flow = flow
        self.losses = 0
        self.silences = 0
        self._line = line
        self._round_trip_s = round_trip_s
        self._window, self._threshold = 10.0, float("inf")  # packets; the first: RFC 6928
        self._in_flight: dict[int, float] = {}  # in order
        self._numbers = itertools.count()
        self._recovered = 0  # losses before this number have been heeded
        self._slowest_s = 1.0
        self._heard_at = 0.0

    def start(self) -> None:
        self._heard_at = self._line.now
        self._fill()
        self._line.every(0.2, self._heed_silence, until=float("inf"))

    def arrived(self, number: int) -> None:
        """The other end has it."""
        self._line.at(self._line.now + self._round_trip_s, lambda: self._hear(number))

    def _hear(self, number: int) -> None:
        sent_at = self._in_flight.pop(number, None)
        if sent_at is None:
            return
        self._heard_at = self._line.now
        self._slowest_s = max(self._line.now - sent_at, 0.9 * self._slowest_s)
        lost = [other for other in self._in_flight if other < number]
        for other in lost:
            del self._in_flight[other]
        self.losses += len(lost)
        if lost and lost[-1] >= self._recovered:
            self._window = self._threshold = max(2.0, self._window / 2)
            self._recovered = next(self._numbers)
        elif self._window < self._threshold:
            self._window += 1
        else:
            self._window += 1 / self._window
        self._fill()

    def _heed_silence(self) -> None:
        if self._in_flight and self._line.now - self._heard_at > 1.0 + 2 * self._slowest_s:
            self.silences += 1
            self._threshold, self._window = max(2.0, self._window / 2), 1.0
            self._in_flight.clear()
            self._heard_at = self._line.now
            self._fill()

    def _fill(self) -> None:
        while len(self._in_flight) < int(self._window):
            number = next(self._numbers)
            self._in_flight[number] = self._line.now
            self._line.put(packet(self.flow, number))


def upload(line: SlowLine, flows: str, round_trip_s: float) -> dict[str, Upload]:
    """Begin an upload for each letter."""
    uploads = {flow: Upload(line, flow, round_trip_s) for flow in flows}

    def arrived(sent: Sent) -> None:
        if sent.flow in uploads:
            uploads[sent.flow].arrived(sent.number)

    line.arrived = arrived
    for one in uploads.values():
        line.at(line.now, one.start)
    return uploads
