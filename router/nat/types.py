"""What the NAT is told: behaviours with their RFC 4787 names, timers, limits, forward rules.

All of it is frozen. `router.config` and `router.rules` make these from files; tests make them
by hand.
"""

from dataclasses import dataclass, field
from enum import Enum

from router.wire.address import Network

__all__ = [
    "DefaultHost",
    "FilteringBehavior",
    "ForwardRule",
    "Limits",
    "MappingBehavior",
    "Masquerade",
    "NatConfig",
    "OneToOne",
    "Routed",
    "Timeouts",
    "UnsolicitedSyn",
]


class MappingBehavior(Enum):
    """Which sessions of one internal endpoint share an external endpoint (RFC 4787, 4.1)."""

    ENDPOINT_INDEPENDENT = "endpoint-independent"
    ADDRESS_DEPENDENT = "address-dependent"
    ADDRESS_AND_PORT_DEPENDENT = "address-and-port-dependent"


class FilteringBehavior(Enum):
    """Which remote endpoints may send to a mapping (RFC 4787, section 5)."""

    ENDPOINT_INDEPENDENT = "endpoint-independent"
    ADDRESS_DEPENDENT = "address-dependent"
    ADDRESS_AND_PORT_DEPENDENT = "address-and-port-dependent"


class UnsolicitedSyn(Enum):
    """What follows six silent seconds after an inbound SYN nobody asked for (RFC 5382, REQ-4)."""

    SILENT = "silent"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Idle times in seconds after which state is forgotten."""

    udp: float = 300.0  # RFC 4787 REQ-5c recommends 5 min, REQ-5 forbids less than 2
    tcp_established: float = 7440.0  # RFC 5382 REQ-5: not less than 2 h 4 min
    tcp_transitory: float = 240.0  # RFC 5382 REQ-5: not less than 4 min
    icmp: float = 60.0  # RFC 5508 REQ-2: not less than 60 s
    other: float = 600.0  # protocols without ports; no RFC, nf_conntrack's generic timer
    unsolicited_syn: float = 6.0  # RFC 5382 REQ-4: not answered before 6 s
    fragment: float = 30.0  # RFC 791 suggests 15 s; Linux reassembles for 30
    port_quarantine: float = 120.0  # RFC 6888 REQ-8: a freed port rests 120 s


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on state, so that memory is bounded (RFC 6888 REQ-4, REQ-5; RFC 4787 REQ-14a).

    What strangers may open at forwarded ports is bounded apart, so that they cannot use up what
    the LAN needs.
    """

    sessions: int = 131072  # about 100 MB in Python objects
    sessions_per_host: int = 32768  # one host cannot take every port of the address
    inbound_sessions: int = 65536  # opened from outside: half of all
    inbound_sessions_per_host: int = 16384  # and half of what a host may have
    unsolicited_syns: int = 1024  # held quotes, 100 bytes each
    fragmented_datagrams: int = 4096  # datagrams whose fragments are being followed
    fragment_bytes: int = 1 << 20  # fragments waiting for the first of their datagram
    icmp_errors_per_second: int = 1000  # RFC 1812, 4.3.2.8: the rate must be limited


@dataclass(frozen=True, slots=True)
class Masquerade:
    """Every internal host behind the one address the line has (RFC 3022, section 2.2)."""


@dataclass(frozen=True, slots=True)
class Routed:
    """Public addresses on the LAN, routed without translation; filtering still applies."""


@dataclass(frozen=True, slots=True)
class OneToOne:
    """Basic NAT (RFC 3022, section 2.1): each host has an external address of its own.

    `blocks` are the external networks, every address of which is usable. `fixed` binds
    internal to external addresses for good; other hosts take a free one while they have
    sessions.
    """

    blocks: tuple[Network, ...]
    fixed: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class ForwardRule:
    """Inbound ports `first_port`..`last_port` lead to `internal_address`.

    External port `first_port + n` leads to internal port `internal_port + n`. `sources`
    restricts who may come in; empty means anyone. `origin` is `FILE:LINE` or `control`.
    """

    protocol: int
    first_port: int
    last_port: int
    internal_address: int
    internal_port: int
    sources: tuple[Network, ...] = ()
    origin: str = ""


@dataclass(frozen=True, slots=True)
class DefaultHost:
    """Where every other unsolicited packet goes."""

    internal_address: int
    sources: tuple[Network, ...] = ()
    origin: str = ""


@dataclass(frozen=True, slots=True)
class NatConfig:
    """Everything the NAT can be told; the defaults are what the RFCs recommend."""

    mapping: MappingBehavior = MappingBehavior.ENDPOINT_INDEPENDENT
    filtering: FilteringBehavior = FilteringBehavior.ADDRESS_DEPENDENT  # RFC 4787 REQ-8
    address: Masquerade | Routed | OneToOne = field(default_factory=Masquerade)
    port_preservation: bool = True  # RFC 4787, 4.2.1
    port_parity: bool = True  # RFC 4787 REQ-4
    dynamic_ports: tuple[int, int] = (1024, 65535)  # RFC 4787 REQ-3a; low ports keep to 1..1023
    hairpinning: bool = True  # RFC 4787 REQ-9
    inbound_refresh: bool = False  # RFC 4787 REQ-6a allows it; a stranger could hold mappings
    unsolicited_syn: UnsolicitedSyn = UnsolicitedSyn.SILENT  # RFC 5382 REQ-4a
    timeouts: Timeouts = field(default_factory=Timeouts)
    limits: Limits = field(default_factory=Limits)
