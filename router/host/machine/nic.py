"""A network card moved into another namespace, and brought home as it was.

The kernel takes a device down and strips it of addresses, routes and settings whenever it
changes namespace. What it had is noted before the move, and put back after its return: static
addresses, the routes through it in every table, its settings, its number, and whether it was up.
What the kernel makes by itself from these (connected routes, IPv6 link-local addresses, what
routers advertise) comes back by itself. Multipath routes, static neighbours and queueing
disciplines do not.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyroute2
from pyroute2.netlink.exceptions import NetlinkError

from router.errors import DeviceError
from router.host.machine import netns as namespaces
from router.host.machine.changes import Entry, LostError, Spec, below_sysctls, index_of, reporting
from router.host.machine.rtnetlink import (
    IFF_UP,
    RTNH_F_ONLINK,
    RTPROT_KERNEL,
    SCOPE_LINK,
    TABLE_LOCAL,
)

__all__ = ["MovedNic", "note_nic"]

_SETTING_DIRS = ("net/ipv4/conf", "net/ipv4/neigh", "net/ipv6/conf", "net/ipv6/neigh")
_IFA_F_PERMANENT = 0x80  # linux/if_addr.h, as the next
_CHOSEN_FLAGS = 0x200 | 0x02  # NOPREFIXROUTE and NODAD: the rest is the kernel's to say
_RTPROT_RA = 9  # linux/rtnetlink.h, as the next
_FAMILIES = (socket.AF_INET, socket.AF_INET6)


@dataclass(frozen=True)
class MovedNic:
    """A device moved from namespace `netns` into `target`, and how it was before."""

    netns: str
    device: str
    target: str
    index: int
    up: bool
    settings: dict[str, str]
    entries: tuple[Entry, ...]
    kind: Literal["moved-nic"] = "moved-nic"

    def __post_init__(self) -> None:
        for key in self.settings:
            below_sysctls(key)

    def __str__(self) -> str:
        return f"network device {self.device} into namespace {self.target}"

    def apply(self) -> None:
        """Move the device; raises DeviceError."""
        with reporting(f"cannot move {self}"):
            _move(self.device, self.netns, self.target)

    def undo(self) -> None:
        """Bring the device home from wherever it is and restore it.

        Raises DeviceError, and LostError when it is in neither place.
        """
        with reporting(f"cannot move network device {self.device} back"):
            if self._is_in(self.target):
                _move(self.device, self.target, self.netns, index=self.index)
        if not self._is_in(self.netns):
            home = namespaces.place(self.netns) or " at home"
            raise LostError(
                f"network device {self.device} is neither in namespace {self.target} nor{home}: "
                "it cannot be restored"
            )
        self._restore()

    def _is_in(self, netns: str) -> bool:
        if not namespaces.exists(netns):
            return False
        with namespaces.netlink(netns) as netlink:
            return bool(netlink.link_lookup(ifname=self.device))

    def _restore(self) -> None:
        with namespaces.inside(self.netns):
            for key, value in self.settings.items():
                path = below_sysctls(key)
                with suppress(OSError):  # some are read-only, some limited by others
                    if path.read_text() != value:
                        path.write_text(value)
        with (
            reporting(f"cannot restore network device {self.device}"),
            namespaces.netlink(self.netns) as netlink,
        ):
            state = "up" if self.up else "down"
            netlink.link("set", index=index_of(netlink, self.device), state=state)
        for entry in self.entries:
            Entry(entry.netns, entry.table, entry.spec, entry.device, present=False).undo()


def note_nic(netns: str, device: str, target: str) -> MovedNic:
    """Return the move of a device to `target`, with its present state noted.

    Raises DeviceError when it is a port of a bridge or bond.
    """
    with namespaces.netlink(netns) as netlink:
        index = index_of(netlink, device)
        (link,) = netlink.get_links(index=index)
        if link.get("master"):
            raise DeviceError(f"network device {device} is a port of another device; free it first")
        entries = [
            *(Entry(netns, "addr", spec, device) for spec in _addresses(netlink, index)),
            *(Entry(netns, "route", spec, device) for spec in _routes(netlink, index)),
        ]
        up = bool(link["flags"] & IFF_UP)
        return MovedNic(netns, device, target, index, up, _settings(device), tuple(entries))


def _move(device: str, home: str, target: str, index: int = 0) -> None:
    with namespaces.inside(target):
        there = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        with namespaces.netlink(home) as netlink:
            here = index_of(netlink, device)
            if index:
                with suppress(NetlinkError):  # another device has that number meanwhile
                    netlink.link("set", index=here, net_ns_fd=there, new_ifindex=index)
                    return
            netlink.link("set", index=here, net_ns_fd=there)
    finally:
        os.close(there)


def _settings(device: str) -> dict[str, str]:
    """Return the settings of the device that are not the ones every new device gets."""
    found = {}
    for directory in _SETTING_DIRS:
        base = Path("/proc/sys", directory)
        for file in sorted((base / device).glob("*")):
            value = _read(file)
            if value is not None and value != _read(base / "default" / file.name):
                found[f"{directory}/{device}/{file.name}"] = value
    return found


def _read(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:  # missing, or not to be read until it has been set
        return None


def _addresses(netlink: pyroute2.IPRoute, index: int) -> Iterator[Spec]:
    for family in _FAMILIES:
        for address in netlink.get_addr(index=index, family=family):
            flags = address.get("flags")
            if family == socket.AF_INET6 and (
                address["scope"] == SCOPE_LINK or not flags & _IFA_F_PERMANENT
            ):
                continue  # the kernel and the routers around make these
            spec: Spec = {
                "family": family,
                "prefixlen": address["prefixlen"],
                "scope": address["scope"],
                "flags": flags & _CHOSEN_FLAGS,
            }
            for name in ("address", "local", "broadcast", "label"):
                if address.get(name) is not None:
                    spec[name] = address.get(name)
            lifetimes = address.get("cacheinfo")
            spec["preferred_lft"] = lifetimes["ifa_preferred"]
            spec["valid_lft"] = lifetimes["ifa_valid"]
            yield spec


def _routes(netlink: pyroute2.IPRoute, index: int) -> list[Spec]:
    specs = []
    for family in _FAMILIES:
        for route in netlink.get_routes(family=family, oif=index):
            own = route["proto"] in (RTPROT_KERNEL, _RTPROT_RA)
            if not own and route.get("table") != TABLE_LOCAL:
                specs.append(_route_spec(route))
    # A gateway must be reachable when its route is added: first what needs none.
    return sorted(specs, key=lambda spec: "gateway" in spec)


def _route_spec(route: Any) -> Spec:
    spec: Spec = {key: route[key] for key in ("family", "dst_len", "tos", "proto", "scope", "type")}
    spec["flags"] = route["flags"] & RTNH_F_ONLINK
    for name in ("table", "dst", "gateway", "prefsrc", "priority"):
        if route.get(name) is not None:
            spec[name] = route.get(name)
    metrics = route.get("metrics")
    if metrics:
        spec["metrics"] = {name[5:].lower(): value for name, value in metrics["attrs"]}
    return spec
