"""What backends report to the link cores, and what the cores signal back.

All of it is frozen and may cross threads. Backends make the reports; the control side turns the
signals into dialling, events and ledger rows. Instants are monotonic seconds, like every `now`.
"""

from dataclasses import dataclass

from router.link.types import Cause, Ending, State

__all__ = [
    "Addressed",
    "Closed",
    "Coming",
    "Connected",
    "Dial",
    "Failed",
    "HangUp",
    "Lost",
    "Ready",
    "Report",
    "Rise",
    "Signal",
    "StateChange",
    "Trigger",
    "Warned",
]

# Backend to core. `attempt` is that of the `Dial` it answers; late ones are recognised and ignored.


@dataclass(frozen=True, slots=True)
class Connected:
    """There is a carrier; the address is still to come."""

    link: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Addressed:
    """The line has this address and carries packets up to `mtu` bytes.

    Again while it is up, it has been renumbered. Unasked, somebody else has raised it: then
    `attempt` is 0.
    """

    link: str
    attempt: int
    address: int
    mtu: int


@dataclass(frozen=True, slots=True)
class Failed:
    """The attempt came to nothing and the line is down; `why` is one clause for people.

    `is_refusal`: the provider was reached and refused the login, so that the next attempt would
    come to nothing too, and might have the account locked. `why` stands alone all the same: it
    says that the login was refused, and what the provider said of it.
    """

    link: str
    attempt: int
    why: str
    is_refusal: bool = False


@dataclass(frozen=True, slots=True)
class Lost:
    """The line was up and is no more; `why` is one clause for people."""

    link: str
    attempt: int
    why: str


@dataclass(frozen=True, slots=True)
class Closed:
    """The line is down because `HangUp` said so."""

    link: str
    attempt: int


Report = Connected | Addressed | Failed | Lost | Closed


# Core to control side


@dataclass(frozen=True, slots=True)
class Trigger:
    """Who and what raises a link.

    `by` is a host's name or address, a user, a lease's id. For traffic, `host` is the LAN address
    as text, `packet` the packet in the words of `explain`, `rule` the policy rule that let it dial.
    `grace_s` is how long the line stays without anything that holds it; None is its idle timeout.
    """

    cause: Cause
    by: str = ""
    why: str = ""
    host: str = ""
    mac: str = ""
    packet: str = ""
    rule: str = ""
    grace_s: float | None = None

    @property
    def in_retrospect(self) -> str:
        """Who had raised the link, as a clause for whoever raises it again."""
        match self.cause:
            case Cause.DEMAND | Cause.USER:
                return f"{self.by or 'somebody'} had raised it"
            case Cause.LEASE:
                return f"the lease {self.by} had raised it"
            case Cause.FOUND:
                return "it had been found up"
            case Cause.PERMANENT | Cause.RECONNECT | Cause.RECOVERY:
                return "the router had raised it"


@dataclass(frozen=True, slots=True)
class Dial:
    """The backend is to raise the link and report under this attempt's number (from 1)."""

    link: str
    attempt: int
    trigger: Trigger


@dataclass(frozen=True, slots=True)
class HangUp:
    """The backend is to take the link down, or to break the attempt off."""

    link: str
    attempt: int
    ending: Ending


@dataclass(frozen=True, slots=True)
class StateChange:
    """A link went from one state to another; `reason` is one clause, `by` who or what did it."""

    link: str
    former: State
    state: State
    reason: str
    by: str
    at: float


@dataclass(frozen=True, slots=True)
class Rise:
    """All there is to tell of one attempt or rise; signalled when it begins, is up, and ends.

    `attempt` tells it from others of its link in this run of the router. `waited_s` is the time
    from the first packet that wanted the line to the address. `held` and `lost` count packets of
    the hold queue. `kept_by` is what held the line last.
    """

    link: str
    attempt: int
    trigger: Trigger
    begun_at: float
    up_at: float | None = None
    ended_at: float | None = None
    address: str = ""
    waited_s: float | None = None
    held: int = 0
    lost: int = 0
    kept_by: str = ""
    ending: Ending | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Warned:
    """Something people should know: a budget nearly used up, the breaker open, a login refused."""

    what: str
    at: float


Signal = Dial | HangUp | StateChange | Rise | Warned


# Core to control side, as the answer to whoever would use a line without sending packets


@dataclass(frozen=True, slots=True)
class Ready:
    """He may, and this link is up."""

    link: str


@dataclass(frozen=True, slots=True)
class Coming:
    """He may wait for one, and has since then."""

    since: float
