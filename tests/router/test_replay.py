from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP, UDP

from router.config.demand import shipped_rules
from router.forwarder import ForwarderConfig
from router.host.filters import compile_filter
from router.link.types import (
    Action,
    Allowance,
    BudgetConfig,
    DemandConfig,
    HostRight,
    LinkConfig,
    LinksConfig,
    Mode,
    PolicyRule,
    Right,
    ScheduleEntry,
    Span,
)
from router.nat.types import DefaultHost, ForwardRule
from router.notation import parse_packet
from router.replay import Outcome, Replay, Share
from router.routing import RoutingConfig
from router.rules import parse_rules
from router.wire.address import Network, parse_address
from router.wire.vnet import PLAIN

LAN = RoutingConfig(parse_address("192.168.1.1"), Network.parse("192.168.1.0/24"))
MONDAY = datetime(2026, 3, 2, 9, 0, tzinfo=UTC).timestamp()
DIAL_TIME_S = 5.0
ISP = LinkConfig("isp")  # falls after three minutes
HOSTS = (
    HostRight(Right.MAY_DIAL, parse_address("192.168.1.11"), name="alice"),
    HostRight(Right.MAY_USE, parse_address("192.168.1.12"), name="bob"),
)
LINKS = LinksConfig((ISP,), DemandConfig(tuple(shipped_rules()), HOSTS))

ASK = "udp 192.168.1.11:4000 -> 198.51.100.7:7000"
ANSWER = "udp 198.51.100.7:7000 -> 192.168.1.11:4000"
ELSE = "accept everything (default)"

Story = Sequence[tuple[float, str | bytes]]


def replayed(
    story: Story,
    links: LinksConfig = LINKS,
    *,
    forwards: Sequence[ForwardRule | DefaultHost] = (),
    dial_time_s: float = DIAL_TIME_S,
) -> Outcome:
    """What a LAN would have cost that says this, each thing so many seconds after Monday, nine."""
    return _replay(story, links, forwards=forwards, dial_time_s=dial_time_s).finish()


def _replay(story: Story, links: LinksConfig = LINKS, **options: Any) -> Replay:
    options = {"forwards": (), "dial_time_s": DIAL_TIME_S, **options}
    replay = Replay(
        ForwarderConfig(LAN, links), zone=UTC, rng=Random(0), begins_at=MONDAY, **options
    )
    for at, said in story:
        packet = parse_packet(said) if isinstance(said, str) else said
        replay.take(PLAIN + packet, MONDAY + at)
    return replay


def in_brief(outcome: Outcome) -> tuple[int, float]:
    return outcome.dials, round(outcome.up_s, 3)


def share(shares: Sequence[Share], name: str) -> tuple[int, float, float, int]:
    (found,) = (each for each in shares if each.name == name)
    return found.dials, round(found.up_s, 3), round(found.held_s, 3), found.refused


def by(text: str, action: Action, hold_s: float | None = None) -> LinksConfig:
    """The lines with one rule before the shipped ones."""
    rule = PolicyRule(text, compile_filter(text), action, hold_s, "policy[1]")
    return replace(LINKS, demand=replace(LINKS.demand, rules=(rule, *LINKS.demand.rules)))


@pytest.mark.parametrize(
    ("story", "dials", "up_s"),
    [
        # Up 5 s after the question, which goes out then, and down 180 s later.
        ([(0, ASK), (0.1, ANSWER)], 1, 180),
        # Asked once more 100 s after that; the hold begins anew.
        ([(0, ASK), (0.1, ANSWER), (105, ASK), (105.1, ANSWER)], 1, 280),
        # Asked again when it is down.
        ([(0, ASK), (0.1, ANSWER), (300, ASK), (300.1, ANSWER)], 2, 360),
        # Nobody answers: the session holds for 30 s, but who dials has the line for its hold.
        ([(0, ASK)], 1, 180),
        ([(0, "udp 192.168.1.11:123 -> 198.51.100.7:123")], 0, 0),
        ([(0, "udp 192.168.1.12:4000 -> 198.51.100.7:7000")], 0, 0),
        ([(0, "udp 192.168.1.11:4000 -> 192.168.1.13:7000")], 0, 0),
        # A ping holds for 30 s, by its own rule.
        (
            [
                (0, "icmp 192.168.1.11 -> 198.51.100.7 type 8 id 7"),
                (0.02, "icmp 198.51.100.7 -> 192.168.1.11 type 0 id 7"),
            ],
            1,
            30,
        ),
    ],
)
def test_what_dials_and_for_how_long(story: Story, dials: int, up_s: float) -> None:
    assert in_brief(replayed(story)) == (dials, up_s)


def test_who_and_what_it_was() -> None:
    outcome = replayed(
        [
            (0, ASK),
            (0.1, ANSWER),
            (100, "udp 192.168.1.13:5000 -> 198.51.100.7:53"),
            (100.1, "udp 198.51.100.7:53 -> 192.168.1.13:5000"),
        ]
    )
    assert in_brief(outcome) == (1, 180)
    assert [each.name for each in outcome.hosts] == ["alice", "192.168.1.13"]
    assert share(outcome.hosts, "alice") == (1, 180, 180, 0)
    assert share(outcome.hosts, "192.168.1.13") == (0, 0, 30, 0)
    assert share(outcome.rules, ELSE) == (1, 180, 180, 0)
    dns = "accept udp dst port 53 or tcp dst port 53 (default)"
    assert share(outcome.rules, dns) == (0, 0, 30, 0)


def test_time_that_several_sessions_held_counts_once() -> None:
    other = [(at, said.replace(":4000", ":4001")) for at, said in ((50.0, ASK), (50.1, ANSWER))]
    outcome = replayed([(0, ASK), (0.1, ANSWER), *other])
    assert share(outcome.hosts, "alice") == (1, 225, 225, 0)  # from 5 to 50 and 180 more


def test_unanswered_questions_hold_for_less_than_they_keep_the_line_up() -> None:
    assert share(replayed([(0, ASK)]).hosts, "alice") == (1, 180, 30, 0)


@pytest.mark.parametrize(
    ("action", "hold_s", "dials", "up_s"),
    [
        (Action.ACCEPT, 60.0, 1, 60),
        (Action.ACCEPT, 600.0, 1, 600),
        (Action.BRINGUP, 20.0, 1, 20),
        (Action.KEEPUP, 60.0, 0, 0),
        (Action.IGNORE, None, 0, 0),
        (Action.REJECT, None, 0, 0),
    ],
)
def test_another_policy_costs_something_else(
    action: Action, hold_s: float | None, dials: int, up_s: float
) -> None:
    links = by("udp port 7000", action, hold_s)
    assert in_brief(replayed([(0, ASK), (0.1, ANSWER)], links)) == (dials, up_s)


def test_a_conversation_whose_first_packet_waits_waits_as_a_whole() -> None:
    lan, net = "192.168.1.11:4000", "198.51.100.7:80"
    outcome = replayed(
        [
            (0, f"tcp {lan} -> {net} flags syn"),
            (1, f"tcp {lan} -> {net} flags syn"),  # tried again, not yet answered
            (1.02, f"tcp {net} -> {lan} flags syn,ack"),
            (1.03, f"tcp {lan} -> {net} flags ack"),
            (1.04, f"tcp {lan} -> {net} flags psh,ack length 100"),
            (1.5, f"tcp {net} -> {lan} flags psh,ack length 1000"),
        ]
    )
    assert outcome.held == 1  # both are one SYN; what came after the answer never had to wait
    assert share(outcome.hosts, "alice") == (1, 180, 180, 0)  # for it was answered


def test_a_reply_that_no_session_asked_for_holds_nothing() -> None:
    scan = "tcp 198.51.100.66:999 -> 192.168.1.11:22"
    outcome = replayed([(0, ASK), (0.1, ANSWER), (100, scan), (150, scan)])
    assert in_brief(outcome) == (1, 180)
    assert replayed([(0, scan)]).dials == 0


def test_who_comes_in_by_a_forward_holds_the_line_once_the_host_answers() -> None:
    forwards = parse_rules("udp 6000-6001 -> 192.168.1.13:5000-5001", "forward.rules")
    knock = (105.0, "udp 198.51.100.66:999 -> 192.168.1.13:5001")
    story = [(0.0, ASK), (0.1, ANSWER), knock]
    assert in_brief(replayed(story, forwards=forwards)) == (1, 180)
    story += [(106.0, "udp 192.168.1.13:5001 -> 198.51.100.66:999")]
    outcome = replayed(story, forwards=forwards)
    assert in_brief(outcome) == (1, 281)  # until 106 + 180
    assert share(outcome.hosts, "192.168.1.13") == (0, 0, 180, 0)


def test_a_session_that_outlives_the_line_opens_anew_on_the_next_address() -> None:
    lan, net = "192.168.1.11:4000", "198.51.100.7:80"
    opened = [
        (0.0, f"tcp {lan} -> {net} flags syn"),
        (0.02, f"tcp {net} -> {lan} flags syn,ack"),
        (0.03, f"tcp {lan} -> {net} flags ack"),
    ]
    later = [
        (1000.0, f"tcp {lan} -> {net} flags psh,ack length 100"),
        (1000.1, f"tcp {net} -> {lan} flags ack"),
    ]
    outcome = replayed([*opened, *later])
    assert in_brief(outcome) == (2, 360)
    assert share(outcome.hosts, "alice") == (2, 360, 360, 0)


def test_what_budgets_refuse_is_counted() -> None:
    links = replace(LINKS, budget=BudgetConfig(per_day=Allowance(dials=1)))
    outcome = replayed([(0, ASK), (0.1, ANSWER), (300, ASK), (301, ASK), (86_400, ASK)], links)
    assert in_brief(outcome) == (2, 360)  # the second is tomorrow's
    assert outcome.refused == 2
    assert share(outcome.hosts, "alice") == (2, 360, 210, 2)
    assert share(outcome.rules, ELSE) == (2, 360, 210, 2)


def test_bytes_are_charged_to_the_budget() -> None:
    links = replace(LINKS, budget=BudgetConfig(per_day=Allowance(bytes=2900)))
    big = f"{ANSWER} length 1400"
    story = [(0, ASK), (0.1, ANSWER), (20, ASK), (20.1, big), (30, ASK), (30.1, big), (32, ASK)]
    # 28 bytes for each question and the first answer, 1428 for each of the others
    assert in_brief(replayed(story, links)) == (1, 27)  # from 5 to 32, when it is noticed
    assert in_brief(replayed(story)) == (1, 207)


@pytest.mark.parametrize(
    ("who", "refused", "dials"),
    [("192.168.1.12", 1, 0), ("192.168.1.11", 0, 1)],
)
def test_rights_are_asked(who: str, refused: int, dials: int) -> None:
    outcome = replayed([(0, ASK.replace("192.168.1.11", who))])
    assert (outcome.refused, outcome.dials) == (refused, dials)


def test_the_hours_are_those_of_the_capture() -> None:
    until_noon = Span(frozenset({0}), 8 * 60, 12 * 60)
    links = replace(LINKS, schedule=(ScheduleEntry(until_noon, Mode.ON_DEMAND),))
    outcome = replayed([(0, ASK), (3 * 3600 - 60, ASK), (3 * 3600 + 60, ASK)], links)
    assert in_brief(outcome) == (2, 180 + 55)  # the second rise ends at noon
    assert outcome.refused == 1


def test_a_provider_that_is_slower_than_the_router_is_patient_brings_no_line() -> None:
    outcome = replayed([(0, ASK), (0.1, ANSWER)], dial_time_s=90)
    assert (outcome.dials, outcome.rises, outcome.up_s) == (1, 0, 0)
    assert (outcome.held, outcome.lost) == (0, 1)


def test_the_longer_the_dial_takes_the_later_the_line_falls() -> None:
    story = [(0, ASK), (0.1, ANSWER), (200, ASK)]
    assert in_brief(replayed(story, dial_time_s=5)) == (2, 360)
    assert in_brief(replayed(story, dial_time_s=30)) == (1, 350)  # from 30 to 200 + 180


def test_a_line_that_never_falls_is_counted_until_the_last_packet() -> None:
    links = replace(LINKS, links=(replace(ISP, idle_timeout_s=0.0),))
    outcome = replayed([(0, ASK), (0.1, ANSWER), (7205, ASK)], links)
    assert in_brief(outcome) == (1, 7200)


def test_an_hour_that_is_permanent_is_counted_until_the_last_packet() -> None:
    always = Span(frozenset(range(7)), 0, 0)
    links = replace(LINKS, schedule=(ScheduleEntry(always, Mode.PERMANENT),))
    outcome = replayed([(0, ASK), (0.1, ANSWER), (3605, ASK)], links)
    assert in_brief(outcome) == (1, 3600)
    assert [each.name for each in outcome.rules if each.dials] == ["permanent"]


def test_only_what_a_line_would_carry_is_counted() -> None:
    quoted = IP(src="192.168.1.11", dst="198.51.100.7") / UDP(sport=4000, dport=7000)
    error = IP(src="198.51.100.7", dst="192.168.1.11") / ICMP(type=3, code=3) / quoted
    replay = _replay(
        [
            (0, ASK),
            (0.1, ANSWER),
            (1, "udp 192.168.1.11:1 -> 192.168.1.13:2"),
            (2, "udp 192.168.1.1:1 -> 192.168.1.13:2"),
            (3, "udp 198.51.100.7:1 -> 198.51.100.8:2"),
            (4, "udp 192.168.1.11:1 -> 224.0.0.251:5353"),
            (5, bytes(error)),
            (6, b"\x45"),
        ]
    )
    assert replay.packets == 2


def test_packets_may_come_out_of_order() -> None:
    assert in_brief(replayed([(10, ASK), (9, ANSWER)])) == (1, 180)


def test_what_is_put_off_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.replay.replay.PUT_OFF_BYTES", 0)
    assert share(replayed([(0, ASK), (0.1, ANSWER)]).hosts, "alice") == (1, 180, 30, 0)
