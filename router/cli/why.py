"""`postroad why`: what raised the line, what it was used for, why it fell, and who dials most."""

import time
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.markup import escape
from rich.table import Table

from router.cli.options import as_json, control_client, control_options, print_json
from router.cli.story import minute, story, waited, who
from router.cli.tables import duration, print_table, size, table
from router.errors import ControlError
from router.host.control.client import ControlClient
from router.link.types import Cause
from router.units import parse_duration

__all__ = ["why"]

LAST = 10  # entries: a screen on the smallest terminal
MOST = 1000  # entries in one answer: 1 MB of JSON
_DAY_S = 86400  # seconds

_Rows = list[dict[str, Any]]


def _since(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    """Return the seconds since 1970 that a span until now or a date means, as the query has it."""
    if not value:
        return ""
    try:
        if "-" in value:
            began = datetime.fromisoformat(value).astimezone().timestamp()
        else:
            days, day, rest = value.rpartition("d")
            span_s = (int(days) * _DAY_S if day else 0) + (parse_duration(rest) if rest else 0)
            began = time.time() - span_s
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f'{value!r} is not a span such as "7d" or "36h", or a date such as "2026-03-01".'
        ) from None
    return str(max(0, round(began)))


@click.command()
@click.option(
    "--last",
    type=click.IntRange(1, MOST),
    default=LAST,
    show_default=True,
    metavar="N",
    help="Show so many.",
)
@click.option("--link", default="", metavar="NAME", help="Of this link only.")
@click.option("--host", default="", metavar="ADDRESS|NAME", help="Raised by this host only.")
@click.option(
    "--since",
    default="",
    callback=_since,
    metavar="7d|DATE",
    help="Of this span until now, such as 7d or 36h, or since this date only.",
)
@click.option("--top", is_flag=True, help="Show who has dialled most, and by which rule.")
@as_json
@control_options
def why(
    last: int,
    link: str,
    host: str,
    since: str,
    top: bool,
    as_json: bool,
    config_path: Path | None,
    control: Path | None,
) -> None:
    """Tell why the line is or was up: who wanted it, how it went, what held it, why it fell."""
    if top and (link or host):
        raise click.UsageError("--top is about all links and hosts")
    client = control_client(config_path, control)
    if top:
        answer = client.get("ledger/top", since=since)
    else:
        answer = client.get("ledger", last=str(last), link=link, host=host, since=since)
        if link and not answer["entries"]:
            _require(client, link)
    if as_json:
        print_json(answer)
    elif top:
        _print_dialers(answer["dialers"][:last])
    else:
        _print_entries(answer["entries"])


def _require(client: ControlClient, link: str) -> None:
    """Raise ControlError if there is no such link; one that there was has its entries yet."""
    names = [row["name"] for row in client.get("status")["links"]]
    if link not in names:
        raise ControlError(f"there is no link {link!r}; there are: {', '.join(names)}")


def _print_entries(entries: _Rows) -> None:
    if not entries:
        click.echo("The ledger tells of no such attempt to raise a line.")
        return
    under_way = [entry for entry in entries if entry["ended_at"] is None]
    for entry in under_way or entries[:1]:
        click.echo("\n".join(story(entry)) + "\n")
    print_table(_table(entries))


def _table(entries: _Rows) -> Table:
    numbers = ("Waited", "Up", "Bytes")
    made = table("Begun", "Line", "Who", "For", *numbers, "Ended", numbers=numbers)
    for entry in entries:
        up_at, until = entry["up_at"], entry["ended_at"] or entry["seen_at"]
        is_up = up_at is not None
        made.add_row(
            minute(entry["begun_at"]),
            escape(entry["link"]),
            escape(who(entry)),
            escape(_purpose(entry)),
            "" if entry["waited_s"] is None else waited(entry["waited_s"]),
            duration(until - up_at) if is_up else "",
            size(entry["received_bytes"] + entry["sent_bytes"]) if is_up else "",
            entry["ending"] or ("still up" if is_up else "being raised"),
        )
    return made


def _purpose(entry: dict[str, Any]) -> str:
    """Return what the line was wanted for, as short as can be told."""
    cause = entry["cause"]
    if cause == Cause.DEMAND.value:
        _, asks, question = entry["packet"].partition(" asks for ")
        if asks:  # as in "192.168.1.11 asks for www.example.test A"
            return f"name {question}"
        sender, arrow, receiver = entry["packet"].partition(" -> ")
        if arrow:  # as in "tcp 192.168.1.10:4000 -> 198.51.100.7:25 flags syn"
            return f"{sender.split()[0]} to {receiver.split()[0]}"
        return str(entry["rule"] or cause)
    if cause == Cause.LEASE.value:
        return str(entry["why"] or cause)
    if entry["continues"] is not None:
        return f"{cause} after a kill"
    return "by hand" if cause == Cause.USER.value else str(cause)


def _print_dialers(dialers: _Rows) -> None:
    if not dialers:
        click.echo("Nobody has dialled.")
        return
    numbers = ("Dials", "Up", "Bytes")
    made = table("Who", "Address", "Rule", *numbers, numbers=numbers)
    for dialer in dialers:
        made.add_row(
            escape(who(dialer)),
            dialer["host"],
            escape(dialer["rule"] or dialer["cause"]),
            str(dialer["dials"]),
            duration(dialer["up_s"]),
            size(dialer["bytes"]),
        )
    print_table(made)
