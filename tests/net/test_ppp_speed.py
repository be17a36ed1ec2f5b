"""How fast a line with PPP is, against the rate the lab's modem and trunk have been set to.

TCP (Reno) sends random octets for longer than the line keeps up with, one way and then the other.
What counts are IP packets as they leave PPP at the receiving end, by the kernel's clock, so that
neither what is dropped before the line nor a test that looks late is counted.
"""

import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import pytest
from scapy.utils import RawPcapReader

from router.lab.provider import DEFAULT_RATE
from tests.lab.dialup import DIALS, DialUp, a_dialup
from tests.lab.site import SERVER, eventually

pytestmark = [pytest.mark.net, pytest.mark.slow]

UP_PORT, DOWN_PORT = 7001, 7002
UPLOAD = ("socat", "-u", "OPEN:/dev/urandom", f"TCP:{SERVER}:{UP_PORT}")
DOWNLOAD = ("socat", "-u", f"TCP:{SERVER}:{DOWN_PORT}", "OPEN:/dev/null")
LEAST_SHARE = 0.95  # of the rate
LONGEST_PING_S = 1.5
PINGS = 15
LATENCY_S = 0.2  # each way: a busy machine adds little to that
MOST_ROUND_TRIPS = 6
QUICK_RATE = 10_000_000  # bit/s: what is negotiated takes no time to send
LINK = DIALS + 'idle_timeout = "10m"\nspeed = {speed}\n'
USUAL_SPEED, FAST_SPEED = 115_200, 4_000_000  # bit/s, of serial ports


class Load(NamedTuple):
    """Bits per second, seconds that TCP has to find its pace, seconds that are measured."""

    rate: int
    warm_s: float
    span_s: float


SLOW_START_S = 6.0  # seconds
LOADS = [Load(DEFAULT_RATE, SLOW_START_S, 24), Load(128_000, 4, 12), Load(10_000_000, 3, 6)]


@contextmanager
def a_line(directory: Path, rate: int, latency_s: float = 0.0) -> Iterator[DialUp]:
    """A line of this rate that is up, with a server for octets each way at its far end."""
    speed = USUAL_SPEED if rate < USUAL_SPEED else FAST_SPEED
    with a_dialup(directory, link=LINK.format(speed=speed)) as site:
        site.open_isp(dial_s=0.1, rate=rate, latency_s=latency_s)
        for node in ("alice", "internet"):
            site.run(node, "sysctl", "-qw", "net.ipv4.tcp_congestion_control=reno")
        site.start()
        takes = f"TCP-LISTEN:{UP_PORT},fork,reuseaddr", "OPEN:/dev/null"
        gives = "OPEN:/dev/urandom", f"TCP-LISTEN:{DOWN_PORT},fork,reuseaddr"
        site.serve("internet", "socat", "-u", *takes, ready=f"0.0.0.0:{UP_PORT}")
        site.serve("internet", "socat", "-u", *gives, ready=f"0.0.0.0:{DOWN_PORT}")
        site.up()
        site.await_state("UP")
        yield site


def rate_of(site: DialUp, node: str, program: tuple[str, ...], load: Load) -> float:
    """IP octets that arrive at an end of the line while the program runs, as bits per second."""
    file = site.directory / f"{node}.pcap"
    capture = (
        "tcpdump",
        "--immediate-mode",
        "-i",
        "ppp0",
        "-Q",
        "in",
        "-U",
        "-s",
        "40",
        "-w",
        str(file),
    )
    recorder = site.background(node, *capture)
    eventually(lambda: file.exists() and file.stat().st_size, "the recorder's start")
    running = site.background("alice", *program)
    time.sleep(load.warm_s + load.span_s)
    assert running.poll() is None
    running.kill()
    recorder.send_signal(signal.SIGINT)
    recorder.wait(10)
    with RawPcapReader(str(file)) as packets:
        arrived = [(each.sec + each.usec / 1e6, each.wirelen) for _, each in packets]
    start = arrived[0][0] + load.warm_s
    counted = [each for each in arrived if start <= each[0] < start + load.span_s]
    (first_at, _), (last_at, _) = counted[0], counted[-1]
    return float(sum(size for _, size in counted[1:]) * 8 / (last_at - first_at))


@pytest.mark.parametrize("load", LOADS, ids=lambda load: str(load.rate))
def test_the_line_carries_its_rate_both_ways(tmp_path: Path, load: Load) -> None:
    with a_line(tmp_path, load.rate) as site:
        # An upload comes last, for what it has left in buffers would share the line.
        shares = {
            "down": rate_of(site, "wan", DOWNLOAD, load) / load.rate,
            "up": rate_of(site, "internet", UPLOAD, load) / load.rate,
        }
        assert min(shares.values()) >= LEAST_SHARE, shares
        assert max(shares.values()) <= 1.0, shares


def test_a_ping_passes_an_upload(tmp_path: Path) -> None:
    with a_line(tmp_path, DEFAULT_RATE) as site:
        running = site.background("alice", *UPLOAD)
        time.sleep(SLOW_START_S)
        said = site.ask("alice", "ping", "-n", "-c", str(PINGS), "-i", "1.3", "-W", "5", SERVER)
        assert running.poll() is None
        took_s = [float(ms) / 1000 for ms in re.findall(r"time=(\S+) ms", said)]
        assert len(took_s) == PINGS, said
        assert max(took_s) < LONGEST_PING_S, took_s


def test_from_carrier_to_up_in_a_few_round_trips(tmp_path: Path) -> None:
    with a_line(tmp_path, QUICK_RATE, LATENCY_S) as site:
        carrier, up = (said_at(site.log, words) for words in ("CONNECT", "isp: UP"))
        round_trips = (up - carrier).total_seconds() / (2 * LATENCY_S)
        assert round_trips < MOST_ROUND_TRIPS


def said_at(log: str, words: str) -> datetime:
    """When the router has said this for the first time."""
    line = next(line for line in log.splitlines() if words in line)
    return datetime.fromisoformat(line[:23].replace(",", "."))
