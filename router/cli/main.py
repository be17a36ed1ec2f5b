"""The `postroad` command: its subcommands, and what becomes of errors.

Exit codes: 0 done, 1 failed, 2 bad usage or configuration. An error is one plain sentence on
standard error, or several where a file has several mistakes. Subcommands are imported when they
are used, so that `status` need not wait for the packet tools.
"""

import sys
from importlib import import_module
from typing import Any

import click

from router import __version__
from router.errors import ConfigError, RouterError

__all__ = ["main"]

FAILED = 1
BAD_USAGE = 2

_COMMANDS = {
    "run": "router.cli.run:run",
    "check": "router.cli.check:check",
    "status": "router.cli.status:status",
    "up": "router.cli.dialling:up",
    "down": "router.cli.dialling:down",
    "holding": "router.cli.holding:holding",
    "events": "router.cli.events:events",
    "top": "router.cli.top:top",
    "sessions": "router.cli.views:sessions",
    "mappings": "router.cli.views:mappings",
    "why": "router.cli.why:why",
    "forward": "router.cli.forward:forward",
    "explain": "router.cli.explain:explain",
    "replay": "router.cli.replay:replay",
    "capture": "router.cli.capture:capture",
    "lab": "router.cli.lab:lab",
}


class _Commands(click.Group):
    """Subcommands by name, imported when asked for."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _, attribute = _COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ConfigError as error:
            for problem in error.problems:
                click.echo(problem, err=True)
            sys.exit(BAD_USAGE)
        except RouterError as error:
            click.echo(f"postroad: {error}", err=True)
            sys.exit(FAILED)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="postroad")
def main() -> None:
    """Userspace NAT router for Linux TUN devices."""
