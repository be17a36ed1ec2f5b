import json
from collections.abc import Iterator
from math import inf
from pathlib import Path

import pytest

from router.link.rows import HeldRow, HolderRow, LeaseRow
from tests.lab.controlled import Controlled
from tests.router.cli.conftest import command

SYN = "tcp 192.168.1.10:4000 -> 198.51.100.7:80 flags syn"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Controlled]:
    with Controlled(tmp_path).running() as served:
        served.lines.waiting = [HeldRow("mail", SYN, 1.4, 58.6, 2, 60)]
        served.lines.holders = [
            HolderRow("isp", "mail", "tcp ...:80", "accept everything", 170.0),
            HolderRow("isp", "192.168.1.11", "tcp ...:22", "keepup [red]tcp[/]", inf),
        ]
        served.lines.leases = {"m1": LeaseRow("m1", "raise", "mail", "192.168.1.10", 80.0)}
        yield served


def words(output: str) -> list[list[str]]:
    return [line.split() for line in output.splitlines()]


def test_there_is_a_table_of_each_kind(served: Controlled) -> None:
    done = command("holding", "--control", served.path)
    assert done.exit_code == 0
    rows = words(done.output)
    assert ["mail", *SYN.split(), "2", "60", "bytes", "1s", "59s"] in rows
    assert ["mail", "isp", "tcp", "...:80", "accept", "everything", "2m50s"] in rows
    assert ["m1", "raise", "192.168.1.10", "mail", "1m20s"] in rows
    forever = [
        "192.168.1.11",
        "isp",
        "tcp",
        "...:22",
        "keepup",
        "[red]tcp[/]",
        "until",
        "it",
        "ends",
    ]
    assert forever in rows


def test_what_is_empty_is_said(tmp_path: Path) -> None:
    with Controlled(tmp_path).running() as idle:
        done = command("holding", "--control", idle.path)
    assert done.output.split("\n\n") == [
        "No packet waits for the line.",
        "No session holds the line.",
        "Nobody has a lease.\n",
    ]


def test_as_json_it_is_the_answer_itself(served: Controlled) -> None:
    done = command("holding", "--json", "--control", served.path)
    assert json.loads(done.stdout) == served.client.holding()
