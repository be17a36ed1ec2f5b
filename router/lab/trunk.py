"""A wire with a rate, a latency and bit errors: what lies between two modems.

    wire = Wire(33600, latency_s=0.1, bit_error_rate=1e-6, rng=rng)
    if wire.room(now): wire.send(octets, now)
    wire.receive(now)           # octets that have arrived by now

Theory of operation. An octet takes eight bits of the rate, as V.42 takes start and stop bits off.
The first of what is sent begins at once, or when what was sent before it has gone; each arrives one
latency after it has gone. So when an octet arrives follows from when the wire last stood idle,
never from when somebody looked: looking late makes nothing slower, however long it goes on.

* `receive` gives what has arrived. `next_deadline` is when some more is worth a look: after a
  tick's worth of octets, or when all that is under way has arrived.
* What waits to go is bounded, for senders that respect `room`: they feel the rate, as a terminal
  does by RTS/CTS. A sender with whole frames may overrun it by one. `ready_at` is when it has run
  down to half of that.
* Bit errors come one by one at random, with gaps as a fixed probability for each bit makes them.
"""

from collections import deque
from dataclasses import dataclass
from math import inf, log, log1p

from router.devices import Rng

__all__ = ["TICK_S", "Wire"]

TICK_S = 0.005  # what arrives within it may arrive at once: a hundredth of a modem's round trip
BACKLOG_S = 0.05  # of the rate: a busy machine may look away for so long and the wire has work
LEAST_BACKLOG = 1024  # octets: buffers of modems with V.42 are about as large

_BITS = 8  # an octet, on a line with V.42
_EVEN = 1 << 53  # as many values as a float tells apart


@dataclass(slots=True)
class _Stretch:
    """Octets that go without a pause: the first begins at `begins_at`; `taken` have arrived."""

    data: bytes
    begins_at: float
    taken: int = 0


class Wire:
    """One direction, in octets; the rate is in bit/s."""

    def __init__(
        self,
        rate: float,
        *,
        rng: Rng,
        latency_s: float = 0.0,
        bit_error_rate: float = 0.0,
    ) -> None:
        self.backlog = max(LEAST_BACKLOG, int(rate / _BITS * BACKLOG_S))
        self._octet_s = _BITS / rate
        self._latency_s = latency_s
        self._errors = _Errors(bit_error_rate, rng)
        self._under_way: deque[_Stretch] = deque()
        self._free_at = -inf  # when all that was sent has gone

    def send(self, data: bytes, now: float) -> None:
        """Send octets; all are taken."""
        if not data:
            return
        begins_at = max(now, self._free_at)
        self._free_at = begins_at + len(data) * self._octet_s
        self._under_way.append(_Stretch(data, begins_at))

    def receive(self, now: float) -> bytes:
        """Return what has arrived since the last call."""
        arrived = []
        while self._under_way:
            stretch = self._under_way[0]
            count = self._arrived(stretch, now)
            arrived.append(stretch.data[stretch.taken : count])
            stretch.taken = count
            if count < len(stretch.data):
                break
            self._under_way.popleft()
        return self._errors.spoil(b"".join(arrived))

    def room(self, now: float) -> int:
        """Return how many octets more may wait."""
        return max(0, self.backlog - self._waiting(now))

    def next_deadline(self) -> float:
        """Return when to look for what has arrived; inf while nothing is under way."""
        if not self._under_way:
            return inf
        first, last = self._under_way[0], self._under_way[-1]
        begun = self._arrives_at(first, first.taken + 1)
        return min(begun + TICK_S, self._arrives_at(last, len(last.data)))

    def empty_at(self) -> float:
        """Return when all that was sent has arrived."""
        return self._free_at + self._latency_s

    def ready_at(self) -> float:
        """Return when no more than half of the backlog waits, if nothing else is sent."""
        return self._free_at - self.backlog // 2 * self._octet_s

    def _waiting(self, now: float) -> int:
        return max(0, int((self._free_at - now) / self._octet_s)) if self._under_way else 0

    def _arrives_at(self, stretch: _Stretch, count: int) -> float:
        return stretch.begins_at + count * self._octet_s + self._latency_s

    def _arrived(self, stretch: _Stretch, now: float) -> int:
        if self._arrives_at(stretch, len(stretch.data)) <= now:
            return len(stretch.data)
        whole = int((now - self._latency_s - stretch.begins_at) / self._octet_s)
        return max(stretch.taken, min(whole, len(stretch.data) - 1))


class _Errors:
    """Turns bits over."""

    def __init__(self, rate: float, rng: Rng) -> None:
        self._rate = rate
        self._rng = rng
        self._clean = self._gap()  # bits until the next error

    def spoil(self, data: bytes) -> bytes:
        """Return the octets as the wire delivers them."""
        bits = len(data) * _BITS
        if self._clean >= bits:
            self._clean -= bits
            return data
        spoiled, at = bytearray(data), 0.0
        while (at := at + self._clean) < bits:
            octet, bit = divmod(int(at), _BITS)
            spoiled[octet] ^= 1 << bit
            self._clean = self._gap() + 1
        self._clean = at - bits
        return bytes(spoiled)

    def _gap(self) -> float:
        """Return how many bits are well before the next that is not."""
        if not self._rate:
            return inf
        even = self._rng.randrange(1, _EVEN) / _EVEN
        return log(even) // log1p(-self._rate)
