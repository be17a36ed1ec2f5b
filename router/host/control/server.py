"""The control API: HTTP and JSON on a Unix socket.

    GET    /v1/status
    GET    /v1/sessions, /v1/mappings     ?host=ADDRESS|NAME &protocol=NAME
    GET    /v1/forwards
    POST   /v1/forwards                   {"rule": "tcp 8080 -> 192.168.1.10:80"}
    DELETE /v1/forwards                   ?rule=...
    POST   /v1/forwards/reload            {"reset_affected": false}
    GET    /v1/capture                    ?side=lan|wan|both, a pcapng stream
    GET    /metrics                       Prometheus

What is refused is answered with {"error": SENTENCE}, and with "problems" where there may be
several. Long lists are written as they are fetched, so that neither memory nor the packet path
notices 100,000 sessions.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any, Protocol

from aiohttp import web

from router.devices import Side
from router.errors import ConfigError, ControlError
from router.host.control.capture import Tap, pcapng_stream
from router.host.control.metrics import CONTENT_TYPE, exposition
from router.host.control.rows import Select, mapping_rows, session_rows, snapshot
from router.host.dataplane.loop import DataPlane
from router.wire.address import format_address, parse_address

__all__ = ["ControlApi", "Forwards"]

SIDES = {"lan": (Side.LAN,), "wan": (Side.WAN,), "both": (Side.LAN, Side.WAN)}

_log = logging.getLogger(__name__)
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Forwards(Protocol):
    """The forward rules; each is shown as {"rule": TEXT, "origin": WHERE}.

    Raises ConfigError for a rule that is wrong and ControlError for one that does not fit.
    """

    async def listing(self) -> list[dict[str, str]]:
        """Return the rules in force."""
        ...

    async def add(self, text: str) -> dict[str, str]:
        """Put one more rule in force and return it."""
        ...

    async def remove(self, text: str) -> dict[str, str]:
        """Take one rule out of force and return it."""
        ...

    async def reload(self, *, reset_affected: bool) -> dict[str, int]:
        """Read the file again; return the number of rules and of sessions reset."""
        ...


class ControlApi:
    """Answers requests about one running router.

    `describe` gives what `status` tells besides the counts, with `uptime_s` among it.
    `host_names` leads from internal addresses to names.
    """

    def __init__(
        self,
        dataplane: DataPlane,
        forwards: Forwards,
        describe: Callable[[], dict[str, Any]],
        host_names: Mapping[str, str],
    ) -> None:
        self._dataplane = dataplane
        self._forwards = forwards
        self._describe = describe
        self._host_names = host_names

    def application(self) -> web.Application:
        """Return the application to serve."""
        app = web.Application(middlewares=[_plain_errors])
        app.add_routes(
            [
                web.get("/v1/status", self._status),
                web.get("/v1/sessions", self._sessions),
                web.get("/v1/mappings", self._mappings),
                web.get("/v1/forwards", self._list_forwards),
                web.post("/v1/forwards", self._add_forward),
                web.delete("/v1/forwards", self._remove_forward),
                web.post("/v1/forwards/reload", self._reload_forwards),
                web.get("/v1/capture", self._capture),
                web.get("/metrics", self._metrics),
            ]
        )
        return app

    async def _status(self, _request: web.Request) -> web.Response:
        traffic = await asyncio.wrap_future(self._dataplane.traffic())
        return web.json_response({**self._describe(), "traffic": asdict(traffic)})

    async def _metrics(self, _request: web.Request) -> web.Response:
        traffic = await asyncio.wrap_future(self._dataplane.traffic())
        page = exposition(traffic, self._describe()["uptime_s"])
        return web.Response(body=page, headers={"Content-Type": CONTENT_TYPE})

    async def _sessions(self, request: web.Request) -> web.StreamResponse:
        return await self._stream_rows(request, "sessions", session_rows)

    async def _mappings(self, request: web.Request) -> web.StreamResponse:
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
        addresses = {address for address, name in self._host_names.items() if name == host}
        if host and not addresses:
            addresses.add(self._known_address(host))

        def wanted(row: dict[str, Any]) -> bool:
            return (not protocol or row["protocol"].lower() == protocol) and (
                not host or _address(row["internal"]) in addresses
            )

        return wanted

    def _known_address(self, host: str) -> str:
        try:
            return format_address(parse_address(host))
        except ValueError:
            names = ", ".join(sorted(self._host_names.values())) or "none"
            problem = f"host: {host!r} is neither an IPv4 address nor a host with a name"
            raise ConfigError([f"{problem}; these are: {names}"]) from None

    def _host_name(self, row: dict[str, Any]) -> str:
        return self._host_names.get(_address(row["internal"]), "")

    async def _list_forwards(self, _request: web.Request) -> web.Response:
        return web.json_response({"forwards": await self._forwards.listing()})

    async def _add_forward(self, request: web.Request) -> web.Response:
        body = await _json_body(request)
        added = await self._forwards.add(_text(body.get("rule")))
        return web.json_response({"added": added})

    async def _remove_forward(self, request: web.Request) -> web.Response:
        removed = await self._forwards.remove(_text(request.query.get("rule")))
        return web.json_response({"removed": removed})

    async def _reload_forwards(self, request: web.Request) -> web.Response:
        body = await _json_body(request) if request.can_read_body else {}
        reset_affected = body.get("reset_affected", False)
        if not isinstance(reset_affected, bool):
            raise web.HTTPBadRequest(reason="reset_affected is true or false")
        return web.json_response(await self._forwards.reload(reset_affected=reset_affected))

    async def _capture(self, request: web.Request) -> web.StreamResponse:
        sides = SIDES.get(request.query.get("side", "both"))
        if sides is None:
            raise web.HTTPBadRequest(reason="side is lan, wan or both")
        traffic = await asyncio.wrap_future(self._dataplane.traffic())
        names = {Side.LAN: traffic.lan.tun, Side.WAN: traffic.wan.tun}
        response = web.StreamResponse(headers={"Content-Type": "application/x-pcapng"})
        tap = Tap(sides)
        try:
            await asyncio.wrap_future(self._dataplane.watch(tap))
            await response.prepare(request)
            async for blocks in pcapng_stream(tap, names):
                await response.write(blocks)
        except ConnectionError:  # the reader has seen enough
            pass
        finally:
            self._dataplane.unwatch(tap)
        return response


def _address(endpoint: str) -> str:
    return endpoint.partition(":")[0]


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise web.HTTPBadRequest(reason="a forward rule is needed, as text in rule")
    return value


async def _json_body(request: web.Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise web.HTTPBadRequest(reason="the body is a JSON object")
    return body


@web.middleware
async def _plain_errors(request: web.Request, handler: _Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ConfigError as error:
        return _refusal(400, str(error), problems=list(error.problems))
    except ControlError as error:
        return _refusal(409, str(error))
    except web.HTTPException as error:
        return _refusal(error.status, error.reason)
    except Exception:
        _log.exception("internal fault answering %s %s", request.method, request.path)
        return _refusal(500, "internal fault; the router's log has the details")


def _refusal(status: int, sentence: str, **more: object) -> web.Response:
    return web.json_response({"error": sentence, **more}, status=status)
