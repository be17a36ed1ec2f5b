"""What a PPP session is told and what it tells.

Either end of a line is a `Session` (`router.ppp.session`); what it may prove and what it demands,
what it offers and what it asks for is all there is to the roles of client and server. Addresses are
integers, spans of time seconds.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from router.wire.hdlc import Framing

__all__ = [
    "Closed",
    "Demand",
    "Echo",
    "End",
    "Event",
    "Framed",
    "Login",
    "Method",
    "Opened",
    "Phase",
    "PhaseChange",
    "Retries",
    "SessionConfig",
]


class Method(Enum):
    """A way to prove who one is."""

    MSCHAPV2 = "mschapv2"  # RFC 2759
    CHAP = "chap"  # with MD5, RFC 1994
    PAP = "pap"  # RFC 1334: the password itself is sent

    __hash__ = object.__hash__


BY_STRENGTH = (Method.MSCHAPV2, Method.CHAP, Method.PAP)


class Phase(Enum):
    """Where a session is (RFC 1661 section 3.2)."""

    DEAD = "dead"
    ESTABLISH = "establish"
    AUTHENTICATE = "authenticate"
    NETWORK = "network"
    TERMINATE = "terminate"

    __hash__ = object.__hash__


class End(Enum):
    """Why a session has ended, as a clause for people; `Closed.detail` may add to it."""

    CLOSED = "hung up by us"
    CARRIER = "carrier lost"
    SILENT = "the peer does not answer"
    LOOPED = "what is sent comes back: the line is looped or the peer echoes"
    DISAGREED = "no agreement with the peer"
    REFUSED = "login refused"
    NO_METHOD = "the peer demands a login in a way that is not allowed here"
    NO_LOGIN = "the peer demands a login and there is none"
    UNPROVEN = "the peer has not proved who it is"
    NO_ADDRESS = "the peer assigns no address"
    PEER = "hung up by the peer"
    DEAF = "the peer answers no echo requests any more"

    __hash__ = object.__hash__

    @property
    def is_refusal(self) -> bool:
        """Whether the next attempt would end in the same way, until a person changes something."""
        return self in (End.REFUSED, End.NO_METHOD, End.NO_LOGIN)


@dataclass(frozen=True, slots=True)
class Login:
    """Who we say we are, and how we are ready to prove it, the preferred method first."""

    user: str
    password: str = field(repr=False)
    methods: tuple[Method, ...] = BY_STRENGTH


@dataclass(frozen=True, slots=True)
class Demand:
    """What the peer must prove, by one of these methods, the preferred first.

    `password_of` returns the password of a user, None for an unknown one. `name` is what we call
    ourselves. A peer is asked again every `again_s`; 0 is never (CHAP only, RFC 1994 section 2).
    """

    password_of: Callable[[str], str | None] = field(repr=False)
    name: str
    methods: tuple[Method, ...] = BY_STRENGTH
    again_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Retries:
    """The timers and counters of RFC 1661 section 4.6, with its defaults."""

    restart_s: float = 3.0
    max_terminate: int = 2
    max_configure: int = 10
    max_failure: int = 5


@dataclass(frozen=True, slots=True)
class Echo:
    """How a dead peer is found: so many echo requests in a row unanswered.

    A request goes out when nothing has been received for `interval_s`; 0 is never.
    """

    interval_s: float = 30.0
    failures: int = 4


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """One end of a line.

    `mru` is the largest packet we are ready to receive, and `mtu` the largest we send, bytes.
    `is_async`: there is asynchronous HDLC framing, which LCP negotiates about; without, as on
    Ethernet (RFC 2516 section 7), it does not. Our `address` 0 asks the peer for one,
    `peer_address` 0 takes the one it has. `dns` is what we offer, up to two; `asks_dns` whether we
    ask.
    """

    mru: int = 1500
    mtu: int = 1500
    is_async: bool = True
    login: Login | None = None
    demand: Demand | None = None
    address: int = 0
    peer_address: int = 0
    asks_dns: bool = True
    dns: tuple[int, ...] = ()
    retries: Retries = Retries()
    echo: Echo = Echo()


# What a session tells, in order.


@dataclass(frozen=True, slots=True)
class PhaseChange:
    """The session is in another phase."""

    phase: Phase


@dataclass(frozen=True, slots=True)
class Framed:
    """From here on frames are sent in this way (LCP itself never is; `hdlc.Encoder` sees to it)."""

    framing: Framing


@dataclass(frozen=True, slots=True)
class Opened:
    """Packets may go: our address, the peer's (0 if it told none), the largest packet it takes.

    `user` is who the peer has proved to be, "" where nothing was demanded; `method` is how we have
    proved who we are, None where we had not to.
    """

    address: int
    peer_address: int
    mtu: int
    dns: tuple[int, ...] = ()
    user: str = ""
    method: Method | None = None


@dataclass(frozen=True, slots=True)
class Closed:
    """The session is over; nothing more is to be sent, the line may be hung up."""

    end: End
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.end.value}: {self.detail}" if self.detail else self.end.value


Event = PhaseChange | Framed | Opened | Closed
