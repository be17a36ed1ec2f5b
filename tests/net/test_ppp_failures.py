"""PPP lines that come to nothing: each failure is named in the ledger and redialled as it deserves.

The router runs whole, against the lab's provider behind its modem emulator or a peer that is odd.
"""

import itertools
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab import oddpeer
from tests.lab.dialup import DIALS, NUMBER, OTHER_NUMBER, PASSWORD, USER, DialUp, a_dialup
from tests.lab.site import SERVER, eventually

pytestmark = [pytest.mark.net, pytest.mark.slow]

FIRST_S = 1.0  # seconds until the first redial; the second comes after twice as long
SLACK_S = 2.0  # seconds a busy machine may be late
PERMANENT = 'mode = "permanent"\n'
REDIAL = '[link.redial]\nfirst = "1s"\njitter = 0\n'
AFTER_LOSS_S = 3.0  # seconds, the default
QUICK_ECHO = 'echo_interval = "1s"\necho_failures = 2\n'
HELD_PORT = 7007


@pytest.fixture
def eager(tmp_path: Path) -> Iterator[DialUp]:
    """A site whose router wants its line up at any time; it has not been started."""
    with a_dialup(tmp_path, link=DIALS + PERMANENT + REDIAL) as site:
        yield site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[DialUp]:
    """A site whose line is up because a person wanted it, and not in use."""
    link = DIALS + 'idle_timeout = "10m"\n' + QUICK_ECHO
    with a_dialup(tmp_path, link=link) as site:
        site.open_isp()
        site.serve_web("internet", SERVER)
        site.start()
        site.up()
        site.await_state("UP")
        yield site


def rests(entries: list[dict[str, Any]]) -> list[float]:
    """The seconds between the end of each attempt and the next one, in order."""
    pairs = itertools.pairwise(entries[::-1])
    return [after["begun_at"] - before["ended_at"] for before, after in pairs]


def about(span_s: float) -> object:
    """So many seconds as a busy machine has them."""
    return pytest.approx(span_s + SLACK_S / 2, abs=SLACK_S / 2 + 0.1)


# The modem has no carrier


@pytest.mark.parametrize(
    ("ways", "detail"),
    [
        ({"busy": True}, "the modem says BUSY"),
        ({"answers": False}, "the modem says NO ANSWER"),
        ({"dialtone": False}, "the modem says NO DIALTONE"),
    ],
)
def test_no_carrier_is_dialled_again_after_longer_and_longer_rests(
    eager: DialUp, ways: dict[str, bool], detail: str
) -> None:
    eager.open_isp(**ways)
    eager.start()
    failed = eager.ended(3)
    assert [(entry["ending"], entry["detail"]) for entry in failed] == [("failed", detail)] * 3
    assert [entry["cause"] for entry in failed] == ["permanent"] * 3
    assert rests(failed) == [about(FIRST_S), about(2 * FIRST_S)]
    assert len(eager.dials()) >= 3
    assert {number for _, number in eager.dials()} == {NUMBER}


def test_a_call_that_is_lost_before_it_connects(eager: DialUp) -> None:
    script = eager.directory / "isp.chat"
    script.write_text(script.read_text().replace("S7=255", "S7=1"))
    eager.open_isp(dial_s=5.0)
    eager.start()
    failed = eager.ended(2)
    assert {entry["detail"] for entry in failed} == {"the modem says NO CARRIER"}
    assert rests(failed) == [about(FIRST_S)]


def test_several_numbers_are_tried_in_turn(tmp_path: Path) -> None:
    numbers = f'chat = "isp.chat"\nnumber = ["{NUMBER}", "{OTHER_NUMBER}"]\n'
    with a_dialup(tmp_path, link=numbers + PERMANENT + REDIAL) as site:
        site.open_isp(numbers=(OTHER_NUMBER,))
        site.start()
        site.await_state("UP")
        assert [number for _, number in site.dials()] == [NUMBER, OTHER_NUMBER]
        site.signal_isp(signal.SIGHUP)
        eventually(lambda: len(site.dials()) == 3, "a third dial")
        assert site.dials()[-1][1] == OTHER_NUMBER, "the number that had an answer comes first"
        failed, lost = site.ended(2)[::-1]
        assert (failed["ending"], failed["detail"]) == ("failed", "the modem says NO ANSWER")
        assert (lost["ending"], lost["detail"]) == ("carrier lost", "carrier lost")


# The login is refused


def test_a_wrong_password_is_tried_twice_and_then_left_to_people(eager: DialUp) -> None:
    eager.tell_password("not-the-password")
    eager.open_isp()
    eager.start()
    refused = eager.ended(2)
    for entry in refused:
        assert entry["ending"] == "refused"
        assert entry["detail"].startswith("login refused")
    assert rests(refused) == [about(FIRST_S)]
    time.sleep(2 * FIRST_S + SLACK_S)  # the rest after a second failure, and patience
    assert len(eager.dials()) == 2
    assert eager.line["state"] == "DISABLED"
    assert "login" in eager.line["blocked"]
    eager.up()
    eager.ended(3)
    assert len(eager.dials()) == 3, "a person may"
    eager.tell_password(PASSWORD)
    eager.up()
    eager.await_state("UP")
    assert eager.line["blocked"] == ""
    assert not eager.told("not-the-password")


def test_a_way_to_log_in_that_is_not_allowed_is_a_refusal(tmp_path: Path) -> None:
    link = DIALS + PERMANENT + 'auth = ["mschapv2"]\n' + REDIAL
    with a_dialup(tmp_path, link=link) as site:
        site.open_isp(methods=("pap",))
        site.start()
        refused = site.ended(2)
        time.sleep(2 * FIRST_S + SLACK_S)
        assert len(site.dials()) == 2
        for entry in refused:
            assert entry["ending"] == "refused"
            assert entry["detail"].startswith(
                "the peer demands a login in a way that is not allowed here"
            )


# There is a carrier, and no sound peer behind it


@pytest.mark.parametrize(
    ("kind", "detail"),
    [
        ("loop", "what is sent comes back: the line is looped or the peer echoes"),
        ("shell", "what is sent comes back: the line is looped or the peer echoes"),
        ("nak", "no agreement with the peer"),
    ],
)
def test_no_sound_peer(tmp_path: Path, kind: str, detail: str) -> None:
    with a_dialup(tmp_path, line=oddpeer.command(kind), link=DIALS + PERMANENT + REDIAL) as site:
        site.start()
        failed = site.ended(3)
        assert [entry["ending"] for entry in failed] == ["failed"] * 3
        for entry in failed:
            assert entry["detail"].startswith(detail)
        assert rests(failed) == [about(FIRST_S), about(2 * FIRST_S)]


def test_a_silent_peer(tmp_path: Path) -> None:
    link = DIALS + PERMANENT + REDIAL
    with a_dialup(tmp_path, line=oddpeer.command("silent"), link=link) as site:
        site.start()
        (failed,) = site.ended(1, seconds=45)
        assert (failed["ending"], failed["detail"]) == ("failed", "the peer does not answer")
        took_s = failed["ended_at"] - failed["begun_at"]
        assert took_s == about(30.0), "10 requests, 3 s each (RFC 1661 section 4.6)"
        eventually(lambda: site.line["attempt"] == 2, "another attempt")


# It was up


def test_a_peer_that_dies_is_found_by_its_silence(site: DialUp) -> None:
    site.signal_isp(signal.SIGSTOP)
    try:
        (lost,) = site.ended()
    finally:
        site.signal_isp(signal.SIGCONT)
    assert lost["ending"] == "carrier lost"
    assert lost["detail"] == "the peer answers no echo requests any more"
    site.await_state("DORMANT")
    site.up()
    site.await_state("UP")


def test_a_lost_carrier_that_was_in_use_is_dialled_again(site: DialUp) -> None:
    echo = f"TCP-LISTEN:{HELD_PORT},fork,reuseaddr"
    site.serve("internet", "socat", echo, "EXEC:cat", ready=f"0.0.0.0:{HELD_PORT}")
    site.background("alice", "socat", "EXEC:sleep 60", f"TCP:{SERVER}:{HELD_PORT}")
    eventually(lambda: site.control("sessions")["sessions"], "a session")
    dropped_at = time.time()
    site.signal_isp(signal.SIGHUP)
    (lost,) = site.ended()
    assert (lost["ending"], lost["detail"]) == ("carrier lost", "carrier lost")
    assert f"-> {SERVER}:{HELD_PORT}" in lost["kept_by"]
    eventually(lambda: len(site.dials()) == 2, "another dial")
    waited_s = site.dials()[-1][0] - dropped_at
    assert AFTER_LOSS_S <= waited_s < AFTER_LOSS_S * 1.2 + SLACK_S
    site.await_state("UP")
    again = site.why()[0]
    assert (again["cause"], again["address"]) == ("reconnect", "203.0.113.3")
    assert again["why"].startswith("the line was in use when it was lost")


def test_a_lost_carrier_that_nobody_used_is_left_alone(site: DialUp) -> None:
    site.signal_isp(signal.SIGHUP)
    (lost,) = site.ended()
    assert (lost["ending"], lost["detail"]) == ("carrier lost", "carrier lost")
    site.await_state("DORMANT")
    time.sleep(SLACK_S)
    assert len(site.dials()) == 1


def test_a_provider_that_says_good_bye(site: DialUp) -> None:
    site.ip("internet", "link", "del", "ppp0")  # the provider's end hangs up in good form
    (lost,) = site.ended()
    assert lost["ending"] == "carrier lost"
    assert lost["detail"].startswith("hung up by the peer")
    site.up()
    site.await_state("UP")
    assert site.heard("session")[-1].said.startswith(f"{USER} has logged in")
