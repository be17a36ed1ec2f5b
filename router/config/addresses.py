"""Whether the addresses of a file fit together: the LAN's, the line's, one-to-one blocks.

The same address must never be on two sides (RFC 4787 REQ-7), and no host may have an address
that stands for a network, for everybody in it, or for nobody.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations

from router.config.links import LinkSection, StaticLink
from router.config.problems import key_path
from router.config.schema import LanSection
from router.config.values import InterfaceAddress
from router.routing import Place, RoutingConfig, RoutingTable
from router.wire.address import MAX_PREFIX, Network, format_address

__all__ = ["block_problems", "lan_problems", "link_problems", "role_of", "routing_of"]

_NO_HOST = tuple(
    Network.parse(text)
    for text in (
        "0.0.0.0/8",  # this network (RFC 1122, 3.2.1.3)
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link local, never forwarded (RFC 3927, section 2.7)
        "224.0.0.0/3",  # multicast and reserved (RFC 5771; RFC 1112, section 4)
    )
)
_POINT_TO_POINT = MAX_PREFIX - 1  # RFC 3021: no network number and no broadcast from here on


def routing_of(lan: LanSection) -> RoutingConfig:
    """Return the routing that a `[lan]` section describes."""
    return RoutingConfig(lan.address.address, lan.address.network, lan.routes)


def lan_problems(lan: LanSection) -> Iterator[str]:
    """Yield what is wrong with the LAN's address and its routes."""
    yield from _interface_problems("lan.address", lan.address)
    if lan.address.network.prefix == MAX_PREFIX:
        yield f"lan.address: {lan.address} leaves no address for hosts; /24 leaves 253"
    table = RoutingTable(routing_of(lan))
    known = [lan.address.network]
    for index, route in enumerate(lan.routes):
        key = key_path("lan", "routes", index)
        if route.network in known:
            yield f"{key}: {route.network} is already a network of the LAN; one route is enough"
        known.append(route.network)
        if route.gateway is None:
            continue
        way = table.lookup(route.gateway)
        if way.place is not Place.LAN or way.network != lan.address.network:
            yield (
                f"{key}: gateway {format_address(route.gateway)} is not the address of"
                f" another host in {lan.address.network}"
            )


def link_problems(links: Sequence[LinkSection], lan: LanSection) -> Iterator[str]:
    """Yield what is wrong with the address and the gateway of lines that have fixed ones."""
    for index, link in enumerate(links):
        if not isinstance(link, StaticLink):
            continue
        key = key_path("link", index, "address")
        yield from _interface_problems(key, link.address)
        for network in routing_of(lan).lan_networks:
            if _overlap(network, link.address.network):
                yield (
                    f"{key}: {link.address} overlaps the LAN network {network}; no address"
                    " may be on both sides (RFC 4787 REQ-7), so renumber one of them"
                )
        yield from _gateway_problems(key_path("link", index, "gateway"), link)


def block_problems(
    blocks: Sequence[Network], lan: LanSection | None, links: Sequence[LinkSection]
) -> Iterator[str]:
    """Yield why one-to-one blocks cannot be external addresses."""
    for one, other in combinations(blocks, 2):
        if _overlap(one, other):
            yield f"nat.address: {one} and {other} overlap; name each address once"
    for block in blocks:
        for network in routing_of(lan).lan_networks if lan else ():
            if _overlap(block, network):
                yield f"nat.address: {block} overlaps the LAN network {network}; it is external"
        for link in (each for each in links if isinstance(each, StaticLink)):
            for address, role in _taken_on(link):
                if address in block:
                    yield f"nat.address: {block} contains {format_address(address)}, {role}"


def _interface_problems(key: str, interface: InterfaceAddress) -> Iterator[str]:
    address, network = interface
    for reserved in _NO_HOST:
        if address in reserved:
            yield f"{key}: {interface} is in {reserved}, whose addresses no host may have"
    role = role_of(address, network)
    if role:
        yield f"{key}: {interface} is {role} of {network}; choose one of its other addresses"


def _gateway_problems(key: str, link: StaticLink) -> Iterator[str]:
    if link.gateway is None:
        return
    gateway, network = format_address(link.gateway), link.address.network
    if link.device is None:
        yield f"{key}: needs a device; behind the bare TUN nobody asks for a gateway"
    if link.gateway == link.address.address:
        yield f"{key}: {gateway} is the router's own address; name the provider's"
    elif link.gateway not in network and network.prefix < MAX_PREFIX:
        yield f"{key}: {gateway} is not in {network}, the network of the link's address"
    elif role_of(link.gateway, network):
        yield f"{key}: {gateway} is {role_of(link.gateway, network)} of {network}"


def _taken_on(link: StaticLink) -> Iterator[tuple[int, str]]:
    address, network = link.address
    yield address, "the router's own address on the line"
    if link.gateway is not None:
        yield link.gateway, "the gateway"
    if network.prefix < _POINT_TO_POINT:
        yield network.address, "the number of the line's network"
        yield network.broadcast, "the broadcast address of the line's network"


def role_of(address: int, network: Network) -> str:
    """Return what an address stands for in its network, "" for a host."""
    if network.prefix >= _POINT_TO_POINT:
        return ""
    roles = {network.address: "the number", network.broadcast: "the broadcast address"}
    return roles.get(address, "")


def _overlap(one: Network, other: Network) -> bool:
    return one.address in other or other.address in one
