"""Options that several commands share."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from router.config import load
from router.host.client import ControlClient

__all__ = ["as_json", "config_option", "control_client", "control_options", "print_json"]

DEFAULT_CONFIG = Path("/etc/postroad/router.toml")
DEFAULT_CONTROL = Path("/run/postroad/control.sock")

_F = TypeVar("_F", bound=Callable[..., Any])
_FILE = click.Path(path_type=Path)

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")

config_option = click.option(
    "-c",
    "--config",
    "config_path",
    type=_FILE,
    default=DEFAULT_CONFIG,
    show_default=True,
    metavar="FILE",
    help="The configuration.",
)


def control_options(command: _F) -> _F:
    """Add `-c` and `--control`, which tell where the running router answers."""
    for option in (
        click.option(
            "--control",
            type=_FILE,
            metavar="PATH",
            help=f"The router's control socket.  [default: {DEFAULT_CONTROL}]",
        ),
        click.option(
            "-c",
            "--config",
            "config_path",
            type=_FILE,
            metavar="FILE",
            help="The router's configuration, which names the control socket.",
        ),
    ):
        command = option(command)
    return command


def control_client(config_path: Path | None, control: Path | None) -> ControlClient:
    """Return the client for what `control_options` were given; raises ConfigError."""
    if control is None:
        control = DEFAULT_CONTROL if config_path is None else load(config_path).router.control
    return ControlClient(control)


def print_json(value: object) -> None:
    """Print `value` for another program to read."""
    click.echo(json.dumps(value, indent=2))
