"""`postroad sessions` and `postroad mappings`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from router.cli.options import as_json, control_client, control_options, print_json
from router.cli.tables import duration, named, print_table, size, table
from router.nat.table import protocol_name

__all__ = ["mappings", "sessions"]

_MAX_PROTOCOL = 255  # the IP header has an octet for it (RFC 791)
_PROTOCOLS = ("tcp", "udp", "icmp")
_Rows = list[dict[str, Any]]


def _protocol(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    """Return the protocol as rows name it, for a name or a number."""
    if not value or value.lower() in _PROTOCOLS:
        return value.lower()
    if value.isascii() and value.isdigit() and int(value) <= _MAX_PROTOCOL:
        return protocol_name(int(value))
    allowed = ", ".join(_PROTOCOLS)
    raise click.BadParameter(f"{value!r} is not {allowed} or a number up to {_MAX_PROTOCOL}.")


def _view(name: str, layout: Callable[[_Rows], Table]) -> click.Command:
    """Return the command that shows what the router answers under this name."""

    @click.command(name, help=f"Show the {name} of the running router.")
    @click.option("--host", default="", metavar="ADDRESS|NAME", help="Of this host only.")
    @click.option(
        "--protocol",
        default="",
        callback=_protocol,
        metavar="NAME",
        help="Of tcp, udp, icmp or a protocol number only.",
    )
    @as_json
    @control_options
    def show(
        host: str,
        protocol: str,
        as_json: bool,
        config_path: Path | None,
        control: Path | None,
    ) -> None:
        client = control_client(config_path, control)
        answer = client.get(name, host=host, protocol=protocol)
        if as_json:
            print_json(answer)
        else:
            print_table(layout(answer[name]))

    return show


def _sessions_table(rows: _Rows) -> Table:
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


def _mappings_table(rows: _Rows) -> Table:
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


sessions = _view("sessions", _sessions_table)
mappings = _view("mappings", _mappings_table)
