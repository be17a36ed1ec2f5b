import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from click.testing import Result

from router.cli import why as why_module
from tests.lab.serving import serving
from tests.router.cli.conftest import command
from tests.router.cli.told_entries import (
    BEGUN,
    NO_LINE,
    NO_PACKET,
    OPEN,
    PACKET,
    told,
    zone,
)

__all__ = ["zone"]

NOW = 1_780_100_000.0
_FAILED = NO_LINE | {"ending": "failed", "detail": "busy", "ended_at": BEGUN + 34.0}


class FakeLedger:
    """What a router answers about its ledger, and what it was asked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries: list[dict[str, Any]] = []
        self.dialers: list[dict[str, Any]] = []
        self.asked: list[tuple[str, dict[str, str]]] = []

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/v1/ledger", self._entries)
        app.router.add_get("/v1/ledger/top", self._top)
        app.router.add_get("/v1/status", self._status)
        return app

    async def _status(self, _request: web.Request) -> web.Response:
        return web.json_response({"links": [{"name": "isp"}, {"name": "lte"}]})

    async def _entries(self, request: web.Request) -> web.Response:
        self.asked.append(("entries", dict(request.query)))
        return web.json_response({"entries": self.entries})

    async def _top(self, request: web.Request) -> web.Response:
        self.asked.append(("top", dict(request.query)))
        return web.json_response({"dialers": self.dialers})

    def why(self, *arguments: str) -> Result:
        return command("why", *arguments, "--control", self.path)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[FakeLedger]:
    made = FakeLedger(tmp_path / "control.sock")
    with serving(made.application(), made.path):
        yield made


def dialer(**fields: object) -> dict[str, Any]:
    usual: dict[str, object] = {
        "by": "mail", "host": "192.168.1.10", "cause": "traffic", "rule": "accept tcp port 25",
        "dials": 41, "up_s": 21600.0, "bytes": 5_000_000, "name": "mail",
    }  # fmt: skip
    return usual | fields


def paragraphs(output: str) -> list[list[str]]:
    return [part.splitlines() for part in output.split("\n\n")]


def rows(lines: list[str]) -> list[list[str]]:
    """The table's rows, cell by cell; two spaces or more are between two cells."""
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in lines[2:]]


def test_the_last_rise_is_told_and_those_before_are_a_table(ledger: FakeLedger) -> None:
    ledger.entries = [told("mail"), told("", **_FAILED)]
    done = ledger.why()
    assert done.exit_code == 0
    first, table = paragraphs(done.output)
    assert first[0].startswith("isp was up from Thu 2026-05-28 22:26:46 to 22:39:32 (12m46s) ")
    assert first[2] == f"    {PACKET}"
    assert table[0].split() == ["Begun", "Line", "Who", "For", "Waited", "Up", "Bytes", "Ended"]
    use = "tcp to 198.51.100.7:25"
    assert rows(table) == [
        ["2026-05-28 22:26", "isp", "mail", use, "6.2s", "12m46s", "1.5 MB", "idle"],
        ["2026-05-28 22:26", "isp", "mail", use, "failed"],
    ]
    assert ledger.asked == [("entries", {"last": "10"})]


def test_what_is_under_way_is_told_whatever_came_after_it(ledger: FakeLedger) -> None:
    ledger.entries = [
        told("", **_FAILED),
        told("", **(OPEN | NO_LINE | {"link": "dsl"})),
        told("mail", **(OPEN | {"link": "lte"})),
    ]
    dsl, lte, table = paragraphs(ledger.why().output)
    assert dsl[0].startswith("dsl is being raised, for ")
    assert lte[0].startswith("lte is up since ")
    assert [row[-1] for row in rows(table)] == ["failed", "being raised", "still up"]


@pytest.mark.parametrize(
    ("fields", "purpose"),
    [
        ({"packet": ""}, "accept tcp port 25"),
        ({"packet": "", "rule": ""}, "traffic"),
        ({"packet": "192.168.1.11 asks for www.example.test A"}, "name www.example.test A"),
        ({"packet": "47 192.168.1.10 -> 198.51.100.7"}, "47 to 198.51.100.7"),
        ({"cause": "lease", "why": "the queue is due"}, "the queue is due"),
        ({"cause": "lease"}, "lease"),
        ({"cause": "user", "why": "mara asked for it"}, "by hand"),
        ({"cause": "permanent", "why": "it is to be up always"}, "permanent"),
        ({"cause": "reconnect", "why": "the line was in use when it was lost"}, "reconnect"),
        ({"cause": "found up"}, "found up"),
        ({"cause": "found up", "continues": 30}, "found up after a kill"),
    ],
)
def test_the_table_says_what_the_line_was_for(
    ledger: FakeLedger, fields: dict[str, object], purpose: str
) -> None:
    ledger.entries = [told("mail", **fields)]
    _, table = paragraphs(ledger.why().output)
    assert purpose in rows(table)[0]


def test_an_empty_ledger_is_said_to_be_so(ledger: FakeLedger) -> None:
    assert ledger.why().output == "The ledger tells of no such attempt to raise a line.\n"
    assert ledger.why("--top").output == "Nobody has dialled.\n"


@pytest.mark.parametrize("options", [[], ["--json"], ["--host", "mail"]])
def test_a_link_there_is_not_is_told_with_those_there_are(
    ledger: FakeLedger, options: list[str]
) -> None:
    done = ledger.why("--link", "ips", *options)
    assert (done.exit_code, done.stdout, done.stderr) == (
        1, "", "postroad: there is no link 'ips'; there are: isp, lte\n",
    )  # fmt: skip


def test_a_link_that_was_never_raised_and_one_that_is_no_more_are_links(
    ledger: FakeLedger,
) -> None:
    never = ledger.why("--link", "lte")
    assert (never.exit_code, never.stdout) == (
        0, "The ledger tells of no such attempt to raise a line.\n",
    )  # fmt: skip
    ledger.entries = [told("mail", link="isdn")]
    assert ledger.why("--link", "isdn").stdout.startswith("isdn was up from ")


def test_the_answer_itself_is_there_for_programs(ledger: FakeLedger) -> None:
    ledger.entries, ledger.dialers = [told("mail")], [dialer()]
    assert json.loads(ledger.why("--json").stdout) == {"entries": [told("mail")]}
    assert json.loads(ledger.why("--json", "--top").stdout) == {"dialers": [dialer()]}


@pytest.mark.parametrize(
    ("since", "epoch"),
    [
        ("7d", NOW - 7 * 86400),
        ("36h", NOW - 36 * 3600),
        ("1d12h30m", NOW - 36.5 * 3600),
        ("90s", NOW - 90),
        ("99999d", 0),
        ("2026-03-01", 1_772_319_600),
        ("2026-05-28T22:26:40", BEGUN),
        ("2026-05-28T20:26:40+00:00", BEGUN),
    ],
)
def test_since_is_a_span_or_a_date(
    ledger: FakeLedger, monkeypatch: pytest.MonkeyPatch, since: str, epoch: float
) -> None:
    monkeypatch.setattr(why_module.time, "time", lambda: NOW)
    assert (
        ledger.why("--since", since, "--link", "isp", "--host", "mail", "--last", "3").exit_code
        == 0
    )
    assert ledger.why("--since", since, "--top").exit_code == 0
    asked = {"last": "3", "link": "isp", "host": "mail", "since": f"{epoch:.0f}"}
    assert ledger.asked == [("entries", asked), ("top", {"since": f"{epoch:.0f}"})]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--since", "yesterday"], '\'yesterday\' is not a span such as "7d" or "36h", or a date'),
        (["--since", "-7d"], "'-7d' is not a span"),
        (["--since", "7"], "'7' is not a span"),
        (["--since", "d"], "'d' is not a span"),
        (["--since", f"{'9' * 400}d"], "is not a span"),
        (["--since", "2026-13-01"], "'2026-13-01' is not a span"),
        (["--since", "0001-01-01"], "'0001-01-01' is not a span"),
        (["--last", "0"], "0 is not in the range 1<=x<=1000"),
        (["--last", "1001"], "1001 is not in the range 1<=x<=1000"),
        (["--top", "--link", "isp"], "--top is about all links and hosts"),
        (["--top", "--host", "mail"], "--top is about all links and hosts"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    ledger: FakeLedger, arguments: list[str], sentence: str
) -> None:
    done = ledger.why(*arguments)
    assert (done.exit_code, done.stdout, ledger.asked) == (2, "", [])
    assert sentence in done.stderr


def test_top_shows_who_dials_most_by_which_rule(ledger: FakeLedger) -> None:
    ledger.dialers = [
        dialer(),
        dialer(by="mara", name="", host="", cause="user", rule="", dials=3, up_s=90.0, bytes=7),
        dialer(dials=1),
    ]
    lines = ledger.why("--top", "--last", "2").output.splitlines()
    assert lines[0].split() == ["Who", "Address", "Rule", "Dials", "Up", "Bytes"]
    assert rows(lines) == [
        ["mail", "192.168.1.10", "accept tcp port 25", "41", "6h", "5.0 MB"],
        ["mara", "user", "3", "1m30s", "7 bytes"],
    ]


def test_a_filter_is_shown_as_it_is_written(ledger: FakeLedger) -> None:
    rule = "accept tcp[tcpflags] & tcp-syn != 0 [/b]"
    ledger.entries = [told("mail", packet="", rule=rule, by="[red]", host="")]
    ledger.dialers = [dialer(rule=rule, name="[blue]")]
    _, table = paragraphs(ledger.why().output)
    assert rule in rows(table)[0]
    shown = rows(ledger.why("--top").output.splitlines())[0]
    assert shown[:3] == ["[blue]", "192.168.1.10", rule]
    ledger.entries = [
        told("", link="[b]", by="[red]", **(NO_PACKET | {"cause": "lease", "why": "[i]"}))
    ]
    _, table = paragraphs(ledger.why().output)
    assert rows(table)[0][1:4] == ["[b]", "[red]", "[i]"]


def test_no_router_is_one_sentence_with_code_1(tmp_path: Path) -> None:
    done = command("why", "--control", tmp_path / "control.sock")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("postroad: no router answers at ")
