"""What passed through the data plane, as frozen numbers that may leave its thread."""

from dataclasses import dataclass

__all__ = ["FlawCount", "ReasonCount", "SideTraffic", "Traffic"]


@dataclass(frozen=True, slots=True)
class SideTraffic:
    """Packets and bytes of one side since the start; a super-packet counts as one packet.

    `queue_drops` found the kernel's queue full, `down_drops` the interface down, and
    `refused_drops` were malformed in the kernel's eyes.
    """

    tun: str
    received_packets: int
    received_bytes: int
    sent_packets: int
    sent_bytes: int
    queue_drops: int
    down_drops: int
    refused_drops: int


@dataclass(frozen=True, slots=True)
class ReasonCount:
    """How many packets the forwarder judged for one reason."""

    reason: str
    sentence: str
    packets: int


@dataclass(frozen=True, slots=True)
class FlawCount:
    """How many malformed packets had this as the first thing wrong with them."""

    flaw: str
    sentence: str
    packets: int


@dataclass(frozen=True, slots=True)
class Traffic:
    """Everything countable about the data plane at one instant.

    `malformed` splits up the packets that `reasons` counts as malformed.
    """

    lan: SideTraffic
    wan: SideTraffic
    reasons: tuple[ReasonCount, ...]
    malformed: tuple[FlawCount, ...]
    sessions: int
    mappings: int
    cache_hits: int
    cache_misses: int
    faults: int
