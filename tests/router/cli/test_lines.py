"""What `postroad check` says about lines and their use."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from router.cli import lines
from router.config import Config, parse
from router.link.policy import DEFAULT_RULES

LAN = '[lan]\naddress = "192.168.1.1/24"\n'
STATIC = '[[link]]\nname = "isp"\nbackend = "static"\naddress = "203.0.113.2/24"\n'
COMMAND = '[[link]]\nname = "lte"\nbackend = "command"\nup = "/sbin/up pin=1234"\ndown = "down"\n'
WAN = "wan0 in namespace postroad-wan"


def config(text: str) -> Config:
    return parse(LAN + text, Path("router.toml"))


def said_of(name: str, text: str) -> list[str]:
    return [
        each.removeprefix(f"{name}: ")
        for each in lines.lines(config(text))
        if each.startswith(f"{name}: ")
    ]


LEFT = "left to people after 2 refused logins in a row"
LINES: list[tuple[str, str, Iterable[str]]] = [
    (
        "isp",
        STATIC,
        [f"203.0.113.2/24 on the TUN {WAN}, no gateway, MTU 1500", "always up, not metered"],
    ),
    (
        "isp",
        STATIC + 'metered = true\nstatus = "ping -c 1 203.0.113.1"\nstatus_interval = "10s"\n',
        [
            f"203.0.113.2/24 on the TUN {WAN}, no gateway, MTU 1500",
            "always up, metered, ping looks every 10s whether it works",
        ],
    ),
    (
        "lte",
        COMMAND,
        [
            f"raised by /sbin/up on the TUN {WAN}, MTU 1500",
            "raised for traffic, metered, idle after 3m",
            "1m to dial, 15s to hang up",
            "dialled again 3s after a loss and 30s after a failure, then 2 times as long up to 10m",
            LEFT,
        ],
    ),
    (
        "lte",
        COMMAND + 'device = "wwan0"\nmode = "manual"\nmetered = false\nidle_timeout = "0s"\n'
        'min_up = "1m"\nbilling_unit = "6m"\nmax_session = "2h"\n'
        '[link.redial]\nfirst = "10m"\n',
        [
            f"raised by /sbin/up on wwan0, its packets led into {WAN}, MTU 1500",
            "raised by people, not metered, never idle, up for 1m at least,"
            " paid for in units of 6m, up for 2h at most",
            "1m to dial, 15s to hang up",
            "dialled again 3s after a loss and 10m after a failure",
            LEFT,
        ],
    ),
    (
        "lte",
        COMMAND + 'mode = "permanent"\nrefusals = 1\n[link.redial]\nfactor = 1\n',
        [
            f"raised by /sbin/up on the TUN {WAN}, MTU 1500",
            "always up, metered",
            "1m to dial, 15s to hang up",
            "dialled again 3s after a loss and 30s after a failure",
            "left to people after a refused login",
        ],
    ),
]


@pytest.mark.parametrize(("name", "text", "said"), LINES)
def test_a_line(name: str, text: str, said: list[str]) -> None:
    assert said_of(name, text) == said


PPP = '[[link]]\nname = "dsl"\nbackend = "ppp"\nline = "/dev/ttyS1"\n'
ON_PPP0 = "on ppp0, its packets led into wan0 in namespace postroad-wan"
ECHO = "asked after 30s of silence whether it is still there, lost after 4 times without an answer"
DIALLED = [
    "raised for traffic, metered, idle after 3m",
    "1m to dial, 15s to hang up",
    "dialled again 3s after a loss and 30s after a failure, then 2 times as long up to 10m",
]
PPP_LINES: list[tuple[str, list[str]]] = [
    (
        PPP,
        [
            f"PPP by /dev/ttyS1 {ON_PPP0}, MTU 1500",
            "115200 bit/s, flow control rts-cts",
            "no login",
            ECHO,
            *DIALLED,
            LEFT,
        ],
    ),
    (
        PPP + 'speed = 9600\nflow_control = "none"\nmtu = 576\nchat = "/etc/isp.chat"\n'
        'number = ["0192 837465", "0192 837466"]\nhang_up_chat = "/etc/down.chat"\n'
        'user = "anna"\npassword_file = "/etc/isp.password"\nauth = ["chap", "pap"]\n'
        'echo_interval = "0s"\nrefusals = 0\n',
        [
            f"PPP by /dev/ttyS1 {ON_PPP0}, MTU 576",
            "9600 bit/s, no flow control",
            "dials 0192 837465, or 0192 837466 by the chat /etc/isp.chat",
            "hangs up by the chat /etc/down.chat",
            "logs in as anna by chap, pap, with the password in /etc/isp.password",
            "never asked whether it is still there",
            *DIALLED,
            "dialled again however often the login is refused",
        ],
    ),
    (
        PPP.replace("/dev/ttyS1", "tcp:con.lan:7001") + 'chat = "/etc/isp.chat"\n',
        [
            f"PPP by con.lan port 7001 {ON_PPP0}, MTU 1500",
            "the chat is /etc/isp.chat",
            "no login",
            ECHO,
            *DIALLED,
            LEFT,
        ],
    ),
    (
        PPP.replace("/dev/ttyS1", "pppoe:eth3") + 'concentrator = "ac1"\n',
        [
            f"PPP by PPPoE on eth3 {ON_PPP0}, MTU 1492, the most that PPPoE carries",
            "service any, concentrator ac1",
            "no login",
            ECHO,
            *DIALLED,
            LEFT,
        ],
    ),
    (
        PPP.replace("/dev/ttyS1", "pppoe:eth3") + "mtu = 1400\n",
        [f"PPP by PPPoE on eth3 {ON_PPP0}, MTU 1400", "no login", ECHO, *DIALLED, LEFT],
    ),
]


@pytest.mark.parametrize(("text", "said"), PPP_LINES)
def test_a_line_with_ppp(text: str, said: list[str]) -> None:
    assert said_of("dsl", text) == said


def test_a_command_keeps_its_arguments_to_itself() -> None:
    assert "1234" not in "".join(lines.lines(config(COMMAND)))


def test_lines_that_stand_by() -> None:
    text = STATIC + COMMAND + 'dead_after = 3\nrecovery = "cut"\n'
    assert said_of("isp", text)[-1] == "dead after 2 failures in a row"
    assert said_of("lte", text)[-2:] == [
        "dead after 3 failures in a row",
        "once a link before it works again it is taken down",
    ]
    assert said_of("lte", STATIC + COMMAND)[-1] == (
        "once a link before it works again its sessions go on until they end"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (STATIC, []),
        (COMMAND, ["up to 256 packets and 256KiB, each for 1m at most"]),
        (
            COMMAND + '[link.hold]\npackets = 9\nbytes = "1MiB"\nage = "5s"\n',
            ["up to 9 packets and 1MiB, each for 5s at most"],
        ),
    ],
)
def test_what_waits(text: str, said: list[str]) -> None:
    assert list(lines.hold(config(text).links_config())) == said


def test_who_may_dial() -> None:
    text = (
        'dial = "never"\n' + STATIC + '[[host]]\naddress = "192.168.1.10"\nname = "mail"\n'
        'dial = "may-dial"\n[[host]]\nmac = "52:54:00:12:34:56"\nname = "tv"\n'
        'schedule = [{ days = "sat,sun", from = "20:00", to = "24:00", dial = "may-use" }]\n'
        '[[host]]\naddress = "192.168.1.11"\nmac = "52:54:00:12:34:57"\nname = "web"\n'
    )
    assert list(lines.hosts(config(text))) == [
        "mail is 192.168.1.10 and may dial",
        "tv is 52:54:00:12:34:56 and may not use a line;"
        " sat-sun 20:00-24:00 it may use what others have raised",
        "web is 192.168.1.11 or 52:54:00:12:34:57 and may not use a line",
        "every other host may not use a line",
    ]
    assert list(lines.hosts(config(STATIC))) == ["every host may dial"]


def test_rules_in_their_order() -> None:
    rule = '[[policy]]\nmatch = "{}"\naction = "{}"\n'
    text = rule.format("port 22", "keepup") + 'hold = "10m"\n' + rule.format("", "reject")
    first, second, *shipped, last = lines.policy(config(STATIC + text).links_config())
    assert first == "1. keepup port 22, hold 10m   (policy[1])"
    assert second == "2. reject everything   (policy[2])"
    assert len(shipped) == len(DEFAULT_RULES)
    assert shipped[0].startswith("3. ")
    assert all(each.endswith("   (default)") for each in shipped)
    assert last == "otherwise accept"


def test_budgets() -> None:
    text = (
        '[budget]\nper_day = { minutes = 120, dials = 40, bytes = "200MiB" }\n'
        "per_hour = { dials = 5 }\nwarn = 0.5\n"
    )
    assert list(lines.budget(config(COMMAND + text).links_config())) == [
        "5 dials per hour",
        "120 minutes, 40 dials, 200MiB per day",
        "people are warned at 50%",
    ]
    by_month = '[budget]\nper_month = { bytes = "5GiB" }\nmonth_day = 15\n'
    assert list(lines.budget(config(COMMAND + by_month).links_config())) == [
        "5GiB per month",
        "a month begins on day 15",
        "people are warned at 80%",
    ]
    assert list(lines.budget(config(COMMAND).links_config())) == []


BREAKERS = [
    (
        COMMAND,
        "metered links rest for 1h after 10 failures in a row or 5 useless rises in a row"
        " or 30 dials within an hour",
    ),
    (
        COMMAND + '[breaker]\nfailures = 0\nuseless = 0\nrest = "2h"\n',
        "metered links rest for 2h after 30 dials within an hour",
    ),
    (COMMAND + "[breaker]\nfailures = 0\nuseless = 0\ndials_per_hour = 0\n", ""),
    (STATIC, ""),
]


@pytest.mark.parametrize(("text", "said"), BREAKERS)
def test_the_breaker(text: str, said: str) -> None:
    assert list(lines.breaker(config(text).links_config())) == ([said] if said else [])


def test_the_schedule() -> None:
    zone = '[router]\ntimezone = "Europe/Berlin"\n'
    entry = '[[schedule]]\ndays = "mon-fri"\nfrom = "22:00"\nto = "06:00"\nlink = "permanent"\n'
    told = parse(zone + LAN + COMMAND + entry, Path("router.toml"))
    assert list(lines.schedule(told)) == [
        "mon-fri 22:00-06:00 permanent",
        "otherwise manual",
        "by the clock of Europe/Berlin",
    ]
    assert list(lines.schedule(config(COMMAND))) == []
