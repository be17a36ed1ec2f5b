"""What the link cores signal, as events of the control API.

Instants of signals are monotonic and mean nothing outside, so an event has the wall-clock time at
which it was told, and spans of time for the rest. What a backend is asked to do is no event: the
change of state that goes with it is.
"""

from typing import Any

from router.link.messages import Dial, HangUp, Rise, Signal, StateChange, Warned

__all__ = ["event_of"]


def event_of(signal: Signal) -> tuple[str, dict[str, Any]] | None:
    """Return the kind and the data of the event, None if the signal is none."""
    match signal:
        case StateChange():
            return "state", {
                "link": signal.link,
                "former": signal.former.value,
                "state": signal.state.value,
                "reason": signal.reason,
                "by": signal.by,
            }
        case Rise():
            return "rise", _rise(signal)
        case Warned():
            return "warning", {"what": signal.what}
        case Dial() | HangUp():
            return None


def _rise(rise: Rise) -> dict[str, Any]:
    """Return the account of an attempt: `stage` is begun, up or ended, times are in seconds."""
    trigger, up_at, ended_at = rise.trigger, rise.up_at, rise.ended_at
    return {
        "link": rise.link,
        "attempt": rise.attempt,
        "stage": "ended" if ended_at is not None else "begun" if up_at is None else "up",
        "cause": trigger.cause.value,
        "by": trigger.by,
        "why": trigger.why,
        "host": trigger.host,
        "mac": trigger.mac,
        "packet": trigger.packet,
        "rule": trigger.rule,
        "address": rise.address,
        "dialled_s": None if up_at is None else up_at - rise.begun_at,
        "waited_s": rise.waited_s,
        "up_s": None if up_at is None or ended_at is None else ended_at - up_at,
        "held": rise.held,
        "lost": rise.lost,
        "kept_by": rise.kept_by,
        "ending": "" if rise.ending is None else rise.ending.value,
        "detail": rise.detail,
    }
