"""The control API: HTTP and JSON, on a Unix socket and, behind a token, on the LAN.

    GET    /v1/status                     the router, its links and budgets, what passed
    GET    /v1/sessions, /v1/mappings     ?host=ADDRESS|NAME &protocol=NAME
    GET    /v1/holding                    what waits for the line and what holds it
    GET    /v1/events                     Server-Sent Events: snapshot, then state, rise, warning,
                                          lease, forwards
    GET    /v1/ledger                     ?last=20 &link=NAME &host=ADDRESS|NAME &since=SECONDS
    GET    /v1/ledger/top                 ?since=SECONDS
    POST   /v1/links/NAME/up              {"by": "carol"}
    POST   /v1/links/NAME/down            {"stay": false, "by": "carol"}
    GET    /v1/leases
    POST   /v1/leases                     {"right": "raise"|"use-if-up", "why": "mail", "ttl_s": 90}
                                          and, if wanted, "id" and "host"
    PUT    /v1/leases/ID                  {"ttl_s": 90}
    DELETE /v1/leases/ID
    GET    /v1/forwards
    POST   /v1/forwards                 * {"rule": "tcp 8080 -> 192.168.1.10:80"}
    DELETE /v1/forwards                 * ?rule=...
    POST   /v1/forwards/reload          * {"reset_affected": false}
    GET    /v1/capture                  * ?side=lan|wan|both, or ?side=line &link=NAME for the
                                          frames of a PPP line; a pcapng stream
    GET    /metrics                       Prometheus

What is marked * is not offered on the LAN: a token is for programs that use the line, and neither
what hosts write nor who is let in from outside is theirs to see or to change.

What is refused is answered with {"error": SENTENCE}, and with "problems" where there may be
several. SECONDS are those since 1970.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import NamedTuple

from aiohttp import web

from router.errors import ConfigError, ControlError
from router.host.control.access import bearer, not_on_the_lan, refusal
from router.host.control.capture import CaptureHandlers
from router.host.control.events import EventHandlers, EventHub
from router.host.control.fields import BODY_LIMIT
from router.host.control.forwards import ForwardHandlers, Forwards
from router.host.control.leases import LeaseHandlers
from router.host.control.ledger import Ledger, LedgerHandlers
from router.host.control.links import Describe, LinkHandlers
from router.host.control.listings import ListingHandlers
from router.host.control.status import StatusHandlers
from router.host.dataplane.loop import DataPlane
from router.host.ppp.wiretap import Wiretaps

__all__ = ["ControlApi"]

_log = logging.getLogger(__name__)
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class _Route(NamedTuple):
    method: str
    path: str
    handler: _Handler
    on_lan: bool = True


class ControlApi:
    """Answers requests about one running router.

    `describe` gives what `status` tells besides counts and links: `uptime_s` among it, and `links`,
    each with its `name`, its `details` or None, and what else no core knows of it. `host_names`
    leads from internal addresses to names.
    """

    def __init__(
        self,
        dataplane: DataPlane,
        forwards: Forwards,
        describe: Describe,
        host_names: Mapping[str, str],
        *,
        ledger: Ledger,
        events: EventHub,
        wiretaps: Wiretaps,
    ) -> None:
        self._events = events
        self._status = StatusHandlers(dataplane, describe, events)
        self._listings = ListingHandlers(dataplane, host_names)
        self._event_streams = EventHandlers(dataplane, describe, events)
        self._ledger = LedgerHandlers(ledger, host_names)
        self._links = LinkHandlers(dataplane, describe)
        self._leases = LeaseHandlers(dataplane, events)
        self._forwards = ForwardHandlers(forwards, events)
        self._captures = CaptureHandlers(dataplane, wiretaps)

    def application(self, token: str | None = None) -> web.Application:
        """Return the application to serve: for the Unix socket, or with a token for the LAN."""
        guards = [_plain_errors] if token is None else [_plain_errors, bearer(token)]
        app = web.Application(middlewares=guards, client_max_size=BODY_LIMIT)
        for route in self._routes():
            offered = token is None or route.on_lan
            handler = route.handler if offered else not_on_the_lan
            app.router.add_route(route.method, route.path, handler)
        app.on_shutdown.append(self._end_streams)
        return app

    def _routes(self) -> Iterable[_Route]:
        return (
            _Route("GET", "/v1/status", self._status.status),
            _Route("GET", "/v1/sessions", self._listings.sessions),
            _Route("GET", "/v1/mappings", self._listings.mappings),
            _Route("GET", "/v1/holding", self._status.holding),
            _Route("GET", "/v1/events", self._event_streams.stream),
            _Route("GET", "/v1/ledger", self._ledger.entries),
            _Route("GET", "/v1/ledger/top", self._ledger.top),
            _Route("POST", "/v1/links/{name}/up", self._links.raise_),
            _Route("POST", "/v1/links/{name}/down", self._links.drop),
            _Route("GET", "/v1/leases", self._leases.show),
            _Route("POST", "/v1/leases", self._leases.grant),
            _Route("PUT", "/v1/leases/{id}", self._leases.renew),
            _Route("DELETE", "/v1/leases/{id}", self._leases.release),
            _Route("GET", "/v1/forwards", self._forwards.show),
            _Route("POST", "/v1/forwards", self._forwards.add, on_lan=False),
            _Route("DELETE", "/v1/forwards", self._forwards.remove, on_lan=False),
            _Route("POST", "/v1/forwards/reload", self._forwards.reload, on_lan=False),
            _Route("GET", "/v1/capture", self._captures.stream, on_lan=False),
            _Route("GET", "/metrics", self._status.metrics),
        )

    async def _end_streams(self, _app: web.Application) -> None:
        self._events.end_all()


@web.middleware
async def _plain_errors(request: web.Request, handler: _Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ConfigError as error:
        return refusal(400, str(error), problems=list(error.problems))
    except ControlError as error:
        return refusal(409, str(error))
    except web.HTTPException as error:
        return refusal(error.status, error.reason)
    except ConnectionError:
        return web.Response()  # for nobody: whoever asked has gone
    except Exception:
        _log.exception("internal fault answering %s %s", request.method, request.path)
        return refusal(500, "internal fault; the router's log has the details")
