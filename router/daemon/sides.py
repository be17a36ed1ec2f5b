"""What the configuration says about the machine's two sides, in the words of who serves them."""

from collections.abc import Callable

from router.config import AnyLink, Config, PppLink, StaticLink
from router.daemon.ppp import ppp_backend
from router.devices import Neighbours
from router.host.lines.backend import Backend, LineAddress
from router.host.lines.command import CommandBackend, Commands
from router.host.lines.static import StaticBackend
from router.host.machine.neighbours import KernelNeighbours
from router.host.machine.plumbing import LanNic, LanSide, WanLink, WanSide
from router.host.ppp.wiretap import Wiretaps
from router.nat.types import Masquerade, OneToOne
from router.routing import Place, RoutingTable
from router.wire.address import Network

__all__ = ["backends", "lan_side", "neighbours", "wan_side"]


def lan_side(config: Config) -> LanSide:
    """Return where the LAN is."""
    lan = config.lan
    nic = None
    if lan.device is not None:
        nic = LanNic(lan.device, lan.address.address, lan.address.network, lan.routes)
    return LanSide(lan.tun, lan.mtu, lan.netns, nic)


def wan_side(config: Config) -> WanSide:
    """Return where the lines are."""
    links = tuple(map(_wan_link, config.links))
    return WanSide(config.wan.tun, config.wan.netns, links, _published(config))


def _wan_link(link: AnyLink) -> WanLink:
    return WanLink(
        link.name,
        link.device,
        link.mtu,
        comes_and_goes=not isinstance(link, StaticLink),
        made_here=isinstance(link, PppLink),
        carrier=link.carrier,
    )


def _published(config: Config) -> tuple[Network, ...]:
    """Return the networks that the provider finds behind the line's address."""
    mode = config.nat.address
    if isinstance(mode, Masquerade):
        return ()
    if isinstance(mode, OneToOne):
        return mode.blocks
    return config.routing().lan_networks


def neighbours(config: Config) -> Neighbours:
    """Return what knows the cards of LAN hosts; behind a bare TUN they have none."""
    return KernelNeighbours(config.lan.netns, config.lan.device)


def backends(config: Config, wiretaps: Wiretaps) -> dict[str, Backend]:
    """Return what raises each line, by link, in the order of preference."""
    table = RoutingTable(config.routing())

    def is_outside(address: int) -> bool:
        return table.lookup(address).place is Place.LINE

    return {
        link.name: _backend(link, config.wan.netns, wiretaps, is_outside) for link in config.links
    }


def _backend(
    link: AnyLink, netns: str, wiretaps: Wiretaps, is_outside: Callable[[int], bool]
) -> Backend:
    if isinstance(link, PppLink):
        return ppp_backend(link, netns, is_outside, wiretaps.on(link.name))
    if isinstance(link, StaticLink):
        address, network = link.address
        return StaticBackend(
            link.name,
            LineAddress(address, network.prefix, link.mtu, link.gateway, link.dns),
            netns=netns,
            device=link.device,
            status=link.status or (),
            status_interval_s=link.status_interval,
        )
    return CommandBackend(
        link.name,
        Commands(link.up, link.down, link.status or ()),
        netns=netns,
        device=link.device,
        mtu=link.mtu,
        status_interval_s=link.status_interval,
        hang_up_timeout_s=link.hang_up_timeout,
    )
