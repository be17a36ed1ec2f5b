"""The kinds of value a configuration file holds, each with the sentence for what is not one.

A kind is an annotated type: the type the program works with, and the reader that makes it from
what TOML delivered. Readers raise ValueError with the value and what is allowed instead.
"""

import re
from datetime import tzinfo
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import PlainValidator

from router.config.readers import choice, from_text, matching, shown, whole_number
from router.config.zones import parse_zone
from router.nat.types import (
    FilteringBehavior,
    MappingBehavior,
    Masquerade,
    OneToOne,
    Routed,
    UnsolicitedSyn,
)
from router.routing import LanRoute
from router.units import parse_duration, parse_size
from router.wire.address import MAX_PREFIX, Endpoint, Network, format_address, parse_address
from router.wire.ipv4 import MAX_LENGTH, MIN_MTU

__all__ = [
    "DEVICE",
    "MAX_PORT",
    "Address",
    "AddressMode",
    "Count",
    "DeviceName",
    "Domain",
    "Duration",
    "FilePath",
    "Filtering",
    "Flag",
    "Interface",
    "InterfaceAddress",
    "Mapping",
    "Mtu",
    "Name",
    "NamespaceName",
    "PortRange",
    "PositiveDuration",
    "Route",
    "Size",
    "SocketAddress",
    "SynPolicy",
    "TimeZone",
    "is_domain",
]

_FIRST_DYNAMIC_PORT = 1024  # RFC 4787 REQ-3a: lower ones are for internal ports below 1024
MAX_PORT = 65535
_WIDEST_BLOCK = 16  # prefix length: 65,536 external addresses, a list of which is kept

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
DEVICE = re.compile(r"(?!\.{1,2}$)[!-$&-.0-9;-~]{1,15}")  # IFNAMSIZ is 16 with its zero byte
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"  # RFC 1123, 2.1, and the "_" in use
_DOMAIN = re.compile(rf"(?=.{{1,189}}$){_LABEL}(?:\.{_LABEL})*")  # 63 and a dot are for a host
_NAMESPACE = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,64}|")  # none, or a file name in /run/netns
_PREFIX = re.compile(r"[0-9]{1,2}")
_PORT = re.compile(r"[0-9]{1,5}")
_PORT_RANGE = re.compile(r"([0-9]{1,5})-([0-9]{1,5})")


class InterfaceAddress(NamedTuple):
    """The router's address on one side, and the network it is in there."""

    address: int
    network: Network

    def __str__(self) -> str:
        return f"{format_address(self.address)}/{self.network.prefix}"


def is_domain(text: str) -> bool:
    """Whether a text is a name, or several with dots between, that DNS can be asked for."""
    return _DOMAIN.fullmatch(text) is not None


def _read_flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{shown(value)} is not true or false")
    return value


def _read_duration(text: str) -> float:
    return float(parse_duration(text))


def _read_positive_duration(text: str) -> float:
    seconds = _read_duration(text)
    if not seconds:
        raise ValueError(f'{text!r} is no time at all; the least is "1s"')
    return seconds


def _read_size(text: str) -> int:
    size = parse_size(text)
    if not size:
        raise ValueError(f'{text!r} is nothing at all; the least is "1B"')
    return size


def _read_path(text: str) -> Path:
    if not text or "\0" in text:
        raise ValueError(f"{text!r} is not the path of a file")
    return Path(text)


def _read_interface(text: str) -> InterfaceAddress:
    address_text, _, digits = text.partition("/")
    address = parse_address(address_text)
    prefix = int(digits) if _PREFIX.fullmatch(digits) else 0
    if not 1 <= prefix <= MAX_PREFIX:
        raise ValueError(f"{text!r} has no prefix length from 1 to {MAX_PREFIX}, such as /24")
    return InterfaceAddress(address, Network(address & Network(0, prefix).mask, prefix))


def _read_socket_address(text: str) -> Endpoint:
    address_text, _, digits = text.rpartition(":")
    port = int(digits) if _PORT.fullmatch(digits) else 0
    if not address_text or not 1 <= port <= MAX_PORT:
        raise ValueError(f'{text!r} is not an address and port such as "192.168.1.1:4190"')
    return Endpoint(parse_address(address_text), port)


def _read_ports(text: str) -> tuple[int, int]:
    match = _PORT_RANGE.fullmatch(text)
    first, last = (int(match[1]), int(match[2])) if match else (0, 0)
    if not _FIRST_DYNAMIC_PORT <= first <= last <= MAX_PORT:
        raise ValueError(
            f"{text!r} is not a range of ports within"
            f' "{_FIRST_DYNAMIC_PORT}-{MAX_PORT}" (RFC 4787 REQ-3a)'
        )
    return first, last


def _read_route(text: str) -> LanRoute:
    words = text.split()
    if len(words) == 3 and words[1] == "via":
        return LanRoute(Network.parse(words[0]), parse_address(words[2]))
    if len(words) == 1:
        return LanRoute(Network.parse(words[0]))
    raise ValueError(
        f'{text!r} is not a route such as "192.168.7.0/24 via 192.168.1.254",'
        ' or "192.168.8.0/24" on the LAN itself'
    )


def _read_address_mode(value: object) -> Masquerade | Routed | OneToOne:
    if value == "masquerade":
        return Masquerade()
    if value == "routed":
        return Routed()
    if not isinstance(value, list) or not value:
        raise ValueError(
            f'{shown(value)} is not "masquerade", "routed" or a list of external networks'
            ' such as ["198.51.100.8/29"]'
        )
    return OneToOne(tuple(map(_read_block, value)))


def _read_block(value: object) -> Network:
    if not isinstance(value, str):
        raise ValueError(f'{shown(value)} is not a network such as "198.51.100.8/29"')
    block = Network.parse(value)
    if block.prefix < _WIDEST_BLOCK:
        raise ValueError(f"{value!r} is too wide; a block is a /{_WIDEST_BLOCK} or smaller")
    return block


Address = Annotated[int, from_text(parse_address, "an IPv4 address such as 192.168.1.1")]
AddressMode = Annotated[Masquerade | Routed | OneToOne, PlainValidator(_read_address_mode)]
Count = Annotated[int, whole_number(1)]
DeviceName = Annotated[
    str, matching(DEVICE, 'a device name: 1 to 15 letters, digits and signs but "/", ":", "%"')
]
Domain = Annotated[str, matching(_DOMAIN, 'a domain of letters, digits and "-", such as "lan"')]
Duration = Annotated[float, from_text(_read_duration, 'a duration such as "90s", "5m" or "2h4m"')]
FilePath = Annotated[Path, from_text(_read_path, "the path of a file")]
Filtering = Annotated[FilteringBehavior, choice(FilteringBehavior)]
Flag = Annotated[bool, PlainValidator(_read_flag)]
Interface = Annotated[
    InterfaceAddress,
    from_text(_read_interface, 'an address with its network\'s length, "10.0.0.1/24"'),
]
Mapping = Annotated[MappingBehavior, choice(MappingBehavior)]
Mtu = Annotated[int, whole_number(MIN_MTU, MAX_LENGTH)]
Name = Annotated[str, matching(_NAME, 'a name of letters, digits, ".", "_" and "-"')]
NamespaceName = Annotated[
    str, matching(_NAMESPACE, 'a namespace: "" or a name of letters, digits, ".", "_" and "-"')
]
PortRange = Annotated[tuple[int, int], from_text(_read_ports, 'a range such as "1024-65535"')]
PositiveDuration = Annotated[
    float, from_text(_read_positive_duration, 'a duration such as "90s", "5m" or "2h4m"')
]
Route = Annotated[LanRoute, from_text(_read_route, 'a route, "192.168.7.0/24 via 192.168.1.254"')]
Size = Annotated[int, from_text(_read_size, 'a size such as "1500B", "64KiB" or "1MiB"')]
SocketAddress = Annotated[
    Endpoint, from_text(_read_socket_address, 'an address and port, "192.168.1.1:4190"')
]
SynPolicy = Annotated[UnsolicitedSyn, choice(UnsolicitedSyn)]
TimeZone = Annotated[tzinfo, from_text(parse_zone, 'the name of a time zone, "Europe/Berlin"')]
