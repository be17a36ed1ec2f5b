"""The command line: `postroad COMMAND`."""

from router.cli.main import main

__all__ = ["main"]
