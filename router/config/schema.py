"""The sections and keys of a configuration file, with their defaults.

`links` has those of the lines, `demand` those about who may use them.

Attributes are the keys. What this version does not do has no key here, so that nothing in a
file is silently without effect. `etc/router.toml` explains each key to the people who set it.
"""

from pathlib import Path

from pydantic import Field

from router.config.demand import (
    BreakerSection,
    BudgetSection,
    HostSection,
    PolicySection,
    ScheduleSection,
)
from router.config.linevalues import UseRight
from router.config.links import DEFAULT_MTU, Link
from router.config.section import Section
from router.config.values import (
    Address,
    AddressMode,
    Count,
    DeviceName,
    Domain,
    Duration,
    FilePath,
    Filtering,
    Flag,
    Interface,
    Mapping,
    Mtu,
    NamespaceName,
    PortRange,
    PositiveDuration,
    Route,
    Size,
    SocketAddress,
    SynPolicy,
    TimeZone,
)
from router.link.types import Right
from router.nat.types import Limits, NatConfig, Timeouts

__all__ = [
    "DhcpSection",
    "LanSection",
    "LimitsSection",
    "NatSection",
    "RouterFile",
    "RouterSection",
    "TimeoutsSection",
    "WanSection",
]

_TIMEOUTS = Timeouts()
_LIMITS = Limits()
_NAT = NatConfig()
_LEASE_S = 43200.0  # seconds: half a day, so that who comes back after lunch has his address


class RouterSection(Section):
    """`[router]`: where the program keeps its own things."""

    state_dir: FilePath = Path("/var/lib/postroad")
    control: FilePath = Path("/run/postroad/control.sock")
    control_tcp: SocketAddress | None = None
    token_file: FilePath | None = None
    forward_rules: FilePath | None = None
    timezone: TimeZone | None = None


class DhcpSection(Section):
    """`[lan.dhcp]`: addresses for hosts that ask for one."""

    first: Address = Field(alias="from", examples=["192.168.1.100"])
    last: Address = Field(alias="to", examples=["192.168.1.199"])
    lease: PositiveDuration = _LEASE_S


class LanSection(Section):
    """`[lan]`: the side with the hosts."""

    address: Interface = Field(examples=["192.168.1.1/24"])
    device: DeviceName | None = None
    netns: NamespaceName = ""
    tun: DeviceName = "lan0"
    mtu: Mtu = DEFAULT_MTU
    routes: tuple[Route, ...] = ()
    dial: UseRight = Right.MAY_DIAL
    dns: Flag = False
    domain: Domain = "lan"
    dhcp: DhcpSection | None = None


class WanSection(Section):
    """`[wan]`: the side with the provider."""

    netns: NamespaceName = "postroad-wan"
    tun: DeviceName = "wan0"


class TimeoutsSection(Section):
    """`[nat.timeouts]`: `Timeouts`, key for key."""

    udp: PositiveDuration = _TIMEOUTS.udp
    tcp_established: PositiveDuration = _TIMEOUTS.tcp_established
    tcp_transitory: PositiveDuration = _TIMEOUTS.tcp_transitory
    icmp: PositiveDuration = _TIMEOUTS.icmp
    other: PositiveDuration = _TIMEOUTS.other
    unsolicited_syn: Duration = _TIMEOUTS.unsolicited_syn
    fragment: PositiveDuration = _TIMEOUTS.fragment
    port_quarantine: Duration = _TIMEOUTS.port_quarantine


class LimitsSection(Section):
    """`[nat.limits]`: `Limits`, key for key."""

    sessions: Count = _LIMITS.sessions
    sessions_per_host: Count = _LIMITS.sessions_per_host
    inbound_sessions: Count = _LIMITS.inbound_sessions
    inbound_sessions_per_host: Count = _LIMITS.inbound_sessions_per_host
    unsolicited_syns: Count = _LIMITS.unsolicited_syns
    fragmented_datagrams: Count = _LIMITS.fragmented_datagrams
    fragment_bytes: Size = _LIMITS.fragment_bytes
    icmp_errors_per_second: Count = _LIMITS.icmp_errors_per_second


class NatSection(Section):
    """`[nat]`: `NatConfig`, and whether the line's address answers ping."""

    mapping: Mapping = _NAT.mapping
    filtering: Filtering = _NAT.filtering
    address: AddressMode = _NAT.address
    port_preservation: Flag = _NAT.port_preservation
    port_parity: Flag = _NAT.port_parity
    dynamic_ports: PortRange = _NAT.dynamic_ports
    hairpinning: Flag = _NAT.hairpinning
    inbound_refresh: Flag = _NAT.inbound_refresh
    unsolicited_syn: SynPolicy = _NAT.unsolicited_syn
    answer_ping: Flag = True
    timeouts: TimeoutsSection = TimeoutsSection()
    limits: LimitsSection = LimitsSection()


class RouterFile(Section):
    """The whole file. A section that cannot do without being set is None until it is."""

    router: RouterSection = RouterSection()
    lan: LanSection | None = None
    wan: WanSection = WanSection()
    link: tuple[Link, ...] = ()
    host: tuple[HostSection, ...] = ()
    policy: tuple[PolicySection, ...] = ()
    budget: BudgetSection = BudgetSection()
    breaker: BreakerSection = BreakerSection()
    schedule: tuple[ScheduleSection, ...] = ()
    nat: NatSection = NatSection()
