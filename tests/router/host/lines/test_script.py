"""What commands say, and what becomes of it."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from router.errors import DeviceError
from router.host.lines.script import MOST_LOGGED, Outcome, Script, Told
from router.wire.address import format_address

SECRET = "hunter2"  # noqa: S105 - nobody's


def told(*lines: str) -> Told:
    heard = Told("isp")
    for line in lines:
        heard.hear(line)
    return heard


@pytest.mark.parametrize(
    ("line", "address"),
    [
        ("address 203.0.113.2/24", "203.0.113.2/24"),
        ("address 100.64.0.7", "100.64.0.7/32"),
        ("address   10.0.0.1/8  ", "10.0.0.1/8"),
    ],
)
def test_an_address(line: str, address: str) -> None:
    heard = told(line)
    assert heard.address is not None
    assert f"{format_address(heard.address[0])}/{heard.address[1]}" == address
    assert not heard.wrong


@pytest.mark.parametrize(
    "line",
    [
        "address",
        "address up",
        "address 203.0.113.2/33",
        "address 203.0.113.2/0",
        "address 203.0.113.2/x",
        "address 0.0.0.0/24",
        "address 127.0.0.1/8",
        "address 224.0.0.1/32",
        "address 255.255.255.255",
        "address 2001:db8::1/64",
        "gateway 203.0.113.1/24",
        "gateway 0.0.0.0",
        "mtu 67",
        "mtu 65536",
        "mtu",
        "dns one",
    ],
)
def test_what_makes_no_sense_is_a_failure_that_names_the_word(line: str) -> None:
    word = line.split()[0]
    heard = told("address 203.0.113.2/24", line)
    assert heard.wrong == word
    assert Outcome.of("up", heard, 0).why == f"its up command gave no valid {word}"


def test_the_rest_of_a_line() -> None:
    heard = told("gateway 203.0.113.1", "mtu 1492", "dns 9.9.9.9", "dns 1.1.1.1", "mtu 1400")
    assert heard.gateway is not None
    assert format_address(heard.gateway) == "203.0.113.1"
    assert heard.mtu == 1400
    assert list(map(format_address, heard.dns)) == ["9.9.9.9", "1.1.1.1"]


@pytest.mark.parametrize("line", ["Address 1.2.3.4", "addresses 1.2.3.4/24", "ATDT 0190", "+++"])
def test_anything_else_is_nothing(line: str) -> None:
    assert told(line) == told()


def test_connected_is_told_at_once() -> None:
    calls: list[str] = []
    heard = Told("isp", lambda: calls.append("connected"))
    heard.hear("connected")
    assert calls == ["connected"]


@pytest.mark.parametrize(
    ("lines", "code", "why"),
    [
        ([], 0, ""),
        (["failed the number is engaged"], 0, ""),
        (["failed the number is engaged"], 3, "the number is engaged"),
        ([], 3, "its up command ended with code 3"),
        (["failed engaged"], -15, "its up command was ended by signal 15"),
        (["failed " + "x" * 500], 1, "x" * 200),
        (["failed a\x1b[2Jb"], 1, "a?[2Jb"),
        (["refused wrong password"], 3, "wrong password"),
        (["refused " + "x" * 500], 1, "x" * 200),
        (["failed no answer", "refused wrong password"], 1, "wrong password"),
        (["refused"], 3, "its up command ended with code 3"),
    ],
)
def test_how_a_run_ended(lines: list[str], code: int, why: str) -> None:
    assert Outcome.of("up", told(*lines), code).why == why


@pytest.mark.parametrize(
    ("lines", "code", "is_refusal"),
    [
        (["refused wrong password"], 1, True),
        (["refused"], 1, True),
        (["refused wrong password", "failed giving up"], 1, True),
        (["refused wrong password"], -15, True),
        (["refused wrong password", "address 203.0.113.2/24"], 0, False),
        (["failed wrong password"], 1, False),
        (["log refused"], 1, False),
        ([], 1, False),
    ],
)
def test_whether_the_provider_refused_the_login(
    lines: list[str], code: int, is_refusal: bool
) -> None:
    assert Outcome.of("up", told(*lines), code).is_refusal is is_refusal


class TestLog:
    def test_only_what_is_meant_for_it_is_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.DEBUG):
            told("log the modem answers", f"password: {SECRET}", f"address {SECRET}")
        assert [record.getMessage() for record in caplog.records] == ["isp: the modem answers"]

    def test_a_command_in_a_loop_does_not_fill_it(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.INFO):
            told(*["log again"] * 1000)
        assert len(caplog.records) == MOST_LOGGED

    def test_nothing_in_it_moves_a_terminal(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.INFO):
            told("log \x1b]0;title\x07" + "y" * 1000)
        assert caplog.records[0].getMessage() == "isp: ?]0;title?" + "y" * 190


@pytest.fixture
def a_command(tmp_path: Path) -> Callable[[str], list[str]]:
    def make(text: str) -> list[str]:
        path = tmp_path / "command"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return [str(path), "--password", SECRET]

    return make


Make = Callable[[str], list[str]]


def run(command: list[str], limit_s: float = 5.0, netns: str = "") -> Outcome:
    async def whole() -> Outcome:
        return await Script("isp", netns, "ppp0").run("status", command, limit_s)

    return asyncio.run(whole())


def test_it_knows_where_it_is_and_nothing_else(a_command: Make, tmp_path: Path) -> None:
    run(a_command(f"env >{tmp_path}/seen"))
    seen = dict(line.split("=", 1) for line in (tmp_path / "seen").read_text().splitlines())
    assert seen.pop("PATH").startswith("/usr/local/sbin:")
    assert {key: value for key, value in seen.items() if key not in ("PWD", "_", "SHLVL")} == {
        "POSTROAD_LINK": "isp",
        "POSTROAD_DEVICE": "ppp0",
        "POSTROAD_NETNS": "",
    }


def test_one_that_takes_too_long_is_ended(a_command: Make) -> None:
    outcome = run(a_command("echo address 203.0.113.2/24; sleep 600"), limit_s=0.3)
    assert outcome.why == "its status command took longer than 0 s"
    assert outcome.told.address is not None


def test_one_that_cannot_be_started_says_so_without_its_words() -> None:
    outcome = run(["/nowhere/status", SECRET])
    assert outcome.why == "its status command cannot be started: No such file or directory"


def test_no_argument_is_in_a_message(a_command: Make, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        outcome = run(a_command("echo $2; echo $2 >&2; exit 1"))
    assert outcome.why == "its status command ended with code 1"
    assert SECRET not in repr(outcome)
    assert SECRET not in caplog.text


@pytest.mark.net
def test_without_its_namespace_it_is_not_run(a_command: Make) -> None:
    with pytest.raises(DeviceError, match=r"^there is no network namespace pt-never$"):
        run(a_command("exit 0"), netns="pt-never")
