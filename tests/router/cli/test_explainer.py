from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from router.cli.explainer import START, Explainer
from router.cli.explanation import Worth
from router.config.demand import shipped_rules
from router.devices import Side
from router.forwarder import ForwarderConfig
from router.host.filters import compile_filter
from router.link.calendar import Calendar
from router.link.types import (
    Action,
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
from router.nat.types import ForwardRule
from router.notation import parse_packet
from router.routing import RoutingConfig
from router.wire.address import Network, parse_address

LAN = RoutingConfig(parse_address("192.168.1.1"), Network.parse("192.168.1.0/24"))
MAIL = ForwardRule(6, 25, 25, parse_address("192.168.1.10"), 25, origin="forward.rules:1")
LINE = parse_address("203.0.113.2")
OUT = "tcp 192.168.1.11:4000 -> 93.184.216.34:80 flags syn"
BACK = "tcp 93.184.216.34:80 -> 203.0.113.2:4000 flags syn,ack"
NTP = "udp 192.168.1.11:123 -> 93.184.216.34:123"
MONDAY_MORNING = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
MONDAY_NIGHT = datetime(2026, 3, 2, 23, 30, tzinfo=UTC)
OFFICE = Span(frozenset(range(5)), 8 * 60, 18 * 60)
SSH = PolicyRule("tcp port 22", compile_filter("tcp port 22"), Action.KEEPUP, 600.0, "policy[1]")
IRC = PolicyRule("tcp port 6667", compile_filter("tcp port 6667"), Action.REJECT, None, "policy[2]")
HOSTS = (
    HostRight(Right.MAY_USE, parse_address("192.168.1.20"), name="bob"),
    HostRight(Right.NEVER, parse_address("192.168.1.30"), name="printer"),
    HostRight(
        Right.MAY_USE, parse_address("192.168.1.40"), name="till",
        exceptions=((OFFICE, Right.MAY_DIAL),),
    ),
)  # fmt: skip
DEMAND = DemandConfig((SSH, IRC, *shipped_rules()), HOSTS)
DIALLED = LinksConfig((LinkConfig("isp"),), DEMAND)
ALWAYS_ON = LinksConfig((LinkConfig("isp", mode=Mode.PERMANENT, idle_timeout_s=0.0),), DEMAND)


def an_explainer(
    links: LinksConfig = DIALLED,
    *,
    up: bool = True,
    moment: datetime = MONDAY_MORNING,
    forwards: Sequence[ForwardRule] = (MAIL,),
    serves_names: bool = False,
) -> Explainer:
    calendar = Calendar(UTC, moment.timestamp() - START)
    config = ForwarderConfig(LAN, links)
    return Explainer(config, forwards, calendar, address=LINE, up=up, serves_names=serves_names)


def worth(explainer: Explainer, packet: str, at: float = 0) -> Worth:
    told = explainer.explain(parse_packet(packet), at).worth
    assert told is not None
    return told


@pytest.fixture
def explainer() -> Explainer:
    return an_explainer()


def test_an_outbound_syn_makes_mapping_and_session(explainer: Explainer) -> None:
    told = explainer.explain(parse_packet(OUT), 0)
    assert (told.packet, told.side, told.verdict, told.reason) == (
        OUT,
        "lan",
        "to-wan",
        "new-session",
    )
    assert told.becomes == "tcp 203.0.113.2:4000 -> 93.184.216.34:80 flags syn"
    assert told.mapping is not None
    assert (told.mapping["internal"], told.mapping["external"], told.mapping["kind"]) == (
        "192.168.1.11:4000", "203.0.113.2:4000", "dynamic",
    )  # fmt: skip
    assert told.session is not None
    assert told.session["remote"] == "93.184.216.34:80"


def test_state_carries_over_from_packet_to_packet(explainer: Explainer) -> None:
    alone = explainer.explain(parse_packet(BACK), 0)
    assert (alone.side, alone.verdict, alone.becomes) == ("wan", "dropped", None)
    explainer.explain(parse_packet(OUT), 1)
    told = explainer.explain(parse_packet(BACK), 2)
    assert (told.verdict, told.reason) == ("to-lan", "session")
    assert told.becomes == "tcp 93.184.216.34:80 -> 192.168.1.11:4000 flags syn,ack"
    assert (told.mapping, told.session) == (None, None)


def test_time_moves_with_the_packets(explainer: Explainer) -> None:
    explainer.explain(parse_packet(OUT), 0)
    late = explainer.explain(parse_packet(BACK), 10_000)
    assert late.verdict == "dropped"


def test_a_forward_lets_strangers_in(explainer: Explainer) -> None:
    told = explainer.explain(parse_packet("tcp 198.51.100.7:999 -> 203.0.113.2:25"), 0)
    assert (told.verdict, told.reason) == ("to-lan", "forwarded")
    assert told.becomes == "tcp 198.51.100.7:999 -> 192.168.1.10:25 flags syn"
    assert told.mapping is not None
    assert told.mapping["kind"] == "static"


def test_answers_are_described(explainer: Explainer) -> None:
    told = explainer.explain(parse_packet("udp 192.168.1.11:1 -> 93.184.216.34:33434 ttl 1"), 0)
    assert (told.verdict, told.reason) == ("answered", "ttl-expired")
    assert told.answers == ("icmp 192.168.1.1 -> 192.168.1.11 type 11 code 0, to the LAN",)


def test_the_side_can_be_told(explainer: Explainer) -> None:
    told = explainer.explain(parse_packet(OUT), 0, Side.WAN)
    assert (told.side, told.verdict, told.reason) == ("wan", "dropped", "spoofed")


def test_a_captured_super_packet_is_not_too_big(explainer: Explainer) -> None:
    explainer.explain(parse_packet(OUT), 0)
    explainer.explain(parse_packet(BACK), 0)
    big = parse_packet(OUT.replace("syn", "ack") + " length 20000")
    assert explainer.explain(big, 1).verdict == "to-wan"


def test_the_same_packets_get_the_same_answer() -> None:
    def story() -> list[object]:
        fresh = an_explainer()
        hosts = ("192.168.1.11", "192.168.1.12", "192.168.1.13")
        packets = [parse_packet(f"udp {host}:4000 -> 198.51.100.7:53") for host in hosts]
        return [fresh.explain(packet, at) for at, packet in enumerate(packets)]

    assert story() == story()


def test_bytes_that_are_no_packet_are_malformed(explainer: Explainer) -> None:
    told = explainer.explain(b"\x45", 0)
    assert (told.verdict, told.reason) == ("dropped", "malformed")


def tcp(host: str, port: int) -> str:
    return f"tcp 192.168.1.{host}:4000 -> 93.184.216.34:{port}"


@pytest.mark.parametrize(
    ("packet", "right", "rule", "raises", "why_not"),
    [
        (OUT, "may-dial", "accept everything", "isp", ""),
        (NTP, "may-dial", "ignore udp dst port 123", "", "it does not deserve that a line is"),
        (tcp("11", 22), "may-dial", "keepup tcp port 22", "", "it does not deserve that a line"),
        (tcp("11", 6667), "may-dial", "reject tcp port 6667", "", "it is rejected by the policy"),
        (tcp("20", 80), "may-use", "accept everything", "", "it comes from a host that may use"),
        (tcp("30", 80), "never", "accept everything", "", "it comes from a host that may not use"),
        (tcp("40", 80), "may-dial", "accept everything", "isp", ""),
    ],
)
@pytest.mark.parametrize("up", [True, False])
def test_right_and_rule_say_what_would_dial(
    packet: str, right: str, rule: str, raises: str, why_not: str, *, up: bool
) -> None:
    told = worth(an_explainer(up=up), packet)
    assert (told.right, told.rule, told.raises) == (right, rule, raises)
    assert told.why_not.startswith(why_not)
    assert bool(told.why_not) is not bool(raises)


def test_hosts_and_rules_are_told_with_name_and_origin(explainer: Explainer) -> None:
    told = worth(explainer, tcp("20", 22))
    assert (told.host, told.origin) == ("bob", "policy[1]")
    assert (worth(explainer, OUT).host, worth(explainer, OUT).origin) == ("192.168.1.11", "default")


def test_the_hour_decides_what_a_host_may() -> None:
    told = worth(an_explainer(moment=MONDAY_NIGHT), tcp("40", 80))
    assert (told.right, told.raises) == ("may-use", "")


@pytest.mark.parametrize(
    ("links", "moment", "raises", "why_not"),
    [
        ("manual", MONDAY_MORNING, "", "isp is down, only people raise it"),
        ("on-demand", MONDAY_NIGHT, "", "isp is down, outside its hours"),
        ("on-demand", MONDAY_MORNING, "isp", ""),
        ("permanent", MONDAY_MORNING, "", "the router raises isp by itself"),
    ],
)
def test_a_link_may_be_blocked(links: str, moment: datetime, raises: str, why_not: str) -> None:
    office = (ScheduleEntry(OFFICE, Mode.ON_DEMAND),)
    told = worth(
        an_explainer(
            LinksConfig((LinkConfig("isp", mode=Mode(links)),), DEMAND, schedule=office),
            moment=moment,
        ),
        OUT,
    )
    assert (told.raises, told.why_not) == (raises, why_not)


@pytest.mark.parametrize(
    ("packet", "unanswered", "answered"),
    [
        (OUT, 30.0, 180.0),
        (tcp("11", 22), 30.0, 600.0),
        (tcp("11", 53), 30.0, 30.0),
        (NTP, 0.0, 0.0),
    ],
)
def test_how_long_a_session_holds(packet: str, unanswered: float, answered: float) -> None:
    told = worth(an_explainer(), packet)
    assert (told.holds_s, told.answered_holds_s) == (unanswered, answered)


def test_an_answered_session_holds_by_the_rule_it_was_opened_by(explainer: Explainer) -> None:
    explainer.explain(parse_packet(OUT), 0)
    explainer.explain(parse_packet(BACK), 1)
    assert worth(explainer, OUT.replace("syn", "ack"), 2).holds_s == 180
    late = worth(explainer, OUT.replace("syn", "fin,ack"), 100)
    assert late.rule.startswith("ignore tcp[tcpflags]")
    assert (late.raises, late.holds_s, late.held_by) == ("", 180, "accept everything")


def test_what_is_asked_again_and_again_without_an_answer_holds_no_longer(
    explainer: Explainer,
) -> None:
    assert [worth(explainer, OUT, at).holds_s for at in (0, 10, 31)] == [30, 20, 0]


def test_a_line_that_is_never_idle_is_held_while_a_session_is_open() -> None:
    explainer = an_explainer(ALWAYS_ON)
    opened = worth(explainer, OUT)
    assert (opened.holds_s, opened.answered_holds_s) == (30, None)
    explainer.explain(parse_packet(BACK), 1)
    assert worth(explainer, OUT.replace("syn", "ack"), 2).holds_s is None


def test_who_comes_in_is_judged_as_the_host_sees_it_and_raises_nothing(
    explainer: Explainer,
) -> None:
    told = worth(explainer, "tcp 198.51.100.7:999 -> 203.0.113.2:25")
    assert (told.host, told.right, told.rule) == ("192.168.1.10", "may-dial", "accept everything")
    assert (told.raises, told.why_not) == ("", "it comes in by a line that is up")


def test_a_stranger_holds_nothing_until_the_host_answers() -> None:
    game = ForwardRule(17, 5000, 5000, parse_address("192.168.1.10"), 5000)
    explainer = an_explainer(forwards=(game,))
    asked = worth(explainer, "udp 198.51.100.7:999 -> 203.0.113.2:5000")
    assert (asked.holds_s, asked.answered_holds_s) == (0, 180)
    answered = worth(explainer, "udp 192.168.1.10:5000 -> 198.51.100.7:999", 1)
    assert (answered.holds_s, answered.answered_holds_s) == (180, 180)


@pytest.mark.parametrize(
    "packet",
    [
        BACK,
        "udp 192.168.1.11:1 -> 192.168.1.1:53",
        "udp 192.168.1.11:1 -> 127.0.0.1:53",
        "udp 10.9.9.9:1 -> 8.8.8.8:53",
        "udp 192.168.1.11:1 -> 93.184.216.34:33434 ttl 1",
        "tcp 192.168.1.11:1 -> 203.0.113.2:25",
    ],
)
def test_what_is_not_for_the_line_is_worth_nothing_to_it(explainer: Explainer, packet: str) -> None:
    assert explainer.explain(parse_packet(packet), 0).worth is None


def test_with_the_line_down_packets_wait_or_are_refused() -> None:
    explainer = an_explainer(up=False)
    held = explainer.explain(parse_packet(OUT), 0)
    assert (held.verdict, held.reason, held.answers) == ("held", "held", ())
    assert held.worth is not None
    assert (held.worth.holds_s, held.worth.answered_holds_s) == (30, 180)
    refused = explainer.explain(parse_packet(tcp("20", 80)), 1)
    assert (refused.verdict, refused.reason) == ("answered", "may-not-raise")
    assert refused.answers == ("icmp 192.168.1.1 -> 192.168.1.20 type 3 code 13, to the LAN",)
    assert refused.worth is not None
    assert (refused.worth.holds_s, refused.worth.answered_holds_s) == (0, 0)


def test_each_packet_finds_the_line_down_as_if_it_were_the_first() -> None:
    explainer = an_explainer(up=False)
    assert [worth(explainer, OUT, at).raises for at in (0, 1, 3600, 3601)] == ["isp"] * 4


def test_the_line_stays_up_however_long_nothing_holds_it(explainer: Explainer) -> None:
    explainer.explain(parse_packet(OUT), 0)
    assert explainer.explain(parse_packet(OUT), 86_400).verdict == "to-wan"


# Names


def asks(host: str, protocol: str = "udp") -> str:
    return f"{protocol} 192.168.1.{host}:4000 -> 192.168.1.1:53"


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
@pytest.mark.parametrize("up", [True, False])
def test_the_name_server_takes_what_is_for_it(protocol: str, *, up: bool) -> None:
    explainer = an_explainer(up=up, serves_names=True)
    told = explainer.explain(parse_packet(asks("11", protocol)), 0)
    assert (told.side, told.verdict, told.reason) == ("lan", "answered", "local")
    assert told.sentence == "is for the router's name server, which answers what is local"
    assert (told.answers, told.becomes, told.mapping, told.session) == ((), None, None, None)
    assert told.question == "192.168.1.11 asks for www.example.net A"
    assert told.worth is not None


NO_QUESTIONS = [
    "udp 192.168.1.11:4000 -> 192.168.1.1:54",
    "icmp 192.168.1.11 -> 192.168.1.1",
    "udp 192.168.1.11:4000 -> 9.9.9.9:53",
    "udp 192.168.1.11:4000 -> 203.0.113.2:53",
    "udp 10.9.9.9:4000 -> 192.168.1.1:53",
    BACK,
]


@pytest.mark.parametrize("packet", NO_QUESTIONS)
def test_everything_else_is_judged_as_without_a_name_server(packet: str) -> None:
    named, bare = (an_explainer(serves_names=each) for each in (True, False))
    told = named.explain(parse_packet(packet), 0, Side.LAN)
    assert told == bare.explain(parse_packet(packet), 0, Side.LAN)
    assert told.question is None


def test_without_a_name_server_nobody_takes_a_question(explainer: Explainer) -> None:
    told = explainer.explain(parse_packet(asks("11")), 0)
    assert told.answers == ("icmp 192.168.1.1 -> 192.168.1.11 type 3 code 3, to the LAN",)
    assert (told.question, told.worth) == (None, None)


ASKERS = [
    ("11", "may-dial", "isp", "", True, True),
    ("20", "may-use", "", "it comes from a host that may use the line but not raise it",
     True, False),
    ("30", "never", "", "it comes from a host that may not use the line", False, False),
]  # fmt: skip


@pytest.mark.parametrize(("host", "right", "raises", "why_not", "holds_up", "holds_down"), ASKERS)
@pytest.mark.parametrize("up", [True, False])
def test_a_question_for_outside_is_worth_what_its_host_is(
    host: str, right: str, raises: str, why_not: str, *, holds_up: bool, holds_down: bool, up: bool
) -> None:
    told = worth(an_explainer(up=up, serves_names=True), asks(host))
    assert (told.right, told.raises, told.why_not) == (right, raises, why_not)
    assert told.rule == "accept udp dst port 53 or tcp dst port 53"
    hold_s = 30.0 if (holds_up if up else holds_down) else 0.0
    assert (told.holds_s, told.answered_holds_s) == (hold_s, hold_s)


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
@pytest.mark.parametrize(
    ("action", "raises", "why_not", "hold_s"),
    [
        (Action.KEEPUP, "", "it does not deserve that a line is raised", 600.0),
        (Action.IGNORE, "", "it does not deserve that a line is raised", 0.0),
        (Action.BRINGUP, "isp", "", 0.0),
        (Action.REJECT, "", "it is rejected by the policy", 0.0),
    ],
)
def test_a_question_for_outside_goes_by_the_policy(
    protocol: str, action: Action, raises: str, why_not: str, hold_s: float
) -> None:
    """The rule about what the router would ask, which is UDP, however the host asks."""
    rule = PolicyRule("udp port 53", compile_filter("udp port 53"), action, 600.0, "policy[1]")
    links = LinksConfig((LinkConfig("isp"),), DemandConfig((rule, *shipped_rules())))
    told = worth(an_explainer(links, serves_names=True), asks("11", protocol))
    assert (told.origin, told.raises, told.why_not) == ("policy[1]", raises, why_not)
    assert told.answered_holds_s == hold_s


def test_a_question_for_outside_waits_for_a_line_that_comes_by_itself() -> None:
    told = worth(an_explainer(ALWAYS_ON, up=False, serves_names=True), asks("11"))
    assert told.why_not == "the router raises isp by itself"
    assert (told.holds_s, told.answered_holds_s) == (30, 30)
