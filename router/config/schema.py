"""The sections and keys of a configuration file, with their defaults.

Attributes are the keys. What this version does not do has no key here, so that nothing in a
file is silently without effect. `etc/router.toml` explains each key to the people who set it.
"""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from router.config.values import (
    Address,
    AddressMode,
    Backend,
    Count,
    DeviceName,
    Duration,
    FilePath,
    Filtering,
    Flag,
    Interface,
    Mapping,
    Mtu,
    Name,
    NamespaceName,
    PortRange,
    PositiveDuration,
    Route,
    Size,
    SynPolicy,
)
from router.nat.types import Limits, NatConfig, Timeouts

__all__ = [
    "HostSection",
    "LanSection",
    "LimitsSection",
    "NatSection",
    "RouterFile",
    "RouterSection",
    "Section",
    "StaticLink",
    "TimeoutsSection",
    "WanSection",
]

_DEFAULT_MTU = 1500  # bytes, Ethernet's (RFC 894)
_TIMEOUTS = Timeouts()
_LIMITS = Limits()
_NAT = NatConfig()


class Section(BaseModel):
    """A table of the file: keys it does not know are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class RouterSection(Section):
    """`[router]`: where the program keeps its own things."""

    state_dir: FilePath = Path("/var/lib/postroad")
    control: FilePath = Path("/run/postroad/control.sock")
    forward_rules: FilePath | None = None


class LanSection(Section):
    """`[lan]`: the side with the hosts."""

    address: Interface = Field(examples=["192.168.1.1/24"])
    device: DeviceName | None = None
    netns: NamespaceName = ""
    tun: DeviceName = "lan0"
    mtu: Mtu = _DEFAULT_MTU
    routes: tuple[Route, ...] = ()


class WanSection(Section):
    """`[wan]`: the side with the provider."""

    netns: NamespaceName = "postroad-wan"
    tun: DeviceName = "wan0"


class StaticLink(Section):
    """`[[link]]` with backend "static": an always-on card, or the bare TUN without a device."""

    name: Name = Field(examples=["isp"])
    backend: Backend = Field(examples=["static"])
    device: DeviceName | None = None
    address: Interface = Field(examples=["203.0.113.2/24"])
    gateway: Address | None = None
    mtu: Mtu = _DEFAULT_MTU


class HostSection(Section):
    """`[[host]]`: a host by name; `external` is its own address under one-to-one NAT."""

    address: Address = Field(examples=["192.168.1.10"])
    name: Name = Field(examples=["mail"])
    external: Address | None = None


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
    link: tuple[StaticLink, ...] = ()
    host: tuple[HostSection, ...] = ()
    nat: NatSection = NatSection()
