"""Leases: programs that say themselves how long they need the line.

Theory of operation. A lease holds the line that is up until it is released or its time runs out,
so that a dead program never holds it. One with the right to raise also wants the line while it is
down; the oldest such lease gives the reason. Whoever repeats himself replaces his lease and keeps
his place. A lease whose time is over is gone for its holder at once, and leaves the accounts with
`expire`.

The flows of a host that has a lease are not activity: hence `covers`, which is asked per session.
"""

from dataclasses import dataclass
from enum import Enum

from router.link.rows import LeaseRow
from router.wire.address import format_address

__all__ = ["MAX_LEASES", "Lease", "LeaseRight", "Leases"]

# A site has a handful of programs with one lease each. So many leave room for one per job, bound
# what a program costs that forgets its ids, and are read at a glance by the machine.
MAX_LEASES = 256


class LeaseRight(Enum):
    """What a lease may do; the value is that of the control API."""

    RAISE = "raise"
    USE_IF_UP = "use-if-up"


@dataclass(frozen=True, slots=True)
class Lease:
    """A hold on the line; `host` is the LAN address of its holder, None if he is not on the LAN."""

    id: str
    right: LeaseRight
    why: str
    host: int | None
    expires_at: float


class Leases:
    """Every lease, the oldest first; one that is replaced or renewed keeps its age."""

    def __init__(self) -> None:
        self._leases: dict[str, Lease] = {}
        self._hosts: frozenset[int] = frozenset()
        self._next: float | None = None

    def __len__(self) -> int:
        return len(self._leases)

    def grant(
        self, lease_id: str, right: LeaseRight, why: str, host: int | None, ttl_s: float, now: float
    ) -> bool:
        """Make a lease or replace the one with this id; return False if there are too many."""
        if lease_id not in self._leases and len(self._leases) >= MAX_LEASES:
            return False
        self._put(Lease(lease_id, right, why, host, now + ttl_s))
        return True

    def renew(self, lease_id: str, ttl_s: float, now: float) -> bool:
        """Let a lease last for `ttl_s` from now; return False if there is no such lease."""
        lease = self._leases.get(lease_id)
        if lease is None or lease.expires_at <= now:
            return False
        self._put(Lease(lease_id, lease.right, lease.why, lease.host, now + ttl_s))
        return True

    def release(self, lease_id: str) -> Lease | None:
        """End a lease and return it, None if there is no such lease."""
        lease = self._leases.pop(lease_id, None)
        if lease is not None:
            self._recount()
        return lease

    def expire(self, now: float) -> list[Lease]:
        """End the leases whose time is over and return them."""
        if self._next is None or self._next > now:
            return []
        over = [lease for lease in self._leases.values() if lease.expires_at <= now]
        for lease in over:
            del self._leases[lease.id]
        self._recount()
        return over

    def clear(self) -> list[Lease]:
        """End every lease and return them."""
        all_of_them = list(self._leases.values())
        self._leases.clear()
        self._recount()
        return all_of_them

    def next_deadline(self) -> float | None:
        """Return when `expire` has something to do."""
        return self._next

    @property
    def hosts(self) -> frozenset[int]:
        """The LAN hosts that have a lease."""
        return self._hosts

    def covers(self, host: int) -> bool:
        """Whether a LAN host has a lease."""
        return host in self._hosts

    @property
    def wanting(self) -> Lease | None:
        """The oldest lease that may raise the line."""
        return next(
            (each for each in self._leases.values() if each.right is LeaseRight.RAISE), None
        )

    def rows(self, now: float) -> tuple[LeaseRow, ...]:
        """Return every lease, the oldest first."""
        return tuple(
            LeaseRow(
                id=lease.id,
                right=lease.right.value,
                why=lease.why,
                host="" if lease.host is None else format_address(lease.host),
                expires_in_s=max(lease.expires_at - now, 0.0),
            )
            for lease in self._leases.values()
        )

    def _put(self, lease: Lease) -> None:
        self._leases[lease.id] = lease
        self._recount()

    def _recount(self) -> None:
        leases = self._leases.values()
        self._hosts = frozenset(lease.host for lease in leases if lease.host is not None)
        self._next = min((lease.expires_at for lease in leases), default=None)
