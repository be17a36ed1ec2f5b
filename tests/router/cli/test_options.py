from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.controlled import TOKEN, Controlled
from tests.router.cli.conftest import command


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Controlled]:
    with Controlled(tmp_path).running() as served:
        yield served


@pytest.fixture
def token_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "control.token"
    path.write_text(TOKEN + "\n")
    path.chmod(0o600)
    monkeypatch.setenv("POSTROAD_TOKEN_FILE", str(path))
    return path


@pytest.mark.usefixtures("token_file")
def test_a_router_on_the_lan_is_asked_with_the_token(served: Controlled) -> None:
    done = command("status", "--control", f"tcp:127.0.0.1:{served.port}")
    assert (done.exit_code, done.output.splitlines()[0]) == (0, "postroad 9, process 77, up 3s")
    done = command("up", "--no-wait", "--control", f"tcp:127.0.0.1:{served.port}")
    assert served.lines.asked == [("raise", "isp", "token from 127.0.0.1")]


@pytest.mark.usefixtures("token_file")
def test_what_is_not_for_the_lan_is_one_sentence(served: Controlled) -> None:
    control = f"tcp:127.0.0.1:{served.port}"
    done = command("capture", "lan", "-w", "/dev/null", "--control", control)
    assert (done.exit_code, done.stderr) == (
        1,
        "postroad: this is not for the LAN; ask by the control socket of the machine\n",
    )


def test_a_token_that_others_may_read_is_not_used(served: Controlled, token_file: Path) -> None:
    token_file.chmod(0o644)
    done = command("status", "--control", f"tcp:127.0.0.1:{served.port}")
    assert done.exit_code == 2
    assert "others may use this file" in done.stderr
    assert TOKEN not in done.output


def test_without_a_token_the_variable_is_named(
    served: Controlled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("POSTROAD_TOKEN_FILE", raising=False)
    done = command("status", "--control", f"tcp:127.0.0.1:{served.port}")
    assert (done.exit_code, done.stderr) == (
        2, "POSTROAD_TOKEN_FILE: the name of a file with the token is needed\n",
    )  # fmt: skip


@pytest.mark.usefixtures("token_file")
@pytest.mark.parametrize("control", ["tcp:", "tcp:4190", "tcp:host:", "tcp:host:65536", "tcp:h:x"])
def test_what_is_no_place_on_the_lan_is_told_with_an_example(control: str) -> None:
    done = command("status", "--control", control)
    assert done.exit_code == 2
    assert f"{control!r} does not read like tcp:192.168.1.1:4190" in done.stderr


@pytest.mark.usefixtures("token_file")
def test_nobody_there_is_one_sentence_with_code_1() -> None:
    done = command("status", "--control", "tcp:127.0.0.1:1")
    assert (done.exit_code, done.stderr) == (
        1, "postroad: no router answers at 127.0.0.1:1; is one running?\n",
    )  # fmt: skip
