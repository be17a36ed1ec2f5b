"""One link's life as a state machine: dial, negotiate, be up, hang up, rest.

Theory of operation. `TRANSITIONS` is complete: every event has its successor in every state, and
what does not concern a state leaves it. An action goes with the transition, never with the state.
The machine knows timers, endings and the redial delay; what may raise it, what holds it and which
of several links is preferred is for `router.link.links`.

* An *attempt* has a number. Reports of former attempts come late and are ignored; an `Addressed`
  with number 0 tells of a line that was raised by somebody else, and is believed in any state in
  which the line is down.
* Down again, a link is in HOLDOFF: for no time at all when it fell on purpose, for
  `redial.after_loss_s` when it lost its carrier, and after failures for longer and longer.
* A line that lost its carrier while something held it, or that has been asked for while it was
  hanging up, is raised again after its rest: `wanted` is the trigger of that next attempt. After a
  loss that is the router's own doing, whoever raised the line before; the trigger says who it was.
* An idle line stays until its grace and its minimum are over, and then, where time is sold in
  units, until just before the next unit begins: what is paid for may as well be used.
* Failures count in a row; coming up ends the row.
* Refused logins have a row of their own, which attempts that did not get as far as a login do not
  end: providers lock accounts that keep trying. A row of `refusals` makes a `refusal`, for which
  only a person may raise the link again, and the link is dead at once. Coming up ends the row, and
  so does a person (`forgive`), who may have corrected the password. So does a restart, after which
  the login is tried again: nothing of this is kept.
"""

from dataclasses import replace
from enum import Enum
from math import floor, inf

from router.devices import Rng
from router.link.messages import (
    Addressed,
    Closed,
    Connected,
    Dial,
    Failed,
    HangUp,
    Lost,
    Report,
    Rise,
    Signal,
    StateChange,
    Trigger,
    Warned,
)
from router.link.redial import Redial
from router.link.types import Cause, Ending, LinkConfig, State
from router.wire.address import format_address

__all__ = ["TRANSITIONS", "Act", "Event", "LinkMachine"]

UNIT_MARGIN_S = 5.0  # seconds before a paid unit ends: hanging up takes a moment, clocks differ
UNIT_MARGIN_SHARE = 0.1  # of the unit, where that is less


class Event(Enum):
    """What happens to a link."""

    ENABLE = "enable"  # traffic may raise it
    DISABLE = "disable"  # traffic may not
    RAISE = "raise"
    DROP = "drop"
    CONNECTED = "connected"
    ADDRESSED = "addressed"
    FAILED = "failed"
    LOST = "lost"
    CLOSED = "closed"
    TIMEOUT = "timeout"  # of the state: dialling, hanging up or resting took its time

    __hash__ = object.__hash__


class Act(Enum):
    """What goes with a transition."""

    NONE = ""
    DIAL = "dial"
    HANG_UP = "hang up"


Transition = tuple[State, Act]

_S = State
_OFF, _DOR, _DIA, _NEG = _S.DISABLED, _S.DORMANT, _S.DIALING, _S.NEGOTIATING
_UP, _HAN, _RES = _S.UP, _S.HANGING_UP, _S.HOLDOFF
_dial, _hang = (_DIA, Act.DIAL), (_HAN, Act.HANG_UP)


def _row(*cells: State | Transition) -> dict[Event, Transition]:
    whole = [cell if isinstance(cell, tuple) else (cell, Act.NONE) for cell in cells]
    return dict(zip(Event, whole, strict=True))


TRANSITIONS: dict[State, dict[Event, Transition]] = {
    # state  ENABLE DISABLE RAISE  DROP   CONN  ADDR  FAIL  LOST  CLOSED TIMEOUT
    _OFF: _row(_DOR, _OFF, _dial, _OFF, _OFF, _UP, _OFF, _OFF, _OFF, _OFF),
    _DOR: _row(_DOR, _OFF, _dial, _DOR, _DOR, _UP, _DOR, _DOR, _DOR, _DOR),
    _DIA: _row(_DIA, _DIA, _DIA, _hang, _NEG, _UP, _RES, _RES, _RES, _hang),
    _NEG: _row(_NEG, _NEG, _NEG, _hang, _NEG, _UP, _RES, _RES, _RES, _hang),
    _UP: _row(_UP, _UP, _UP, _hang, _UP, _UP, _RES, _RES, _RES, _UP),
    _HAN: _row(_HAN, _HAN, _HAN, _HAN, _HAN, _HAN, _RES, _RES, _RES, _RES),
    _RES: _row(_RES, _RES, _dial, _RES, _RES, _UP, _RES, _RES, _RES, _DOR),
}

_EVENTS = {
    Connected: Event.CONNECTED,
    Addressed: Event.ADDRESSED,
    Failed: Event.FAILED,
    Lost: Event.LOST,
    Closed: Event.CLOSED,
}
_ON_ITS_WAY = frozenset({_DIA, _NEG})
_LIVE = frozenset({_DIA, _NEG, _UP})
_DOWN = frozenset({_OFF, _DOR, _RES})


class LinkMachine:
    """One link. `signals` collects what there is to tell; whoever owns the machine drains it.

    `blocked` says why traffic may not raise it, "" if it may. `useful` is whether anything asked
    over it has been answered since it came up.
    """

    def __init__(self, config: LinkConfig, *, rng: Rng, now: float) -> None:
        self.config = config
        self.state = State.DORMANT
        self.since = now
        self.reason = "at start"
        self.by = "configuration"
        self.blocked = ""
        self.attempt = 0
        self.failures = 0
        self.address: int | None = None
        self.mtu = config.mtu
        self.useful = False
        self.wanted: Trigger | None = None
        self.rise: Rise | None = None
        self._raised = ""  # by whom or what, before any reconnects, as a clause
        self.signals: list[Signal] = []
        self._refusals = 0  # in a row
        self._refused = ""  # what the provider said, the last time
        self._redial = Redial(config.redial, rng)
        self._former: Rise | None = None
        self._ending: Ending | None = None
        self._detail = ""
        self._timeout_at = inf

    # What it is like

    @property
    def name(self) -> str:
        """The link's name."""
        return self.config.name

    @property
    def is_up(self) -> bool:
        """Whether it carries packets."""
        return self.state is State.UP

    @property
    def is_on_its_way(self) -> bool:
        """Whether packets may wait for it: it is being raised, or will be by itself."""
        return self.state in _ON_ITS_WAY or (self.wanted is not None and not self.is_up)

    @property
    def is_dead(self) -> bool:
        """Whether so many attempts have failed in a row that links behind it may take over."""
        return self.failures >= self.config.dead_after or bool(self.refusal)

    @property
    def refusal(self) -> str:
        """Why nobody but a person is to raise it, "" unless too many logins were refused."""
        if not 0 < self.config.refusals <= self._refusals:
            return ""
        return f"{self._refused}; left to people: postroad up {self.name}"

    @property
    def cause(self) -> Cause | None:
        """Why the attempt or rise at hand began, None while it is down."""
        return self.rise.trigger.cause if self.rise is not None else None

    def falls_at(self, now: float) -> float:
        """Return when the line falls if nothing holds it from now on; inf for never."""
        if self.rise is None or self.rise.up_at is None or not self.config.idle_timeout_s:
            return inf
        up_at, grace = self.rise.up_at, self.rise.trigger.grace_s
        stays = self.config.idle_timeout_s if grace is None else grace
        earliest = max(now, up_at + stays, up_at + self.config.min_up_s)
        return self._before_next_unit(up_at, earliest)

    def _before_next_unit(self, up_at: float, earliest: float) -> float:
        unit = self.config.billing_unit_s
        if not unit:
            return earliest
        margin = min(UNIT_MARGIN_S, unit * UNIT_MARGIN_SHARE)
        begun = floor((earliest - up_at) / unit)
        return max(earliest, up_at + (begun + 1) * unit - margin)

    # What happens to it

    def block(self, why: str, now: float) -> None:
        """Let traffic raise it, or say why it may not; a line that is up is not touched."""
        self.blocked = why
        event = Event.DISABLE if why else Event.ENABLE
        self._step(event, now, why or "traffic may raise it", "policy")

    def raise_(self, trigger: Trigger, now: float) -> None:
        """Begin an attempt; where one is under way, or the line is up, nothing happens.

        A line that hangs up is raised again when it is down, unless it hangs up because the last
        attempt has failed.
        """
        failed = self._ending is not None and self._ending.is_failure
        if self.state is State.HANGING_UP and not failed:
            self.wanted = trigger
        elif self.state in _DOWN:
            self.wanted = None
            self.rise = self._begun(trigger, now)
            self.signals.append(self.rise)
            self._step(Event.RAISE, now, _because(trigger), trigger.by or trigger.cause.value)

    def _begun(self, trigger: Trigger, now: float) -> Rise:
        self.attempt += 1
        self.useful = False
        if trigger.cause is not Cause.RECONNECT:
            self._raised = trigger.in_retrospect
        return Rise(self.name, self.attempt, trigger, begun_at=now)

    def drop(self, ending: Ending, now: float, *, by: str, detail: str = "") -> None:
        """Take it down, or break the attempt off."""
        self.wanted = None
        if self.state in _ON_ITS_WAY or self.is_up:
            self._ending, self._detail = ending, detail
            self._step(Event.DROP, now, detail or ending.value, by)

    def handle(self, report: Report, now: float, *, reconnect: bool = False) -> None:
        """Take a report of the backend; with `reconnect` a lost line is raised again."""
        if isinstance(report, Addressed):
            self._take_address(report, now)
            return
        if report.attempt != self.attempt:
            return
        is_refusal = isinstance(report, Failed) and report.is_refusal and self.rise is not None
        if isinstance(report, Failed | Lost) and self.state is not State.HANGING_UP:
            failure = Ending.REFUSED if is_refusal else Ending.FAILED
            self._ending = Ending.CARRIER_LOST if self.is_up else failure
            self._detail = report.why
        if self.is_up and reconnect:
            why = f"the line was in use when it was lost; {self._raised}"
            self.wanted = Trigger(Cause.RECONNECT, "the router", why)
        why = getattr(report, "why", "") or _EVENTS[type(report)].value
        self._step(_EVENTS[type(report)], now, why, self.name)
        if is_refusal:
            self._count_refusal(why, now)

    def _count_refusal(self, why: str, now: float) -> None:
        self._refusals += 1
        self._refused = why
        if self._refusals == self.config.refusals:
            self.signals.append(Warned(f"{self.name} stays down, {self.refusal}", now))

    def forgive(self) -> None:
        """Let the provider refuse the login anew, because a person wants it tried."""
        self._refusals = 0

    def _take_address(self, report: Addressed, now: float) -> None:
        if self.state in _DOWN and not report.attempt:
            self.rise = self._begun(Trigger(Cause.FOUND, self.name, "it was up already"), now)
        elif report.attempt != self.attempt or self.state not in _LIVE:
            return
        assert self.rise is not None
        address = format_address(report.address)
        if (self.rise.address, self.mtu) == (address, report.mtu):
            return
        former, renumbered = self.state, self.is_up
        self.wanted, self.failures, self._refusals = None, 0, 0
        self.address, self.mtu = report.address, report.mtu
        self.rise = replace(self.rise, up_at=self.rise.up_at or now, address=address)
        self.signals.append(self.rise)
        self._step(Event.ADDRESSED, now, _because(self.rise.trigger), self.rise.trigger.by)
        if renumbered:
            self.reason = f"renumbered to {address}"
            self._tell(former, now)

    def shut_down(self, now: float) -> None:
        """End the rise or attempt at hand, because the router stops."""
        if self.rise is not None:
            self._ending = Ending.SHUTDOWN
            self._step(Event.CLOSED, now, "the router stops", "the router")

    def take_signals(self) -> list[Signal]:
        """Return what there is to tell, in order, and forget it."""
        signals, self.signals = self.signals, []
        return signals

    def account(self, *, held: int = 0, lost: int = 0, waited_s: float | None = None) -> None:
        """Enter packets of the hold queue that were sent or lost into the last rise, and tell."""
        rise = self.rise or self._former
        if rise is None:
            return
        waits = [each for each in (rise.waited_s, waited_s) if each is not None]
        waited_s = max(waits, default=None)
        rise = replace(rise, held=rise.held + held, lost=rise.lost + lost, waited_s=waited_s)
        self.signals.append(rise)
        if self.rise is not None:
            self.rise = rise
        else:
            self._former = rise

    def kept_by(self, what: str) -> None:
        """Note what held the line last."""
        if self.rise is not None:
            self.rise = replace(self.rise, kept_by=what)

    # Time

    def next_deadline(self) -> float:
        """Return when `handle_timer` has something to do; inf for never."""
        if self.is_up and self.config.max_session_s and self.rise and self.rise.up_at is not None:
            return self.rise.up_at + self.config.max_session_s
        return self._timeout_at

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        if self.next_deadline() > now:
            return
        if self.is_up:
            self.drop(Ending.SESSION_LIMIT, now, by=self.name, detail="as long as it may be up")
        elif self.state in _ON_ITS_WAY:
            self._ending = Ending.TIMED_OUT
            self._detail = f"no line after {self.config.dial_timeout_s:.0f} s"
            self._step(Event.TIMEOUT, now, self._detail, self.name)
        else:
            self._step(Event.TIMEOUT, now, "it has rested", self.name)

    # Steps

    def _step(self, event: Event, now: float, reason: str, by: str) -> None:
        former = self.state
        self.state, act = TRANSITIONS[former][event]
        if self.state is former:
            return
        self.since, self.reason, self.by = now, reason, by
        if self.state is not State.UP:
            self.address = None
        if self.state is State.HOLDOFF:
            self._rest(now)
        else:
            self._arm(now)
        self._tell(former, now)
        if act is Act.DIAL:
            assert self.rise is not None
            self.signals.append(Dial(self.name, self.attempt, self.rise.trigger))
        elif act is Act.HANG_UP:
            assert self._ending is not None
            self.signals.append(HangUp(self.name, self.attempt, self._ending))

    def _arm(self, now: float) -> None:
        if self.state is State.DIALING:
            self._timeout_at = now + self.config.dial_timeout_s
        elif self.state is State.HANGING_UP:
            self._timeout_at = now + self.config.hang_up_timeout_s
        elif self.state is not State.NEGOTIATING:  # that is a part of dialling
            self._timeout_at = inf

    def _rest(self, now: float) -> None:
        """Close the account of what has ended, and rest for as long as that asks for."""
        ending, rest_s = self._ending or Ending.CARRIER_LOST, 0.0
        if ending.is_failure:
            self.failures += 1
            rest_s = self._redial.after_failure(self.failures)
        elif ending is Ending.CARRIER_LOST:
            rest_s = self._redial.after_loss()
        if self.rise is not None:
            self._former = replace(self.rise, ended_at=now, ending=ending, detail=self._detail)
            self.signals.append(self._former)
        self.rise, self._ending, self._detail = None, None, ""
        self._timeout_at = now + rest_s
        if not rest_s:
            self.state, _ = TRANSITIONS[self.state][Event.TIMEOUT]
            self._timeout_at = inf

    def _tell(self, former: State, now: float) -> None:
        self.signals.append(StateChange(self.name, former, self.state, self.reason, self.by, now))


def _because(trigger: Trigger) -> str:
    return trigger.why or trigger.packet or trigger.cause.value
