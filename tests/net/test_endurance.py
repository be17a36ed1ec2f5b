"""Storms of packets from both sides, and what the router is like after them.

Between TUNs all reaches it; between cards the kernel takes the worst away, and a whole wire's
worth of other things comes in its place.
"""

import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

import pytest

from tests.lab.injector import injecting
from tests.lab.site import ADDRESSES, EXTERNAL, OTHER_SERVER, ROUTER, SERVER, Site, a_site
from tests.lab.storm import Storm
from tests.lab.watch import SUSPECT, Watch, leaks, watching

pytestmark = [pytest.mark.net, pytest.mark.slow]

ALICE = ADDRESSES["alice"]
PACKETS = 8_000  # from each side
BOUND_S = 8.0  # for one storm, however slow the machine
GUST = 200  # packets of one side before the other's
MEMORY_KIB = 256 * 1024
NAT = 'filtering = "endpoint-independent"\nunsolicited_syn = "unreachable"'
RULES = f"tcp 80 -> {ALICE}\ndefault -> {ALICE}\n"
ABROAD = (SERVER, SERVER, OTHER_SERVER, EXTERNAL, ROUTER, "8.8.8.8", "224.0.0.1", "127.0.0.1")
AT_HOME = (ALICE, ALICE, ALICE, ALICE, "192.168.1.99", ROUTER, EXTERNAL, "10.0.0.1", "0.0.0.0")  # noqa: S104
CALLERS = (SERVER, SERVER, OTHER_SERVER, "8.8.8.8", ALICE, EXTERNAL, "127.0.0.1", "240.0.0.1")
CALLED = (EXTERNAL, EXTERNAL, EXTERNAL, EXTERNAL, "203.0.113.255")


@pytest.fixture(
    scope="module", params=[("bare", "bare"), ("nic", "nic")], ids=["between-tuns", "between-cards"]
)
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    lan, wan = request.param
    directory = tmp_path_factory.mktemp(f"storm-{lan}")
    with a_site(directory, lan=lan, wan=wan, nat=NAT, rules=RULES) as site:
        site.serve_web("internet", SERVER)
        echo = ("socat", f"TCP-LISTEN:7,bind={SERVER},fork", "EXEC:cat")
        site.serve("internet", *echo, ready=f"{SERVER}:7")
        site.start()
        yield site


@pytest.fixture(scope="module")
def line(site: Site) -> Iterator[Watch]:
    with watching(site, site.line_end, SUSPECT) as watch:
        yield watch


class Call:
    """A TCP connection that is open for as long as it is wanted."""

    def __init__(self, site: Site) -> None:
        command = (*site.within("alice"), "socat", "-", f"TCP:{SERVER}:7,sourceport=7000")
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def is_answered(self, line: str) -> bool:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{line}\n")
        return self.process.stdout.readline() == f"{line}\n"

    def end(self) -> None:
        self.process.terminate()
        self.process.communicate()


@pytest.fixture(scope="module")
def call(site: Site) -> Iterator[Call]:
    call = Call(site)
    yield call
    call.end()


@pytest.mark.parametrize("offloads", [False, True], ids=["plain", "offloads"])
def test_it_stands_a_storm(site: Site, line: Watch, call: Call, offloads: bool) -> None:
    assert call.is_answered("before")
    received = traffic(site, "received_packets")
    outward = Storm(1, AT_HOME, ABROAD).packets(offloads=offloads)
    # A card's kernel quotes a packet whose hops have run out to whoever sent it, whatever it was
    # for; between TUNs nobody does.
    private = (ALICE, ROUTER) if site.wan == "bare" else ()
    inward = Storm(2, CALLERS, CALLED + private).packets(offloads=offloads)
    passed = 0
    deadline = time.monotonic() + BOUND_S
    with ExitStack() as stack:
        ends = [
            (stack.enter_context(injecting(site, end, offloads=offloads)), storm)
            for end, storm in ((lan_end(site), outward), (site.line_end, inward))
        ]
        for _ in range(PACKETS // GUST):
            for injector, storm in ends:
                passed += sum(injector.send(packet) for packet in islice(storm, GUST))
            if time.monotonic() > deadline:
                break
    assert passed > PACKETS / 10
    assert traffic(site, "received_packets") - received > passed / 10

    assert call.is_answered("after")
    assert site.pings("alice", SERVER)
    assert site.run("alice", "curl", "-sSf", "-m", "10", f"http://{SERVER}/who") == EXTERNAL
    assert site.status()["traffic"]["faults"] == 0
    assert leaks(line.seen()) == []


def test_it_is_still_the_same_process_of_modest_size(site: Site, line: Watch) -> None:
    assert line.process.poll() is None
    status = site.status()
    assert status["pid"] == site.pid
    lines = Path(f"/proc/{status['pid']}/status").read_text().splitlines()
    (memory,) = [int(text.split()[1]) for text in lines if text.startswith("VmRSS:")]
    assert memory < MEMORY_KIB
    assert "Traceback" not in site.log
    assert site.end() == 0


def lan_end(site: Site) -> tuple[str, str]:
    return "alice", "lan0" if site.lan == "bare" else "eth0"


def traffic(site: Site, what: str) -> int:
    counts = site.status()["traffic"]
    return int(counts["lan"][what] + counts["wan"][what])
