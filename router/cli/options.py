"""Options that several commands share."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from router.config import RouterSection, load
from router.errors import ConfigError
from router.host.control.access import load_token
from router.host.control.client import ControlClient, OverLan

__all__ = ["as_json", "config_option", "control_client", "control_options", "print_json"]

DEFAULT_CONFIG = Path("/etc/postroad/router.toml")
TOKEN_VARIABLE = "POSTROAD_TOKEN_FILE"  # noqa: S105 - the name of a variable
_DEFAULT_CONTROL = RouterSection().control
_TCP = "tcp:"
_MAX_PORT = 65535

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
            metavar="PATH|tcp:HOST:PORT",
            help="The router's control socket, or where it listens on the LAN; the file that"
            f" {TOKEN_VARIABLE} names has the token for that.  [default: the configuration's]",
        ),
        click.option(
            "-c",
            "--config",
            "config_path",
            type=_FILE,
            metavar="FILE",
            help="The router's configuration, which names the control socket."
            f"  [default: {DEFAULT_CONFIG}, or else the socket {_DEFAULT_CONTROL}]",
        ),
    ):
        command = option(command)
    return command


def control_client(config_path: Path | None, control: Path | None) -> ControlClient:
    """Return the client for what `control_options` were given; raises ConfigError.

    Without any it is for the router that `postroad run` starts without any.
    """
    if control is not None and str(control).startswith(_TCP):
        return ControlClient(_over_lan(str(control)))
    if control is None:
        if config_path is None and os.access(DEFAULT_CONFIG, os.R_OK):
            config_path = DEFAULT_CONFIG
        control = _DEFAULT_CONTROL if config_path is None else load(config_path).router.control
    return ControlClient(control)


def _over_lan(control: str) -> OverLan:
    host, _, port = control.removeprefix(_TCP).rpartition(":")
    if not (host and port.isascii() and port.isdigit() and int(port) <= _MAX_PORT):
        raise ConfigError([f"--control: {control!r} does not read like tcp:192.168.1.1:4190"])
    token_file = os.environ.get(TOKEN_VARIABLE, "")
    if not token_file:
        raise ConfigError([f"{TOKEN_VARIABLE}: the name of a file with the token is needed"])
    return OverLan(host, int(port), load_token(Path(token_file)))


def print_json(value: object) -> None:
    """Print `value` for another program to read."""
    click.echo(json.dumps(value, indent=2))
