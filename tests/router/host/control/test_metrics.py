from prometheus_client.parser import text_string_to_metric_families

from router import __version__
from router.host.control.metrics import exposition
from router.host.dataplane.traffic import FlawCount, ReasonCount, SideTraffic, Traffic

TRAFFIC = Traffic(
    lan=SideTraffic("lan0", 10, 1000, 8, 800, 1, 2, 3),
    wan=SideTraffic("wan0", 20, 2000, 16, 1600, 4, 5, 6),
    reasons=(ReasonCount("session", "belongs to a session", 21), ReasonCount("limit", "full", 2)),
    malformed=(FlawCount("data-offset", "too small", 4), FlawCount("version", "not 4", 3)),
    sessions=7,
    mappings=5,
    cache_hits=22,
    cache_misses=8,
    faults=1,
)


def _values(labels: dict[str, str]) -> list[str]:
    return [labels[key] for key in sorted(labels, reverse=True)]  # side before direction, cause


def test_the_page_holds_every_count() -> None:
    page = exposition(TRAFFIC, 12.5).decode()
    samples = {
        (sample.name.removeprefix("postroad_"), *_values(sample.labels)): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }
    assert samples == {
        ("info", __version__): 1,
        ("uptime_seconds",): 12.5,
        ("packets_total", "lan", "received"): 10,
        ("packets_total", "lan", "sent"): 8,
        ("packets_total", "wan", "received"): 20,
        ("packets_total", "wan", "sent"): 16,
        ("bytes_total", "lan", "received"): 1000,
        ("bytes_total", "lan", "sent"): 800,
        ("bytes_total", "wan", "received"): 2000,
        ("bytes_total", "wan", "sent"): 1600,
        ("tun_drops_total", "lan", "queue-full"): 1,
        ("tun_drops_total", "lan", "down"): 2,
        ("tun_drops_total", "lan", "refused"): 3,
        ("tun_drops_total", "wan", "queue-full"): 4,
        ("tun_drops_total", "wan", "down"): 5,
        ("tun_drops_total", "wan", "refused"): 6,
        ("judged_packets_total", "session"): 21,
        ("judged_packets_total", "limit"): 2,
        ("malformed_packets_total", "data-offset"): 4,
        ("malformed_packets_total", "version"): 3,
        ("sessions",): 7,
        ("mappings",): 5,
        ("cache_hits_total",): 22,
        ("cache_misses_total",): 8,
        ("faults_total",): 1,
    }
