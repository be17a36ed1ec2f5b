import asyncio
import socket
from pathlib import Path

import pytest
from aiohttp import web

from router.errors import ControlError
from router.host.control.client import ControlClient
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
