import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from router.errors import ConfigError, ControlError
from router.host.control.access import ADDRESSES, TRIES, TRIES_S, Caller, Tries, load_token
from router.host.control.client import ControlClient, OverLan
from tests.lab.controlled import TOKEN, Controlled
from tests.lab.scripted import ManualClock


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Controlled]:
    with Controlled(tmp_path).running() as served:
        yield served


# The token file


@pytest.mark.parametrize("text", [TOKEN, f"{TOKEN}\n", f"  {TOKEN}\r\n", "x" * 16, "x" * 512])
def test_a_token_is_one_word_of_a_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "control.token"
    path.write_text(text)
    path.chmod(0o640)
    assert load_token(path) == text.strip()


@pytest.mark.parametrize(
    "text", ["", "short", "x" * 513, "two words of a token", "correct\x00horse-battery", "ü" * 20]
)
def test_what_is_no_token_is_one_sentence_that_does_not_show_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "control.token"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ConfigError) as caught:
        load_token(path)
    (problem,) = caught.value.problems
    assert problem.startswith(f"{path}: one word of 16 to 512 ASCII characters is needed")
    assert not text or text not in problem


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o602, 0o601])
def test_a_token_that_others_may_use_is_none(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "control.token"
    path.write_text(TOKEN)
    path.chmod(mode)
    with pytest.raises(ConfigError, match="others may use this file; chmod 640"):
        load_token(path)


def test_a_token_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"control\.token: No such file"):
        load_token(tmp_path / "control.token")


# Wrong tokens


def test_after_so_many_wrong_tokens_nothing_is_heard_for_a_minute() -> None:
    clock = ManualClock()
    tries = Tries(clock)
    for _ in range(TRIES):
        assert tries.blocked_s("192.168.1.11") == 0
        tries.note("192.168.1.11")
        clock.now += 1
    assert tries.blocked_s("192.168.1.11") == TRIES_S - TRIES
    assert tries.blocked_s("192.168.1.12") == 0
    clock.now += TRIES_S - TRIES
    assert tries.blocked_s("192.168.1.11") == 0


def test_a_few_wrong_tokens_are_forgotten_with_their_minute() -> None:
    clock = ManualClock()
    tries = Tries(clock)
    for _ in range(5 * TRIES):  # one every ten seconds: six in a minute
        tries.note("192.168.1.11")
        clock.now += 10
        assert tries.blocked_s("192.168.1.11") == 0


def test_only_so_many_addresses_are_remembered() -> None:
    tries = Tries(ManualClock())
    for number in range(ADDRESSES + 50):
        tries.note(f"10.0.{number // 256}.{number % 256}")
    assert len(tries._minutes) == ADDRESSES


# On the LAN


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": f"Bearer {TOKEN[:-1]}"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": TOKEN},
        {"Authorization": "Bearer \udcff\udcfe"},
    ],
)
@pytest.mark.parametrize("path", ["/v1/status", "/v1/capture", "/v1/no-such-thing", "/metrics"])
def test_without_the_token_there_is_nothing(
    served: Controlled, headers: dict[str, str], path: str
) -> None:
    lines = [f"GET {path} HTTP/1.1", "Host: router"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    with served.connect(lan=True) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode(errors="surrogateescape"))
        answer = read_to_the_end(connection)  # which comes: it is closed
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 401 ")
    assert b'WWW-Authenticate: Bearer realm="postroad"' in head
    assert json.loads(body) == {"error": "the token is wrong or missing"}


def read_to_the_end(connection: socket.socket) -> bytes:
    got = b""
    while piece := connection.recv(65536):
        got += piece
    return got


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER "])
def test_with_the_token_questions_are_answered(served: Controlled, scheme: str) -> None:
    headers = {"Authorization": f"{scheme} {TOKEN}"}
    status, _, _ = served.raw_on_lan("GET", "/v1/status", None, headers=headers)
    assert status == 200


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("GET", "/v1/status", {}, 200),
        ("GET", "/v1/sessions", {}, 200),
        ("GET", "/v1/mappings", {}, 200),
        ("GET", "/v1/holding", {}, 200),
        ("GET", "/v1/ledger", {}, 200),
        ("GET", "/v1/ledger/top", {}, 200),
        ("GET", "/v1/leases", {}, 200),
        ("POST", "/v1/leases", {"json": {"right": "raise", "why": "mail", "ttl_s": 9}}, 201),
        ("POST", "/v1/links/isp/up", {}, 200),
        ("POST", "/v1/links/isp/down", {}, 200),
        ("GET", "/v1/forwards", {}, 200),
        ("GET", "/metrics", {}, 200),
        ("POST", "/v1/forwards", {"json": {"rule": "udp 1 -> 10.0.0.1"}}, 403),
        ("DELETE", "/v1/forwards?rule=x", {}, 403),
        ("POST", "/v1/forwards/reload", {}, 403),
        ("GET", "/v1/capture", {}, 403),
    ],
)
def test_the_token_is_for_what_users_of_the_line_need(
    served: Controlled, method: str, path: str, options: dict[str, Any], status: int
) -> None:
    got, text, _ = served.raw_on_lan(method, path, **options)
    assert got == status, text
    assert ("ask by the control socket" in text) == (status == 403)
    assert served.forwards.asked == []


def test_guessing_is_cut_short_even_for_the_right_token(served: Controlled) -> None:
    statuses = [served.raw_on_lan("GET", "/v1/status", f"guess {n}")[0] for n in range(TRIES + 3)]
    assert statuses == [401] * TRIES + [429] * 3
    status, text, headers = served.raw_on_lan("GET", "/v1/status")
    assert (status, "too many wrong tokens" in text) == (429, True)
    assert 1 <= int(headers["Retry-After"]) <= TRIES_S + 1
    assert served.client.get("status")["version"] == "9"  # the Unix socket is not concerned


def test_the_client_tells_of_a_wrong_token_and_keeps_it_to_itself(served: Controlled) -> None:
    router = OverLan("127.0.0.1", served.port, "not-the-token-at-all")
    assert "not-the-token" not in f"{router} {router!r}"
    with pytest.raises(ControlError, match=r"^the token is wrong or missing$"):
        ControlClient(router).get("status")


@pytest.mark.parametrize(
    ("caller", "by", "name"),
    [
        (Caller("root", ""), "", "root"),
        (Caller("root", ""), "carol", "carol"),
        (Caller("", "192.168.1.10"), "", "token from 192.168.1.10"),
        (Caller("", "192.168.1.10"), "root", "root, token from 192.168.1.10"),
    ],
)
def test_nobody_on_the_lan_passes_for_somebody_here(caller: Caller, by: str, name: str) -> None:
    assert caller.named(by) == name
