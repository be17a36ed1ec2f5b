"""A control API on sockets of the test's own, served by a loop in a thread of its own."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

from aiohttp import web

from router.host.control.listener import listening

Listener = tuple[web.Application, Path | socket.socket]


@contextmanager
def serving(application: web.Application, at: Path | socket.socket) -> Iterator[None]:
    with serving_all((application, at)):
        yield


@contextmanager
def serving_all(*listeners: Listener) -> Iterator[asyncio.AbstractEventLoop]:
    """Serve all of them on one loop, which the block gets."""
    ready = threading.Event()
    failures: list[BaseException] = []
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        async with AsyncExitStack() as stack:
            for application, at in listeners:
                await stack.enter_async_context(listening(application, at))
            ready.set()
            await stop.wait()

    def run() -> None:
        try:
            loop.run_until_complete(serve())
        except BaseException as error:
            failures.append(error)
        finally:
            loop.close()
            ready.set()

    thread = threading.Thread(target=run, name="control")
    thread.start()
    ready.wait()
    try:
        if failures:
            raise failures[0]
        yield loop
    finally:
        if thread.is_alive():
            loop.call_soon_threadsafe(stop.set)
        thread.join()
    if failures:
        raise failures[0]
