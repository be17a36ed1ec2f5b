from collections.abc import Callable
from pathlib import Path

import pytest

from router.config import parse

LAN = '[lan]\naddress = "192.168.1.1/24"\n'
LINK = '[[link]]\nname = "isp"\nbackend = "static"\naddress = "203.0.113.2/24"\n'
HOST = '[[host]]\naddress = "192.168.1.10"\nname = "mail"\n'
BLOCKS = '[nat]\naddress = ["198.51.100.8/29"]\n'

Tell = Callable[[str], list[str]]


def lan(address: str, **keys: str) -> str:
    return section("[lan]", address=address, **keys)


def link(address: str, **keys: str) -> str:
    return section('[[link]]\nname = "isp"\nbackend = "static"', address=address, **keys)


def host(address: str, name: str, **keys: str) -> str:
    return section("[[host]]", address=address, name=name, **keys)


def router(control_tcp: str) -> str:
    return f'[router]\ncontrol_tcp = "{control_tcp}"\ntoken_file = "control.token"\n'


def section(head: str, **keys: str) -> str:
    return "\n".join([head, *(f'{key} = "{value}"' for key, value in keys.items()), ""])


def test_an_empty_file(problems: Tell) -> None:
    assert problems("") == [
        'lan: is missing; the file needs [lan] with address = "192.168.1.1/24" or the like',
        "link: is missing; the file needs a [[link]] for each line",
    ]


def test_sound_sections_are_judged_beside_unsound_ones(problems: Tell) -> None:
    text = (
        '[lan]\naddress = "192.168.1.255/24"\n[nat]\nmapping = 5\n'
        '[[host]]\naddress = "10.9.9.9"\nname = "lost"\nexternal = "198.51.100.9"\n'
    )
    assert problems(text) == [
        'nat.mapping: 5 is not text in quotes; allowed is "endpoint-independent" or'
        ' "address-dependent" or "address-and-port-dependent"',
        "link: is missing; the file needs a [[link]] for each line",
        "lan.address: 192.168.1.255/24 is the broadcast address of 192.168.1.0/24;"
        " choose one of its other addresses",
        "host[1].address: 10.9.9.9 is not the address of a LAN host, in 192.168.1.0/24",
    ]


CASES = [
    # names of devices and namespaces
    (
        lan("192.168.1.1/24", device="lan0") + LINK,
        "lan.device: lan0 is already the name of lan.tun; the TUN needs its own",
    ),
    (
        LAN + link("203.0.113.2/24", device="wan0"),
        "link[1].device: wan0 is already the name of wan.tun; the TUN needs its own",
    ),
    (
        lan("192.168.1.1/24", device="eth1") + link("203.0.113.2/24", device="eth1"),
        "link[1].device: eth1 is already lan.device; the sides need a card each",
    ),
    (
        lan("192.168.1.1/24", netns="both", tun="tun0")
        + section("[wan]", netns="both", tun="tun0")
        + LINK,
        "wan.tun: tun0 is already lan.tun in the same namespace; choose another name",
    ),
    (
        LAN + section("[wan]", netns="") + link("203.0.113.2/24", device="eth2"),
        "wan.netns: is that of the LAN; with a device on either side"
        " the line needs a namespace of its own",
    ),
    (
        lan("192.168.1.1/24", device="eth1") + section("[wan]", netns="") + LINK,
        "wan.netns: is that of the LAN; with a device on either side"
        " the line needs a namespace of its own",
    ),
    # the control API on the LAN
    (
        section("[router]", control_tcp="192.168.1.1:4190") + LAN + LINK,
        "router.control_tcp: needs a token_file; who has the token in it is let in",
    ),
    (
        router("203.0.113.2:4190") + LAN + LINK,
        "router.control_tcp: 203.0.113.2 is not the router's LAN address, 192.168.1.1",
    ),
    # hosts
    (
        LAN + LINK + host("10.0.0.1", "far"),
        "host[1].address: 10.0.0.1 is not the address of a LAN host, in 192.168.1.0/24",
    ),
    (
        LAN + LINK + host("192.168.1.1", "router"),
        "host[1].address: 192.168.1.1 is not the address of a LAN host, in 192.168.1.0/24",
    ),
    (
        LAN + LINK + HOST + host("192.168.1.10", "other"),
        "host[2].address: 192.168.1.10 is already the address of host[1]; each host has its own",
    ),
    (
        LAN + LINK + HOST + host("192.168.1.11", "web") + host("192.168.1.12", "mail"),
        "host[3].name: mail is already the name of host[1]; each host has its own",
    ),
    (
        LAN + LINK + section("[[host]]", name="mail"),
        "host[1]: needs an address or a mac to be known by",
    ),
    (
        LAN
        + LINK
        + HOST
        + section("[[host]]", name="one", mac="52:54:00:12:34:56")
        + section("[[host]]", name="two", mac="52:54:00:12:34:57")
        + host("192.168.1.11", "three", mac="52:54:00:12:34:56"),
        "host[4].mac: 52:54:00:12:34:56 is already the mac of host[2]; each host has its own",
    ),
    (
        LAN
        + LINK
        + BLOCKS
        + section("[[host]]", name="mail", mac="52:54:00:12:34:56", external="198.51.100.9"),
        "host[1].external: needs the host's address, which is translated to it",
    ),
    (
        LAN + LINK + host("192.168.1.10", "mail", external="198.51.100.9"),
        'host[1].external: needs one-to-one addresses, such as nat.address = ["198.51.100.8/29"]',
    ),
    (
        LAN + LINK + BLOCKS + host("192.168.1.10", "mail", external="198.51.100.16"),
        "host[1].external: 198.51.100.16 is not in nat.address, 198.51.100.8/29",
    ),
    (
        LAN
        + LINK
        + BLOCKS
        + host("192.168.1.10", "mail", external="198.51.100.9")
        + host("192.168.1.11", "web", external="198.51.100.9"),
        "host[2].external: 198.51.100.9 is already the external of host[1]; each host has its own",
    ),
]


@pytest.mark.parametrize(("text", "problem"), CASES)
def test_what_does_not_fit_together(problems: Tell, text: str, problem: str) -> None:
    assert problems(text) == [problem]


SOUND = [
    lan("192.168.1.1/24", netns="both") + section("[wan]", netns="both") + LINK,
    lan("192.168.1.1/24", device="eth0", netns="house") + link("203.0.113.2/24", device="eth0"),
    LAN + LINK + BLOCKS + host("192.168.1.10", "mail", external="198.51.100.15"),
    LAN + LINK + HOST + host("192.168.1.11", "web"),
    LAN + LINK + section("[[host]]", name="tv", mac="52:54:00:12:34:56"),
    router("192.168.1.1:4190") + LAN + LINK,
]


@pytest.mark.parametrize("text", SOUND)
def test_what_fits_together(text: str) -> None:
    assert parse(text, Path("router.toml"))
