"""`postroad up` and `postroad down`: raise a link, take one down.

`up` follows the events of the router until the link is up or the attempt has failed. The stream
begins before the link is asked for, so nothing that follows from that is missed.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import click

from router.cli.options import as_json, control_client, control_options, print_json
from router.cli.story import ended
from router.errors import ControlError
from router.host.control.client import ControlClient, Event
from router.link.types import State

__all__ = ["down", "up"]

_COMING = (State.DIALING.value, State.NEGOTIATING.value)
_Row = dict[str, Any]


@click.command()
@click.argument("link", required=False)
@click.option("--no-wait", is_flag=True, help="Do not wait until it is up.")
@as_json
@control_options
def up(
    link: str | None, no_wait: bool, as_json: bool, config_path: Path | None, control: Path | None
) -> None:
    """Raise LINK and wait until it is up; it may be left out where only one dials."""
    client = control_client(config_path, control)
    name = _chosen(client, link)
    row = asyncio.run(_asked(client, name) if no_wait else _raised(client, name))
    if as_json:
        print_json(row)
    elif row["state"] == State.UP.value:
        click.echo(f"{name} is up with {row['address']}")
    else:
        click.echo(f"{name}: {row['state']}, {row['reason']}")


@click.command()
@click.argument("link", required=False)
@click.option("--stay", is_flag=True, help="Traffic may not raise it again until somebody does.")
@as_json
@control_options
def down(
    link: str | None, stay: bool, as_json: bool, config_path: Path | None, control: Path | None
) -> None:
    """Take LINK down; it may be left out where only one dials."""
    client = control_client(config_path, control)
    name = _chosen(client, link)
    answer = asyncio.run(client.down(name, stay=stay))
    row = answer["link"]
    if as_json:
        print_json(row)
    else:
        click.echo(answer["note"] or f"{name}: {row['state']}, {row['reason']}")


def _chosen(client: ControlClient, link: str | None) -> str:
    if link is not None:
        return link
    links = client.get("status")["links"]
    dialling = [row["name"] for row in links if row["backend"] != "static"]
    if len(dialling) != 1:
        names = ", ".join(row["name"] for row in links)
        raise click.UsageError(f"which link? There are: {names}")
    return str(dialling[0])


async def _asked(client: ControlClient, name: str) -> _Row:
    row: _Row = (await client.up(name))["link"]
    return row


async def _raised(client: ControlClient, name: str) -> _Row:
    """Raise a link and return it once it is up; raises ControlError when that comes to nothing."""
    async with aclosing(client.events()) as events:
        await anext(events)  # the snapshot: from here on nothing is missed
        row = await _asked(client, name)
        while row["state"] == State.HANGING_UP.value:
            await _until_down(events, name)
            row = await _asked(client, name)
        if row["state"] in _COMING:
            await _follow(events, name, row["attempt"])
            links = (await client.ask("GET", "status"))["links"]
            row = next(link for link in links if link["name"] == name)
        elif row["state"] != State.UP.value:
            raise ControlError(f"{name} is not being raised: {row['state']}, {row['reason']}")
        return row


async def _follow(events: AsyncIterator[Event], name: str, attempt: int) -> None:
    """Tell how an attempt goes; return when it is up, raise ControlError when it has failed."""
    async for event in events:
        data = event.data
        if data.get("link") != name:
            continue
        if event.kind == "state":
            click.echo(f"{name}: {data['state']}, {data['reason']}", err=True)
        elif event.kind == "rise" and data["attempt"] == attempt and data["stage"] == "up":
            return
        elif event.kind == "rise" and data["attempt"] == attempt and data["stage"] == "ended":
            raise ControlError(f"{name} did not come up: {ended(data)}")
    raise ControlError("the router has stopped")


async def _until_down(events: AsyncIterator[Event], name: str) -> None:
    """Wait until a link has hung up, before which it cannot be raised."""
    async for event in events:
        if event.kind == "state" and event.data["link"] == name:
            return
    raise ControlError("the router has stopped")
