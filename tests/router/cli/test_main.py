import subprocess
import sys
from pathlib import Path

import pytest

from router import __version__
from tests.router.cli.conftest import command


def test_version_and_help() -> None:
    assert command("--version").output == f"postroad, version {__version__}\n"
    done = command("-h")
    assert done.exit_code == 0
    for name in (
        "run", "check", "status", "up", "down", "holding", "events", "top", "sessions", "mappings",
        "forward", "explain", "capture",
    ):  # fmt: skip
        assert f"\n  {name} " in done.output


def test_the_package_is_the_command() -> None:
    said = subprocess.run(
        [sys.executable, "-P", "-m", "router", "dial"], capture_output=True, text=True, check=False
    )
    assert (said.returncode, said.stderr[:16]) == (2, "Usage: postroad ")


def test_an_unknown_command_is_bad_usage() -> None:
    done = command("dial")
    assert (done.exit_code, "No such command 'dial'" in done.stderr) == (2, True)


def test_every_mistake_of_a_configuration_is_told_with_code_2(tmp_path: Path) -> None:
    path = tmp_path / "router.toml"
    path.write_text('[lan]\naddress = "192.168.1.1"\ndevise = "eth1"\n')
    done = command("check", "-c", path)
    assert done.exit_code == 2
    assert done.stdout == ""
    for key in ("lan.address", "lan.devise", "link"):
        assert f"{path}: {key}: " in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["status"],
        ["sessions", "--json"],
        ["mappings"],
        ["up"],
        ["up", "isp"],
        ["up", "isp", "--no-wait"],
        ["down", "isp"],
        ["holding"],
        ["events"],
        ["forward", "list"],
        ["forward", "add", "tcp 80 -> 192.168.1.10"],
        ["capture", "lan", "-w", "/dev/null"],
    ],
)
def test_no_router_is_one_sentence_with_code_1(arguments: list[str], tmp_path: Path) -> None:
    socket = tmp_path / "control.sock"
    done = command(*arguments, "--control", socket)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == f"postroad: no router answers at {socket}; is one running?\n"
