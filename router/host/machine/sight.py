"""What the kernel says of one device at the moment: whether it is there, its carrier, its address.

Of several addresses the one known so far is kept to, so that a further one is no change. The
gateway is that of the main table's default route through the device, where DHCP clients put it.
"""

import errno
import socket
from dataclasses import dataclass

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from router.host.machine import netns as namespaces
from router.host.machine.rtnetlink import (
    IFF_LOWER_UP,
    IFF_NOARP,
    IFF_POINTOPOINT,
    SCOPE_LINK,
    TABLE_MAIN,
)
from router.wire.address import MAX_PREFIX, parse_address

__all__ = ["Sight", "see"]


@dataclass(frozen=True, slots=True)
class Sight:
    """A device as seen; `mtu` is in bytes. All is empty while there is no such device."""

    is_there: bool = False
    has_carrier: bool = False
    has_arp: bool = False
    mtu: int = 0
    address: int | None = None
    prefix: int = MAX_PREFIX
    gateway: int | None = None


def see(netns: str, device: str, known: int | None = None) -> Sight:
    """Look at a device whose address so far is `known`.

    Blocking. Raises DeviceError when the namespace cannot be entered.
    """
    if not namespaces.exists(netns):
        return Sight()
    with namespaces.netlink(netns) as netlink:
        try:
            return _see(netlink, device, known)
        except NetlinkError as error:  # it went while we looked
            if error.code != errno.ENODEV:
                raise
            return Sight()


def _see(netlink: IPRoute, device: str, known: int | None) -> Sight:
    for index in netlink.link_lookup(ifname=device):
        (link,) = netlink.get_links(index=index)
        addresses = _addresses(netlink, index)
        own = known if known in addresses else next(iter(addresses), None)
        return Sight(
            is_there=True,
            has_carrier=bool(link["flags"] & IFF_LOWER_UP),
            has_arp=not link["flags"] & (IFF_NOARP | IFF_POINTOPOINT),
            mtu=link.get("mtu"),
            address=own,
            prefix=MAX_PREFIX if own is None else addresses[own],
            gateway=_gateway(netlink, index),
        )
    return Sight()


def _addresses(netlink: IPRoute, index: int) -> dict[int, int]:
    """Return the prefix of each address that hosts elsewhere may know; a peer's is not of ours."""
    found = {}
    for entry in netlink.get_addr(family=socket.AF_INET, index=index):
        own, peer = entry.get("local"), entry.get("address")
        if entry["scope"] < SCOPE_LINK:
            prefix = entry["prefixlen"] if own in (None, peer) else MAX_PREFIX
            found[parse_address(own or peer)] = prefix
    return found


def _gateway(netlink: IPRoute, index: int) -> int | None:
    routes = netlink.get_routes(family=socket.AF_INET, table=TABLE_MAIN, oif=index)
    defaults = [route for route in routes if not route["dst_len"] and route.get("gateway")]
    if not defaults:
        return None
    best = min(defaults, key=lambda route: route.get("priority") or 0)
    return parse_address(best.get("gateway"))
