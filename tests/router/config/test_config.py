import json
from collections.abc import Callable
from datetime import UTC
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.config import Config, StaticLink, load, parse
from router.config.demand import shipped_rules
from router.devices import Filter, KernelHops
from router.errors import ConfigError, DeviceError
from router.forwarder import ForwarderConfig
from router.link.types import (
    Allowance,
    BudgetConfig,
    HoldLimits,
    HostRight,
    LinkConfig,
    Mode,
    Right,
)
from router.nat.types import (
    DefaultHost,
    FilteringBehavior,
    ForwardRule,
    Limits,
    MappingBehavior,
    Masquerade,
    NatConfig,
    OneToOne,
    Routed,
    Timeouts,
    UnsolicitedSyn,
)
from router.routing import LanRoute, RoutingConfig
from router.wire.address import Endpoint, Network, parse_address

LAN = '[lan]\naddress = "192.168.1.1/24"\n'
LINK = '[[link]]\nname = "isp"\nbackend = "static"\naddress = "203.0.113.2/24"\n'
LAN_NETWORK = Network.parse("192.168.1.0/24")
LINE_NETWORK = Network.parse("203.0.113.0/24")
PATH = Path("etc/router.toml")

Tell = Callable[[str], list[str]]


def parse_text(text: str) -> Config:
    return parse(text, PATH)


def test_the_least_a_file_can_say() -> None:
    config = parse_text(LAN + LINK)
    assert config.nat == NatConfig()
    assert config.forwarder_config() == ForwarderConfig(
        RoutingConfig(parse_address("192.168.1.1"), LAN_NETWORK, line_network=LINE_NETWORK),
        config.links_config(),
    )
    assert config.load_forwards() == ()
    assert config.warnings == ()


def test_everything_a_file_can_say() -> None:
    config = parse_text(
        """
        [router]
        state_dir = "state"
        control = "/run/x.sock"
        control_tcp = "192.168.1.1:4190"
        token_file = "control.token"
        forward_rules = "rules/forward.rules"
        timezone = "Europe/Berlin"
        [lan]
        address = "192.168.1.1/24"
        device = "eth1"
        netns = "house"
        tun = "lan7"
        mtu = 1492
        routes = ["192.168.7.0/24 via 192.168.1.254", "192.168.8.0/24"]
        [wan]
        netns = "street"
        tun = "wan7"
        [[link]]
        name = "isp"
        backend = "static"
        device = "eth2"
        address = "203.0.113.2/24"
        gateway = "203.0.113.1"
        mtu = 1400
        [[host]]
        address = "192.168.1.10"
        name = "mail"
        external = "198.51.100.9"
        [[host]]
        address = "192.168.7.10"
        name = "far.away"
        [nat]
        mapping = "address-dependent"
        filtering = "address-and-port-dependent"
        address = ["198.51.100.8/29", "198.51.100.99"]
        port_preservation = false
        port_parity = false
        dynamic_ports = "2000-3000"
        hairpinning = false
        inbound_refresh = true
        unsolicited_syn = "unreachable"
        answer_ping = false
        [nat.timeouts]
        udp = "10m"
        tcp_established = "3h"
        tcp_transitory = "5m"
        icmp = "61s"
        other = "1s"
        unsolicited_syn = "7s"
        fragment = "15s"
        port_quarantine = "0s"
        [nat.limits]
        sessions = 1
        sessions_per_host = 2
        inbound_sessions = 7
        inbound_sessions_per_host = 8
        unsolicited_syns = 3
        fragmented_datagrams = 4
        fragment_bytes = "5KiB"
        icmp_errors_per_second = 6
        """
    )
    base = PATH.parent
    assert config.path == PATH
    assert config.router.state_dir == base / "state"
    assert config.router.control == Path("/run/x.sock")
    assert config.router.control_tcp == Endpoint(parse_address("192.168.1.1"), 4190)
    assert config.router.token_file == base / "control.token"
    assert str(config.zone) == "Europe/Berlin"
    assert config.router.forward_rules == base / "rules/forward.rules"
    assert (config.lan.device, config.lan.netns, config.lan.tun) == ("eth1", "house", "lan7")
    assert str(config.lan.address) == "192.168.1.1/24"
    assert (config.wan.netns, config.wan.tun) == ("street", "wan7")
    (link,) = config.links
    assert isinstance(link, StaticLink)
    assert (link.name, link.backend, link.device, link.mtu) == ("isp", "static", "eth2", 1400)
    assert str(link.address) == "203.0.113.2/24"
    assert link.gateway == parse_address("203.0.113.1")
    assert [host.name for host in config.hosts] == ["mail", "far.away"]
    gateway = parse_address("192.168.1.254")
    routes = (
        LanRoute(Network.parse("192.168.7.0/24"), gateway),
        LanRoute(Network.parse("192.168.8.0/24")),
    )
    assert config.forwarder_config() == ForwarderConfig(
        routing=RoutingConfig(parse_address("192.168.1.1"), LAN_NETWORK, routes, LINE_NETWORK),
        links=config.links_config(),
        nat=NatConfig(
            mapping=MappingBehavior.ADDRESS_DEPENDENT,
            filtering=FilteringBehavior.ADDRESS_AND_PORT_DEPENDENT,
            address=OneToOne(
                (Network.parse("198.51.100.8/29"), Network.parse("198.51.100.99")),
                ((parse_address("192.168.1.10"), parse_address("198.51.100.9")),),
            ),
            port_preservation=False,
            port_parity=False,
            dynamic_ports=(2000, 3000),
            hairpinning=False,
            inbound_refresh=True,
            unsolicited_syn=UnsolicitedSyn.UNREACHABLE,
            timeouts=Timeouts(600, 10800, 300, 61, 1, 7, 15, 0),
            limits=Limits(1, 2, 7, 8, 3, 4, 5120, 6),
        ),
        lan_mtu=1492,
        hops=KernelHops(1, 1),
        answer_wan_ping=False,
    )


@pytest.mark.parametrize(
    ("lan", "link", "hops"),
    [
        ("", "", KernelHops(0, 0)),
        ('device = "eth1"\n', "", KernelHops(1, 0)),
        ("", 'device = "eth2"\n', KernelHops(0, 1)),
    ],
)
def test_behind_each_card_the_kernel_takes_a_hop(lan: str, link: str, hops: KernelHops) -> None:
    config = parse_text(LAN + lan + LINK + link)
    assert config.forwarder_config().hops == hops


def test_the_network_of_a_line_is_known_before_only_where_it_is_the_only_one() -> None:
    dialled = '[[link]]\nname = "lte"\nbackend = "command"\nup = "up"\ndown = "down"\n'
    for links, network in ((LINK, LINE_NETWORK), (LINK + dialled, None), (dialled, None)):
        assert parse_text(LAN + links).forwarder_config().routing.line_network == network


def test_without_a_zone_it_is_the_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.config.config.machine_zone", lambda: UTC)
    assert parse_text(LAN + LINK).zone is UTC


def test_a_machine_that_cannot_run_filters_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def compile_none(_: str) -> Filter:
        raise ValueError("needs libpcap")

    config = parse_text(LAN + LINK)
    monkeypatch.setattr("router.config.demand.compile_filter", compile_none)
    shipped_rules.cache_clear()
    with pytest.raises(DeviceError, match=r"^the shipped policy rules: needs libpcap$"):
        config.forwarder_config()


DESIGN = """
[router]
state_dir     = "/var/lib/postroad"
control       = "/run/postroad/control.sock"
control_tcp   = "192.168.1.1:4190"
token_file    = "control.token"
forward_rules = "forward.rules"
[lan]
address = "192.168.1.1/24"
device  = "eth1"
netns   = ""
tun     = "lan0"
routes  = ["192.168.7.0/24 via 192.168.1.254"]
[wan]
netns = "postroad-wan"
tun   = "wan0"
[[link]]
name    = "isp"
backend = "command"
up      = "./isp-up"
down    = "./isp-down"
mode    = "on-demand"
idle_timeout = "3m"
dial_timeout = "60s"
[link.redial]
first = "30s"
factor = 2
max = "10m"
[link.hold]
packets = 256
bytes = "256KiB"
age = "60s"
[nat]
mapping   = "endpoint-independent"
filtering = "address-dependent"
address   = "masquerade"
[nat.timeouts]
udp = "5m"
tcp_established = "2h4m"
tcp_transitory = "4m"
icmp = "60s"
[[host]]
address = "192.168.1.10"
name = "mail"
dial = "may-dial"
[[policy]]
match  = "udp port 123"
action = "ignore"
hold   = "30s"
[budget]
per_day = { minutes = 120, dials = 40, bytes = "200MiB" }
warn = 0.8
[[schedule]]
days = "mon-fri"
from = "08:00"
to = "18:00"
link = "on-demand"
"""


def test_the_sample_of_the_design() -> None:
    config = parse_text(DESIGN)
    assert [each.split(": ")[1] for each in config.warnings] == ["policy[1].hold"]
    told = config.links_config()
    assert told.links == (LinkConfig("isp"),)
    assert told.hold == HoldLimits()
    assert told.budget == BudgetConfig(per_day=Allowance(120, 40, 200 << 20))
    assert told.demand.hosts == (
        HostRight(Right.MAY_DIAL, address=parse_address("192.168.1.10"), name="mail"),
    )
    assert str(told.demand.rules[0]) == "ignore udp port 123"
    (entry,) = told.schedule
    assert entry.mode is Mode.ON_DEMAND


@pytest.mark.parametrize(("text", "mode"), [("masquerade", Masquerade()), ("routed", Routed())])
def test_address_modes(text: str, mode: Masquerade | Routed) -> None:
    assert parse_text(f'{LAN}{LINK}[nat]\naddress = "{text}"').nat.address == mode


def test_a_gateway_beyond_a_lone_address() -> None:
    link = '[[link]]\nname = "isp"\nbackend = "static"\naddress = "203.0.113.2/32"\n'
    config = parse_text(f'{LAN}{link}device = "eth2"\ngateway = "198.51.100.1"\n')
    (line,) = config.links
    assert isinstance(line, StaticLink)
    assert line.gateway == parse_address("198.51.100.1")


def test_short_timers_are_warnings() -> None:
    config = parse_text(
        LAN + LINK + '[nat.timeouts]\nudp = "119s"\ntcp_established = "2h"\n'
        'tcp_transitory = "1s"\nicmp = "59s"\nunsolicited_syn = "0s"\n'
    )
    assert config.nat.timeouts.udp == 119
    assert config.warnings == (
        "etc/router.toml: nat.timeouts.udp: 1m59s is less than the 2m of RFC 4787 REQ-5",
        "etc/router.toml: nat.timeouts.tcp_established: 2h is less than the 2h4m of RFC 5382 REQ-5",
        "etc/router.toml: nat.timeouts.tcp_transitory: 1s is less than the 4m of RFC 5382 REQ-5",
        "etc/router.toml: nat.timeouts.icmp: 59s is less than the 1m of RFC 5508 REQ-2",
        "etc/router.toml: nat.timeouts.unsolicited_syn: 0s is less than the 6s of RFC 5382 REQ-4",
    )


def test_timers_at_their_floors_are_no_warnings() -> None:
    config = parse_text(
        LAN + LINK + '[nat.timeouts]\nudp = "2m"\ntcp_established = "2h4m"\n'
        'tcp_transitory = "4m"\nicmp = "60s"\nunsolicited_syn = "6s"\n'
    )
    assert config.warnings == ()


# Rule files


def with_rules(folder: Path, rules: str) -> Config:
    (folder / "forward.rules").write_text(rules)
    text = f'[router]\nforward_rules = "forward.rules"\n{LAN}{LINK}'
    return parse(text, folder / "router.toml")


def test_rules_carry_the_name_of_their_file(tmp_path: Path) -> None:
    config = with_rules(tmp_path, "tcp 25 -> 192.168.1.10\ndefault -> 192.168.1.11\n")
    name = tmp_path / "forward.rules"
    mail, other = parse_address("192.168.1.10"), parse_address("192.168.1.11")
    assert config.load_forwards() == (
        ForwardRule(6, 25, 25, mail, 25, (), f"{name}:1"),
        DefaultHost(other, (), f"{name}:2"),
    )


@pytest.mark.parametrize("address", ["10.0.0.1", "192.168.1.1", "192.168.1.255", "192.168.1.0"])
def test_rules_lead_to_hosts_of_the_lan(address: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_text(LAN + LINK).parse_forwards(f"# one\ntcp 25 -> {address}\n", "f.rules")
    assert caught.value.problems == (
        f"f.rules:2: {address} is not the address of a LAN host, in 192.168.1.0/24",
    )


def test_rules_lead_to_hosts_behind_other_routers() -> None:
    text = f'{LAN}routes = ["192.168.7.0/24 via 192.168.1.254"]\n{LINK}'
    (rule,) = parse_text(text).parse_forwards("tcp 25 -> 192.168.7.9", "f.rules")
    assert rule.internal_address == parse_address("192.168.7.9")


def test_a_missing_rule_file(tmp_path: Path) -> None:
    config = with_rules(tmp_path, "")
    (tmp_path / "forward.rules").unlink()
    with pytest.raises(ConfigError) as caught:
        config.load_forwards()
    assert caught.value.problems == (
        f"{tmp_path}/forward.rules: cannot be read: No such file or directory",
    )


@pytest.mark.parametrize(
    ("lan", "problem", "target"),
    [
        (LAN + "mtu = 1\n", "lan.mtu: 1 is not a whole number from 68 to 65535", ""),
        (
            LAN + "[nat]\nhairpinning = 1\n",
            "nat.hairpinning: 1 is not true or false",
            "f.rules:2: 10.0.0.1 is not the address of a LAN host, in 192.168.1.0/24",
        ),
    ],
)
def test_an_unsound_file_tells_of_its_rules_too(
    tmp_path: Path, lan: str, problem: str, target: str
) -> None:
    path = tmp_path / "router.toml"
    path.write_text(f'[router]\nforward_rules = "f.rules"\n{LINK}{lan}')
    (tmp_path / "f.rules").write_text("tcp 26 -> 192.168.1.10\ntcp 25 -> 10.0.0.1\n")
    with pytest.raises(ConfigError) as caught:
        load(path)
    expected = [f"{path}: {problem}", f"{tmp_path}/{target}" if target else ""]
    assert list(caught.value.problems) == list(filter(None, expected))


def test_an_unsound_file_without_rules_tells_of_itself(tmp_path: Path) -> None:
    path = tmp_path / "router.toml"
    path.write_text(LAN)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert len(caught.value.problems) == 1


# What cannot be read as TOML


def test_a_file_is_loaded_with_its_rules_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "router.toml"
    path.write_text(f'[router]\nforward_rules = "x"\n{LAN}{LINK}')
    assert load(path).router.forward_rules == tmp_path / "x"


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "gone.toml")
    assert caught.value.problems == (
        f"{tmp_path}/gone.toml: cannot be read: No such file or directory",
    )


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load(tmp_path)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "router.toml"
    path.write_bytes(b"[lan]\n# \xff\n")
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert caught.value.problems == (f"{path}:2: is not UTF-8 text",)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[lan]\naddress 1\n", "2: is not TOML: Expected '=' after a key in a key/value pair"),
        ("[lan]\n[lan]\n", "2: is not TOML: Cannot declare ('lan',) twice"),
        ("a = 1\nb = [", "2: is not TOML: Invalid value (at end of document)"),
        ("a = " + "[" * 5000, "is not a configuration: brackets nested too deeply"),
    ],
)
def test_toml_errors_name_the_line(problems: Tell, text: str, problem: str) -> None:
    assert problems(text) == [problem]


def test_a_number_too_long_to_be_one(problems: Tell) -> None:
    assert problems("a = " + "1" * 5000) == ["is not a configuration: a number is too long"]


def test_a_socket_path_the_kernel_would_cut(problems: Tell) -> None:
    path = "/" + "x" * 107
    assert problems(f'[router]\ncontrol = "{path}"\n{LAN}{LINK}') == [
        f"router.control: '{path}' has 108 bytes; the path of a socket has at most 107"
    ]
    assert parse_text(f'[router]\ncontrol = "{path[:-1]}"\n{LAN}{LINK}')


# Whatever the input

KEYS = """
router lan wan link host nat policy budget breaker schedule address name backend timeouts udp match
per_day mac redial up from
"""
TEXTS = """
192.168.1.1/24 static command 1.2.3.4 5m routed a 8:00 mon-fri
"""
keys = st.sampled_from(KEYS.split())
texts = st.sampled_from(TEXTS.split()) | st.text()
leaves = st.booleans() | st.integers() | texts
trees = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys | texts, inner, max_size=3),
    max_leaves=8,
)


def as_toml(value: object) -> str:
    if isinstance(value, dict):
        pairs = (f"{as_toml(key)} = {as_toml(each)}" for key, each in value.items())
        return f"{{ {', '.join(pairs)} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(as_toml, value))}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def told(text: str) -> list[str]:
    try:
        parse_text(text)
    except ConfigError as error:
        return list(error.problems)
    return []


@given(st.text() | st.text("[]{}=.,\"'\n#lanwk0 "))
def test_any_text_is_a_configuration_or_a_config_error(text: str) -> None:
    assert all(problem.startswith("etc/router.toml:") for problem in told(text))


@given(st.dictionaries(keys, trees, max_size=3))
def test_any_tables_are_a_configuration_or_a_config_error(tables: dict[str, object]) -> None:
    text = "".join(f"{key} = {as_toml(value)}\n" for key, value in tables.items())
    problems = told(text)
    assert all(problem.startswith("etc/router.toml: ") for problem in problems)
    assert not any("is not TOML" in problem for problem in problems)
