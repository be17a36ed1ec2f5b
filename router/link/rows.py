"""What the link cores show of themselves: frozen, of plain values, safe to hand to another thread.

Each becomes a JSON object of the control API, field for field. Spans are in seconds.
"""

from dataclasses import dataclass

__all__ = ["BudgetRow", "HeldRow", "HolderRow", "Holding", "LeaseRow", "LinkRow"]


@dataclass(frozen=True, slots=True)
class LinkRow:
    """A link: its state, for how long, why and by whom; `address` is "" while it has none.

    `up_s` is None while it is down; `falls_in_s` is when it will fall if nothing holds it any
    longer, None while it is down or never falls by itself; `again_in_s` is when it will have
    rested and may be raised without a person again, None unless it rests and nothing blocks it;
    `blocked` says why traffic may not raise it, "" if it may. `failures` are those in a row.
    `active` is the link that new sessions go out by.
    """

    name: str
    mode: str
    state: str
    since_s: float
    reason: str
    by: str
    address: str
    mtu: int
    active: bool
    up_s: float | None
    falls_in_s: float | None
    again_in_s: float | None
    blocked: str
    failures: int
    attempt: int


@dataclass(frozen=True, slots=True)
class BudgetRow:
    """One allowance: `period` is hour, day or month, `what` minutes, dials or bytes."""

    period: str
    what: str
    used: float
    allowed: int
    resets_in_s: float


@dataclass(frozen=True, slots=True)
class HeldRow:
    """A packet that waits for the line; `copies` counts the retransmissions that it stands for."""

    host: str
    packet: str
    waited_s: float
    expires_in_s: float
    copies: int
    bytes: int


@dataclass(frozen=True, slots=True)
class HolderRow:
    """A session that holds the line, for how long yet, and by which rule."""

    link: str
    host: str
    session: str
    rule: str
    holds_s: float


@dataclass(frozen=True, slots=True)
class LeaseRow:
    """A lease; `right` is raise or use-if-up, `host` the LAN address of its holder or ""."""

    id: str
    right: str
    why: str
    host: str
    expires_in_s: float


@dataclass(frozen=True, slots=True)
class Holding:
    """What waits for the line and what holds it."""

    waiting: tuple[HeldRow, ...]
    holders: tuple[HolderRow, ...]
    leases: tuple[LeaseRow, ...]
