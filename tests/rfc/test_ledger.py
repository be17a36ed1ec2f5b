"""The ledgers: which requirement is kept, which is not and why, and the test that shows it.

`rfcNNNN.txt` and `router.txt` have one line for each test of a clause:

    CLAUSE what it asks | MUST, SHOULD or MAY | yes, no: REASON or n-a: REASON | TEST ID or -
"""

import ast
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent

# From the texts of the RFCs, so that no line can be lost with its requirement.
CLAUSES = {
    "rfc4787.txt": {
        "MUST": "REQ-1 REQ-3 REQ-5 REQ-6 REQ-7 REQ-9 REQ-9a REQ-11 REQ-12 REQ-13 REQ-13a REQ-14"
        " REQ-14a",
        "SHOULD": "REQ-2 REQ-3a REQ-4 REQ-5c REQ-8 REQ-10 REQ-10a REQ-12a REQ-12b",
        "MAY": "REQ-5a REQ-5b REQ-6a",
    },
    "rfc5382.txt": {
        "MUST": "REQ-1 REQ-2 REQ-2a REQ-4 REQ-4a REQ-5 REQ-7 REQ-8 REQ-8a REQ-10",
        "SHOULD": "REQ-3 REQ-6 REQ-9",
        "MAY": "REQ-5a",
    },
    "rfc5508.txt": {
        "MUST": "REQ-1 REQ-2 REQ-3b REQ-3d REQ-4 REQ-5 REQ-5c REQ-6 REQ-7 REQ-7a REQ-10a",
        "SHOULD": "REQ-1a REQ-2a REQ-3 REQ-3a REQ-3c REQ-4a REQ-5a REQ-8",
        "MAY": "REQ-9 REQ-10b REQ-11",
    },
    "rfc7857.txt": {
        "MUST": "2.3 12",
        "SHOULD": "2.1 2.2 4 5 6 7.1 9 10 10-whole",
        "MAY": "3 7 8 11",
    },
    "rfc6888.txt": {
        "MUST": "REQ-1 REQ-2 REQ-3 REQ-4 REQ-6 REQ-9 REQ-11",
        "SHOULD": "REQ-5 REQ-7 REQ-8 REQ-10 REQ-12 REQ-13 REQ-14 REQ-15",
    },
    "rfc2516.txt": {
        "MUST": "4-version 4-source 4-unicast 4-reserved 5.1-initiation 5.1-room 5.2-offer"
        " 5.2-heed 5.2-unserved 5.3-request 5.4-confirmation 5.4-refusal 5.5-terminate"
        " 5.5-silence 6-code 6-session 7-options 7-reject 7-mru 7-stop 7-again A-unknown"
        " A-uniq A-uniq-in-request A-cookie A-relay A-agent A-error A-error-heard",
        "SHOULD": "5.5-ppp 7-magic 7-pfc 8-initiation 8-request 9-cookie",
        "MAY": "A-vendor",
    },
    "rfc1661.txt": {
        "MUST": "3.4 3.4-again 3.5 3.5-failed 3.6 3.6-unknown 3.7 3.7-others 4.1 4.6 4.6-failure 5"
        " 5-padding 5.1 5.1-identifier 5.2 5.2-match 5.3 5.3-match 5.3-unasked 5.4 5.4-match"
        " 5.4-obeyed 5.5 5.6 5.7 5.7-cut 5.8 5.8-magic 5.9 6-once 6.2 6.4 6.4-zero 6.4-nak 6.5 6.6",
        "SHOULD": "4.6-defaults 5.5-sent 5.6-received 5.7-early 5.8-early 6-length 6.4-looped",
    },
    "rfc1332.txt": {
        "MUST": "2 2-codes 3.2 3.3 3.3-wrong",
        "SHOULD": "3.1",
        "MAY": "3.3-missing",
    },
    "rfc1877.txt": {
        "MUST": "1.1 1.3",
        "MAY": "1.2",
    },
    "router.txt": {
        "MUST": "hops hops-exceeded no-errors-about error-rate fields offloads malformed mtu"
        " mtu-beyond line lan-routes own-addresses own-reassembly martian-sources"
        " martian-destinations lan-from-wan broadcast no-private protocols udp-zero"
        " udp-ones checksum-wrong checksum-right sctp forward forward-hairpin"
        " forward-closed forward-others forward-reserved forward-reload routed one-to-one"
        " load",
        "SHOULD": "no-route no-route-reserved no-host ingress source-routes quench-redirect",
    },
}


class Line(NamedTuple):
    clause: str
    level: str
    status: str
    test: str


@cache
def ledger(name: str) -> list[Line]:
    lines = []
    for text in (HERE / name).read_text().splitlines():
        if text and not text.startswith("#"):
            title, level, status, test = (cell.strip() for cell in text.split(" | "))
            lines.append(Line(title.split()[0], level, status, test))
    return lines


@cache
def names_in(path: Path) -> frozenset[str]:
    """The names of the tests in a file that nothing keeps from running."""
    names = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            marks = " ".join(ast.unparse(mark) for mark in node.decorator_list)
            if "skip" not in marks and "xfail" not in marks:
                names.add(node.name)
    return frozenset(names)


def runs(test_id: str) -> bool:
    path, _, name = test_id.partition("::")
    return (ROOT / path).is_file() and name in names_in(ROOT / path)


@pytest.mark.parametrize("name", CLAUSES)
def test_no_requirement_is_left_out(name: str) -> None:
    expected = {c: level for level, text in CLAUSES[name].items() for c in text.split()}
    assert {line.clause: line.level for line in ledger(name)} == expected


@pytest.mark.parametrize("name", CLAUSES)
def test_each_status_is_known_and_each_refusal_has_a_reason(name: str) -> None:
    for line in ledger(name):
        word, _, reason = line.status.partition(": ")
        assert (word, bool(reason)) in {("yes", False), ("no", True), ("n-a", True)}, line


@pytest.mark.parametrize("name", CLAUSES)
def test_each_clause_has_one_status(name: str) -> None:
    pairs = {(line.clause, line.status) for line in ledger(name)}
    assert len(pairs) == len({clause for clause, _ in pairs})


@pytest.mark.parametrize("name", CLAUSES)
def test_what_is_kept_has_a_test_and_each_test_runs(name: str) -> None:
    for line in ledger(name):
        assert runs(line.test) or (line.test == "-" and line.status != "yes"), line


@pytest.mark.parametrize("path", sorted(HERE.glob("test_r*.py")), ids=lambda path: path.stem)
def test_each_conformance_test_is_in_a_ledger(path: Path) -> None:
    cited = {line.test for name in CLAUSES for line in ledger(name)}
    ids = {f"{path.relative_to(ROOT)}::{test}" for test in names_in(path)}
    assert ids <= cited


def test_every_must_for_udp_tcp_and_icmp_is_kept() -> None:
    names = ("rfc4787.txt", "rfc5382.txt", "rfc5508.txt", "rfc7857.txt")
    musts = [line for name in names for line in ledger(name) if line.level == "MUST"]
    assert [line for line in musts if line.status != "yes"] == []
