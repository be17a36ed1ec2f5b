"""The LAN side of the machine: how packets of a LAN card reach the router, and come back.

Theory of operation. Without a card the TUN is the LAN segment and there is nothing to do here.
With one (a NIC, a bridge, a VLAN), the kernel goes on owning it and its address, and policy
rules after the `local` table hand over the rest. One table holds the LAN's networks, through the
card, and a default route into the TUN:

- from the card: that table. What is for the LAN itself goes back out, all else into the TUN.
- from the TUN: the table's LAN networks and nothing else, so nothing can go round in circles.
- from this machine itself: LAN networks, then the machine's own more specific routes, then the
  TUN for what has a LAN address or none yet. The machine's former default route stays where it
  is, and goes on serving what answers from an address of another card.
- last, whatever came from the card or the TUN and has found no way is refused. So nothing is
  forwarded past the router when it has died and its TUN has gone.

Only the card and the TUN forward; the machine's other cards stay as they were. Redirects are off:
they would tell hosts of a way around the router. The TUN carries packets from anywhere, some of
them from the router's own LAN address, so neither its sources nor that one are checked there.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from router.host.machine import links
from router.host.machine.changes import Entry, Link, Spec, Sysctl
from router.host.machine.rtnetlink import EVERYWHERE, SCOPE_LINK, TABLE_MAIN
from router.host.machine.settings import conf, without_reverse_path_filter
from router.routing import LanRoute
from router.wire.address import Network, format_address

__all__ = ["LanNic", "LanSide", "lan_changes"]

_TABLE = 29298  # "pr" in ASCII: a routing table nobody else is likely to use
_FIRST_PRIORITY = 10_000  # of our rules: after `local` (0), long before `main` (32766)


@dataclass(frozen=True)
class LanNic:
    """The LAN's device, the router's address in its network, and further LAN networks."""

    device: str
    address: int
    network: Network
    routes: tuple[LanRoute, ...] = ()


@dataclass(frozen=True)
class LanSide:
    """Where the LAN is: the TUN alone, or a device whose packets are led into the TUN.

    `mtu` is in bytes; `netns` "" is the namespace the router was started in.
    """

    tun: str
    mtu: int
    netns: str = ""
    nic: LanNic | None = None


def lan_changes(lan: LanSide) -> Iterator[Entry | Link | Sysctl]:
    """Yield what leads the LAN device's packets into the TUN, each step safe by itself.

    Later changes depend on earlier ones being applied. Raises DeviceError.
    """
    if lan.nic is None:
        return
    netns, tun, nic = lan.netns, lan.tun, lan.nic
    yield links.address(netns, nic.device, format_address(nic.address), nic.network.prefix)
    yield from links.state(netns, nic.device, up=True)
    for spec, through in _routes(nic, tun):
        yield Entry(netns, "route", {"table": _TABLE, **spec}, through)
    for priority, rule in enumerate(_rules(nic, tun), _FIRST_PRIORITY):
        yield Entry(netns, "rule", {"priority": priority, **rule})
    yield from conf(netns, "all", send_redirects=0)
    yield from conf(netns, nic.device, send_redirects=0, accept_redirects=0)
    yield from without_reverse_path_filter(netns, tun)
    yield from conf(netns, tun, accept_local=1, forwarding=1)
    yield from conf(netns, nic.device, forwarding=1)


def _routes(nic: LanNic, tun: str) -> Iterator[tuple[Spec, str]]:
    source = format_address(nic.address)
    on_link: Spec = {"scope": SCOPE_LINK, "prefsrc": source}
    yield {"dst": str(nic.network), **on_link}, nic.device
    for route in nic.routes:
        dst: Spec = {"dst": str(route.network)}
        if route.gateway is None:
            yield dst | on_link, nic.device
        else:
            yield dst | {"gateway": format_address(route.gateway)}, nic.device
    yield {"dst": EVERYWHERE, **on_link}, tun


def _rules(nic: LanNic, tun: str) -> list[Spec]:
    everything: Spec = {"table": _TABLE}
    lan_only: Spec = {"table": _TABLE, "suppress_prefixlen": 0}
    own: Spec = {"iifname": "lo"}  # what this machine sends itself
    unbound: Spec = {"src": "0.0.0.0", "src_len": 32}  # noqa: S104 - a source not chosen yet
    lan_source: Spec = {"src": format_address(nic.network.address), "src_len": nic.network.prefix}
    return [
        {"iifname": nic.device} | everything,
        {"iifname": tun} | lan_only,
        {"iifname": nic.device, "action": "unreachable"},
        {"iifname": tun, "action": "blackhole"},
        own | lan_only,
        own | {"table": TABLE_MAIN, "suppress_prefixlen": 0},
        own | unbound | everything,
        own | lan_source | everything,
    ]
