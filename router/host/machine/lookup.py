"""Whether the kernel has an address, a route, a policy rule or a neighbour already.

Asked in the words in which one would be added (`changes.Entry`), about IPv4. What the words do not
mention may be anything: an entry somebody else set up with a metric or a lifetime is found, too.
"""

import errno
import socket
from collections.abc import Iterable
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.rtnl.fibmsg import FR_ACT_NAMES

from router.host.machine.rtnetlink import TABLE_MAIN

__all__ = ["has_entry"]


def has_entry(netlink: IPRoute, table: str, spec: dict[str, Any], index: int | None) -> bool:
    """Return whether one of the kernel's tables has it; `index` is its device's number.

    Raises NetlinkError.
    """
    return _ASK[table](netlink, spec, index)


def _has_address(netlink: IPRoute, spec: dict[str, Any], index: int | None) -> bool:
    return any(_like(spec, netlink.get_addr(family=socket.AF_INET, index=index)))


def _has_route(netlink: IPRoute, spec: dict[str, Any], index: int | None) -> bool:
    network, _, length = spec["dst"].partition("/")
    wanted = {"table": TABLE_MAIN, **spec, "dst_len": int(length)}
    wanted["dst"] = network if wanted["dst_len"] else None
    flags = wanted.pop("flags", 0)
    routes = netlink.get_routes(family=socket.AF_INET, table=wanted["table"], oif=index)
    return any(route["flags"] & flags == flags for route in _like(wanted, routes))


def _has_rule(netlink: IPRoute, spec: dict[str, Any], _index: int | None) -> bool:
    wanted = dict(spec)
    if "action" in wanted:
        wanted["action"] = FR_ACT_NAMES[f"FR_ACT_{wanted['action'].upper()}"]
    return any(_like(wanted, netlink.get_rules(family=socket.AF_INET)))


def _has_neighbour(netlink: IPRoute, spec: dict[str, Any], index: int | None) -> bool:
    try:
        return any(netlink.neigh("get", family=socket.AF_INET, ifindex=index, **spec))
    except NetlinkError as error:
        if error.code != errno.ENOENT:
            raise
        return False


def _like(wanted: dict[str, Any], entries: Iterable[Any]) -> Iterable[Any]:
    """Return the entries with these values; the kernel leaves out what is 0."""
    return (
        entry
        for entry in entries
        if all((entry.get(key) or 0) == (value or 0) for key, value in wanted.items())
    )


_ASK = {"addr": _has_address, "route": _has_route, "rule": _has_rule, "neigh": _has_neighbour}
