import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from router.errors import ControlError
from tests.lab.controlled import Controlled

MAIL = {"right": "raise", "why": "mail", "ttl_s": 90}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Controlled]:
    with Controlled(tmp_path).running() as served:
        yield served


def events_of(served: Controlled, before: int) -> list[dict[str, Any]]:
    told = served.on_loop(lambda: served.hub.missed(before))
    assert isinstance(told, bytes)
    lines = told.decode().split("\n")
    return [json.loads(line[6:]) for line in lines if line.startswith("data: ")]


def test_a_lease_is_granted_renewed_shown_and_released(served: Controlled) -> None:
    status, text = served.raw("POST", "/v1/leases", json={"id": "m1", **MAIL})
    assert status == 201
    assert json.loads(text) == {"id": "m1", "expires_in_s": 90.0, "refused": ""}
    assert served.client.put("leases/m1", {"ttl_s": 30}) == {"id": "m1", "expires_in_s": 30.0}
    assert served.client.get("leases") == {
        "leases": [
            {
                "id": "m1",
                "right": "raise",
                "why": "mail",
                "host": "",
                "expires_in_s": 30,
            }
        ]
    }
    assert served.client.delete("leases/m1") == {"id": "m1"}
    assert served.client.get("leases") == {"leases": []}


def test_without_an_id_each_gets_one_of_its_own(served: Controlled) -> None:
    ids = {served.client.post("leases", MAIL)["id"] for _ in range(5)}
    assert len(ids) == 5
    assert all(len(one) == 12 for one in ids)
    assert served.client.delete(f"leases/{ids.pop()}")


def test_that_it_cannot_raise_the_line_now_is_told_and_the_lease_stands(served: Controlled) -> None:
    served.lines.lease_refusal = "over budget: 120 minutes a day"
    answer = served.client.post("leases", {"id": "m1", **MAIL})
    assert answer["refused"] == "over budget: 120 minutes a day"
    assert list(served.lines.leases) == ["m1"]


def test_too_many_leases_are_refused(served: Controlled) -> None:
    served.lines.lease_limit = 1
    served.client.post("leases", MAIL)
    with pytest.raises(ControlError, match="there are too many leases"):
        served.client.post("leases", MAIL)


@pytest.mark.parametrize(("method", "options"), [("PUT", {"json": {"ttl_s": 5}}), ("DELETE", {})])
def test_one_that_is_not_there_is_404(
    served: Controlled, method: str, options: dict[str, Any]
) -> None:
    status, text = served.raw(method, "/v1/leases/m1", **options)
    assert (status, "there is no lease 'm1'; it may have run out" in text) == (404, True)


@pytest.mark.parametrize(
    ("changes", "sentences"),
    [
        ({"ttl_s": 0.5}, ["ttl_s: a number from 1 to 3600 is needed"]),
        ({"ttl_s": 3601}, ["a dead program does not hold the line", "not 3601"]),
        ({"ttl_s": True}, ["ttl_s: a number"]),
        ({"ttl_s": None}, ["ttl_s: a number"]),
        ({"right": "always"}, ["right: raise or use-if-up is needed, not 'always'"]),
        ({"why": " "}, ["why: a reason is needed"]),
        ({"id": "a/b"}, ["id: 'a/b' is not 1 to 64 letters"]),
        ({"id": 7}, ["id: an id is needed, as text of one line, not 7"]),
        ({"host": "mail"}, ["host: 'mail' is not an IPv4 address"]),
        ({"why": None, "ttl_s": "90", "tll": 1}, ["why: ", "ttl_s: ", "'tll': there is no"]),
    ],
)
def test_all_that_is_wrong_with_a_lease_is_said_at_once(
    served: Controlled, changes: dict[str, Any], sentences: list[str]
) -> None:
    status, text = served.raw("POST", "/v1/leases", json={**MAIL, **changes})
    problems = json.loads(text)["problems"]
    assert status == 400
    for sentence in sentences:
        assert any(sentence in problem for problem in problems), problems
    assert served.lines.leases == {}


def test_over_tcp_the_holder_is_where_it_is_asked_from(served: Controlled) -> None:
    served.lan_client.post("leases", {"id": "m1", **MAIL})
    served.lan_client.post("leases", {"id": "m2", **MAIL, "host": "127.0.0.1"})
    hosts = [row.host for row in served.lines.leases.values()]
    assert hosts == ["127.0.0.1", "127.0.0.1"]
    status, text, _ = served.raw_on_lan("POST", "/v1/leases", json={**MAIL, "host": "192.168.1.9"})
    assert (status, "host: over the network a lease is for the address" in text) == (400, True)


def test_at_the_socket_another_host_may_be_named(served: Controlled) -> None:
    served.client.post("leases", {"id": "m1", **MAIL, "host": "192.168.1.10"})
    (shown,) = served.client.get("leases")["leases"]
    assert shown["host"] == "192.168.1.10"


def test_granting_and_releasing_are_events_and_renewing_is_none(served: Controlled) -> None:
    before = served.hub.newest
    served.lan_client.post("leases", {"id": "m1", **MAIL})
    served.lan_client.put("leases/m1", {"ttl_s": 30})
    served.lan_client.delete("leases/m1")
    granted, released = events_of(served, before)
    assert (granted["change"], granted["id"], granted["expires_in_s"]) == ("granted", "m1", 90.0)
    assert (released["change"], released["by"]) == ("released", "token from 127.0.0.1")
