"""Network devices and their addresses, as changes that skip what is already so."""

import socket
from collections.abc import Iterator

from pyroute2 import IPRoute

from router.errors import DeviceError
from router.host.machine import netns as namespaces
from router.host.machine.changes import Entry, Link, Spec, index_of
from router.host.machine.rtnetlink import IFF_NOARP, IFF_POINTOPOINT, IFF_UP

__all__ = [
    "address",
    "has_address",
    "has_device",
    "mtu_of",
    "require",
    "settle_tun",
    "speaks_arp",
    "state",
]


def has_device(netns: str, device: str) -> bool:
    """Return whether the namespace exists and has the device; raises DeviceError."""
    if not namespaces.exists(netns):
        return False
    with namespaces.netlink(netns) as netlink:
        return bool(netlink.link_lookup(ifname=device))


def require(netns: str, device: str) -> None:
    """Raise DeviceError when there is no such device."""
    if not has_device(netns, device):
        raise DeviceError(f"there is no network device {device}{namespaces.place(netns)}")


def mtu_of(netns: str, device: str) -> int:
    """Return the device's MTU in bytes; raises DeviceError when there is no such device."""
    require(netns, device)
    with namespaces.netlink(netns) as netlink:
        (link,) = netlink.get_links(index=index_of(netlink, device))
        return int(link.get("mtu"))


def has_address(netns: str, device: str, text: str) -> bool:
    """Return whether an IPv4 address is the device's own, with whatever prefix or peer."""
    with namespaces.netlink(netns) as netlink:
        found = netlink.get_addr(family=socket.AF_INET, index=index_of(netlink, device))
        return any(text == (entry.get("local") or entry.get("address")) for entry in found)


def speaks_arp(netns: str, device: str) -> bool:
    """Return whether hosts on the device's network ask for addresses."""
    with namespaces.netlink(netns) as netlink:
        (link,) = netlink.get_links(index=index_of(netlink, device))
        return not link["flags"] & (IFF_NOARP | IFF_POINTOPOINT)


def state(netns: str, device: str, *, up: bool) -> Iterator[Link]:
    """Yield the change that takes the device up or down."""
    yield from _attributes(netns, device, {"state": "up" if up else "down"})


def settle_tun(netns: str, device: str, mtu: int) -> Iterator[Link]:
    """Yield the change that sizes a TUN somebody else made, and takes it up."""
    yield from _attributes(netns, device, {"mtu": mtu, "state": "up"})


def address(netns: str, device: str, text: str, prefix: int) -> Entry:
    """Return the change that gives the device an IPv4 address."""
    return Entry(netns, "addr", {"address": text, "prefixlen": prefix}, device)


def _attributes(netns: str, device: str, wanted: Spec) -> Iterator[Link]:
    with namespaces.netlink(netns) as netlink:
        link = _link(netlink, device)
    former = {key: value for key, value in link.items() if key in wanted}
    if former != wanted:
        yield Link(netns, device, wanted, former)


def _link(netlink: IPRoute, device: str) -> Spec:
    (link,) = netlink.get_links(index=index_of(netlink, device))
    return {"mtu": link.get("mtu"), "state": "up" if link["flags"] & IFF_UP else "down"}
