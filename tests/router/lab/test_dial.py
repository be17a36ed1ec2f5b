"""The provider's commands, in a namespace with its end of a line."""

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from router.host.machine import netns
from router.lab import dial, topology
from router.lab.dial import Provider
from tests.lab.box import Box


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the commands have slept, without having slept it."""
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    return slept


@pytest.fixture
def file(box: Box, tmp_path: Path) -> Path:
    """The file of a provider whose line is down."""
    file = tmp_path / "provider.json"
    Provider(box.outside, dial_s=5.0).save(file)
    topology.set_line(box.outside, up=False)
    return file


def test_a_provider_is_as_it_was_saved(tmp_path: Path) -> None:
    provider = Provider("somewhere", 2.5, sticky=True, busy=True, rises=7)
    provider.save(tmp_path / "provider.json")
    assert Provider.load(tmp_path / "provider.json") == provider
    assert [entry.name for entry in tmp_path.iterdir()] == ["provider.json"]


@pytest.mark.parametrize(
    ("sticky", "addresses"),
    [
        (False, [*topology.POOL, topology.POOL[0]]),
        (True, [topology.POOL[0]] * (len(topology.POOL) + 1)),
    ],
    ids=["the next one of the pool", "always the same"],
)
def test_each_rise_gets_an_address(sticky: bool, addresses: list[str]) -> None:
    provider = Provider("", 0, sticky=sticky)
    rises = [replace(provider, rises=number + 1) for number in range(len(addresses))]
    assert [rise.address for rise in rises] == addresses


@pytest.mark.net
def test_up_takes_its_time_and_tells_the_address(
    box: Box, file: Path, slept: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    assert not topology.line_is_up(box.outside)
    assert dial.main(["up", str(file)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "connected",
        "address 203.0.113.2/24",
        "gateway 203.0.113.1",
    ]
    assert slept == pytest.approx([4.0, 1.0])
    assert topology.line_is_up(box.outside)


@pytest.mark.net
def test_the_carrier_comes_before_the_address(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []
    monkeypatch.setattr(time, "sleep", lambda _: said.append(capsys.readouterr().out))
    dial.main(["up", str(file)])
    assert said == ["", "connected\n"]


@pytest.mark.net
@pytest.mark.usefixtures("slept")
def test_the_commands_work_from_another_namespace(box: Box, file: Path) -> None:
    with netns.inside(box.box):
        assert dial.main(["up", str(file)]) == 0
        assert dial.main(["status", str(file)]) == 0
    assert topology.line_is_up(box.outside)


@pytest.mark.net
@pytest.mark.usefixtures("slept")
def test_a_line_that_is_down_carries_nothing(box: Box, file: Path) -> None:
    box.ip(box.box, "addr", "flush", "dev", "eth2")
    box.ip(box.box, "addr", "add", "203.0.113.2/24", "dev", "eth2")
    steps = [("status", 1), ("up", 0), ("status", 0), ("down", 0), ("status", 1), ("down", 0)]
    reaches = []
    for what, code in steps:
        assert dial.main([what, str(file)]) == code
        reaches.append(box.pings(box.box, "203.0.113.1"))
    assert reaches == [False, True, True, False, False, False]


@pytest.mark.net
@pytest.mark.usefixtures("slept")
def test_status_tells_the_address_of_the_last_rise(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for address in topology.POOL[:3]:
        dial.main(["up", str(file)])
        capsys.readouterr()
        assert dial.main(["status", str(file)]) == 0
        assert capsys.readouterr().out.startswith(f"address {address}/24\n")
        dial.main(["down", str(file)])
        assert dial.main(["status", str(file)]) == 1
        assert capsys.readouterr().out == ""


@pytest.mark.net
def test_status_believes_the_machine_and_not_the_file(box: Box, file: Path) -> None:
    Provider(box.outside, 0, rises=3).save(file)
    assert dial.main(["status", str(file)]) == 1
    topology.set_line(box.outside, up=True)
    assert dial.main(["status", str(file)]) == 0


@pytest.mark.net
def test_a_busy_provider_is_found_engaged(
    box: Box, file: Path, slept: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    Provider(box.outside, dial_s=5.0, busy=True).save(file)
    assert dial.main(["up", str(file)]) == 1
    assert capsys.readouterr().out == "failed the number is engaged\n"
    assert slept == [4.0]
    assert not topology.line_is_up(box.outside)
    assert Provider.load(file).rises == 0


@pytest.mark.net
def test_the_file_may_be_changed_during_a_dial(
    box: Box, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(_: float) -> None:
        changed = json.loads(file.read_text()) | {"sticky": True}
        file.write_text(json.dumps(changed))

    monkeypatch.setattr(time, "sleep", change)
    assert dial.main(["up", str(file)]) == 0
    assert Provider.load(file) == Provider(box.outside, 5.0, sticky=True, rises=1)


@pytest.mark.usefixtures("slept")
@pytest.mark.parametrize("what", ["up", "down", "status"])
def test_without_the_provider_it_is_one_sentence(
    what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "provider.json"
    Provider("pr-there-is-none", 0).save(file)
    assert dial.main([what, str(file)]) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "failed there is no network namespace pr-there-is-none"
