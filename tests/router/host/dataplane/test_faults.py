import pytest

from router.devices import Side
from router.host.dataplane.faults import LOG_INTERVAL_S, Faults
from tests.lab.scripted import ManualClock


def fault(faults: Faults, side: Side | None = Side.WAN) -> None:
    try:
        raise KeyError("surprise")
    except KeyError:
        faults.note(side, bytes(range(200)))


def test_every_fault_counts_and_one_per_interval_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = ManualClock()
    faults = Faults(clock)
    fault(faults)
    fault(faults)
    clock.now += LOG_INTERVAL_S
    fault(faults, None)
    assert faults.count == 3
    assert [record.message.split(":")[0] for record in caplog.records] == [
        "internal fault on a packet from the WAN side, dropped and carried on (1 so far)",
        "internal fault on a timer, dropped and carried on (3 so far)",
    ]
    assert bytes(range(64)).hex() in caplog.text
    assert bytes(range(65)).hex() not in caplog.text
    assert "KeyError: 'surprise'" in caplog.text
