"""Mappings, sessions, their indexes and their end.

Theory of operation. A *mapping* ties an internal endpoint to an external one. A *session* is the
traffic of one mapping with one remote endpoint (RFC 2663, section 2.3); filters, TCP state,
timers and rewrites belong to sessions, ports belong to mappings.

* A mapping lives while it has sessions; the last one to close takes it along.
* Every session is found by two keys: (protocol, internal, remote) for outbound packets and
  (protocol, external, remote) for inbound ones. Both are unique, always.
* Mappings are found by what their behaviour depends on: internal endpoint and as much of the
  remote as the mapping behaviour says; and by external endpoint. Protocols without ports have
  port 0 everywhere, so only the session key tells their mappings apart.
* Each session has a deadline in a heap. Activity does not touch the heap: when the deadline comes
  the session says when it will really be idle and is put back. A session whose timer became
  shorter is put in once more and the older entry recognised as stale by `due_at`; when stale
  entries would outnumber the live ones they are swept out.
* Nothing is ever evicted for something newer (RFC 6888 REQ-11); limits refuse the newcomer.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from router.fastpath import Rewrite
from router.nat.tcp import LONG_LIVED, Tracker
from router.nat.types import Timeouts
from router.wire.address import Endpoint
from router.wire.ipv4 import PROTO_ICMP, PROTO_TCP, PROTO_UDP

__all__ = [
    "Direction",
    "Mapping",
    "MappingRow",
    "Session",
    "SessionRow",
    "SessionTable",
    "protocol_name",
]

_STALE_DEADLINES = 1024  # entries that may be stale beside as many again as there are sessions
_Key = TypeVar("_Key")
_NAMES = {PROTO_ICMP: "icmp", PROTO_TCP: "tcp", PROTO_UDP: "udp"}

MappingKey = tuple[int, Endpoint, int, int]  # protocol, internal, remote address and port or 0


def protocol_name(protocol: int) -> str:
    """Return `tcp`, `udp`, `icmp`, or the protocol's number."""
    return _NAMES.get(protocol, str(protocol))


@dataclass(frozen=True, slots=True)
class MappingRow:
    """A mapping as text, safe to hand to another thread."""

    protocol: str
    internal: str
    external: str
    kind: str
    sessions: int
    expires_in_s: float


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session as text, safe to hand to another thread; `direction` is of its first packet."""

    protocol: str
    internal: str
    external: str
    remote: str
    direction: str
    state: str
    idle_s: float
    expires_in_s: float
    packets_out: int
    packets_in: int
    bytes_out: int
    bytes_in: int


class Mapping:
    """An internal endpoint and the external one it has; `static` ones come from a forward.

    `refreshed_at` is when the slow path last passed outbound traffic in any of its sessions, or
    the cache in one that has closed; `cached` are those, TCP apart, whose outbound packets the
    cache may pass now. `permitted` counts, per remote as far as filtering looks at it, the
    sessions in which the internal host has spoken.
    """

    __slots__ = (
        "cached",
        "external",
        "internal",
        "key",
        "permitted",
        "protocol",
        "refreshed_at",
        "sessions",
        "static",
        "timeouts",
    )

    def __init__(
        self,
        key: MappingKey,
        external: Endpoint,
        timeouts: Timeouts,
        *,
        static: bool,
        refreshed_at: float,
    ) -> None:
        self.key = key
        self.protocol = key[0]
        self.internal = key[1]
        self.external = external
        self.timeouts = timeouts
        self.static = static
        self.refreshed_at = refreshed_at
        self.sessions: dict[Endpoint, Session] = {}
        self.cached: dict[Endpoint, Session] = {}
        self.permitted: dict[Endpoint, int] = {}

    def active_at(self) -> float:
        """Return when outbound traffic last passed, on either path (RFC 4787 REQ-6)."""
        used = (session.outbound.last_used for session in self.cached.values())
        return max(self.refreshed_at, max(used, default=0.0))

    def row(self, now: float) -> MappingRow:
        """Return the mapping as text at instant `now`."""
        expiry = max((s.expires_at() for s in self.sessions.values()), default=now)
        return MappingRow(
            protocol_name(self.protocol),
            str(self.internal),
            str(self.external),
            "static" if self.static else "dynamic",
            len(self.sessions),
            max(0.0, expiry - now),
        )


class Direction(Enum):
    """Who sent a session's first packet, and which way round: a hairpin turns back to the LAN."""

    OUTBOUND = "outbound"
    INBOUND = "inbound"
    HAIRPIN = "hairpin"


class Session:
    """One mapping's traffic with one remote endpoint.

    `outbound` and `inbound` are its two rewrites and carry its usage. `refreshed_at` is when the
    slow path last restarted its timer; what the rewrite cache passed is in `last_used`. `permit` is
    what filtering remembers of the remote once the internal host has spoken to it. `rule` is
    whatever the forwarder decided to let its first packet pass by; `established` is whether a TCP
    connection ever came about.
    """

    __slots__ = (
        "direction",
        "due_at",
        "established",
        "inbound",
        "inbound_refreshes",
        "mapping",
        "opened_at",
        "outbound",
        "permit",
        "permits",
        "refreshed_at",
        "remote",
        "rule",
        "tracker",
    )

    def __init__(
        self,
        mapping: Mapping,
        remote: Endpoint,
        outbound: Rewrite,
        inbound: Rewrite,
        *,
        direction: Direction,
        inbound_refreshes: bool,
        opened_at: float,
        refreshed_at: float,
        tracker: Tracker | None,
        permit: Endpoint,
    ) -> None:
        self.mapping = mapping
        self.remote = remote
        self.outbound = outbound
        self.inbound = inbound
        self.direction = direction
        self.inbound_refreshes = inbound_refreshes
        self.opened_at = opened_at
        self.refreshed_at = refreshed_at
        self.tracker = tracker
        self.established = False
        self.rule: object = None
        self.permit = permit
        self.permits = False
        self.due_at = 0.0

    @property
    def is_open(self) -> bool:
        """Whether the table still holds the session."""
        return self.due_at > 0

    def active_at(self) -> float:
        """Return when the timer last restarted, on either path."""
        latest = max(self.refreshed_at, self.outbound.last_used)
        return max(latest, self.inbound.last_used) if self.inbound_refreshes else latest

    @property
    def host(self) -> int:
        """The internal host's address."""
        return self.mapping.internal.address

    @property
    def answered(self) -> bool:
        """Whether both ends have spoken, and for TCP, come to an understanding."""
        if self.tracker is not None:
            return self.established
        return bool(self.outbound.packets and self.inbound.packets)

    def label(self) -> str:
        """Return the session in a few words, its opener first."""
        protocol = protocol_name(self.mapping.protocol)
        internal, remote = self.mapping.internal, self.remote
        opener, other = (internal, remote)
        if self.direction is Direction.INBOUND:
            opener, other = other, opener
        return f"{protocol} {opener} -> {other}"

    def expires_at(self) -> float:
        """Return when the session will have been idle for too long."""
        return self.active_at() + self._timeout()

    def _timeout(self) -> float:
        timeouts = self.mapping.timeouts
        if self.tracker is not None:
            long_lived = self.tracker.state in LONG_LIVED
            return timeouts.tcp_established if long_lived else timeouts.tcp_transitory
        if self.mapping.protocol == PROTO_UDP:
            return timeouts.udp
        return timeouts.icmp if self.mapping.protocol == PROTO_ICMP else timeouts.other

    def row(self, now: float) -> SessionRow:
        """Return the session as text at instant `now`."""
        mapping = self.mapping
        state = self.tracker.state.name.lower().replace("_", "-") if self.tracker else "open"
        return SessionRow(
            protocol_name(mapping.protocol),
            str(mapping.internal),
            str(mapping.external),
            str(self.remote),
            self.direction.value,
            state,
            max(0.0, now - self.active_at()),
            max(0.0, self.expires_at() - now),
            self.outbound.packets,
            self.inbound.packets,
            self.outbound.bytes,
            self.inbound.bytes,
        )


SessionKey = tuple[int, Endpoint, Endpoint]


class SessionTable:
    """All sessions and mappings; it keeps the indexes consistent and decides nothing."""

    def __init__(self) -> None:
        self._outbound: dict[SessionKey, Session] = {}
        self._inbound: dict[SessionKey, Session] = {}
        self._mappings: dict[MappingKey, Mapping] = {}
        self._external: dict[tuple[int, Endpoint], Mapping] = {}
        self._per_host: dict[int, int] = {}
        self._inbound_per_host: dict[int, int] = {}
        self.inbound_count = 0
        self.mapping_count = 0
        self._deadlines: list[tuple[float, int, Session]] = []
        self._serial = 0

    def __len__(self) -> int:
        return len(self._outbound)

    def sessions(self) -> Iterator[Session]:
        """Return every session, the oldest first."""
        return iter(self._outbound.values())

    def mappings(self) -> list[Mapping]:
        """Return every mapping, the oldest first."""
        return list(dict.fromkeys(session.mapping for session in self._outbound.values()))

    def count_of(self, internal: int) -> int:
        """Return how many sessions the internal host has."""
        return self._per_host.get(internal, 0)

    def inbound_count_of(self, internal: int) -> int:
        """Return how many of them were opened from outside."""
        return self._inbound_per_host.get(internal, 0)

    def by_internal(self, protocol: int, internal: Endpoint, remote: Endpoint) -> Session | None:
        """Return the session an outbound packet belongs to."""
        return self._outbound.get((protocol, internal, remote))

    def by_external(self, protocol: int, external: Endpoint, remote: Endpoint) -> Session | None:
        """Return the session an inbound packet belongs to."""
        return self._inbound.get((protocol, external, remote))

    def mapping(self, key: MappingKey) -> Mapping | None:
        """Return the mapping that new sessions with this key share."""
        return self._mappings.get(key)

    def mapping_at(self, protocol: int, external: Endpoint) -> Mapping | None:
        """Return the mapping that has this external endpoint."""
        return self._external.get((protocol, external))

    def open(self, session: Session) -> None:
        """Index a new session, and its mapping with the first one.

        A mapping never displaces another: while two forwards lead to one internal endpoint, the
        first found stays the one that new outbound sessions use.
        """
        mapping = session.mapping
        protocol = mapping.protocol
        if not mapping.sessions:
            self.mapping_count += 1
            self._mappings.setdefault(mapping.key, mapping)
            if mapping.external.port:
                self._external.setdefault((protocol, mapping.external), mapping)
        mapping.sessions[session.remote] = session
        self._outbound[protocol, mapping.internal, session.remote] = session
        self._inbound[protocol, mapping.external, session.remote] = session
        host = mapping.internal.address
        self._per_host[host] = self._per_host.get(host, 0) + 1
        if session.direction is Direction.INBOUND:
            self.inbound_count += 1
            self._inbound_per_host[host] = self._inbound_per_host.get(host, 0) + 1
        self.schedule(session)

    def close(self, session: Session) -> bool:
        """Forget a session; return whether its mapping went with it."""
        mapping = session.mapping
        protocol = mapping.protocol
        session.due_at = 0.0
        del self._outbound[protocol, mapping.internal, session.remote]
        del self._inbound[protocol, mapping.external, session.remote]
        del mapping.sessions[session.remote]
        mapping.cached.pop(session.remote, None)
        mapping.refreshed_at = max(mapping.refreshed_at, session.outbound.last_used)
        if session.permits:
            _decrement(mapping.permitted, session.permit)
        _decrement(self._per_host, mapping.internal.address)
        if session.direction is Direction.INBOUND:
            self.inbound_count -= 1
            _decrement(self._inbound_per_host, mapping.internal.address)
        if mapping.sessions:
            return False
        self.mapping_count -= 1
        if self._mappings.get(mapping.key) is mapping:
            del self._mappings[mapping.key]
        if self._external.get((protocol, mapping.external)) is mapping:
            del self._external[protocol, mapping.external]
        return True

    def retire(self, active: int) -> None:
        """Let new sessions share no mapping that has another external address than `active`."""
        self._mappings = {
            key: mapping
            for key, mapping in self._mappings.items()
            if mapping.external.address == active
        }

    def grant(self, session: Session) -> None:
        """Let filtering remember that the internal host has spoken to the session's remote."""
        if not session.permits:
            session.permits = True
            permitted = session.mapping.permitted
            permitted[session.permit] = permitted.get(session.permit, 0) + 1

    def schedule(self, session: Session) -> None:
        """Put the session's deadline in order if it came nearer or is new."""
        deadline = session.expires_at()
        if not session.due_at or deadline < session.due_at:
            self._push(session, deadline)

    def _push(self, session: Session, deadline: float) -> None:
        session.due_at = deadline
        self._serial += 1
        heapq.heappush(self._deadlines, (deadline, self._serial, session))
        if len(self._deadlines) > 2 * len(self._outbound) + _STALE_DEADLINES:
            self._deadlines = [entry for entry in self._deadlines if entry[0] == entry[2].due_at]
            heapq.heapify(self._deadlines)

    def next_deadline(self) -> float | None:
        """Return when `expired` may have something to tell; None while the table is empty."""
        return self._deadlines[0][0] if self._deadlines else None

    def expired(self, now: float) -> Iterator[Session]:
        """Yield each session that is idle for too long; the caller closes it."""
        while self._deadlines and self._deadlines[0][0] <= now:
            due_at, _, session = heapq.heappop(self._deadlines)
            if due_at != session.due_at:
                continue  # closed, or scheduled for an earlier instant since
            deadline = session.expires_at()
            if deadline > now:
                self._push(session, deadline)
            else:
                yield session


def _decrement(counts: dict[_Key, int], key: _Key) -> None:
    counts[key] -= 1
    if not counts[key]:
        del counts[key]
