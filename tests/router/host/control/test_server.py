"""The API as its client meets it: a real socket, a real data-plane thread, scripted packets."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from router.devices import Verdict
from router.errors import ConfigError, ControlError
from router.host.control.client import ControlClient
from router.host.control.pcapng import ENHANCED_PACKET, split_blocks
from router.host.control.server import ControlApi
from router.host.dataplane.loop import DataPlane
from router.wire.malformed import Malformed
from tests.lab.scripted import FrameSocket, ManualClock, ScriptedForwarder, frame
from tests.lab.serving import serving

RULE = {"rule": "tcp 80 -> 192.168.1.10", "origin": "forward.rules:1"}


class FakeForwards:
    def __init__(self) -> None:
        self.asked: list[object] = []

    async def listing(self) -> list[dict[str, str]]:
        return [RULE]

    async def add(self, text: str) -> dict[str, str]:
        if text == "nonsense":
            raise ConfigError(["control:1: no arrow", "control:1: no port"])
        self.asked.append(("add", text))
        return {"rule": text, "origin": "control"}

    async def remove(self, text: str) -> dict[str, str]:
        if text == "boom":
            raise ZeroDivisionError
        if text != RULE["rule"]:
            raise ControlError("no forward reads that")
        return RULE

    async def reload(self, *, reset_affected: bool) -> dict[str, int]:
        self.asked.append(("reload", reset_affected))
        return {"forwards": 1, "sessions_reset": 0}


class Served:
    def __init__(self, socket_path: Path) -> None:
        self.path = socket_path
        self.lan, self.wan = FrameSocket("lan0"), FrameSocket("wan0")
        self.forwarder = ScriptedForwarder()
        self.plane = DataPlane(self.forwarder, self.lan, self.wan, clock=ManualClock())
        self.forwards = FakeForwards()
        self.api = ControlApi(
            self.plane,
            self.forwards,
            lambda: {"version": "9", "uptime_s": 3.0},
            {"192.168.1.10": "mail"},
        )
        self.client = ControlClient(socket_path)

    def raw(self, method: str, path: str, **options: Any) -> tuple[int, str]:
        async def ask() -> tuple[int, str]:
            connector = aiohttp.UnixConnector(str(self.path))
            async with (
                aiohttp.ClientSession(connector=connector) as session,
                session.request(method, f"http://router{path}", **options) as response,
            ):
                return response.status, await response.text()

        return asyncio.run(ask())


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    served = Served(tmp_path / "control.sock")
    served.plane.start()
    with serving(served.api.application(), served.path):
        yield served
    served.plane.stop()
    served.lan.close()
    served.wan.close()


def test_status_is_what_the_daemon_describes_and_the_counts(served: Served) -> None:
    served.forwarder.malformed = {Malformed.DATA_OFFSET: 2}
    status = served.client.get("status")
    assert (status["version"], status["uptime_s"]) == ("9", 3.0)
    assert status["traffic"]["lan"]["tun"] == "lan0"
    assert status["traffic"]["reasons"] == [
        {"reason": "session", "sentence": "belongs to a session", "packets": 3}
    ]
    assert status["traffic"]["malformed"] == [
        {"flaw": "data-offset", "sentence": Malformed.DATA_OFFSET.value, "packets": 2}
    ]


ROWS = ["192.168.1.10:25", "192.168.1.10:53", "192.168.1.11:25", "192.168.1.11"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ROWS),
        ({"host": "192.168.1.10"}, ROWS[:2]),
        ({"host": "mail"}, ROWS[:2]),
        ({"host": "192.168.1.11"}, ROWS[2:]),
        ({"host": "192.168.1.1"}, []),
        ({"protocol": "UDP"}, ROWS[1:2]),
        ({"protocol": "tcp", "host": "mail"}, ROWS[:1]),
    ],
)
def test_sessions_are_filtered(served: Served, query: dict[str, str], expected: list[str]) -> None:
    served.forwarder.names = ROWS
    sessions = served.client.get("sessions", **query)["sessions"]
    assert [row["internal"] for row in sessions] == expected
    assert all(row["host"] == ("mail" if ".10" in row["internal"] else "") for row in sessions)


def test_mappings_are_an_empty_list_without_any(served: Served) -> None:
    assert served.client.get("mappings") == {"mappings": []}


def test_many_sessions_are_one_document(served: Served) -> None:
    served.forwarder.names = [f"192.168.1.10:{port}" for port in range(5000)]
    rows = served.client.get("sessions")["sessions"]
    assert [row["internal"] for row in rows] == [f"192.168.1.10:{port}" for port in range(5000)]


def test_forwards_are_listed_added_removed_and_reloaded(served: Served) -> None:
    client = served.client
    assert client.get("forwards") == {"forwards": [RULE]}
    assert client.post("forwards", {"rule": "udp 1 -> 10.0.0.1"})["added"]["origin"] == "control"
    assert client.delete("forwards", rule=RULE["rule"]) == {"removed": RULE}
    assert client.post("forwards/reload", {"reset_affected": True})["forwards"] == 1
    assert served.forwards.asked == [("add", "udp 1 -> 10.0.0.1"), ("reload", True)]


def test_reload_without_a_body_resets_nothing(served: Served) -> None:
    assert served.raw("POST", "/v1/forwards/reload")[0] == 200
    assert served.forwards.asked == [("reload", False)]


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "sentence"),
    [
        ("GET", "/v1/nothing", {}, 404, "Not Found"),
        ("PUT", "/v1/forwards", {}, 405, "Method Not Allowed"),
        ("POST", "/v1/forwards", {"data": b"{"}, 400, "the body is a JSON object"),
        ("POST", "/v1/forwards", {"json": []}, 400, "the body is a JSON object"),
        ("POST", "/v1/forwards", {"json": {"rule": 7}}, 400, "a forward rule is needed"),
        ("DELETE", "/v1/forwards", {}, 400, "a forward rule is needed"),
        ("DELETE", "/v1/forwards?rule=x", {}, 409, "no forward reads that"),
        ("DELETE", "/v1/forwards?rule=boom", {}, 500, "internal fault"),
        ("POST", "/v1/forwards/reload", {"json": {"reset_affected": 1}}, 400, "true or false"),
        ("GET", "/v1/capture?side=up", {}, 400, "side is lan, wan or both"),
    ],
)
def test_refusals_are_a_sentence_in_json(
    served: Served, method: str, path: str, options: dict[str, Any], status: int, sentence: str
) -> None:
    got, text = served.raw(method, path, **options)
    assert (got, sentence in json.loads(text)["error"]) == (status, True), text


def test_a_wrong_rule_brings_every_problem(served: Served) -> None:
    with pytest.raises(ConfigError) as caught:
        served.client.post("forwards", {"rule": "nonsense"})
    assert caught.value.problems == ("control:1: no arrow", "control:1: no port")


def test_metrics_are_the_prometheus_page(served: Served) -> None:
    status, page = served.raw("GET", "/metrics")
    assert status == 200
    assert 'postroad_judged_packets_total{reason="session"} 3.0' in page.splitlines()
    assert "postroad_uptime_seconds 3.0" in page.splitlines()


def test_a_capture_streams_until_its_reader_goes(served: Served) -> None:
    async def scenario() -> list[int]:
        blocks: list[int] = []
        async for piece in served.client.capture("both"):
            blocks += [kind for kind, _ in split_blocks(piece)]
            if len(blocks) == 3:
                served.lan.put(frame(int(Verdict.TO_WAN), b"over"))
            if blocks.count(ENHANCED_PACKET) == 2:
                break
        return blocks

    assert asyncio.run(asyncio.wait_for(scenario(), 20))[-2:] == [ENHANCED_PACKET] * 2
    eventually_unwatched(served)


def test_an_idle_capture_ends_with_its_reader(served: Served) -> None:
    async def scenario() -> None:
        async for _ in served.client.capture("lan"):
            break

    asyncio.run(asyncio.wait_for(scenario(), 20))
    eventually_unwatched(served)


def eventually_unwatched(served: Served) -> None:
    for _ in range(1000):
        if not served.plane.submit(lambda *_: served.plane._watchers).result(10):
            return
    pytest.fail("the tap is still there")
