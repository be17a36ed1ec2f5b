"""One rise of one line, on the machine: its address, its routes, and which line is the active one.

Theory of operation. A line that has risen gets, all of it taken back when it falls:

- its address on its device, unless whatever raised the line has set it there already;
- a routing table of its own with a route to its network and a default route;
- the rule that leads what the router sends from the line's address into that table. Several
  lines may be up at once while the sessions of one drain;
- proxy entries for ARP. To the kernel the address is elsewhere (`wanside`), so that it would
  not answer for it; an entry for exactly that address makes it do so, at once and not after the
  random delay proxies otherwise keep. Public blocks on the line's own network are answered for
  in the same way. A device without ARP, such as ppp0, needs none;
- forwarding, last.

The table of the active line also serves packets with other sources, published addresses and the
kernel's own.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from router.host.machine import links
from router.host.machine.changes import Entry, Link, Spec, Sysctl
from router.host.machine.rtnetlink import EVERYWHERE, RTNH_F_ONLINK, SCOPE_LINK
from router.host.machine.settings import conf
from router.host.machine.wanside import (
    FIRST_LINE_TABLE,
    FROM_ACTIVE,
    FROM_LINE,
    OWN_BY_ACTIVE,
    WanLink,
    WanSide,
    quiet,
)
from router.wire.address import MAX_PREFIX, Network, format_address

__all__ = ["LineAddress", "active_changes", "line_changes"]

_NTF_PROXY = 8  # linux/neighbour.h


@dataclass(frozen=True, slots=True)
class LineAddress:
    """What a line has while it is up: its address, and what it carries at most, in bytes.

    Without a gateway every host is on the link. `dns` are the provider's name servers.
    """

    address: int
    prefix: int
    mtu: int
    gateway: int | None = None
    dns: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{format_address(self.address)}/{self.prefix}"

    @property
    def network(self) -> Network:
        """The network the line is in."""
        unmasked = Network(self.address, self.prefix)
        return Network(self.address & unmasked.mask, self.prefix)


def line_changes(wan: WanSide, link: WanLink, line: LineAddress) -> Iterator[Entry | Link | Sysctl]:
    """Yield what makes packets go by a line that has risen, each step safe by itself.

    Later changes depend on earlier ones being applied. Raises DeviceError.
    """
    if link.device is None:
        return
    netns, device = wan.netns, link.device
    links.require(netns, device)
    yield from quiet(netns, device)
    own = format_address(line.address)
    if not links.has_address(netns, device, own):
        yield links.address(netns, device, own, line.prefix)
    yield from links.state(netns, device, up=True)
    for route in _routes(line):
        yield Entry(netns, "route", route | {"table": _table(wan, link)}, device)
    source: Spec = {"iifname": wan.tun, "src": own, "src_len": MAX_PREFIX}
    yield Entry(netns, "rule", {"priority": FROM_LINE, "table": _table(wan, link), **source})
    if links.speaks_arp(netns, device):
        for address in _answered(line, wan.published):
            proxy: Spec = {"dst": format_address(address), "flags": _NTF_PROXY}
            yield Entry(netns, "neigh", proxy, device)
    yield from conf(netns, device, forwarding=1)


def active_changes(wan: WanSide, link: WanLink) -> Iterator[Entry]:
    """Yield what makes the link the one for packets that are from no line's address."""
    if link.device is None:
        return
    table = _table(wan, link)
    for priority, origin in ((FROM_ACTIVE, wan.tun), (OWN_BY_ACTIVE, "lo")):
        yield Entry(wan.netns, "rule", {"priority": priority, "iifname": origin, "table": table})


def _table(wan: WanSide, link: WanLink) -> int:
    return FIRST_LINE_TABLE + wan.links.index(link)


def _routes(line: LineAddress) -> Iterator[Spec]:
    source = format_address(line.address)
    on_link: Spec = {"scope": SCOPE_LINK, "prefsrc": source}
    if line.prefix < MAX_PREFIX:
        yield {"dst": str(line.network), **on_link}
    if line.gateway is None:
        yield {"dst": EVERYWHERE, **on_link}
        return
    via: Spec = {"dst": EVERYWHERE, "gateway": format_address(line.gateway), "prefsrc": source}
    if line.gateway not in line.network:
        via["flags"] = RTNH_F_ONLINK
    yield via


def _answered(line: LineAddress, published: tuple[Network, ...]) -> list[int]:
    blocks = (range(block.address, block.broadcast + 1) for block in published)
    own = {address for block in blocks for address in block if address in line.network}
    return sorted({line.address} | own)
