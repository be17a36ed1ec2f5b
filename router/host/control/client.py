"""The control client: how the command line speaks to a running router.

Every failure is one sentence: ControlError when the router cannot be reached or will not,
ConfigError when it finds what was asked malformed.
"""

import asyncio
import errno
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import aiohttp

from router.errors import ConfigError, ControlError
from router.host.control.pcapng import cut_blocks

__all__ = ["ControlClient", "Event", "OverLan"]

CONNECT_TIMEOUT_S = 5.0  # seconds; the router is near and never waits for packets
ANSWER_TIMEOUT_S = 60.0  # seconds between two pieces of an answer
EVENTS_TIMEOUT_S = 45.0  # seconds: two keep-alives of the stream are missing


@dataclass(frozen=True, slots=True)
class OverLan:
    """Where the router listens on the LAN, and the token for it."""

    host: str
    port: int
    token: str = field(repr=False)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Event(NamedTuple):
    """One event; `number` is what to ask for the next ones with."""

    kind: str
    number: int
    data: dict[str, Any]


class ControlClient:
    """Asks the router behind a Unix socket, or on the LAN."""

    def __init__(self, router: Path | OverLan) -> None:
        self._router = router

    def get(self, resource: str, **query: str) -> dict[str, Any]:
        """Return the JSON object at `/v1/RESOURCE`; empty query values are left out."""
        return asyncio.run(self.ask("GET", resource, query))

    def post(self, resource: str, body: Mapping[str, object]) -> dict[str, Any]:
        """Post `body` to `/v1/RESOURCE` and return the answer."""
        return asyncio.run(self.ask("POST", resource, body=body))

    def put(self, resource: str, body: Mapping[str, object]) -> dict[str, Any]:
        """Put `body` to `/v1/RESOURCE` and return the answer."""
        return asyncio.run(self.ask("PUT", resource, body=body))

    def delete(self, resource: str, **query: str) -> dict[str, Any]:
        """Delete what `query` names below `/v1/RESOURCE` and return the answer."""
        return asyncio.run(self.ask("DELETE", resource, query))

    def holding(self) -> dict[str, Any]:
        """Return what waits for the line and what holds it."""
        return self.get("holding")

    def ledger(self, **query: str) -> list[dict[str, Any]]:
        """Return attempts and rises, the newest first; `last`, `link`, `host`, `since` choose."""
        entries: list[dict[str, Any]] = self.get("ledger", **query)["entries"]
        return entries

    async def up(self, link: str) -> dict[str, Any]:
        """Have a link dialled; return it as it is now, and a note if it was up already."""
        return await self.ask("POST", f"links/{quote(link, safe='')}/up", body={})

    async def down(self, link: str, *, stay: bool = False) -> dict[str, Any]:
        """Have a link taken down, with `stay` to stay down; return it, and a note if it was."""
        return await self.ask("POST", f"links/{quote(link, safe='')}/down", body={"stay": stay})

    async def ask(
        self,
        method: str,
        resource: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> dict[str, Any]:
        """Return the answer, a JSON object."""
        async with self._request(method, resource, query or {}, body) as response:
            answer: dict[str, Any] = await response.json()
            return answer

    async def events(self, after: int | None = None) -> AsyncGenerator[Event, None]:
        """Yield events until the router stops; reconnecting is up to whoever asks.

        With `after`, the number of the last event seen, what came after that one comes first if the
        router still has it; a `snapshot` otherwise.
        """
        headers = {} if after is None else {"Last-Event-ID": str(after)}
        async with self._request(
            "GET", "events", {}, headers=headers, timeout_s=EVENTS_TIMEOUT_S
        ) as response:
            fields: dict[str, str] = {}
            async for line in response.content:
                name, _, value = line.decode().strip("\n").partition(": ")
                if name:
                    fields[name] = value
                    continue
                if "data" in fields:
                    yield Event(fields["event"], int(fields["id"]), json.loads(fields["data"]))
                fields = {}

    async def capture(self, side: str, link: str = "") -> AsyncIterator[bytes]:
        """Yield runs of whole pcapng blocks from `side` (lan, wan, both, line) until cancelled.

        Of several links that speak PPP, `link` is the one whose line is meant.
        """
        rest, query = bytearray(), {"side": side, "link": link}
        async with self._request("GET", "capture", query, timeout_s=None) as response:
            async for piece in response.content.iter_any():
                rest += piece
                if blocks := cut_blocks(rest):
                    yield blocks

    @asynccontextmanager
    async def _request(
        self,
        method: str,
        resource: str,
        query: Mapping[str, str],
        body: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = ANSWER_TIMEOUT_S,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        async with self._session(timeout_s) as session:
            try:
                async with session.request(
                    method,
                    f"/v1/{resource}",
                    params={key: value for key, value in query.items() if value},
                    json=body,
                    headers=headers,
                ) as response:
                    if response.status >= 400:
                        raise _refusal(await response.json())
                    yield response
            except (aiohttp.ClientError, TimeoutError) as error:
                raise self._unreachable(error) from error

    def _session(self, timeout_s: float | None) -> aiohttp.ClientSession:
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=timeout_s
        )
        router = self._router
        if isinstance(router, Path):
            connector = aiohttp.UnixConnector(str(router))
            return aiohttp.ClientSession("http://postroad", connector=connector, timeout=timeout)
        return aiohttp.ClientSession(
            f"http://{router}",
            headers={"Authorization": f"Bearer {router.token}"},
            timeout=timeout,
        )

    def _unreachable(self, error: Exception) -> ControlError:
        if isinstance(error, aiohttp.ClientConnectorError):
            if error.os_error.errno == errno.EACCES:
                return ControlError(f"no permission to use {self._router}; root and its group may")
            return ControlError(f"no router answers at {self._router}; is one running?")
        if isinstance(error, TimeoutError):
            return ControlError(f"the router at {self._router} does not answer")
        return ControlError(f"the router at {self._router} broke off its answer")


def _refusal(answer: Mapping[str, Any]) -> ControlError | ConfigError:
    if "problems" in answer:
        return ConfigError(answer["problems"])
    return ControlError(answer["error"])
