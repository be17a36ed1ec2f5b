"""The watch on the line sees what it is there for: here the box itself leaks, past its router."""

from pathlib import Path

import pytest

from tests.lab.site import ADDRESSES, EXTERNAL, SERVER, a_site
from tests.lab.watch import SUSPECT, leaks, watching

pytestmark = [pytest.mark.net, pytest.mark.slow]

HPING = ("hping3", "-n", "-q", "-c", "1", "-i", "u1000")


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
