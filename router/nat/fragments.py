"""Fragments of datagrams on their way through (RFC 4787 REQ-14).

Theory of operation. Only a first fragment carries ports, so the way of a whole datagram is decided
there and remembered; the others follow it. Fragments that come before their first are held and
released behind it. Nothing is reassembled.

* A datagram is known by source, destination, protocol and identification, as on the wire (RFC 791).
* Memory is bounded twice, in datagrams and in held bytes. When either is used up the oldest
  datagram is forgotten: a flood pushes out mostly itself, while the pieces of an orderly datagram
  follow each other closely and are through before they grow old (REQ-14a).
* A datagram is forgotten `timeout_s` after its first fragment was seen.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

from router.wire.ipv4 import IPv4

__all__ = ["DatagramKey", "Fragments"]

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


class _Datagram(Generic[Way]):
    __slots__ = ("expires_at", "held", "way")

    def __init__(self, expires_at: float) -> None:
        self.expires_at = expires_at
        self.way: Way | None = None
        self.held: list[bytes] = []


class Fragments(Generic[Way]):
    """Remembers the way of fragmented datagrams and holds what came too early."""

    def __init__(self, timeout_s: float, max_datagrams: int, max_bytes: int) -> None:
        self._timeout_s = timeout_s
        self._max_datagrams = max_datagrams
        self._max_bytes = max_bytes
        self._datagrams: OrderedDict[DatagramKey, _Datagram[Way]] = OrderedDict()
        self.held_bytes = 0

    def __len__(self) -> int:
        return len(self._datagrams)

    def way(self, key: DatagramKey) -> Way | None:
        """Return what was decided for the datagram, None before its first fragment."""
        datagram = self._datagrams.get(key)
        return datagram.way if datagram else None

    def decide(self, key: DatagramKey, way: Way, now: float) -> Sequence[bytes]:
        """Remember the datagram's way; return the frames that waited for it, in order.

        An identification used again starts a datagram anew.
        """
        former = self._datagrams.pop(key, None)
        self._datagram(key, now).way = way
        released = former.held if former else []
        self.held_bytes -= sum(map(len, released))
        return released

    def hold(self, key: DatagramKey, frame: bytes, now: float) -> None:
        """Keep a frame until its datagram's way is decided or it grows too old."""
        self._datagram(key, now).held.append(frame)
        self.held_bytes += len(frame)
        while self.held_bytes > self._max_bytes:
            self._forget_oldest()

    def next_deadline(self) -> float | None:
        """Return when the oldest datagram grows too old."""
        return next(iter(self._datagrams.values())).expires_at if self._datagrams else None

    def expire(self, now: float) -> None:
        """Forget datagrams that are too old."""
        while self._datagrams and next(iter(self._datagrams.values())).expires_at <= now:
            self._forget_oldest()

    def _datagram(self, key: DatagramKey, now: float) -> _Datagram[Way]:
        datagram = self._datagrams.get(key)
        if datagram is None:
            while len(self._datagrams) >= self._max_datagrams:
                self._forget_oldest()
            datagram = self._datagrams[key] = _Datagram(now + self._timeout_s)
        return datagram

    def _forget_oldest(self) -> None:
        _, datagram = self._datagrams.popitem(last=False)
        self.held_bytes -= sum(map(len, datagram.held))
