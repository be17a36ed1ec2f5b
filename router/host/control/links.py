"""The links and the budget: what is told of them, and raising and dropping a link by hand."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, NamedTuple

from aiohttp import web

from router.host.control.access import caller, refusal
from router.host.control.fields import Fields, json_object
from router.host.dataplane.loop import DataPlane
from router.host.dataplane.protocols import Forwarder
from router.link.rows import BudgetRow, LinkRow
from router.link.types import State

__all__ = ["Describe", "LineState", "LinkHandlers", "line_state"]

Describe = Callable[[], dict[str, Any]]

_UP = frozenset({State.UP.value})
_DOWN = frozenset({State.DISABLED.value, State.DORMANT.value, State.HOLDOFF.value})

_Act = Callable[[Forwarder, str, float], str]


class LineState(NamedTuple):
    """All links and allowances at one instant."""

    links: tuple[LinkRow, ...]
    budgets: tuple[BudgetRow, ...]

    def told(self, describe: Describe) -> dict[str, list[dict[str, Any]]]:
        """Return it as JSON objects, with what the daemon tells of each link besides."""
        besides = _besides(describe)
        return {
            "links": [_told(row, besides) for row in self.links],
            "budgets": [asdict(row) for row in self.budgets],
        }


def line_state(forwarder: Forwarder, now: float) -> LineState:
    """Select links and budgets; a job of the data plane."""
    return LineState(forwarder.lines.link_rows(now), forwarder.lines.budget_rows(now))


class LinkHandlers:
    """Answers `POST /v1/links/NAME/up` and `down`.

    A link that is already where it is to be has not refused: `note` says so.
    """

    def __init__(self, dataplane: DataPlane, describe: Describe) -> None:
        self._dataplane = dataplane
        self._describe = describe

    async def raise_(self, request: web.Request) -> web.Response:
        """Have a link dialled."""
        fields = Fields(await json_object(request))
        by = caller(request).named(fields.line("by", "a name", ""))
        fields.check()

        def act(forwarder: Forwarder, name: str, now: float) -> str:
            return forwarder.lines.raise_link(name, by, now=now)

        return await self._act(request, act, _UP)

    async def drop(self, request: web.Request) -> web.Response:
        """Have a link taken down."""
        fields = Fields(await json_object(request))
        by = caller(request).named(fields.line("by", "a name", ""))
        stay = fields.flag("stay")
        fields.check()

        def act(forwarder: Forwarder, name: str, now: float) -> str:
            return forwarder.lines.drop_link(name, by, stay=stay, now=now)

        return await self._act(request, act, _DOWN)

    async def _act(self, request: web.Request, act: _Act, reached: frozenset[str]) -> web.Response:
        name = request.match_info["name"]

        def job(forwarder: Forwarder, now: float) -> tuple[str, tuple[LinkRow, ...]]:
            known = any(row.name == name for row in forwarder.lines.link_rows(now))
            note = act(forwarder, name, now) if known else ""
            return note, forwarder.lines.link_rows(now)

        note, rows = await asyncio.wrap_future(self._dataplane.submit(job))
        row = next((row for row in rows if row.name == name), None)
        if row is None:
            there_are = ", ".join(row.name for row in rows)
            return refusal(404, f"there is no link {name!r}; there are: {there_are}")
        if note and row.state not in reached:
            return refusal(409, note)
        return web.json_response({"link": _told(row, _besides(self._describe)), "note": note})


def _besides(describe: Describe) -> dict[str, Mapping[str, Any]]:
    return {link["name"]: link for link in describe()["links"]}


def _told(row: LinkRow, besides: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {**besides.get(row.name, {}), **asdict(row)}
