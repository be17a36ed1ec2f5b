"""Prometheus metrics: one snapshot of the counts in the text exposition format.

The registry is private and lives for one scrape: the process keeps no metric objects that
something on the packet path would have to update.
"""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector

from router import __version__
from router.host.dataplane.traffic import SideTraffic, Traffic

__all__ = ["CONTENT_TYPE", "exposition"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"  # Prometheus text format


def exposition(traffic: Traffic, uptime_s: float) -> bytes:
    """Return the metrics page for one snapshot; `uptime_s` in seconds."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_TrafficCollector(traffic, uptime_s))
    return generate_latest(registry)


class _TrafficCollector(Collector):
    def __init__(self, traffic: Traffic, uptime_s: float) -> None:
        self._traffic = traffic
        self._uptime_s = uptime_s

    def collect(self) -> Iterator[Metric]:
        traffic = self._traffic
        yield InfoMetricFamily("postroad", "The running router", {"version": __version__})
        yield GaugeMetricFamily("postroad_uptime_seconds", "Time since start", self._uptime_s)
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
