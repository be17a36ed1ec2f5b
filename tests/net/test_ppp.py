"""A line with PPP end to end: AT commands, login, address, the first page, and what is left of it.

alice, mail -- [postroad run] -- modem emulator -- the lab's provider -- 198.51.100.10
"""

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from router.host.ppp.lockfile import LOCK_DIRECTORY
from router.lab import topology
from router.lab.provider import MODEM
from tests.lab.dialup import DIALS, NUMBER, PASSWORD, USER, DialUp, a_dialup
from tests.lab.site import SERVER, eventually

pytestmark = [pytest.mark.net, pytest.mark.slow]

DIAL_S = 2.0  # seconds until there is a carrier
SOON_S = 2.0  # seconds for a process to notice something, on a busy machine
IDLE = 'idle_timeout = "4s"\n'
RULES = "tcp 25 -> 192.168.1.10\ntcp 80 -> 192.168.1.10\n"
FIRST, SECOND = topology.POOL[:2]
GREETING = "220 mail.example.test ESMTP"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[DialUp]:
    """A site that has not dialled yet."""
    with a_dialup(tmp_path, link=DIALS + IDLE, rules=RULES) as site:
        site.open_isp(dial_s=DIAL_S)
        site.serve_names()
        site.start()
        yield site


def test_the_first_request_dials_logs_in_and_succeeds(site: DialUp) -> None:
    assert site.line["state"] == "DORMANT"
    assert site.curl("alice") == FIRST
    commands = [each.said for each in site.heard("modem") if each.said.startswith(">")]
    assert commands == ["> ATZ", "> ATX4S7=255", f"> ATDT{NUMBER}"]
    (login,) = site.heard("session")
    assert login.said == f"{USER} has logged in by CHAP and is {FIRST}"
    details = site.line["details"]
    assert (details["login"], details["peer"]) == ("MS-CHAPv2", topology.GATEWAY)
    assert details["dns"] == [topology.CLIENT]
    assert min(details["frames"].values()) > 0
    assert not any(details["bad_frames"].values())
    site.await_state("DORMANT")
    (rise,) = site.ended()
    assert (rise["by"], rise["cause"], rise["host"]) == ("alice", "traffic", "192.168.1.11")
    assert rise["packet"] == "192.168.1.11 asks for www.example.test A"
    assert (rise["address"], rise["lost"]) == (FIRST, 0)
    assert rise["held"] > 0
    assert DIAL_S < rise["waited_s"] < DIAL_S + 5
    assert (rise["ending"], rise["continues"]) == ("idle", None)
    assert rise["up_at"] - rise["begun_at"] > DIAL_S
    assert 4 <= rise["ended_at"] - rise["up_at"] < 60
    assert rise["received_bytes"] > 0
    assert rise["sent_bytes"] > 0
    assert f"-> {SERVER}:80" in rise["kept_by"]


def test_a_second_dial_has_another_address_and_forwards_follow_it(site: DialUp) -> None:
    assert site.curl("alice") == FIRST
    site.await_state("DORMANT")
    site.serve_web("mail", "192.168.1.10")
    mail = f"SYSTEM:echo '{GREETING}'"
    site.serve("mail", "socat", "TCP-LISTEN:25,fork,reuseaddr", mail, ready="0.0.0.0:25")
    assert site.curl("alice") == SECOND
    assert site.line["address"] == SECOND
    asked = ("curl", "-sS", "-m", "10", "--interface", SERVER)
    assert site.ask("internet", *asked, f"http://{SECOND}/who") == SERVER
    said = site.ask("internet", "socat", "-T5", "-", f"TCP:{SECOND}:25,bind={SERVER}")
    assert said.strip() == GREETING
    assert "curl: (" in site.ask("internet", *asked, "-m", "2", f"http://{FIRST}/who")
    site.await_state("DORMANT")
    assert [(entry["address"], entry["lost"]) for entry in site.ended(2)] == [
        (SECOND, 0),
        (FIRST, 0),
    ]


def test_killed_while_up_the_modem_hangs_up_and_the_next_start_is_clean(tmp_path: Path) -> None:
    with a_dialup(tmp_path, link=DIALS + IDLE) as site:
        site.open_isp()
        site.serve_names()
        before = site.state()
        site.start()
        assert site.curl("alice") == FIRST
        killed_at = time.time()
        site.end(signal.SIGKILL)
        eventually(lambda: site.heard("modem")[-1].said == "< NO CARRIER", "the hang-up")
        assert site.heard("modem")[-1].at - killed_at < SOON_S, "DTR is low when the port closes"
        eventually(lambda: site.heard("session")[-1].said == "over: carrier lost", "the end")
        site.start()
        (rise,) = site.why()
        assert (rise["ending"], rise["continues"]) == ("router was killed", None)
        assert rise["up_at"] - 0.001 <= rise["ended_at"] < killed_at + 0.001  # of two readings
        assert site.line["state"] == "DORMANT"
        assert site.curl("alice") == SECOND
        site.await_state("DORMANT")
        assert site.end() == 0
        assert site.state() == before
        assert not lock_file(site).exists()


def lock_file(site: DialUp) -> Path:
    """What keeps other programs from the modem while it is in use."""
    return LOCK_DIRECTORY / f"LCK..pts_{(site.directory / MODEM).resolve().name}"


def test_wireshark_decodes_a_capture_of_the_line_and_nobody_learns_the_password(
    site: DialUp,
) -> None:
    file, events = site.directory / "line.pcapng", site.directory / "events"
    capture = site.begin("capture", "line", "-w", str(file))
    with events.open("w") as told:
        listening = site.begin("events", "--json", output=told)
        eventually(lambda: file.exists() and file.stat().st_size, "the capture's start")
        assert site.curl("alice") == FIRST
        seen = site.told(PASSWORD)  # while all is running
        site.await_state("DORMANT")
    for process in (capture, listening):
        process.send_signal(signal.SIGTERM)
        process.wait(10)
    decoded = tshark(file)
    protocols = {protocol for protocol, *_ in decoded}
    assert protocols >= {
        "ppp:lcp",
        "ppp:chap",
        "ppp:ipcp",
        "ppp:ip:udp:dns",
        "ppp:ip:tcp",
        "ppp:ip:tcp:http",
    }
    infos = [info for protocol, _, info in decoded if protocol == "ppp:chap"]
    assert [info.split()[0] for info in infos] == ["Challenge", "Response", "Success"]
    assert f"NAME='{USER}'" in infos[1]
    sent, received = "0x00000002", "0x00000001"  # pcapng, epb_flags
    assert {direction for _, direction, _ in decoded} == {sent, received}
    assert decoded[0][0] == decoded[-1][0] == "ppp:lcp", "from the first word to the good-bye"
    assert json.loads(events.read_text().splitlines()[0])
    assert seen == site.told(PASSWORD) == []


def tshark(file: Path) -> list[list[str]]:
    """What Wireshark finds in each frame: protocols, direction, and in words."""
    fields = ("frame.protocols", "frame.packet_flags", "_ws.col.Info")
    options = [option for field in fields for option in ("-e", field)]
    done = subprocess.run(
        ["tshark", "-n", "-r", str(file), "-T", "fields", "-E", "separator=|", *options],
        capture_output=True, check=True, text=True,
    )  # fmt: skip
    return [line.split("|", 2) for line in done.stdout.splitlines()]
