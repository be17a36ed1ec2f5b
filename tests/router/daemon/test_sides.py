from pathlib import Path

import pytest

from router.config import Config, load
from router.daemon.sides import lan_side, wan_side
from router.host.machine.plumbing import LanNic, LanSide, WanNic, WanSide
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


def config(text: str, directory: Path) -> Config:
    path = directory / "router.toml"
    path.write_text(text)
    return load(path)


def test_bare_tuns_have_no_cards(tmp_path: Path) -> None:
    bare = config(BARE, tmp_path)
    assert lan_side(bare) == LanSide("lan0", 1400)
    assert wan_side(bare) == WanSide("wan0", 1500, "postroad-wan")


def test_cards_are_told_with_networks_and_routes(tmp_path: Path) -> None:
    cards = config(CARDS, tmp_path)
    lan = Network.parse("192.168.1.0/24")
    further = LanRoute(Network.parse("10.0.0.0/8"), parse_address("192.168.1.9"))
    nic = LanNic("eth1", parse_address("192.168.1.1"), lan, (further,))
    assert lan_side(cards) == LanSide("inside", 1500, "house", nic)
    line = WanNic(
        "eth2",
        parse_address("203.0.113.2"),
        Network.parse("203.0.113.0/24"),
        parse_address("203.0.113.1"),
    )
    assert wan_side(cards) == WanSide("outside", 1492, "street", line)


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
    nic = wan_side(config(f"{text}\n[nat]\naddress = {address}\n", tmp_path)).nic
    assert nic is not None
    assert nic.published == tuple(map(Network.parse, published))
