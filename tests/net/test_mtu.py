"""Lines that carry less than an Ethernet: what programs find out about them, and that all works."""

import hashlib
from collections.abc import Iterator

import pytest
from scapy.layers.inet import TCP

from tests.lab.site import ADDRESSES, EXTERNAL, ROUTER, SERVER, Site, a_site
from tests.lab.watch import Watch, leaks, watching

pytestmark = [pytest.mark.net, pytest.mark.slow]

BIG = hashlib.shake_256(b"mtu").digest(2 * 1024 * 1024)
REACHED = "1 received, 0% packet loss"


@pytest.fixture(scope="module", params=[1280, 1400])
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp(f"mtu-{request.param}")
    rules = f"tcp 80 -> {ADDRESSES['mail']}\n"
    with a_site(directory, mtu=request.param, rules=rules) as site:
        (directory / "big").write_bytes(BIG)
        site.serve_web("internet", SERVER)
        site.serve_web("mail", ADDRESSES["mail"])
        site.start()
        yield site


@pytest.fixture(scope="module", autouse=True)
def line(site: Site) -> Iterator[Watch]:
    with watching(site, site.line_end, "ip") as watch:
        yield watch
        assert leaks(watch.seen()) == []


def test_tracepath_finds_the_mtu(site: Site) -> None:
    said = site.ask("alice", "tracepath", "-n", "-m6", SERVER)
    assert f"Resume: pmtu {site.mtu} hops 2" in said


def test_ping_is_told_the_mtu(site: Site) -> None:
    ping = ("ping", "-n", "-c1", "-W3", "-M", "do")
    site.ip("bob", "route", "flush", "cache")
    too_big = site.ask("bob", *ping, "-s", str(site.mtu - 27), SERVER)
    assert f"From {ROUTER} icmp_seq=1 Frag needed and DF set (mtu = {site.mtu})" in too_big
    again = site.ask("bob", *ping, "-s", str(site.mtu - 27), SERVER)
    assert f"message too long, mtu={site.mtu}" in again
    assert REACHED in site.ask("bob", *ping, "-s", str(site.mtu - 28), SERVER)


def test_what_may_be_cut_is_cut(site: Site, line: Watch) -> None:
    line.news()
    ping = ("ping", "-n", "-c1", "-W3", "-M", "dont", "-s", "1472")
    assert REACHED in site.ask("mail", *ping, SERVER)
    pieces = [packet for packet in line.news() if packet.src == EXTERNAL]
    assert max(packet.len for packet in pieces) <= site.mtu
    assert len(pieces) == 2


def test_connections_open_with_segments_that_fit(site: Site, line: Watch) -> None:
    line.news()
    for node, url in (("alice", f"http://{SERVER}/big"), ("internet", f"http://{EXTERNAL}/big")):
        copy = site.directory / "copy"
        site.run(node, "curl", "-sSf", "-m", "20", "-o", str(copy), url)
        assert copy.read_bytes() == BIG
    seen = [packet for packet in line.news() if TCP in packet]
    offers = [dict(packet[TCP].options)["MSS"] for packet in seen if "S" in packet[TCP].flags]
    assert offers == [site.mtu - 40] * 2
