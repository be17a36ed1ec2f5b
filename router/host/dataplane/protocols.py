"""What this side of the program asks of the forwarder.

The forwarder and the operating-system side do not import each other; they meet in these
protocols and in the daemon, which puts a forwarder into a data plane. A test double, or a
native forwarder, only has to look like this.
"""

from collections.abc import Iterator, Mapping, Sequence, Sized
from typing import Protocol

from router.devices import Side, Verdict
from router.link.budget import Use
from router.link.messages import Coming, Ready, Report, Signal
from router.link.rows import BudgetRow, Holding, LinkRow
from router.nat.types import DefaultHost, ForwardRule
from router.reasons import Reason
from router.wire.malformed import Malformed

__all__ = ["Forwarder", "Lines", "MappingRecord", "RewriteCache", "SessionRecord", "Transmit"]


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


class Lines(Protocol):
    """The links, and what waits for one of them and holds it."""

    def begin(self, *, now: float) -> None:
        """Raise what is to be up always; lines that were up already have been reported."""
        ...

    def report(self, report: Report, /, *, now: float) -> None:
        """Take what a link's backend has to tell."""
        ...

    def ask(
        self,
        packet: bytes,
        host: int,
        words: str,
        /,
        *,
        may_raise: bool,
        since: float | None,
        now: float,
    ) -> Ready | Coming | Reason:
        """Return whether the router may ask for a name on behalf of a host, or why not.

        `since` is None at first and then what the last answer said.
        """
        ...

    def take_signals(self) -> Sequence[Signal]:
        """Return what the links have to tell that has come up since the last call, in order."""
        ...

    def raise_link(self, name: str, by: str, /, *, now: float) -> str:
        """Raise a link because `by` says so; return "" or in one sentence why not."""
        ...

    def drop_link(self, name: str, by: str, /, *, stay: bool, now: float) -> str:
        """Take a link down because `by` says so; return "" or in one sentence why not.

        With `stay` traffic may not raise it again until somebody does.
        """
        ...

    def grant_lease(
        self, lease: str, right: str, why: str, host: int | None, ttl_s: float, /, *, now: float
    ) -> str:
        """Grant a lease; return "" or in one sentence why it cannot raise the line now."""
        ...

    def renew_lease(self, lease: str, ttl_s: float, /, *, now: float) -> bool:
        """Have a lease run for `ttl_s` seconds from now; return False if there is no such one."""
        ...

    def release_lease(self, lease: str, /, *, now: float) -> bool:
        """End a lease; return False if there is no such one."""
        ...

    def link_rows(self, now: float, /) -> tuple[LinkRow, ...]:
        """Return every link, the preferred one first."""
        ...

    def budget_rows(self, now: float, /) -> tuple[BudgetRow, ...]:
        """Return every allowance, and what of it is used."""
        ...

    def holding(self, now: float, /) -> Holding:
        """Return what waits for the line and what holds it."""
        ...

    def note_traffic(self, received_bytes: int, sent_bytes: int, /, *, now: float) -> None:
        """Take note of what the line's TUN has carried so far."""
        ...

    def set_civil_offset(self, offset_s: float, /, *, now: float) -> None:
        """Correct civil time, which is `now` plus this."""
        ...

    def load_usage(self, usage: Sequence[Use], /, *, now: float) -> None:
        """Take what is known of the use of budgets before this run."""
        ...

    def shut_down(self, *, now: float) -> None:
        """End every rise and attempt, because the router stops."""
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

    @property
    def lines(self) -> Lines:
        """Where links are asked about and told of."""
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
