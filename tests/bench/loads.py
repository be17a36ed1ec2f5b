"""The loads: what is sent from the client's end to the server's, and what is read off it."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

from .network import BenchError, Testbed

__all__ = [
    "LOADS",
    "SERVER_ADDRESS",
    "Ends",
    "Load",
    "Metric",
    "measure_round_trips",
    "start_servers",
]

SERVER_ADDRESS = "203.0.113.1"
IPERF_PORT = "5201"
ROUNDTRIP_PORT = "5300"
SINK_PORT = "5400"
SMALL_PAYLOAD = "64"  # bytes of UDP payload, 92 bytes of IPv4 packet
FEWEST_DATAGRAMS = 100  # below this nothing was delivered worth calling a rate


@dataclass(frozen=True, slots=True)
class Ends:
    """Namespaces between which a variant carries packets."""

    client: str
    server: str


@dataclass(frozen=True, slots=True)
class Metric:
    """One number of a load; `scale` turns the measured value into `unit` for people."""

    name: str
    title: str
    unit: str
    scale: float = 1.0
    digits: int = 1


@dataclass(frozen=True, slots=True)
class Load:
    """Traffic that lasts whole seconds (iperf3 takes no others) and the metrics it yields."""

    metrics: tuple[Metric, ...]
    measure: Callable[[Testbed, Ends, int], tuple[float, ...]]


def start_servers(testbed: Testbed, ends: Ends) -> None:
    """Start the far ends of every load; returns once the near end gets an answer."""
    iperf = ("iperf3", "--server", "--bind", SERVER_ADDRESS, "--port", IPERF_PORT, "--forceflush")
    testbed.start(ends.server, *iperf, until="listening")
    roundtrip = testbed.build("roundtrip")
    testbed.start(ends.server, roundtrip, "serve", ROUNDTRIP_PORT, until="ready")
    _roundtrip(testbed, ends, "talk", 0)


def _bulk(*options: str) -> Callable[[Testbed, Ends, int], tuple[float, ...]]:
    def measure(testbed: Testbed, ends: Ends, seconds: int) -> tuple[float, ...]:
        client = ("iperf3", "--client", SERVER_ADDRESS, "--port", IPERF_PORT, "--json")
        output = testbed.run(ends.client, *client, "--time", str(seconds), *options)
        return (float(json.loads(output)["end"]["sum_received"]["bits_per_second"]),)

    return measure


def _blast(testbed: Testbed, ends: Ends, seconds: int) -> tuple[float, ...]:
    blast = testbed.build("blast")
    sink = ["ip", "netns", "exec", ends.server, blast, "sink", SINK_PORT]
    with subprocess.Popen(sink, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        sender = (blast, "send", SERVER_ADDRESS, SINK_PORT, SMALL_PAYLOAD, str(seconds))
        testbed.run(ends.client, *sender)
        delivered, duration = process.stdout.read().split()
    if int(delivered) < FEWEST_DATAGRAMS:
        raise BenchError(f"only {delivered} datagrams went from {ends.client} to {ends.server}")
    return (int(delivered) / float(duration),)


def _connect(testbed: Testbed, ends: Ends, seconds: int) -> tuple[float, ...]:
    done, failed, duration = _roundtrip(testbed, ends, "connect", seconds)
    return done / duration, failed


def measure_round_trips(testbed: Testbed, ends: Ends, seconds: int) -> tuple[float, ...]:
    """Return median and 99th percentile in microseconds."""
    _, median, p99 = _roundtrip(testbed, ends, "talk", seconds)
    return median, p99


def _roundtrip(testbed: Testbed, ends: Ends, load: str, seconds: int) -> tuple[float, ...]:
    command = (testbed.build("roundtrip"), load, SERVER_ADDRESS, ROUNDTRIP_PORT, str(seconds))
    return tuple(map(float, testbed.run(ends.client, *command).split()))


GIGA, KILO = 1e-9, 1e-3
LOADS = (
    Load((Metric("tcp_up", "TCP up", "Gbit/s", GIGA),), _bulk()),
    Load((Metric("tcp_down", "TCP down", "Gbit/s", GIGA),), _bulk("--reverse")),
    Load((Metric("tcp4_up", "4 x TCP up", "Gbit/s", GIGA),), _bulk("--parallel", "4")),
    Load((Metric("udp64", "UDP, 64 B payload", "kpps", KILO, 0),), _blast),
    Load(
        (
            Metric("connections", "connections", "1000/s", KILO),
            Metric("connections_failed", "failed connections", "", digits=0),
        ),
        _connect,
    ),
    Load(
        (
            Metric("round_trip_p50", "round trip, p50", "µs", digits=0),
            Metric("round_trip_p99", "round trip, p99", "µs", digits=0),
        ),
        measure_round_trips,
    ),
)
