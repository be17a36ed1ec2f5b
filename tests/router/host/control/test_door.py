"""What strangers do to a listening socket: nothing, half of something, nonsense, or too much."""

import asyncio
import json
import logging
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from router.host.control import door, fields, listener
from router.host.control.door import BURST_S, Bounds, Pace
from router.host.control.fields import BODY_LIMIT
from tests.lab.controlled import TOKEN, Controlled, eventually
from tests.lab.scripted import ManualClock

AUTHORIZED = f"Authorization: Bearer {TOKEN}\r\n"
STATUS = f"GET /v1/status HTTP/1.1\r\nHost: router\r\n{AUTHORIZED}\r\n".encode()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Controlled]:
    with Controlled(tmp_path).running() as served:
        yield served


def answer(connection: socket.socket) -> bytes:
    """Return what comes until the other side closes."""
    got = b""
    try:
        while piece := connection.recv(65536):
            got += piece
    except ConnectionResetError:
        pass
    return got


def test_a_pace_allows_a_burst_and_then_so_much_a_second() -> None:
    clock = ManualClock()
    pace = Pace(clock)
    assert [pace.charge(BURST_S / 2) for _ in range(4)] == pytest.approx(
        [0, 0, BURST_S / 2, BURST_S]
    )
    clock.now += BURST_S
    assert pace.charge(0.0) == pytest.approx(0)
    assert pace.charge(BURST_S) == pytest.approx(BURST_S)
    clock.now += 1000  # quiet hours are not saved up
    assert [pace.charge(BURST_S) for _ in range(2)] == pytest.approx([0, BURST_S])


@pytest.mark.parametrize("lan", [False, True])
@pytest.mark.parametrize(
    "said", [b"", b"GET /v1/sta", b"GET /v1/status HTTP/1.1\r\nHost: router\r\nX-Slow: "]
)
def test_half_a_request_is_closed_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: bytes, lan: bool
) -> None:
    monkeypatch.setattr(listener, "SILENCE_S", 0.2)
    with Controlled(tmp_path).running() as served, served.connect(lan=lan) as half_open:
        half_open.sendall(said)
        assert answer(half_open) == b""
        assert served.client.get("status")["version"] == "9"


def test_a_request_that_trickles_is_closed_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "SILENCE_S", 0.3)
    begun = time.monotonic()
    with Controlled(tmp_path).running() as served, served.connect() as slow:
        slow.settimeout(0.01)
        for byte in b"GET /v1/status HTTP/1.1\r\nX-Slow: " + b"z" * 8000:
            if not goes_on(slow, byte):
                break
        assert time.monotonic() - begun < 5


def goes_on(connection: socket.socket, byte: int) -> bool:
    """Send one more byte a moment after the last; return whether the other side still listens."""
    try:
        connection.sendall(bytes([byte]))
        return bool(connection.recv(1))
    except TimeoutError:
        return True
    except (BrokenPipeError, ConnectionResetError):
        return False


def test_a_connection_that_says_no_more_is_closed_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "SILENCE_S", 0.2)
    with Controlled(tmp_path).running() as served, served.connect() as silent:
        silent.sendall(STATUS)
        assert answer(silent).startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_body_that_does_not_come_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fields, "BODY_TIMEOUT_S", 0.1)
    monkeypatch.setattr(listener, "LINGERING_S", 0.1)
    with Controlled(tmp_path).running() as served, served.connect() as slow:
        slow.sendall(b"POST /v1/links/isp/up HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
        said = answer(slow)
        assert served.lines.asked == []
    assert said.startswith(b"HTTP/1.1 408 ")
    assert b"the body did not come within 0 s" in said


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"\x00\x01\x02 nonsense\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64), b"400"),  # TLS
        (b"GET /v1/status HTTP/9.9\r\n\r\n", b"400"),
        (b"GET /v1/status HTTP/1.1\r\nHost router\r\n\r\n", b"400"),
        (b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 20000 + b"\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 1000 + b"\r\n", b"400"),
        (b"POST /v1/leases HTTP/1.1\r\nHost: x\r\nContent-Length: nine\r\n\r\n", b"400"),
        (b"POST /v1/leases HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", b"400"),
        (
            b"POST /v1/leases HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"400",
        ),
    ],
)
@pytest.mark.parametrize("lan", [False, True])
def test_what_is_no_http_is_refused_and_forgotten(
    served: Controlled, said: bytes, status: bytes, lan: bool
) -> None:
    with served.connect(lan=lan) as connection:
        connection.sendall(said)
        got = answer(connection)
    assert got.startswith((b"HTTP/1.1 " + status, b"HTTP/1.0 " + status)), got
    assert served.client.get("status")["version"] == "9"


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (b"Transfer-Encoding: chunked\r\n", b"zz\r\n{}\r\n0\r\n\r\n"),
        (b"Content-Encoding: gzip\r\nContent-Length: 4\r\n", b"junk"),
        (b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", b"4\r\njunk\r\n0\r\n\r\n"),
        (b"Content-Type: text/x; charset=none-such\r\nContent-Length: 4\r\n", b"\xff\xff{}"),
    ],
)
def test_a_body_that_is_broken_is_refused(
    served: Controlled, head: bytes, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with served.connect() as connection:
        ask = b"POST /v1/links/isp/up HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        connection.sendall(ask + head + b"\r\n" + body)
        assert answer(connection).startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 "))
    assert served.lines.asked == []
    assert "internal fault" not in caplog.text


def test_a_body_beyond_the_limit_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "LINGERING_S", 0.1)
    head = f"POST /v1/leases HTTP/1.1\r\nHost: x\r\nContent-Length: {1 << 40}\r\n\r\n".encode()
    with Controlled(tmp_path).running() as served, served.connect() as connection:
        connection.sendall(head + bytes(BODY_LIMIT + 1))
        assert answer(connection).startswith(b"HTTP/1.1 413 ")


def test_nonsense_does_not_fill_the_log(
    served: Controlled, caplog: pytest.LogCaptureFixture
) -> None:
    listener._http_log.filters[0]._quiet_until = float("-inf")  # type: ignore[union-attr]
    with caplog.at_level(logging.DEBUG):
        for _ in range(20):
            with served.connect() as connection:
                connection.sendall(b"GET / HTTP/1.1\r\nno header\r\n\r\n")
                answer(connection)
    assert len([record for record in caplog.records if record.name.endswith(".http")]) == 1


@pytest.mark.parametrize("lan", [False, True])
def test_connections_are_bounded_and_places_come_free_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lan: bool
) -> None:
    monkeypatch.setattr(listener, "LOCAL_BOUNDS", Bounds(3, 3))
    monkeypatch.setattr(listener, "LAN_BOUNDS", Bounds(3, 3))
    with Controlled(tmp_path).running() as served:
        taken = [served.connect(lan=lan) for _ in range(3)]
        for connection in taken:
            connection.sendall(STATUS)
            assert connection.recv(12) == b"HTTP/1.1 200"
        with served.connect(lan=lan) as one_more:
            assert answer(one_more) == b""
        taken.pop().close()

        def there_is_room() -> bool:
            with served.connect(lan=lan) as again:
                try:
                    again.sendall(STATUS)
                    return again.recv(12) == b"HTTP/1.1 200"
                except (BrokenPipeError, ConnectionResetError):
                    return False

        eventually(there_is_room, "a place that came free is given away")
        for connection in taken:
            connection.close()


def test_one_address_does_not_get_all_the_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "LAN_BOUNDS", Bounds(10, 2))
    with Controlled(tmp_path).running() as served:
        greedy = [served.connect(lan=True) for _ in range(5)]
        for connection in greedy[2:]:
            assert answer(connection) == b""
        with socket.create_connection(
            ("127.0.0.1", served.port), 10, source_address=("127.0.0.2", 0)
        ) as other:
            other.sendall(STATUS)
            assert other.recv(12) == b"HTTP/1.1 200"
        for connection in greedy:
            connection.close()


def test_half_open_clients_do_not_keep_others_out(served: Controlled) -> None:
    """As many as the LAN may have, all silent; the socket of the machine answers as ever."""
    silent = [served.connect(lan=True) for _ in range(150)]
    try:
        begun = time.monotonic()
        for _ in range(5):
            assert served.client.get("status")["version"] == "9"
        assert time.monotonic() - begun < 5
    finally:
        for connection in silent:
            connection.close()


def test_a_listener_out_of_descriptors_recovers(
    served: Controlled, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(door, "FAILURE_COST_S", 0.01)
    failures = [OSError(24, "Too many open files")] * 3
    accept = socket.socket.accept

    def sometimes(listener: socket.socket) -> tuple[socket.socket, object]:
        if failures:
            raise failures.pop()
        return accept(listener)

    monkeypatch.setattr(socket.socket, "accept", sometimes)
    for _ in range(2):
        assert served.client.get("status")["version"] == "9"
    assert failures == []
    assert "cannot accept a connection: Too many open files" in caplog.text


def test_a_flood_of_connections_takes_no_more_than_its_pace(
    served: Controlled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what comes at once only the burst is served at once; the rest waits its turn."""
    monkeypatch.setattr(door, "SERVED_COST_S", BURST_S)  # the first, and one each quarter second

    async def one() -> float:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(STATUS)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()
        return time.monotonic()

    async def all_of_them() -> list[float]:
        return sorted(await asyncio.gather(*(one() for _ in range(4))))

    times = asyncio.run(all_of_them())
    assert times[3] - times[1] >= 2 * BURST_S * 0.9


def test_requests_in_a_row_on_one_connection_are_answered_in_order(served: Controlled) -> None:
    with served.connect() as connection:
        connection.sendall(STATUS * 3 + STATUS.replace(b"Host", b"Connection: close\r\nHost"))
        got = answer(connection)
    bodies = [part.partition(b"\r\n\r\n")[2] for part in got.split(b"HTTP/1.1 200 OK")[1:]]
    assert [json.loads(body)["version"] for body in bodies] == ["9"] * 4
