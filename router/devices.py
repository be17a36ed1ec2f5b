"""Protocols between the cores and the operating system: the one seam.

Cores take these as arguments and never import what implements them. `random.Random` is an
`Rng`, `time.monotonic` is a `Clock`; tests pass seeded and manual ones.
"""

from enum import IntEnum
from typing import NamedTuple, Protocol

__all__ = ["Clock", "Filter", "KernelHops", "Neighbours", "Rng", "Side", "Tun", "Verdict"]


class Side(IntEnum):
    """Which of the router's two sides a packet is on."""

    LAN = 0
    WAN = 1


class KernelHops(NamedTuple):
    """Forwarding steps the kernel takes between each side's network and its TUN: 1 behind a NIC.

    The kernel takes a hop from each packet at each step, and the box must count as one in all.
    """

    lan: int = 0
    wan: int = 0

    def adjustment(self, arrived: Side, leaves: Side) -> int:
        """Return what to add to the time to live of a packet from one side to another."""
        return self[arrived] + self[leaves] - 1

    def least_ttl(self, arrived: Side) -> int:
        """Return the least time to live, as read from the TUN, that leaves a hop to go on."""
        return 2 - self[arrived]


class Verdict(IntEnum):
    """What becomes of the packet in the buffer.

    `MISS` comes only from the rewrite cache: it does not know the packet, ask the forwarder.
    `DROP` and `ANSWERED` both mean the buffer is not sent anywhere; after `ANSWERED` (and
    after timers) there are packets to send among the forwarder's effects.
    """

    MISS = 0
    DROP = 1
    TO_LAN = 2
    TO_WAN = 3
    ANSWERED = 4


class Clock(Protocol):
    """A monotonic clock in seconds from an arbitrary start."""

    def __call__(self) -> float:
        """Return the current instant."""
        ...


class Rng(Protocol):
    """A source of randomness good enough for port numbers (RFC 6056) and IP ids."""

    def randrange(self, start: int, stop: int) -> int:
        """Return an integer in [start, stop)."""
        ...


class Filter(Protocol):
    """A packet filter in the language of tcpdump(8), compiled."""

    def __call__(self, packet: bytes, *, outbound: bool) -> bool:
        """Return whether an IPv4 packet, going out to the line or coming in from it, matches."""
        ...


class Neighbours(Protocol):
    """Which card a LAN address belongs to."""

    def mac_of(self, address: int) -> str:
        """Return the MAC address, lower case with colons, "" where it is not known."""
        ...


class Tun(Protocol):
    """A TUN device with virtio-net headers: each frame is 10 header bytes, then IPv4."""

    name: str
    mtu: int

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        ...

    def read_into(self, buffer: bytearray) -> int:
        """Read one frame into `buffer`, return its length, 0 when none waits."""
        ...

    def write(self, frame: memoryview | bytes) -> None:
        """Send one frame; a full queue drops it, as a network does."""
        ...
