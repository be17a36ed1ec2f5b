from prometheus_client.parser import text_string_to_metric_families

from router import __version__
from router.host.control.metrics import LineReadings, Readings, exposition
from router.host.dataplane.traffic import FlawCount, ReasonCount, SideTraffic, Traffic
from router.link.rows import BudgetRow
from router.link.types import State
from tests.lab.controlled import DETAILS
from tests.lab.scripted import link_row

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
LINE = LineReadings(
    links=(
        link_row("isp", State.UP, active=True, attempt=4, failures=0),
        link_row("lte", State.DORMANT, blocked="stands by for isp", attempt=2, failures=1),
    ),
    budgets=(BudgetRow("day", "minutes", 12.5, 120, 60.0),),
    waiting=3,
    holders=9,
    leases=2,
)
READINGS = Readings(
    TRAFFIC, LINE, {"isp": DETAILS}, uptime_s=12.5, subscribers=5, dropped_subscribers=6
)


def _values(labels: dict[str, str]) -> list[str]:
    order = ("side", "link", "direction", "flaw", "cause", "state", "period", "what")
    known = [labels[key] for key in order if key in labels]
    return known or list(labels.values())


def test_the_page_holds_every_count() -> None:
    page = exposition(READINGS).decode()
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
        **{("link_state", "isp", state.value): state is State.UP for state in State},
        **{("link_state", "lte", state.value): state is State.DORMANT for state in State},
        ("link_active", "isp"): 1,
        ("link_active", "lte"): 0,
        ("link_blocked", "isp"): 0,
        ("link_blocked", "lte"): 1,
        ("link_attempts_total", "isp"): 4,
        ("link_attempts_total", "lte"): 2,
        ("link_failures_in_a_row", "isp"): 0,
        ("link_failures_in_a_row", "lte"): 1,
        ("line_frames_total", "isp", "received"): 1032,
        ("line_frames_total", "isp", "sent"): 987,
        ("line_bad_frames_total", "isp", "bad-fcs"): 2,
        ("line_bad_frames_total", "isp", "aborted"): 0,
        ("line_bad_frames_total", "isp", "malformed"): 1,
        ("line_dropped_packets_total", "isp", "full"): 0,
        ("line_dropped_packets_total", "isp", "delay"): 12,
        ("budget_used", "day", "minutes"): 12.5,
        ("budget_allowed", "day", "minutes"): 120,
        ("waiting_packets",): 3,
        ("holding_sessions",): 9,
        ("leases",): 2,
        ("event_subscribers",): 5,
        ("event_subscribers_dropped_total",): 6,
    }
