from collections.abc import Callable
from pathlib import Path

import pytest

from router.config import DhcpSection, StaticLink, parse
from router.wire.address import parse_address

LAN = '[lan]\naddress = "192.168.1.1/24"\ndevice = "eth1"\ndns = true\n'
BARE = '[[link]]\nname = "isp"\nbackend = "static"\ndevice = "eth2"\naddress = "203.0.113.2/24"\n'
LINK = f'{BARE}dns = ["198.51.100.53"]\n'

Tell = Callable[[str], list[str]]


def dhcp(first: str, last: str, lease: str = "12h") -> str:
    return f'{LINK}[lan.dhcp]\nfrom = "{first}"\nto = "{last}"\nlease = "{lease}"\n'


def host(name: str, **keys: str) -> str:
    told = {"address": "192.168.1.10", "name": name} | keys
    return f"{LINK}[[host]]\n" + "".join(f'{key} = "{value}"\n' for key, value in told.items())


def servers(*addresses: str) -> str:
    return f"{BARE}dns = {list(addresses)}\n"


CASES = [
    (
        LAN.replace('device = "eth1"\n', "") + LINK.replace('device = "eth2"\n', ""),
        "lan.dns: needs lan.device, the card on which hosts ask",
    ),
    (LAN + BARE, "link[1].dns: is missing; lan.dns needs name servers to ask by this line"),
    (
        LAN.replace("true", "false") + dhcp("192.168.1.100", "192.168.1.199"),
        "lan.dhcp: needs lan.dns = true; one program serves both",
    ),
    *(
        (
            LAN + dhcp(first, last),
            f"lan.dhcp.{key}: {wrong} is not in the LAN's network 192.168.1.0/24",
        )
        for first, last, key, wrong in (
            ("192.168.0.100", "192.168.1.199", "from", "192.168.0.100"),
            ("192.168.0.255", "192.168.1.199", "from", "192.168.0.255"),
            ("192.168.1.100", "192.168.2.1", "to", "192.168.2.1"),
            ("192.168.8.100", "192.168.1.199", "from", "192.168.8.100"),
        )
    ),
    (
        LAN.replace("1.1/24", "1.9/24") + dhcp("192.168.1.0", "192.168.1.8"),
        "lan.dhcp.from: 192.168.1.0 is the number of 192.168.1.0/24; choose one for a host",
    ),
    (
        LAN + dhcp("192.168.1.100", "192.168.1.255"),
        "lan.dhcp.to: 192.168.1.255 is the broadcast address of 192.168.1.0/24;"
        " choose one for a host",
    ),
    (
        LAN + dhcp("192.168.1.199", "192.168.1.100"),
        "lan.dhcp.to: 192.168.1.100 is before 192.168.1.199, the first address",
    ),
    (
        LAN.replace("1.1/24", "1.150/24") + dhcp("192.168.1.100", "192.168.1.199"),
        "lan.dhcp: 192.168.1.100 to 192.168.1.199 contains 192.168.1.150, the router's own address",
    ),
    (
        LAN + dhcp("192.168.1.1", "192.168.1.199"),
        "lan.dhcp: 192.168.1.1 to 192.168.1.199 contains 192.168.1.1, the router's own address",
    ),
    (
        LAN + dhcp("192.168.1.100", "192.168.1.199", "90s"),
        "lan.dhcp.lease: is less than 2m; nothing shorter can be granted",
    ),
    *(
        (
            LAN + host(name),
            f"host[1].name: {name!r} cannot be asked for by DNS;"
            ' between dots stand letters, digits, "_" and "-", which is not at an end',
        )
        for name in ("a..b", "mail.", "mail-", "mail-.office")
    ),
    *(
        (
            LAN.replace("true", f'true\ndomain = "{domain}"') + LINK,
            f'lan.domain: {domain!r} is not a domain of letters, digits and "-", such as "lan"',
        )
        for domain in ("", ".", "lan.", "a b", "-lan", "x" * 64, "x.#")
    ),
    *(
        (
            LAN + servers("9.9.9.9", address),
            f"link[1].dns[2]: {address} is not an address beyond the line",
        )
        for address in ("192.168.1.7", "192.168.1.1", "127.0.0.1", "224.0.0.1", "240.0.0.1")
    ),
]


@pytest.mark.parametrize(("text", "problem"), CASES)
def test_what_does_not_fit(problems: Tell, text: str, problem: str) -> None:
    assert problems(text) == [problem]


def test_what_fits() -> None:
    text = (
        LAN.replace("true", 'true\ndomain = "office.example"')
        + dhcp("192.168.1.2", "192.168.1.254", "2m")
        + "[[host]]\n"
        + 'address = "192.168.1.100"\nname = "mail.in_side"\nmac = "02:00:00:00:00:10"\n'
    )
    config = parse(text.replace(LINK, servers("9.9.9.9", "149.112.112.112")), Path("router.toml"))
    assert (config.lan.dns, config.lan.domain) == (True, "office.example")
    assert isinstance(config.lan.dhcp, DhcpSection)
    assert (config.lan.dhcp.first, config.lan.dhcp.lease) == (parse_address("192.168.1.2"), 120.0)
    (link,) = config.links
    assert isinstance(link, StaticLink)
    assert link.dns == (parse_address("9.9.9.9"), parse_address("149.112.112.112"))


def test_a_name_that_cannot_be_asked_for_is_no_harm_where_nobody_asks() -> None:
    parse(LAN.replace("dns = true\n", "") + host("a..b"), Path("router.toml"))
    parse(LAN + host("a..b").replace('address = "192.168.1.10"', 'mac = "02:00:00:00:00:10"'),
          Path("router.toml"))  # fmt: skip
