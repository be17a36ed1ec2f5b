"""What each LAN host may do with the line, and what people call it."""

from collections.abc import Callable, Sequence
from datetime import datetime

from router.devices import Neighbours
from router.link.schedule import contains
from router.link.types import HostRight, Right
from router.wire.address import format_address

__all__ = ["Rights"]


class Rights:
    """Knows hosts by address first, then by MAC; the first entry of either counts."""

    def __init__(self, hosts: Sequence[HostRight], default: Right, neighbours: Neighbours) -> None:
        self._default = default
        self._neighbours = neighbours
        self._by_address: dict[int, HostRight] = {}
        self._by_mac: dict[str, HostRight] = {}
        for host in hosts:
            if host.address is not None:
                self._by_address.setdefault(host.address, host)
            if host.mac is not None:
                self._by_mac.setdefault(host.mac, host)

    def right_of(self, address: int, civil: Callable[[], datetime]) -> Right:
        """Return what a host may do; `civil` is asked for the time if its right depends on that."""
        host = self._host(address)
        if host is None:
            return self._default
        if not host.exceptions:
            return host.right
        moment = civil()
        for span, right in host.exceptions:
            if contains(span, moment):
                return right
        return host.right

    def name_of(self, address: int) -> str:
        """Return a host's name, its address as text if it has none."""
        host = self._host(address)
        return host.name if host is not None and host.name else format_address(address)

    def mac_of(self, address: int) -> str:
        """Return a host's MAC address, "" where it is not known."""
        return self._neighbours.mac_of(address)

    def _host(self, address: int) -> HostRight | None:
        host = self._by_address.get(address)
        if host is None and self._by_mac:
            host = self._by_mac.get(self._neighbours.mac_of(address))
        return host
