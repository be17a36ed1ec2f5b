"""The WAN side of the machine: a card in a namespace of its own, and nothing else in it.

Theory of operation. Without a card the TUN is the line. With one, it is moved into the WAN
namespace and given the line's address; that namespace's main table routes the line as on any
host. Policy rules before the `local` table make the kernel a bridge between card and TUN:

- from the card: everything into the TUN, also what is for the line's address.
- from the TUN: the main table, out through the card.
- whatever came from either and has found no way is dropped without a word. So when the router
  has died and its TUN has gone, the machine is silent on the line.
- only then `local`, for the kernel's own packets.

The kernel therefore never takes a packet for itself. It would not answer ARP either, because to
it the address is now elsewhere; a proxy entry for exactly that address makes it do so, at once
and not after the random delay proxies otherwise keep. Public blocks on the line's own network
are answered for in the same way.

Source checks may stay as strict as they are: the kernel asks whether the way back to the source,
for a packet arriving where this one leaves, is where it came from, and the rules make it so.

What the kernel still sends here by itself is ARP and, as a forwarding step, Time Exceeded from
the line's address. IPv6 is off: the router does not speak it yet, and nobody else may.
"""

import socket
from collections.abc import Iterator
from dataclasses import dataclass

from router.host.machine import links
from router.host.machine import netns as namespaces
from router.host.machine.changes import Entry, Link, Spec, Sysctl
from router.host.machine.nic import MovedNic, note_nic
from router.host.machine.rtnetlink import EVERYWHERE, RTNH_F_ONLINK, RTPROT_KERNEL, SCOPE_LINK
from router.host.machine.settings import conf, sysctl
from router.wire.address import Network, format_address

__all__ = ["WanNic", "WanSide", "wan_changes"]

_TABLE = 100  # the way into the TUN; the namespace is ours, so no number is taken
_LOCAL, _LOCAL_PRIORITY = 255, 100  # the table of own addresses and its rule's new priority
_FROM_NIC, _FROM_TUN, _NIC_LOST, _TUN_LOST = 10, 11, 12, 13  # rule priorities, before `local`
_NTF_PROXY = 8  # linux/neighbour.h


@dataclass(frozen=True)
class WanNic:
    """The line's device, the router's address in its network, and the provider's gateway.

    Without a gateway every host is on the link. `published` are further public blocks the
    router answers for.
    """

    device: str
    address: int
    network: Network
    gateway: int | None = None
    published: tuple[Network, ...] = ()


@dataclass(frozen=True)
class WanSide:
    """Where the line is: the TUN alone, or a device moved into the namespace `netns`.

    `mtu` is in bytes.
    """

    tun: str
    mtu: int
    netns: str
    nic: WanNic | None = None


def wan_changes(wan: WanSide) -> Iterator[Entry | Link | MovedNic | Sysctl]:
    """Yield what makes the device the router's line, each step safe by itself.

    Later changes depend on earlier ones being applied. Raises DeviceError.
    """
    if wan.nic is None:
        return
    netns, tun, nic = wan.netns, wan.tun, wan.nic
    for rule in _rules(nic.device, tun):
        yield Entry(netns, "rule", rule)
    yield from _local_rule_behind_ours(netns)
    if not links.has_device(netns, nic.device):
        yield note_nic("", nic.device, netns)
    yield from sysctl(netns, f"net/ipv6/conf/{nic.device}/disable_ipv6", "1")
    yield from sysctl(netns, f"net/ipv4/neigh/{nic.device}/proxy_delay", "0")
    yield links.address(netns, nic.device, format_address(nic.address), nic.network.prefix)
    yield from links.state(netns, nic.device, up=True)
    yield from _routes(netns, tun, nic)
    for address in _answered(nic):
        proxy: Spec = {"dst": format_address(address), "flags": _NTF_PROXY}
        yield Entry(netns, "neigh", proxy, nic.device)
    yield from conf(netns, tun, forwarding=1)
    yield from conf(netns, nic.device, forwarding=1)


def _rules(device: str, tun: str) -> list[Spec]:
    return [
        {"priority": _FROM_NIC, "iifname": device, "table": _TABLE},
        {"priority": _FROM_TUN, "iifname": tun, "table": 254},
        {"priority": _NIC_LOST, "iifname": device, "action": "blackhole"},
        {"priority": _TUN_LOST, "iifname": tun, "action": "blackhole"},
    ]


def _local_rule_behind_ours(netns: str) -> Iterator[Entry]:
    with namespaces.netlink(netns) as netlink:
        if all(rule.get("priority") for rule in netlink.get_rules(family=socket.AF_INET)):
            return  # the kernel leaves priority 0 out: no rule has it
    yield Entry(netns, "rule", {"priority": _LOCAL_PRIORITY, "table": _LOCAL})
    first: Spec = {"priority": 0, "table": _LOCAL, "protocol": RTPROT_KERNEL}
    yield Entry(netns, "rule", first, present=False)


def _routes(netns: str, tun: str, nic: WanNic) -> Iterator[Entry]:
    on_link: Spec = {"dst": EVERYWHERE, "scope": SCOPE_LINK}
    yield Entry(netns, "route", on_link | {"table": _TABLE}, tun)
    if nic.gateway is None:
        yield Entry(netns, "route", on_link, nic.device)
        return
    via: Spec = {"dst": EVERYWHERE, "gateway": format_address(nic.gateway)}
    if nic.gateway not in nic.network:
        via["flags"] = RTNH_F_ONLINK
    yield Entry(netns, "route", via, nic.device)


def _answered(nic: WanNic) -> list[int]:
    blocks = (range(block.address, block.broadcast + 1) for block in nic.published)
    published = {address for block in blocks for address in block if address in nic.network}
    return sorted({nic.address} | published)
