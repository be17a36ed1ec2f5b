"""How the router is doing: `GET /v1/status`, `/v1/holding` and `/metrics`."""

import asyncio
from dataclasses import asdict
from math import inf
from typing import Any

from aiohttp import web

from router.host.control.events import EventHub
from router.host.control.links import Describe, line_state
from router.host.control.metrics import CONTENT_TYPE, LineReadings, Readings, exposition
from router.host.dataplane.loop import DataPlane
from router.host.dataplane.protocols import Forwarder
from router.link.rows import HolderRow

__all__ = ["StatusHandlers"]


class StatusHandlers:
    """Answers questions about the router as a whole."""

    def __init__(self, dataplane: DataPlane, describe: Describe, events: EventHub) -> None:
        self._dataplane = dataplane
        self._describe = describe
        self._events = events

    async def status(self, _request: web.Request) -> web.Response:
        """Tell everything but long lists."""
        traffic, line = await asyncio.gather(
            asyncio.wrap_future(self._dataplane.traffic()),
            asyncio.wrap_future(self._dataplane.submit(line_state)),
        )
        return web.json_response(
            {**self._describe(), **line.told(self._describe), "traffic": asdict(traffic)}
        )

    async def holding(self, _request: web.Request) -> web.Response:
        """Tell what waits for the line and what holds it."""
        holding = await asyncio.wrap_future(
            self._dataplane.submit(lambda forwarder, now: forwarder.lines.holding(now))
        )
        return web.json_response(
            {
                "waiting": [asdict(row) for row in holding.waiting],
                "holders": [_told(row) for row in holding.holders],
                "leases": [asdict(row) for row in holding.leases],
            }
        )

    async def metrics(self, _request: web.Request) -> web.Response:
        """Tell all counts to Prometheus."""
        traffic, line = await asyncio.gather(
            asyncio.wrap_future(self._dataplane.traffic()),
            asyncio.wrap_future(self._dataplane.submit(_read_line)),
        )
        described = self._describe()
        page = exposition(
            Readings(
                traffic=traffic,
                line=line,
                details={
                    link["name"]: link["details"] for link in described["links"] if link["details"]
                },
                uptime_s=described["uptime_s"],
                subscribers=self._events.subscribers,
                dropped_subscribers=self._events.dropped,
            )
        )
        return web.Response(body=page, headers={"Content-Type": CONTENT_TYPE})


def _told(row: HolderRow) -> dict[str, Any]:
    """Return the row for JSON, which has no infinity: what holds until it ends says null."""
    told = asdict(row)
    return told if row.holds_s < inf else told | {"holds_s": None}


def _read_line(forwarder: Forwarder, now: float) -> LineReadings:
    holding = forwarder.lines.holding(now)
    return LineReadings(
        links=forwarder.lines.link_rows(now),
        budgets=forwarder.lines.budget_rows(now),
        waiting=len(holding.waiting),
        holders=len(holding.holders),
        leases=len(holding.leases),
    )
