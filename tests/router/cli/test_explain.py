import json
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.utils import wrpcap

from router.host.control.pcapng import packet_block, preamble
from router.notation import parse_packet
from tests.router.cli.conftest import command

OUT = "tcp 192.168.1.10:4000 -> 93.184.216.34:80"
LEAVING = "tcp 203.0.113.2:4000 -> 93.184.216.34:80"
BACK = "tcp 93.184.216.34:80 -> 203.0.113.2:4000 flags syn,ack"


def told(*arguments: str | Path) -> list[dict[str, Any]]:
    done = command("explain", *arguments, "--json")
    assert done.exit_code == 0, done.output
    explanations: list[dict[str, Any]] = json.loads(done.stdout)
    return explanations


def test_packets_are_explained_in_order(config_path: Path) -> None:
    done = command("explain", "-c", config_path, OUT, BACK, "tcp 8.8.8.8:1 -> 203.0.113.2:4001")
    assert done.output.splitlines() == [
        "tcp 192.168.1.10:4000 -> 93.184.216.34:80 flags syn, from the LAN",
        "  goes to the WAN: it opens a session from the LAN",
        "  becomes  tcp 203.0.113.2:4000 -> 93.184.216.34:80 flags syn",
        "  mapping  192.168.1.10:4000 <-> 203.0.113.2:4000, dynamic",
        "  session  with 93.184.216.34:80, outbound-init",
        "  host     mail, may-dial",
        "  rule     accept everything   (default)",
        "  raises   nothing: the router raises isp by itself",
        "  holds    the line for 30s, while it is open once answered",
        "tcp 93.184.216.34:80 -> 203.0.113.2:4000 flags syn,ack, from the WAN",
        "  goes to the LAN: it belongs to a session",
        "  becomes  tcp 93.184.216.34:80 -> 192.168.1.10:4000 flags syn,ack",
        "tcp 8.8.8.8:1 -> 203.0.113.2:4001 flags syn, from the WAN",
        "  is dropped: it is unsolicited: no session, no forward",
    ]


def test_answers_are_shown(config_path: Path) -> None:
    done = command("explain", "-c", config_path, f"{OUT} ttl 1")
    assert "  sends    icmp 192.168.1.1 -> 192.168.1.10 type 11 code 0, to the LAN" in done.output


DIALLED = """
[router]
control = "control.sock"
timezone = "Europe/Berlin"
[lan]
address = "192.168.1.1/24"
[[link]]
name = "isp"
backend = "command"
up = "./up"
down = "./down"
[[link]]
name = "lte"
backend = "command"
up = "./up"
down = "./down"
[[host]]
address = "192.168.1.10"
name = "mail"
dial = "may-use"
schedule = [{ days = "mon-fri", from = "08:00", to = "18:00", dial = "may-dial" }]
[[schedule]]
days = "daily"
from = "06:00"
to = "22:00"
link = "on-demand"
"""
MONDAY_MORNING = ("--at", "2026-03-02 09:30")


@pytest.fixture
def dialled(tmp_path: Path) -> Path:
    """A configuration with two links that are dialled, by day."""
    path = tmp_path / "dialled.toml"
    path.write_text(DIALLED)
    return path


def test_a_link_without_an_address_gets_one_that_nobody_has(dialled: Path) -> None:
    done = command("explain", "-c", dialled, *MONDAY_MORNING, OUT, OUT)
    lines = done.output.splitlines()
    note = "isp has no address until it is dialled; 192.0.2.1 stands for it."
    assert [line for line in lines if "stands for" in line] == [note]
    assert lines[:1] == [note]
    assert "  becomes  tcp 192.0.2.1:4000 -> 93.184.216.34:80 flags syn" in lines
    assert "  raises   isp if no line is up" in lines
    assert "  holds    the line for 30s, for 3m once answered" in lines


def test_with_the_line_down_it_says_what_waits_and_what_is_refused(dialled: Path) -> None:
    ntp = "udp 192.168.1.10:123 -> 93.184.216.34:123"
    done = command("explain", "-c", dialled, *MONDAY_MORNING, "--line", "down", OUT, ntp)
    assert done.output.splitlines() == [
        "tcp 192.168.1.10:4000 -> 93.184.216.34:80 flags syn, from the LAN",
        "  is held: it waits until the line is up",
        "  host     mail, may-dial",
        "  rule     accept everything   (default)",
        "  raises   isp",
        "  holds    the line for 30s, for 3m once answered",
        "udp 192.168.1.10:123 -> 93.184.216.34:123, from the LAN",
        "  is answered: it does not deserve that a line is raised",
        "  sends    icmp 192.168.1.1 -> 192.168.1.10 type 3 code 1, to the LAN",
        "  host     mail, may-dial",
        "  rule     ignore udp dst port 123   (default)",
        "  raises   nothing: it does not deserve that a line is raised",
        "  holds    nothing",
    ]


ASK = "udp 192.168.1.11:4000 -> 192.168.1.1:53"


def test_what_asks_for_names_is_told_as_a_question_for_outside(dialled: Path) -> None:
    dialled.write_text(
        DIALLED.replace("[lan]", '[lan]\ndevice = "eth1"\ndns = true')
        .replace('down = "./down"', 'down = "./down"\ndevice = "wwan0"', 1)
        .replace('down = "./down"\n[[host]]', 'down = "./down"\ndevice = "wwan1"\n[[host]]')
    )
    done = command("explain", "-c", dialled, *MONDAY_MORNING, "--line", "down", ASK)
    assert done.output.splitlines() == [
        "udp 192.168.1.11:4000 -> 192.168.1.1:53, from the LAN",
        "  is answered: it is for the router's name server, which answers what is local",
        "  outside  192.168.1.11 asks for www.example.net A",
        "  host     192.168.1.11, may-dial",
        "  rule     accept udp dst port 53 or tcp dst port 53   (default)",
        "  raises   isp",
        "  holds    the line for 30s",
    ]
    done = command("explain", "-c", dialled, *MONDAY_MORNING, ASK)
    assert "  raises   isp if no line is up" in done.output.splitlines()


def test_without_a_name_server_it_is_answered_with_an_error(dialled: Path) -> None:
    done = command("explain", "-c", dialled, *MONDAY_MORNING, "--line", "down", ASK)
    assert done.output.splitlines() == [
        "udp 192.168.1.11:4000 -> 192.168.1.1:53, from the LAN",
        "  is answered: it is for the router itself, which answers",
        "  sends    icmp 192.168.1.1 -> 192.168.1.11 type 3 code 3, to the LAN",
    ]


@pytest.mark.parametrize(
    ("at", "right", "why_not"),
    [
        ("2026-03-02 09:30", "may-dial", ""),
        ("2026-03-02 21:30", "may-use", "it comes from a host that may use the line but not"),
        ("2026-03-02T07:30:00+00:00", "may-dial", ""),  # 08:30 in Berlin
        ("2026-03-02T06:30:00+00:00", "may-use", "it comes from a host that may use the line"),
    ],
)
def test_the_moment_decides_by_the_clock_of_the_router(
    dialled: Path, at: str, right: str, why_not: str
) -> None:
    (one,) = told("-c", dialled, "--at", at, OUT)
    assert one["worth"]["right"] == right
    assert one["worth"]["why_not"].startswith(why_not)
    assert bool(one["worth"]["why_not"]) is bool(why_not)


def test_at_night_nobody_raises_a_line(dialled: Path) -> None:
    other = OUT.replace(".10:", ".11:")
    (one,) = told("-c", dialled, "--at", "2026-03-02 23:00", "--line", "down", other)
    assert (one["verdict"], one["reason"]) == ("answered", "line-denied")
    assert one["answers"] == ["icmp 192.168.1.1 -> 192.168.1.11 type 3 code 13, to the LAN"]
    assert one["worth"]["why_not"] == "isp is down, outside its hours"


def test_json_tells_what_a_packet_is_worth(dialled: Path) -> None:
    (one,) = told("-c", dialled, *MONDAY_MORNING, OUT)
    assert one["worth"] == {
        "host": "mail",
        "right": "may-dial",
        "rule": "accept everything",
        "origin": "default",
        "raises": "isp",
        "why_not": "",
        "holds_s": 30.0,
        "answered_holds_s": 180.0,
        "held_by": "accept everything",
    }


def test_the_side_may_be_forced(config_path: Path) -> None:
    assert [one["side"] for one in told("-c", config_path, BACK)] == ["wan"]
    assert [one["side"] for one in told("-c", config_path, "--side", "lan", BACK)] == ["lan"]


@pytest.mark.parametrize("suffix", ["pcap", "pcapng"])
def test_any_capture_can_be_read(config_path: Path, tmp_path: Path, suffix: str) -> None:
    syn = Ether() / IP(src="192.168.1.10", dst="93.184.216.34") / TCP(sport=4000) / b""
    back = (
        Ether() / IP(src="93.184.216.34", dst="203.0.113.2") / TCP(sport=80, dport=4000, flags="SA")
    )
    padded = Ether(bytes(back).ljust(60, b"\0"))
    path = tmp_path / f"some.{suffix}"
    frames = [syn, Ether() / ARP(), padded, Ether() / IPv6()]
    for at, frame in enumerate(frames):
        frame.time = 1_700_000_000 + at
    wrpcap(str(path), frames)
    explanations = told("-c", config_path, "-r", path)
    assert [(one["side"], one["verdict"]) for one in explanations] == [
        ("lan", "to-wan"),
        ("wan", "to-lan"),
    ]
    table = command("explain", "-c", config_path, "-r", path).output
    assert "2 packets: 1 to-lan, 1 to-wan" in table
    assert "tcp 203.0.113.2:4000 -> 93.184.216.34:80 flags syn" in table


def test_of_a_capture_of_its_own_only_what_came_in_is_judged(
    config_path: Path, tmp_path: Path
) -> None:
    path = tmp_path / "own.pcapng"
    spoofed = "udp 10.9.9.9:1 -> 8.8.8.8:2"  # only the interface tells that it is from the LAN
    path.write_bytes(
        preamble(["lan0", "wan0"], "test")
        + packet_block(0, 1, parse_packet(OUT), inbound=True)
        + packet_block(
            1, 2, parse_packet(OUT.replace("192.168.1.10", "203.0.113.2")), inbound=False
        )
        + packet_block(0, 3, parse_packet(spoofed), inbound=True)
    )
    explanations = told("-c", config_path, "-r", path)
    assert [(one["side"], one["reason"]) for one in explanations] == [
        ("lan", "new-session"),
        ("lan", "spoofed"),
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        ([], 2, "give packets, or a file with -r"),
        ([OUT, "-r", "x"], 2, "give packets, or a file with -r"),
        (["tcp 1.2.3.4 -> 5.6.7.8:9"], 2, "'1.2.3.4' has no port"),
        (["--at", "noon", OUT], 2, "'noon' is not a moment such as"),
        (["-r", "/nonexistent"], 1, "cannot read /nonexistent: No such file or directory"),
        (["-r", "/dev/null"], 1, "cannot read /dev/null: "),
    ],
)
def test_what_cannot_be_explained(
    config_path: Path, arguments: list[str], code: int, sentence: str
) -> None:
    done = command("explain", "-c", config_path, *arguments)
    assert (done.exit_code, sentence in done.stderr) == (code, True), done.stderr
