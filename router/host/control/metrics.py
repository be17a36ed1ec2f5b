"""Prometheus metrics: one snapshot of the counts in the text exposition format.

The registry is private and lives for one scrape: the process keeps no metric objects that
something on the packet path would have to update.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector

from router import __version__
from router.host.dataplane.traffic import SideTraffic, Traffic
from router.link.rows import BudgetRow, LinkRow
from router.link.types import State

__all__ = ["CONTENT_TYPE", "LineReadings", "Readings", "exposition"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"  # Prometheus text format


@dataclass(frozen=True, slots=True)
class LineReadings:
    """The links at one instant; `waiting`, `holders` and `leases` are how many there are."""

    links: Sequence[LinkRow]
    budgets: Sequence[BudgetRow]
    waiting: int
    holders: int
    leases: int


@dataclass(frozen=True, slots=True)
class Readings:
    """All there is to expose; subscribers are those of events, dropped ones were too slow.

    `details` are those of `router.host.lines.details`, by link, of links that have any.
    """

    traffic: Traffic
    line: LineReadings
    details: Mapping[str, Mapping[str, Any]]
    uptime_s: float
    subscribers: int
    dropped_subscribers: int


def exposition(readings: Readings) -> bytes:
    """Return the metrics page for one snapshot."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(readings))
    return generate_latest(registry)


class _Collector(Collector):
    def __init__(self, readings: Readings) -> None:
        self._readings = readings

    def collect(self) -> Iterator[Metric]:
        readings = self._readings
        yield InfoMetricFamily("postroad", "The running router", {"version": __version__})
        yield GaugeMetricFamily("postroad_uptime_seconds", "Time since start", readings.uptime_s)
        yield from _traffic_families(readings.traffic)
        yield from _link_families(readings.line.links)
        yield from _line_families(readings.details)
        yield from _budget_families(readings.line.budgets)
        yield from _holding_families(readings.line)
        yield GaugeMetricFamily(
            "postroad_event_subscribers", "Readers of events", readings.subscribers
        )
        yield CounterMetricFamily(
            "postroad_event_subscribers_dropped",
            "Readers of events that were too slow",
            readings.dropped_subscribers,
        )


def _traffic_families(traffic: Traffic) -> Iterator[Metric]:
    yield from _side_families({"lan": traffic.lan, "wan": traffic.wan})
    yield _judged(traffic)
    yield _malformed(traffic)
    yield GaugeMetricFamily("postroad_sessions", "Live sessions", traffic.sessions)
    yield GaugeMetricFamily("postroad_mappings", "Live mappings", traffic.mappings)
    yield CounterMetricFamily(
        "postroad_cache_hits", "Packets rewritten from the cache", traffic.cache_hits
    )
    yield CounterMetricFamily(
        "postroad_cache_misses", "Packets the forwarder judged", traffic.cache_misses
    )
    yield CounterMetricFamily(
        "postroad_faults", "Internal faults on the packet path", traffic.faults
    )


def _side_families(sides: dict[str, SideTraffic]) -> Iterator[Metric]:
    moved = ["side", "direction"]
    packets = CounterMetricFamily(
        "postroad_packets", "Packets through a TUN; a super-packet counts once", labels=moved
    )
    octets = CounterMetricFamily("postroad_bytes", "IP bytes through a TUN", labels=moved)
    drops = CounterMetricFamily(
        "postroad_tun_drops", "Packets a TUN did not take", labels=["side", "cause"]
    )
    for side, counts in sides.items():
        packets.add_metric([side, "received"], counts.received_packets)
        packets.add_metric([side, "sent"], counts.sent_packets)
        octets.add_metric([side, "received"], counts.received_bytes)
        octets.add_metric([side, "sent"], counts.sent_bytes)
        drops.add_metric([side, "queue-full"], counts.queue_drops)
        drops.add_metric([side, "down"], counts.down_drops)
        drops.add_metric([side, "refused"], counts.refused_drops)
    yield from (packets, octets, drops)


def _judged(traffic: Traffic) -> Metric:
    family = CounterMetricFamily(
        "postroad_judged_packets", "Packets by the reason of their verdict", labels=["reason"]
    )
    for count in traffic.reasons:
        family.add_metric([count.reason], count.packets)
    return family


def _malformed(traffic: Traffic) -> Metric:
    family = CounterMetricFamily(
        "postroad_malformed_packets", "Malformed packets by what is wrong", labels=["flaw"]
    )
    for count in traffic.malformed:
        family.add_metric([count.flaw], count.packets)
    return family


def _link_families(links: Sequence[LinkRow]) -> Iterator[Metric]:
    states = GaugeMetricFamily(
        "postroad_link_state", "1 for the state a link is in", labels=["link", "state"]
    )
    active = GaugeMetricFamily(
        "postroad_link_active", "1 for the link that new sessions go out by", labels=["link"]
    )
    blocked = GaugeMetricFamily(
        "postroad_link_blocked", "1 while traffic may not raise a link", labels=["link"]
    )
    dials = CounterMetricFamily(
        "postroad_link_attempts", "Attempts to raise a link, and rises found", labels=["link"]
    )
    failures = GaugeMetricFamily(
        "postroad_link_failures_in_a_row", "Attempts that failed since it was up", labels=["link"]
    )
    for link in links:
        for state in State:
            states.add_metric([link.name, state.value], link.state == state.value)
        active.add_metric([link.name], link.active)
        blocked.add_metric([link.name], bool(link.blocked))
        dials.add_metric([link.name], link.attempt)
        failures.add_metric([link.name], link.failures)
    yield from (states, active, blocked, dials, failures)


def _line_families(details: Mapping[str, Mapping[str, Any]]) -> Iterator[Metric]:
    counted = {
        "frames": CounterMetricFamily(
            "postroad_line_frames", "Frames on a PPP line", labels=["link", "direction"]
        ),
        "bad_frames": CounterMetricFamily(
            "postroad_line_bad_frames", "Frames that came damaged", labels=["link", "flaw"]
        ),
        "dropped_packets": CounterMetricFamily(
            "postroad_line_dropped_packets", "Packets a line did not send", labels=["link", "cause"]
        ),
    }
    for link, known in details.items():
        for what, family in counted.items():
            for kind, count in known[what].items():
                family.add_metric([link, kind], count)
    yield from counted.values()


def _budget_families(budgets: Sequence[BudgetRow]) -> Iterator[Metric]:
    which = ["period", "what"]
    used = GaugeMetricFamily("postroad_budget_used", "Used of an allowance", labels=which)
    allowed = GaugeMetricFamily("postroad_budget_allowed", "The allowance", labels=which)
    for budget in budgets:
        used.add_metric([budget.period, budget.what], budget.used)
        allowed.add_metric([budget.period, budget.what], budget.allowed)
    yield from (used, allowed)


def _holding_families(line: LineReadings) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "postroad_waiting_packets", "Packets that wait for the line", line.waiting
    )
    yield GaugeMetricFamily(
        "postroad_holding_sessions", "Sessions that hold the line", line.holders
    )
    yield GaugeMetricFamily("postroad_leases", "Leases on the line", line.leases)
