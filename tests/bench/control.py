"""Control clients against forwarding: how long answers take, and whether packets notice.

Quiet and stormy spells alternate in one run. In both somebody asks for the status all the time
and round trips are measured through the router; in the stormy ones event subscribers come and go,
10,000 of them in all, with malformed and half-open requests between them.
"""

import json
import statistics
import subprocess
import sys

from .loads import Ends, measure_round_trips
from .network import BenchError, Testbed
from .report import Limit

__all__ = ["measure_control"]

RECONNECTS = 10_000  # of event subscribers, in all stormy spells together
SPELLS = 4  # of each kind
TIMEOUT_S = 120.0  # seconds for one spell; a stormy one takes about ten


def measure_control(testbed: Testbed, ends: Ends, seconds: int) -> list[Limit]:
    """Return what the spells have shown; the router under test has its socket in the testbed."""
    quiet: tuple[list[float], list[float]] = ([], [])
    storm: tuple[list[float], list[float]] = ([], [])
    for _ in range(SPELLS):
        for (answers, trips), reconnects in ((quiet, 0), (storm, RECONNECTS // SPELLS)):
            took, trip = _spell(testbed, ends, seconds, reconnects)
            answers += took
            trips.append(trip)
    ratio = statistics.median(storm[1]) / statistics.median(quiet[1])
    return [
        _milliseconds("control_p99", "control API, answer to status, p99", quiet[0]),
        _milliseconds(
            "control_p99_storm",
            f"the same while {RECONNECTS:,} event subscribers come and go",
            storm[0],
        ),
        Limit("control_slowdown", "packets' round trip meanwhile, p50", ratio, f"{ratio:.2f}x"),
    ]


def _spell(
    testbed: Testbed, ends: Ends, seconds: int, reconnects: int
) -> tuple[list[float], float]:
    """Return how long answers took, and the median round trip of packets."""
    module = f"{__package__}.clients"
    socket = str(testbed.directory / "control.sock")
    command = [sys.executable, "-m", module, socket, str(seconds + 1), str(reconnects)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as clients:
        trip = measure_round_trips(testbed, ends, seconds)[0]
        try:
            output, _ = clients.communicate(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            clients.kill()
            raise BenchError(f"the control clients did not end in {TIMEOUT_S:.0f} s") from None
    if clients.returncode:
        raise BenchError("the control clients failed; their traceback is above")
    told = json.loads(output)
    if told["reconnects"] < reconnects:
        raise BenchError(f"only {told['reconnects']} of {reconnects} subscribers came")
    return told["answers"], trip


def _milliseconds(name: str, title: str, seconds: list[float]) -> Limit:
    value = statistics.quantiles(seconds, n=100)[98]
    return Limit(name, title, value, f"{value * 1e3:.1f} ms")
