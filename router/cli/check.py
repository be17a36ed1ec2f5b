"""`postroad check`: what a configuration means, or everything that is wrong with it."""

from pathlib import Path
from typing import Any

import click

from router.cli.options import as_json, config_option, print_json
from router.cli.tables import print_table, table
from router.config import Config, load
from router.nat.types import DefaultHost, ForwardRule, Masquerade, OneToOne
from router.rules import render
from router.units import format_duration
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
    for name in ("lan", "line", "hosts", "nat", "timeouts", "forwards", "warnings"):
        values = meaning[name] if isinstance(meaning[name], list) else [meaning[name]]
        for index, value in enumerate(values or ["none"]):
            made.add_row("" if index else name, value)
    print_table(made)


def _meaning(config: Config, forwards: tuple[ForwardRule | DefaultHost, ...]) -> dict[str, Any]:
    timeouts = config.nat.timeouts
    return {
        "lan": _lan(config),
        "line": _line(config),
        "hosts": [f"{host.name} is {format_address(host.address)}" for host in config.hosts],
        "nat": _nat(config),
        "timeouts": (
            f"TCP {format_duration(round(timeouts.tcp_established))} established and"
            f" {format_duration(round(timeouts.tcp_transitory))} otherwise,"
            f" UDP {format_duration(round(timeouts.udp))},"
            f" ICMP {format_duration(round(timeouts.icmp))}"
        ),
        "forwards": [f"{render(rule)}   ({rule.origin})" for rule in forwards],
        "warnings": list(config.warnings),
    }


def _lan(config: Config) -> list[str]:
    lan = config.lan
    via = f"{lan.device}, its packets led into {lan.tun}" if lan.device else f"the TUN {lan.tun}"
    lines = [f"{lan.address} on {via}{_namespace(lan.netns)}, MTU {lan.mtu}"]
    for route in lan.routes:
        gateway = "on the link" if route.gateway is None else f"via {format_address(route.gateway)}"
        lines.append(f"{route.network} {gateway}")
    return lines


def _line(config: Config) -> str:
    (link,) = config.links
    tun, namespace = config.wan.tun, _namespace(config.wan.netns)
    via = f"{link.device}, its packets led into {tun}" if link.device else f"the TUN {tun}"
    gateway = "no gateway" if link.gateway is None else f"gateway {format_address(link.gateway)}"
    return f"{link.name}: {link.address} on {via}{namespace}, {gateway}, MTU {link.mtu}"


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
