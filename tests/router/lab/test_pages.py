import asyncio
import hashlib
import socket
from pathlib import Path

import aiohttp
import pytest

from router.lab import eventlog, pages


def test_what_is_served_and_what_is_noted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "_LINE_EVERY_S", 0)
    front, story, big, missing = asyncio.run(_fetch("/", "/story", "/big", "/none"))
    assert b"This is 127.0.0.1. You are 127.0.0.1." in front
    assert story.startswith(b"Before there were railways")
    assert story.endswith(b"\nThe end.\n")
    assert hashlib.sha256(big).hexdigest() == pages.BIG_SHA256
    assert missing.startswith(b"404")
    log = tmp_path / "log"
    log.write_text(capsys.readouterr().out)
    events = eventlog.events(log)
    assert [event.what for event in events] == [
        f"GET {path} {when}" for path in ("/", "/story", "/big", "/none")
        for when in ("begins", "ends")
    ]  # fmt: skip
    assert {event.remote_address for event in events} == {"127.0.0.1"}
    assert sorted(event.at for event in events) == [event.at for event in events]


async def _fetch(*paths: str) -> list[bytes]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = asyncio.create_task(pages.serve(port))
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client:
            return [await _get(client, path) for path in paths]
    finally:
        server.cancel()
        await asyncio.gather(server, return_exceptions=True)


async def _get(client: aiohttp.ClientSession, path: str) -> bytes:
    while True:
        try:
            async with client.get(path) as response:
                return await response.read()
        except aiohttp.ClientConnectorError:  # not yet listening
            await asyncio.sleep(0)
