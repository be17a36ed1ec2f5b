"""A configuration file as the program uses it, and how it is loaded.

Loading has three steps: TOML, the shape of each section, the sections against each other. Every
problem of a step that can be judged is told at once, as `FILE: KEY: SENTENCE`.
"""

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from router.config.addresses import routing_of
from router.config.checks import cross_problems, forward_problems, timeout_warnings
from router.config.demand import HostSection, shipped_rules
from router.config.linechecks import line_warnings
from router.config.links import AnyLink, DialledLink, StaticLink
from router.config.places import place_problems
from router.config.pppfiles import file_problems
from router.config.problems import key_path, shape_problems
from router.config.schema import LanSection, NatSection, RouterFile, RouterSection, WanSection
from router.config.zones import machine_zone
from router.devices import KernelHops
from router.errors import ConfigError
from router.forwarder import ForwarderConfig
from router.link.types import (
    BreakerConfig,
    BudgetConfig,
    DemandConfig,
    HoldLimits,
    LinksConfig,
    PolicyRule,
    ScheduleEntry,
)
from router.nat.types import (
    DefaultHost,
    ForwardRule,
    Limits,
    Masquerade,
    NatConfig,
    OneToOne,
    Timeouts,
)
from router.routing import RoutingConfig
from router.rules import parse_rules
from router.wire.address import Network

__all__ = ["Config", "load", "parse"]

_LONGEST_SOCKET_PATH = 107  # bytes: sun_path has 108 with its zero byte (unix(7))
_PATHS = ("state_dir", "control", "token_file", "forward_rules")  # keys of [router]
_TOML_PLACE = re.compile(r"^(.*) \(at line (\d+), column \d+\)$")


@dataclass(frozen=True, slots=True)
class Config:
    """A sound configuration; paths are relative to where the program was started.

    `links` are in the order of preference, `policy` has the file's own rules, `zone` is the time
    zone of schedules and budgets. `warnings` are sentences, each with file and key, about what is
    allowed but unwise.
    """

    path: Path
    router: RouterSection
    lan: LanSection
    wan: WanSection
    links: tuple[AnyLink, ...]
    hosts: tuple[HostSection, ...]
    policy: tuple[PolicyRule, ...]
    budget: BudgetConfig
    breaker: BreakerConfig
    schedule: tuple[ScheduleEntry, ...]
    nat: NatConfig
    answer_wan_ping: bool
    zone: tzinfo
    warnings: tuple[str, ...]

    def forwarder_config(self) -> ForwarderConfig:
        """Return what the forwarder is told; behind each network card the kernel takes a hop.

        Raises DeviceError when this machine cannot run filters.
        """
        on_cards = any(link.device is not None for link in self.links)
        return ForwarderConfig(
            routing=self.routing(),
            links=self.links_config(),
            nat=self.nat,
            lan_mtu=self.lan.mtu,
            hops=KernelHops(self.lan.device is not None, on_cards),
            answer_wan_ping=self.answer_wan_ping,
        )

    def routing(self) -> RoutingConfig:
        """Return which networks are on which side."""
        return replace(routing_of(self.lan), line_network=self._line_network())

    def _line_network(self) -> Network | None:
        """Return the network of the line where it is known before any line is up."""
        *others, link = self.links
        return link.address.network if isinstance(link, StaticLink) and not others else None

    def links_config(self) -> LinksConfig:
        """Return what the link cores are told; the shipped rules come after the file's own.

        Raises DeviceError when this machine cannot run filters.
        """
        right = self.lan.dial
        dialling = (link for link in self.links if isinstance(link, DialledLink))
        return LinksConfig(
            links=tuple(link.told() for link in self.links),
            demand=DemandConfig(
                rules=(*self.policy, *shipped_rules()),
                hosts=tuple(host.told(right) for host in self.hosts),
                default_right=right,
            ),
            hold=next((link.hold.told() for link in dialling), HoldLimits()),
            budget=self.budget,
            breaker=self.breaker,
            schedule=self.schedule,
        )

    def load_forwards(self) -> tuple[ForwardRule | DefaultHost, ...]:
        """Read the rule file, if there is one; raises ConfigError with every problem in it."""
        path = self.router.forward_rules
        return () if path is None else self.parse_forwards(_read(path), str(path))

    def parse_forwards(self, text: str, origin: str) -> tuple[ForwardRule | DefaultHost, ...]:
        """Return the rules in `text`, all of which lead to hosts of this LAN.

        Raises ConfigError.
        """
        return _rules(text, origin, self.lan, shared=self.shares_ports)

    @property
    def shares_ports(self) -> bool:
        """Whether all hosts are behind one address, whose ports lead to one host each."""
        return isinstance(self.nat.address, Masquerade)


def load(path: Path) -> Config:
    """Read a configuration file.

    Raises ConfigError with every problem in it, and those of the files that it names.
    """
    file, problems = _judge(_tables(_read(path), path), path)
    if problems:
        raise ConfigError([*problems, *_rule_problems(file, path)])
    config = _config(file, path)
    found = (*place_problems(config.links), *file_problems(config.links))
    if found:
        problems = [f"{path}: {problem}" for problem in found]
        raise ConfigError([*problems, *_rule_problems(file, path)])
    return config


def parse(text: str, path: Path) -> Config:
    """Return the configuration that `text`, the contents of `path`, describes.

    Raises ConfigError with every problem in it.
    """
    file, problems = _judge(_tables(text, path), path)
    if problems:
        raise ConfigError(problems)
    return _config(file, path)


def _config(file: RouterFile, path: Path) -> Config:
    assert file.lan is not None
    warnings = (*timeout_warnings(file.nat.timeouts), *line_warnings(file))
    return Config(
        path=path,
        router=_placed(file.router, path.parent),
        lan=file.lan,
        wan=file.wan,
        links=tuple(link.placed(path.parent) for link in file.link),
        hosts=file.host,
        policy=tuple(
            rule.told(key_path("policy", index)) for index, rule in enumerate(file.policy)
        ),
        budget=file.budget.told(),
        breaker=file.breaker.told(),
        schedule=tuple(entry.told() for entry in file.schedule),
        nat=_nat_config(file.nat, file.host),
        answer_wan_ping=file.nat.answer_ping,
        zone=file.router.timezone or machine_zone(),
        warnings=tuple(f"{path}: {each}" for each in warnings),
    )


def _rules(
    text: str, origin: str, lan: LanSection | None, *, shared: bool
) -> tuple[ForwardRule | DefaultHost, ...]:
    rules = parse_rules(text, origin, shared=shared)
    problems = [] if lan is None else list(forward_problems(rules, lan))
    if problems:
        raise ConfigError(problems)
    return tuple(rules)


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError([f"{path}:{line}: is not UTF-8 text"]) from None


def _tables(text: str, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ConfigError([f"{path}: is not a configuration: brackets nested too deeply"]) from None
    except tomllib.TOMLDecodeError as error:
        match = _TOML_PLACE.match(str(error))
        line, trouble = (match[2], match[1]) if match else (text.count("\n") + 1, error)
        raise ConfigError([f"{path}:{line}: is not TOML: {trouble}"]) from None
    except ValueError:
        raise ConfigError([f"{path}: is not a configuration: a number is too long"]) from None


def _judge(raw: dict[str, Any], path: Path) -> tuple[RouterFile, list[str]]:
    """Return the file, its unsound sections at their defaults, and all that is wrong with it."""
    damaged: set[str] = set()
    problems: list[str] = []
    try:
        file = RouterFile.model_validate(raw)
    except ValidationError as error:
        damaged.update(str(each["loc"][0]) for each in error.errors(include_url=False))
        problems.extend(shape_problems(error, RouterFile))
        sound = {key: value for key, value in raw.items() if key not in damaged}
        file = RouterFile.model_validate(sound)
    problems.extend(cross_problems(file, damaged))
    problems.extend(_socket_problems(path.parent / file.router.control))
    return file, [f"{path}: {problem}" for problem in problems]


def _rule_problems(file: RouterFile, path: Path) -> Sequence[str]:
    rules = file.router.forward_rules
    try:
        if rules is not None:
            place = path.parent / rules
            shared = isinstance(file.nat.address, Masquerade)
            _rules(_read(place), str(place), file.lan, shared=shared)
    except ConfigError as error:
        return error.problems
    return ()


def _placed(router: RouterSection, folder: Path) -> RouterSection:
    """Return the section with its paths as seen from the folder of the file."""
    paths = {key: getattr(router, key) for key in _PATHS}
    return router.model_copy(update={key: folder / path for key, path in paths.items() if path})


def _socket_problems(control: Path) -> list[str]:
    length = len(str(control).encode())
    if length <= _LONGEST_SOCKET_PATH:
        return []
    return [
        f"router.control: {str(control)!r} has {length} bytes;"
        f" the path of a socket has at most {_LONGEST_SOCKET_PATH}"
    ]


def _nat_config(nat: NatSection, hosts: tuple[HostSection, ...]) -> NatConfig:
    address = nat.address
    if isinstance(address, OneToOne):
        pairs = ((host.address, host.external) for host in hosts)
        fixed = tuple(
            (own, public) for own, public in pairs if own is not None and public is not None
        )
        address = replace(address, fixed=fixed)
    return NatConfig(
        mapping=nat.mapping,
        filtering=nat.filtering,
        address=address,
        port_preservation=nat.port_preservation,
        port_parity=nat.port_parity,
        dynamic_ports=nat.dynamic_ports,
        hairpinning=nat.hairpinning,
        inbound_refresh=nat.inbound_refresh,
        unsolicited_syn=nat.unsolicited_syn,
        timeouts=Timeouts(**nat.timeouts.model_dump()),
        limits=Limits(**nat.limits.model_dump()),
    )
