"""`postroad holding`: what waits for the line, what holds it, and who has a lease on it."""

from pathlib import Path
from typing import Any

import click
from rich.markup import escape
from rich.table import Table

from router.cli.options import as_json, control_client, control_options, print_json
from router.cli.tables import duration, print_table, size, table

__all__ = ["holders_table", "holding", "leases_table", "waiting_table"]

_Rows = list[dict[str, Any]]


@click.command()
@as_json
@control_options
def holding(as_json: bool, config_path: Path | None, control: Path | None) -> None:
    """Show what waits for the line and what holds it."""
    answer = control_client(config_path, control).holding()
    if as_json:
        print_json(answer)
        return
    for name, nothing, layout in (
        ("waiting", "No packet waits for the line.", waiting_table),
        ("holders", "No session holds the line.", holders_table),
        ("leases", "Nobody has a lease.", leases_table),
    ):
        if name != "waiting":
            click.echo()
        if answer[name]:
            print_table(layout(answer[name]))
        else:
            click.echo(nothing)


def waiting_table(rows: _Rows) -> Table:
    """Return the packets that wait."""
    numbers = ("Copies", "Size", "For", "Until")
    made = table("Waits", "Packet", *numbers, numbers=numbers)
    for row in rows:
        made.add_row(
            escape(row["host"]),
            escape(row["packet"]),
            str(row["copies"]),
            size(row["bytes"]),
            duration(row["waited_s"]),
            duration(row["expires_in_s"]),
        )
    return made


def holders_table(rows: _Rows) -> Table:
    """Return the sessions that hold a line, and how long yet."""
    made = table("Holds", "Line", "Session", "Rule", "Yet", numbers=("Yet",))
    for row in rows:
        yet = row["holds_s"]
        made.add_row(
            escape(row["host"]),
            escape(row["link"]),
            escape(row["session"]),
            escape(row["rule"]),
            "until it ends" if yet is None else duration(yet),
        )
    return made


def leases_table(rows: _Rows) -> Table:
    """Return the leases, and how long they run yet."""
    made = table("Lease", "Right", "Host", "Why", "Yet", numbers=("Yet",))
    for row in rows:
        made.add_row(
            escape(row["id"]),
            row["right"],
            row["host"],
            escape(row["why"]),
            duration(row["expires_in_s"]),
        )
    return made
