"""`python -m router` is the `postroad` command, wherever that may have been installed."""

from router.cli import main

main(prog_name="postroad")
