"""What `postroad top` shows: the links, what is used, what waits and holds, who is busy.

Everything here is drawn from a `View`, which the command fills; nothing here asks anybody.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from router.cli.holding import holders_table, leases_table, waiting_table
from router.cli.status import again, budgets_table, own_reason
from router.cli.tables import duration, size, table
from router.link.types import State

__all__ = ["ROWS", "View", "screen"]

ROWS = 8  # of each list: all of them together fit on a screen of 50 lines

_COLOURS = {
    State.UP.value: "green",
    State.DIALING.value: "yellow",
    State.NEGOTIATING.value: "yellow",
    State.HANGING_UP.value: "yellow",
    State.HOLDOFF.value: "red",
}


@dataclass(slots=True)
class View:
    """What is known of the router; `hosts` is None where there are too many sessions to count.

    `trouble` says why what is shown is not the latest.
    """

    status: dict[str, Any]
    holding: dict[str, Any]
    hosts: Counter[str] | None = field(default_factory=Counter)
    trouble: str = ""


def screen(view: View) -> RenderableType:
    """Return the whole screen."""
    status, holding = view.status, view.holding
    parts: list[RenderableType] = [_head(view), _links(status["links"])]
    if status["budgets"]:
        parts += ["", budgets_table(status["budgets"])]
    for rows, layout, what in (
        (holding["waiting"], waiting_table, "waits for the line"),
        (holding["holders"], holders_table, "holds the line"),
    ):
        parts += ["", layout(rows[:ROWS]) if rows else f"nothing {what}", *_rest(rows)]
    if leases := holding["leases"]:
        parts += ["", leases_table(leases[:ROWS]), *_rest(leases)]
    return Group(*parts, "", _hosts(view.hosts, status["traffic"]["sessions"]))


def _head(view: View) -> RenderableType:
    status, traffic = view.status, view.status["traffic"]
    wan = traffic["wan"]
    line = Text(
        f"postroad {status['version']}, up {duration(status['uptime_s'])},"
        f" {traffic['sessions']} sessions,"
        f" {size(wan['received_bytes'])} in, {size(wan['sent_bytes'])} out;"
        " q ends\n"
    )
    if view.trouble:
        line.append(f"{view.trouble}\n", style="red")
    return line


def _links(links: list[dict[str, Any]]) -> Table:
    made = table("Line", "State", "For", "Address", "Falls in", "Why", "By")
    for link in links:
        why = "; ".join(filter(None, (own_reason(link), link["blocked"])))
        falls = link["falls_in_s"]
        made.add_row(
            escape(link["name"]),
            Text(link["state"], style=_COLOURS.get(link["state"], "")),
            duration(link["since_s"]),
            link["address"],
            "" if falls is None else duration(falls),
            escape(f"{why}{again(link)}"),
            escape(link["by"]),
        )
    return made


def _hosts(hosts: Counter[str] | None, sessions: int) -> RenderableType:
    if hosts is None:
        return f"{sessions} sessions are too many to count by host here"
    made = table("Host", "Sessions", numbers=("Sessions",))
    for host, count in hosts.most_common(ROWS):
        made.add_row(escape(host), str(count))
    return made


def _rest(rows: list[dict[str, Any]]) -> list[RenderableType]:
    return [f"and {len(rows) - ROWS} more"] if len(rows) > ROWS else []
