import asyncio
import os
import pwd
from collections.abc import Iterator
from pathlib import Path

import pytest

from router.errors import ControlError
from router.link.types import State
from tests.lab.controlled import Controlled
from tests.lab.scripted import link_row

USER = pwd.getpwuid(os.getuid()).pw_name


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Controlled]:
    with Controlled(tmp_path).running() as served:
        yield served


def test_up_dials_by_the_name_of_the_user_at_the_socket(served: Controlled) -> None:
    answer = asyncio.run(served.client.up("isp"))
    assert served.lines.asked == [("raise", "isp", USER)]
    assert answer["note"] == ""
    link = answer["link"]
    assert (link["state"], link["by"], link["attempt"], link["backend"]) == (
        "DIALING", USER, 1, "ppp",
    )  # fmt: skip


@pytest.mark.parametrize("body", [{"stay": True}, {"stay": False}, {}])
def test_down_hangs_up_and_stays_down_if_told(served: Controlled, body: dict[str, bool]) -> None:
    served.lines.links = [link_row("isp", State.UP)]
    answer = served.client.post("links/isp/down", body)
    assert served.lines.asked == [("drop", "isp", USER, body.get("stay", False))]
    assert answer["link"]["state"] == "HANGING_UP"


def test_at_the_socket_one_may_act_for_somebody_else(served: Controlled) -> None:
    served.client.post("links/isp/up", {"by": "carol"})
    assert served.lines.asked == [("raise", "isp", "carol")]


def test_over_tcp_it_is_the_token_and_whoever_says_so(served: Controlled) -> None:
    asyncio.run(served.lan_client.up("isp"))
    served.lan_client.post("links/isp/down", {"by": "mailgw"})
    assert served.lines.asked == [
        ("raise", "isp", "token from 127.0.0.1"),
        ("drop", "isp", "mailgw, token from 127.0.0.1", False),
    ]


@pytest.mark.parametrize("way", ["up", "down"])
def test_an_unknown_link_is_404_with_those_that_exist(served: Controlled, way: str) -> None:
    served.lines.links = [link_row("isp"), link_row("lte")]
    status, text = served.raw("POST", f"/v1/links/ips/{way}")
    assert status == 404
    assert "there is no link 'ips'; there are: isp, lte" in text
    assert served.lines.asked == []


@pytest.mark.parametrize("way", ["up", "down"])
def test_a_refusal_is_409_with_its_sentence(served: Controlled, way: str) -> None:
    served.lines.links = [link_row("isp", State.NEGOTIATING)]
    served.lines.refusal = "isp is not for today"
    status, text = served.raw("POST", f"/v1/links/isp/{way}")
    assert (status, "isp is not for today" in text) == (409, True)


@pytest.mark.parametrize(
    ("way", "state"),
    [("up", State.UP), ("down", State.DORMANT), ("down", State.DISABLED), ("down", State.HOLDOFF)],
)
def test_a_link_that_is_there_already_has_not_refused(
    served: Controlled, way: str, state: State
) -> None:
    served.lines.links = [link_row("isp", state)]
    served.lines.refusal = "isp is there already"
    answer = served.client.post(f"links/isp/{way}", {})
    assert (answer["note"], answer["link"]["state"]) == ("isp is there already", state.value)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"stay": "yes"}, "stay: true or false is needed, not 'yes'"),
        ({"by": ""}, "by: a name is needed, as text of one line"),
        ({"by": "car\x1b[31mol"}, "by: a name is needed"),
        ({"by": "c" * 201}, "by: at most 200 characters are allowed"),
        ({"staay": True}, "'staay': there is no such field; there are by, stay"),
    ],
)
def test_what_cannot_be_meant_changes_nothing(
    served: Controlled, body: dict[str, object], sentence: str
) -> None:
    status, text = served.raw("POST", "/v1/links/isp/down", json=body)
    assert (status, sentence in text) == (400, True), text
    assert served.lines.asked == []


def test_a_name_with_a_slash_is_one_name(served: Controlled) -> None:
    with pytest.raises(ControlError, match=r"there is no link 'isp/../isp'"):
        asyncio.run(served.client.up("isp/../isp"))
