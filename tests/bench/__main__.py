"""The command: every variant through every load, then the limits; see the package."""

import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

from .control import measure_control
from .loads import LOADS, start_servers
from .micro import measure_limits
from .network import BenchError, Testbed
from .report import Limit, Report, limits_markdown, limits_table, replace_section, require_section
from .variants import BASELINE, ROUTER, VARIANTS, Variant

README = Path(__file__).parents[2] / "README.md"


@click.command()
@click.option("--rounds", type=click.IntRange(1), default=4, show_default=True)
@click.option("--seconds", type=click.IntRange(1), default=1, show_default=True)
@click.option(
    "--variant",
    "names",
    type=click.Choice([variant.name for variant in VARIANTS]),
    multiple=True,
    help="Only these, and the copier; default all.",
)
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write numbers here.")
@click.option("--limits/--no-limits", default=True, help="Also measure cost per packet and memory.")
@click.option("--readme", is_flag=True, help="Rewrite the performance tables of README.md.")
def main(
    rounds: int,
    seconds: int,
    names: tuple[str, ...],
    json_path: Path | None,
    limits: bool,
    readme: bool,
) -> None:
    """Measure the router against a raw copier and its peers; needs root."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    console = Console()
    sections = ["bench", "limits"] if limits else ["bench"]
    try:
        for name in sections if readme else ():
            require_section(README, name)
        report, costs = measure(_installed(names, console), rounds, seconds, limits=limits)
        costs = measure_limits() + costs if limits else []
    except BenchError as error:
        raise click.ClickException(str(error)) from None
    console.print(report.table(), report.method(), sep="\n")
    if limits:
        console.print(limits_table(costs))
    if json_path is not None:
        numbers = report.as_json() | {"limits": {limit.name: limit.value for limit in costs}}
        json_path.write_text(json.dumps(numbers, indent=2), encoding="utf-8")
    if readme:
        replace_section(README, "bench", report.markdown())
        if limits:
            replace_section(README, "limits", limits_markdown(costs))


def measure(
    variants: Sequence[Variant], rounds: int, seconds: int, *, limits: bool
) -> tuple[Report, list[Limit]]:
    """Run every load on every variant in turn, the turns forwards and backwards.

    With `limits` the router is asked while it forwards, too.
    """
    report = Report(variants, rounds, seconds)
    with Testbed() as testbed, Progress(transient=True) as progress:
        step = progress.add_task("setting up", total=rounds * len(LOADS) * len(variants))
        ends = {variant: variant.build(testbed) for variant in variants}
        for variant in variants:
            start_servers(testbed, ends[variant])
        for turn in range(rounds):
            order = variants if turn % 2 == 0 else variants[::-1]
            for load in LOADS:
                for variant in order:
                    progress.update(step, description=f"{variant.name}: {load.metrics[0].title}")
                    report.add(variant, load.metrics, load.measure(testbed, ends[variant], seconds))
                    progress.advance(step)
        routers = [ends[variant] for variant in variants if variant.name == ROUTER]
        progress.update(step, description=f"{ROUTER}: control clients")
        control = [measure_control(testbed, each, seconds) for each in routers if limits]
    return report, [limit for found in control for limit in found]


def _installed(names: tuple[str, ...], console: Console) -> list[Variant]:
    wanted = [v for v in VARIANTS if not names or v.name in (BASELINE, *names)]
    for variant in wanted:
        for program in variant.missing():
            console.print(f"{variant.name} is left out: {program} is not installed")
    return [variant for variant in wanted if not variant.missing()]


if __name__ == "__main__":
    main()
