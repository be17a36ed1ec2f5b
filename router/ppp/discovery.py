"""Finding an access concentrator on an Ethernet and getting a session from it (RFC 2516).

Theory of operation. `TRANSITIONS` is complete: every event has its successor in every state, and
what does not concern a state leaves it. The host asks everybody (PADI), takes the first offer that
suits it (PADO), asks for a session (PADR) and has one when it is confirmed (PADS). Either end may
end it at any time (PADT).

* An answer counts if it echoes our Host-Uniq, which is drawn anew for each `Discovery`: what is for
  another host, or for a program that ran here before, is ignored. From the request on, only the
  concentrator that was chosen is listened to.
* An offer suits if it is for the service asked for, and from the concentrator asked for if there is
  one. Its AC-Cookie and Relay-Session-Id go back as they came.
* A concentrator that answers the first question with an error is not heeded: another may have
  something to offer. What it said is told if none has. An error that answers the request ends it.
* Each question is asked again after a time that doubles. When a request is not confirmed all begins
  anew with the question to everybody; the number of those is limited in all, so a concentrator that
  offers and never confirms is left at last.
* Once CLOSED it stays so: the next session is found by another `Discovery`.

It leaves out: payloads above 1492 bytes (RFC 4638), and choosing the best of several offers.
"""

from dataclasses import dataclass
from enum import Enum

from router.devices import Rng
from router.ppp.text import printable
from router.wire.malformed import Malformed
from router.wire.pppoe import (
    BROADCAST,
    MAX_INITIATION,
    NO_SESSION,
    RESERVED_SESSION,
    Code,
    Packet,
    Tag,
    TagKind,
    value_of,
)

__all__ = [
    "LONGEST_NAME",
    "SILENT",
    "TRANSITIONS",
    "Act",
    "Discovery",
    "DiscoveryConfig",
    "Event",
    "State",
    "said_in",
]

SILENT = "no access concentrator answers"
_UNCONFIRMED = "the access concentrator offers sessions and confirms none"
_HUNG_UP = "hung up by the access concentrator"

_UNIQ_LENGTH = 8  # octets of Host-Uniq: no other host's by chance
# Octets of a service's name: what a PADI has left beside header (6), Host-Uniq and its own tag (4).
LONGEST_NAME = MAX_INITIATION - 6 - (4 + _UNIQ_LENGTH) - 4

_ERRORS: dict[int, str] = {
    TagKind.SERVICE_NAME_ERROR: "the access concentrator refuses the service",
    TagKind.AC_SYSTEM_ERROR: "the access concentrator cannot serve us",
    TagKind.GENERIC_ERROR: "the access concentrator reports an error",
}


class State(Enum):
    """Where the host is."""

    IDLE = "idle"
    DISCOVERING = "discovering"  # PADI sent
    REQUESTING = "requesting"  # PADR sent
    OPEN = "open"
    CLOSED = "closed"

    __hash__ = object.__hash__


class Event(Enum):
    """What happens to it."""

    START = "start"
    OFFERED = "offered"  # a PADO that suits
    REFUSED = "refused"  # an error in a PADO or PADS
    CONFIRMED = "confirmed"  # a PADS with a session
    TERMINATED = "terminated"  # a PADT for our session
    RETRY = "retry"  # no answer in time: ask once more
    RESTART = "restart"  # the request was asked often enough, but not the question to all
    EXHAUSTED = "exhausted"  # everything was
    CLOSE = "close"

    __hash__ = object.__hash__


class Act(Enum):
    """What goes with a transition: the packet to send."""

    NONE = ""
    INITIATE = "PADI"
    REQUEST = "PADR"
    TERMINATE = "PADT"


Transition = tuple[State, Act]

_IDL, _DIS, _REQ = State.IDLE, State.DISCOVERING, State.REQUESTING
_OPN, _CLO = State.OPEN, State.CLOSED
_init, _ask, _term = (_DIS, Act.INITIATE), (_REQ, Act.REQUEST), (_CLO, Act.TERMINATE)


def _row(*cells: State | Transition) -> dict[Event, Transition]:
    whole = [cell if isinstance(cell, tuple) else (cell, Act.NONE) for cell in cells]
    return dict(zip(Event, whole, strict=True))


TRANSITIONS: dict[State, dict[Event, Transition]] = {
    #  state   START OFFER REFUS CONFI TERMI RETRY RESTART EXHA  CLOSE
    _IDL: _row(_init, _IDL, _IDL, _IDL, _IDL, _IDL, _IDL, _IDL, _CLO),
    _DIS: _row(_DIS, _ask, _DIS, _DIS, _DIS, _init, _DIS, _CLO, _CLO),
    _REQ: _row(_REQ, _REQ, _CLO, _OPN, _REQ, _ask, _init, _CLO, _CLO),
    _OPN: _row(_OPN, _OPN, _OPN, _OPN, _CLO, _OPN, _OPN, _OPN, _term),
    _CLO: _row(_CLO, _CLO, _CLO, _CLO, _CLO, _CLO, _CLO, _CLO, _CLO),
}


@dataclass(frozen=True, slots=True)
class DiscoveryConfig:
    """What is asked for; an empty service is any, an empty concentrator whichever offers first.

    The first answer is waited for `first_wait_s`, later ones twice as long each time: with the
    defaults 31 s in all where nobody answers, so that a dial's 60 s are enough to say so.
    """

    service: str = ""
    concentrator: str = ""
    first_wait_s: float = 1.0
    initiations: int = 5  # PADIs in all
    requests: int = 3  # PADRs to one concentrator in a row

    def __post_init__(self) -> None:
        if len(self.service.encode()) > LONGEST_NAME:
            raise ValueError(f"a service's name has at most {LONGEST_NAME} octets")


class Discovery:
    """The host's side, for one session.

    `session` and `concentrator` (its MAC address) are what was found, once OPEN. `why` says, once
    CLOSED, what it has come to, as a clause for people. `malformed` counts packets that were none.
    """

    def __init__(self, config: DiscoveryConfig, *, rng: Rng) -> None:
        self.state = State.IDLE
        self.session = NO_SESSION
        self.concentrator = b""
        self.why = ""
        self.malformed = 0
        self._config = config
        self._service = Tag(TagKind.SERVICE_NAME, config.service.encode())
        uniq = rng.randrange(0, 1 << 8 * _UNIQ_LENGTH).to_bytes(_UNIQ_LENGTH, "big")
        self._uniq = Tag(TagKind.HOST_UNIQ, uniq)
        self._offered: tuple[Tag, ...] = ()  # of the offer's tags, what goes back
        self._complaint = SILENT
        self._initiations = self._requests = 0
        self._deadline: float | None = None
        self._packets: list[tuple[bytes, bytes]] = []

    # What happens to it

    def start(self, now: float) -> None:
        """Begin to look."""
        self._step(Event.START, now)

    def receive(self, source: bytes, data: bytes, now: float) -> None:
        """Take a discovery packet from a MAC address."""
        packet = Packet.parse(data)
        tags = packet if isinstance(packet, Malformed) else Tag.parse_all(packet.payload)
        if isinstance(packet, Malformed) or isinstance(tags, Malformed):
            self.malformed += 1
        elif packet.code == Code.PADT:
            self._take_end(source, packet, tags, now)
        elif value_of(tags, TagKind.HOST_UNIQ) == self._uniq.value:
            if packet.code == Code.PADO and packet.session == NO_SESSION:
                self._take_offer(source, tags, now)
            elif packet.code == Code.PADS and source == self.concentrator:
                self._take_answer(packet, tags, now)

    def close(self, now: float) -> None:
        """End the session, or the search for one."""
        self._step(Event.CLOSE, now, "hung up by us")

    def take_packets(self) -> list[tuple[bytes, bytes]]:
        """Return what is to be sent, each with the MAC address it goes to, and forget it."""
        packets, self._packets = self._packets, []
        return packets

    # Time

    def next_deadline(self) -> float | None:
        """Return when `handle_timer` has something to do."""
        return self._deadline

    def handle_timer(self, now: float) -> None:
        """Ask again, or give up."""
        if self._deadline is None or now < self._deadline:
            return
        if self.state is State.REQUESTING and self._requests < self._config.requests:
            self._step(Event.RETRY, now)
        elif self._initiations >= self._config.initiations:
            self._step(Event.EXHAUSTED, now, self._complaint)
        elif self.state is State.REQUESTING:
            self._step(Event.RESTART, now)
        else:
            self._step(Event.RETRY, now)

    # Packets

    def _take_offer(self, source: bytes, tags: tuple[Tag, ...], now: float) -> None:
        name = value_of(tags, TagKind.AC_NAME)
        if self.state is not State.DISCOVERING or not _is_unicast(source) or name is None:
            return
        wanted = self._config.concentrator
        if wanted and name != wanted.encode():
            self._complaint = f"no access concentrator answers to the name {wanted}"
        elif error := _error_in(tags):
            self._complaint = error
            self._step(Event.REFUSED, now)
        elif self._service not in tags and self._service.value:
            self._complaint = f"no access concentrator offers the service {self._config.service}"
        else:
            self.concentrator = source
            self._offered = tuple(
                tag for tag in tags if tag.kind in (TagKind.AC_COOKIE, TagKind.RELAY_SESSION_ID)
            )
            self._complaint = _UNCONFIRMED
            self._requests = 0
            self._step(Event.OFFERED, now)

    def _take_answer(self, packet: Packet, tags: tuple[Tag, ...], now: float) -> None:
        if self.state is not State.REQUESTING:  # a duplicate
            return
        error = _error_in(tags)
        if not error and packet.session in (NO_SESSION, RESERVED_SESSION):
            error = "the access concentrator confirms a session and names none"
        if error:
            self._step(Event.REFUSED, now, error)
        else:
            self.session = packet.session
            self._step(Event.CONFIRMED, now)

    def _take_end(self, source: bytes, packet: Packet, tags: tuple[Tag, ...], now: float) -> None:
        if (source, packet.session) == (self.concentrator, self.session):
            said = said_in(tags)
            self._step(Event.TERMINATED, now, f"{_HUNG_UP}: {said}" if said else _HUNG_UP)

    # Steps

    def _step(self, event: Event, now: float, why: str = "") -> None:
        former = self.state
        self.state, act = TRANSITIONS[former][event]
        if self.state is State.CLOSED and former is not State.CLOSED:
            self.why = why
        if act is Act.INITIATE:
            self._initiations += 1
            self._send(BROADCAST, Code.PADI, (self._service, self._uniq))
            self._deadline = now + self._wait_s(self._initiations)
        elif act is Act.REQUEST:
            self._requests += 1
            self._send(self.concentrator, Code.PADR, (self._service, self._uniq, *self._offered))
            self._deadline = now + self._wait_s(self._requests)
        elif act is Act.TERMINATE:
            # None of them is needed, and rp-pppoe takes any but this for an error's text.
            relays = tuple(tag for tag in self._offered if tag.kind == TagKind.RELAY_SESSION_ID)
            self._send(self.concentrator, Code.PADT, relays, self.session)
        if self.state not in (State.DISCOVERING, State.REQUESTING):
            self._deadline = None

    def _wait_s(self, asked: int) -> float:
        return self._config.first_wait_s * 2.0 ** (asked - 1)

    def _send(
        self, to: bytes, code: Code, tags: tuple[Tag, ...], session: int = NO_SESSION
    ) -> None:
        self._packets.append((to, Packet(code, session, Tag.build_all(tags)).build()))


def said_in(tags: tuple[Tag, ...]) -> str:
    """Return the text of the first error among the tags, "" without one."""
    return next((_said(tag) for tag in tags if tag.kind in _ERRORS), "")


def _error_in(tags: tuple[Tag, ...]) -> str:
    """Return what the first error among the tags says, as a clause; "" without one."""
    for tag in tags:
        if clause := _ERRORS.get(tag.kind):
            said = _said(tag)
            return f"{clause}: {said}" if said else clause
    return ""


def _said(error: Tag) -> str:
    """Return the text of an error; one that begins with a zero octet has none (appendix A)."""
    return "" if error.value.startswith(b"\0") else printable(error.value)


def _is_unicast(mac: bytes) -> bool:
    return not mac[0] & 1
