"""What this side of the program asks of the forwarder.

The forwarder and the operating-system side do not import each other; they meet in these
protocols and in the daemon, which puts a forwarder into a data plane. A test double, or a
native forwarder, only has to look like this.
"""

from collections.abc import Iterator, Mapping, Sequence, Sized
from typing import Protocol

from router.devices import Side, Verdict
from router.nat.types import DefaultHost, ForwardRule
from router.reasons import Reason
from router.wire.malformed import Malformed

__all__ = ["Forwarder", "MappingRecord", "RewriteCache", "SessionRecord", "Transmit"]


class RewriteCache(Protocol):
    """The rewrites of established sessions."""

    def forward(self, side: Side, buffer: bytearray, length: int, now: float, /) -> Verdict:
        """Rewrite the frame and say where it goes, or answer `Verdict.MISS`."""
        ...


class Transmit(Protocol):
    """A frame the forwarder made itself."""

    @property
    def side(self) -> Side:
        """Where it goes."""
        ...

    @property
    def frame(self) -> bytes:
        """Virtio-net header and packet."""
        ...


class SessionRecord(Protocol):
    """A session, which stays on the data-plane thread."""

    def row(self, now: float) -> object:
        """Return it as a frozen dataclass of plain values, which need not stay."""
        ...


class MappingRecord(Protocol):
    """A mapping, which stays on the data-plane thread; one without sessions is no more."""

    @property
    def sessions(self) -> Sized:
        """Its sessions."""
        ...

    def row(self, now: float) -> object:
        """Return it as a frozen dataclass of plain values, which need not stay."""
        ...


class Forwarder(Protocol):
    """Judges frames, keeps timers, answers questions; does no input or output.

    Instants are monotonic seconds. Frames are a virtio-net header and an IPv4 packet.
    """

    @property
    def cache(self) -> RewriteCache:
        """Asked first about every frame."""
        ...

    def from_lan(self, buffer: bytearray, length: int, *, now: float) -> Verdict:
        """Judge a frame from the LAN side, editing it in place."""
        ...

    def from_wan(self, buffer: bytearray, length: int, *, now: float) -> Verdict:
        """Judge a frame from the WAN side, editing it in place."""
        ...

    def take_effects(self) -> Sequence[Transmit]:
        """Return the frames to send that have come up since the last call."""
        ...

    def next_deadline(self) -> float | None:
        """Return when `handle_timer` is next due."""
        ...

    def handle_timer(self, *, now: float) -> None:
        """Do what is due."""
        ...

    def line_up(self, address: int, mtu: int, *, now: float) -> None:
        """Take note of the line's address and MTU in bytes."""
        ...

    @property
    def forwards(self) -> Sequence[ForwardRule | DefaultHost]:
        """The forward rules in force."""
        ...

    def replace_forwards(
        self, rules: Sequence[ForwardRule | DefaultHost], *, reset_affected: bool, now: float
    ) -> int:
        """Put other rules in force; return how many sessions were reset for it."""
        ...

    @property
    def counters(self) -> Mapping[Reason, int]:
        """Packets by reason."""
        ...

    @property
    def malformed(self) -> Mapping[Malformed, int]:
        """Malformed packets by the first thing wrong with them."""
        ...

    @property
    def session_count(self) -> int:
        """How many sessions live."""
        ...

    @property
    def mapping_count(self) -> int:
        """How many mappings live."""
        ...

    def sessions(self) -> Iterator[SessionRecord]:
        """Return every session."""
        ...

    def mappings(self) -> Iterator[MappingRecord]:
        """Return every mapping."""
        ...
