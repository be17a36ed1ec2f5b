from pathlib import Path

import pytest

from router import daemon
from router.config import Config
from router.errors import DeviceError
from tests.router.cli.conftest import CONFIG, command


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Config]:
    """What `run` was asked to be, instead of being it."""
    configs: list[Config] = []
    monkeypatch.setattr(daemon, "run", configs.append)
    return configs


def test_run_is_told_the_configuration(config_path: Path, started: list[Config]) -> None:
    assert command("run", "-c", config_path).exit_code == 0
    assert [config.path for config in started] == [config_path]


def test_warnings_are_logged(
    config_path: Path, started: list[Config], caplog: pytest.LogCaptureFixture
) -> None:
    config_path.write_text(CONFIG + '[nat.timeouts]\nudp = "10s"\n')
    command("run", "-c", config_path)
    assert len(started) == 1
    assert "nat.timeouts.udp" in caplog.text


def test_a_wrong_configuration_starts_nothing(config_path: Path, started: list[Config]) -> None:
    config_path.write_text("[lan]\n")
    assert (command("run", "-c", config_path).exit_code, started) == (2, [])


def test_what_the_machine_refuses_is_one_sentence(
    config_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_config: Config) -> None:
        raise DeviceError("there is no /dev/net/tun; load the tun module")

    monkeypatch.setattr(daemon, "run", refuse)
    done = command("run", "-c", config_path)
    assert (done.exit_code, done.stderr) == (
        1,
        "postroad: there is no /dev/net/tun; load the tun module\n",
    )
