"""The complaints: each number has its cure and the test that shows it, or the reason why not.

`complaints.txt` has one line for each test of a complaint:

    NUMBER what it is | yes, partly: REASON, elsewhere: REASON or no: REASON | TEST ID or -
"""

from pathlib import Path
from typing import NamedTuple

import pytest

from tests.rfc.test_ledger import ROOT, names_in, runs

HERE = Path(__file__).parent
NUMBERS = range(1, 37)


class Line(NamedTuple):
    number: int
    complaint: str
    status: str
    test: str


def ledger() -> list[Line]:
    lines = []
    for text in (HERE / "complaints.txt").read_text().splitlines():
        if text and not text.startswith("#"):
            title, status, test = (cell.strip() for cell in text.split(" | "))
            number, complaint = title.split(maxsplit=1)
            lines.append(Line(int(number), complaint, status, test))
    return lines


def test_no_complaint_is_left_out_and_each_has_one_title_and_one_status() -> None:
    told = {(line.number, line.complaint, line.status) for line in ledger()}
    assert sorted(number for number, *_ in told) == list(NUMBERS)


@pytest.mark.parametrize("line", ledger(), ids=str)
def test_what_is_cured_has_a_test_that_runs_and_what_is_not_has_a_reason(line: Line) -> None:
    word, _, reason = line.status.partition(": ")
    assert (word, bool(reason)) in {
        ("yes", False),
        ("partly", True),
        ("elsewhere", True),
        ("no", True),
    }
    assert runs(line.test) or (line.test == "-" and word in ("elsewhere", "no"))


@pytest.mark.parametrize("path", sorted(HERE.glob("test_complaints_*.py")), ids=lambda p: p.stem)
def test_each_test_of_a_complaint_is_in_the_ledger_under_its_number(path: Path) -> None:
    cited = {(line.test, line.number) for line in ledger()}
    ids = {
        (f"{path.relative_to(ROOT)}::{name}", int(name.split("_")[1])) for name in names_in(path)
    }
    assert ids <= cited
