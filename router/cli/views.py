"""`postroad sessions` and `postroad mappings`."""

from pathlib import Path
from typing import Any

import click
from rich.table import Table

from router.cli.options import as_json, control_client, control_options, print_json
from router.cli.tables import duration, named, print_table, size, table

__all__ = ["mappings", "sessions"]

host_option = click.option("--host", default="", metavar="ADDRESS|NAME", help="Of this host only.")
protocol_option = click.option(
    "--protocol", default="", metavar="NAME", help="Of tcp, udp, icmp or a protocol number only."
)


@click.command()
@host_option
@protocol_option
@as_json
@control_options
def sessions(
    host: str, protocol: str, as_json: bool, config_path: Path | None, control: Path | None
) -> None:
    """Show the sessions of the running router."""
    client = control_client(config_path, control)
    answer = client.get("sessions", host=host, protocol=protocol)
    if as_json:
        print_json(answer)
    else:
        print_table(_sessions_table(answer["sessions"]))


@click.command()
@host_option
@protocol_option
@as_json
@control_options
def mappings(
    host: str, protocol: str, as_json: bool, config_path: Path | None, control: Path | None
) -> None:
    """Show the mappings of the running router."""
    client = control_client(config_path, control)
    answer = client.get("mappings", host=host, protocol=protocol)
    if as_json:
        print_json(answer)
    else:
        print_table(_mappings_table(answer["mappings"]))


def _sessions_table(rows: list[dict[str, Any]]) -> Table:
    made = table(
        "Protocol", "Internal", "", "Remote", "External", "State", "Idle", "Expires", "Out", "In",
        numbers=("Idle", "Expires", "Out", "In"),
    )  # fmt: skip
    for row in rows:
        made.add_row(
            row["protocol"],
            named(row),
            "->" if row["direction"] == "outbound" else "<-",
            row["remote"],
            row["external"],
            row["state"],
            duration(row["idle_s"]),
            duration(row["expires_in_s"]),
            size(row["bytes_out"]),
            size(row["bytes_in"]),
        )
    return made


def _mappings_table(rows: list[dict[str, Any]]) -> Table:
    made = table(
        "Protocol", "Internal", "External", "Kind", "Sessions", "Expires",
        numbers=("Sessions", "Expires"),
    )  # fmt: skip
    for row in rows:
        made.add_row(
            row["protocol"],
            named(row),
            row["external"],
            row["kind"],
            str(row["sessions"]),
            duration(row["expires_in_s"]),
        )
    return made
