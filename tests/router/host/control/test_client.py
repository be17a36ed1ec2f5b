import asyncio
import socket
from pathlib import Path

import pytest
from aiohttp import web

from router.errors import ControlError
from router.host.control.client import ControlClient, Event
from tests.lab.serving import serving


def test_no_router_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ControlError, match=r"no router answers at .*control\.sock"):
        ControlClient(tmp_path / "control.sock").get("status")


def test_a_dead_socket_is_the_same_sentence(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with pytest.raises(ControlError, match="no router answers"):
        ControlClient(path).get("status")


def test_an_answer_that_breaks_off_is_one_sentence(tmp_path: Path) -> None:
    async def broken(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'{"sessions": [')
        assert request.transport
        request.transport.abort()
        await asyncio.sleep(0)
        return response

    app = web.Application()
    app.router.add_get("/v1/sessions", broken)
    with (
        serving(app, tmp_path / "control.sock"),
        pytest.raises(ControlError, match="broke off its answer"),
    ):
        ControlClient(tmp_path / "control.sock").get("sessions")


def test_empty_filters_are_not_sent(tmp_path: Path) -> None:
    async def echo(request: web.Request) -> web.Response:
        return web.json_response(dict(request.query))

    app = web.Application()
    app.router.add_get("/v1/sessions", echo)
    with serving(app, tmp_path / "control.sock"):
        answer = ControlClient(tmp_path / "control.sock").get("sessions", host="", protocol="udp")
    assert answer == {"protocol": "udp"}


EVENTS = (
    b"retry: 2000\n"
    b'id: 7\nevent: snapshot\ndata: {"links":[]}\n\n'
    b":\n\n"
    b'id: 8\nevent: warning\ndata: {"what":"a: b"}\n\n'
)


@pytest.mark.parametrize("piece", [1, 7, len(EVENTS)])
def test_events_are_read_however_they_are_cut(tmp_path: Path, piece: int) -> None:
    asked: list[str | None] = []

    async def stream(request: web.Request) -> web.StreamResponse:
        asked.append(request.headers.get("Last-Event-ID"))
        response = web.StreamResponse()
        await response.prepare(request)
        for start in range(0, len(EVENTS), piece):
            await response.write(EVENTS[start : start + piece])
        return response

    async def read() -> list[Event]:
        return [event async for event in ControlClient(tmp_path / "control.sock").events(after=6)]

    app = web.Application()
    app.router.add_get("/v1/events", stream)
    with serving(app, tmp_path / "control.sock"):
        told = asyncio.run(read())
    assert told == [
        Event("snapshot", 7, {"links": []}),
        Event("warning", 8, {"what": "a: b"}),
    ]
    assert asked == ["6"]


def test_a_stream_that_has_no_keep_alive_any_more_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await asyncio.Event().wait()
        return response

    async def read() -> None:
        async for _ in ControlClient(tmp_path / "control.sock").events():
            pass

    monkeypatch.setattr("router.host.control.client.EVENTS_TIMEOUT_S", 0.1)
    app = web.Application()
    app.router.add_get("/v1/events", silent)
    with (
        serving(app, tmp_path / "control.sock"),
        pytest.raises(ControlError, match="does not answer"),
    ):
        asyncio.run(read())
