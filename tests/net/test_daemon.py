"""`postroad run` as people run it: a process, real TUN devices, real clients and servers.

    hosts 192.168.1.10, .11 [lan namespace] lan0 -- postroad -- wan0 [wan namespace] 198.51.100.10

Both TUNs are persistent and carry the addresses of the hosts behind them.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.lab.box import Box, a_box, differences, run

pytestmark = [pytest.mark.net, pytest.mark.slow]

PATIENCE_S = 10.0  # seconds for another process to get round to it
POSTROAD = [sys.executable, "-c", "from router.cli import main; main()"]
SERVER = """
import sys
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer
class Echo(BaseHTTPRequestHandler):
    def do_GET(self):
        text = f"{sys.argv[3]} serves {self.client_address[0]}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
    def log_message(self, *_): pass
TCPServer((sys.argv[1], int(sys.argv[2])), Echo).serve_forever()
"""
TOPOLOGY = """
{lan} tuntap add dev lan0 mode tun
{lan} addr add 192.168.1.10/24 dev lan0
{lan} addr add 192.168.1.11/24 dev lan0
{lan} link set lan0 up
{lan} link set lo up
{lan} route add default dev lan0
{wan} tuntap add dev wan0 mode tun
{wan} addr add 203.0.113.1/24 dev wan0
{wan} link set wan0 up
{wan} link set lo up
{wan} addr add 198.51.100.10/32 dev lo
"""
RULES = "tcp 8080 -> 192.168.1.10:80 from 198.51.100.0/24\n"

_numbers = count()


def eventually(holds: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while not (result := holds()):
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.02)
    return result


class Site:
    """Two namespaces with a TUN each, a server in both, and a configuration."""

    def __init__(self, directory: Path) -> None:
        prefix = f"pd{os.getpid():x}-{next(_numbers)}"
        self.lan, self.wan = f"{prefix}-lan", f"{prefix}-wan"
        self.directory = directory
        self.config = directory / "router.toml"
        self.rules = directory / "forward.rules"
        self.processes: list[subprocess.Popen[str]] = []

    def build(self) -> None:
        for name in (self.lan, self.wan):
            run("ip", "netns", "add", name)
            run("ip", "netns", "exec", name, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1",
                "net.ipv6.conf.default.disable_ipv6=1")  # fmt: skip
        for line in TOPOLOGY.format(lan=self.lan, wan=self.wan).strip().splitlines():
            run("ip", "-n", *line.split())
        self.config.write_text(
            f"""
            [router]
            state_dir = "state"
            control = "control.sock"
            forward_rules = "forward.rules"
            [lan]
            address = "192.168.1.1/24"
            netns = "{self.lan}"
            [wan]
            netns = "{self.wan}"
            [[link]]
            name = "isp"
            backend = "static"
            address = "203.0.113.2/24"
            [[host]]
            address = "192.168.1.10"
            name = "mail"
            """
        )
        self.rules.write_text(RULES)
        self.serve(self.lan, "192.168.1.10", "mail")
        self.serve(self.wan, "198.51.100.10", "outside")

    def serve(self, name: str, address: str, who: str) -> None:
        self.start("ip", "netns", "exec", name, sys.executable, "-c", SERVER, address, "80", who)

        def listens() -> bool:
            return f"{address}:80" in run("ip", "netns", "exec", name, "ss", "-ltn")

        eventually(listens, f"the server on {address}")

    def start(self, *command: str, **options: Any) -> subprocess.Popen[str]:
        process = subprocess.Popen(command, text=True, **options)
        self.processes.append(process)
        return process

    def remove(self) -> None:
        for process in self.processes:
            process.kill()
            process.communicate()
        for name in (self.lan, self.wan):
            run("ip", "netns", "del", name)

    def curl(self, name: str, url: str, *options: str) -> str:
        command = ["ip", "netns", "exec", name, "curl", "-sS", "-m", "5", *options, url]
        return run(*command)

    def postroad(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*POSTROAD, *arguments, "-c", str(self.config)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    def ask(self, *arguments: str) -> Any:
        done = self.postroad(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


class Running:
    """One `postroad run`, started where `within` says; its log is read as it comes."""

    def __init__(self, config: Path, *within: str) -> None:
        self.log_path = config.parent / "log"
        with self.log_path.open("w") as log:
            self.process = subprocess.Popen(
                [*within, *POSTROAD, "run", "-c", str(config)], stderr=log, stdout=log
            )

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    def said(self, text: str) -> None:
        def told() -> bool:
            assert text in self.log or self.process.poll() is None, self.log
            return text in self.log

        eventually(told, f"{text!r} in the log")

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("site"))
    try:
        site.build()
        yield site
    finally:
        site.remove()


@pytest.fixture
def router(site: Site) -> Iterator[Running]:
    site.rules.write_text(RULES)
    running = Running(site.config)
    try:
        running.said("control API on")
        yield running
    finally:
        running.process.kill()
        running.process.wait(PATIENCE_S)


def test_it_comes_up_telling_what_is_ready(router: Running) -> None:
    told = [line.split(" INFO ")[1] for line in router.log.splitlines()]
    assert told[:2] == ["lan0 ready", "wan0 ready"]
    assert any(line.startswith("isp: UP, ") for line in told)
    assert any(line.startswith("control API on ") for line in told)


def test_both_ways_through_it(site: Site, router: Running) -> None:
    assert site.curl(site.lan, "http://198.51.100.10/") == "outside serves 203.0.113.2"
    inward = site.curl(site.wan, "http://203.0.113.2:8080/", "--interface", "198.51.100.10")
    assert inward == "mail serves 198.51.100.10"
    run("ip", "netns", "exec", site.lan, "ping", "-c1", "-W2", "198.51.100.10")

    status = site.ask("status")
    assert status["pid"] == router.process.pid
    (link,) = status["links"]
    assert (link["state"], link["address"]) == ("UP", "203.0.113.2")
    assert status["traffic"]["faults"] == 0
    assert {"new-session", "forwarded"} <= {
        count["reason"] for count in status["traffic"]["reasons"]
    }
    sessions = site.ask("sessions", "--protocol", "tcp")["sessions"]
    assert {(one["direction"], one["remote"].split(":")[0], one["host"]) for one in sessions} == {
        ("outbound", "198.51.100.10", "mail"),
        ("inbound", "198.51.100.10", "mail"),
    }
    assert len(site.ask("mappings", "--protocol", "icmp", "--host", "mail")["mappings"]) == 1
    assert "203.0.113.2:8080" in site.postroad("mappings").stdout


@pytest.mark.usefixtures("router")
def test_metrics_are_served(site: Site) -> None:
    socket = str(site.directory / "control.sock")
    page = run("curl", "-sS", "--unix-socket", socket, "http://postroad/metrics")
    assert 'postroad_packets_total{direction="sent",side="wan"}' in page


@pytest.mark.usefixtures("router")
def test_a_forward_added_at_run_time_works_until_it_is_removed(site: Site) -> None:
    url = "http://203.0.113.2:8888/"
    added = site.postroad("forward", "add", "tcp 8888 -> 192.168.1.10:80")
    assert (added.returncode, "rule file is unchanged" in added.stdout) == (0, True)
    assert site.curl(site.wan, url) == "mail serves 203.0.113.1"
    assert site.ask("forward", "list")["forwards"][-1]["origin"] == "control"
    assert site.postroad("forward", "remove", "tcp 8888").returncode == 0
    with pytest.raises(AssertionError, match="timed out"):
        site.curl(site.wan, url, "-m", "1")


@pytest.mark.usefixtures("router")
def test_a_capture_is_read_from_a_pipe_by_tcpdump(site: Site) -> None:
    capture = subprocess.Popen(
        [*POSTROAD, "capture", "both", "-w", "-", "--count", "4", "-c", str(site.config)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    tcpdump = subprocess.Popen(
        ["tcpdump", "-n", "-l", "-r", "-"], stdin=capture.stdout, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip

    def pinged() -> bool:
        run("ip", "netns", "exec", site.lan, "ping", "-c1", "-W2", "198.51.100.10")
        return capture.poll() is not None

    eventually(pinged, "the capture's end")
    said, _ = tcpdump.communicate(timeout=PATIENCE_S)
    assert (capture.returncode, capture.communicate()[1]) == (
        0,
        b"4 packets captured, 0 left out\n",
    )
    request = ["192.168.1.10 > 198.51.100.10:", "203.0.113.2 > 198.51.100.10:"]
    reply = ["198.51.100.10 > 203.0.113.2:", "198.51.100.10 > 192.168.1.10:"]
    seen = [line.split(" ICMP ")[0].split(" IP ")[1] for line in said.splitlines()]
    # The capture may begin between a ping and its answer.
    assert seen in ([*request, *reply], [*reply, *request])


@pytest.mark.usefixtures("router")
def test_a_capture_ends_cleanly_on_ctrl_c(site: Site) -> None:
    path = site.directory / "cut.pcapng"
    capture = subprocess.Popen(
        [*POSTROAD, "capture", "lan", "-w", str(path), "-c", str(site.config)],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    eventually(lambda: path.exists() and path.stat().st_size, "the capture's beginning")
    capture.send_signal(signal.SIGINT)
    _, told = capture.communicate(timeout=PATIENCE_S)
    assert (capture.returncode, told) == (0, "0 packets captured, 0 left out\n")
    assert site.postroad("explain", "-r", str(path)).stdout.endswith("0 packets: none\n")


def test_explain_needs_no_router(site: Site) -> None:
    (told,) = site.ask("explain", "tcp 192.168.1.10:4000 -> 93.184.216.34:80")
    assert (told["verdict"], told["reason"]) == ("to-wan", "new-session")


def test_sighup_reads_the_rules_and_keeps_the_old_ones_when_they_are_wrong(
    site: Site, router: Running
) -> None:
    site.rules.write_text(RULES + "tcp nonsense\n")
    router.process.send_signal(signal.SIGHUP)
    router.said("the former ones stay in force")
    assert f"{site.rules}:2: " in router.log
    assert len(site.ask("forward", "list")["forwards"]) == 1
    site.rules.write_text(RULES + "tcp 25 -> 192.168.1.11\n")
    router.process.send_signal(signal.SIGHUP)
    router.said("2 forward rules in force")
    assert len(site.ask("forward", "list")["forwards"]) == 2


def test_a_second_router_is_refused(site: Site, router: Running) -> None:
    second = site.postroad("run")
    assert second.returncode == 1
    assert second.stderr.splitlines()[-1].startswith("postroad: a router already runs")
    assert site.ask("status")["pid"] == router.process.pid


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(site: Site, router: Running, number: signal.Signals) -> None:
    assert router.end(number) == 0
    assert router.log.splitlines()[-1].endswith("INFO ended")
    assert not (site.directory / "control.sock").exists()
    for name, device in ((site.lan, "lan0"), (site.wan, "wan0")):
        assert device in run("ip", "-n", name, "-o", "addr", "show", "dev", device)


def test_after_a_kill_the_next_start_works(site: Site, router: Running) -> None:
    router.end(signal.SIGKILL)
    assert site.postroad("status").returncode == 1
    again = Running(site.config)
    try:
        again.said("control API on")
        assert site.curl(site.lan, "http://198.51.100.10/") == "outside serves 203.0.113.2"
        assert again.end(signal.SIGTERM) == 0
    finally:
        again.process.kill()
        again.process.wait(PATIENCE_S)


def test_a_tun_taken_away_ends_it_with_a_sentence(tmp_path: Path) -> None:
    site = Site(tmp_path)
    try:
        site.build()
        running = Running(site.config)
        running.said("control API on")
        run("ip", "-n", site.wan, "link", "del", "wan0")
        assert running.process.wait(PATIENCE_S) == 1
        assert "postroad: the TUN device wan0 is gone" in running.log
    finally:
        site.remove()


@pytest.mark.usefixtures("router")
def test_a_tun_that_is_down_loses_packets_and_comes_back(site: Site) -> None:
    run("ip", "-n", site.wan, "link", "set", "wan0", "down")
    try:
        with pytest.raises(AssertionError, match="timed out"):
            site.curl(site.lan, "http://198.51.100.10/", "-m", "1")
        assert site.ask("status")["traffic"]["wan"]["down_drops"] > 0
    finally:
        run("ip", "-n", site.wan, "link", "set", "wan0", "up")
    assert site.curl(site.lan, "http://198.51.100.10/") == "outside serves 203.0.113.2"


CARDS = """
[router]
state_dir = "state"
control = "control.sock"
[lan]
address = "192.168.1.1/24"
device = "eth1"
[wan]
netns = "{wan}"
[[link]]
name = "isp"
backend = "static"
device = "eth2"
address = "203.0.113.2/24"
gateway = "203.0.113.1"
"""


@pytest.fixture
def box(tmp_path: Path) -> Iterator[tuple[Box, Path]]:
    with a_box() as box:
        config = tmp_path / "router.toml"
        config.write_text(CARDS.format(wan=box.wan))
        yield box, config


def test_between_two_cards_the_machine_is_as_it_was_after_it(box: tuple[Box, Path]) -> None:
    machine, config = box
    # Not by `ip netns exec`: names of namespaces made in its mount namespace end with it.
    within = ("nsenter", f"--net=/run/netns/{machine.box}")
    before = machine.state()
    killed = Running(config, *within)
    killed.said("control API on")
    assert machine.pings(machine.alice, "198.51.100.10")
    killed.end(signal.SIGKILL)
    again = Running(config, *within)
    again.said("control API on")
    assert machine.pings(machine.alice, "198.51.100.10")
    assert again.end(signal.SIGTERM) == 0
    assert differences(before, machine.state()) == []


def test_a_signal_at_any_instant_ends_it_cleanly(box: tuple[Box, Path]) -> None:
    machine, config = box
    within = ("nsenter", f"--net=/run/netns/{machine.box}")
    before = machine.state()
    holder = config.parent / "state" / "lock"
    chance = random.Random(3)
    for attempt in range(30):
        if attempt % 5 == 4:  # what a kill leaves is undone first, and the signal meets that
            killed = Running(config, *within)
            killed.said("control API on")
            killed.end(signal.SIGKILL)
        holder.unlink(missing_ok=True)
        running = Running(config, *within)
        eventually(holder.exists, "the instance lock")
        delay_s = chance.uniform(0, 0.3)
        time.sleep(delay_s)
        running.process.send_signal(chance.choice([signal.SIGTERM, signal.SIGINT]))
        time.sleep(chance.uniform(0, 0.05))
        assert running.end(signal.SIGTERM) == 0, f"{delay_s} s: {running.log}"
        assert running.log.endswith("INFO ended\n")
        assert "Traceback" not in running.log
        assert differences(before, machine.state()) == [], f"{delay_s} s"
