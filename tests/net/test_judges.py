"""What ordinary programs make of the router: curl, ping, traceroute, dig, iperf3.

None of them shares code with it. One router between two cards serves them all, and a tcpdump
outside looks for private addresses from the first packet to the last.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.lab.site import ADDRESSES, EXTERNAL, OTHER_SERVER, ROUTER, SERVER, Site, a_site
from tests.lab.watch import SUSPECT, Watch, leaks, watching

pytestmark = [pytest.mark.net, pytest.mark.slow]

BIG = hashlib.shake_256(b"big").digest(8 * 1024 * 1024)
BIG_SHA256 = hashlib.sha256(BIG).hexdigest()
NAMES = """\
port=53
listen-address=198.51.100.20
bind-interfaces
user=root
no-resolv
no-hosts
edns-packet-max=4096
"""

_ports = count(5201)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("judges")
    with a_site(directory, rules="tcp 80 -> 192.168.1.10\n") as site:
        (directory / "big").write_bytes(BIG)
        site.serve_web("internet", SERVER)
        site.serve_web("mail", ADDRESSES["mail"])
        texts = "".join(f"txt-record=long.example.test,{'x' * 250}\n" for _ in range(8))
        (directory / "names").write_text(f"{NAMES}host-record=www.example.test,{SERVER}\n{texts}")
        names = ("dnsmasq", "-k", "--pid-file=", "--log-facility=-", f"-C{directory}/names")
        site.serve("internet", *names, ready=f"{OTHER_SERVER}:53")
        site.start()
        yield site


@pytest.fixture(scope="module", autouse=True)
def line(site: Site) -> Iterator[Watch]:
    with watching(site, site.line_end, SUSPECT) as watch:
        yield watch


# curl


@pytest.mark.parametrize("host", ["alice", "bob"])
def test_curl_fetches_a_page(site: Site, host: str) -> None:
    assert site.run(host, "curl", "-sSf", "-m", "10", f"http://{SERVER}/who") == EXTERNAL


def test_curl_fetches_8_mb_from_two_hosts_at_once(site: Site) -> None:
    commands = [
        (host, "curl", "-sSf", "-m", "40", "-o", f"{site.directory}/{host}", f"http://{SERVER}/big")
        for host in ("alice", "bob")
    ]
    assert site.ask_all(commands) == ["", ""]
    for host in ("alice", "bob"):
        fetched = Path(site.directory, host).read_bytes()
        assert hashlib.sha256(fetched).hexdigest() == BIG_SHA256


def test_curl_fetches_8_mb_from_a_server_on_the_lan(site: Site) -> None:
    copy = site.directory / "inward"
    site.run("internet", "curl", "-sSf", "-m", "40", "-o", str(copy), f"http://{EXTERNAL}/big")
    assert hashlib.sha256(copy.read_bytes()).hexdigest() == BIG_SHA256


def test_a_server_on_the_lan_sees_who_calls(site: Site) -> None:
    who = ("curl", "-sSf", "-m", "10", f"http://{EXTERNAL}/who")
    assert site.run("internet", *who, "--interface", OTHER_SERVER) == OTHER_SERVER
    assert site.run("alice", *who) == EXTERNAL  # hairpinned: RFC 5382 REQ-8


def test_curl_is_refused_at_once_where_nobody_listens(site: Site) -> None:
    said = site.ask("alice", "curl", "-sS", "-m", "10", f"http://{SERVER}:81/")
    assert "Connection refused" in said or "Couldn't connect" in said
    assert "timed out" not in said


# ping

REACHED = "1 received, 0% packet loss"


@pytest.mark.parametrize(
    "options",
    [(), ("-s", "0"), ("-s", "1472"), ("-s", "1472", "-M", "do"), ("-s", "60000"), ("-R",)],
    ids=lambda options: " ".join(options) or "plain",
)
def test_ping(site: Site, options: tuple[str, ...]) -> None:
    assert REACHED in site.ask("alice", "ping", "-n", "-c1", "-W3", *options, SERVER)


def test_ping_of_the_router_itself(site: Site) -> None:
    for address in (ROUTER, EXTERNAL):
        assert REACHED in site.ask("alice", "ping", "-n", "-c1", "-W3", address)
    assert REACHED in site.ask("internet", "ping", "-n", "-c1", "-W3", EXTERNAL)


def test_both_hosts_ping_with_one_identifier(site: Site) -> None:
    ping = ("ping", "-n", "-c5", "-i", "0.05", "-W3", "-e", "4711", SERVER)
    for said in site.ask_all([("alice", *ping), ("bob", *ping)]):
        assert "5 received, 0% packet loss" in said
        assert "DUP" not in said


def test_a_ping_whose_hops_run_out_is_told_by_the_router(site: Site) -> None:
    said = site.ask("alice", "ping", "-n", "-c1", "-W3", "-t1", SERVER)
    assert f"From {ROUTER} icmp_seq=1 Time to live exceeded" in said
    assert REACHED in site.ask("alice", "ping", "-n", "-c1", "-W3", "-t2", SERVER)


def test_a_port_nobody_listens_on_is_told_by_its_host(site: Site) -> None:
    said = site.ask("alice", "nmap", "-n", "-Pn", "-sU", "-p", "9", "--reason", SERVER)
    assert re.search(r"9/udp\s+closed\s+\S+\s+port-unreach", said)


# traceroute

HOP = re.compile(r"^ *(\d+)[:? ]+(\d+\.\d+\.\d+\.\d+)", re.MULTILINE)


@pytest.mark.parametrize("how", ["-I", "-U", "-T"])
def test_traceroute_finds_one_router(site: Site, how: str) -> None:
    said = site.ask("alice", "traceroute", "-n", how, "-q1", "-w2", "-m6", "-z0", SERVER)
    assert HOP.findall(said) == [("1", ROUTER), ("2", SERVER)]


def test_traceroute_from_outside_finds_a_forwarded_port_behind_no_hop(site: Site) -> None:
    trace = ("traceroute", "-n", "-T", "-p80", "-q1", "-w2", "-m6", "-z0", EXTERNAL)
    assert HOP.findall(site.ask("internet", *trace)) == [("1", EXTERNAL), ("2", EXTERNAL)]


def test_tracepath_finds_the_mtu_of_an_ethernet(site: Site) -> None:
    said = site.ask("alice", "tracepath", "-n", "-m6", SERVER)
    assert "Resume: pmtu 1500 hops 2" in said
    assert ("1", ROUTER) in HOP.findall(said)


# dig


@pytest.mark.parametrize("how", ["+notcp", "+tcp"])
def test_dig(site: Site, how: str) -> None:
    dig = ("dig", "+short", "+tries=2", "+time=3", how, f"@{OTHER_SERVER}")
    assert site.run("alice", *dig, "www.example.test").strip() == SERVER


def test_dig_takes_a_truncated_answer_again_by_tcp(site: Site) -> None:
    dig = ("dig", "+tries=2", "+time=3", "+bufsize=512", f"@{OTHER_SERVER}")
    said = site.run("alice", *dig, "long.example.test", "txt")
    assert "Truncated, retrying in TCP mode" in said
    assert said.count("x" * 250) == 8


def test_dig_takes_an_answer_in_fragments(site: Site) -> None:
    dig = ("dig", "+tries=2", "+time=3", "+ignore", "+bufsize=4096", f"@{OTHER_SERVER}")
    assert site.run("alice", *dig, "long.example.test", "txt").count("x" * 250) == 8


# iperf3


@pytest.mark.parametrize(
    "options",
    [(), ("-R",), ("-P", "4"), ("-u", "-b", "5M"), ("-u", "-b", "5M", "-R")],
    ids=lambda options: " ".join(options) or "up",
)
def test_iperf3(site: Site, options: tuple[str, ...]) -> None:
    port = str(next(_ports))
    site.serve("internet", "iperf3", "-s", "-1", "-B", SERVER, "-p", port,
               ready=f"{SERVER}:{port}")  # fmt: skip
    said = site.run("alice", "iperf3", "-J", "-t", "1", "-p", port, "-c", SERVER, *options)
    end = json.loads(said)["end"]
    if "-u" in options:
        assert end["sum"]["packets"] > 100
        assert end["sum"]["lost_percent"] < 10
    else:
        assert end["sum_received"]["bytes"] > 1_000_000


# What the others' packets looked like


def test_no_private_address_was_seen_outside(line: Watch) -> None:
    assert leaks(line.seen()) == []


def test_the_router_has_seen_no_fault_in_itself(site: Site) -> None:
    assert site.status()["traffic"]["faults"] == 0
