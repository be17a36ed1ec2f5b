"""`postroad lab`: a network to try the router in, made of namespaces; needs root."""

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from router.cli.options import as_json, print_json
from router.cli.tables import print_table, table
from router.errors import RouterError
from router.lab import build, process, registry, topology
from router.lab import demo as demonstration
from router.lab.files import Line
from router.units import format_duration, parse_duration

__all__ = ["lab"]

_F = TypeVar("_F", bound=Callable[..., Any])
_DEFAULT_NAME = "default"
_DIALLED = Line()
_SLOWEST, _FASTEST = 300, 100_000_000  # bit/s: the first modems; more than two cores move
_FAILED = 1
_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"  # dnsmasq's home, which a root shell by su(1) lacks


def _name_option(command: _F) -> _F:
    option = click.option(
        "--name", default=_DEFAULT_NAME, show_default=True, help="Which lab, if there are several."
    )
    return option(command)


def _seconds(_ctx: click.Context, _param: click.Parameter, value: str) -> int:
    try:
        return parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from None


def _refuse_line_options() -> None:
    """Say so when something was asked of a line to dial that there will not be."""
    context = click.get_current_context()
    for key, option in (("dial_s", "--dial-time"), ("idle_s", "--idle"), ("rate", "--rate")):
        if context.get_parameter_source(key) is ParameterSource.COMMANDLINE:
            raise click.UsageError(
                f"{option} is for a line that is dialled, --static for one that is not."
            )


@click.group()
def lab() -> None:
    """Build a LAN, a router and an Internet out of network namespaces."""
    os.environ["PATH"] = f"{os.environ.get('PATH', os.defpath)}:{_SBIN}"


@lab.command()
@_name_option
@click.option(
    "--dial-time",
    "dial_s",
    default=format_duration(round(_DIALLED.dial_s)),
    show_default=True,
    callback=_seconds,
    metavar="DURATION",
    help="How long the provider takes to raise the line.",
)
@click.option(
    "--idle",
    "idle_s",
    default=format_duration(_DIALLED.idle_s),
    show_default=True,
    callback=_seconds,
    metavar="DURATION",
    help="How long the line stays up unused; 0s is for ever.",
)
@click.option(
    "--rate",
    type=click.IntRange(_SLOWEST, _FASTEST),
    default=_DIALLED.rate,
    show_default=True,
    metavar="BIT/S",
    help="How fast the line is.",
)
@click.option("--static", is_flag=True, help="A line that is always up, and nothing to dial.")
def up(name: str, dial_s: int, idle_s: int, rate: int, static: bool) -> None:
    """Build a lab; one that has crashed is removed first."""
    if static:
        _refuse_line_options()
    made = build.up(name, line=None if static else Line(dial_s, idle_s, rate))
    option = "" if name == _DEFAULT_NAME else f" --name {name}"
    click.echo(f"The lab {name} is up: namespaces {made.prefix}-*, files in {made.directory}.")
    click.echo(f"  postroad lab exec{option} alice curl http://www.example.test/")
    if not static:
        click.echo(f"  tail -f {made.log('isp')}")
    click.echo(f"  postroad sessions -c {made.config}")
    click.echo(f"  postroad lab down{option}")


@lab.command()
@_name_option
def down(name: str) -> None:
    """Take a lab down, whatever state it is in."""
    build.down(name)
    click.echo(f"The lab {name} is gone.")


@lab.command("exec", context_settings={"allow_interspersed_args": False})
@_name_option
@click.argument("node", metavar="HOST")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run_inside(name: str, node: str, command: Sequence[str]) -> None:
    """Run a command on HOST: alice, bob, mail, router, wan, lan or internet.

    The command has this terminal, and its exit code is passed on. Options after HOST are its own.
    """
    line = build.command_in(registry.find(name), node, command)
    try:
        os.execvp(line[0], line)  # noqa: S606
    except OSError as error:
        raise RouterError(f"cannot run {line[0]}: {error.strerror}") from None


@lab.command()
@as_json
def status(as_json: bool) -> None:
    """Show what labs there are."""
    found = registry.every()
    if as_json:
        print_json({"labs": [_row(one) for one in found]})
        return
    made = table("Lab", "State", "Namespaces", "Processes", "Router's configuration")
    for one in found:
        row = _row(one)
        made.add_row(
            row["name"],
            row["state"],
            f"{row['prefix']}-*",
            ", ".join(f"{role} {pid}" for role, pid in row["processes"].items()),
            row["config"],
        )
    print_table(made)


@lab.command()
def demo() -> None:
    """Show the router at work in a lab of its own; fails if any step does."""
    if not demonstration.run():
        sys.exit(_FAILED)


def _row(one: registry.Lab) -> dict[str, Any]:
    alive = {each.role: each.pid for each in one.processes if process.is_alive(each)}
    return {
        "name": one.name,
        "state": "up" if one.is_alive else "dead",
        "prefix": one.prefix,
        "processes": alive,
        "nodes": {node: one.namespace(node) for node in topology.NODES},
        "config": str(one.config),
        "control": str(one.control),
    }
