"""The language of `forward.rules`: which inbound ports lead to which internal host.

One rule a line, `#` starts a comment:

    tcp  25        -> 192.168.1.10          from 198.51.100.0/24,203.0.113.7
    tcp  80        -> 192.168.1.10:8080
    udp  5000-5010 -> 192.168.1.20:6000-6010
    default        -> 192.168.1.30

An external port leads to one host, whoever asks: rules of one protocol never overlap, not even
with different sources, so the order of the lines means nothing.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from router.errors import ConfigError
from router.nat.types import DefaultHost, ForwardRule
from router.wire.address import MAX_PREFIX, Network, format_address, parse_address
from router.wire.ipv4 import PROTO_TCP, PROTO_UDP

__all__ = ["conflicts", "parse_rules", "render"]

_PROTOCOLS = {"tcp": PROTO_TCP, "udp": PROTO_UDP}
_PROTOCOL_NAMES = {number: name for name, number in _PROTOCOLS.items()}
_MAX_PORT = 65535
_PORTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
_EXAMPLES = 'a rule reads "tcp 25 -> 192.168.1.10" or "default -> 192.168.1.30"'

_Ports = tuple[int, int]  # first and last, inclusive
_T = TypeVar("_T")


def parse_rules(text: str, origin: str, *, shared: bool = True) -> list[ForwardRule | DefaultHost]:
    """Return the rules in `text` in their order; each carries `origin:LINE`.

    `shared` says that all hosts are behind one external address, whose ports lead to one host
    each. Raises ConfigError with every problem of every line, overlaps included.
    """
    rules: list[ForwardRule | DefaultHost] = []
    problems: list[str] = []
    for number, line in enumerate(text.split("\n"), start=1):
        statement = line.partition("#")[0].strip()
        fields = _Fields(f"{origin}:{number}")
        if statement:
            rules.extend(_rule(statement, fields))
        problems.extend(fields.problems)
    problems.extend(conflicts(rules, shared=shared))
    if problems:
        raise ConfigError(problems)
    return rules


def conflicts(rules: Sequence[ForwardRule | DefaultHost], *, shared: bool = True) -> list[str]:
    """Return a sentence for each rule that claims what another one already has."""
    hosts = {rule.internal_address for rule in rules}
    groups = [rules] if shared else [_of_host(rules, host) for host in sorted(hosts)]
    return [*_second_defaults(rules), *(text for group in groups for text in _overlaps(group))]


def _of_host(
    rules: Sequence[ForwardRule | DefaultHost], host: int
) -> list[ForwardRule | DefaultHost]:
    return [rule for rule in rules if rule.internal_address == host]


def render(rule: ForwardRule | DefaultHost) -> str:
    """Return the line that `parse_rules` reads as `rule`."""
    if isinstance(rule, DefaultHost):
        text = f"default -> {format_address(rule.internal_address)}"
    else:
        text = f"{_subject(rule)} -> {_target_text(rule)}"
    if not rule.sources:
        return text
    return f"{text} from {','.join(map(_source_text, rule.sources))}"


class _Fields:
    """Reads the fields of one line and keeps each problem, so that none hides the next."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.problems: list[str] = []

    def read(self, parse: Callable[[str], _T], text: str, otherwise: _T) -> _T:
        try:
            return parse(text)
        except ValueError as error:
            self.refuse(str(error))
            return otherwise

    def refuse(self, sentence: str) -> None:
        self.problems.append(f"{self.origin}: {sentence}")


def _rule(statement: str, fields: _Fields) -> Iterator[ForwardRule | DefaultHost]:
    left, arrow, right = statement.partition("->")
    if not arrow:
        fields.refuse(f'{statement!r} has no "->"; {_EXAMPLES}')
        return
    subject = left.split()
    target, tail = _first_word(right)
    if subject[:1] == ["default"]:
        yield from _default_host(subject, target, tail, fields)
    else:
        yield from _forward_rule(subject, target, tail, fields)


def _default_host(
    subject: list[str], target: str, tail: str, fields: _Fields
) -> Iterator[DefaultHost]:
    if len(subject) > 1:
        fields.refuse('"default" takes no ports; it is every port no other rule names')
    address = fields.read(_target_address, target, 0)
    sources = _sources(tail, fields)
    if not fields.problems:
        yield DefaultHost(address, sources, fields.origin)


def _forward_rule(
    subject: list[str], target: str, tail: str, fields: _Fields
) -> Iterator[ForwardRule]:
    if len(subject) != 2:
        fields.refuse(f'before "->" stand a protocol and ports; {_EXAMPLES}')
        return
    protocol = fields.read(_protocol, subject[0], PROTO_TCP)
    external = fields.read(_ports, subject[1], None)
    address_text, colon, ports_text = target.partition(":")
    address = fields.read(_target_address, address_text, 0)
    internal = fields.read(_ports, ports_text, None) if colon else external
    sources = _sources(tail, fields)
    if external is None or internal is None:
        return
    if _count(external) != _count(internal):
        fields.refuse(
            f"{subject[1]!r} counts {_count(external)} and {ports_text!r} {_count(internal)};"
            " both sides need the same number of ports"
        )
    if not fields.problems:
        first, last = external
        yield ForwardRule(protocol, first, last, address, internal[0], sources, fields.origin)


def _count(ports: _Ports) -> int:
    return ports[1] - ports[0] + 1


def _protocol(text: str) -> int:
    if text not in _PROTOCOLS:
        raise ValueError(f'{text!r} is not a protocol; allowed are "tcp" and "udp", or "default"')
    return _PROTOCOLS[text]


def _ports(text: str) -> _Ports | None:
    match = _PORTS.fullmatch(text)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not (1 <= first <= _MAX_PORT and 1 <= last <= _MAX_PORT):
        raise ValueError(
            f'{text!r} is not a port from 1 to {_MAX_PORT} or a range such as "5000-5010"'
        )
    if last < first:
        raise ValueError(f'{text!r} runs backwards; the range is "{last}-{first}"')
    return first, last


def _target_address(text: str) -> int:
    if not text:
        raise ValueError(f'no host after "->"; {_EXAMPLES}')
    return parse_address(text)


def _sources(text: str, fields: _Fields) -> tuple[Network, ...]:
    """Read what follows the host: nothing, or `from` and networks between commas."""
    if not text:
        return ()
    word, networks = _first_word(text)
    if word != "from":
        fields.refuse(f'{text!r} after the host is not "from" and a list of networks')
        return ()
    if not networks:
        fields.refuse('"from" names no network, such as "198.51.100.0/24,203.0.113.7"')
        return ()
    nobody = Network(0, MAX_PREFIX)
    return tuple(
        fields.read(Network.parse, network.strip(), nobody) for network in networks.split(",")
    )


def _first_word(text: str) -> tuple[str, str]:
    word, *rest = text.split(maxsplit=1) or [""]
    return word, rest[0].rstrip() if rest else ""


def _subject(rule: ForwardRule) -> str:
    return f"{_PROTOCOL_NAMES[rule.protocol]} {_ports_text(rule.first_port, rule.last_port)}"


def _target_text(rule: ForwardRule) -> str:
    address = format_address(rule.internal_address)
    if rule.internal_port == rule.first_port:
        return address
    last = rule.internal_port + rule.last_port - rule.first_port
    return f"{address}:{_ports_text(rule.internal_port, last)}"


def _ports_text(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"


def _source_text(network: Network) -> str:
    return format_address(network.address) if network.prefix == MAX_PREFIX else str(network)


def _second_defaults(rules: Sequence[ForwardRule | DefaultHost]) -> Iterator[str]:
    defaults = [rule for rule in rules if isinstance(rule, DefaultHost)]
    for rule in defaults[1:]:
        yield f"{rule.origin}: a second default host; the first is at {defaults[0].origin}"


def _overlaps(rules: Sequence[ForwardRule | DefaultHost]) -> Iterator[str]:
    """Sweep the rules by port, each against the one before it that reaches furthest."""
    forwards = [rule for rule in rules if isinstance(rule, ForwardRule)]
    by_port = sorted(enumerate(forwards), key=lambda item: (item[1].protocol, item[1].first_port))
    furthest: tuple[int, ForwardRule] | None = None
    for item in by_port:
        if furthest is None or furthest[1].protocol != item[1].protocol:
            furthest = item
            continue
        if item[1].first_port <= furthest[1].last_port:
            (_, earlier), (_, later) = sorted((item, furthest), key=lambda each: each[0])
            yield (
                f"{later.origin}: {_subject(later)} overlaps {_subject(earlier)}"
                f" at {earlier.origin}; a port leads to one host"
            )
        furthest = max(furthest, item, key=lambda each: each[1].last_port)
