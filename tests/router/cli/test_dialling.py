"""`up` and `down` as people use them; the provider is a thread that moves the scripted link."""

import json
import os
import pwd
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import Result

from router.link.messages import Rise, Trigger
from router.link.types import Cause, Ending, State
from tests.lab.controlled import Controlled, eventually
from tests.lab.scripted import link_row
from tests.router.cli.conftest import command

USER = pwd.getpwuid(os.getuid()).pw_name
BY_HAND = Trigger(Cause.USER, USER)
ADDRESS = "203.0.113.2"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Controlled]:
    with Controlled(tmp_path).running() as served:
        yield served


def run(served: Controlled, *arguments: str) -> Result:
    return command(*arguments, "--control", served.path)


@contextmanager
def provider(play: Callable[[], None]) -> Iterator[None]:
    """Have `play` run beside the block; what it finds wrong is raised at the end."""
    wrong: list[BaseException] = []

    def run() -> None:
        try:
            play()
        except BaseException as error:
            wrong.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join()
    if wrong:
        raise wrong[0]


def raised(served: Controlled, times: int = 1) -> None:
    eventually(lambda: len(served.lines.asked) == times, "it is asked for")


def comes_up(served: Controlled, attempt: int) -> None:
    served.step(State.NEGOTIATING, "connected", "isp")
    up = Rise("isp", attempt, BY_HAND, 0.0, up_at=5.0, address=ADDRESS)
    served.step(State.UP, "addressed", "isp", up, address=ADDRESS)


def fails(served: Controlled, attempt: int, why: str) -> None:
    ended = Rise("isp", attempt, BY_HAND, 0.0, ended_at=5.0, ending=Ending.FAILED, detail=why)
    served.step(State.HOLDOFF, why, "isp", ended)


def test_up_waits_until_the_line_is_up_and_tells_how_it_goes(served: Controlled) -> None:
    def play() -> None:
        raised(served)
        comes_up(served, 1)

    with provider(play):
        done = run(served, "up")
    assert (done.exit_code, done.stdout) == (0, f"isp is up with {ADDRESS}\n")
    assert done.stderr.splitlines() == [
        "isp: DIALING, asked for",
        "isp: NEGOTIATING, connected",
    ]
    assert served.lines.asked == [("raise", "isp", USER)]


def test_an_attempt_that_fails_is_code_1_with_the_reason(served: Controlled) -> None:
    def play() -> None:
        raised(served)
        fails(served, 1, "the provider is busy")

    with provider(play):
        done = run(served, "up", "isp")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1] == (
        "postroad: isp did not come up: failed, the provider is busy"
    )


def test_a_reason_that_says_how_it_ended_is_told_once(served: Controlled) -> None:
    refused = "login refused: user unknown"
    ended = Rise("isp", 1, BY_HAND, 0.0, ended_at=5.0, ending=Ending.REFUSED, detail=refused)

    def play() -> None:
        raised(served)
        served.step(State.HOLDOFF, refused, "isp", ended)

    with provider(play):
        done = run(served, "up", "isp")
    assert done.stderr.splitlines()[-1] == f"postroad: isp did not come up: {refused}"


def test_another_link_and_an_earlier_attempt_are_not_mistaken_for_it(served: Controlled) -> None:
    served.lines.links = [link_row("isp", attempt=6), link_row("lte")]

    def play() -> None:
        raised(served)
        served.tell(Rise("lte", 7, BY_HAND, 0.0, ended_at=5.0, ending=Ending.FAILED))
        served.tell(Rise("isp", 6, BY_HAND, 0.0, ended_at=5.0, ending=Ending.FAILED))
        comes_up(served, 7)

    with provider(play):
        assert run(served, "up", "isp").stdout == f"isp is up with {ADDRESS}\n"


def test_a_line_that_hangs_up_is_waited_for_and_then_raised(served: Controlled) -> None:
    served.lines.links = [link_row("isp", State.HANGING_UP, attempt=2)]

    def play() -> None:
        raised(served)
        fails(served, 2, "timed out before")
        raised(served, times=2)
        comes_up(served, 3)

    with provider(play):
        done = run(served, "up")
    assert (done.exit_code, done.stdout) == (0, f"isp is up with {ADDRESS}\n")


def test_up_on_a_line_that_is_up_is_done(served: Controlled) -> None:
    served.lines.links = [link_row("isp", State.UP, address=ADDRESS)]
    served.lines.refusal = "isp is up already"
    done = run(served, "up")
    assert (done.exit_code, done.stdout) == (0, f"isp is up with {ADDRESS}\n")


def test_without_waiting_it_is_only_asked_for(served: Controlled) -> None:
    done = run(served, "up", "--no-wait")
    assert (done.exit_code, done.stdout) == (0, "isp: DIALING, asked for\n")


@pytest.mark.parametrize("arguments", [["up"], ["up", "--no-wait"], ["down"]])
def test_a_refusal_is_code_1_with_its_sentence(served: Controlled, arguments: list[str]) -> None:
    served.lines.links = [link_row("isp", State.NEGOTIATING)]
    served.lines.refusal = "isp is not for today"
    done = run(served, *arguments)
    assert (done.exit_code, done.stderr) == (1, "postroad: isp is not for today\n")


def test_a_link_that_stays_down_is_not_waited_for(
    served: Controlled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served.lines, "raise_link", lambda *_, **__: "")
    done = run(served, "up")
    assert (done.exit_code, done.stderr) == (
        1, "postroad: isp is not being raised: DORMANT, at start\n",
    )  # fmt: skip


def test_a_router_that_stops_meanwhile_is_one_sentence(tmp_path: Path) -> None:
    controlled = Controlled(tmp_path)
    told: list[Result] = []
    with controlled.running():
        waiting = threading.Thread(target=lambda: told.append(run(controlled, "up")))
        waiting.start()
        raised(controlled)
        eventually(lambda: controlled.hub.subscribers == 1, "somebody waits")
    waiting.join()
    assert (told[0].exit_code, told[0].stderr.splitlines()[-1]) == (
        1, "postroad: the router has stopped",
    )  # fmt: skip


@pytest.mark.parametrize(("options", "stay"), [([], False), (["--stay"], True)])
def test_down_says_what_becomes_of_it(served: Controlled, options: list[str], stay: bool) -> None:
    served.lines.links = [link_row("isp", State.UP, address=ADDRESS)]
    done = run(served, "down", *options)
    assert (done.exit_code, done.stdout) == (0, "isp: HANGING_UP, taken down\n")
    assert served.lines.asked == [("drop", "isp", USER, stay)]


def test_down_on_a_line_that_is_down_is_done(served: Controlled) -> None:
    served.lines.refusal = "isp is down already"
    done = run(served, "down")
    assert (done.exit_code, done.stdout) == (0, "isp is down already\n")


@pytest.mark.parametrize("way", ["up", "down"])
def test_an_unknown_link_is_told_with_those_there_are(served: Controlled, way: str) -> None:
    done = run(served, way, "ips")
    assert (done.exit_code, done.stderr) == (
        1, "postroad: there is no link 'ips'; there are: isp\n",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("backends", "chosen"),
    [
        ({"cable": "static", "isp": "ppp"}, "isp"),
        ({"isp": "ppp", "lte": "command"}, None),
        ({"cable": "static"}, None),
    ],
)
@pytest.mark.parametrize("way", [["up", "--no-wait"], ["down"]])
def test_the_link_may_be_left_out_where_only_one_dials(
    served: Controlled, backends: dict[str, str], chosen: str | None, way: list[str]
) -> None:
    served.lines.links = [link_row(name) for name in backends]
    served.told["links"] = [{"name": name, "backend": kind} for name, kind in backends.items()]
    done = run(served, *way)
    if chosen is None:
        assert done.exit_code == 2
        assert f"which link? There are: {', '.join(backends)}" in done.stderr
        assert served.lines.asked == []
    else:
        assert served.lines.asked[0][1] == chosen


@pytest.mark.parametrize("way", [["up", "--no-wait"], ["down"]])
def test_as_json_it_is_the_link(served: Controlled, way: list[str]) -> None:
    link = json.loads(run(served, *way, "--json").stdout)
    assert (link["name"], link["backend"], link["attempt"]) == (
        "isp", "ppp", 1 if way[0] == "up" else 0,
    )  # fmt: skip
