import asyncio
import socket
import stat
from pathlib import Path

import pytest
from aiohttp import web

from router.errors import ControlError, DeviceError
from router.host.control.client import ControlClient, OverLan
from router.host.control.listener import listening, open_on_lan
from router.wire.address import Endpoint
from tests.lab.serving import serving

LOOPBACK = 0x7F000001


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_socket_is_for_root_and_its_group_and_goes_away(tmp_path: Path) -> None:
    path = tmp_path / "run" / "postroad" / "control.sock"
    with serving(web.Application(), path):
        assert mode(path) == 0o660
        assert mode(path.parent) & 0o100
    assert not path.exists()


def test_a_second_router_at_the_same_socket_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with serving(web.Application(), path):
        with (
            pytest.raises(ControlError, match="another router answers at"),
            serving(web.Application(), path),
        ):
            pass
        with pytest.raises(ControlError):  # served after the probe, so nothing is half accepted
            ControlClient(path).get("status")
        assert path.exists()


def test_a_socket_left_by_a_killed_router_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with serving(web.Application(), path):
        assert path.is_socket()


def test_a_path_that_cannot_be_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(DeviceError, match=r"cannot make the control socket .*: File exists"),
        serving(web.Application(), tmp_path / "file" / "control.sock"),
    ):
        pass


def test_something_else_at_the_path_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    with (
        pytest.raises(DeviceError, match="cannot make the control socket"),
        serving(web.Application(), tmp_path / "file"),
    ):
        pass
    assert (tmp_path / "file").read_text() == "precious"


def test_the_socket_goes_away_when_what_it_serves_fails(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"

    async def fail() -> None:
        async with listening(web.Application(), path):
            assert path.is_socket()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(fail())
    assert not path.exists()


def test_on_the_lan_nobody_is_answered_before_and_after() -> None:
    made = open_on_lan(Endpoint(LOOPBACK, 0))
    port = made.getsockname()[1]
    client = ControlClient(OverLan("127.0.0.1", port, "token"))
    with pytest.raises(ControlError, match=f"no router answers at 127.0.0.1:{port}"):
        client.get("status")
    with serving(web.Application(), made), pytest.raises(ControlError, match="broke off"):
        client.get("status")  # not found, and not in JSON: this application has nothing
    with pytest.raises(ControlError, match="no router answers"):
        client.get("status")


def test_a_port_that_is_taken_is_one_sentence() -> None:
    with open_on_lan(Endpoint(LOOPBACK, 0)) as taken:
        taken.listen()
        at = Endpoint(LOOPBACK, taken.getsockname()[1])
        with pytest.raises(DeviceError, match=f"cannot listen on {at}: Address already in use"):
            open_on_lan(at)
