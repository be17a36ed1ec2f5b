"""The forward rules of a running router, read and changed while it runs.

What is in force belongs to the data plane; each change reads, checks and replaces it in one
message, so that two clients at once cannot lose each other's rules. Rules added this way have
the origin `control` and live until the next reload or restart.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from router.config import Config
from router.errors import ConfigError, ControlError
from router.host.dataplane.loop import DataPlane
from router.host.dataplane.protocols import Forwarder
from router.nat.types import DefaultHost, ForwardRule
from router.rules import conflicts, render

__all__ = ["RunningForwards"]

ORIGIN = "control"

_Rule = ForwardRule | DefaultHost


class RunningForwards:
    """Implements `router.host.control.server.Forwards`."""

    def __init__(self, dataplane: DataPlane, config: Config) -> None:
        self._dataplane = dataplane
        self._config = config

    async def listing(self) -> list[dict[str, str]]:
        """Return the rules in force."""
        rules = await asyncio.wrap_future(
            self._dataplane.submit(lambda forwarder, _: tuple(forwarder.forwards))
        )
        return [_shown(rule) for rule in rules]

    async def add(self, text: str) -> dict[str, str]:
        """Put one more rule in force and return it.

        Raises ConfigError when it is wrong or not one rule, ControlError when it claims what
        another one has.
        """
        rule = replace(self._one_rule(text), origin=ORIGIN)

        def add(forwarder: Forwarder, now: float) -> None:
            together = (*forwarder.forwards, rule)
            if problems := conflicts(together, shared=self._config.shares_ports):
                raise ControlError("; ".join(problems))
            forwarder.replace_forwards(together, reset_affected=False, now=now)

        await asyncio.wrap_future(self._dataplane.submit(add))
        return _shown(rule)

    def _one_rule(self, text: str) -> _Rule:
        """Read one rule; what is wrong is said of `rule`, the name of the argument."""
        try:
            rules = self._config.parse_forwards(text, ORIGIN)
        except ConfigError as error:
            raise ConfigError(
                [f"rule: {problem.removeprefix(f'{ORIGIN}:1: ')}" for problem in error.problems]
            ) from None
        if len(rules) != 1:
            raise ConfigError([f"rule: {text!r} is not one rule; give one at a time"])
        return rules[0]

    async def remove(self, text: str) -> dict[str, str]:
        """Take out of force the rule that reads `text`, or `text -> ...`, and return it.

        Its sessions live on. Raises ControlError when there is no such rule.
        """
        wanted = " ".join(text.split())

        def remove(forwarder: Forwarder, now: float) -> _Rule:
            rule = _find(forwarder.forwards, wanted)
            rest = [other for other in forwarder.forwards if other is not rule]
            forwarder.replace_forwards(rest, reset_affected=False, now=now)
            return rule

        return _shown(await asyncio.wrap_future(self._dataplane.submit(remove)))

    async def reload(self, *, reset_affected: bool) -> dict[str, int]:
        """Put what the file says in force and nothing else; sessions live on unless told.

        Raises ConfigError with every problem of the file; then nothing has changed.
        """
        rules = self._config.load_forwards()
        reset = await asyncio.wrap_future(
            self._dataplane.submit(
                lambda forwarder, now: forwarder.replace_forwards(
                    rules, reset_affected=reset_affected, now=now
                )
            )
        )
        return {"forwards": len(rules), "sessions_reset": reset}


def _find(rules: Sequence[_Rule], wanted: str) -> _Rule:
    for rule in rules:
        line = render(rule)
        if wanted in (line, line.partition(" -> ")[0]):
            return rule
    raise ControlError(f'no forward reads {wanted!r}; "postroad forward list" shows them')


def _shown(rule: _Rule) -> dict[str, str]:
    return {"rule": render(rule), "origin": rule.origin}
