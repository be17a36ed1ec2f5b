"""`postroad events`: what happens to links, leases and forwards, as it happens."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from router.cli.options import control_client, control_options
from router.cli.tables import duration
from router.errors import ControlError
from router.host.control.client import ControlClient, Event

__all__ = ["events", "lines_of"]

RETRY_S = 2.0  # seconds until a router that has gone is asked again

_Data = dict[str, Any]


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object on each line.")
@control_options
def events(as_json: bool, config_path: Path | None, control: Path | None) -> None:
    """Tell what happens until Ctrl-C; a router that stops is waited for."""
    client = control_client(config_path, control)
    tell = _tell_as_json if as_json else _tell
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


def _tell(event: Event) -> None:
    for line in lines_of(event):
        click.echo(line)


def _tell_as_json(event: Event) -> None:
    click.echo(json.dumps({"event": event.kind, "id": event.number, "data": event.data}))


def lines_of(event: Event) -> Iterator[str]:
    """Yield an event in words, each line with its time."""
    at = datetime.fromtimestamp(event.data["at"], UTC).astimezone()
    words = _WORDS.get(event.kind)
    for line in words(event.data) if words else [event.kind]:
        yield f"{at:%H:%M:%S} {line}"


def _snapshot(data: _Data) -> Iterator[str]:
    for link in data["links"]:
        address = f" with {link['address']}" if link["address"] else ""
        lasted = duration(link["since_s"])
        yield f"{link['name']} is {link['state']}{address} for {lasted}: {_because(link)}"


def _state(data: _Data) -> Iterator[str]:
    yield f"{data['link']} {data['former']} -> {data['state']}: {_because(data)}"


def _because(data: _Data) -> str:
    return f"{data['reason']} ({data['by']})" if data["by"] else str(data["reason"])


def _rise(data: _Data) -> Iterator[str]:
    which = f"{data['link']} attempt {data['attempt']}"
    if data["stage"] == "begun":
        because = data["packet"] or data["why"] or data["cause"]
        rule = f" by rule: {data['rule']}" if data["rule"] else ""
        yield f"{which} for {data['by'] or data['cause']}: {because}{rule}"
    elif data["stage"] == "up":
        yield f"{which} is up with {data['address']} after {duration(data['dialled_s'])}"
    else:
        yield f"{which} ended{_lasted(data)}: {_end(data)}"


def _lasted(data: _Data) -> str:
    return " without coming up" if data["up_s"] is None else f" after {duration(data['up_s'])} up"


def _end(data: _Data) -> str:
    why = ", ".join(filter(None, (data["ending"], data["detail"])))
    counts = f"{data['held']} packets held, {data['lost']} lost"
    kept = f"; held last by {data['kept_by']}" if data["kept_by"] else ""
    return f"{why}; {counts}{kept}"


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
