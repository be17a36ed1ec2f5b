"""What watches the line sees what it is there for, and from start to end there is nothing else."""

import json
import signal
from pathlib import Path

import pytest

from tests.lab.site import ADDRESSES, EXTERNAL, SERVER, Site, a_site
from tests.lab.watch import SUSPECT, leaks, watching

pytestmark = [pytest.mark.net, pytest.mark.slow]

HPING = ("hping3", "-n", "-q", "-c", "1", "-i", "u1000")
COUNTERS = f"""
table netdev judge {{
  counter router {{ }}
  counter others {{ }}
  chain line {{
    type filter hook ingress device "eth0" priority 0;
    ether type arp arp saddr ip {EXTERNAL} counter name router accept
    ip saddr {EXTERNAL} counter name router accept
    counter name others
  }}
}}
"""


def test_leaks_are_seen(tmp_path: Path) -> None:
    alice = ADDRESSES["alice"]
    with a_site(tmp_path) as site:
        site.start()
        with watching(site, site.line_end, SUSPECT) as watch:
            assert leaks(watch.seen()) == []
            error = ("-1", "-C", "3", "-K", "3", "--icmp-ipsrc", SERVER)
            site.ask_all(
                [
                    ("wan", *HPING, "-2", "-p", "53", "-a", alice, SERVER),
                    ("wan", *HPING, *error, "--icmp-ipdst", alice, SERVER),
                    ("wan", *HPING, *error, "--icmp-ipdst", EXTERNAL, SERVER),
                ]
            )
            by_quote, by_source = sorted(leaks(watch.seen()))
    assert f"UDP {alice}" in by_source
    assert f"ICMP {EXTERNAL} > {SERVER}" in by_quote


def heard(site: Site) -> dict[str, int]:
    """How many frames of the router and of others nftables has counted on the line."""
    counters = json.loads(site.run("internet", "nft", "-j", "list", "counters"))["nftables"][1:]
    return {one["counter"]["name"]: one["counter"]["packets"] for one in counters}


def test_the_line_hears_one_address_from_start_to_end(tmp_path: Path) -> None:
    (tmp_path / "judge.nft").write_text(COUNTERS)
    with a_site(tmp_path, rules="tcp 80 -> 192.168.1.10\n") as site:
        site.run("box", "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=0",
                 "net.ipv6.conf.default.disable_ipv6=0")  # fmt: skip
        site.run("internet", "nft", "-f", str(tmp_path / "judge.nft"))
        for end in (signal.SIGKILL, signal.SIGTERM):
            site.start()
            site.run(
                "internet",
                "nmap",
                "-n",
                "-Pn",
                "-sS",
                "--max-retries",
                "0",
                "-p",
                "79-81",
                EXTERNAL,
            )
            site.end(end)
            assert not site.pings("alice", SERVER)
        counted = heard(site)
        assert counted["router"] > 0
        assert counted["others"] == 0
        site.run("box", "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")
        site.ip("box", "addr", "add", "192.168.1.99/24", "dev", "eth2")
        site.ip("box", "link", "set", "eth2", "up")
        assert not site.pings("box", "203.0.113.1", "-I", "eth2")
        assert heard(site)["others"] > 0
