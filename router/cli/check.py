"""`postroad check`: what a configuration means, or everything that is wrong with it."""

from collections.abc import Iterator
from pathlib import Path

import click
from rich.markup import escape

from router.cli import lines
from router.cli.options import as_json, config_option, print_json
from router.cli.tables import duration, print_table, table
from router.config import Config, LanSection, load
from router.config.places import place_warnings
from router.nat.types import DefaultHost, ForwardRule, Masquerade, OneToOne
from router.rules import render
from router.wire.address import format_address

__all__ = ["check"]


@click.command()
@config_option
@as_json
def check(config_path: Path, as_json: bool) -> None:
    """Check the configuration and its forward rules, and say what they mean."""
    config = load(config_path)
    meaning = _meaning(config, config.load_forwards())
    if as_json:
        print_json(meaning)
        return
    click.echo(f"{config_path} is sound")
    made = table("", "")
    made.show_header = False
    for name, said in meaning.items():
        values = said if isinstance(said, list) else [said]
        for index, value in enumerate(values or ["none"]):
            made.add_row("" if index else name, escape(value))
    print_table(made)


def _meaning(
    config: Config, forwards: tuple[ForwardRule | DefaultHost, ...]
) -> dict[str, str | list[str]]:
    told = config.links_config()
    return {
        "control": list(_control(config)),
        "lan": _lan(config),
        "links": list(lines.lines(config)),
        "hold": list(lines.hold(told)),
        "hosts": list(lines.hosts(config)),
        "policy": list(lines.policy(told)),
        "budget": list(lines.budget(told)),
        "breaker": list(lines.breaker(told)),
        "schedule": list(lines.schedule(config)),
        "nat": _nat(config),
        "timeouts": _timeouts(config),
        "forwards": [f"{render(rule)}   ({rule.origin})" for rule in forwards],
        "warnings": [*config.warnings, *_missing(config)],
    }


def _control(config: Config) -> Iterator[str]:
    router = config.router
    yield f"on {router.control}"
    if router.control_tcp is not None:
        yield f"on {router.control_tcp}, for those who have the token in {router.token_file}"


def _lan(config: Config) -> list[str]:
    lan = config.lan
    via = f"{lan.device}, its packets led into {lan.tun}" if lan.device else f"the TUN {lan.tun}"
    told = [f"{lan.address} on {via}{_namespace(lan.netns)}, MTU {lan.mtu}"]
    for route in lan.routes:
        gateway = "on the link" if route.gateway is None else f"via {format_address(route.gateway)}"
        told.append(f"{route.network} {gateway}")
    return [*told, *_names(lan)]


def _names(lan: LanSection) -> Iterator[str]:
    if not lan.dns:
        yield "no name server for its hosts"
        return
    yield f"name server for its hosts, which are in the domain {lan.domain}"
    if lan.dhcp is None:
        yield "no addresses by DHCP"
    else:
        first, last = format_address(lan.dhcp.first), format_address(lan.dhcp.last)
        yield f"addresses by DHCP from {first} to {last}, each for {duration(lan.dhcp.lease)}"


def _missing(config: Config) -> Iterator[str]:
    for each in place_warnings(config.links, config.wan.netns):
        yield f"{config.path}: {each}"


def _namespace(name: str) -> str:
    return f" in namespace {name}" if name else ""


def _nat(config: Config) -> str:
    mode = config.nat.address
    if isinstance(mode, Masquerade):
        how = "every host behind the line's address"
    elif isinstance(mode, OneToOne):
        how = f"a public address per host from {', '.join(map(str, mode.blocks))}"
    else:
        return "none, the LAN's addresses are public; unsolicited packets are filtered"
    return (
        f"{how}; {config.nat.mapping.value} mapping, {config.nat.filtering.value} filtering,"
        f" hairpinning {'on' if config.nat.hairpinning else 'off'}"
    )


def _timeouts(config: Config) -> str:
    timeouts = config.nat.timeouts
    return (
        f"TCP {duration(timeouts.tcp_established)} established and"
        f" {duration(timeouts.tcp_transitory)} otherwise,"
        f" UDP {duration(timeouts.udp)}, ICMP {duration(timeouts.icmp)}"
    )
