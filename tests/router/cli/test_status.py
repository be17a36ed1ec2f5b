import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from router.link.rows import BudgetRow, LinkRow
from router.link.types import State
from tests.lab.controlled import DETAILS, Controlled
from tests.lab.scripted import link_row
from tests.router.cli.conftest import HEADER, STATUS, RunningRouter, command

OUT = "udp 192.168.1.10:4000 -> 198.51.100.7:53"


def test_status_tells_line_uptime_counts_and_reasons(running: RunningRouter) -> None:
    running.outbound(OUT, OUT)
    done = running.command("status")
    assert done.exit_code == 0
    lines = done.output.splitlines()
    assert lines[:4] == [
        "postroad 9.9, process 77, up 1h1m1s",
        "line isp: UP with 203.0.113.2 on wan0 for 0s, it is to be up always (configuration)",
        "LAN: 192.168.1.1/24 on eth1 by way of lan0",
        "1 sessions, 1 mappings",
    ]
    words = [line.split() for line in lines]
    assert ["LAN", "lan0", "2", "56", "bytes", "0", "0", "bytes", "0", "0", "0"] in words
    assert ["1", "new-session", *["opens", "a", "session", "from", "the", "LAN"]] in words


def test_status_as_json_is_the_answer_itself(running: RunningRouter) -> None:
    answer = json.loads(running.command("status", "--json").stdout)
    traffic, (link,), budgets = (answer.pop(key) for key in ("traffic", "links", "budgets"))
    (described,) = STATUS["links"]
    assert answer == {key: value for key, value in STATUS.items() if key != "links"}
    assert {key: link[key] for key in described} == described
    assert (link["state"], link["address"], budgets) == ("UP", "203.0.113.2", [])
    assert (traffic["sessions"], traffic["lan"]["tun"]) == (0, "lan0")


NAMES = {"queries": 9, "cached": 4, "refused": 3, "failed": 2, "waiting": 1}


@pytest.mark.parametrize(
    ("pid", "process"), [(123, "dnsmasq, process 123"), (None, "dnsmasq is not running")]
)
def test_names_have_a_line_where_they_are_served(
    running: RunningRouter, monkeypatch: pytest.MonkeyPatch, pid: int | None, process: str
) -> None:
    assert "names:" not in running.command("status").output
    monkeypatch.setitem(STATUS, "names", {"pid": pid, **NAMES})
    assert (
        f"names: {process}, 9 asked for outside, 4 of them known, 3 refused, 2 failed, 1 waiting\n"
        in running.command("status").output
    )


def test_faults_are_mentioned(running: RunningRouter) -> None:
    running.plane._faults.count = 3
    assert "3 internal faults, see the router's log" in running.command("status").output


def test_malformed_packets_have_a_table_of_their_own_once_there_are_any(
    running: RunningRouter,
) -> None:
    assert "Malformed" not in running.command("status").output
    running.lan.put(HEADER + bytes([0x65]) + bytes(39), HEADER + bytes(3))
    running.lan.put(HEADER + bytes([0x65]) + bytes(39))
    running.outbound(OUT)
    lines = running.command("status").output.splitlines()
    words = [line.split() for line in lines]
    start = words.index(["Malformed", "Flaw", "Meaning"])
    assert words[start - 1] == []
    assert [line[:2] for line in words[start + 1 :] if line[1:]] == [
        ["2", "version"],
        ["1", "truncated"],
    ]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Controlled]:
    with Controlled(tmp_path).running() as served:
        yield served


@pytest.mark.parametrize(
    ("row", "lines"),
    [
        (
            link_row("isp", State.UP, address="203.0.113.2", reason="tcp ...", by="alice",
                     falls_in_s=42.4),
            ["line isp: UP with 203.0.113.2 on wan0 for 5s, tcp ... (alice)",
             "  falls in 42s unless something holds it"],
        ),
        (
            link_row("isp", State.HOLDOFF, reason="the provider is busy", by="isp", failures=3,
                     again_in_s=91.4),
            ["line isp: HOLDOFF for 5s, the provider is busy (isp); again in 1m31s,"
             " or by postroad up isp",
             "  attempts that failed in a row: 3"],
        ),
        (
            link_row("isp", State.DISABLED, blocked="over budget: 120 minutes a day"),
            ["line isp: DISABLED for 5s, at start (router)",
             "  traffic may not raise it: over budget: 120 minutes a day"],
        ),
        (
            link_row("isp", State.HOLDOFF, reason="login refused: user unknown",
                     blocked="login refused: user unknown; left to people: postroad up isp"),
            ["line isp: HOLDOFF for 5s",
             "  traffic may not raise it: login refused: user unknown;"
             " left to people: postroad up isp"],
        ),
        (
            link_row("isp", State.DISABLED, reason="6 dials within an hour; next try in 1h",
                     blocked="6 dials within an hour; next try in 59m, or by postroad up"),
            ["line isp: DISABLED for 5s",
             "  traffic may not raise it: 6 dials within an hour; next try in 59m,"
             " or by postroad up"],
        ),
    ],
)  # fmt: skip
def test_of_each_line_there_is_what_one_asks_for(
    served: Controlled, row: LinkRow, lines: list[str]
) -> None:
    served.lines.links = [row]
    said = command("status", "--control", served.path).output.splitlines()
    assert said[1 : 1 + len(lines)] == lines
    assert said[1 + len(lines)].startswith("LAN: ")


NONE = {"carrier": "", "login": "", "peer": "", "dns": [], "waiting_packets": 0}
NO_FRAMES = {"frames": {"received": 0, "sent": 0}, "bad_frames": {}, "dropped_packets": {}}


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        (
            {},
            ["  ppp: CONNECT 33600, CHAP, peer 203.0.113.1, names 198.51.100.20",
             "  frames: 1032 in, 987 out, 3 bad (2 bad-fcs, 1 malformed),"
             " 12 packets dropped (12 delay), 4 wait"],
        ),
        (
            {"bad_frames": {"bad-fcs": 0}, "dropped_packets": {"delay": 0}, "waiting_packets": 0,
             "login": "", "dns": ["198.51.100.20", "198.51.100.21"]},
            ["  ppp: CONNECT 33600, peer 203.0.113.1, names 198.51.100.20 and 198.51.100.21",
             "  frames: 1032 in, 987 out"],
        ),
        (
            NONE,
            ["  frames: 1032 in, 987 out, 3 bad (2 bad-fcs, 1 malformed),"
             " 12 packets dropped (12 delay)"],
        ),
        (NONE | NO_FRAMES, []),
        (NONE | NO_FRAMES | {"carrier": "CONNECT"}, ["  ppp: CONNECT"]),
    ],
    ids=["all", "nothing wrong", "down", "never up", "logging in"],
)  # fmt: skip
def test_a_ppp_line_tells_what_it_has_got_and_what_went_wrong(
    served: Controlled, changes: dict[str, object], lines: list[str]
) -> None:
    served.told["links"][0]["details"] = DETAILS | changes
    said = command("status", "--control", served.path).output.splitlines()
    assert said[2 : 2 + len(lines)] == lines
    assert said[2 + len(lines)].startswith("LAN: ")


def test_budgets_are_a_table_where_there_are_any(served: Controlled) -> None:
    assert "Budget" not in command("status", "--control", served.path).output
    served.lines.budgets = [
        BudgetRow("day", "dials", 10.0, 40, 7200.0),
        BudgetRow("month", "bytes", 1.25e9, 10_000_000_000, 90061.0),
        BudgetRow("month", "minutes", 0.0, 0, 90061.0),
    ]
    lines = command("status", "--control", served.path).output.splitlines()
    words = [line.split() for line in lines]
    start = words.index(["Budget", "Of", "Used", "Allowed", "Share", "Begins", "anew", "in"])
    assert words[start + 2 : start + 5] == [
        ["day", "dials", "10", "40", "25%", "2h"],
        ["month", "bytes", "1.2", "GB", "10.0", "GB", "12%", "25h1m1s"],
        ["month", "minutes", "0", "0", "100%", "25h1m1s"],
    ]
