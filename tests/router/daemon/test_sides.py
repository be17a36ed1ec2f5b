import asyncio
from pathlib import Path

import pytest

from router.config import Config, load
from router.daemon.sides import backends, lan_side, wan_side
from router.host.lines.backend import LineAddress
from router.host.lines.command import CommandBackend
from router.host.lines.static import StaticBackend
from router.host.machine.plumbing import LanNic, LanSide, WanLink, WanSide
from router.host.ppp.wiretap import Wiretaps
from router.routing import LanRoute
from router.wire.address import Network, parse_address

BARE = """
[lan]
address = "192.168.1.1/24"
mtu = 1400
[[link]]
name = "isp"
backend = "static"
address = "203.0.113.2/24"
"""
CARDS = """
[lan]
address = "192.168.1.1/24"
device = "eth1"
tun = "inside"
netns = "house"
routes = ["10.0.0.0/8 via 192.168.1.9"]
[wan]
netns = "street"
tun = "outside"
[[link]]
name = "isp"
backend = "static"
device = "eth2"
address = "203.0.113.2/24"
gateway = "203.0.113.1"
mtu = 1492
"""
DIALLED = """
[[link]]
name = "modem"
backend = "command"
device = "ppp0"
mtu = 576
up = "/etc/postroad/modem-up --number 0190"
down = "/etc/postroad/modem-down"
"""


def config(text: str, directory: Path) -> Config:
    path = directory / "router.toml"
    path.write_text(text)
    return load(path)


def test_bare_tuns_have_no_cards(tmp_path: Path) -> None:
    bare = config(BARE, tmp_path)
    assert lan_side(bare) == LanSide("lan0", 1400)
    assert wan_side(bare) == WanSide("wan0", "postroad-wan", (WanLink("isp"),))


def test_cards_are_told_with_networks_and_routes(tmp_path: Path) -> None:
    cards = config(CARDS, tmp_path)
    lan = Network.parse("192.168.1.0/24")
    further = LanRoute(Network.parse("10.0.0.0/8"), parse_address("192.168.1.9"))
    nic = LanNic("eth1", parse_address("192.168.1.1"), lan, (further,))
    assert lan_side(cards) == LanSide("inside", 1500, "house", nic)
    assert wan_side(cards) == WanSide("outside", "street", (WanLink("isp", "eth2", 1492),))


def test_every_link_has_its_device_and_its_backend(tmp_path: Path) -> None:
    both = config(CARDS + DIALLED, tmp_path)
    assert wan_side(both).links == (
        WanLink("isp", "eth2", 1492),
        WanLink("modem", "ppp0", 576, comes_and_goes=True),
    )
    isp, modem = backends(both, Wiretaps()).items()
    assert (isp[0], type(isp[1])) == ("isp", StaticBackend)
    assert (modem[0], type(modem[1])) == ("modem", CommandBackend)


def test_a_static_line_has_what_is_configured(tmp_path: Path) -> None:
    bare = backends(config(BARE, tmp_path), Wiretaps())["isp"]
    line = LineAddress(parse_address("203.0.113.2"), 24, 1500)
    assert asyncio.run(bare.dial(lambda: None)) == line


@pytest.mark.parametrize(
    ("lan", "address", "published"),
    [
        ("192.168.1.1/24", '"masquerade"', ()),
        ("192.168.1.1/24", '["198.51.100.8/29"]', ("198.51.100.8/29",)),
        ("198.51.100.129/25", '"routed"', ("198.51.100.128/25",)),
    ],
)
def test_the_line_answers_for_what_is_public(
    tmp_path: Path, lan: str, address: str, published: tuple[str, ...]
) -> None:
    text = CARDS.replace("192.168.1.1/24", lan).replace(
        'routes = ["10.0.0.0/8 via 192.168.1.9"]', ""
    )
    wan = wan_side(config(f"{text}\n[nat]\naddress = {address}\n", tmp_path))
    assert wan.published == tuple(map(Network.parse, published))
