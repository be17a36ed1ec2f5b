"""Small networks to try a forwarder in: few hosts, few ports, few remotes, so that all collide."""

from dataclasses import dataclass, field

from router.devices import KernelHops
from router.forwarder import ForwarderConfig
from router.nat.types import DefaultHost, ForwardRule, NatConfig, OneToOne, Routed, Timeouts
from router.routing import LanRoute, RoutingConfig
from router.wire.address import Network, parse_address
from tests.lab.links import ONE_LINE
from tests.properties.frames import TCP, UDP

LINE, OTHER_LINE = parse_address("203.0.113.2"), parse_address("203.0.113.3")
REMOTES = tuple(map(parse_address, ("198.51.100.10", "198.51.100.20", "93.184.216.34")))
PORTS = (53, 80, 1023, 4000, 4001, 65535)

# Short enough for a few steps of time to reach every end, in the order of the real ones.
TIMEOUTS = Timeouts(
    udp=30.0, tcp_established=90.0, tcp_transitory=24.0, icmp=6.0, other=8.0,
    unsolicited_syn=6.0, fragment=15.0, port_quarantine=12.0,
)  # fmt: skip


@dataclass(frozen=True)
class Site:
    """A router and what is around it; `external` are all addresses it may use outside."""

    name: str
    lan: tuple[Network, ...]
    hosts: tuple[int, ...]
    external: tuple[Network, ...]
    nat: NatConfig = field(default_factory=NatConfig)
    lan_mtu: int = 1500
    line_mtu: int = 1500
    hops: KernelHops = field(default_factory=KernelHops)

    def config(self, *, fastpath: bool = True) -> ForwarderConfig:
        first, *further = self.lan
        gateway = first.address + 254
        routes = tuple(LanRoute(network, gateway) for network in further)
        return ForwarderConfig(
            routing=RoutingConfig(first.address + 1, first, routes),
            links=ONE_LINE,
            nat=self.nat,
            lan_mtu=self.lan_mtu,
            hops=self.hops,
            fastpath=fastpath,
        )

    def is_private(self, address: int) -> bool:
        """Whether `address` must not be seen outside."""
        return any(address in network for network in self.lan) and not self.is_external(address)

    def is_external(self, address: int) -> bool:
        return any(address in network for network in self.external)


def _hosts(*texts: str) -> tuple[int, ...]:
    return tuple(map(parse_address, texts))


_LAN = (Network.parse("192.168.1.0/24"), Network.parse("192.168.7.0/24"))
_HOSTS = _hosts("192.168.1.10", "192.168.1.11", "192.168.7.12")
_BLOCK = Network.parse("198.18.0.8/30")
_PUBLIC = Network.parse("198.18.1.0/24")

MASQUERADE = Site("masquerade", _LAN, _HOSTS, (Network(LINE, 32),), NatConfig(timeouts=TIMEOUTS))
ONE_TO_ONE = Site(
    "one-to-one",
    _LAN,
    _HOSTS,
    (_BLOCK,),
    NatConfig(timeouts=TIMEOUTS, address=OneToOne((_BLOCK,), ((_HOSTS[0], _BLOCK.address + 1),))),
)
ROUTED = Site(
    "routed",
    (_PUBLIC,),
    _hosts("198.18.1.10", "198.18.1.11", "198.18.1.12"),
    (_PUBLIC, Network(LINE, 32)),
    NatConfig(timeouts=TIMEOUTS, address=Routed()),
)
SITES = (MASQUERADE, ONE_TO_ONE, ROUTED)


def forward_sets(site: Site) -> tuple[tuple[ForwardRule | DefaultHost, ...], ...]:
    """Return a few sets of rules, from none to everything."""
    first, second, third = site.hosts
    web = ForwardRule(TCP, 80, 80, first, 8080)
    range_ = ForwardRule(UDP, 4000, 4001, second, 4000, (Network(REMOTES[0], 32),))
    dns = ForwardRule(UDP, 53, 53, first, 53)
    return (), (web, range_, dns), (web, DefaultHost(third))
