"""Tables for people: rows of the control API laid out with rich."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from router.units import format_duration

__all__ = ["duration", "named", "print_table", "size", "table"]

PIPE_WIDTH = 300  # columns where there is no terminal to fit into; nothing is cut off


def table(*columns: str, numbers: Sequence[str] = ()) -> Table:
    """Return an empty table; columns in `numbers` are aligned to the right."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        made.add_column(column, justify="right" if column in numbers else "left", overflow="fold")
    return made


def print_table(made: Table) -> None:
    """Print the table, as wide as the terminal or, in a pipe, as wide as it wants to be."""
    width = None if sys.stdout.isatty() else PIPE_WIDTH
    Console(width=width, highlight=False).print(made)


def duration(seconds: float) -> str:
    """Return whole seconds in the form of the configuration, such as 4m51s."""
    return format_duration(round(seconds))


def size(octets: int) -> str:
    """Return bytes with a decimal unit, such as 1.3 MB."""
    return decimal(octets)


def named(row: Mapping[str, Any]) -> str:
    """Return the internal endpoint, and the host's name if it has one."""
    return f"{row['internal']} {row['host']}" if row["host"] else str(row["internal"])
