from collections.abc import Callable
from pathlib import Path

import pytest

from router.config import parse

LAN = '[lan]\naddress = "192.168.1.1/24"\n'
LINK = '[[link]]\nname = "isp"\nbackend = "static"\naddress = "203.0.113.2/24"\n'
CARD = 'device = "eth2"\n'

Tell = Callable[[str], list[str]]


def lan(address: str) -> str:
    return LAN.replace("192.168.1.1/24", address)


def link(address: str) -> str:
    return LINK.replace("203.0.113.2/24", address)


def routes(*lines: str) -> str:
    return f"{LAN}routes = {list(lines)}\n{LINK}"


def gateway(address: str) -> str:
    return f'gateway = "{address}"\n'


def blocks(*texts: str) -> str:
    return f"[nat]\naddress = {list(texts)}\n"


NOT_IN_LAN = "is not the address of another host in 192.168.1.0/24"
BOTH_SIDES = "no address may be on both sides (RFC 4787 REQ-7), so renumber one of them"

CASES = [
    # the LAN's own address
    (
        lan("192.168.1.0/24") + LINK,
        "lan.address: 192.168.1.0/24 is the number of 192.168.1.0/24;"
        " choose one of its other addresses",
    ),
    (
        lan("192.168.1.127/25") + LINK,
        "lan.address: 192.168.1.127/25 is the broadcast address of 192.168.1.0/25;"
        " choose one of its other addresses",
    ),
    (
        lan("192.168.1.1/32") + LINK,
        "lan.address: 192.168.1.1/32 leaves no address for hosts; /24 leaves 253",
    ),
    *(
        (
            lan(f"{address}/24") + LINK,
            f"lan.address: {address}/24 is in {network}, whose addresses no host may have",
        )
        for address, network in (
            ("0.1.2.3", "0.0.0.0/8"),
            ("127.0.0.1", "127.0.0.0/8"),
            ("169.254.7.7", "169.254.0.0/16"),
            ("224.0.0.5", "224.0.0.0/3"),
            ("250.0.0.5", "224.0.0.0/3"),
        )
    ),
    # further LAN networks
    (
        routes("192.168.1.0/24"),
        "lan.routes[1]: 192.168.1.0/24 is already a network of the LAN; one route is enough",
    ),
    (
        routes("192.168.7.0/24", "192.168.8.0/24", "192.168.7.0/24 via 192.168.1.254"),
        "lan.routes[3]: 192.168.7.0/24 is already a network of the LAN; one route is enough",
    ),
    *(
        (
            routes(f"192.168.7.0/24 via {address}"),
            f"lan.routes[1]: gateway {address} {NOT_IN_LAN}",
        )
        for address in ("10.0.0.1", "192.168.7.1", "192.168.1.1", "192.168.1.255")
    ),
    (
        routes("192.168.1.128/25", "192.168.7.0/24 via 192.168.1.254"),
        f"lan.routes[2]: gateway 192.168.1.254 {NOT_IN_LAN}",
    ),
    # the line
    (
        LAN + link("203.0.113.255/24"),
        "link[1].address: 203.0.113.255/24 is the broadcast address of 203.0.113.0/24;"
        " choose one of its other addresses",
    ),
    (
        LAN + link("127.0.0.2/24"),
        "link[1].address: 127.0.0.2/24 is in 127.0.0.0/8, whose addresses no host may have",
    ),
    (
        LAN + link("192.168.1.7/24"),
        f"link[1].address: 192.168.1.7/24 overlaps the LAN network 192.168.1.0/24; {BOTH_SIDES}",
    ),
    (
        LAN + link("192.168.7.7/16"),
        f"link[1].address: 192.168.7.7/16 overlaps the LAN network 192.168.1.0/24; {BOTH_SIDES}",
    ),
    (
        routes("203.0.0.0/16 via 192.168.1.254"),
        f"link[1].address: 203.0.113.2/24 overlaps the LAN network 203.0.0.0/16; {BOTH_SIDES}",
    ),
    (
        LAN + LINK + gateway("203.0.113.1"),
        "link[1].gateway: needs a device; behind the bare TUN nobody asks for a gateway",
    ),
    (
        LAN + LINK + CARD + gateway("203.0.114.1"),
        "link[1].gateway: 203.0.114.1 is not in 203.0.113.0/24, the network of the link's address",
    ),
    (
        LAN + LINK + CARD + gateway("203.0.113.2"),
        "link[1].gateway: 203.0.113.2 is the router's own address; name the provider's",
    ),
    (
        LAN + LINK + CARD + gateway("203.0.113.0"),
        "link[1].gateway: 203.0.113.0 is the number of 203.0.113.0/24",
    ),
    (
        LAN + link("203.0.113.2/32") + CARD + gateway("203.0.113.2"),
        "link[1].gateway: 203.0.113.2 is the router's own address; name the provider's",
    ),
    # one-to-one blocks
    (
        LAN + LINK + blocks("198.51.100.0/24", "198.51.100.8/29"),
        "nat.address: 198.51.100.0/24 and 198.51.100.8/29 overlap; name each address once",
    ),
    (
        LAN + LINK + blocks("192.168.0.0/16"),
        "nat.address: 192.168.0.0/16 overlaps the LAN network 192.168.1.0/24; it is external",
    ),
    (
        LAN + link("203.0.113.2/23") + blocks("203.0.113.2"),
        "nat.address: 203.0.113.2/32 contains 203.0.113.2, the router's own address on the line",
    ),
    (
        LAN + LINK + CARD + gateway("203.0.113.17") + blocks("203.0.113.16/29"),
        "nat.address: 203.0.113.16/29 contains 203.0.113.17, the gateway",
    ),
    (
        LAN + link("203.0.113.9/24") + blocks("203.0.113.0/29"),
        "nat.address: 203.0.113.0/29 contains 203.0.113.0, the number of the line's network",
    ),
    (
        LAN + LINK + blocks("203.0.113.248/29"),
        "nat.address: 203.0.113.248/29 contains 203.0.113.255,"
        " the broadcast address of the line's network",
    ),
]


@pytest.mark.parametrize(("text", "problem"), CASES)
def test_addresses_that_do_not_fit(problems: Tell, text: str, problem: str) -> None:
    assert problems(text) == [problem]


SOUND = [
    lan("192.168.1.0/31") + LINK,
    LAN + link("203.0.113.0/31") + CARD + gateway("203.0.113.1"),
    LAN + link("203.0.113.2/32") + CARD + gateway("198.51.100.1"),
    LAN + LINK + blocks("203.0.113.8/29", "198.51.100.0/24"),
    routes("192.168.1.128/25 via 192.168.1.2", "192.168.7.0/24 via 192.168.1.3"),
    LAN + link("203.0.113.2/31") + blocks("203.0.113.0/31"),
]


@pytest.mark.parametrize("text", SOUND)
def test_addresses_that_fit(text: str) -> None:
    assert parse(text, Path("router.toml"))
