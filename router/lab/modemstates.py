"""The states of a modem, and what leads from one to another.

`TRANSITIONS` is complete: every event has its successor in every state, and what does not concern a
state leaves it.
"""

from enum import Enum

__all__ = ["CALLING", "TRANSITIONS", "Act", "Event", "State"]


class State(Enum):
    """What the modem does."""

    IDLE = "idle"
    OFF_HOOK = "off hook"  # the line is seized and nobody called: ATH1
    RINGING = "ringing"
    DIALLING = "dialling"
    ANSWERING = "answering"
    ONLINE = "online"
    ONLINE_COMMAND = "online command"

    __hash__ = object.__hash__


class Event(Enum):
    """What happens to it: commands first."""

    DIAL = "ATD"
    ANSWER = "ATA"
    ON_HOOK = "ATH0"
    OFF_HOOK = "ATH1"
    RESUME = "ATO"
    ESCAPE = "escape"
    ABORT = "octet"  # from the terminal, while no command is expected
    DROP = "drop"  # the terminal is not ready any more and &D ends the call
    CONNECTED = "connected"
    FAILED = "failed"  # busy, no answer, no dial tone
    LOST = "lost"
    RING = "ring"
    TIMEOUT = "timeout"  # no carrier in time; no further ring

    __hash__ = object.__hash__


class Act(Enum):
    """What goes with a transition."""

    NONE = ""
    DIAL = "dial"
    ANSWER = "answer"
    CONNECT = "connect"
    HANG_UP = "hang up"
    RING = "ring"
    REFUSE = "refuse"  # the command is an error in this state


Transition = tuple[State, Act]

_S = State
_ID, _OF, _RI, _DI = _S.IDLE, _S.OFF_HOOK, _S.RINGING, _S.DIALLING
_AN, _ON, _CM = _S.ANSWERING, _S.ONLINE, _S.ONLINE_COMMAND
_di, _an, _co = (_DI, Act.DIAL), (_AN, Act.ANSWER), (_ON, Act.CONNECT)
_en, _ri = (_ID, Act.HANG_UP), (_RI, Act.RING)


def _row(state: State, *cells: State | Transition | None) -> dict[Event, Transition]:
    """Return the row of a state; a cell of None refuses, a state alone goes without an act."""
    whole = (
        cell if isinstance(cell, tuple) else (cell, Act.NONE) if cell else (state, Act.REFUSE)
        for cell in cells
    )
    return dict(zip(Event, whole, strict=True))


TRANSITIONS: dict[State, dict[Event, Transition]] = {
    # state     ATD  ATA  ATH0 ATH1 ATO  ESC  OCTET DROP CONN FAIL LOST RING TIMEOUT
    _ID: _row(_ID, _di, _an, _ID, _OF, None, _ID, _ID, _ID, _ID, _ID, _ID, _ri, _ID),
    _OF: _row(_OF, _di, _an, _ID, _OF, None, _OF, _OF, _ID, _OF, _OF, _OF, _OF, _OF),
    _RI: _row(_RI, None, _an, _RI, None, None, _RI, _RI, _RI, _RI, _RI, _ID, _ri, _ID),
    _DI: _row(_DI, _DI, _DI, _DI, _DI, _DI, _DI, _en, _en, _co, _en, _en, _DI, _en),
    _AN: _row(_AN, _AN, _AN, _AN, _AN, _AN, _AN, _en, _en, _co, _en, _en, _AN, _en),
    _ON: _row(_ON, _ON, _ON, _ON, _ON, _ON, _CM, _ON, _en, _ON, _ON, _en, _ON, _ON),
    _CM: _row(_CM, None, None, _en, _CM, _co, _CM, _CM, _en, _CM, _CM, _en, _CM, _CM),
}

CALLING = frozenset({_DI, _AN})  # states in which a carrier is waited for
