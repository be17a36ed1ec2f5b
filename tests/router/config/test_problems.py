from collections.abc import Callable

import pytest

LAN = '[lan]\naddress = "192.168.1.1/24"\n'
LINK = '[[link]]\nname = "isp"\nbackend = "static"\naddress = "203.0.113.2/24"\n'

Tell = Callable[[str], list[str]]

# What does not fit the schema: (text after a sound LAN and link, problem)

SHAPES = [
    (
        '[nat.timeouts]\nudp = "90 parsecs"',
        'nat.timeouts.udp: \'90 parsecs\' is not a duration such as "90s", "5m" or "2h4m"',
    ),
    (
        "[nat.timeouts]\nudp = 90",
        "nat.timeouts.udp: 90 is not text in quotes;"
        ' allowed is a duration such as "90s", "5m" or "2h4m"',
    ),
    ('[nat.timeouts]\nudp = "0s"', "nat.timeouts.udp: '0s' is no time at all; the least is \"1s\""),
    ('[nat.timeouts]\nupd = "5m"', 'nat.timeouts.upd: is not a known key; did you mean "udp"?'),
    (
        "[nat.timeouts]\ngre = 5",
        "nat.timeouts.gre: is not a known key; known here are udp, tcp_established,"
        " tcp_transitory, icmp, other, unsolicited_syn, fragment, port_quarantine",
    ),
    ("[nat]\ntimeouts = 5", "nat.timeouts: is not a table of keys"),
    (
        "[nat.limits]\nsessions = 0",
        "nat.limits.sessions: 0 is not a whole number at least 1",
    ),
    (
        "[nat.limits]\nsessions = true",
        "nat.limits.sessions: true is not a whole number at least 1",
    ),
    (
        "[nat.limits]\nsessions = 1.5",
        "nat.limits.sessions: 1.5 is not a whole number at least 1",
    ),
    (
        '[nat.limits]\nfragment_bytes = "1MB"',
        'nat.limits.fragment_bytes: \'1MB\' is not a size such as "1500B", "64KiB" or "1MiB"',
    ),
    (
        '[nat.limits]\nfragment_bytes = "0KiB"',
        "nat.limits.fragment_bytes: '0KiB' is nothing at all; the least is \"1B\"",
    ),
    (
        '[nat]\nmapping = "symmetric"',
        "nat.mapping: 'symmetric' is not allowed here; it is \"endpoint-independent\" or"
        ' "address-dependent" or "address-and-port-dependent"',
    ),
    (
        '[nat]\nunsolicited_syn = "reset"',
        'nat.unsolicited_syn: \'reset\' is not allowed here; it is "silent" or "unreachable"',
    ),
    ("[nat]\nhairpinning = 1", "nat.hairpinning: 1 is not true or false"),
    ('[nat]\nport_parity = "yes"', "nat.port_parity: 'yes' is not true or false"),
    *(
        (
            f'[nat]\ndynamic_ports = "{ports}"',
            f"nat.dynamic_ports: {ports!r} is not a range of ports within"
            ' "1024-65535" (RFC 4787 REQ-3a)',
        )
        for ports in ("1023-65535", "1024-65536", "3000-2000", "2000", "", "high")
    ),
    *(
        (
            f"[nat]\naddress = {value}",
            f'nat.address: {shown} is not "masquerade", "routed" or a list of external'
            ' networks such as ["198.51.100.8/29"]',
        )
        for value, shown in (('"nat"', "'nat'"), ("false", "false"), ("[]", "[]"))
    ),
    (
        '[nat]\naddress = ["198.51.100.9/29"]',
        "nat.address: '198.51.100.9/29' has host bits set; the network is 198.51.100.8/29",
    ),
    ("[nat]\naddress = [5]", 'nat.address: 5 is not a network such as "198.51.100.8/29"'),
    (
        '[nat]\naddress = ["10.0.0.0/8"]',
        "nat.address: '10.0.0.0/8' is too wide; a block is a /16 or smaller",
    ),
    ('[router]\ncontrol = ""', "router.control: '' is not the path of a file"),
    ('[router]\nstate_dir = "a\\u0000b"', "router.state_dir: 'a\\x00b' is not the path of a file"),
    (
        "[router]\nforward_rules = 5",
        "router.forward_rules: 5 is not text in quotes; allowed is the path of a file",
    ),
    (
        '[router]\nspool = "x"',
        "router.spool: is not a known key; known here are state_dir, control, control_tcp,"
        " token_file, forward_rules, timezone",
    ),
    *(
        (
            f'[wan]\ntun = "{name}"',
            f"wan.tun: {name!r} is not a device name: 1 to 15 letters, digits and signs"
            ' but "/", ":", "%"',
        )
        for name in ("", "sixteen-letters-", "wan 0", "wan/0", "wan:0", "wan%d", "..", "wän0")
    ),
    (
        '[wan]\nnetns = "../street"',
        "wan.netns: '../street' is not a namespace: \"\" or a name of letters, digits,"
        ' ".", "_" and "-"',
    ),
    ("wan = 5", "wan: is not a table of keys"),
    (
        "[ledger]\ndays = 1",
        "ledger: is not a known key; known here are router, lan, wan, link, host, policy, budget,"
        " breaker, schedule, nat",
    ),
    ("[natt]", 'natt: is not a known key; did you mean "nat"?'),
    (
        '["a b"]',
        "'a b': is not a known key; known here are router, lan, wan, link, host, policy, budget,"
        " breaker, schedule, nat",
    ),
    (
        '[[host]]\naddress = "192.168.1.10"',
        'host[1].name: is missing; set it, such as name = "mail"',
    ),
    (
        '[[host]]\naddress = "192.168.1.10"\nname = "a b"',
        'host[1].name: \'a b\' is not a name of letters, digits, ".", "_" and "-"',
    ),
    (
        '[[host]]\naddress = "192.168.1.10"\nname = "a"\n[[host]]\naddress = "x"\nname = "b"',
        "host[2].address: 'x' is not an IPv4 address such as 192.168.1.1",
    ),
    (
        '[[host]]\naddress = "192.168.1.10"\nname = "a"\nowner = "b"',
        "host[1].owner: is not a known key; known here are address, mac, name, external, dial,"
        " schedule",
    ),
    *(
        (
            f'[router]\ncontrol_tcp = "{text}"',
            f'router.control_tcp: {text!r} is not an address and port such as "192.168.1.1:4190"',
        )
        for text in ("4190", ":4190", "192.168.1.1", "192.168.1.1:", "10.0.0.1:0", "10.0.0.1:65536")
    ),
    (
        '[router]\ncontrol_tcp = "mail:4190"',
        "router.control_tcp: 'mail' is not an IPv4 address such as 192.168.1.1",
    ),
    (
        '[router]\ntimezone = "Mars/Base"',
        "router.timezone: 'Mars/Base' is not a time zone this machine knows,"
        ' such as "Europe/Berlin"',
    ),
    ("host = 5", "host: is not a list"),
    ("host = [5]", "host[1]: is not a table of keys"),
]


@pytest.mark.parametrize(("text", "problem"), SHAPES)
def test_what_does_not_fit_the_schema(problems: Tell, text: str, problem: str) -> None:
    head, tail = (text + "\n", "") if text.startswith(("host", "wan")) else ("", text)
    assert problems(head + LAN + LINK + tail) == [problem]


LAN_SHAPES = [
    ("", 'lan.address: is missing; set it, such as address = "192.168.1.1/24"'),
    *(
        (
            f'address = "{text}"',
            f"lan.address: {text!r} has no prefix length from 1 to 32, such as /24",
        )
        for text in ("192.168.1.1", "192.168.1.1/", "192.168.1.1/0", "192.168.1.1/33", "10.0.0.1/x")
    ),
    (
        'address = "192.168.1/24"',
        "lan.address: '192.168.1' is not an IPv4 address such as 192.168.1.1",
    ),
    (
        f"{LAN[6:]}mtu = 67",
        "lan.mtu: 67 is not a whole number from 68 to 65535",
    ),
    (
        f"{LAN[6:]}mtu = 65536",
        "lan.mtu: 65536 is not a whole number from 68 to 65535",
    ),
    (f'{LAN[6:]}routes = "192.168.7.0/24"', "lan.routes: is not a list"),
    (
        f'{LAN[6:]}routes = ["192.168.8.0/24", "192.168.7.0/24 by 192.168.1.254"]',
        "lan.routes[2]: '192.168.7.0/24 by 192.168.1.254' is not a route such as"
        ' "192.168.7.0/24 via 192.168.1.254", or "192.168.8.0/24" on the LAN itself',
    ),
    (
        f'{LAN[6:]}routes = ["192.168.7.1/24 via 192.168.1.254"]',
        "lan.routes[1]: '192.168.7.1/24' has host bits set; the network is 192.168.7.0/24",
    ),
]


@pytest.mark.parametrize(("text", "problem"), LAN_SHAPES)
def test_what_does_not_fit_the_lan(problems: Tell, text: str, problem: str) -> None:
    assert problems(f"[lan]\n{text}\n{LINK}") == [problem]
