"""The option negotiation automaton: RFC 1661 section 4, as LCP and each network protocol has one.

Theory of operation. `TRANSITIONS` is section 4.1 complete: every event has its actions and its
successor in every state; where the RFC has a dash the event cannot be, and nothing happens. Both of
its options are left out: an Open does not restart what is open already, and nothing waits passively
after it has given up.

The automaton performs what is about time: the restart timer and the restart counter of section 4.6.
All other actions it hands back, in order, to whoever sends packets and tells the layers.

* A request that is sent starts the timer and uses up one of those the counter allows.
* Whoever waits for nothing has no timer: it runs in CLOSING to ACK_SENT only.
* The timer is `handle_timer`'s event: TO+ while the counter allows another request, else TO-.
"""

from enum import Enum

from router.ppp.types import Retries

__all__ = ["TRANSITIONS", "Act", "Automaton", "Event", "State"]


class State(Enum):
    """Where the negotiation is (section 4.2), in the RFC's order."""

    INITIAL = "Initial"
    STARTING = "Starting"
    CLOSED = "Closed"
    STOPPED = "Stopped"
    CLOSING = "Closing"
    STOPPING = "Stopping"
    REQ_SENT = "Req-Sent"
    ACK_RCVD = "Ack-Rcvd"
    ACK_SENT = "Ack-Sent"
    OPENED = "Opened"

    __hash__ = object.__hash__


class Event(Enum):
    """What happens to it (section 4.3), in the RFC's order."""

    UP = "Up"  # the layer below is there
    DOWN = "Down"
    OPEN = "Open"  # the link is wanted
    CLOSE = "Close"
    TIMEOUT = "TO+"
    TIMEOUT_LAST = "TO-"
    REQUEST_GOOD = "RCR+"
    REQUEST_BAD = "RCR-"
    ACKED = "RCA"
    NAKED = "RCN"  # or rejected
    TERMINATE = "RTR"
    TERMINATED = "RTA"
    UNKNOWN = "RUC"
    REJECTED = "RXJ+"  # something we can do without
    REJECTED_VITAL = "RXJ-"
    ECHO = "RXR"

    __hash__ = object.__hash__


class Act(Enum):
    """What it does about it (section 4.4)."""

    LAYER_UP = "tlu"
    LAYER_DOWN = "tld"
    LAYER_STARTED = "tls"
    LAYER_FINISHED = "tlf"
    INIT_COUNT = "irc"
    ZERO_COUNT = "zrc"
    REQUEST = "scr"
    ACK = "sca"
    NAK = "scn"  # or reject
    TERMINATE = "str"
    TERMINATE_ACK = "sta"
    CODE_REJECT = "scj"
    ECHO_REPLY = "ser"

    __hash__ = object.__hash__


Transition = tuple[tuple[Act, ...], State]
_Cell = State | tuple[State | Act, ...]

_S, _A = State, Act
_INI, _STG, _CLD, _STD, _CLG, _STP = (
    _S.INITIAL, _S.STARTING, _S.CLOSED, _S.STOPPED, _S.CLOSING, _S.STOPPING,
)  # fmt: skip
_REQ, _RCV, _SNT, _OPN = _S.REQ_SENT, _S.ACK_RCVD, _S.ACK_SENT, _S.OPENED
_tlu, _tld, _tls, _tlf = _A.LAYER_UP, _A.LAYER_DOWN, _A.LAYER_STARTED, _A.LAYER_FINISHED
_irc, _zrc, _scr, _sca, _scn = _A.INIT_COUNT, _A.ZERO_COUNT, _A.REQUEST, _A.ACK, _A.NAK
_str, _sta, _scj, _ser = _A.TERMINATE, _A.TERMINATE_ACK, _A.CODE_REJECT, _A.ECHO_REPLY


def _row(*groups: tuple[_Cell, ...]) -> dict[Event, Transition]:
    cells = [cell for group in groups for cell in group]
    return {event: _transition(cell) for event, cell in zip(Event, cells, strict=True)}


def _transition(cell: _Cell) -> Transition:
    if isinstance(cell, State):
        return (), cell
    (state,) = (part for part in cell if isinstance(part, State))
    return tuple(part for part in cell if isinstance(part, Act)), state


# The groups: UP DOWN OPEN CLOSE, TO+ TO-, RCR+ RCR- RCA RCN, RTR RTA, RUC RXJ+ RXJ- RXR.
TRANSITIONS: dict[State, dict[Event, Transition]] = {
    _INI: _row(
        (_CLD, _INI, (_tls, _STG), _INI),
        (_INI, _INI),
        (_INI, _INI, _INI, _INI),
        (_INI, _INI),
        (_INI, _INI, _INI, _INI),
    ),
    _STG: _row(
        ((_irc, _scr, _REQ), _STG, _STG, (_tlf, _INI)),
        (_STG, _STG),
        (_STG, _STG, _STG, _STG),
        (_STG, _STG),
        (_STG, _STG, _STG, _STG),
    ),
    _CLD: _row(
        (_CLD, _INI, (_irc, _scr, _REQ), _CLD),
        (_CLD, _CLD),
        ((_sta, _CLD), (_sta, _CLD), (_sta, _CLD), (_sta, _CLD)),
        ((_sta, _CLD), _CLD),
        ((_scj, _CLD), _CLD, (_tlf, _CLD), _CLD),
    ),
    _STD: _row(
        (_STD, (_tls, _STG), _STD, _CLD),
        (_STD, _STD),
        ((_irc, _scr, _sca, _SNT), (_irc, _scr, _scn, _REQ), (_sta, _STD), (_sta, _STD)),
        ((_sta, _STD), _STD),
        ((_scj, _STD), _STD, (_tlf, _STD), _STD),
    ),
    _CLG: _row(
        (_CLG, _INI, _STP, _CLG),
        ((_str, _CLG), (_tlf, _CLD)),
        (_CLG, _CLG, _CLG, _CLG),
        ((_sta, _CLG), (_tlf, _CLD)),
        ((_scj, _CLG), _CLG, (_tlf, _CLD), _CLG),
    ),
    _STP: _row(
        (_STP, _STG, _STP, _CLG),
        ((_str, _STP), (_tlf, _STD)),
        (_STP, _STP, _STP, _STP),
        ((_sta, _STP), (_tlf, _STD)),
        ((_scj, _STP), _STP, (_tlf, _STD), _STP),
    ),
    _REQ: _row(
        (_REQ, _STG, _REQ, (_irc, _str, _CLG)),
        ((_scr, _REQ), (_tlf, _STD)),
        ((_sca, _SNT), (_scn, _REQ), (_irc, _RCV), (_irc, _scr, _REQ)),
        ((_sta, _REQ), _REQ),
        ((_scj, _REQ), _REQ, (_tlf, _STD), _REQ),
    ),
    _RCV: _row(
        (_RCV, _STG, _RCV, (_irc, _str, _CLG)),
        ((_scr, _REQ), (_tlf, _STD)),
        ((_sca, _tlu, _OPN), (_scn, _RCV), (_scr, _REQ), (_scr, _REQ)),
        ((_sta, _REQ), _REQ),
        ((_scj, _RCV), _REQ, (_tlf, _STD), _RCV),
    ),
    _SNT: _row(
        (_SNT, _STG, _SNT, (_irc, _str, _CLG)),
        ((_scr, _SNT), (_tlf, _STD)),
        ((_sca, _SNT), (_scn, _REQ), (_irc, _tlu, _OPN), (_irc, _scr, _SNT)),
        ((_sta, _REQ), _SNT),
        ((_scj, _SNT), _SNT, (_tlf, _STD), _SNT),
    ),
    _OPN: _row(
        (_OPN, (_tld, _STG), _OPN, (_tld, _irc, _str, _CLG)),
        (_OPN, _OPN),
        (
            (_tld, _scr, _sca, _SNT),
            (_tld, _scr, _scn, _REQ),
            (_tld, _scr, _REQ),
            (_tld, _scr, _REQ),
        ),
        ((_tld, _zrc, _sta, _STP), (_tld, _scr, _REQ)),
        ((_scj, _OPN), _OPN, (_tld, _irc, _str, _STP), (_ser, _OPN)),
    ),
}

_TIMED = frozenset({_CLG, _STP, _REQ, _RCV, _SNT})
_ENDING = frozenset({_CLG, _STP})


class Automaton:
    """One negotiation's state, its restart timer and its restart counter."""

    def __init__(self, retries: Retries) -> None:
        self.state = State.INITIAL
        self._retries = retries
        self._restarts = 0
        self._timeout_at: float | None = None

    def step(self, event: Event, now: float) -> tuple[Act, ...]:
        """Take an event; return what is to be done, in order."""
        acts, self.state = TRANSITIONS[self.state][event]
        for act in acts:
            self._keep_time(act, now)
        if self.state not in _TIMED:
            self._timeout_at = None
        return acts

    def _keep_time(self, act: Act, now: float) -> None:
        if act is Act.INIT_COUNT:
            terminates = self.state in _ENDING
            limit = self._retries.max_terminate if terminates else self._retries.max_configure
            self._restarts = limit
        elif act is Act.ZERO_COUNT:
            self._restarts = 0
            self._timeout_at = now + self._retries.restart_s
        elif act in (Act.REQUEST, Act.TERMINATE):
            self._restarts = max(0, self._restarts - 1)
            self._timeout_at = now + self._retries.restart_s

    def next_deadline(self) -> float | None:
        """Return when the restart timer runs out."""
        return self._timeout_at

    def timeout(self, now: float) -> Event | None:
        """Return the event of a restart timer that has run out."""
        if self._timeout_at is None or now < self._timeout_at:
            return None
        return Event.TIMEOUT if self._restarts else Event.TIMEOUT_LAST
