"""The API as its client meets it: a real socket, a real data-plane thread, scripted packets."""

import asyncio
import json
from collections.abc import Iterator
from math import inf
from pathlib import Path
from typing import Any

import pytest

from router.devices import Verdict
from router.errors import ConfigError
from router.host.control.pcapng import ENHANCED_PACKET, split_blocks
from router.link.rows import BudgetRow, HeldRow, HolderRow, LeaseRow
from router.link.types import State
from router.wire.malformed import Malformed
from tests.lab.controlled import DETAILS, RULE, Controlled, eventually
from tests.lab.scripted import frame, link_row


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Controlled]:
    with Controlled(tmp_path).running() as served:
        yield served


def test_status_is_what_the_daemon_describes_and_the_counts(served: Controlled) -> None:
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


def test_status_has_each_link_as_the_core_and_the_daemon_know_it(served: Controlled) -> None:
    served.lines.links = [
        link_row("isp", State.UP, address="203.0.113.2", up_s=9.0, falls_in_s=3.5),
        link_row("lte", blocked="stands by for isp"),
    ]
    served.lines.budgets = [BudgetRow("day", "minutes", 12.5, 120, 3600.0)]
    status = served.client.get("status")
    isp, lte = status["links"]
    assert (isp["backend"], isp["tun"], isp["state"], isp["falls_in_s"]) == (
        "ppp",
        "wan0",
        "UP",
        3.5,
    )
    assert (lte["name"], lte["blocked"], lte["up_s"]) == ("lte", "stands by for isp", None)
    assert status["budgets"] == [
        {"period": "day", "what": "minutes", "used": 12.5, "allowed": 120, "resets_in_s": 3600.0}
    ]


def test_details_of_a_line_are_with_its_link_and_among_the_metrics(served: Controlled) -> None:
    assert served.client.get("status")["links"][0]["details"] is None
    assert "line_frames_total{" not in served.raw("GET", "/metrics")[1]
    served.told["links"][0]["details"] = DETAILS
    assert served.client.get("status")["links"][0]["details"] == DETAILS
    page = served.raw("GET", "/metrics")[1].splitlines()
    assert 'postroad_line_bad_frames_total{flaw="bad-fcs",link="isp"} 2.0' in page


def test_holding_is_what_waits_and_what_holds(served: Controlled) -> None:
    lines = served.lines
    lines.waiting = [HeldRow("mail", "tcp ...", 1.5, 58.5, 2, 60)]
    lines.holders = [
        HolderRow("isp", "192.168.1.11", "tcp ...", "accept everything", 170.0),
        HolderRow("isp", "192.168.1.11", "udp ...", "accept everything", inf),
    ]
    lines.leases = {"m1": LeaseRow("m1", "raise", "mail", "192.168.1.10", 80.0)}
    holding = served.client.holding()
    assert [(row["host"], row["copies"]) for row in holding["waiting"]] == [("mail", 2)]
    assert [(row["session"], row["holds_s"]) for row in holding["holders"]] == [
        ("tcp ...", 170.0),
        ("udp ...", None),  # until it ends: JSON has no infinity
    ]
    assert [row["id"] for row in holding["leases"]] == ["m1"]
    assert "Infinity" not in served.raw("GET", "/v1/holding")[1]


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
def test_sessions_are_filtered(
    served: Controlled, query: dict[str, str], expected: list[str]
) -> None:
    served.forwarder.names = ROWS
    sessions = served.client.get("sessions", **query)["sessions"]
    assert [row["internal"] for row in sessions] == expected
    assert all(row["host"] == ("mail" if ".10" in row["internal"] else "") for row in sessions)


def test_mappings_are_an_empty_list_without_any(served: Controlled) -> None:
    assert served.client.get("mappings") == {"mappings": []}


def test_many_sessions_are_one_document(served: Controlled) -> None:
    served.forwarder.names = [f"192.168.1.10:{port}" for port in range(5000)]
    rows = served.client.get("sessions")["sessions"]
    assert [row["internal"] for row in rows] == [f"192.168.1.10:{port}" for port in range(5000)]


def test_forwards_are_listed_added_removed_and_reloaded(served: Controlled) -> None:
    client = served.client
    assert client.get("forwards") == {"forwards": [RULE]}
    assert client.post("forwards", {"rule": "udp 1 -> 10.0.0.1"})["added"]["origin"] == "control"
    assert client.delete("forwards", rule=RULE["rule"]) == {"removed": RULE}
    assert client.post("forwards/reload", {"reset_affected": True})["forwards"] == 1
    assert served.forwards.asked == [("add", "udp 1 -> 10.0.0.1"), ("reload", True)]


def test_reload_without_a_body_resets_nothing(served: Controlled) -> None:
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
        ("GET", "/v1/capture?side=up", {}, 400, "side is lan, wan, both or line"),
        ("POST", "/v1/forwards", {"data": b"[" * 50000}, 400, "the body is a JSON object"),
        ("POST", "/v1/forwards", {"data": b"\xff\xfe"}, 400, "the body is a JSON object"),
        ("POST", "/v1/forwards", {"data": bytes(70000)}, 413, "Request Entity Too Large"),
        ("POST", "/v1/forwards", {"json": {"rule": "x", "role": 1}}, 400, "'role': there is no"),
        ("GET", "/v1/ledger?last=0", {}, 400, "last: a number from 1 to 1000 is needed, not '0'"),
        ("GET", "/v1/ledger?last=nan", {}, 400, "last: a number from 1 to 1000"),
        ("GET", "/v1/ledger?hots=a", {}, 400, "there are last, link, host, since"),
        ("GET", "/v1/ledger?host=mial", {}, 400, "neither an IPv4 address nor a host"),
        ("GET", "/v1/ledger/top?since=0", {}, 409, "the ledger cannot be read"),
    ],
)
def test_refusals_are_a_sentence_in_json(
    served: Controlled, method: str, path: str, options: dict[str, Any], status: int, sentence: str
) -> None:
    got, text = served.raw(method, path, **options)
    assert (got, sentence in json.loads(text)["error"]) == (status, True), text


def test_a_wrong_rule_brings_every_problem(served: Controlled) -> None:
    with pytest.raises(ConfigError) as caught:
        served.client.post("forwards", {"rule": "nonsense"})
    assert caught.value.problems == ("control:1: no arrow", "control:1: no port")


@pytest.mark.parametrize(
    ("query", "limit", "link", "host", "since"),
    [
        ({}, 20, None, None, None),
        ({"last": "3", "link": "isp", "host": "mail", "since": "1800000000.5"},
         3, "isp", "192.168.1.10", 1800000000.5),
        ({"host": "192.168.1.11"}, 20, None, "192.168.1.11", None),
    ],
)  # fmt: skip
def test_the_ledger_is_asked_for_what_is_wanted(
    served: Controlled,
    query: dict[str, str],
    limit: int,
    link: str | None,
    host: str | None,
    since: float | None,
) -> None:
    (entry,) = served.client.ledger(**query)
    name = "mail" if host == "192.168.1.10" else ""
    assert entry == {"limit": limit, "link": link, "host": host, "since": since, "name": name}


def test_who_dials_most_is_asked_of_the_ledger_too(served: Controlled) -> None:
    assert served.client.get("ledger/top", since="5")["dialers"] == [
        {"host": "192.168.1.10", "since": 5.0, "name": "mail"},
        {"host": "", "since": 5.0, "name": ""},
    ]


def test_changes_of_forwards_are_events(served: Controlled) -> None:
    before = served.hub.newest
    served.client.post("forwards", {"rule": "udp 1 -> 10.0.0.1"})
    served.client.delete("forwards", rule=RULE["rule"])
    served.client.post("forwards/reload", {})
    with pytest.raises(ConfigError):
        served.client.post("forwards", {"rule": "nonsense"})
    told = served.on_loop(lambda: served.hub.missed(before))
    assert isinstance(told, bytes)
    changes = [
        json.loads(line[6:])["change"] for line in told.decode().split("\n") if "data" in line
    ]
    assert changes == ["added", "removed", "reloaded"]


def test_metrics_are_the_prometheus_page(served: Controlled) -> None:
    status, page = served.raw("GET", "/metrics")
    assert status == 200
    assert 'postroad_judged_packets_total{reason="session"} 3.0' in page.splitlines()
    assert "postroad_uptime_seconds 3.0" in page.splitlines()


def test_a_capture_streams_until_its_reader_goes(served: Controlled) -> None:
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


def test_an_idle_capture_ends_with_its_reader(served: Controlled) -> None:
    async def scenario() -> None:
        async for _ in served.client.capture("lan"):
            break

    asyncio.run(asyncio.wait_for(scenario(), 20))
    eventually_unwatched(served)


def eventually_unwatched(served: Controlled) -> None:
    def unwatched() -> bool:
        return not served.plane.submit(lambda *_: served.plane._watchers).result(10)

    eventually(unwatched, "the tap is gone")
