import socket
import stat
from pathlib import Path

import pytest
from aiohttp import web

from router.errors import ControlError, DeviceError
from router.host.control.client import ControlClient
from tests.lab.serving import serving


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
