"""Ways: what was decided for a datagram, and how its fragments come to follow it.

Theory of operation. The first fragment of a datagram carries the ports, so it decides the way: one
translation, or two for a hairpin. The others follow, or wait in `router.nat.fragments` for it.
Protocols without ports are decided by whatever fragment comes first. A way holds only as long as
its sessions do.

Outbound datagrams get an identification of the router's own, the same in all fragments, since
several hosts share the address that must not repeat one (RFC 6864, section 5.3.1).
"""

from collections.abc import Sequence
from typing import NamedTuple

from router.arrival import Arrival
from router.departure import Departure
from router.nat.fragments import Fragments
from router.nat.table import Session
from router.nat.types import NatConfig
from router.reasons import Reason

__all__ = ["Step", "Way", "Ways"]


class Step(NamedTuple):
    """One translation: in which session, and which way round."""

    session: Session
    outbound: bool


class Way(NamedTuple):
    """Translations in order, the new identification if there is one, and why the packet passes."""

    steps: tuple[Step, ...]
    identification: int | None
    reason: Reason


class Ways:
    """The ways of fragmented datagrams that are still coming in."""

    def __init__(self, config: NatConfig, departure: Departure) -> None:
        limits = config.limits
        self._departure = departure
        self._fragments: Fragments[Way] = Fragments(
            config.timeouts.fragment, limits.fragmented_datagrams, limits.fragment_bytes
        )
        self.next_deadline = self._fragments.next_deadline
        self.expire = self._fragments.expire

    def known(self, arrival: Arrival) -> Way | None:
        """Return what was decided for the datagram of a later fragment, if that still holds."""
        if not arrival.packet.fragment_offset:
            return None
        way = self._fragments.way(arrival.datagram)
        if way is None or not all(step.session.is_open for step in way.steps):
            return None
        return way._replace(reason=Reason.FRAGMENT)

    def hold(self, arrival: Arrival) -> Reason:
        """Keep a fragment until the first of its datagram comes."""
        frame = bytes(arrival.packet.buffer[: arrival.packet.end])
        self._fragments.hold(arrival.datagram, frame, arrival.now)
        return Reason.FRAGMENT_HELD

    def identify(self, arrival: Arrival) -> int | None:
        """Return the identification all fragments of an outbound datagram get, None for a whole."""
        if not arrival.packet.is_fragment:
            return None
        former = self._fragments.way(arrival.datagram)  # its first fragment may come twice
        if former is not None and former.identification is not None:
            return former.identification
        return self._departure.next_identification()

    def decide(self, arrival: Arrival, way: Way) -> Sequence[bytes]:
        """Remember the way of a packet that decides one; return the frames that waited for it."""
        if not arrival.packet.is_fragment or arrival.ports_elsewhere:
            return ()
        return self._fragments.decide(arrival.datagram, way, arrival.now)
