"""Leases: programs that say themselves how long they need the line.

A lease is granted for a while and has to be renewed, so that a dead program does not hold the line.
That it has run out is no event: it was granted until then, and who holds it knows.
"""

import asyncio
import re
import secrets
from dataclasses import asdict
from typing import Any

from aiohttp import web

from router.host.control.access import Caller, caller, refusal
from router.host.control.events import EventHub
from router.host.control.fields import Fields, json_object
from router.host.dataplane.loop import DataPlane
from router.host.dataplane.protocols import Forwarder
from router.wire.address import parse_address

__all__ = ["LeaseHandlers"]

LEAST_TTL_S = 1.0  # seconds; renewals of shorter ones would be all there is to do
# Seconds: so long a program that died may hold the line at its owner's expense. One that needs it
# for longer is alive to say so.
MOST_TTL_S = 3600.0
ID_BYTES = 9  # 12 characters that nobody guesses, as long as a person may like to read
RIGHTS = ("raise", "use-if-up")

_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")  # it stands in the paths of requests


class LeaseHandlers:
    """Answers `/v1/leases`."""

    def __init__(self, dataplane: DataPlane, events: EventHub) -> None:
        self._dataplane = dataplane
        self._events = events

    async def show(self, _request: web.Request) -> web.Response:
        """Tell every lease."""
        leases = await asyncio.wrap_future(
            self._dataplane.submit(lambda forwarder, now: forwarder.lines.holding(now).leases)
        )
        return web.json_response({"leases": [asdict(row) for row in leases]})

    async def grant(self, request: web.Request) -> web.Response:
        """Grant a lease, or replace the one with its id."""
        fields = Fields(await json_object(request))
        who = caller(request)
        lease = _new_id(fields)
        right, why = fields.choice("right", RIGHTS), fields.line("why", "a reason")
        ttl_s, host = _ttl(fields), _host(fields, who)
        fields.check()

        def job(forwarder: Forwarder, now: float) -> tuple[str, bool]:
            address = parse_address(host) if host else None
            refused = forwarder.lines.grant_lease(lease, right, why, address, ttl_s, now=now)
            return refused, forwarder.lines.renew_lease(lease, ttl_s, now=now)

        refused, granted = await asyncio.wrap_future(self._dataplane.submit(job))
        if not granted:
            return refusal(409, refused)
        told = {"id": lease, "right": right, "why": why, "host": host, "by": who.named("")}
        self._tell("granted", {**told, "expires_in_s": ttl_s, "refused": refused})
        return web.json_response(
            {"id": lease, "expires_in_s": ttl_s, "refused": refused}, status=201
        )

    async def renew(self, request: web.Request) -> web.Response:
        """Have a lease run on."""
        fields = Fields(await json_object(request))
        ttl_s = _ttl(fields)
        fields.check()
        lease = request.match_info["id"]
        known = await asyncio.wrap_future(
            self._dataplane.submit(
                lambda forwarder, now: forwarder.lines.renew_lease(lease, ttl_s, now=now)
            )
        )
        if not known:
            return _unknown(lease)
        return web.json_response({"id": lease, "expires_in_s": ttl_s})

    async def release(self, request: web.Request) -> web.Response:
        """End a lease."""
        lease = request.match_info["id"]
        known = await asyncio.wrap_future(
            self._dataplane.submit(
                lambda forwarder, now: forwarder.lines.release_lease(lease, now=now)
            )
        )
        if not known:
            return _unknown(lease)
        self._tell("released", {"id": lease, "by": caller(request).named("")})
        return web.json_response({"id": lease})

    def _tell(self, change: str, data: dict[str, Any]) -> None:
        self._events.publish("lease", {"change": change, **data})


def _new_id(fields: Fields) -> str:
    lease = fields.line("id", "an id", secrets.token_urlsafe(ID_BYTES))
    if lease and not _ID.fullmatch(lease):
        fields.refuse("id", f"{lease!r} is not 1 to 64 letters, digits, dots, dashes, underscores")
    return lease


def _ttl(fields: Fields) -> float:
    why = " (renew it when it is needed for longer, so that a dead program does not hold the line)"
    return fields.number("ttl_s", LEAST_TTL_S, MOST_TTL_S, why)


def _host(fields: Fields, who: Caller) -> str:
    """Return the LAN address of the holder, "" for one on this machine."""
    host = fields.line("host", "an address", who.address)
    if host == who.address:
        return host
    if not who.is_local:
        fields.refuse("host", "over the network a lease is for the address it is asked from")
        return ""
    try:
        parse_address(host)
    except ValueError as error:
        fields.refuse("host", str(error))
    return host


def _unknown(lease: str) -> web.Response:
    return refusal(404, f"there is no lease {lease!r}; it may have run out")
