"""The WAN side of the machine: the lines' devices in a namespace of their own, and nothing else.

Theory of operation. A line without a device is the TUN itself. A device (a card, or what a dialling
program makes) is in the WAN namespace, a card moved there. Policy rules before the `local` table
make the kernel a bridge between the devices and the TUN:

- from a device: everything into the TUN, also what is for the line's own address. From a card
  below one, which carries frames of PPP and nothing else: nothing.
- from the TUN: out by the line it has the address of, by that line's own routing table; what has
  another source, such as a published address, by the table of the active line.
- whatever came from either and has found no way is dropped without a word. So a line that is down
  carries nothing, and when the router has died and its TUN has gone, the machine is silent.
- only then `local`, for the kernel's own packets; they go by the main table's networks, then by the
  active line.

The kernel therefore never takes a packet for itself: a program in this namespace can send by a
line but hears of IP only what packet sockets show it, as `arping` and DHCP clients use them.

This module is about what is there as long as the router runs. A rule matches its device by name,
so it is there before the device is. What a rise of a line brings and its fall takes away is in
`wanline`.

Source checks may stay as strict as they are: the kernel asks whether the way back to the source,
for a packet arriving where this one leaves, is where it came from, and the rules make it so.

What the kernel still sends here by itself is ARP and, as a forwarding step, Time Exceeded from
the active line's address. IPv6 is off: the router does not speak it yet, and nobody else may.
"""

import socket
from collections.abc import Iterator
from dataclasses import dataclass

from router.host.machine import links
from router.host.machine import netns as namespaces
from router.host.machine.changes import Entry, Link, Spec, Sysctl
from router.host.machine.nic import MovedNic, note_nic
from router.host.machine.rtnetlink import (
    EVERYWHERE,
    RTPROT_KERNEL,
    SCOPE_LINK,
    TABLE_LOCAL,
    TABLE_MAIN,
)
from router.host.machine.settings import conf, sysctl
from router.wire.address import Network

__all__ = [
    "FIRST_LINE_TABLE",
    "FROM_ACTIVE",
    "FROM_LINE",
    "OWN_BY_ACTIVE",
    "WanLink",
    "WanSide",
    "device_changes",
    "quiet",
    "wan_changes",
]

# Routing tables; the namespace is ours, so no number is taken.
_INTO_TUN = 100
FIRST_LINE_TABLE = 101  # of the first link; the others follow

# Priorities of the rules.
_FROM_DEVICE, FROM_LINE, FROM_ACTIVE, _DEVICE_LOST, _TUN_LOST = 10, 11, 12, 13, 14
_LOCAL_PRIORITY, _OWN_NETWORKS, OWN_BY_ACTIVE = 100, 101, 102


@dataclass(frozen=True)
class WanLink:
    """A link by name, its device, and what it carries at most, in bytes.

    Without a device it is the TUN itself. A device that `comes_and_goes` is made, or set up, by
    whatever raises the line, in the WAN namespace itself if it is `made_here`; another is a card
    that is there from the start. `carrier` is a card below the device, for PPPoE: it is there from
    the start as well, and no IP goes by it.
    """

    name: str
    device: str | None = None
    mtu: int = 1500
    comes_and_goes: bool = False
    made_here: bool = False
    carrier: str | None = None


@dataclass(frozen=True)
class WanSide:
    """Where the lines are: the TUN alone, or devices in the namespace `netns`.

    `links` are in the order of preference. `published` are public blocks that the router answers
    for beside the lines' addresses.
    """

    tun: str
    netns: str
    links: tuple[WanLink, ...]
    published: tuple[Network, ...] = ()

    @property
    def devices(self) -> list[str]:
        """The devices' names, each once."""
        return list(dict.fromkeys(link.device for link in self.links if link.device is not None))

    @property
    def carriers(self) -> list[str]:
        """The names of the cards below devices, each once."""
        return list(dict.fromkeys(link.carrier for link in self.links if link.carrier is not None))


def wan_changes(wan: WanSide) -> Iterator[Entry | Link | MovedNic | Sysctl]:
    """Yield what makes the devices the router's lines, each step safe by itself.

    Later changes depend on earlier ones being applied. Raises DeviceError.
    """
    if not wan.devices:
        return
    for rule in _rules(wan):
        yield Entry(wan.netns, "rule", rule)
    yield from _local_rule_behind_ours(wan.netns)
    for link in wan.links:
        yield from device_changes(wan.netns, link)
    into_tun: Spec = {"dst": EVERYWHERE, "scope": SCOPE_LINK, "table": _INTO_TUN}
    yield Entry(wan.netns, "route", into_tun, wan.tun)
    yield from conf(wan.netns, wan.tun, forwarding=1)


def device_changes(netns: str, link: WanLink) -> Iterator[Link | MovedNic | Sysctl]:
    """Yield what prepares the link's device, moved in if it is a card at home.

    Nothing for a device yet to come. Raises DeviceError when a card is in neither place.
    """
    if link.carrier is not None:
        yield from _card_changes(netns, link.carrier)
    if link.device is None or link.made_here:
        return
    if not link.comes_and_goes:
        yield from _card_changes(netns, link.device)
    elif not links.has_device(netns, link.device) and links.has_device("", link.device):
        yield note_nic("", link.device, netns)
        yield from quiet(netns, link.device)


def _card_changes(netns: str, card: str) -> Iterator[Link | MovedNic | Sysctl]:
    if not links.has_device(netns, card):
        links.require("", card)
        yield note_nic("", card, netns)
    yield from quiet(netns, card)
    yield from links.state(netns, card, up=True)  # it has a carrier only while it is up


def quiet(netns: str, device: str) -> Iterator[Sysctl]:
    """Yield what keeps a device from speaking IPv6 and its proxy entries from hesitating."""
    yield from sysctl(netns, f"net/ipv6/conf/{device}/disable_ipv6", "1")
    yield from sysctl(netns, f"net/ipv4/neigh/{device}/proxy_delay", "0")


def _rules(wan: WanSide) -> Iterator[Spec]:
    for device in wan.devices:
        yield {"priority": _FROM_DEVICE, "iifname": device, "table": _INTO_TUN}
    for device in (*wan.devices, *wan.carriers):
        yield {"priority": _DEVICE_LOST, "iifname": device, "action": "blackhole"}
    yield {"priority": _TUN_LOST, "iifname": wan.tun, "action": "blackhole"}
    own: Spec = {"iifname": "lo", "table": TABLE_MAIN, "suppress_prefixlen": 0}
    yield {"priority": _OWN_NETWORKS, **own}


def _local_rule_behind_ours(netns: str) -> Iterator[Entry]:
    with namespaces.netlink(netns) as netlink:
        if all(rule.get("priority") for rule in netlink.get_rules(family=socket.AF_INET)):
            return  # the kernel leaves priority 0 out: no rule has it
    yield Entry(netns, "rule", {"priority": _LOCAL_PRIORITY, "table": TABLE_LOCAL})
    first: Spec = {"priority": 0, "table": TABLE_LOCAL, "protocol": RTPROT_KERNEL}
    yield Entry(netns, "rule", first, present=False)
