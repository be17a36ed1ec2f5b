"""What sections must be to each other: names that differ, hosts that fit, timers long enough.

Every check yields `KEY: SENTENCE`. Sections that are not sound by themselves are named in
`damaged` and stand at their defaults; what depends on them is not judged.
"""

from collections.abc import Collection, Iterator, Sequence

from router.config.addresses import (
    block_problems,
    lan_problems,
    link_problems,
    routing_of,
)
from router.config.demand import HostSection
from router.config.linechecks import line_problems
from router.config.links import LinkSection
from router.config.namechecks import name_problems, server_problems
from router.config.problems import key_path
from router.config.schema import LanSection, RouterFile, RouterSection, TimeoutsSection
from router.config.section import Section
from router.nat.types import DefaultHost, ForwardRule, OneToOne
from router.routing import Place, RoutingTable
from router.units import format_duration
from router.wire.address import format_address

__all__ = ["cross_problems", "forward_problems", "timeout_warnings"]

# The shortest idle times the RFCs allow, in seconds.
_FLOORS = {
    "udp": (120, "RFC 4787 REQ-5"),
    "tcp_established": (7440, "RFC 5382 REQ-5"),
    "tcp_transitory": (240, "RFC 5382 REQ-5"),
    "icmp": (60, "RFC 5508 REQ-2"),
    "unsolicited_syn": (6, "RFC 5382 REQ-4"),
}


def cross_problems(file: RouterFile, damaged: Collection[str]) -> Iterator[str]:
    """Yield what is wrong between the sections of a file."""
    if file.lan is None and "lan" not in damaged:
        yield 'lan: is missing; the file needs [lan] with address = "192.168.1.1/24" or the like'
    if not file.link and "link" not in damaged:
        yield "link: is missing; the file needs a [[link]] for each line"
    if file.lan is not None:
        yield from lan_problems(file.lan)
        yield from _placement_problems(file.host, file.lan)
        yield from link_problems(file.link, file.lan)
        yield from name_problems(file.lan, file.host)
        yield from server_problems(file.link, file.lan)
    yield from _control_problems(file.router, file.lan)
    yield from _host_problems(file.host)
    yield from _repeated("link", file.link, "name", "device")
    yield from line_problems(file.link)
    if "wan" not in damaged:
        yield from _device_problems(file)
    if "nat" not in damaged:
        yield from _nat_problems(file)


def forward_problems(rules: Sequence[ForwardRule | DefaultHost], lan: LanSection) -> Iterator[str]:
    """Yield `ORIGIN: SENTENCE` for each rule that leads elsewhere than to a host of the LAN."""
    table = RoutingTable(routing_of(lan))
    for rule in rules:
        if table.lookup(rule.internal_address).place is not Place.LAN:
            yield f"{rule.origin}: {_no_lan_host(rule.internal_address, lan)}"


def timeout_warnings(timeouts: TimeoutsSection) -> Iterator[str]:
    """Yield what is allowed, but shorter than the RFCs ask for."""
    for key, (floor, clause) in _FLOORS.items():
        seconds = int(getattr(timeouts, key))
        if seconds < floor:
            yield (
                f"{key_path('nat', 'timeouts', key)}: {format_duration(seconds)} is less than"
                f" the {format_duration(floor)} of {clause}"
            )


def _no_lan_host(address: int, lan: LanSection) -> str:
    networks = ", ".join(map(str, routing_of(lan).lan_networks))
    return f"{format_address(address)} is not the address of a LAN host, in {networks}"


def _control_problems(router: RouterSection, lan: LanSection | None) -> Iterator[str]:
    listens = router.control_tcp
    if listens is None:
        return
    if router.token_file is None:
        yield "router.control_tcp: needs a token_file; who has the token in it is let in"
    if lan is not None and listens.address != lan.address.address:
        own = format_address(lan.address.address)
        yield (
            f"router.control_tcp: {format_address(listens.address)} is not the router's LAN"
            f" address, {own}"
        )


def _placement_problems(hosts: Sequence[HostSection], lan: LanSection) -> Iterator[str]:
    table = RoutingTable(routing_of(lan))
    for index, host in enumerate(hosts):
        if host.address is not None and table.lookup(host.address).place is not Place.LAN:
            yield f"{key_path('host', index, 'address')}: {_no_lan_host(host.address, lan)}"


def _host_problems(hosts: Sequence[HostSection]) -> Iterator[str]:
    for index, host in enumerate(hosts):
        if host.address is None and host.mac is None:
            yield f"{key_path('host', index)}: needs an address or a mac to be known by"
    yield from _repeated("host", hosts, "address", "mac", "name", "external")


def _repeated(section: str, items: Sequence[Section], *keys: str) -> Iterator[str]:
    for key in keys:
        first: dict[object, int] = {}
        for index, item in enumerate(items):
            value = getattr(item, key)
            if value is not None and first.setdefault(value, index) != index:
                shown = format_address(value) if isinstance(value, int) else value
                yield (
                    f"{key_path(section, index, key)}: {shown} is already the {key} of"
                    f" {key_path(section, first[value])}; each {section} has its own"
                )


def _nat_problems(file: RouterFile) -> Iterator[str]:
    mode = file.nat.address
    blocks = mode.blocks if isinstance(mode, OneToOne) else ()
    yield from block_problems(blocks, file.lan, file.link)
    for index, host in enumerate(file.host):
        key = key_path("host", index, "external")
        if host.external is None:
            continue
        if host.address is None:
            yield f"{key}: needs the host's address, which is translated to it"
        if not blocks:
            yield f'{key}: needs one-to-one addresses, such as nat.address = ["198.51.100.8/29"]'
        elif not any(host.external in block for block in blocks):
            inside = ", ".join(map(str, blocks))
            yield f"{key}: {format_address(host.external)} is not in nat.address, {inside}"


def _device_problems(file: RouterFile) -> Iterator[str]:
    lan, wan = file.lan, file.wan
    for index, link in enumerate(file.link):
        key = key_path("link", index, "device")
        if link.device == wan.tun:
            yield f"{key}: {link.device} is already the name of wan.tun; the TUN needs its own"
        for name, card in (("device", link.device), ("line", link.carrier)):
            if lan is not None and lan.netns == "" and card == lan.device is not None:
                key = key_path("link", index, name)
                yield f"{key}: {card} is already lan.device; the sides need a card each"
    if lan is None:
        return
    if lan.device == lan.tun:
        yield f"lan.device: {lan.device} is already the name of lan.tun; the TUN needs its own"
    if lan.netns == wan.netns:
        yield from _shared_namespace(lan, file.link, wan.tun)


def _shared_namespace(lan: LanSection, links: Sequence[LinkSection], wan_tun: str) -> Iterator[str]:
    if lan.tun == wan_tun:
        yield f"wan.tun: {wan_tun} is already lan.tun in the same namespace; choose another name"
    if lan.device or any(link.device for link in links):
        yield (
            "wan.netns: is that of the LAN; with a device on either side"
            " the line needs a namespace of its own"
        )
    elif len(links) > 1:
        yield "wan.netns: is that of the LAN; several links need a namespace of their own"
