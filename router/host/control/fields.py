"""What a request says, read field by field.

Everything wrong with it is told at once, as with a configuration: each reader notes what it does
not like and returns something harmless, and `check` raises ConfigError with all of it. A field
that nobody has read is one that does not exist.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from reprlib import repr as shortened
from typing import Any, TypeVar

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from router.errors import ConfigError

__all__ = ["BODY_LIMIT", "LINE_LIMIT", "Fields", "json_object"]

BODY_LIMIT = 64 << 10  # bytes; a forward rule or a lease has some hundreds
BODY_TIMEOUT_S = 10.0  # seconds for a body that was announced: it is in the same packets, or close
LINE_LIMIT = 200  # characters of a name or a reason: a line of a wide terminal

_T = TypeVar("_T")


async def json_object(request: web.Request) -> dict[str, Any]:
    """Return the request's JSON object, empty if it has no body."""
    if not request.body_exists:
        return {}
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            body = json.loads(await request.read())
    except TimeoutError:
        raise web.HTTPRequestTimeout(
            reason=f"the body did not come within {BODY_TIMEOUT_S:.0f} s"
        ) from None
    except (ValueError, RecursionError, web.RequestPayloadError, HttpProcessingError):
        body = None
    if not isinstance(body, dict):
        raise web.HTTPBadRequest(reason="the body is a JSON object")
    return body


class Fields:
    """The fields of a body or a query."""

    def __init__(self, given: Mapping[str, object]) -> None:
        self._given = given
        self._known: list[str] = []
        self._problems: list[str] = []

    def text(self, key: str, what: str) -> str:
        """Return the text of a field that must be there."""
        value = self._take(key)
        if isinstance(value, str) and value.strip():
            return value
        return self._refuse(key, f"{what} is needed, as text", "")

    def line(self, key: str, what: str, default: str | None = None) -> str:
        """Return a printable line; without a default there must be one."""
        value = self._take(key)
        if value is None and default is not None:
            return default
        if isinstance(value, str) and value.strip() and value.isprintable():
            if len(value) <= LINE_LIMIT:
                return value.strip()
            return self._refuse(key, f"at most {LINE_LIMIT} characters are allowed", "")
        return self._refuse(key, f"{what} is needed, as text of one line", "")

    def choice(self, key: str, allowed: Sequence[str]) -> str:
        """Return which of `allowed` it is."""
        value = self._take(key)
        if isinstance(value, str) and value in allowed:
            return value
        return self._refuse(key, f"{' or '.join(allowed)} is needed", allowed[0])

    def flag(self, key: str) -> bool:
        """Return true or false, which is what it is if it is missing."""
        value = self._take(key)
        if value is None or isinstance(value, bool):
            return bool(value)
        return self._refuse(key, "true or false is needed", False)

    def number(self, key: str, least: float, most: float, why: str = "") -> float:
        """Return a number within bounds; `why` says what they are for."""
        value = self._take(key)
        if (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and least <= value <= most
        ):
            return float(value)
        return self._refuse(key, f"a number from {least:g} to {most:g} is needed{why}", least)

    def numeral(self, key: str, least: float, most: float) -> float | None:
        """Return a number of a query, where all is text; None if it is missing."""
        value = self._take(key)
        if value is None:
            return None
        try:
            number = float(str(value))
        except ValueError:
            number = float("nan")
        if least <= number <= most:
            return number
        return self._refuse(key, f"a number from {least:.0f} to {most:.0f} is needed", least)

    def check(self) -> None:
        """Raise ConfigError with everything that is wrong."""
        for key in self._given:
            if key not in self._known:
                there_are = (
                    f"there are {', '.join(self._known)}" if self._known else "there is none"
                )
                self._problems.append(f"{shortened(key)}: there is no such field; {there_are}")
        if self._problems:
            raise ConfigError(self._problems)

    def refuse(self, key: str, sentence: str) -> None:
        """Note that a field is wrong for a reason that only the reader knows."""
        self._problems.append(f"{key}: {sentence}")

    def _take(self, key: str) -> object:
        self._known.append(key)
        return self._given.get(key)

    def _refuse(self, key: str, sentence: str, harmless: _T) -> _T:
        value = self._given.get(key)
        self.refuse(key, sentence if value is None else f"{sentence}, not {shortened(value)}")
        return harmless
