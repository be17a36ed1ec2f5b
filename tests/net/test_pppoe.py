"""PPPoE end to end: the router on a card, an access concentrator with a PPP server at its far end.

    alice, bob, mail -- [postroad run] -- eth2 ~~~~ eth0 concentrator -- 198.51.100.10

All that is on the wire is recorded, for Wireshark to judge.
"""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import ARP, Ether

from router.host.machine import netns
from router.lab import topology
from tests.lab.dialup import USER, DialUp
from tests.lab.site import ROUTER, SERVER, eventually

pytestmark = [pytest.mark.net, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
LINK = 'idle_timeout = "4s"\nservice = ""\nconcentrator = "lab-ac"\n'
FIRST, SECOND = topology.POOL[:2]
MTU = 1492  # bytes (RFC 2516 section 7)
MSS = MTU - 40
BROADCAST = "ff:ff:ff:ff:ff:ff"
DISCOVERY, SESSION = "0x8863", "0x8864"
TARGETS = (ROUTER, "192.168.1.11", FIRST, SECOND, topology.GATEWAY)
PADI, PADR, PADT = "0x09", "0x19", "0xa7"


class Frame(NamedTuple):
    """What Wireshark makes of a frame: MAC address, EtherType, PPPoE's code, protocols, MSS."""

    source: str
    kind: str
    code: str
    protocols: str
    mss: str


class Wire(DialUp):
    """A site whose line is a card with a concentrator at its far end."""

    def connect(self) -> None:
        self.ip("internet", "addr", "flush", "dev", "eth0")
        self.card = mac_of(self, "box", "eth2")
        self.far = mac_of(self, "internet", "eth0")
        self.record = self.directory / "wire.pcap"
        self.recorder = self.background(
            "internet", "tcpdump", "--immediate-mode", "-i", "eth0", "-U", "-w", str(self.record)
        )
        eventually(lambda: self.record.exists() and self.record.stat().st_size, "the recorder")
        self.open_concentrator()

    def open_concentrator(self) -> None:
        program = (sys.executable, "-m", "tests.lab.concentrator")
        with (self.directory / "ac.log").open("a") as log:
            self.concentrator = subprocess.Popen(
                (*self._inside("internet"), *program, "eth0", self.namespace("internet")),
                stdout=log, stderr=log, text=True, cwd=ROOT,
            )  # fmt: skip
        self._processes.append(self.concentrator)
        eventually(lambda: "lab-ac on eth0" in self.said, "the concentrator")

    @property
    def said(self) -> str:
        return (self.directory / "ac.log").read_text()

    def recorded(self) -> list[Frame]:
        """All that was on the wire; ends the recording."""
        self.recorder.send_signal(signal.SIGINT)
        self.recorder.wait(10)
        fields = ("eth.src", "eth.type", "pppoe.code", "frame.protocols", "tcp.options.mss_val")
        options = [option for field in fields for option in ("-e", field)]
        done = subprocess.run(
            ["tshark", "-n", "-r", str(self.record), "-T", "fields", "-E", "separator=|", *options],
            capture_output=True, check=True, text=True,
        )  # fmt: skip
        return [Frame(*line.split("|")) for line in done.stdout.splitlines()]


def mac_of(site: DialUp, node: str, device: str) -> str:
    found = re.search(r"link/ether (\S+)", site.ip(node, "-o", "link", "show", device))
    assert found
    return found[1]


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    """A site that has not been started, with a concentrator that waits."""
    site = Wire(tmp_path, line="pppoe:eth2", link=LINK, wan="nic")
    try:
        site.build()
        site.connect()
        site.serve_names()
        yield site
    finally:
        site.remove()


def knock(wire: Wire) -> None:
    """Speak to the card as a neighbour would who thinks it is an ordinary host, or a router."""
    ether = Ether(src=wire.far, dst=wire.card)
    asks = [
        Ether(src=wire.far, dst=BROADCAST)
        / ARP(op=1, hwsrc=wire.far, psrc="203.0.113.9", pdst=target)
        for target in TARGETS
    ]
    pings = [ether / IP(src="203.0.113.9", dst=target) / ICMP() for target in TARGETS]
    lost = [
        ether / IP(src="203.0.113.9", dst=target, ttl=1) / UDP(dport=33434) for target in TARGETS
    ]
    with netns.inside(wire.namespace("internet")):
        sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    with sender:
        sender.bind(("eth0", 0))
        for frame in (*asks, *pings, *lost):
            sender.send(bytes(frame))


def cards(site: DialUp) -> set[str]:
    """The devices in the namespace the router is started in."""
    return set(re.findall(r"^\d+: ([^:@]+)", site.ip("box", "-o", "link"), re.MULTILINE))


def test_the_first_request_finds_the_concentrator_logs_in_and_succeeds(wire: Wire) -> None:
    before = wire.state()
    wire.start()
    assert "eth2" not in cards(wire), "the card is where lines are"
    knock(wire)
    assert wire.curl("alice") == FIRST
    knock(wire)
    (rise,) = wire.control("ledger")["entries"]
    assert (rise["by"], rise["address"], rise["lost"]) == ("alice", FIRST, 0)
    assert rise["held"] > 0
    assert wire.line["mtu"] == MTU
    assert f"user='{USER}'" in wire.said
    wire.await_state("DORMANT")
    knock(wire)
    (rise,) = wire.ended()
    assert (rise["ending"], rise["lost"]) == ("idle", 0)
    assert wire.curl("alice") == SECOND
    assert wire.end() == 0
    assert wire.state() == before, "the card is back"
    judge(wire, wire.recorded(), sessions=2)


def judge(wire: Wire, frames: list[Frame], *, sessions: int) -> None:
    """The wire has seen PPPoE of ours, and nothing else."""
    ours = [frame for frame in frames if frame.source == wire.card]
    assert {frame.kind for frame in ours} == {DISCOVERY, SESSION}
    codes = [frame.code for frame in ours if frame.kind == DISCOVERY]
    assert codes.count(PADI) == codes.count(PADR) == sessions
    assert codes.count(PADT) >= sessions
    segments = {frame.mss for frame in frames if frame.mss}
    assert segments == {str(MSS)}, "of both directions, as the hosts here would have it larger"
    assert any("chap" in frame.protocols for frame in ours)
    asked = [frame for frame in frames if frame.source == wire.far and frame.kind == "0x0806"]
    assert len(asked) == 3 * len(TARGETS), "and nobody has answered"


def test_what_is_larger_than_the_line_is_told(wire: Wire) -> None:
    wire.start()
    assert wire.curl("alice") == FIRST
    whole = MTU - 28
    assert " 0% packet loss" in wire.ask(
        "alice", "ping", "-n", "-c1", "-W5", "-M", "do", "-s", str(whole), SERVER
    )
    said = wire.ask("alice", "ping", "-n", "-c1", "-W5", "-M", "do", "-s", str(whole + 1), SERVER)
    assert f"mtu = {MTU}" in said or f"mtu={MTU}" in said
    (wire.directory / "big").write_bytes(os.urandom(300_000))
    size = wire.ask(
        "alice", "curl", "-sS", "-m", "20", "-o", "/dev/null", "-w", "%{size_download}",
        f"http://{SERVER}/big",
    )  # fmt: skip
    assert size == "300000"


def test_a_concentrator_that_ends_the_session(wire: Wire) -> None:
    wire.start()
    assert wire.curl("alice") == FIRST
    wire.ip("internet", "link", "del", "ppp0")
    (lost,) = wire.ended()
    assert lost["ending"] == "carrier lost"
    assert lost["detail"].startswith("hung up by the peer")


def test_nobody_there(wire: Wire) -> None:
    wire.concentrator.kill()
    wire.concentrator.wait()
    wire.start()
    wire.up()
    (failed,) = wire.ended(1, seconds=60)
    assert failed["ending"] == "failed"
    assert "eth2" in failed["detail"]
