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
        "nat.limits.fragment_bytes: '0KiB' is no memory at all; the least is \"1B\"",
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
        "router.spool: is not a known key; known here are state_dir, control, forward_rules",
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
        "[budget]\nwarn = 1",
        "budget: is not a known key; known here are router, lan, wan, link, host, nat",
    ),
    ("[natt]", 'natt: is not a known key; did you mean "nat"?'),
    ('["a b"]', "'a b': is not a known key; known here are router, lan, wan, link, host, nat"),
    (
        '[[host]]\nname = "a"',
        'host[1].address: is missing; set it, such as address = "192.168.1.10"',
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
        '[[host]]\naddress = "192.168.1.10"\nname = "a"\ndial = "never"',
        "host[1].dial: is not a known key; known here are address, name, external",
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


@pytest.mark.parametrize("backend", ["ppp", "pppd", "command", "modem"])
def test_backends_of_other_versions(problems: Tell, backend: str) -> None:
    link = f'[[link]]\nname = "isp"\nbackend = "{backend}"\nline = "/dev/ttyS1"\nmtu = 1\n'
    assert problems(LAN + link) == [
        f'link[1].backend: {backend!r} is not a backend of this version, which has "static"',
        "link[1].mtu: 1 is not a whole number from 68 to 65535",
    ]


def test_a_link_tells_what_it_lacks(problems: Tell) -> None:
    assert problems(LAN + '[[link]]\nmode = "on-demand"\n') == [
        'link[1].name: is missing; set it, such as name = "isp"',
        'link[1].backend: is missing; set it, such as backend = "static"',
        'link[1].address: is missing; set it, such as address = "203.0.113.2/24"',
        "link[1].mode: is not a known key;"
        " known here are name, backend, device, address, gateway, mtu",
    ]
