"""`postroad events`: what happens to links, leases and forwards, as it happens.

The router tells of an attempt again whenever something of its account has changed. People are told
what is new to them, and nothing twice; with `--json` all of it is passed on.
"""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from router.cli.options import control_client, control_options
from router.cli.story import ended
from router.cli.tables import duration
from router.errors import ControlError
from router.host.control.client import ControlClient, Event

__all__ = ["Teller", "events"]

RETRY_S = 2.0  # seconds until a router that has gone is asked again

_Data = dict[str, Any]


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object on each line.")
@control_options
def events(as_json: bool, config_path: Path | None, control: Path | None) -> None:
    """Tell what happens until Ctrl-C; a router that stops is waited for."""
    client = control_client(config_path, control)
    tell = _tell_as_json if as_json else Teller().tell
    with suppress(KeyboardInterrupt):
        asyncio.run(_follow(client, tell))


async def _follow(client: ControlClient, tell: Callable[[Event], None]) -> None:
    """Tell of every event; a router that has never answered is a ControlError."""
    after, told = None, ""
    while True:
        try:
            async for event in client.events(after):
                tell(event)
                after, told = event.number, ""
            trouble = "the router has stopped"
        except ControlError as error:
            if after is None:
                raise
            trouble = str(error)
        if trouble != told:
            click.echo(f"{trouble}; asking again until Ctrl-C", err=True)
            told = trouble
        await asyncio.sleep(RETRY_S)


def _tell_as_json(event: Event) -> None:
    click.echo(json.dumps({"event": event.kind, "id": event.number, "data": event.data}))


class Teller:
    """Puts events into words; knows what it has told last of each link's attempts."""

    def __init__(self) -> None:
        self._rises: dict[str, _Data] = {}

    def tell(self, event: Event) -> None:
        """Print what there is to tell of an event."""
        for line in self.lines_of(event):
            click.echo(line)

    def lines_of(self, event: Event) -> Iterator[str]:
        """Yield what an event says that has not been told, each line with its time."""
        at = datetime.fromtimestamp(event.data["at"], UTC).astimezone()
        for line in self._words(event.kind, event.data):
            yield f"{at:%H:%M:%S} {line}"

    def _words(self, kind: str, data: _Data) -> Iterator[str]:
        if kind == "rise":
            former = self._rises.get(data["link"])
            self._rises[data["link"]] = data
            if former is not None and _stage(former) == _stage(data):
                return _recounted(former, data)
        elif kind == "snapshot":
            self._rises.clear()  # another run of the router begins with its first attempt
        words = _WORDS.get(kind)
        return words(data) if words else iter([kind])


def _stage(rise: _Data) -> tuple[int, str]:
    return rise["attempt"], rise["stage"]


def _snapshot(data: _Data) -> Iterator[str]:
    for link in data["links"]:
        address = f" with {link['address']}" if link["address"] else ""
        lasted = duration(link["since_s"])
        yield f"{link['name']} is {link['state']}{address} for {lasted}: {_because(link)}"


def _state(data: _Data) -> Iterator[str]:
    yield f"{data['link']} {data['former']} -> {data['state']}: {_because(data)}"


def _because(data: _Data) -> str:
    return f"{data['reason']} ({data['by']})" if data["by"] else str(data["reason"])


def _which(data: _Data) -> str:
    return f"{data['link']} attempt {data['attempt']}"


def _rise(data: _Data) -> Iterator[str]:
    which = _which(data)
    if data["stage"] == "begun":
        because = data["packet"] or data["why"] or data["cause"]
        rule = f" by rule: {data['rule']}" if data["rule"] else ""
        yield f"{which} for {data['by'] or data['cause']}: {because}{rule}"
    elif data["stage"] == "up":
        yield f"{which} is up with {data['address']} after {duration(data['dialled_s'])}"
    else:
        yield f"{which} ended{_lasted(data)}: {_end(data)}"


def _recounted(former: _Data, data: _Data) -> Iterator[str]:
    """Yield what has changed of an attempt since; another address is told as a change of state."""
    if _counts(data) != _counts(former):
        yield f"{_which(data)}: {_counts(data)}"


def _lasted(data: _Data) -> str:
    return " without coming up" if data["up_s"] is None else f" after {duration(data['up_s'])} up"


def _end(data: _Data) -> str:
    kept = f"; held last by {data['kept_by']}" if data["kept_by"] else ""
    return f"{ended(data)}; {_counts(data)}{kept}"


def _counts(data: _Data) -> str:
    packets = "1 packet" if data["held"] == 1 else f"{data['held']} packets"
    return f"{packets} held, {data['lost']} lost"


def _warning(data: _Data) -> Iterator[str]:
    yield f"warning: {data['what']}"


def _lease(data: _Data) -> Iterator[str]:
    if data["change"] == "granted":
        lasts = duration(data["expires_in_s"])
        refused = f"; the line is not raised: {data['refused']}" if data["refused"] else ""
        yield f"lease {data['id']} granted to {data['by']} for {lasts}: {data['why']}{refused}"
    else:
        yield f"lease {data['id']} {data['change']} by {data['by']}"


def _forwards(data: _Data) -> Iterator[str]:
    if "rule" in data:
        yield f"forward {data['change']}: {data['rule']}"
    else:
        yield f"forwards {data['change']}: {data['forwards']} in force"


_WORDS: dict[str, Callable[[_Data], Iterator[str]]] = {
    "snapshot": _snapshot,
    "state": _state,
    "rise": _rise,
    "warning": _warning,
    "lease": _lease,
    "forwards": _forwards,
}
