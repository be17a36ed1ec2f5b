import json

import pytest

from tests.router.cli.conftest import RULES, RunningRouter


def rules(running: RunningRouter) -> list[str]:
    answer = json.loads(running.command("forward", "list", "--json").stdout)
    return [row["rule"] for row in answer["forwards"]]


def test_the_list_tells_rule_and_origin(running: RunningRouter) -> None:
    lines = running.command("forward", "list").output.splitlines()
    origin = running.config_path.parent / "forward.rules"
    assert [line.split("  ")[0] for line in lines[2:]] == RULES.splitlines()
    assert lines[2].endswith(f"{origin}:1") or str(origin) in lines[2]


def test_add_is_for_this_run_only_and_says_so(running: RunningRouter) -> None:
    done = running.command("forward", "add", "udp 5000-5010 -> 192.168.1.20")
    assert (done.exit_code, done.output) == (
        0,
        "added udp 5000-5010 -> 192.168.1.20, until the next reload or restart;"
        " the rule file is unchanged\n",
    )
    assert rules(running)[2:] == ["udp 5000-5010 -> 192.168.1.20"]
    assert (running.config_path.parent / "forward.rules").read_text() == RULES
    running.command("forward", "reload")
    assert rules(running) == RULES.splitlines()


@pytest.mark.parametrize(
    ("rule", "code", "sentence"),
    [
        ("tcp 25 -> 192.168.1.11", 1, "postroad: "),
        ("tcp 99999 -> 192.168.1.11", 2, "rule: '99999' is not a port"),
        ("tcp 26 -> 8.8.8.8", 2, "8.8.8.8"),
        ("# nothing", 2, "rule: '# nothing' is not one rule"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(
    running: RunningRouter, rule: str, code: int, sentence: str
) -> None:
    done = running.command("forward", "add", rule)
    assert (done.exit_code, sentence in done.stderr) == (code, True), done.stderr
    assert rules(running) == RULES.splitlines()


@pytest.mark.parametrize(
    "text",
    ["tcp 8080", "tcp  8080", "tcp 8080 -> 192.168.1.10:80 from 198.51.100.0/24"],
)
def test_remove_takes_the_rule_or_its_ports(running: RunningRouter, text: str) -> None:
    done = running.command("forward", "remove", text)
    assert done.output.startswith("removed tcp 8080 -> 192.168.1.10:80 from 198.51.100.0/24, until")
    assert rules(running) == ["tcp 25 -> 192.168.1.10"]


def test_remove_of_what_is_not_there(running: RunningRouter) -> None:
    done = running.command("forward", "remove", "tcp 80")
    assert done.exit_code == 1
    assert "no forward reads 'tcp 80'" in done.stderr


@pytest.mark.parametrize(("option", "left"), [([], 1), (["--reset-affected"], 0)])
def test_reload_ends_sessions_only_when_told(
    running: RunningRouter, option: list[str], left: int
) -> None:
    inbound = "tcp 198.51.100.7:999 -> 203.0.113.2:25"
    running.lan.far.setblocking(True)
    running.wan.put(running.frame(inbound))
    running.lan.far.recv(70000)
    (running.config_path.parent / "forward.rules").write_text("")
    done = running.command("forward", "reload", *option)
    assert done.output == f"0 forwards in force, {1 - left} sessions reset\n"
    assert rules(running) == []
    assert running.forwarder.session_count == left


def test_a_wrong_file_changes_nothing(running: RunningRouter) -> None:
    (running.config_path.parent / "forward.rules").write_text("tcp 25\nudp x -> y\n")
    done = running.command("forward", "reload")
    assert done.exit_code == 2
    assert done.stderr.count("forward.rules:") == 3
    assert rules(running) == RULES.splitlines()


def test_json_beside_every_change(running: RunningRouter) -> None:
    rule = "udp 53 -> 192.168.1.10"
    added = json.loads(running.command("forward", "add", rule, "--json").stdout)
    assert added == {"added": {"rule": rule, "origin": "control"}}
    removed = json.loads(running.command("forward", "remove", rule, "--json").stdout)
    assert removed == {"removed": {"rule": rule, "origin": "control"}}
    reloaded = json.loads(running.command("forward", "reload", "--json").stdout)
    assert reloaded == {"forwards": 2, "sessions_reset": 0}
