"""The lab's web server: a page that names its visitor, a slow one, and a big one.

Every request is logged twice, as it begins and as it ends, with both ends' addresses as the
server sees them: who a packet claims to be from is what a translating router is judged by.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable

from aiohttp import web

from router.lab.eventlog import note

__all__ = ["BIG_SHA256", "serve"]

_STORY = (
    "Before there were railways the post went by road.",
    "A rider left when there was something to carry,",
    "changed horses where the road had a house,",
    "and nobody paid for a road that lay empty.",
)
_LINE_EVERY_S = 0.2  # a reader takes 0.8 s: long enough for two to be at it together
_BIG_BYTES = 2 * 1024 * 1024  # thousands of packets, yet two seconds at most at 10 Mbit/s
_BIG = hashlib.shake_256(b"postroad").digest(_BIG_BYTES)  # no pattern for an offset to hide in
BIG_SHA256 = hashlib.sha256(_BIG).hexdigest()

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def serve(port: int) -> None:
    """Serve pages on the TCP port until cancelled."""
    site = web.Application(middlewares=[_logged])
    site.router.add_get("/", _front_page)
    site.router.add_get("/story", _story)
    site.router.add_get("/big", _big)
    runner = web.AppRunner(site, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, port=port).start()
    try:
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


@web.middleware
async def _logged(request: web.Request, handler: _Handler) -> web.StreamResponse:
    assert request.transport is not None
    remote = request.transport.get_extra_info("peername")
    own = request.transport.get_extra_info("sockname")
    about = f"GET {request.path}"
    note("web", remote, own, f"{about} begins")
    try:
        return await handler(request)
    finally:
        note("web", remote, own, f"{about} ends")


async def _front_page(request: web.Request) -> web.Response:
    assert request.transport is not None
    own = request.transport.get_extra_info("sockname")[0]
    text = (
        "<!DOCTYPE html>\n<html>\n<head><title>The post house</title></head>\n<body>\n"
        f"<p>This is {own}. You are {request.remote}.</p>\n"
        '<p><a href="/story">A story</a>, <a href="/big">something big</a>.</p>\n'
        "</body>\n</html>\n"
    )
    return web.Response(text=text, content_type="text/html")


async def _story(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    await response.prepare(request)
    for line in _STORY:
        await response.write(f"{line}\n".encode())
        await asyncio.sleep(_LINE_EVERY_S)
    await response.write(b"The end.\n")
    await response.write_eof()
    return response


async def _big(_request: web.Request) -> web.Response:
    return web.Response(body=_BIG, content_type="application/octet-stream")
