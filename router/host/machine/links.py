"""Network devices and their addresses, as changes that skip what is already so."""

from collections.abc import Iterator

from pyroute2 import IPRoute

from router.errors import DeviceError
from router.host.machine import netns as namespaces
from router.host.machine.changes import Entry, Link, Spec, index_of
from router.host.machine.rtnetlink import IFF_UP

__all__ = ["address", "has_device", "mtu_of", "settle_tun", "state"]


def has_device(netns: str, device: str) -> bool:
    """Return whether the namespace exists and has the device; raises DeviceError."""
    if not namespaces.exists(netns):
        return False
    with namespaces.netlink(netns) as netlink:
        return bool(netlink.link_lookup(ifname=device))


def mtu_of(netns: str, device: str) -> int:
    """Return the device's MTU in bytes; raises DeviceError when there is no such device."""
    if not has_device(netns, device):
        raise DeviceError(f"there is no network device {device}{namespaces.place(netns)}")
    with namespaces.netlink(netns) as netlink:
        (link,) = netlink.get_links(index=index_of(netlink, device))
        return int(link.get("mtu"))


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
