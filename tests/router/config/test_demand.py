"""Who may use a line, for what, when and how much: as the file has it and as the cores are told."""

from collections.abc import Callable
from pathlib import Path

import pytest

from router.config import Config, parse
from router.link.policy import DEFAULT_RULES
from router.link.types import (
    Action,
    Allowance,
    BreakerConfig,
    BudgetConfig,
    HostRight,
    LinksConfig,
    Mode,
    Right,
    ScheduleEntry,
    Span,
)
from router.notation import parse_packet
from router.wire.address import parse_address

LAN = '[lan]\naddress = "192.168.1.1/24"\n'
LINK = '[[link]]\nname = "lte"\nbackend = "command"\nup = "up"\ndown = "down"\n'
STATIC = '[[link]]\nname = "isp"\nbackend = "static"\naddress = "203.0.113.2/24"\n'
WORKDAYS = frozenset(range(5))

Tell = Callable[[str], list[str]]


def parse_text(text: str) -> Config:
    return parse(text, Path("router.toml"))


def told(text: str) -> LinksConfig:
    return parse_text(LAN + LINK + text).links_config()


def test_the_least_a_file_can_say() -> None:
    config = told("")
    assert config.demand.hosts == ()
    assert config.demand.default_right is Right.MAY_DIAL
    assert (config.budget, config.breaker) == (BudgetConfig(), BreakerConfig())
    assert config.schedule == ()


# Hosts


def test_rights_of_hosts() -> None:
    config = parse_text(
        f"""
        {LAN}
        dial = "never"
        {LINK}
        [[host]]
        address = "192.168.1.10"
        name = "mail"
        dial = "may-dial"
        [[host]]
        mac = "52:54:00:AB:cd:56"
        name = "tv"
        schedule = [
            {{ days = "sat", from = "20:00", to = "24:00", dial = "may-dial" }},
            {{ days = "mon-fri", from = "22:00", to = "6:00", dial = "may-use" }},
        ]
        """
    ).links_config()
    assert config.demand.default_right is Right.NEVER
    saturday, workdays = Span(frozenset({5}), 1200, 0), Span(WORKDAYS, 1320, 360)
    assert config.demand.hosts == (
        HostRight(Right.MAY_DIAL, address=parse_address("192.168.1.10"), name="mail"),
        HostRight(
            Right.NEVER,
            mac="52:54:00:ab:cd:56",
            name="tv",
            exceptions=((saturday, Right.MAY_DIAL), (workdays, Right.MAY_USE)),
        ),
    )


# Policy


def test_the_files_rules_come_before_the_shipped_ones() -> None:
    config = told(
        '[[policy]]\nmatch = "tcp port 22"\naction = "keepup"\nhold = "10m"\n'
        '[[policy]]\nmatch = ""\naction = "ignore"\n'
    )
    first, second, *shipped = config.demand.rules
    assert (first.text, first.action, first.hold_s) == ("tcp port 22", Action.KEEPUP, 600)
    assert (second.text, second.action, second.hold_s) == ("", Action.IGNORE, None)
    assert [first.origin, second.origin] == ["policy[1]", "policy[2]"]
    assert [(rule.text, rule.action, rule.hold_s) for rule in shipped] == [
        (rule.text, rule.action, rule.hold_s) for rule in DEFAULT_RULES
    ]
    assert {rule.origin for rule in shipped} == {"default"}


def test_rules_are_compiled() -> None:
    rule, *_ = told('[[policy]]\nmatch = "tcp port 22"\naction = "accept"\n').demand.rules
    assert rule.matches(parse_packet("tcp 192.168.1.10:4000 -> 203.0.113.9:22"), outbound=True)
    assert not rule.matches(parse_packet("tcp 192.168.1.10:4000 -> 203.0.113.9:80"), outbound=True)


@pytest.mark.parametrize("action", ["ignore", "reject"])
def test_a_hold_that_holds_nothing_is_a_warning(action: str) -> None:
    rule = f'[[policy]]\nmatch = "udp port 123"\naction = "{action}"\nhold = "30s"\n'
    assert parse_text(LAN + LINK + rule).warnings == (
        f'router.toml: policy[1].hold: is without effect; "{action}" never holds a line',
    )


@pytest.mark.parametrize("action", ["accept", "bringup", "keepup"])
def test_a_hold_of_what_raises_or_holds_is_none(action: str) -> None:
    rule = f'[[policy]]\nmatch = "udp port 123"\naction = "{action}"\nhold = "0s"\n'
    assert parse_text(LAN + LINK + rule).warnings == ()


# Budget, breaker, schedule


def test_a_budget() -> None:
    config = told(
        '[budget]\nper_hour = { dials = 5 }\nper_day = { minutes = 120, bytes = "200MiB" }\n'
        'per_month = { minutes = 900, dials = 40, bytes = "5GiB" }\nwarn = 0.5\nmonth_day = 28\n'
    )
    assert config.budget == BudgetConfig(
        per_hour=Allowance(dials=5),
        per_day=Allowance(minutes=120, bytes=200 << 20),
        per_month=Allowance(900, 40, 5 << 30),
        warn=0.5,
        month_day=28,
    )


def test_a_breaker() -> None:
    config = told('[breaker]\nfailures = 0\nuseless = 0\ndials_per_hour = 7\nrest = "2h"\n')
    assert config.breaker == BreakerConfig(0, 0, 7, 7200)


def test_a_schedule() -> None:
    entry = '[[schedule]]\ndays = "{}"\nfrom = "{}"\nto = "{}"\nlink = "{}"\n'
    config = told(
        entry.format("mon-fri", "08:00", "18:00", "on-demand")
        + entry.format("sat", "22:00", "02:00", "permanent")
        + entry.format("daily", "00:00", "24:00", "manual")
    )
    assert config.schedule == (
        ScheduleEntry(Span(WORKDAYS, 480, 1080), Mode.ON_DEMAND),
        ScheduleEntry(Span(frozenset({5}), 1320, 120), Mode.PERMANENT),
        ScheduleEntry(Span(frozenset(range(7)), 0, 0), Mode.MANUAL),
    )


ALLOWED = "[budget]\nper_day = { dials = 1 }\n"
HOURS = '[[schedule]]\ndays = "daily"\nfrom = "08:00"\nto = "18:00"\nlink = "manual"\n'
WITHOUT_EFFECT = [
    (STATIC + ALLOWED, ["budget: is without effect; no link is metered"]),
    (LINK + "metered = false\n" + ALLOWED, ["budget: is without effect; no link is metered"]),
    (STATIC + "metered = true\n" + ALLOWED, []),
    (STATIC + "[budget]\nwarn = 0.5\n", []),
    (STATIC + LINK + ALLOWED, []),
    (STATIC + HOURS, ["schedule: is without effect; no link is on-demand"]),
    (LINK + 'mode = "manual"\n' + HOURS, ["schedule: is without effect; no link is on-demand"]),
    (STATIC + LINK + HOURS, []),
]


@pytest.mark.parametrize(("text", "warnings"), WITHOUT_EFFECT)
def test_what_is_without_effect_is_a_warning(text: str, warnings: list[str]) -> None:
    assert parse_text(LAN + text).warnings == tuple(f"router.toml: {each}" for each in warnings)


# What does not fit

HOST = '[[host]]\naddress = "192.168.1.10"\nname = "mail"\n'
SPAN = '[[schedule]]\ndays = "mon"\nfrom = "08:00"\nto = "18:00"\nlink = "manual"\n'
PROBLEMS = [
    (
        HOST + 'dial = "always"\n',
        "host[1].dial: 'always' is not allowed here;"
        ' it is "may-dial" or "may-use" or "never"',
    ),
    *(
        (
            HOST + f'mac = "{text}"\n',
            f"host[1].mac: {text!r} is not a MAC address such as 52:54:00:12:34:56",
        )
        for text in ("", "52:54:00:12:34", "52:54:00:12:34:5g", "52-54-00-12-34-56", "525400123456")
    ),
    (HOST + 'schedule = "mon"\n', "host[1].schedule: is not a list"),
    (HOST + 'schedule = ["mon"]\n', "host[1].schedule[1]: is not a table of keys"),
    (
        HOST + 'schedule = [{ days = "mon", from = "8:00", to = "9:00" }]\n',
        'host[1].schedule[1].dial: is missing; set it, such as dial = "may-use"',
    ),
    (
        HOST + 'schedule = [{ days = "mon", from = "8", to = "9:00", dial = "never" }]\n',
        "host[1].schedule[1].from: '8' is not a time of day such as \"08:00\", up to \"24:00\"",
    ),
    (
        '[[policy]]\nmatch = ""\naction = "ignore"\n[[policy]]\nmatch = "udp prt 123"\n'
        'action = "ignore"\n',
        "policy[2].match: 'prt' is no word for IP packets and no address;"
        " looking it up as a name could raise the line",
    ),
    (
        '[[policy]]\nmatch = "udp port"\naction = "ignore"\n',
        "policy[1].match: syntax error, see pcap-filter(7)",
    ),
    (
        '[[policy]]\nmatch = 123\naction = "ignore"\n',
        "policy[1].match: 123 is not text in quotes; allowed is a filter in tcpdump's syntax",
    ),
    (
        '[[policy]]\naction = "ignore"\n',
        'policy[1].match: is missing; set it, such as match = "udp port 123"',
    ),
    (
        '[[policy]]\nmatch = ""\naction = "drop"\n',
        "policy[1].action: 'drop' is not allowed here; it is"
        ' "accept" or "bringup" or "keepup" or "ignore" or "reject"',
    ),
    (
        "[budget]\nper_day = { minutes = 1.5 }\n",
        "budget.per_day.minutes: 1.5 is not a whole number at least 1",
    ),
    (
        "[budget]\nper_day = { hours = 2 }\n",
        "budget.per_day.hours: is not a known key; known here are minutes, dials, bytes",
    ),
    ("[budget]\nper_day = 5\n", "budget.per_day: is not a table of keys"),
    (
        '[budget]\nper_day = { bytes = "0B" }\n',
        "budget.per_day.bytes: '0B' is nothing at all; the least is \"1B\"",
    ),
    ("[budget]\nwarn = 1.1\n", "budget.warn: 1.1 is not a number from 0 to 1"),
    ("[budget]\nmonth_day = 29\n", "budget.month_day: 29 is not a whole number from 1 to 28"),
    (
        "[budget]\nper_week = { dials = 1 }\n",
        "budget.per_week: is not a known key;"
        " known here are per_hour, per_day, per_month, warn, month_day",
    ),
    ("[breaker]\nuseless = -1\n", "breaker.useless: -1 is not a whole number at least 0"),
    ('[breaker]\nrest = "0s"\n', "breaker.rest: '0s' is no time at all; the least is \"1s\""),
    (
        SPAN.replace('"mon"', '"monday"'),
        "schedule[1].days: 'monday' is not a list of days such as"
        ' "mon-fri", "sat,sun" or "daily"',
    ),
    (
        SPAN.replace("08:00", "24:00"),
        "schedule[1].from: '24:00' is the end of a day; the next one begins at \"00:00\"",
    ),
    (
        SPAN.replace('from = "08:00"\n', ""),
        'schedule[1].from: is missing; set it, such as from = "08:00"',
    ),
    (
        SPAN + 'begin = "08:00"\n',
        "schedule[1].begin: is not a known key; known here are days, from, to, link",
    ),
    (
        SPAN.replace("manual", "off"),
        "schedule[1].link: 'off' is not allowed here;"
        ' it is "on-demand" or "permanent" or "manual"',
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "problem"), PROBLEMS)
def test_what_does_not_fit(problems: Tell, text: str, problem: str) -> None:
    assert problems(LAN + LINK + text) == [problem]


def test_a_right_that_lan_hosts_cannot_have(problems: Tell) -> None:
    assert problems(LAN + 'dial = "no"\n' + LINK) == [
        'lan.dial: \'no\' is not allowed here; it is "may-dial" or "may-use" or "never"'
    ]
