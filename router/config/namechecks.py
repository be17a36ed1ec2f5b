"""What names on the LAN need: a card to serve, names that can be asked for, addresses to give.

Problems are `KEY: SENTENCE`, as in `checks`.
"""

from collections.abc import Iterator, Sequence

from router.config.addresses import role_of
from router.config.demand import HostSection
from router.config.links import LinkSection, StaticLink
from router.config.problems import key_path
from router.config.schema import DhcpSection, LanSection
from router.config.values import is_domain
from router.routing import Place, RoutingConfig, RoutingTable
from router.units import format_duration
from router.wire.address import format_address

__all__ = ["name_problems", "server_problems"]

_SHORTEST_LEASE_S = 120  # seconds: dnsmasq(8) grants nothing shorter


def name_problems(lan: LanSection, hosts: Sequence[HostSection]) -> Iterator[str]:
    """Yield why the LAN's names and addresses cannot be served as a file says."""
    if lan.dns and lan.device is None:
        yield "lan.dns: needs lan.device, the card on which hosts ask"
    if lan.dns:
        for index, host in enumerate(hosts):
            if host.address is not None and not is_domain(host.name):
                yield (
                    f"{key_path('host', index, 'name')}: {host.name!r} cannot be asked for by DNS;"
                    ' between dots stand letters, digits, "_" and "-", which is not at an end'
                )
    if lan.dhcp is not None:
        yield from _dhcp_problems(lan.dhcp, lan)


def _dhcp_problems(dhcp: DhcpSection, lan: LanSection) -> Iterator[str]:
    if not lan.dns:
        yield "lan.dhcp: needs lan.dns = true; one program serves both"
    own, network = lan.address
    first, last = format_address(dhcp.first), format_address(dhcp.last)
    inside = dhcp.first in network and dhcp.last in network
    for key, address in (("from", dhcp.first), ("to", dhcp.last)):
        shown, role = format_address(address), role_of(address, network)
        if address not in network:
            yield f"lan.dhcp.{key}: {shown} is not in the LAN's network {network}"
        elif role:
            yield f"lan.dhcp.{key}: {shown} is {role} of {network}; choose one for a host"
    if inside and dhcp.last < dhcp.first:
        yield f"lan.dhcp.to: {last} is before {first}, the first address"
    elif inside and dhcp.first <= own <= dhcp.last:
        yield (
            f"lan.dhcp: {first} to {last} contains {format_address(own)}, the router's own address"
        )
    if dhcp.lease < _SHORTEST_LEASE_S:
        least = format_duration(_SHORTEST_LEASE_S)
        yield f"lan.dhcp.lease: is less than {least}; nothing shorter can be granted"


def server_problems(links: Sequence[LinkSection], lan: LanSection) -> Iterator[str]:
    """Yield which fixed lines lack name servers, and which of theirs are not the provider's."""
    table = RoutingTable(RoutingConfig(lan.address.address, lan.address.network, lan.routes))
    for index, link in enumerate(links):
        if not isinstance(link, StaticLink):
            continue
        if lan.dns and not link.dns:
            key = key_path("link", index, "dns")
            yield f"{key}: is missing; lan.dns needs name servers to ask by this line"
        for number, server in enumerate(link.dns):
            if table.lookup(server).place is not Place.LINE:
                key = key_path("link", index, "dns", number)
                yield f"{key}: {format_address(server)} is not an address beyond the line"
