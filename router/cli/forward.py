"""`postroad forward`: the port forwards of the running router."""

from pathlib import Path

import click

from router.cli.options import as_json, control_client, control_options, print_json
from router.cli.tables import print_table, table

__all__ = ["forward"]

RUNTIME_ONLY = "until the next reload or restart; the rule file is unchanged"


@click.group()
def forward() -> None:
    """Show and change which inbound ports lead to which host."""


@forward.command("list")
@as_json
@control_options
def list_(as_json: bool, config_path: Path | None, control: Path | None) -> None:
    """Show the forwards in force."""
    answer = control_client(config_path, control).get("forwards")
    if as_json:
        print_json(answer)
        return
    made = table("Rule", "From")
    for row in answer["forwards"]:
        made.add_row(row["rule"], row["origin"])
    print_table(made)


@forward.command()
@click.argument("rule")
@as_json
@control_options
def add(rule: str, as_json: bool, config_path: Path | None, control: Path | None) -> None:
    """Put RULE in force, such as 'tcp 8080 -> 192.168.1.10:80'.

    At run time only: the rule file stays as it is.
    """
    answer = control_client(config_path, control).post("forwards", {"rule": rule})
    if as_json:
        print_json(answer)
    else:
        click.echo(f"added {answer['added']['rule']}, {RUNTIME_ONLY}")


@forward.command()
@click.argument("rule")
@as_json
@control_options
def remove(rule: str, as_json: bool, config_path: Path | None, control: Path | None) -> None:
    """Take RULE out of force: all of it as listed, or what stands before "->".

    At run time only: the rule file stays as it is. Its sessions live on.
    """
    answer = control_client(config_path, control).delete("forwards", rule=rule)
    if as_json:
        print_json(answer)
    else:
        click.echo(f"removed {answer['removed']['rule']}, {RUNTIME_ONLY}")


@forward.command()
@click.option(
    "--reset-affected", is_flag=True, help="End the sessions of forwards that are no more."
)
@as_json
@control_options
def reload(
    reset_affected: bool, as_json: bool, config_path: Path | None, control: Path | None
) -> None:
    """Read the rule file again; what was added at run time goes."""
    client = control_client(config_path, control)
    answer = client.post("forwards/reload", {"reset_affected": reset_affected})
    if as_json:
        print_json(answer)
    else:
        click.echo(
            f"{answer['forwards']} forwards in force, {answer['sessions_reset']} sessions reset"
        )
