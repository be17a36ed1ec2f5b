"""The `[[link]]` of a line with PPP, and the files it names."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from router.config import PppLink, load, parse
from router.config.media import Ethernet, Program, Serial, Tcp
from router.config.pppfiles import load_chat, load_password
from router.errors import ConfigError
from router.host.ppp.tty import FlowControl
from router.link.types import LinkConfig
from router.ppp.types import Method

LAN = '[lan]\naddress = "192.168.1.1/24"\n'
PPP = '[[link]]\nname = "isp"\nbackend = "ppp"\nline = "/dev/ttyS1"\n'

Tell = Callable[[str], list[str]]


def the_link(text: str) -> PppLink:
    (link,) = parse(LAN + text, Path("/etc/postroad/router.toml")).links
    assert isinstance(link, PppLink)
    return link


def test_the_least_a_ppp_link_can_say() -> None:
    link = the_link(PPP)
    assert link.told() == LinkConfig("isp")
    assert (link.device, link.speed, link.flow_control) == ("ppp0", 115200, FlowControl.RTS_CTS)
    assert (link.number, link.user, link.chat) == ((), None, None)
    assert link.auth == (Method.MSCHAPV2, Method.CHAP, Method.PAP)


def test_everything_a_modem_link_can_say() -> None:
    link = the_link(
        PPP + 'device = "isp0"\nspeed = 9600\nflow_control = "none"\nchat = "isp.chat"\n'
        'hang_up_chat = "/etc/down.chat"\nnumber = ["0192 837465", "*99#"]\nuser = "anna"\n'
        'password_file = "isp.password"\nauth = ["chap", "pap", "chap"]\n'
        'echo_interval = "0s"\necho_failures = 2\nmtu = 576\nidle_timeout = "1m"\n'
    )
    assert (link.device, link.speed, link.flow_control) == ("isp0", 9600, FlowControl.NONE)
    assert (link.chat, link.hang_up_chat) == (
        Path("/etc/postroad/isp.chat"),
        Path("/etc/down.chat"),
    )
    assert link.number == ("0192 837465", "*99#")
    assert (link.user, link.password_file) == ("anna", Path("/etc/postroad/isp.password"))
    assert link.auth == (Method.CHAP, Method.PAP)
    assert (link.echo_interval, link.echo_failures) == (0, 2)
    assert link.told() == LinkConfig("isp", mtu=576, idle_timeout_s=60)


LINES = [
    ("/dev/ttyS1", Serial(Path("/dev/ttyS1"))),
    ("./modem", Serial(Path("/etc/postroad/modem"))),
    ("/dev/serial/by-id/usb:1", Serial(Path("/dev/serial/by-id/usb:1"))),
    ("pty:ssh -e none 'a b' pppd", Program(("ssh", "-e", "none", "a b", "pppd"))),
    ("pty:./tunnel", Program(("/etc/postroad/tunnel",))),
    ("tcp:console.lan:7001", Tcp("console.lan", 7001)),
    ("tcp:192.168.1.9:65535", Tcp("192.168.1.9", 65535)),
    ("pppoe:eth3.7", Ethernet("eth3.7")),
]


@pytest.mark.parametrize(("text", "line"), LINES)
def test_lines(text: str, line: object) -> None:
    assert the_link(PPP.replace("/dev/ttyS1", text)).line == line


NO_LINES = ["", "ttyS1", "pty:", "pty:'", "tcp:host", "tcp:host:0", "tcp:host:65536", "tcp::7",
            "pppoe:", "pppoe:a/b", "pppoe:0123456789abcdef", "usb:1"]  # fmt: skip


@pytest.mark.parametrize("text", NO_LINES)
def test_what_is_no_line(problems: Tell, text: str) -> None:
    (problem,) = problems(LAN + PPP.replace("/dev/ttyS1", text))
    assert problem.startswith("link[1].line: ")
    assert repr(text) in problem or "is not a command" in problem


PPPOE = PPP.replace("/dev/ttyS1", "pppoe:eth3")


def two(line: str, more: str = 'device = "ppp1"\n') -> str:
    """A second link, with a device of its own unless `more` says otherwise."""
    device = "" if "device" in more else 'device = "ppp1"\n'
    return PPP.replace("isp", "two").replace("/dev/ttyS1", line) + device + more


PROBLEMS = [
    (PPP.replace('line = "/dev/ttyS1"\n', ""),
     'link[1].line: is missing; set it, such as line = "/dev/ttyS1"'),
    (PPP + "speed = 1234\n", "link[1].speed: 1234 is not a speed of a serial port; the nearest"
     " are 600, 1200 and 1800"),
    (PPP + "speed = -1\n", "link[1].speed: -1 is not a speed of a serial port; the nearest"
     " are 50, 75 and 110"),
    (PPP + 'speed = "9600"\n', "link[1].speed: '9600' is not a speed: a number without quotes,"
     " such as 9600"),
    (PPP + 'speed = "fast"\n', "link[1].speed: 'fast' is not a speed: a number without quotes,"
     " such as 115200"),
    (PPP + "speed = true\n", "link[1].speed: true is not a speed: a number without quotes, such"),
    (PPP + 'flow_control = "xon"\n', "link[1].flow_control: 'xon' is not allowed here; it is"
     ' "rts-cts" or "none"'),
    (PPP + 'number = "call me"\nchat = "c"\n', "link[1].number: 'call me' is not a telephone"),
    (PPP + 'number = "12"\n', "link[1].number: needs a chat that dials it"),
    (PPP + "number = 12\n", "link[1].number: 12 is not a telephone number in quotes"),
    (PPP + 'auth = ["eap"]\n', "link[1].auth: ['eap'] is not a list of ways to log in, which are"
     ' "mschapv2", "chap", "pap"'),
    (PPP + "auth = []\n", "link[1].auth: [] is not a list of ways to log in"),
    (PPP + 'user = "anna"\n', "link[1].user: needs password_file beside it"),
    (PPP + 'password_file = "p"\n', "link[1].password_file: needs user beside it"),
    (PPP + 'service = "flat"\n', "link[1].service: is for PPPoE, and the line is /dev/ttyS1"),
    (PPPOE + 'chat = "c"\n', "link[1].chat: is for lines with a modem, and the line is PPPoE on"),
    (PPPOE + "speed = 9600\n", "link[1].speed: is for serial ports, and the line is PPPoE on eth3"),
    (PPPOE + 'device = "eth3"\n', "link[1].device: is the card; the TUN that PPP makes needs"),
    (PPP + 'auth = ["chap"]\n', "link[1].auth: needs user and password_file; without them nobody"),
    (PPP + 'status = "look"\n', "link[1].status: "),
    (PPP + 'up = "./up"\n', "link[1].up: "),
    (PPP + two("/dev/ttyS2", 'device = "ppp0"\n'),
     "link[2].device: ppp0 is already the device of link[1]"),
    (PPP + two("/dev/ttyS1"), "link[2].line: /dev/ttyS1 is already the line of link[1]; each link"
     " has its own"),
    (PPP.replace("/dev/ttyS1", "tcp:con.lan:1") + two("tcp:CON.lan:1"),
     "link[2].line: con.lan port 1 is already the line of link[1]; each link has its own"),
    (PPPOE + two("pppoe:eth3"), "link[2].line: PPPoE on eth3 is already the line of link[1]; on one"
     " card each has its own service or concentrator"),
    (PPPOE + 'service = "a"\n' + two("pppoe:eth3", 'service = "a"\n'),
     "link[2].line: PPPoE on eth3 is already the line of link[1]; on one card"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "problem"), PROBLEMS)
def test_what_does_not_fit(problems: Tell, text: str, problem: str) -> None:
    (found,) = problems(LAN + text)
    assert found.startswith(problem)


def test_pppoe_needs_another_card_than_the_lan(problems: Tell) -> None:
    lan = LAN + 'device = "eth3"\n'
    assert problems(lan + PPPOE) == [
        "link[1].line: eth3 is already lan.device; the sides need a card each"
    ]
    assert parse(lan + 'netns = "office"\n' + PPPOE, Path("router.toml")).links[0].carrier == "eth3"


LINES_BESIDE_EACH_OTHER = [
    (PPP, two("/dev/ttyS2")),
    (PPP.replace("/dev/ttyS1", "tcp:con.lan:1"), two("tcp:con.lan:2")),
    (PPP.replace("/dev/ttyS1", "pty:pppd"), two("pty:pppd")),
    (PPPOE, two("pppoe:eth4")),
    (PPPOE, two("pppoe:eth3", 'service = "b"\n')),
    (PPPOE + 'service = "b"\n', two("pppoe:eth3", 'service = "b"\nconcentrator = "ac2"\n')),
]


@pytest.mark.parametrize(("first", "second"), LINES_BESIDE_EACH_OTHER)
def test_lines_of_two_links(first: str, second: str) -> None:
    assert len(parse(LAN + first + second, Path("router.toml")).links) == 2


# The files beside it


def test_all_that_is_wrong_with_its_files_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "isp.chat").write_text("'' AT\n'open\n")
    (tmp_path / "isp.password").write_text("hush\n")
    (tmp_path / "isp.password").chmod(0o644)
    file = tmp_path / "router.toml"
    file.write_text(
        LAN + PPP + 'chat = "isp.chat"\nhang_up_chat = "none.chat"\nuser = "anna"\n'
        'password_file = "isp.password"\n'
    )
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert list(caught.value.problems) == [
        f"{file}: link[1].chat: {tmp_path}/isp.chat:2: the quote ' does not end on its line",
        f"{file}: link[1].hang_up_chat: {tmp_path}/none.chat cannot be read:"
        " No such file or directory",
        f"{file}: link[1].password_file: {tmp_path}/isp.password may be used by others;"
        " chmod 640 keeps the password secret",
    ]


def test_what_is_wrong_with_a_file_is_told_once_however_often_it_is_named(tmp_path: Path) -> None:
    names = 'user = "anna"\npassword_file = "isp.password"\nchat = "c"\nhang_up_chat = "c"\n'
    (tmp_path / "c").write_text("'' @isp.password OK \\x\n")
    file = tmp_path / "router.toml"
    file.write_text(LAN + PPP + names + two("/dev/ttyS2", names))
    with pytest.raises(ConfigError) as caught:
        load(file)
    first, second = caught.value.problems
    assert first.startswith(f"{file}: link[1].chat: {tmp_path}/c:1: in a send string ")
    assert second == (
        f"{file}: link[1].password_file: {tmp_path}/isp.password cannot be read:"
        " No such file or directory"
    )


def test_a_chat_and_the_secrets_it_sends(tmp_path: Path) -> None:
    secret = tmp_path / "pin"
    secret.write_text("4711\n")
    secret.chmod(0o600)
    (tmp_path / "isp.chat").write_text("'' AT OK @pin CONNECT ''\n")
    _, secrets = load_chat(tmp_path / "isp.chat")
    assert secrets == {"pin": b"4711"}


def test_a_chat_that_dials_needs_a_number(tmp_path: Path) -> None:
    (tmp_path / "isp.chat").write_text("'' ATDT\\T CONNECT\n")
    file = tmp_path / "router.toml"
    file.write_text(LAN + PPP + 'chat = "isp.chat"\n')
    with pytest.raises(ConfigError, match=r"number: is missing; .*/isp.chat sends \\T, the number"):
        load(file)
    file.write_text(LAN + PPP + 'chat = "isp.chat"\nnumber = "12"\n')
    assert load(file).warnings == ()


def test_a_number_needs_a_chat_that_dials_it(tmp_path: Path) -> None:
    (tmp_path / "isp.chat").write_text("'' ATDT12 CONNECT\n")
    file = tmp_path / "router.toml"
    file.write_text(LAN + PPP + 'chat = "isp.chat"\nnumber = "34"\n')
    with pytest.raises(ConfigError, match=r"number: is never dialled; .*/isp.chat does not send"):
        load(file)


def test_a_chat_has_its_length(tmp_path: Path) -> None:
    file = tmp_path / "isp.chat"
    file.write_text("# " + "x" * 65534)
    assert load_chat(file)[0].steps == ()
    file.write_text("# " + "x" * 65535)
    with pytest.raises(ConfigError, match="is longer than 65536 octets; is it a chat"):
        load_chat(file)


@pytest.mark.parametrize("read", [load_chat, load_password])
def test_what_is_no_file_is_not_waited_for(tmp_path: Path, read: Callable[[Path], object]) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for odd in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(ConfigError, match=f"^{odd}: is no regular file$"):
            read(odd)
    with pytest.raises(ConfigError, match=f"^{tmp_path}: cannot be read: Is a directory$"):
        read(tmp_path)


PASSWORDS = [
    ("hush", "hush"),
    ("hush\n", "hush"),
    ("hush\r\n", "hush"),
    ("two words and ü\n", "two words and ü"),
    ("x" * 255, "x" * 255),
]
NO_PASSWORDS = ["", "\n", "one\ntwo\n", "x" * 256, "ü" * 128]


@pytest.mark.parametrize(("text", "password"), PASSWORDS)
def test_passwords(tmp_path: Path, text: str, password: str) -> None:
    file = tmp_path / "password"
    file.write_bytes(text.encode())
    file.chmod(0o640)
    assert load_password(file) == password


@pytest.mark.parametrize("text", NO_PASSWORDS)
def test_what_is_no_password(tmp_path: Path, text: str) -> None:
    file = tmp_path / "password"
    file.write_bytes(text.encode())
    file.chmod(0o600)
    with pytest.raises(ConfigError, match="needs one line of 1 to 255 octets"):
        load_password(file)
