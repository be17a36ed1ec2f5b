"""`postroad replay`: what a capture would have cost on a line that is raised for its traffic."""

import random
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime, tzinfo
from pathlib import Path
from typing import NamedTuple

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from router.cli.captures import frame_of, read_capture
from router.cli.options import as_json, config_option, print_json
from router.cli.tables import duration, print_table, table
from router.config import Config, load
from router.devices import Side
from router.errors import ConfigError, DeviceError
from router.forwarder import ForwarderConfig
from router.link.types import Mode
from router.nat.types import DefaultHost, ForwardRule
from router.replay import Outcome, Replay, Share
from router.units import parse_duration

__all__ = ["replay"]

SEED = 0  # any fixed number: the same capture gets the same answer
MOST_SHARES = 20  # hosts or rules in a table; JSON has them all

_COUNTED = {
    "Dials": "dials",
    "Rises": "rises",
    "Time up": "up_s",
    "Packets held": "held",
    "Packets lost": "lost",
    "Packets refused": "refused",
}
_SHARED = {"Dials": "dials", "Up": "up_s", "Held": "held_s", "Refused": "refused"}


class _Contender(NamedTuple):
    """A configuration whose cost is asked for; `name` is its file."""

    name: str
    config: ForwarderConfig
    zone: tzinfo


class _Answer(NamedTuple):
    """How many packets of the capture were for a line, from when to when, and what each cost."""

    packets: int
    begun_at: float
    ended_at: float
    outcomes: list[tuple[str, Outcome]]


def _dial_time(_ctx: click.Context, _param: click.Parameter, value: str) -> int:
    try:
        return parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from None


@click.command()
@click.argument("capture_path", type=click.Path(path_type=Path), metavar="FILE")
@config_option
@click.option(
    "--policy",
    "policy_path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Another configuration, to compare what it says of links, hosts and traffic.",
)
@click.option(
    "--dial-time",
    "dial_time_s",
    default="5s",
    show_default=True,
    callback=_dial_time,
    metavar="SPAN",
    help="How long the provider takes to answer.",
)
@as_json
def replay(
    capture_path: Path, config_path: Path, policy_path: Path | None, dial_time_s: int, as_json: bool
) -> None:
    """Tell what the packets in FILE would have cost, had a line been dialled for them.

    FILE is a pcap or pcapng, taken on the LAN with all that hosts send and get. The provider of
    this replay always answers, each time with another address. Of the configuration's links only
    those on demand are there.
    """
    config = load(config_path)
    contenders = [_contender(config_path, config, config)]
    if policy_path is not None:
        contenders.append(_contender(policy_path, config, load(policy_path)))
    answer = _replayed(capture_path, config, contenders, dial_time_s)
    if as_json:
        _print_json(capture_path, answer)
    else:
        _print(answer, config.zone)


def _contender(path: Path, config: Config, other: Config) -> _Contender:
    """Return the router of `config` with the links, hosts and policy of another file."""
    told = other.links_config()
    on_demand = tuple(link for link in told.links if link.mode is Mode.ON_DEMAND)
    if not on_demand:
        raise ConfigError(
            [f"{path}: link: none is on-demand; a replay is about lines raised for traffic"]
        )
    links = replace(told, links=on_demand)
    return _Contender(str(path), replace(config.forwarder_config(), links=links), other.zone)


def _replayed(
    path: Path, config: Config, contenders: Sequence[_Contender], dial_time_s: int
) -> _Answer:
    """Let the packets of a capture happen to all contenders at once, as they are read."""
    forwards = config.load_forwards()
    replays: list[Replay] = []
    begun_at = ended_at = 0.0
    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        for packet, at, side, _ in read_capture(path, config, progress):
            if not replays:
                begun_at = ended_at = at
                replays = [_replay(each, forwards, dial_time_s, at) for each in contenders]
            ended_at = max(ended_at, at)
            if side is not Side.WAN:  # there they are seen a second time
                for each in replays:
                    each.take(frame_of(packet, config.lan.mtu), at)
    packets = replays[0].packets if replays else 0
    if not packets:
        networks = ", ".join(map(str, contenders[0].config.routing.lan_networks))
        raise DeviceError(f"{path}: has no packet between a host in {networks} and the Internet")
    outcomes = [(told.name, each.finish()) for told, each in zip(contenders, replays, strict=True)]
    return _Answer(packets, begun_at, ended_at, outcomes)


def _replay(
    contender: _Contender,
    forwards: Sequence[ForwardRule | DefaultHost],
    dial_time_s: int,
    begins_at: float,
) -> Replay:
    return Replay(
        contender.config,
        forwards,
        contender.zone,
        rng=random.Random(SEED),  # noqa: S311 - must be repeatable, guards nothing
        dial_time_s=dial_time_s,
        begins_at=begins_at,
    )


# Telling


def _print_json(path: Path, answer: _Answer) -> None:
    costs = [{"config": name, **asdict(outcome)} for name, outcome in answer.outcomes]
    first, *others = costs
    difference = {key: other[key] - first[key] for other in others for key in _COUNTED.values()}
    print_json(
        {
            "file": str(path),
            "packets": answer.packets,
            "begun_at": answer.begun_at,
            "ended_at": answer.ended_at,
            "outcomes": costs,
            "difference": difference or None,
        }
    )


def _print(answer: _Answer, zone: tzinfo) -> None:
    begun, ended = (
        f"{datetime.fromtimestamp(at, zone):%a %Y-%m-%d %H:%M:%S}"
        for at in (answer.begun_at, answer.ended_at)
    )
    click.echo(f"{answer.packets} packets for a line or from one, from {begun} to {ended}\n")
    (_, first), *others = answer.outcomes
    names = [escape(name) for name, _ in answer.outcomes]
    columns = (*names, *["Difference"] * len(others))
    made = table("", *columns, numbers=columns)
    for label, key in _COUNTED.items():
        cells = [_figure(key, getattr(outcome, key)) for _, outcome in answer.outcomes]
        changes = [_change(key, _difference(key, first, other)) for _, other in others]
        made.add_row(label, *cells, *changes)
    print_table(made)
    _print_shares("Host", [(name, outcome.hosts) for name, outcome in answer.outcomes])
    _print_shares("Rule", [(name, outcome.rules) for name, outcome in answer.outcomes])
    for name, other in others:
        click.echo(f"\n{name}: {_verdict(first, other)}")


def _figure(key: str, value: float) -> str:
    return duration(value) if key.endswith("_s") else str(value)


def _difference(key: str, first: Outcome, other: Outcome) -> int:
    """Return how much more the other has cost; of time, whole seconds as they are shown."""
    was, would_be = (round(float(getattr(each, key))) for each in (first, other))
    return would_be - was


def _change(key: str, difference: int, what: str = "") -> str:
    """Return a difference such as `41 dials fewer` or `6h12m less`."""
    if not difference:
        return "the same"
    is_time = key.endswith("_s")
    more = "more" if difference > 0 else "less" if is_time else "fewer"
    return " ".join(filter(None, (_figure(key, abs(difference)), what, more)))


def _verdict(first: Outcome, other: Outcome) -> str:
    dials, up_s = (_difference(key, first, other) for key in ("dials", "up_s"))
    said_dials = _change("dials", dials, "dial" if abs(dials) == 1 else "dials")
    said = (said_dials if dials else "as many dials", _change("up_s", up_s) if up_s else "as long")
    return ", ".join(said)


def _print_shares(what: str, costs: Sequence[tuple[str, Sequence[Share]]]) -> None:
    """Print a table of hosts or rules, those of the first file first, all files side by side."""
    by_name = [{share.name: share for share in shares} for _, shares in costs]
    names = list(dict.fromkeys(share.name for _, shares in costs for share in shares))
    if not names:
        return
    titles = [f"\n{escape(name)}" for name, _ in costs] if len(costs) > 1 else [""]
    columns = [f"{label}{title}" for label in _SHARED for title in titles]
    made = table(what, *columns, numbers=columns)
    for name in names[:MOST_SHARES]:
        shares = [shares.get(name, Share(name, 0, 0.0, 0.0, 0)) for shares in by_name]
        cells = [_figure(key, getattr(each, key)) for key in _SHARED.values() for each in shares]
        made.add_row(escape(name), *cells)
    click.echo()
    print_table(made)
    if len(names) > MOST_SHARES:
        click.echo(f"and {len(names) - MOST_SHARES} more, which --json has")
