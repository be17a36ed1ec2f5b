"""What the configuration says about names on the LAN, in the words of who serves them."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from router.config import Config
from router.host.dataplane.loop import DataPlane
from router.host.lines.supervisor import LineSupervisor
from router.host.names.dnsmasq import Dhcp, Dnsmasq, LanHost, LanNames, find
from router.host.names.service import NameService

__all__ = ["lan_names", "require_dnsmasq", "serving_names"]


def require_dnsmasq(config: Config) -> None:
    """Raise DeviceError if the configuration asks for dnsmasq and there is none."""
    if config.lan.dns:
        find()


@asynccontextmanager
async def serving_names(
    config: Config, dataplane: DataPlane, supervisor: LineSupervisor
) -> AsyncIterator[NameService | None]:
    """Serve names meanwhile, if the configuration says so; raises DeviceError."""
    if not config.lan.dns:
        yield None
        return
    lan, folder = config.lan, config.router.state_dir.absolute()
    service = NameService(
        Dnsmasq(find(), lan_names(config), folder, lan.netns),
        lan.netns,
        lan.address.address,
        lan.tun,
        dataplane,
        supervisor.line,
        random.SystemRandom(),
    )
    try:
        await service.open()
        yield service
    finally:
        await service.close()


def lan_names(config: Config) -> LanNames:
    """Return what dnsmasq is told."""
    lan, dhcp = config.lan, config.lan.dhcp
    hosts = (
        LanHost(host.name, host.address, host.mac or "")
        for host in config.hosts
        if host.address is not None
    )
    return LanNames(
        lan.address.address,
        lan.address.network,
        lan.domain,
        tuple(hosts),
        None if dhcp is None else Dhcp(dhcp.first, dhcp.last, dhcp.lease),
    )
