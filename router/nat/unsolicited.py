"""Inbound SYNs nobody asked for, held in silence (RFC 5382 REQ-4).

Answering at once would end a simultaneous open, where both hosts send a SYN and ours is still on
its way to us. So the SYN is held for six seconds. If an outbound SYN of the same connection comes
meanwhile it is dropped silently; otherwise it is handed out to be answered with ICMP 3/3.
"""

from collections import OrderedDict

from router.wire.address import Endpoint

__all__ = ["UnsolicitedSyns"]


class UnsolicitedSyns:
    """At most `limit` held SYNs; further ones are dropped, which is silence too."""

    def __init__(self, hold_s: float, limit: int) -> None:
        self._hold_s = hold_s
        self._limit = limit
        self._held: OrderedDict[tuple[Endpoint, Endpoint], tuple[float, bytes]] = OrderedDict()

    def hold(self, external: Endpoint, remote: Endpoint, packet: bytes, now: float) -> None:
        """Hold `packet`, sent by `remote` to `external`; a retransmission changes nothing."""
        if len(self._held) < self._limit:
            self._held.setdefault((external, remote), (now + self._hold_s, packet))

    def forget(self, external: Endpoint, remote: Endpoint) -> None:
        """Drop silently what the opening of this connection has answered."""
        self._held.pop((external, remote), None)

    def clear(self) -> None:
        """Drop everything silently: the address they were sent to is gone."""
        self._held.clear()

    def next_deadline(self) -> float | None:
        """Return when the oldest has been silent for long enough."""
        return next(iter(self._held.values()))[0] if self._held else None

    def take_due(self, now: float) -> list[bytes]:
        """Return the packets to answer with port unreachable."""
        due: list[bytes] = []
        while self._held and next(iter(self._held.values()))[0] <= now:
            due.append(self._held.popitem(last=False)[1][1])
        return due
