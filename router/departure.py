"""A packet as it leaves: hops, size, MSS, fragments of our own.

What cannot leave is found while the packet is still as it came, so that the error quotes it the
way its sender knows it.
"""

from collections.abc import Iterator
from typing import NamedTuple

from router.arrival import Arrival
from router.devices import KernelHops, Rng, Side
from router.reasons import Reason
from router.wire.gso import segment_length, segments
from router.wire.icmpv4 import Type, Unreachable
from router.wire.ipv4 import fragment
from router.wire.tcp import Flag, Tcp
from router.wire.vnet import PLAIN

__all__ = ["Departure", "Refusal", "Transmit"]

_IP_AND_TCP_HEADERS = 40  # bytes; the MSS is what an MTU leaves (RFC 9293, section 3.7.1)
_MAX_TTL = 255


class Transmit(NamedTuple):
    """A frame, virtio-net header included, to be sent on a side."""

    side: Side
    frame: bytes


class Refusal(NamedTuple):
    """Why a packet stays, and the ICMP error that says so."""

    reason: Reason
    type: int
    code: int
    mtu: int = 0


class Departure:
    """Knows what each side's link carries; `mtu` is in bytes of IP packet, per side."""

    def __init__(self, lan_mtu: int, hops: KernelHops, *, mss_clamp: bool, rng: Rng) -> None:
        self.mtu = {Side.LAN: lan_mtu, Side.WAN: lan_mtu}
        self._hops = hops
        self._mss_clamp = mss_clamp
        self._identification = rng.randrange(0, 65536)

    def refusal(self, arrival: Arrival, side: Side) -> Refusal | None:
        """Return why the packet cannot reach `side`, None when it can."""
        packet = arrival.packet
        if packet.ttl < self._hops.least_ttl(arrival.side):
            return Refusal(Reason.TTL_EXPIRED, Type.TIME_EXCEEDED, 0)
        mtu = self.mtu[side]
        if packet.dont_fragment and segment_length(packet, arrival.offload) > mtu:
            code = Unreachable.FRAGMENTATION_NEEDED
            return Refusal(Reason.TOO_BIG, Type.UNREACHABLE, code, mtu)
        return None

    def next_identification(self) -> int:
        """Return an identification no other datagram of ours has had for a while (RFC 6864)."""
        self._identification = (self._identification + 1) & 0xFFFF
        return self._identification

    def take_hop(self, arrival: Arrival, side: Side) -> None:
        """Let the box count as one hop on the way to `side`."""
        packet = arrival.packet
        packet.set_ttl(min(packet.ttl + self._hops.adjustment(arrival.side, side), _MAX_TTL))

    def clamp_mss(self, arrival: Arrival) -> None:
        """Keep TCP segments within both links, whatever path MTU discovery meets on the way."""
        segment = arrival.transport
        if self._mss_clamp and isinstance(segment, Tcp) and segment.flags & Flag.SYN:
            limit = min(self.mtu.values()) - _IP_AND_TCP_HEADERS
            segment.clamp_mss(limit, partial=arrival.offload.partial)

    def fits(self, arrival: Arrival, side: Side) -> bool:
        """Whether the packet, or what a device makes of it, needs no fragments on `side`."""
        return segment_length(arrival.packet, arrival.offload) <= self.mtu[side]

    def pieces(self, arrival: Arrival, side: Side) -> Iterator[Transmit]:
        """Yield the fragments of a packet that does not fit, in order (RFC 4787 REQ-13a)."""
        ours = side is Side.WAN and not arrival.packet.is_fragment
        for whole in segments(arrival.packet, arrival.offload):
            if ours:
                whole.set_identification(self.next_identification())
            for part in fragment(whole, self.mtu[side]):
                yield Transmit(side, PLAIN + part)
