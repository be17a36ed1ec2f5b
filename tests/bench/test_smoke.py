"""One short round of the real thing: it runs, and the router is not absurdly slow."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BULK_FLOOR = 0.4  # of the raw copier: the goal is 0.7, one short round on a busy machine is noise

pytestmark = [
    pytest.mark.net,
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
]


def test_one_round_gives_sane_ratios(tmp_path: Path) -> None:
    numbers = tmp_path / "bench.json"
    options = ["--rounds", "1", "--variant", "postroad", "--no-limits", "--json", str(numbers)]
    bench = subprocess.Popen(
        [sys.executable, "-m", "tests.bench", *options], cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    _, said = bench.communicate(timeout=120)
    assert bench.returncode == 0, said
    router = json.loads(numbers.read_text())["variants"]["postroad"]
    bulk = [router[load]["ratio"] for load in ("tcp_up", "tcp_down", "tcp4_up")]
    assert max(bulk) > BULK_FLOOR  # the best of three: whoever is slow is slow in each
    assert router["connections_failed"]["median"] == 0
    assert router["udp64"]["ratio"] > 0
    assert not list(Path("/run/netns").glob(f"bench{bench.pid}-*"))
