"""What the link cores are told once, and the words they use; `router.config` makes it from a file.

All of it is frozen and may cross threads.
"""

from dataclasses import dataclass, field
from enum import Enum

from router.devices import Filter

__all__ = [
    "Action",
    "Allowance",
    "BreakerConfig",
    "BudgetConfig",
    "Cause",
    "DemandConfig",
    "Ending",
    "HoldLimits",
    "HostRight",
    "LinkConfig",
    "LinksConfig",
    "Mode",
    "PolicyRule",
    "Recovery",
    "RedialConfig",
    "Right",
    "ScheduleEntry",
    "Span",
    "State",
]


SHIPPED = "default"  # the origin of rules that come with the router


class State(Enum):
    """Where a link is in its life.

    DISABLED: down, and traffic may not raise it; a person still may.
    DORMANT: down, and traffic that deserves it raises it.
    DIALING: the backend is raising it; no carrier yet.
    NEGOTIATING: there is a carrier; the address is being agreed on.
    UP: it has an address and carries packets.
    HANGING_UP: the backend is taking it down; nothing passes.
    HOLDOFF: it has fallen or failed and rests before the next attempt.
    """

    DISABLED = "DISABLED"
    DORMANT = "DORMANT"
    DIALING = "DIALING"
    NEGOTIATING = "NEGOTIATING"
    UP = "UP"
    HANGING_UP = "HANGING_UP"
    HOLDOFF = "HOLDOFF"

    __hash__ = object.__hash__  # Enum's own is Python code, and the state is asked per packet


class Mode(Enum):
    """Who raises a link: traffic, the router itself and for good, or only people."""

    ON_DEMAND = "on-demand"
    PERMANENT = "permanent"
    MANUAL = "manual"


class Cause(Enum):
    """Why an attempt to raise a link began; the value is what a person reads."""

    DEMAND = "traffic"
    LEASE = "lease"
    USER = "user"
    PERMANENT = "permanent"
    RECONNECT = "reconnect"  # the carrier was lost in use, whoever had raised the line
    RECOVERY = "recovery"  # a better link that was dead is tried again
    FOUND = "found up"  # at start, or raised by somebody else

    @property
    def is_automatic(self) -> bool:
        """Whether the router dials by itself, and nobody has said so."""
        return self not in (Cause.USER, Cause.FOUND)


class Ending(Enum):
    """Why a link fell or an attempt ended; the value is what a person reads."""

    IDLE = "idle"
    USER = "user"
    SESSION_LIMIT = "session limit"
    BUDGET = "budget"
    SCHEDULE = "schedule"
    CARRIER_LOST = "carrier lost"
    FAILED = "failed"
    TIMED_OUT = "timed out"
    REFUSED = "refused"  # the provider would not have this login
    REPLACED = "replaced"  # a better link has recovered
    SHUTDOWN = "router stopped"

    @property
    def is_failure(self) -> bool:
        """Whether an attempt has come to nothing."""
        return self in (Ending.FAILED, Ending.TIMED_OUT, Ending.REFUSED)


class Action(Enum):
    """What a policy rule says of the traffic it matches."""

    ACCEPT = "accept"  # raises and holds
    BRINGUP = "bringup"  # raises only
    KEEPUP = "keepup"  # holds only
    IGNORE = "ignore"  # passes while the line is up, does neither
    REJECT = "reject"  # does not pass

    @property
    def raises(self) -> bool:
        """Whether the traffic may raise the line."""
        return self in (Action.ACCEPT, Action.BRINGUP)

    @property
    def holds(self) -> bool:
        """Whether the traffic holds the line."""
        return self in (Action.ACCEPT, Action.KEEPUP)


class Right(Enum):
    """What a LAN host may do with the line."""

    MAY_DIAL = "may-dial"
    MAY_USE = "may-use"  # only a line that others have raised
    NEVER = "never"


class Recovery(Enum):
    """What becomes of sessions on a backup when a better link has recovered."""

    DRAIN = "drain"  # they stay until they end; new ones go by the better link
    CUT = "cut"  # the backup falls at once and the LAN is told


@dataclass(frozen=True, slots=True)
class Span:
    """Hours of the week, in civil time; minutes count from midnight.

    `days` are 0 for Monday to 6 for Sunday, those on which the span begins. An `end` that is not
    after `start` is on the next day; equal ones make 24 hours.
    """

    days: frozenset[int]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class ScheduleEntry:
    """The mode links have during a span; outside every span they are manual."""

    span: Span
    mode: Mode


@dataclass(frozen=True, slots=True)
class HostRight:
    """The right of one LAN host, named by address or by MAC (lower case, with colons).

    During the first of `exceptions` that contains the instant, that right holds instead.
    """

    right: Right
    address: int | None = None
    mac: str | None = None
    name: str = ""
    exceptions: tuple[tuple[Span, Right], ...] = ()


@dataclass(frozen=True, slots=True)
class PolicyRule:
    """Traffic, and what it may do with the line.

    `text` is the filter as written, "" for everything. `hold_s` is how long the line stays up after
    the traffic's last activity; None is the link's idle timeout. `origin` tells where it stands.
    """

    text: str
    matches: Filter
    action: Action
    hold_s: float | None = None
    origin: str = SHIPPED

    @property
    def is_shipped(self) -> bool:
        """Whether the rule came with the router, and not from a configuration."""
        return self.origin == SHIPPED

    def __str__(self) -> str:
        return f"{self.action.value} {self.text or 'everything'}"


@dataclass(frozen=True, slots=True)
class DemandConfig:
    """Which traffic of which hosts deserves a line. Without a matching rule traffic is accepted."""

    rules: tuple[PolicyRule, ...] = ()
    hosts: tuple[HostRight, ...] = ()
    default_right: Right = Right.MAY_DIAL


@dataclass(frozen=True, slots=True)
class RedialConfig:
    """How long a link rests: after failures first, first * factor, ... up to max."""

    first_s: float = 30.0  # seconds: pppd's and user-ppp's holdoff
    factor: float = 2.0  # diald doubles
    max_s: float = 600.0  # seconds: diald's cap
    jitter: float = 0.2  # at most so much of the delay is added, so that two ends do not collide
    after_loss_s: float = 3.0  # seconds after a lost carrier: user-ppp's reconnect timeout


@dataclass(frozen=True, slots=True)
class HoldLimits:
    """Bounds of the hold queue."""

    packets: int = 256
    bytes: int = 256 << 10
    age_s: float = 60.0  # seconds: as long as a dial may take; most programs have given up by then


@dataclass(frozen=True, slots=True)
class LinkConfig:
    """One line. Spans in seconds; 0 is never or none for those that have no other meaning."""

    name: str
    mode: Mode = Mode.ON_DEMAND
    metered: bool = True  # its use counts against budgets and the breaker
    mtu: int = 1500
    idle_timeout_s: float = 180.0  # user-ppp's NCP idle timeout
    dial_timeout_s: float = 60.0  # diald's connect timeout
    hang_up_timeout_s: float = 15.0  # a backend that does not answer by then is taken for gone
    min_up_s: float = 0.0
    billing_unit_s: float = 0.0  # what was begun is paid for: idle drops wait for its end
    max_session_s: float = 0.0
    redial: RedialConfig = field(default_factory=RedialConfig)
    dead_after: int = 2  # failed attempts in a row that prove it dead, for links behind it
    refusals: int = 2  # logins in a row: one may be a fault, many have the account locked
    recovery: Recovery = Recovery.DRAIN


@dataclass(frozen=True, slots=True)
class Allowance:
    """What may be used of all metered links in one period; None is without limit."""

    minutes: int | None = None
    dials: int | None = None
    bytes: int | None = None


@dataclass(frozen=True, slots=True)
class BudgetConfig:
    """Allowances per civil hour, day and month; `month_day` is when the plan's month begins."""

    per_hour: Allowance = field(default_factory=Allowance)
    per_day: Allowance = field(default_factory=Allowance)
    per_month: Allowance = field(default_factory=Allowance)
    warn: float = 0.8  # share of an allowance at which people are told
    month_day: int = 1  # 1 to 28


@dataclass(frozen=True, slots=True)
class BreakerConfig:
    """When automatic dialling stops by itself; 0 switches a condition off.

    Each has tripped for a user of some other dialler, at his expense ("charge unit disaster").
    """

    failures: int = 10  # in a row: pppd's maxfail
    useless: int = 5  # rises in a row in which nothing that was asked was answered
    dials_per_hour: int = 30  # a dial every two minutes is a fault, not use
    rest_s: float = 3600.0  # seconds until one automatic attempt may try again


@dataclass(frozen=True, slots=True)
class LinksConfig:
    """All lines, the preferred one first, and what they share."""

    links: tuple[LinkConfig, ...]
    demand: DemandConfig = field(default_factory=DemandConfig)
    hold: HoldLimits = field(default_factory=HoldLimits)
    budget: BudgetConfig = field(default_factory=BudgetConfig)
    breaker: BreakerConfig = field(default_factory=BreakerConfig)
    schedule: tuple[ScheduleEntry, ...] = ()
