"""The dial ledger: `GET /v1/ledger` and `/v1/ledger/top`."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Protocol

from aiohttp import web

from router.host.control.fields import Fields
from router.host.control.listings import known_address

__all__ = ["Ledger", "LedgerHandlers"]

USUAL_ENTRIES = 20  # a screen of them
MOST_ENTRIES = 1000  # about 700 KB, encoded in 10 ms
_FOREVER_S = 1e11  # seconds since 1970: in 5138


class Ledger(Protocol):
    """What is known of every attempt to raise a link, in frozen dataclasses of plain values.

    Each has a `host`, an address or "". Instants are seconds since 1970. Raises ControlError when
    it cannot be read.
    """

    async def entries(
        self, limit: int, link: str | None, host: str | None, since: float | None
    ) -> Sequence[Any]:
        """Return attempts and rises, the newest first: of this link, of this host's address."""
        ...

    async def top_dialers(self, since: float | None) -> Sequence[Any]:
        """Return who has dialled, whoever has done so most first."""
        ...


class LedgerHandlers:
    """Answers questions about the past."""

    def __init__(self, ledger: Ledger, host_names: Mapping[str, str]) -> None:
        self._ledger = ledger
        self._host_names = host_names

    async def entries(self, request: web.Request) -> web.Response:
        """Tell attempts and rises, the newest first."""
        fields = Fields(request.query)
        limit = fields.numeral("last", 1, MOST_ENTRIES)
        link = fields.line("link", "a link", "") or None
        host = fields.line("host", "an address or a name", "")
        since = fields.numeral("since", 0, _FOREVER_S)
        fields.check()
        address = known_address(host, self._host_names) if host else None
        last = USUAL_ENTRIES if limit is None else int(limit)
        entries = await self._ledger.entries(last, link, address, since)
        return web.json_response({"entries": [self._named(entry) for entry in entries]})

    async def top(self, request: web.Request) -> web.Response:
        """Tell who has dialled most."""
        fields = Fields(request.query)
        since = fields.numeral("since", 0, _FOREVER_S)
        fields.check()
        dialers = await self._ledger.top_dialers(since)
        return web.json_response({"dialers": [self._named(dialer) for dialer in dialers]})

    def _named(self, row: Any) -> dict[str, Any]:
        """Return a row with the name that its host has now."""
        return {**asdict(row), "name": self._host_names.get(row.host, "")}
