"""What the configuration says about the machine's two sides, in the words of the plumbing."""

from router.config import Config
from router.host.machine.plumbing import LanNic, LanSide, WanNic, WanSide
from router.nat.types import Masquerade, OneToOne
from router.wire.address import Network

__all__ = ["lan_side", "wan_side"]


def lan_side(config: Config) -> LanSide:
    """Return where the LAN is."""
    lan = config.lan
    nic = None
    if lan.device is not None:
        nic = LanNic(lan.device, lan.address.address, lan.address.network, lan.routes)
    return LanSide(lan.tun, lan.mtu, lan.netns, nic)


def wan_side(config: Config) -> WanSide:
    """Return where the line is."""
    (link,) = config.links
    nic = None
    if link.device is not None:
        own = link.address
        nic = WanNic(link.device, own.address, own.network, link.gateway, _published(config))
    return WanSide(config.wan.tun, link.mtu, config.wan.netns, nic)


def _published(config: Config) -> tuple[Network, ...]:
    """Return the networks that the provider finds behind the line's address."""
    mode = config.nat.address
    if isinstance(mode, Masquerade):
        return ()
    if isinstance(mode, OneToOne):
        return mode.blocks
    return config.forwarder_config().routing.lan_networks
