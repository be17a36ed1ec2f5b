"""The forward rules of the running router: `/v1/forwards`."""

from typing import Any, Protocol

from aiohttp import web

from router.host.control.events import EventHub
from router.host.control.fields import Fields, json_object

__all__ = ["ForwardHandlers", "Forwards"]


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


class ForwardHandlers:
    """Shows and changes them; each change is an event."""

    def __init__(self, forwards: Forwards, events: EventHub) -> None:
        self._forwards = forwards
        self._events = events

    async def show(self, _request: web.Request) -> web.Response:
        """Tell the rules in force."""
        return web.json_response({"forwards": await self._forwards.listing()})

    async def add(self, request: web.Request) -> web.Response:
        """Put one more rule in force."""
        fields = Fields(await json_object(request))
        rule = fields.text("rule", "a forward rule")
        fields.check()
        added = await self._forwards.add(rule)
        self._tell("added", added)
        return web.json_response({"added": added})

    async def remove(self, request: web.Request) -> web.Response:
        """Take one rule out of force."""
        fields = Fields(request.query)
        rule = fields.text("rule", "a forward rule")
        fields.check()
        removed = await self._forwards.remove(rule)
        self._tell("removed", removed)
        return web.json_response({"removed": removed})

    async def reload(self, request: web.Request) -> web.Response:
        """Read the rule file again."""
        fields = Fields(await json_object(request))
        reset_affected = fields.flag("reset_affected")
        fields.check()
        done = await self._forwards.reload(reset_affected=reset_affected)
        self._tell("reloaded", done)
        return web.json_response(done)

    def _tell(self, change: str, data: dict[str, Any]) -> None:
        self._events.publish("forwards", {"change": change, **data})
