"""`postroad run`: be the router, in the foreground, logging to standard error."""

import logging
from pathlib import Path

import click

from router import daemon
from router.cli.options import config_option
from router.config import load

__all__ = ["run"]

LOG_FORMAT = "%(asctime)s %(levelname)s %(message)s"


@click.command()
@config_option
@click.option("-v", "--verbose", is_flag=True, help="Log more.")
def run(config_path: Path, verbose: bool) -> None:
    """Run the router until SIGTERM or Ctrl-C; SIGHUP reads the forward rules again."""
    config = load(config_path)
    logging.basicConfig(level=logging.DEBUG if verbose else logging.INFO, format=LOG_FORMAT)
    for warning in config.warnings:
        logging.getLogger(__name__).warning("%s", warning)
    daemon.run(config)
