"""Sessions and mappings: `GET /v1/sessions` and `/v1/mappings`.

They are written as they are fetched, so that neither memory nor the packet path notices 100,000
sessions.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from router.errors import ConfigError
from router.host.control.rows import Select, mapping_rows, session_rows, snapshot
from router.host.dataplane.loop import DataPlane
from router.wire.address import format_address, parse_address

__all__ = ["ListingHandlers", "known_address"]


class ListingHandlers:
    """Answers with lists that may be long; `host_names` leads from addresses to names."""

    def __init__(self, dataplane: DataPlane, host_names: Mapping[str, str]) -> None:
        self._dataplane = dataplane
        self._host_names = host_names

    async def sessions(self, request: web.Request) -> web.StreamResponse:
        """Tell the sessions, of a host or protocol if asked for."""
        return await self._stream_rows(request, "sessions", session_rows)

    async def mappings(self, request: web.Request) -> web.StreamResponse:
        """Tell the mappings, of a host or protocol if asked for."""
        return await self._stream_rows(request, "mappings", mapping_rows)

    async def _stream_rows(
        self, request: web.Request, name: str, select: Select
    ) -> web.StreamResponse:
        wanted = self._row_filter(request)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        await response.write(f'{{"{name}": ['.encode())
        separator = ""
        async for rows in snapshot(self._dataplane, select):
            named = [row | {"host": self._host_name(row)} for row in rows if wanted(row)]
            if named:
                await response.write((separator + json.dumps(named)[1:-1]).encode())
                separator = ",\n"
        await response.write(b"]}\n")
        return response

    def _row_filter(self, request: web.Request) -> Callable[[dict[str, Any]], bool]:
        protocol = request.query.get("protocol", "").lower()
        host = request.query.get("host", "")
        address = known_address(host, self._host_names) if host else ""

        def wanted(row: dict[str, Any]) -> bool:
            return (not protocol or row["protocol"].lower() == protocol) and (
                not host or _address(row["internal"]) == address
            )

        return wanted

    def _host_name(self, row: dict[str, Any]) -> str:
        return self._host_names.get(_address(row["internal"]), "")


def known_address(host: str, names: Mapping[str, str]) -> str:
    """Return the address that is meant by an address or a host's name; raises ConfigError."""
    for address, name in names.items():
        if name == host:
            return address
    try:
        return format_address(parse_address(host))
    except ValueError:
        known = ", ".join(sorted(names.values())) or "none"
        problem = f"host: {host!r} is neither an IPv4 address nor a host with a name"
        raise ConfigError([f"{problem}; these are: {known}"]) from None


def _address(endpoint: str) -> str:
    return endpoint.partition(":")[0]
