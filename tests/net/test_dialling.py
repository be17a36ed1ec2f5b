"""A line that is dialled, five seconds away, with real programs on both sides of it.

    alice, bob, mail -- [postroad run] -- a line that commands raise -- 203.0.113.1 internet

alice may dial; bob may only use the line.
"""

import json
import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.site import EXTERNAL, SERVER, Site, a_site, eventually

pytestmark = [pytest.mark.net, pytest.mark.slow]

DIAL_S = 5.0  # seconds the line takes to come up
IDLE = 'idle_timeout = "4s"\n'
HOSTS = """
[[host]]
address = "192.168.1.11"
name = "alice"
[[host]]
address = "192.168.1.12"
name = "bob"
dial = "may-use"
"""
OTHER = "203.0.113.77"
FILTERED = "Packet filtered"  # ping(8) on ICMP 3/13
HELD_PORT = 7007
# Holds three connections; says so, then what became of each once the file `go` is there.
HOLDER = """
import socket, sys, threading, time, pathlib
go = pathlib.Path(sys.argv[3])
def tell(what):
    sys.stdout.write(f"{what} {time.time()}\\n")  # whole, for there are three who tell
    sys.stdout.flush()
def hold():
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=20) as held:
        held.sendall(b"one")
        assert held.recv(9) == b"one"
        tell("open")
        held.settimeout(0.05)
        while True:
            try:
                if go.exists():
                    held.settimeout(10)
                    held.sendall(b"two")
                    tell("kept" if held.recv(9) == b"two" else "closed")
                    return
                held.recv(9)
            except TimeoutError:
                continue
            except OSError as error:
                tell(type(error).__name__)
                return
for _ in range(3):
    threading.Thread(target=hold).start()
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site whose line has been down since the router's start."""
    with a_site(tmp_path, dialled=IDLE, more=HOSTS, rules="tcp 80 -> 192.168.1.10\n") as site:
        site.provide(dial_time_s=DIAL_S)
        site.serve_web("internet", SERVER)
        site.start()
        yield site


def state(site: Site) -> str:
    return str(site.line["state"])


def await_state(site: Site, wanted: str, seconds: float = 20.0) -> None:
    eventually(lambda: state(site) == wanted, f"{wanted} (it is {state(site)})", seconds)


def entries(site: Site) -> list[dict[str, Any]]:
    """The ledger, the newest first."""
    found: list[dict[str, Any]] = site.control("ledger")["entries"]
    return found


def curl(site: Site, node: str, url: str = f"http://{SERVER}/who") -> tuple[str, float]:
    """What a single request comes to, and after how many seconds."""
    began = time.monotonic()
    said = site.ask(node, "curl", "-sS", "-m", "30", url)
    return said, time.monotonic() - began


def test_the_first_request_waits_for_the_line_and_succeeds(site: Site) -> None:
    assert state(site) == "DORMANT"
    said, took_s = curl(site, "alice")
    assert said == EXTERNAL
    assert took_s > DIAL_S
    rise = eventually(lambda: [e for e in entries(site) if e["held"]], "an entry")[0]
    assert (rise["by"], rise["cause"], rise["lost"]) == ("alice", "traffic", 0)
    assert rise["packet"].startswith("tcp 192.168.1.11:")
    assert rise["waited_s"] > DIAL_S
    await_state(site, "DORMANT")
    fallen = eventually(lambda: [e for e in entries(site) if e["ending"]], "the end of it")[0]
    assert (fallen["ending"], fallen["id"]) == ("idle", rise["id"])
    assert "tcp 192.168.1.11:" in fallen["kept_by"]


def test_the_first_reply_to_a_ping_arrives(site: Site) -> None:
    said = site.ask("alice", "ping", "-n", "-c", "1", "-W", "15", SERVER)
    assert " 0% packet loss" in said


def test_time_servers_are_not_worth_a_call(site: Site) -> None:
    for _ in range(3):
        site.ask("alice", "dig", "+tries=1", "+time=1", "-p", "123", f"@{SERVER}", "x")
    assert state(site) == "DORMANT"
    assert entries(site) == []


def test_bob_uses_the_line_and_does_not_raise_it(site: Site) -> None:
    began = time.monotonic()
    assert FILTERED in site.ask("bob", "ping", "-n", "-c", "1", "-W", "5", SERVER)
    refused, _ = curl(site, "bob")
    assert "curl: (7)" in refused
    assert time.monotonic() - began < DIAL_S
    assert state(site) == "DORMANT"
    curl(site, "alice")
    assert curl(site, "bob")[0] == EXTERNAL


def test_a_scan_from_outside_holds_nothing(site: Site) -> None:
    curl(site, "alice")
    scan = site.background(
        "internet", "nmap", "-n", "-Pn", "-sS", "-p", "1-2000", "--max-rate", "40", EXTERNAL
    )
    await_state(site, "DORMANT")
    assert scan.poll() is None, "the scan was over before the line fell"


def test_over_budget_it_fails_at_once(tmp_path: Path) -> None:
    budget = "[budget]\nper_hour = { dials = 1 }\n"
    with a_site(tmp_path, dialled=IDLE, more=HOSTS + budget) as site:
        site.serve_web("internet", SERVER)
        site.start()
        assert curl(site, "alice")[0] == EXTERNAL
        await_state(site, "DISABLED")
        refused, took_s = curl(site, "alice")
        assert "curl: (7)" in refused
        assert took_s < 2.0
        assert "1 of 1 dials used this hour" in site.line["blocked"]
        assert site.control("links/isp/up", "-d", "{}")  # a person may all the same
        await_state(site, "UP")


@pytest.mark.parametrize(("address", "fate"), [(EXTERNAL, "kept"), (OTHER, "ConnectionResetError")])
def test_three_connections_when_the_line_comes_back(site: Site, address: str, fate: str) -> None:
    echo = f"TCP-LISTEN:{HELD_PORT},fork,reuseaddr"
    site.serve("internet", "socat", echo, "EXEC:cat", ready=f"0.0.0.0:{HELD_PORT}")
    site.provide(dial_time_s=0.0)
    go, told = site.directory / "go", site.directory / "told"
    holder = ("sh", "-c", 'exec "$0" -c "$1" "$2" "$3" "$4" > "$5"', sys.executable, HOLDER)
    site.background("alice", *holder, SERVER, str(HELD_PORT), str(go), str(told))
    eventually(lambda: told.exists() and told.read_text().count("open") == 3, "three connections")
    site.control("links/isp/down", "-d", "{}")
    await_state(site, "DORMANT")
    site.provide(address)
    site.control("links/isp/up", "-d", "{}")
    await_state(site, "UP")
    up_at = time.time()
    if fate == "kept":
        go.touch()
    last = eventually(
        lambda: re.findall(rf"^{fate} \S+\n", told.read_text(), re.MULTILINE)[2:],
        f"three times {fate}",
    )
    assert float(last[0].split()[1]) - up_at < 1.0
    assert re.findall(r"^(?!open)\w+", told.read_text(), re.MULTILINE) == [fate] * 3


def test_forwards_follow_the_address(site: Site) -> None:
    site.serve_web("mail", "192.168.1.10")
    site.provide(OTHER)
    curl(site, "alice")
    assert site.line["address"] == OTHER
    assert curl(site, "internet", f"http://{OTHER}/who")[0] in ("203.0.113.1", SERVER)


def test_killed_while_up_the_next_start_tells_the_truth(tmp_path: Path) -> None:
    budget = "[budget]\nper_day = { minutes = 60, dials = 9 }\n"
    with a_site(tmp_path, dialled=IDLE, more=HOSTS + budget) as site:
        site.serve_web("internet", SERVER)
        site.start()
        assert curl(site, "alice")[0] == EXTERNAL
        eventually(lambda: entries(site), "an entry")
        before = {row["what"]: row["used"] for row in site.status()["budgets"]}
        site.end(signal.SIGKILL)
        site.start()
        first = entries(site)[-1]
        assert first["ending"] == "router was killed"
        assert first["ended_at"] >= first["up_at"] - 0.001  # two readings of one instant
        assert site.line["state"] in ("UP", "HANGING_UP", "DORMANT")
        after = {row["what"]: row["used"] for row in site.status()["budgets"]}
        assert after["dials"] == before["dials"] == 1
        assert after["minutes"] >= before["minutes"]
        await_state(site, "DORMANT")
        assert not (tmp_path / "line").exists(), "nobody hung up what the killed router had raised"
        assert json.dumps(entries(site)).count('"traffic"') == 1
        site.end()
        assert site.run("box", "ip", "-o", "link").count("eth2") == 1
