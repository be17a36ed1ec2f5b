"""The control client: how the command line speaks to a running router.

Every failure is one sentence: ControlError when the router cannot be reached or will not,
ConfigError when it finds what was asked malformed.
"""

import asyncio
import errno
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from router.errors import ConfigError, ControlError
from router.host.control.pcapng import cut_blocks

__all__ = ["ControlClient"]

CONNECT_TIMEOUT_S = 5.0  # seconds; the socket is local and its server never waits for packets
ANSWER_TIMEOUT_S = 60.0  # seconds between two pieces of an answer


class ControlClient:
    """Asks the router behind the Unix socket `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, resource: str, **query: str) -> dict[str, Any]:
        """Return the JSON object at `/v1/RESOURCE`; empty query values are left out."""
        return self._ask("GET", resource, query)

    def post(self, resource: str, body: Mapping[str, object]) -> dict[str, Any]:
        """Post `body` to `/v1/RESOURCE` and return the answer."""
        return self._ask("POST", resource, {}, body)

    def delete(self, resource: str, **query: str) -> dict[str, Any]:
        """Delete what `query` names below `/v1/RESOURCE` and return the answer."""
        return self._ask("DELETE", resource, query)

    def _ask(
        self,
        method: str,
        resource: str,
        query: Mapping[str, str],
        body: Mapping[str, object] | None = None,
    ) -> dict[str, Any]:
        async def ask() -> dict[str, Any]:
            async with self._request(method, resource, query, body) as response:
                answer: dict[str, Any] = await response.json()
                return answer

        return asyncio.run(ask())

    async def capture(self, side: str) -> AsyncIterator[bytes]:
        """Yield runs of whole pcapng blocks from `side` (lan, wan, both) until cancelled."""
        rest = bytearray()
        async with self._request("GET", "capture", {"side": side}, timeout_s=None) as response:
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
        timeout_s: float | None = ANSWER_TIMEOUT_S,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=timeout_s
        )
        async with aiohttp.ClientSession(
            connector=aiohttp.UnixConnector(str(self._path)), timeout=timeout
        ) as session:
            try:
                async with session.request(
                    method,
                    f"http://postroad/v1/{resource}",
                    params={key: value for key, value in query.items() if value},
                    json=body,
                ) as response:
                    if response.status >= 400:
                        raise _refusal(await response.json())
                    yield response
            except (aiohttp.ClientError, TimeoutError) as error:
                raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> ControlError:
        if isinstance(error, aiohttp.ClientConnectorError):
            if error.os_error.errno == errno.EACCES:
                return ControlError(f"no permission to use {self._path}; root and its group may")
            return ControlError(f"no router answers at {self._path}; is one running?")
        if isinstance(error, TimeoutError):
            return ControlError(f"the router at {self._path} does not answer")
        return ControlError(f"the router at {self._path} broke off its answer")


def _refusal(answer: Mapping[str, Any]) -> ControlError | ConfigError:
    if "problems" in answer:
        return ConfigError(answer["problems"])
    return ControlError(answer["error"])
