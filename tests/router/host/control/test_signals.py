from typing import Any

import pytest

from router.host.control.signals import event_of
from router.link.messages import Dial, HangUp, Rise, Signal, StateChange, Trigger, Warned
from router.link.types import Cause, Ending, State

TRIGGER = Trigger(
    Cause.DEMAND, by="alice", host="192.168.1.11", mac="02:00:00:00:00:11",
    packet="tcp 192.168.1.11:4000 -> 198.51.100.7:80 flags syn", rule="accept everything",
)  # fmt: skip
BEGUN = Rise("isp", 3, TRIGGER, begun_at=100.0)
UP = Rise("isp", 3, TRIGGER, begun_at=100.0, up_at=105.0, address="203.0.113.2", waited_s=5.5)
ENDED = Rise(
    "isp", 3, TRIGGER, begun_at=100.0, up_at=105.0, ended_at=165.0, held=4, lost=1,
    kept_by="tcp ...", ending=Ending.IDLE, detail="nothing held it",
)  # fmt: skip
FAILED = Rise(
    "isp", 4, TRIGGER, begun_at=100.0, ended_at=160.0, ending=Ending.TIMED_OUT, detail="busy"
)


@pytest.mark.parametrize(
    ("signal", "kind", "data"),
    [
        (
            StateChange("isp", State.DORMANT, State.DIALING, "tcp ...", "alice", 100.0),
            "state",
            {
                "link": "isp", "former": "DORMANT", "state": "DIALING", "reason": "tcp ...",
                "by": "alice",
            },
        ),
        (Warned("80 % of today's minutes are used", 100.0), "warning",
         {"what": "80 % of today's minutes are used"}),
    ],
)  # fmt: skip
def test_a_change_and_a_warning_are_told_as_they_are(
    signal: Signal, kind: str, data: dict[str, Any]
) -> None:
    assert event_of(signal) == (kind, data)


@pytest.mark.parametrize(
    ("rise", "told"),
    [
        (BEGUN, {"stage": "begun", "dialled_s": None, "up_s": None, "ending": ""}),
        (UP, {"stage": "up", "dialled_s": 5.0, "up_s": None, "waited_s": 5.5}),
        (ENDED, {"stage": "ended", "dialled_s": 5.0, "up_s": 60.0, "ending": "idle", "lost": 1}),
        (FAILED, {"stage": "ended", "dialled_s": None, "up_s": None, "ending": "timed out"}),
    ],
)
def test_a_rise_is_told_in_spans_of_time(rise: Rise, told: dict[str, Any]) -> None:
    event = event_of(rise)
    assert event is not None
    kind, data = event
    assert kind == "rise"
    assert {key: data[key] for key in told} == told
    assert (data["by"], data["mac"], data["cause"]) == ("alice", "02:00:00:00:00:11", "traffic")
    assert not any(key.endswith("_at") for key in data)


@pytest.mark.parametrize("signal", [Dial("isp", 1, TRIGGER), HangUp("isp", 1, Ending.IDLE)])
def test_what_a_backend_is_asked_is_no_event(signal: Signal) -> None:
    assert event_of(signal) is None
