import json
from pathlib import Path

from tests.router.cli.conftest import RULES, command

WITH_CARDS = """
[lan]
address = "192.168.1.1/24"
device = "eth1"
routes = ["10.0.0.0/8 via 192.168.1.9"]
[[link]]
name = "isp"
backend = "static"
address = "203.0.113.2/24"
device = "eth2"
gateway = "203.0.113.1"
[nat]
address = ["198.51.100.8/29"]
[nat.timeouts]
udp = "10s"
"""


def test_a_sound_configuration_is_told_in_words(config_path: Path) -> None:
    done = command("check", "-c", config_path)
    assert done.exit_code == 0
    lines = [line.rstrip() for line in done.output.splitlines()]
    assert lines[0] == f"{config_path} is sound"
    assert "lan        192.168.1.1/24 on the TUN lan0, MTU 1500" in lines
    link = "links      isp: 203.0.113.2/24 on the TUN wan0 in namespace postroad-wan"
    assert f"{link}, no gateway, MTU 1500" in lines
    assert f"control    on {config_path.parent}/control.sock" in lines
    assert "hosts      mail is 192.168.1.10 and may dial" in lines
    assert "policy     1. ignore tcp[tcpflags] & tcp-rst != 0   (default)" in lines
    assert "           otherwise accept" in lines
    for name in ("hold", "budget", "breaker", "schedule"):
        assert f"{name:<10} none" in lines
    assert "warnings   none" in lines
    for rule in RULES.splitlines():
        assert any(rule in line for line in lines)


def test_cards_routes_and_warnings_are_told(config_path: Path) -> None:
    config_path.write_text(WITH_CARDS)
    meaning = json.loads(command("check", "-c", config_path, "--json").stdout)
    assert meaning["lan"] == [
        "192.168.1.1/24 on eth1, its packets led into lan0, MTU 1500",
        "10.0.0.0/8 via 192.168.1.9",
        "no name server for its hosts",
    ]
    assert meaning["links"] == [
        "isp: 203.0.113.2/24 on eth2, its packets led into wan0 in namespace postroad-wan,"
        " gateway 203.0.113.1, MTU 1500",
        "isp: always up, not metered",
    ]
    assert meaning["nat"].startswith("a public address per host from 198.51.100.8/29;")
    assert "UDP 10s" in meaning["timeouts"]
    (warning,) = meaning["warnings"]
    assert "nat.timeouts.udp" in warning


def test_the_control_api_on_the_lan_is_told(config_path: Path) -> None:
    text = config_path.read_text()
    listens = 'control_tcp = "192.168.1.1:4190"\ntoken_file = "control.token"\n'
    config_path.write_text(text.replace("[lan]", f"{listens}[lan]"))
    meaning = json.loads(command("check", "-c", config_path, "--json").stdout)
    assert meaning["control"] == [
        f"on {config_path.parent}/control.sock",
        f"on 192.168.1.1:4190, for those who have the token in {config_path.parent}/control.token",
    ]


def test_every_problem_of_the_rules_is_told(config_path: Path) -> None:
    rules = config_path.parent / "forward.rules"
    rules.write_text("tcp 25\ntcp x -> 192.168.1.10\n")
    done = command("check", "-c", config_path)
    assert (done.exit_code, done.stdout) == (2, "")
    assert [line.split(": ")[0] for line in done.stderr.splitlines()] == [
        f"{rules}:1",
        f"{rules}:2",
    ]


NAMES = """
[lan]
address = "192.168.1.1/24"
device = "eth1"
dns = true
domain = "office"
[[link]]
name = "isp"
backend = "ppp"
line = "/dev/ttyS99"
"""
DHCP = '[lan.dhcp]\nfrom = "192.168.1.100"\nto = "192.168.1.199"\nlease = "2h"\n'


def test_names_on_the_lan_are_told(config_path: Path) -> None:
    config_path.write_text(NAMES)
    told = json.loads(command("check", "-c", config_path, "--json").stdout)["lan"]
    assert told[1:] == [
        "name server for its hosts, which are in the domain office",
        "no addresses by DHCP",
    ]
    config_path.write_text(NAMES + DHCP)
    told = json.loads(command("check", "-c", config_path, "--json").stdout)["lan"]
    assert told[2:] == ["addresses by DHCP from 192.168.1.100 to 192.168.1.199, each for 2h"]


def test_a_port_that_is_not_there_is_a_warning(config_path: Path) -> None:
    config_path.write_text(NAMES)
    done = command("check", "-c", config_path, "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["warnings"] == [
        f"{config_path}: link[1].line: there is no /dev/ttyS99 now"
    ]
