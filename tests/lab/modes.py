"""Every way in which a machine may be plumbed, by name: what is there before, and what rises."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from router.host.machine import netns
from router.host.machine.journal import Journal
from router.host.machine.plumbing import (
    LanNic,
    LanSide,
    LineAddress,
    Plumbing,
    WanLink,
    WanSide,
)
from router.routing import LanRoute
from router.wire.address import Network, parse_address
from tests.lab.box import Box
from tests.lab.plumbed import a_line

LAN = Network.parse("192.168.1.0/24")
PUBLISHED = (Network.parse("203.0.113.16/30"), Network.parse("198.51.100.8/29"))
ROUTES = (
    LanRoute(Network.parse("192.168.7.0/24"), parse_address("192.168.1.254")),
    LanRoute(Network.parse("192.168.8.0/24")),
)
ISP, BACKUP = WanLink("isp", "eth2"), WanLink("backup", "ppp0", comes_and_goes=True)
PEER_TO_PEER = LineAddress(parse_address("100.64.0.7"), 32, 1400)


def lan_nic(device: str = "eth1", routes: tuple[LanRoute, ...] = ROUTES) -> LanNic:
    return LanNic(device, parse_address("192.168.1.1"), LAN, routes)


def wan_side(box: Box, *links: WanLink) -> WanSide:
    return WanSide("wan0", box.wan, links or (ISP,), PUBLISHED)


def bare(namespace: str, mtu: int = 1500) -> WanSide:
    return WanSide("wan0", namespace, (WanLink("isp", mtu=mtu),))


def nothing() -> None: ...


@dataclass
class Mode:
    """Both sides, the lines that rise one after the other, and what their programs do."""

    lan: LanSide
    wan: WanSide
    lines: dict[str, LineAddress] = field(default_factory=lambda: {"isp": a_line()})
    dialled: Callable[[], object] = nothing
    hung_up: Callable[[], object] = nothing

    def plumbing(self, journal: Journal) -> Plumbing:
        return Plumbing(self.lan, self.wan, journal)

    def rise(self, plumbing: Plumbing) -> None:
        self.dialled()
        for name, line in self.lines.items():
            plumbing.admit(name)
            plumbing.raise_line(name, line)

    def up(self, journal: Journal) -> Plumbing:
        plumbing = self.plumbing(journal)
        plumbing.apply()
        self.rise(plumbing)
        return plumbing


def dialling(box: Box) -> tuple[Callable[[], object], Callable[[], object]]:
    """What a program does that makes its own device, which is no card and has no ARP."""
    make, take_away = "tuntap add ppp0 mode tun", "link del ppp0"
    return (
        lambda: box.ip(box.wan, *make.split()),
        lambda: box.ip(box.wan, *take_away.split()),
    )


MODES: dict[str, Callable[[Box], Mode]] = {}


def mode(make: Callable[[Box], Mode]) -> Callable[[Box], Mode]:
    MODES[make.__name__.replace("_", " ")] = make
    return make


@mode
def two_tuns_here(_: Box) -> Mode:
    return Mode(LanSide("lan0", 1500), bare(""))


@mode
def two_tuns_and_a_new_namespace(box: Box) -> Mode:
    return Mode(LanSide("lan0", 1500), bare(box.wan, 1400))


@mode
def two_tuns_each_in_a_new_namespace(box: Box) -> Mode:
    return Mode(LanSide("lan0", 1500, box.extra), bare(box.wan))


@mode
def two_tuns_in_one_new_namespace(box: Box) -> Mode:
    return Mode(LanSide("lan0", 1500, box.wan), bare(box.wan))


@mode
def two_persistent_tuns(box: Box) -> Mode:
    netns.create(box.wan)
    for name, tun, address in ((box.box, "lan0", "10.1.1.1/24"), (box.wan, "wan0", "10.2.2.2/24")):
        box.ip(name, "tuntap", "add", tun, "mode", "tun")
        box.ip(name, "addr", "add", address, "dev", tun)
    return Mode(LanSide("lan0", 1500), bare(box.wan, 1400))


@mode
def lan_nic_and_wan_tun(box: Box) -> Mode:
    return Mode(LanSide("lan0", 1500, nic=lan_nic()), bare(box.wan))


@mode
def lan_tun_and_wan_nic(box: Box) -> Mode:
    return Mode(LanSide("lan0", 1500), wan_side(box))


@mode
def two_nics(box: Box) -> Mode:
    return Mode(LanSide("lan0", 1500, nic=lan_nic()), wan_side(box))


@mode
def two_nics_on_a_strict_machine(box: Box) -> Mode:
    box.sysctl("net.ipv4.conf.all.rp_filter=1", "net.ipv4.conf.eth2.rp_filter=2")
    return two_nics(box)


@mode
def two_nics_on_a_machine_that_forwards(box: Box) -> Mode:
    box.sysctl("net.ipv4.ip_forward=1")
    return two_nics(box)


@mode
def two_nics_that_are_down_and_bare(box: Box) -> Mode:
    for device in ("eth1", "eth2"):
        box.ip(box.box, "addr", "flush", "dev", device)
        box.ip(box.box, "link", "set", device, "down")
    return two_nics(box)


@mode
def a_line_without_a_gateway(box: Box) -> Mode:
    return Mode(LanSide("lan0", 1500), wan_side(box), {"isp": a_line(gateway=None)})


@mode
def a_gateway_off_the_link(box: Box) -> Mode:
    return Mode(LanSide("lan0", 1500), wan_side(box), {"isp": a_line(gateway="192.0.2.254")})


@mode
def a_line_that_is_down(box: Box) -> Mode:
    return Mode(LanSide("lan0", 1500), wan_side(box), {})


@mode
def a_bridge_on_the_lan(box: Box) -> Mode:
    box.ip(box.box, "link", "add", "br0", "type", "bridge")
    box.ip(box.box, "link", "set", "br0", "up")
    box.ip(box.box, "addr", "flush", "dev", "eth1")
    box.ip(box.box, "link", "set", "eth1", "master", "br0")
    return Mode(LanSide("lan0", 1500, nic=lan_nic("br0")), wan_side(box))


@mode
def a_wan_namespace_somebody_made(box: Box) -> Mode:
    netns.create(box.wan)
    return two_nics(box)


@mode
def a_wan_device_already_in_its_namespace(box: Box) -> Mode:
    netns.create(box.wan)
    box.ip(box.box, "link", "set", "eth2", "netns", box.wan)
    return two_nics(box)


@mode
def a_line_set_up_by_hand(box: Box) -> Mode:
    netns.create(box.wan)
    box.ip(box.box, "link", "set", "eth2", "netns", box.wan)
    box.ip(box.wan, "addr", "add", "203.0.113.2/24", "dev", "eth2")
    box.ip(box.wan, "link", "set", "eth2", "up")
    box.ip(box.wan, "route", "add", "default", "via", "203.0.113.1")
    box.ip(box.wan, "route", "add", "203.0.113.0/24", "dev", "eth2", "src", "203.0.113.2",
           "table", "101")  # fmt: skip
    box.ip(box.wan, "neigh", "add", "proxy", "203.0.113.2", "dev", "eth2")
    box.ip(box.wan, "rule", "add", "pref", "13", "iif", "eth2", "blackhole")
    box.ip(box.box, "rule", "add", "pref", "10000", "iif", "eth1", "lookup", "29298")
    return two_nics(box)


@mode
def a_line_whose_device_is_made_when_it_rises(box: Box) -> Mode:
    netns.create(box.wan)
    return Mode(
        LanSide("lan0", 1500),
        wan_side(box, BACKUP),
        {"backup": PEER_TO_PEER},
        *dialling(box),
    )


@mode
def two_lines_at_once(box: Box) -> Mode:
    netns.create(box.wan)
    return Mode(
        LanSide("lan0", 1500, nic=lan_nic()),
        wan_side(box, ISP, BACKUP),
        {"backup": PEER_TO_PEER, "isp": a_line()},
        *dialling(box),
    )


@mode
def a_line_that_gets_another_address(box: Box) -> Mode:
    made = two_nics(box)

    class Renumbering(Mode):
        def rise(self, plumbing: Plumbing) -> None:
            super().rise(plumbing)
            plumbing.raise_line("isp", a_line("203.0.113.77"))

    return Renumbering(made.lan, made.wan)


def wan_state(box: Box) -> set[str]:
    """Return everything plumbing may touch in the WAN namespace, without what `Box.state` omits."""
    told = ("rule", "route show table all", "-o addr", "neigh show proxy")
    shown = [box.ip(box.wan, *what.split()) for what in told]
    links = box.ip(box.wan, "-o", "link").replace(",LOWER_UP", "").replace("NO-CARRIER,", "")
    shown += [line.split(" qdisc ")[0] for line in links.splitlines()]
    with netns.inside(box.wan):
        settings = ("forwarding", "proxy_delay", "disable_ipv6")
        paths = [path for name in settings for path in Path("/proc/sys/net").glob(f"*/*/*/{name}")]
        shown += [f"{path} = {path.read_text()}" for path in paths]
    return {line for text in shown for line in text.splitlines()}
