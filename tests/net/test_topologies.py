"""The router in each place it can be put: cards, a bridge, TUNs of its own, TUNs that were there.

Whatever is on its sides, it is one hop, nobody reaches the machine it runs on from outside, and
after it everything is as it was, even if it had been killed once.
"""

import hashlib
import re
import signal
import time
from collections.abc import Iterator

import pytest

from tests.lab.site import ADDRESSES, EXTERNAL, OTHER_SERVER, ROUTER, SERVER, TUNS, Site, a_site
from tests.lab.watch import SUSPECT, Watch, leaks, watching

pytestmark = [pytest.mark.net, pytest.mark.slow]

PLACES = [("nic", "nic"), ("bridge", "nic"), ("nic", "bare"), ("bare", "nic"), ("bare", "bare"),
          ("persistent", "persistent")]  # fmt: skip
BIG = hashlib.shake_256(b"topologies").digest(2 * 1024 * 1024)
HOP = re.compile(r"^ *(\d+)[:? ]+(\d+\.\d+\.\d+\.\d+)", re.MULTILINE)
SECRET_PORT, SECRET = "7777", "10.9.8.7"  # a service of the box, and what it tells
NAMES = ("dnsmasq", "-k", "-p", SECRET_PORT, "--pid-file=", "--log-facility=-", "--user=root",
         "--no-resolv", "--no-hosts", f"--host-record=secret.test,{SECRET}")  # fmt: skip


@pytest.fixture(scope="module", params=PLACES, ids="-".join)
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """A site with services in it, before its router starts."""
    lan, wan = request.param
    directory = tmp_path_factory.mktemp(f"{lan}-{wan}")
    rules = f"tcp 80 -> {ADDRESSES['alice']}\n"
    with a_site(directory, lan=lan, wan=wan, rules=rules) as site:
        (directory / "big").write_bytes(BIG)
        site.serve_web("internet", SERVER)
        site.serve_web("alice", "0.0.0.0")  # noqa: S104 - all addresses of its namespace
        site.serve("box", *NAMES, ready=f"0.0.0.0:{SECRET_PORT}")
        yield site


@pytest.fixture(scope="module")
def before(place: Site) -> dict[str, list[str]]:
    return place.state()


@pytest.fixture(scope="module")
def site(place: Site, before: dict[str, list[str]]) -> Site:
    assert before
    place.start()
    return place


@pytest.fixture(scope="module")
def line(site: Site) -> Iterator[Watch]:
    with watching(site, site.line_end, SUSPECT) as watch:
        yield watch


def test_it_forwards_both_ways(site: Site, line: Watch) -> None:
    curl = ("curl", "-sSf", "-m", "20")
    assert site.run("alice", *curl, f"http://{SERVER}/who") == EXTERNAL
    assert site.run("internet", *curl, f"http://{EXTERNAL}/who", "--interface", OTHER_SERVER) == (
        OTHER_SERVER
    )
    for node, url in (("alice", f"http://{SERVER}/big"), ("internet", f"http://{EXTERNAL}/big")):
        site.run(node, *curl, "-o", str(site.directory / "copy"), url)
        assert (site.directory / "copy").read_bytes() == BIG
    assert line.process.poll() is None


def test_it_is_one_hop(site: Site, line: Watch) -> None:
    with watching(site, site.lan_end, "icmp") as lan:
        line.news()
        said = site.run("alice", "ping", "-n", "-c1", "-W3", "-t", "33", SERVER)
        assert "ttl=63" in said
        (request,) = [packet for packet in line.news() if packet.src == EXTERNAL]
        (reply,) = lan.seen()
    assert (request.ttl, reply.ttl) == (32, 63)
    too_far = site.ask("alice", "ping", "-n", "-c1", "-W3", "-t1", SERVER)
    assert f"From {ROUTER} icmp_seq=1 Time to live exceeded" in too_far


@pytest.mark.parametrize("how", ["-I", "-U"])
def test_traceroute_finds_one_router(site: Site, line: Watch, how: str) -> None:
    said = site.ask("alice", "traceroute", "-n", how, "-q1", "-w2", "-m6", "-z0", SERVER)
    assert HOP.findall(said) == [("1", ROUTER), ("2", SERVER)]
    trace = ("traceroute", "-n", "-T", "-p80", "-q3", "-w5", "-m6", "-z0", EXTERNAL)
    assert HOP.findall(site.ask("internet", *trace)) == [("1", EXTERNAL), ("2", EXTERNAL)]
    assert leaks(line.seen()) == []


def test_its_own_addresses_answer(site: Site) -> None:
    assert site.pings("alice", ROUTER)
    assert site.pings("alice", EXTERNAL)
    assert site.pings("internet", EXTERNAL)


def tells(site: Site, node: str, *addresses: str) -> list[bool]:
    """Whether the service of the box answers at these addresses, each by UDP and by TCP."""
    dig = ("dig", "+short", "+tries=1", "+time=1", "-p", SECRET_PORT, "secret.test")
    calls = [
        (node, *dig, f"@{address}", how) for address in addresses for how in ("+notcp", "+tcp")
    ]
    return [SECRET in said for said in site.ask_all(calls)]


def test_a_service_of_the_box_is_not_reached_from_outside(site: Site) -> None:
    if site.lan not in TUNS:
        assert tells(site, "alice", ROUTER) == [True] * 2
    assert tells(site, "box", "127.0.0.1") == [True] * 2
    assert tells(site, "internet", EXTERNAL, ROUTER) == [False] * 4


def test_nothing_private_was_seen_outside_and_no_fault_inside(site: Site, line: Watch) -> None:
    assert leaks(line.seen()) == []
    assert site.status()["traffic"]["faults"] == 0


def test_killed_it_leaves_a_closed_door(site: Site) -> None:
    site.end(signal.SIGKILL)
    pings = [
        (node, "ping", "-n", "-c1", "-W1", address)
        for node, address in (("alice", SERVER), ("internet", EXTERNAL), ("internet", ROUTER))
    ]
    assert [said for said in site.ask_all(pings) if "1 received" in said] == []
    assert tells(site, "internet", EXTERNAL, ROUTER) == [False] * 4


def test_started_again_and_ended_it_leaves_all_as_it_was(
    site: Site, before: dict[str, list[str]], line: Watch
) -> None:
    site.start()
    assert site.run("alice", "curl", "-sSf", "-m", "10", f"http://{SERVER}/who") == EXTERNAL
    assert site.status()["traffic"]["faults"] == 0
    if site.wan != "bare":  # whose device went with the one who was killed
        assert leaks(line.seen()) == []
    assert site.end() == 0
    deadline = time.monotonic() + 3
    while (after := site.state()) != before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert after == before
