import socket
from threading import Event, Timer

import pytest

from router.host.machine import netns
from router.lab.scan import scan
from tests.lab.box import Box


class Ended(Event):
    """Ends a scan after so many looks, without waiting for them."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self._looks = looks

    def wait(self, timeout: float | None = None) -> bool:  # noqa: ARG002 - as an Event
        self._looks -= 1
        return self._looks < 0


def test_every_question_is_counted() -> None:
    assert scan("127.0.0.1", "127.0.0.1", Ended(looks=2000)) == 2000


@pytest.mark.net
def test_without_a_line_nothing_is_asked(box: Box) -> None:
    with netns.inside(box.outside):
        assert scan("198.51.100.10", "192.0.2.1", Ended(looks=50)) == 0


@pytest.mark.net
def test_an_open_port_never_sees_a_connection(box: Box) -> None:
    with netns.inside(box.alice):
        server = socket.create_server(("192.168.1.10", 25))
    with server, netns.inside(box.box):
        assert scan("192.168.1.1", "192.168.1.10", Ended(looks=200)) == 200
        server.settimeout(0.3)
        with pytest.raises(TimeoutError):
            server.accept()


def test_it_goes_on_until_it_is_told_to_stop() -> None:
    stop = Event()
    timer = Timer(0.1, stop.set)
    timer.start()
    assert scan("127.0.0.1", "127.0.0.1", stop) > 0
    timer.join()
