import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet
from scapy.utils import wrpcap

from router.host.control.pcapng import packet_block, preamble
from router.notation import parse_packet
from tests.router.cli.conftest import command

MONDAY = datetime(2026, 3, 2, 9, 0, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
CLOCK = "192.168.1.10"
CONFIG = """
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
[[host]]
address = "192.168.1.10"
name = "clock"
"""
CHATTY = """
[[policy]]
match = "udp port 123"
action = "accept"
hold = "2m"
"""
ALWAYS_ON = """
[lan]
address = "192.168.1.1/24"
[[link]]
name = "isp"
backend = "static"
address = "203.0.113.2/24"
"""


@pytest.fixture
def chatty(tmp_path: Path) -> Path:
    """A configuration in which the time of day is worth a phone call."""
    path = tmp_path / "chatty.toml"
    path.write_text(CONFIG + CHATTY)
    return path


@pytest.fixture
def silent(tmp_path: Path) -> Path:
    """One with the shipped rules only, which ignore it."""
    path = tmp_path / "silent.toml"
    path.write_text(CONFIG)
    return path


def at(seconds: float, packet: Packet) -> Packet:
    frame = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / packet
    frame.time = MONDAY + seconds
    return frame


def morning() -> Iterator[Packet]:
    """Twelve questions for the time, 1024 s apart, and one page at 10:00."""
    for number in range(12):
        asked = number * 1024
        yield at(asked, IP(src=CLOCK, dst="198.51.100.123") / UDP(sport=123, dport=123) / bytes(48))
        answer = IP(src="198.51.100.123", dst=CLOCK) / UDP(sport=123, dport=123) / bytes(48)
        yield at(asked + 0.03, answer)
        if number == 3:  # 3072 s after nine; the next one is at 4096 s
            yield from page(3600)


def page(begin: float) -> Iterator[Packet]:
    browser, web = "192.168.1.20", "198.51.100.80"
    out, back = IP(src=browser, dst=web), IP(src=web, dst=browser)
    yield at(begin, out / TCP(sport=4000, dport=80, flags="S", seq=100))
    yield at(begin + 0.02, back / TCP(sport=80, dport=4000, flags="SA", seq=500, ack=101))
    yield at(begin + 0.03, out / TCP(sport=4000, dport=80, flags="A", seq=101, ack=501))
    yield at(begin + 0.04, out / TCP(sport=4000, dport=80, flags="PA", seq=101, ack=501) / b"GET")
    yield at(begin + 0.2, back / TCP(sport=80, dport=4000, flags="PA", seq=501, ack=104) / b"200")


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """The packets of a morning on the LAN."""
    path = tmp_path / "morning.pcap"
    wrpcap(str(path), [at(0, ARP()), *morning()])
    return path


def told(*arguments: str | Path) -> dict[str, Any]:
    done = command("replay", *arguments, "--json")
    assert done.exit_code == 0, done.output
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


# Twelve rises for the time: each up for the two minutes after the question, which goes out as soon
# as the line is up. One for the page, which holds for the three minutes of the link.
TIME_S, PAGE_S = 12 * 120, 180


def test_a_rule_that_ignores_ntp_saves_what_ntp_has_cost(
    chatty: Path, silent: Path, capture: Path
) -> None:
    answer = told(capture, "-c", chatty, "--policy", silent)
    assert answer["packets"] == 12 * 2 + 5
    assert answer["ended_at"] - answer["begun_at"] == pytest.approx(11 * 1024 + 0.03)
    before, after = answer["outcomes"]
    assert (before["config"], after["config"]) == (str(chatty), str(silent))
    assert (before["dials"], before["rises"], before["held"]) == (13, 13, 13)
    assert before["up_s"] == pytest.approx(TIME_S + PAGE_S, abs=0.01)
    assert (after["dials"], after["rises"], after["held"]) == (1, 1, 1)
    assert after["up_s"] == pytest.approx(PAGE_S, abs=0.01)
    assert answer["difference"] == {
        "dials": -12,
        "rises": -12,
        "up_s": pytest.approx(-TIME_S, abs=0.01),
        "held": -12,
        "lost": 0,
        "refused": 0,
    }


def test_who_has_dialled_and_what_has_held(chatty: Path, capture: Path) -> None:
    answer = told(capture, "-c", chatty)
    assert answer["difference"] is None
    (outcome,) = answer["outcomes"]
    assert [(each["name"], each["dials"], round(each["held_s"])) for each in outcome["hosts"]] == [
        ("clock", 12, TIME_S),
        ("192.168.1.20", 1, PAGE_S),
    ]
    assert [(each["name"], each["dials"], round(each["held_s"])) for each in outcome["rules"]] == [
        ("accept udp port 123 (policy[1])", 12, TIME_S),
        ("accept everything (default)", 1, PAGE_S),
    ]


def test_people_read_it_side_by_side(chatty: Path, silent: Path, capture: Path) -> None:
    done = command("replay", capture, "-c", chatty, "--policy", silent)
    assert done.exit_code == 0
    lines = done.output.splitlines()
    assert lines[0] == (
        "29 packets for a line or from one, from Mon 2026-03-02 09:00:00 to Mon 2026-03-02 12:07:44"
    )
    rows = [line.split() for line in lines]
    assert ["Dials", "13", "1", "12", "fewer"] in rows
    assert ["Time", "up", "27m", "3m", "24m", "less"] in rows
    assert ["Packets", "lost", "0", "0", "the", "same"] in rows
    assert ["clock", "12", "0", "24m", "0s", "24m", "0s", "0", "0"] in rows
    assert ["192.168.1.20", "1", "1", "3m", "3m", "3m", "3m", "0", "0"] in rows
    assert lines[-1] == f"{silent}: 12 dials fewer, 24m less"


def test_of_one_configuration_nothing_is_compared(silent: Path, capture: Path) -> None:
    lines = command("replay", capture, "-c", silent).output.splitlines()
    assert ["Dials", "1"] in [line.split() for line in lines]
    assert not [line for line in lines if "Difference" in line or "fewer" in line]


def test_the_same_twice_is_the_same(silent: Path, capture: Path) -> None:
    lines = command("replay", capture, "-c", silent, "--policy", silent).output.splitlines()
    assert lines[-1] == f"{silent}: as many dials, as long"


def test_the_provider_may_be_slow(silent: Path, capture: Path) -> None:
    (patient,) = told(capture, "-c", silent, "--dial-time", "59s")["outcomes"]
    assert (patient["rises"], patient["lost"]) == (1, 0)
    (too_slow,) = told(capture, "-c", silent, "--dial-time", "61s")["outcomes"]
    assert (too_slow["dials"], too_slow["rises"], too_slow["lost"]) == (1, 0, 1)


def test_a_capture_of_its_own_has_each_packet_once(silent: Path, tmp_path: Path) -> None:
    path = tmp_path / "own.pcapng"
    lan, net, line = "192.168.1.20:4000", "198.51.100.80:7000", "203.0.113.2:4000"

    def block(interface: int, at_s: float, packet: str, *, inbound: bool) -> bytes:
        at_ns = round((MONDAY + at_s) * 1e9)
        return packet_block(interface, at_ns, parse_packet(packet), inbound=inbound)

    path.write_bytes(
        preamble(["lan0", "wan0"], "test")
        + block(0, 0, f"udp {lan} -> {net}", inbound=True)
        + block(1, 0, f"udp {line} -> {net}", inbound=False)
        + block(1, 0.1, f"udp {net} -> {line}", inbound=True)
        + block(0, 0.1, f"udp {net} -> {lan}", inbound=False)
        + block(0, 100, f"udp {lan} -> {net}", inbound=True)
    )
    answer = told(path, "-c", silent)
    assert answer["packets"] == 3
    (outcome,) = answer["outcomes"]
    assert outcome["dials"] == 1
    assert outcome["up_s"] == pytest.approx(275, abs=0.01)  # answered: from 5 to 100 + 180


def test_links_that_are_not_dialled_for_traffic_are_left_out(tmp_path: Path, capture: Path) -> None:
    path = tmp_path / "both.toml"
    path.write_text(ALWAYS_ON + CONFIG[CONFIG.index("[[link]]") :].replace('"isp"', '"lte"'))
    (outcome,) = told(capture, "-c", path)["outcomes"]
    assert outcome["dials"] == 1


@pytest.mark.parametrize("option", ["-c", "--policy"])
def test_there_must_be_a_line_that_traffic_raises(
    silent: Path, tmp_path: Path, capture: Path, option: str
) -> None:
    path = tmp_path / "always.toml"
    path.write_text(ALWAYS_ON)
    arguments: list[str | Path] = (
        ["-c", path] if option == "-c" else ["-c", silent, "--policy", path]
    )
    done = command("replay", capture, *arguments)
    assert (done.exit_code, done.stderr) == (
        2,
        f"{path}: link: none is on-demand; a replay is about lines raised for traffic\n",
    )


def test_a_capture_without_a_host_of_the_lan_has_no_answer(silent: Path, tmp_path: Path) -> None:
    path = tmp_path / "other.pcap"
    wrpcap(str(path), [at(0, IP(src="10.0.0.1", dst="198.51.100.7") / UDP())])
    done = command("replay", path, "-c", silent)
    assert done.exit_code == 1
    assert "has no packet between a host in 192.168.1.0/24 and the Internet" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["/nonexistent"], 1, "cannot read /nonexistent: No such file or directory"),
        (["/dev/null"], 1, "cannot read /dev/null: "),
        (["x", "--dial-time", "soon"], 2, "'soon' is not a duration"),
        ([], 2, "Missing argument"),
    ],
)
def test_what_cannot_be_replayed(
    silent: Path, arguments: list[str], code: int, sentence: str
) -> None:
    done = command("replay", *arguments, "-c", silent)
    assert (done.exit_code, sentence in done.stderr) == (code, True), done.stderr
