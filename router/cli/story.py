"""One entry of the dial ledger in sentences: who wanted the line, and what became of it.

The entry is as the control API answers with it, with the host's `name` besides.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from router.cli.tables import duration, size
from router.host.ledger.entries import KILLED
from router.link.types import Cause, Ending

__all__ = ["ended", "minute", "moment", "story", "waited", "who"]

TENTHS_BELOW_S = 10.0  # seconds; how long one waits for a line is felt to the tenth below that

_Entry = Mapping[str, Any]

# "It fell because ...", "It came to nothing because ..."
_BECAUSE = {
    Ending.IDLE.value: "nothing held it any longer",
    Ending.USER.value: "somebody took it down",
    Ending.SESSION_LIMIT.value: "it may not be up any longer at a time",
    Ending.BUDGET.value: "a budget was used up",
    Ending.SCHEDULE.value: "its hours were over",
    Ending.CARRIER_LOST.value: "the carrier was lost",
    Ending.FAILED.value: "dialling failed",
    Ending.TIMED_OUT.value: "dialling took too long",
    Ending.REFUSED.value: "the provider would not let us in",
    Ending.REPLACED.value: "a better line had recovered",
    Ending.SHUTDOWN.value: "the router was stopped",
}
_WITH_DETAIL = {  # of the others the sentence says it all
    ending.value
    for ending in (
        Ending.BUDGET,
        Ending.CARRIER_LOST,
        Ending.FAILED,
        Ending.TIMED_OUT,
        Ending.REFUSED,
        Ending.REPLACED,
    )
}


def story(entry: _Entry) -> list[str]:
    """Return what there is to tell, a sentence or two on each line."""
    lines = [_outcome(entry), *_origin(entry), _waiting(entry), _carried(entry), _end(entry)]
    return [line for line in lines if line]


def ended(row: _Entry) -> str:
    """Return why an attempt ended in a few words; its detail may say it all."""
    ending, detail = row["ending"], row["detail"]
    return str(detail) if ending in detail else ", ".join(filter(None, (ending, detail)))


def moment(epoch: float) -> str:
    """Return an instant in the time of whoever reads it."""
    return f"{_local(epoch):%a %Y-%m-%d %H:%M:%S}"


def minute(epoch: float) -> str:
    """Return an instant as `moment` does, as short as a table wants it."""
    return f"{_local(epoch):%Y-%m-%d %H:%M}"


def _local(epoch: float) -> datetime:
    return datetime.fromtimestamp(epoch, UTC).astimezone()


def _from_to(begin: float, end: float) -> str:
    same_day = _local(begin).date() == _local(end).date()
    return f"from {moment(begin)} to {f'{_local(end):%H:%M:%S}' if same_day else moment(end)}"


def who(entry: _Entry) -> str:
    """Return who raised the line, by name if there is one; "" where that is not known."""
    if entry["cause"] == Cause.FOUND.value:
        return ""
    return str(entry["name"] or entry["by"] or entry["host"] or "somebody")


def waited(seconds: float) -> str:
    """Return how long a packet waited."""
    return f"{seconds:.1f}s" if seconds < TENTHS_BELOW_S else duration(seconds)


def _outcome(entry: _Entry) -> str:
    link, begun_at, up_at, ended_at = (
        entry[key] for key in ("link", "begun_at", "up_at", "ended_at")
    )
    if up_at is None:
        if ended_at is None:
            lasted = duration(entry["seen_at"] - begun_at)
            return f"{link} is being raised, for {lasted} so far."
        return f"{link} did not come up: the attempt ended after {duration(ended_at - begun_at)}."
    if ended_at is None:
        lasted = f"since {moment(up_at)} ({duration(entry['seen_at'] - up_at)} so far)"
        return f"{link} is up {lasted} with the address {entry['address']}."
    lasted = f"{_from_to(up_at, ended_at)} ({duration(ended_at - up_at)})"
    return f"{link} was up {lasted} with the address {entry['address']}."


def _origin(entry: _Entry) -> list[str]:
    """Return who or what began it, and when."""
    at, cause = moment(entry["begun_at"]), entry["cause"]
    if cause == Cause.FOUND.value:
        return [_found(entry)]
    if cause == Cause.DEMAND.value:
        wanted = f"{_known_as(entry)} wanted it at {at}"
        what = "a name" if " asks for " in entry["packet"] else "the packet"
        packet = [f"{wanted}, for {what}", f"    {entry['packet']}"]
        rule = f"The rule that let it dial: {entry['rule']}"
        return [*(packet if entry["packet"] else [f"{wanted}."]), rule if entry["rule"] else ""]
    if cause == Cause.USER.value:
        return [f"{who(entry)} raised it by hand at {at}."]
    if cause == Cause.RECOVERY.value:
        return [f"The router tried at {at} whether it had recovered."]
    begun = {
        Cause.LEASE.value: f"The lease {who(entry)} wanted it at {at}",
        Cause.RECONNECT.value: f"The router raised it again at {at}",
    }.get(cause, f"The router raised it at {at}")
    return [f"{begun}: {entry['why']}." if entry["why"] else f"{begun}."]


def _found(entry: _Entry) -> str:
    found = moment(entry["begun_at"] if entry["up_at"] is None else entry["up_at"])
    if entry["continues"] is None:
        return f"It was found up at {found}; the router had not raised it."
    return (
        f"It was found up at {found}, when the router started again after it had been killed."
        f" Nobody saw it since {moment(entry['begun_at'])}; that time counts as used."
    )


def _known_as(entry: _Entry) -> str:
    """Return the host by all the names it has."""
    name = who(entry)
    others = [other for other in (entry["host"], entry["mac"]) if other and other != name]
    return f"{name} ({', '.join(others)})" if others else name


def _waiting(entry: _Entry) -> str:
    """Return what the packets that wanted the line went through."""
    said = []
    if entry["waited_s"] is not None:
        said.append(f"The first packet waited {waited(entry['waited_s'])} for it.")
    if entry["held"] or entry["lost"]:
        packets = "1 packet was" if entry["held"] == 1 else f"{entry['held']} packets were"
        said.append(f"{packets} held, {entry['lost'] or 'none'} lost.")
    return " ".join(said)


def _carried(entry: _Entry) -> str:
    if entry["up_at"] is None:
        return ""
    return f"{size(entry['received_bytes'])} came in, {size(entry['sent_bytes'])} went out."


def _end(entry: _Entry) -> str:
    """Return why it fell, or else what holds it."""
    ending, was_up = entry["ending"], entry["up_at"] is not None
    held = f"What held it last: {entry['kept_by']}." if entry["kept_by"] else ""
    if not ending:
        return held
    if ending == KILLED:
        seen = "stayed up longer" if was_up else "come up all the same"
        said = f"The router was killed: the end is when it last saw the line, which may have {seen}"
    else:
        said = f"{'It fell' if was_up else 'It came to nothing'} because {_because(entry)}"
    return f"{said}. {held}".strip()


def _because(entry: _Entry) -> str:
    ending, detail = entry["ending"], entry["detail"]
    if ending == Ending.USER.value and detail:
        return str(detail)
    reason = str(_BECAUSE.get(ending, ending))
    if not detail or ending not in _WITH_DETAIL:
        return reason
    if detail.startswith(ending):  # such as "carrier lost on eth2"
        return f"{reason}{detail.removeprefix(ending)}"
    return f"{reason} ({detail})"
