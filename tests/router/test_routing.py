"""Subnet-mask routing: the longest prefix says where an address is."""

import pytest

from router.routing import LanRoute, Place, Route, RoutingConfig, RoutingTable
from router.wire.address import Network, parse_address

GATEWAY = parse_address("192.168.1.254")
CONFIG = RoutingConfig(
    parse_address("192.168.1.1"),
    Network.parse("192.168.1.0/24"),
    (
        LanRoute(Network.parse("192.168.7.0/24"), GATEWAY),
        LanRoute(Network.parse("192.168.7.64/26"), parse_address("192.168.1.253")),
        LanRoute(Network.parse("10.9.8.7/32"), GATEWAY),
        LanRoute(Network.parse("10.9.8.2/31"), GATEWAY),
    ),
    Network.parse("203.0.113.0/24"),
)
TABLE = RoutingTable(CONFIG)


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("192.168.1.1", Place.LOCAL),
        ("192.168.1.11", Place.LAN),
        ("192.168.1.254", Place.LAN),
        ("192.168.1.0", Place.BROADCAST),
        ("192.168.1.255", Place.BROADCAST),
        ("192.168.2.0", Place.LINE),
        ("192.168.7.5", Place.LAN),
        ("192.168.7.0", Place.BROADCAST),
        ("192.168.7.127", Place.BROADCAST),
        ("192.168.7.255", Place.BROADCAST),
        ("192.168.8.1", Place.LINE),
        ("10.9.8.7", Place.LAN),
        ("10.9.8.6", Place.LINE),
        ("10.9.8.2", Place.LAN),
        ("10.9.8.3", Place.LAN),
        ("198.51.100.10", Place.LINE),
        ("203.0.113.0", Place.BROADCAST),
        ("203.0.113.1", Place.LINE),
        ("203.0.113.255", Place.BROADCAST),
        ("1.0.0.0", Place.LINE),
        ("223.255.255.255", Place.LINE),
        ("0.0.0.0", Place.MARTIAN),  # noqa: S104
        ("0.255.255.255", Place.MARTIAN),
        ("127.0.0.1", Place.MARTIAN),
        ("128.0.0.1", Place.LINE),
        ("169.254.0.1", Place.MARTIAN),
        ("169.253.255.255", Place.LINE),
        ("240.0.0.1", Place.MARTIAN),
        ("255.255.255.254", Place.MARTIAN),
        ("224.0.0.1", Place.BROADCAST),
        ("239.255.255.255", Place.BROADCAST),
        ("255.255.255.255", Place.BROADCAST),
    ],
)
def test_where_an_address_is(address: str, place: Place) -> None:
    assert TABLE.lookup(parse_address(address)).place is place


@pytest.mark.parametrize(
    ("address", "network", "gateway"),
    [
        ("192.168.7.5", "192.168.7.0/24", "192.168.1.254"),
        ("192.168.7.70", "192.168.7.64/26", "192.168.1.253"),
        ("10.9.8.7", "10.9.8.7/32", "192.168.1.254"),
        ("192.168.1.9", "192.168.1.0/24", None),
    ],
)
def test_the_longest_prefix_names_the_gateway(
    address: str, network: str, gateway: str | None
) -> None:
    expected = parse_address(gateway) if gateway else None
    assert TABLE.lookup(parse_address(address)) == Route(
        Place.LAN, Network.parse(network), expected
    )


def test_the_lan_networks_are_all_of_them() -> None:
    assert [str(network) for network in CONFIG.lan_networks] == [
        "192.168.1.0/24", "192.168.7.0/24", "192.168.7.64/26", "10.9.8.7/32", "10.9.8.2/31",
    ]  # fmt: skip


def test_a_lan_of_one_address() -> None:
    only = parse_address("192.168.1.1")
    table = RoutingTable(RoutingConfig(only, Network(only, 32)))
    assert table.lookup(only).place is Place.LOCAL
    assert table.lookup(only + 1).place is Place.LINE
