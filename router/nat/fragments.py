"""Fragments of datagrams on their way through (RFC 4787 REQ-14).

Theory of operation. Only a first fragment carries ports, so the way of a whole datagram is decided
there and remembered; the others follow it. Fragments that come before their first are held and
released behind it. Nothing is reassembled.

* A datagram is known by source, destination, protocol and identification, as on the wire (RFC 791).
* Datagrams that are decided and datagrams that wait are bounded apart, the latter also in bytes.
  Where a bound is reached the oldest of its kind is forgotten. A flood of later fragments never
  pushes out what is already on its way; one of first fragments must bring thousands in the
  moment an orderly datagram takes to pass (REQ-14a).
* A datagram is forgotten `timeout_s` after its way was decided, or after its first held piece.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

from router.nat.deadlines import earlier
from router.wire.ipv4 import IPv4

__all__ = ["DatagramKey", "Fragments"]

_OVERHEAD = 128  # bytes of a Python object and its places in lists, rounded up
Way = TypeVar("Way")


class DatagramKey(NamedTuple):
    """What the fragments of one datagram have in common (RFC 791, section 2.3)."""

    source: int
    destination: int
    protocol: int
    identification: int

    @classmethod
    def of(cls, packet: IPv4) -> "DatagramKey":
        """Return the key of a packet as it arrived."""
        return cls(packet.source, packet.destination, packet.protocol, packet.identification)


class _Decided(NamedTuple, Generic[Way]):
    expires_at: float
    way: Way


class _Waiting(NamedTuple):
    expires_at: float
    held: list[bytes]


class Fragments(Generic[Way]):
    """Remembers the way of fragmented datagrams and holds what came too early."""

    def __init__(self, timeout_s: float, max_datagrams: int, max_bytes: int) -> None:
        self._timeout_s = timeout_s
        self._max_datagrams = max_datagrams
        self._max_bytes = max_bytes
        self._decided: OrderedDict[DatagramKey, _Decided[Way]] = OrderedDict()
        self._waiting: OrderedDict[DatagramKey, _Waiting] = OrderedDict()
        self.held_bytes = 0

    def __len__(self) -> int:
        return len(self._decided) + len(self._waiting)

    def way(self, key: DatagramKey) -> Way | None:
        """Return what was decided for the datagram, None before its first fragment."""
        decided = self._decided.get(key)
        return decided.way if decided else None

    def decide(self, key: DatagramKey, way: Way, now: float) -> Sequence[bytes]:
        """Remember the datagram's way; return the frames that waited for it, in order.

        An identification used again starts a datagram anew.
        """
        self._decided.pop(key, None)
        if len(self._decided) >= self._max_datagrams:
            self._decided.popitem(last=False)
        self._decided[key] = _Decided(now + self._timeout_s, way)
        waiting = self._waiting.pop(key, None)
        if waiting is None:
            return ()
        self.held_bytes -= sum(map(_cost, waiting.held))
        return waiting.held

    def hold(self, key: DatagramKey, frame: bytes, now: float) -> None:
        """Keep a frame until its datagram's way is decided or it grows too old."""
        if key not in self._waiting:
            if len(self._waiting) >= self._max_datagrams:
                self._forget_oldest_waiting()
            self._waiting[key] = _Waiting(now + self._timeout_s, [])
        self._waiting[key].held.append(frame)
        self.held_bytes += _cost(frame)
        while self.held_bytes > self._max_bytes:
            self._forget_oldest_waiting()

    def next_deadline(self) -> float | None:
        """Return when the oldest datagram grows too old."""
        decided = next(iter(self._decided.values()), None)
        waiting = next(iter(self._waiting.values()), None)
        return earlier(decided and decided.expires_at, waiting and waiting.expires_at)

    def expire(self, now: float) -> None:
        """Forget datagrams that are too old."""
        while self._decided and next(iter(self._decided.values())).expires_at <= now:
            self._decided.popitem(last=False)
        while self._waiting and next(iter(self._waiting.values())).expires_at <= now:
            self._forget_oldest_waiting()

    def _forget_oldest_waiting(self) -> None:
        _, waiting = self._waiting.popitem(last=False)
        self.held_bytes -= sum(map(_cost, waiting.held))


def _cost(frame: bytes) -> int:
    """Return the memory a held frame takes, so that many small ones do not take more."""
    return len(frame) + _OVERHEAD
