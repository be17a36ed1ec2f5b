"""Medians and ratios of one run, as a table on the terminal, as JSON and in the README."""

import platform
import re
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from os import cpu_count
from pathlib import Path

from rich.table import Table

from .loads import LOADS, Metric
from .network import BenchError
from .variants import BASELINE, Variant

__all__ = [
    "Limit",
    "Report",
    "limits_markdown",
    "limits_table",
    "replace_section",
    "require_section",
]

METRICS = tuple(metric for load in LOADS for metric in load.metrics)


@dataclass(frozen=True, slots=True)
class Limit:
    """One row of the limits table: a measured number, ready for people, and its raw value."""

    name: str
    title: str
    value: float
    text: str


@dataclass(slots=True)
class Report:
    """Every sample of a run; `rounds` and `seconds` are how it was made."""

    variants: Sequence[Variant]
    rounds: int
    seconds: int
    samples: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))

    def add(self, variant: Variant, metrics: Sequence[Metric], values: Sequence[float]) -> None:
        """Keep what one load measured on one variant."""
        for metric, value in zip(metrics, values, strict=True):
            self.samples[variant.name, metric.name].append(value)

    def median(self, variant: str, metric: str) -> float:
        """Return the median of the run, in the metric's base unit."""
        return statistics.median(self.samples[variant, metric])

    def ratio(self, variant: str, metric: str) -> float | None:
        """Return the median over the baseline's, None when the baseline's is zero."""
        base = self.median(BASELINE, metric)
        return self.median(variant, metric) / base if base else None

    def method(self) -> str:
        """Say in one paragraph what was measured and how."""
        legend = "; ".join(f"{variant.name}: {variant.title}" for variant in self.variants)
        return (
            f"{legend}. One interleaved run, {self.rounds} rounds of {self.seconds} s per load, "
            f"variants in turn forwards and backwards; medians; x is the ratio to the raw copier's "
            f"median of the same run. TCP Reno in every namespace, MTU 1500 where not said "
            f"otherwise, offloads on. Client, server and router share {cpu_count()} cores of "
            f"{_processor()}, Linux {platform.release()}, Python {platform.python_version()}. "
            f"Round trips: lower is better; rates: higher is better."
        )

    def table(self) -> Table:
        """Return the table for a terminal."""
        table = Table("", *(variant.name for variant in self.variants))
        for column in table.columns[1:]:
            column.justify = "right"
        for row in self._rows():
            table.add_row(*row)
        return table

    def markdown(self) -> str:
        """Return the table and the method for the README."""
        heads = ["", *(variant.name for variant in self.variants)]
        return f"{_markdown(heads, self._rows())}\n\n{self.method()}"

    def as_json(self) -> dict[str, object]:
        """Return medians and ratios in base units (bit/s, packets/s, µs), and every sample."""
        return {
            "rounds": self.rounds,
            "seconds": self.seconds,
            "baseline": BASELINE,
            "method": self.method(),
            "variants": {variant.name: self._numbers(variant.name) for variant in self.variants},
        }

    def _numbers(self, variant: str) -> dict[str, object]:
        return {
            metric.name: {
                "median": self.median(variant, metric.name),
                "ratio": self.ratio(variant, metric.name),
                "samples": self.samples[variant, metric.name],
            }
            for metric in METRICS
        }

    def _rows(self) -> list[list[str]]:
        return [
            [_title(metric), *(self._cell(variant.name, metric) for variant in self.variants)]
            for metric in METRICS
        ]

    def _cell(self, variant: str, metric: Metric) -> str:
        text = f"{self.median(variant, metric.name) * metric.scale:,.{metric.digits}f}"
        ratio = self.ratio(variant, metric.name)
        return text if ratio is None or variant == BASELINE else f"{text} ({ratio:.2f}x)"


def limits_table(limits: Sequence[Limit]) -> Table:
    """Return the limits for a terminal."""
    table = Table("", "measured")
    table.columns[1].justify = "right"
    for limit in limits:
        table.add_row(limit.title, limit.text)
    return table


def limits_markdown(limits: Sequence[Limit]) -> str:
    """Return the limits for the README."""
    return _markdown(["", "measured"], [[limit.title, limit.text] for limit in limits])


def require_section(path: Path, name: str) -> None:
    """Raise BenchError unless the file holds the section's two comments, once."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    count = len(_section(name).findall(text))
    if count != 1:
        raise BenchError(f"{path.name} has {count} sections {name}:begin to {name}:end, not one")


def replace_section(path: Path, name: str, text: str) -> None:
    """Put `text` between the `name:begin` and `name:end` comments of a Markdown file."""
    require_section(path, name)
    section = f"<!-- {name}:begin -->\n{text}\n<!-- {name}:end -->"
    old = path.read_text(encoding="utf-8")
    path.write_text(_section(name).sub(lambda _: section, old), encoding="utf-8")


def _section(name: str) -> re.Pattern[str]:
    return re.compile(f"<!-- {name}:begin -->.*?<!-- {name}:end -->", re.DOTALL)


def _title(metric: Metric) -> str:
    return f"{metric.title}, {metric.unit}" if metric.unit else metric.title


def _markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rule = ["---", *("---:" for _ in heads[1:])]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, rule, *rows))


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(": ")[2]
    return platform.machine()
