"""TCP session tracking: RFC 6146 section 3.5.2 as amended by RFC 7857 section 2.

Theory of operation. The tracker follows opening, closing and resets just closely enough to know
how long a silent session must be remembered. It never decides whether a segment passes: segments
of a known session always do, so no valid sequence (window scaling, keep-alives, retransmissions,
data after a half-close, sequence wrap) can be stopped by a tracker stricter than the hosts.

* `OUTBOUND_INIT`, `INBOUND_INIT`: one SYN was seen.
* `OUTBOUND_ANSWERED`, `INBOUND_ANSWERED`: the other side answered with a SYN, be it SYN-ACK or one
  of its own (simultaneous open, RFC 5382 REQ-2a). The opener's next segment establishes; until
  then the short timer holds, so that SYN floods and scans leave nothing for long.
* `PICKED_UP`: the session's first segment was no SYN, because the connection is older than the
  router. It counts as established once the remote answers; if it closes instead, it is closing.
* `ESTABLISHED`, `OUTBOUND_FIN`, `INBOUND_FIN`: the long timer; half-closed connections may carry
  data for as long as they like.
* `BOTH_FIN`: the short timer runs down whatever comes, but a SYN opens the ports again.
* `TRANSITORY`: a reset was seen; the short timer. Any other segment shows that the reset was not
  believed and the session is established again (RFC 7857, section 2.2).

A stranger alone keeps no half-open session alive: before it is established, only the internal
host's segments and changes of state restart the timer. His acknowledgment must be that of the
SYN he was sent.

An inbound reset is *believed* only if it lies in the window the internal host last announced, or
acknowledges its SYN (the idea of RFC 5961). A blind one is passed on for the host to judge, but
does not shorten the session. A blind SYN changes nothing in any state past the handshake.
"""

from enum import Enum, auto

from router.fastpath import Rewrite
from router.wire.tcp import Flag, Tcp

__all__ = ["LONG_LIVED", "TRANSITIONS", "Event", "State", "Tracker"]


class State(Enum):
    """What the tracker knows of a connection; see the module's theory of operation."""

    OUTBOUND_INIT = auto()
    INBOUND_INIT = auto()
    OUTBOUND_ANSWERED = auto()
    INBOUND_ANSWERED = auto()
    PICKED_UP = auto()
    ESTABLISHED = auto()
    OUTBOUND_FIN = auto()
    INBOUND_FIN = auto()
    BOTH_FIN = auto()
    TRANSITORY = auto()

    __hash__ = object.__hash__  # Enum's own is Python code, and tables are asked per segment


class Event(Enum):
    """A segment, by direction and by the flag that matters most: RST, SYN, FIN, none."""

    OUTBOUND_SYN = auto()
    INBOUND_SYN = auto()
    OUTBOUND_FIN = auto()
    INBOUND_FIN = auto()
    OUTBOUND_RST = auto()
    INBOUND_RST = auto()
    OUTBOUND_DATA = auto()
    INBOUND_DATA = auto()

    __hash__ = object.__hash__  # as above


_S = State
_O_INIT, _I_INIT, _PICKED, _EST = _S.OUTBOUND_INIT, _S.INBOUND_INIT, _S.PICKED_UP, _S.ESTABLISHED
_O_ANS, _I_ANS = _S.OUTBOUND_ANSWERED, _S.INBOUND_ANSWERED
_O_FIN, _I_FIN, _BOTH, _TRANS = _S.OUTBOUND_FIN, _S.INBOUND_FIN, _S.BOTH_FIN, _S.TRANSITORY


def _row(*states: State) -> dict[Event, State]:
    return dict(zip(Event, states, strict=True))


TRANSITIONS: dict[State, dict[Event, State]] = {
    # state        O_SYN    I_SYN    O_FIN   I_FIN   O_RST    I_RST    O_DATA    I_DATA
    _O_INIT: _row(_O_INIT, _O_ANS, _O_INIT, _O_INIT, _TRANS, _TRANS, _O_INIT, _O_INIT),
    _I_INIT: _row(_I_ANS, _I_INIT, _I_INIT, _I_INIT, _TRANS, _TRANS, _I_INIT, _I_INIT),
    _O_ANS: _row(_O_ANS, _O_ANS, _O_FIN, _O_ANS, _TRANS, _TRANS, _EST, _O_ANS),
    _I_ANS: _row(_I_ANS, _I_ANS, _I_ANS, _I_FIN, _TRANS, _TRANS, _I_ANS, _EST),
    _PICKED: _row(_O_INIT, _PICKED, _BOTH, _BOTH, _TRANS, _TRANS, _PICKED, _EST),
    _EST: _row(_EST, _EST, _O_FIN, _I_FIN, _TRANS, _TRANS, _EST, _EST),
    _O_FIN: _row(_O_FIN, _O_FIN, _O_FIN, _BOTH, _TRANS, _TRANS, _O_FIN, _O_FIN),
    _I_FIN: _row(_I_FIN, _I_FIN, _BOTH, _I_FIN, _TRANS, _TRANS, _I_FIN, _I_FIN),
    _BOTH: _row(_O_INIT, _I_INIT, _BOTH, _BOTH, _BOTH, _BOTH, _BOTH, _BOTH),
    _TRANS: _row(_O_INIT, _I_INIT, _TRANS, _TRANS, _TRANS, _TRANS, _EST, _EST),
}

# The long timer; there plain segments change nothing, so the rewrite cache may take them.
LONG_LIVED = frozenset({_EST, _O_FIN, _I_FIN})
_HALF_OPEN = frozenset({_O_INIT, _I_INIT, _O_ANS, _I_ANS, _PICKED})
_FROM_OUTSIDE = frozenset(
    {Event.INBOUND_SYN, Event.INBOUND_FIN, Event.INBOUND_RST, Event.INBOUND_DATA}
)
_EARLY_DATA = 0x10000  # bytes a server may have sent before the opener's first acknowledgment


class Tracker:
    """The TCP state of one session.

    `initial_sequence` is that of the opening SYN, None for a connection picked up later;
    `answer_sequence` is that of the internal host's SYN, once it has answered a stranger's.
    """

    __slots__ = ("answer_sequence", "initial_sequence", "internal_scale", "state")

    def __init__(self, segment: Tcp, *, outbound: bool) -> None:
        syn = bool(segment.flags & Flag.SYN)
        self.state = (_O_INIT if outbound else _I_INIT) if syn else _PICKED
        self.initial_sequence = segment.sequence if syn else None
        self.answer_sequence = 0
        self.internal_scale = segment.window_scale if syn and outbound else 0

    def handle(self, segment: Tcp, towards_internal: bool, internal: Rewrite) -> bool:
        """Take a segment into account; return whether it restarts the session's timer.

        `internal` is the outbound rewrite, which knows what the internal host last acknowledged.
        """
        event = _classify(segment, outbound=not towards_internal)
        before = self.state
        if event in _FROM_OUTSIDE and not self._is_credible(segment, event, internal):
            return False
        self.state = TRANSITIONS[before][event]
        if event is Event.OUTBOUND_SYN:
            self._note_syn(segment, internal)
        if self.state is not before:
            return True
        if before in _HALF_OPEN:
            return event not in _FROM_OUTSIDE
        blind = event in (Event.INBOUND_SYN, Event.INBOUND_RST, Event.OUTBOUND_RST)
        return not blind and before not in (_BOTH, _TRANS)

    def _note_syn(self, segment: Tcp, internal: Rewrite) -> None:
        self.internal_scale = segment.window_scale
        internal.acknowledgment = -1  # that of a former connection on these ports
        if self.state is _I_ANS:
            self.answer_sequence = segment.sequence
        else:
            self.initial_sequence = segment.sequence

    def _is_credible(self, segment: Tcp, event: Event, internal: Rewrite) -> bool:
        """Whether a stranger's segment may change what is remembered."""
        if event is Event.INBOUND_RST:
            return self._believes(segment, internal)
        if self.state is _I_ANS and event is not Event.INBOUND_SYN:
            ahead = (segment.acknowledgment - self.answer_sequence - 1) & 0xFFFFFFFF
            return bool(segment.flags & Flag.ACK) and ahead <= _EARLY_DATA
        return True

    def _believes(self, reset: Tcp, internal: Rewrite) -> bool:
        if internal.acknowledgment >= 0:
            window = internal.window << self.internal_scale
            return (reset.sequence - internal.acknowledgment) & 0xFFFFFFFF <= window
        if self.initial_sequence is None:
            return True  # nothing is known to measure it by
        expected = (self.initial_sequence + 1) & 0xFFFFFFFF
        if self.state in (_I_INIT, _I_ANS):
            return reset.sequence == expected
        return bool(reset.flags & Flag.ACK) and reset.acknowledgment == expected


def _classify(segment: Tcp, *, outbound: bool) -> Event:
    if segment.flags & Flag.RST:
        return Event.OUTBOUND_RST if outbound else Event.INBOUND_RST
    if segment.flags & Flag.SYN:
        return Event.OUTBOUND_SYN if outbound else Event.INBOUND_SYN
    if segment.flags & Flag.FIN:
        return Event.OUTBOUND_FIN if outbound else Event.INBOUND_FIN
    return Event.OUTBOUND_DATA if outbound else Event.INBOUND_DATA
