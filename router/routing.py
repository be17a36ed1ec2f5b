"""Subnet-mask routing: what an address is, by the longest prefix that contains it.

One table holds everything there is to say about a destination or a source: the router's own LAN
address, the connected LAN, further LAN networks behind gateways, the addresses that never belong
on a network (RFC 1812 section 5.3.7, RFC 6890), broadcasts, and everything else, which is reached
by the line. The same lookup on a packet's source is the ingress filter of BCP 38.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

from router.wire.address import MAX_PREFIX, Network

__all__ = ["LanRoute", "Place", "Route", "RoutingConfig", "RoutingTable"]


class Place(Enum):
    """Where an address is."""

    LOCAL = auto()  # the router itself
    LAN = auto()  # connected, or behind a gateway on the LAN
    LINE = auto()  # everywhere else
    BROADCAST = auto()  # broadcast, multicast, a subnet's own number: ends at the router
    MARTIAN = auto()  # never on a network


class Route(NamedTuple):
    """What the table says: `gateway` is the LAN router a network is behind."""

    place: Place
    network: Network
    gateway: int | None = None


@dataclass(frozen=True, slots=True)
class LanRoute:
    """A further LAN network; `gateway` is a host on the connected LAN."""

    network: Network
    gateway: int | None = None


@dataclass(frozen=True, slots=True)
class RoutingConfig:
    """The router's LAN address, the networks on that side, and the one the line is in, if any."""

    lan_address: int
    lan_network: Network
    lan_routes: tuple[LanRoute, ...] = ()
    line_network: Network | None = None

    @property
    def lan_networks(self) -> tuple[Network, ...]:
        """Every network whose hosts may send from the LAN."""
        return (self.lan_network, *(route.network for route in self.lan_routes))


_MARTIANS = (
    "0.0.0.0/8",  # this network (RFC 1122, 3.2.1.3)
    "127.0.0.0/8",  # loopback
    "169.254.0.0/16",  # link local, never forwarded (RFC 3927, section 2.7)
    "240.0.0.0/4",  # reserved (RFC 1112, section 4)
)
_BROADCASTS = ("224.0.0.0/4", "255.255.255.255/32")  # multicast (RFC 5771), limited broadcast
_EVERYWHERE = Network(0, 0)


class RoutingTable:
    """Longest-prefix match over a few routes: one dict per prefix length in use."""

    def __init__(self, config: RoutingConfig) -> None:
        by_prefix: dict[int, dict[int, Route]] = {}
        for route in _routes(config):
            by_prefix.setdefault(route.network.prefix, {})[route.network.address] = route
        self._levels = [
            (Network(0, prefix).mask, by_prefix[prefix])
            for prefix in sorted(by_prefix, reverse=True)
        ]

    def lookup(self, address: int) -> Route:
        """Return the route with the longest prefix that contains `address`."""
        for mask, routes in self._levels:
            route = routes.get(address & mask)
            if route is not None:
                return route
        raise AssertionError("the table ends with 0.0.0.0/0")


def _routes(config: RoutingConfig) -> Iterator[Route]:
    yield Route(Place.LINE, _EVERYWHERE)
    for text in _MARTIANS:
        yield Route(Place.MARTIAN, Network.parse(text))
    for text in _BROADCASTS:
        yield Route(Place.BROADCAST, Network.parse(text))
    yield Route(Place.LAN, config.lan_network)
    for route in config.lan_routes:
        yield Route(Place.LAN, route.network, route.gateway)
    for network in (*config.lan_networks, config.line_network):
        # RFC 3021: a /31 has no broadcast address. On the line, see RFC 2644.
        if network is not None and network.prefix < MAX_PREFIX - 1:
            yield Route(Place.BROADCAST, Network(network.address, MAX_PREFIX))
            yield Route(Place.BROADCAST, Network(network.broadcast, MAX_PREFIX))
    yield Route(Place.LOCAL, Network(config.lan_address, MAX_PREFIX))
