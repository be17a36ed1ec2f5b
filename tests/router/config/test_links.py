"""The `[[link]]` sections: what each backend takes, and what the link cores are told of it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from router.config import CommandLink, Config, StaticLink, parse
from router.link.types import HoldLimits, LinkConfig, Mode, Recovery, RedialConfig
from router.wire.address import parse_address

LAN = '[lan]\naddress = "192.168.1.1/24"\n'
STATIC = '[[link]]\nname = "isp"\nbackend = "static"\naddress = "203.0.113.2/24"\n'
COMMAND = '[[link]]\nname = "lte"\nbackend = "command"\nup = "./up"\ndown = "down"\n'

Tell = Callable[[str], list[str]]


def parse_text(text: str) -> Config:
    return parse(text, Path("/etc/postroad/router.toml"))


def the_link(text: str) -> StaticLink | CommandLink:
    (link,) = parse_text(LAN + text).links
    return link


def command(name: str, **keys: str) -> str:
    more = "".join(f'{key} = "{value}"\n' for key, value in keys.items())
    return COMMAND.replace('"lte"', f'"{name}"') + more


# What the cores are told


def test_the_least_a_static_link_can_say() -> None:
    link = the_link(STATIC)
    assert isinstance(link, StaticLink)
    assert (link.mode, link.metered, link.status) == (Mode.PERMANENT, False, None)
    assert link.told() == LinkConfig(
        "isp",
        Mode.PERMANENT,
        metered=False,
        idle_timeout_s=0,
        redial=RedialConfig(first_s=30, factor=1, max_s=30, jitter=0, after_loss_s=30),
    )


def test_everything_a_static_link_can_say() -> None:
    link = the_link(
        STATIC + 'device = "eth2"\ngateway = "203.0.113.1"\nmode = "permanent"\nmetered = true\n'
        'mtu = 1400\nstatus = "ping -c 1 203.0.113.1"\nstatus_interval = "10s"\n'
        'dead_after = 5\nrecovery = "cut"\n'
    )
    assert isinstance(link, StaticLink)
    assert link.gateway == parse_address("203.0.113.1")
    assert link.status == ("ping", "-c", "1", "203.0.113.1")
    assert link.told() == LinkConfig(
        "isp",
        Mode.PERMANENT,
        metered=True,
        mtu=1400,
        idle_timeout_s=0,
        redial=RedialConfig(first_s=10, factor=1, max_s=10, jitter=0, after_loss_s=10),
        dead_after=5,
        recovery=Recovery.CUT,
    )


def test_the_least_a_command_link_can_say() -> None:
    link = the_link(COMMAND)
    assert isinstance(link, CommandLink)
    assert (link.up, link.down) == (("/etc/postroad/up",), ("down",))
    assert (link.device, link.status, link.status_interval) == (None, None, 30)
    assert link.told() == LinkConfig("lte")
    assert parse_text(LAN + COMMAND).links_config().hold == HoldLimits()


def test_everything_a_command_link_can_say() -> None:
    text = (
        COMMAND + 'device = "wwan0"\nmode = "manual"\nmetered = false\nmtu = 1400\n'
        'status = "lte/status"\nstatus_interval = "5s"\ndead_after = 5\nrecovery = "cut"\n'
        'idle_timeout = "0s"\ndial_timeout = "90s"\nhang_up_timeout = "20s"\nmin_up = "1m"\n'
        'billing_unit = "6m"\nmax_session = "2h"\nrefusals = 0\n'
        '[link.redial]\nfirst = "5s"\nfactor = 1.5\nmax = "1m"\njitter = 0\nafter_loss = "0s"\n'
        '[link.hold]\npackets = 10\nbytes = "20KiB"\nage = "30s"\n'
    )
    link = the_link(text)
    assert (link.device, link.status) == ("wwan0", ("/etc/postroad/lte/status",))
    assert link.status_interval == 5
    assert link.told() == LinkConfig(
        name="lte",
        mode=Mode.MANUAL,
        metered=False,
        mtu=1400,
        idle_timeout_s=0,
        dial_timeout_s=90,
        hang_up_timeout_s=20,
        min_up_s=60,
        billing_unit_s=360,
        max_session_s=7200,
        redial=RedialConfig(5, 1.5, 60, 0, 0),
        dead_after=5,
        recovery=Recovery.CUT,
        refusals=0,
    )
    assert parse_text(LAN + text).links_config().hold == HoldLimits(10, 20480, 30)


def test_links_keep_their_order() -> None:
    config = parse_text(LAN + command("one") + STATIC + command("two"))
    assert [link.name for link in config.links] == ["one", "isp", "two"]
    assert [link.name for link in config.links_config().links] == ["one", "isp", "two"]


def test_the_hold_queue_is_that_of_the_first_link_that_dials() -> None:
    config = parse_text(LAN + STATIC + COMMAND + "[link.hold]\npackets = 7\n" + command("other"))
    assert config.links_config().hold == HoldLimits(packets=7)


COMMANDS = [
    ("ip-up", ("ip-up",)),
    ("./up", ("/etc/postroad/up",)),
    ("../bin/up", ("/etc/postroad/../bin/up",)),
    ("/sbin/up", ("/sbin/up",)),
    ("up -n 'two words' ./as-it-is", ("up", "-n", "two words", "./as-it-is")),
    ("up $HOME; down | x > y", ("up", "$HOME;", "down", "|", "x", ">", "y")),
]


@pytest.mark.parametrize(("text", "words"), COMMANDS)
def test_commands_are_split_and_programs_found(text: str, words: tuple[str, ...]) -> None:
    link = the_link(COMMAND.replace('"./up"', f'"{text}"'))
    assert isinstance(link, CommandLink)
    assert link.up == words


def test_a_program_stays_where_the_file_is_wherever_the_command_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (link,) = parse(LAN + COMMAND, Path("router.toml")).links
    assert isinstance(link, CommandLink)
    assert link.up == (f"{tmp_path}/up",)


# What does not fit

PROBLEMS = [
    (
        STATIC + 'mode = "on-demand"\n',
        "mode: 'on-demand' is not allowed here; a static line is always \"permanent\"",
    ),
    *(
        (
            STATIC + f'{key} = "1m"\n',
            f"{key}: does not go with this backend: a static line has a fixed address and is"
            " always up",
        )
        for key in ("idle_timeout", "dial_timeout", "hang_up_timeout", "min_up", "billing_unit",
                    "refusals")
    ),
    (
        STATIC + 'up = "x"\n',
        "up: does not go with this backend: a static line has a fixed address and is always up",
    ),
    (
        STATIC + "[link.hold]\npackets = 1\n",
        "hold: does not go with this backend: a static line has a fixed address and is always up",
    ),
    *(
        (
            COMMAND + f'{key} = "203.0.113.1"\n',
            f"{key}: does not go with this backend: what the command for `up` raises has an"
            " address of its own",
        )
        for key in ("address", "gateway")
    ),
    (COMMAND + 'idle_time = "1m"\n', 'idle_time: is not a known key; did you mean "idle_timeout"?'),
    (
        COMMAND + 'mode = "always"\n',
        "mode: 'always' is not allowed here; it is \"on-demand\" or \"permanent\" or \"manual\"",
    ),
    (
        COMMAND + 'recovery = "keep"\n',
        "recovery: 'keep' is not allowed here; it is \"drain\" or \"cut\"",
    ),
    (COMMAND + "dead_after = 0\n", "dead_after: 0 is not a whole number at least 1"),
    (COMMAND + "refusals = -1\n", "refusals: -1 is not a whole number at least 0"),
    (
        COMMAND + 'dial_timeout = "0s"\n',
        "dial_timeout: '0s' is no time at all; the least is \"1s\"",
    ),
    *(
        (
            COMMAND + f'status = "{text}"\n',
            f"status: {text!r} is not a command: no closing quotation",
        )
        for text in ("isp 'status", "it's")
    ),
    (
        COMMAND + "status = 'isp \\'\n",
        "status: 'isp \\\\' is not a command: no escaped character",
    ),
    *(
        (
            COMMAND + f'status = "{text}"\n',
            f"status: {told} is not a command: a program and its arguments",
        )
        for text, told in (("", "''"), (" ", "' '"), ("'' x", "\"'' x\""), ("a\\u0000", "'a\\x00'"))
    ),
    (
        COMMAND + 'status = ["isp", "status"]\n',
        "status: ['isp', 'status'] is not text in quotes; allowed is a program and its arguments",
    ),
    *(
        (
            COMMAND + f"[link.redial]\nfactor = {number}\n",
            f"redial.factor: {shown} is not a number from 1 to 100",
        )
        for number, shown in (
            ("0.5", "0.5"), ("101", "101"), ("nan", "nan"), ("inf", "inf"), ("true", "true"),
            ('"2"', "'2'"),
        )
    ),
    (
        COMMAND + "[link.redial]\njitter = -0.1\n",
        "redial.jitter: -0.1 is not a number from 0 to 1",
    ),
    (
        COMMAND + '[link.redial]\nfirst = "11m"\n',
        "redial.max: is less than first, from which the delay grows",
    ),
    (COMMAND + "[link.redial]\nlast = 5\n", "redial.last: is not a known key; known here are first,"
     " factor, max, jitter, after_loss"),
    (COMMAND + "redial = 5\n", "redial: is not a table of keys"),
    (COMMAND.replace('up = "./up"\n', ""), 'up: is missing; set it, such as up = "./isp-up"'),
]  # fmt: skip


@pytest.mark.parametrize(("text", "problem"), PROBLEMS)
def test_what_does_not_fit_a_link(problems: Tell, text: str, problem: str) -> None:
    assert problems(LAN + text) == [f"link[1].{problem}"]


@pytest.mark.parametrize("backend", ["pppd", "modem"])
def test_backends_of_other_versions(problems: Tell, backend: str) -> None:
    link = f'[[link]]\nname = "isp"\nbackend = "{backend}"\nline = "/dev/ttyS1"\nmtu = 1\n'
    assert problems(LAN + link) == [
        f"link[1].backend: {backend!r} is not a backend of this version,"
        ' which has "static", "command" and "ppp"',
        "link[1].mtu: 1 is not a whole number from 68 to 65535",
    ]


def test_a_link_without_a_backend_tells_what_every_link_lacks(problems: Tell) -> None:
    assert problems(LAN + '[[link]]\nmode = "on-demand"\nspeed = 9600\n') == [
        'link[1].name: is missing; set it, such as name = "isp"',
        'link[1].backend: is missing; set it, such as backend = "static"',
    ]


@pytest.mark.parametrize(
    ("link", "problem"),
    [
        ("link = 5", "link: is not a list"),
        ("link = [5]", "link[1]: is not a table of keys"),
        (
            "link = [{ name = 'isp', backend = ['static'] }]",
            "link[1].backend: ['static'] is not text in quotes; allowed is \"static\" or"
            ' "command" or "ppp"',
        ),
    ],
)
def test_what_is_no_link_at_all(problems: Tell, link: str, problem: str) -> None:
    assert problems(f"{link}\n{LAN}") == [problem]


# Lines beside each other

CARD, OTHER_CARD = 'device = "eth2"\n', 'device = "eth3"\n'
SHARED = '[wan]\nnetns = ""\n'

BESIDE = [
    (
        STATIC + COMMAND + command("isp"),
        "link[3].name: isp is already the name of link[1]; each link has its own",
    ),
    (
        STATIC + CARD + COMMAND + OTHER_CARD + command("umts", device="eth2"),
        "link[3].device: eth2 is already the device of link[1]; each link has its own",
    ),
    (
        STATIC + CARD + COMMAND,
        "link[2].device: either every link has a device or none; link[1] has eth2",
    ),
    (
        STATIC + COMMAND + OTHER_CARD,
        "link[2].device: either every link has a device or none; link[1] has none",
    ),
    (
        SHARED + STATIC + COMMAND,
        "wan.netns: is that of the LAN; several links need a namespace of their own",
    ),
    (
        STATIC + COMMAND + command("umts") + "[link.hold]\npackets = 1\n",
        "link[3].hold: packets wait in one queue for all links;"
        " its bounds are those at link[2], the first that dials",
    ),
    (
        STATIC + CARD + COMMAND + 'device = "wan0"\n',
        "link[2].device: wan0 is already the name of wan.tun; the TUN needs its own",
    ),
]


@pytest.mark.parametrize(("text", "problem"), BESIDE)
def test_lines_that_do_not_go_together(problems: Tell, text: str, problem: str) -> None:
    assert problems(LAN + text) == [problem]


TOGETHER = [
    STATIC + CARD + COMMAND + OTHER_CARD,
    STATIC + COMMAND + "[link.hold]\npackets = 1\n" + command("umts"),
    COMMAND + STATIC,
    SHARED + COMMAND,
]


@pytest.mark.parametrize("text", TOGETHER)
def test_lines_that_go_together(text: str) -> None:
    assert parse_text(LAN + text).warnings == ()
