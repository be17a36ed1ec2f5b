import json
from pathlib import Path

import pytest

from .loads import LOADS
from .network import BenchError
from .report import Report, replace_section
from .variants import BASELINE, VARIANTS

SECTION = "before\n<!-- bench:begin -->\nold | table\n<!-- bench:end -->\nafter\n"


@pytest.fixture
def report() -> Report:
    filled = Report(VARIANTS[:2], rounds=3, seconds=1)
    for place, variant in enumerate(filled.variants, start=1):
        for sample in (1.0, 9.0, 2.0):
            for load in LOADS:
                filled.add(variant, load.metrics, [place * sample * 1e9] * len(load.metrics))
    return filled


def test_the_median_shrugs_off_one_bad_round(report: Report) -> None:
    assert report.median(BASELINE, "tcp_up") == 2e9


def test_ratios_are_of_medians_to_the_baseline(report: Report) -> None:
    assert report.ratio("postroad", "udp64") == 2.0
    assert report.ratio(BASELINE, "udp64") == 1.0


def test_there_is_no_ratio_to_nothing(report: Report) -> None:
    report.samples[BASELINE, "connections_failed"] = [0.0]
    assert report.ratio("postroad", "connections_failed") is None
    assert "| 4,000,000,000 |" in report.markdown()


def test_a_row_of_the_readme(report: Report) -> None:
    assert "| TCP up, Gbit/s | 2.0 | 4.0 (2.00x) |" in report.markdown().splitlines()


def test_the_json_holds_every_sample(report: Report) -> None:
    document = json.loads(json.dumps(report.as_json()))
    assert document["variants"]["postroad"]["tcp_down"] == {
        "median": 4e9,
        "ratio": 2.0,
        "samples": [2e9, 18e9, 4e9],
    }


def test_only_the_section_is_replaced(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(SECTION)
    replace_section(readme, "bench", r"new \1 | table")
    assert readme.read_text() == SECTION.replace("old | table", r"new \1 | table")


@pytest.mark.parametrize("text", ["no section", SECTION + SECTION, SECTION.replace("end", "ende")])
def test_a_file_without_the_one_section_is_left_alone(tmp_path: Path, text: str) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(text)
    with pytest.raises(BenchError, match=r"README.md has \d sections"):
        replace_section(readme, "bench", "new")
    assert readme.read_text() == text
