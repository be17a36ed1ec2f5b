"""`postroad explain`: each packet's verdict and why, without sending anything."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import click
from rich.markup import escape

from router.cli.captures import read_capture
from router.cli.explainer import START, Explainer
from router.cli.explanation import Explanation, Worth
from router.cli.options import as_json, config_option, print_json
from router.cli.tables import duration, print_table, table
from router.config import Config, StaticLink, load
from router.devices import Side
from router.link.calendar import Calendar
from router.notation import parse_packet
from router.wire.address import format_address, parse_address

__all__ = ["explain"]

BETWEEN_PACKETS_S = 0.001  # seconds from one packet on the command line to the next
STAND_IN = parse_address("192.0.2.1")  # of TEST-NET-1 (RFC 5737): nobody has it


class _Given(NamedTuple):
    """A packet to judge: when, in seconds since the first, and where it came in if known."""

    packet: bytes
    at: float
    side: Side | None = None


_SAID = {
    "to-lan": "goes to the LAN",
    "to-wan": "goes to the WAN",
    "dropped": "is dropped",
    "answered": "is answered",
    "held": "is held",
}


def _moment(_ctx: click.Context, _param: click.Parameter, value: str | None) -> datetime | None:
    try:
        return None if value is None else datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(f'{value!r} is not a moment such as "2026-03-02 09:30".') from None


@click.command()
@click.argument("packets", nargs=-1, metavar="[PACKET]...")
@click.option(
    "-r", "read_path", type=click.Path(path_type=Path), metavar="FILE", help="A pcap or pcapng."
)
@click.option(
    "--side",
    type=click.Choice(["lan", "wan"]),
    help="Where the packets arrive; by default their sources tell.",
)
@click.option(
    "--line",
    type=click.Choice(["up", "down"]),
    default="up",
    show_default=True,
    help="Whether the preferred link is up, or every link down before each packet.",
)
@click.option(
    "--at",
    callback=_moment,
    metavar="DATE",
    help='When, as "2026-03-02 09:30" by the clock of the schedule.  [default: now]',
)
@config_option
@as_json
def explain(
    packets: tuple[str, ...],
    read_path: Path | None,
    side: str | None,
    line: str,
    at: datetime | None,
    config_path: Path,
    as_json: bool,
) -> None:
    """Tell what the router would do with each PACKET, and why; nothing is sent.

    A PACKET reads 'tcp 192.168.1.10:4000 -> 93.184.216.34:80 flags syn'. Several are judged in
    their order, the later ones with what the earlier ones left behind. No router need run, so
    nobody knows what is used of budgets.

    A packet for the line is told with the right of its host, the policy rule it is judged by,
    whether it would raise a line that is down, and for how long it holds one. Of a packet for the
    router's name server it is told what a question for outside would come to.
    """
    if bool(packets) == bool(read_path):
        raise click.UsageError("give packets, or a file with -r")
    config = load(config_path)
    explainer = _explainer(config, at, up=line == "up")
    given = _from_file(read_path, config) if read_path else _from_texts(packets)
    forced = Side[side.upper()] if side else None
    told = [
        explainer.explain(one.packet, one.at, one.side if forced is None else forced)
        for one in given
    ]
    if as_json:
        print_json([asdict(one) for one in told])
        return
    if line == "up" and not isinstance(config.links[0], StaticLink):
        name, address = config.links[0].name, format_address(STAND_IN)
        click.echo(f"{name} has no address until it is dialled; {address} stands for it.\n")
    if read_path:
        _print_table(told)
    else:
        for one in told:
            _print_one(one, up=line == "up")


def _explainer(config: Config, at: datetime | None, *, up: bool) -> Explainer:
    moment = datetime.now(config.zone) if at is None else at
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=config.zone)
    preferred = config.links[0]
    return Explainer(
        config.forwarder_config(),
        config.load_forwards(),
        Calendar(config.zone, moment.timestamp() - START),
        address=preferred.address.address if isinstance(preferred, StaticLink) else STAND_IN,
        up=up,
        serves_names=config.lan.dns,
    )


def _from_texts(texts: tuple[str, ...]) -> Iterator[_Given]:
    for index, text in enumerate(texts):
        try:
            yield _Given(parse_packet(text), index * BETWEEN_PACKETS_S)
        except ValueError as error:
            raise click.UsageError(str(error)) from None


def _from_file(path: Path, config: Config) -> Iterator[_Given]:
    """Yield what came in among the packets of a capture."""
    start = None
    for packet, at, side, sent in read_capture(path, config):
        start = at if start is None else start
        if not sent:
            yield _Given(packet, at - start, side)


def _print_one(told: Explanation, *, up: bool) -> None:
    click.echo(f"{told.packet}, from the {told.side.upper()}")
    click.echo(f"  {_SAID[told.verdict]}: it {told.sentence}")
    if told.becomes:
        click.echo(f"  becomes  {told.becomes}")
    for answer in told.answers:
        click.echo(f"  sends    {answer}")
    if told.mapping:
        internal, external = told.mapping["internal"], told.mapping["external"]
        click.echo(f"  mapping  {internal} <-> {external}, {told.mapping['kind']}")
    if told.session:
        click.echo(f"  session  with {told.session['remote']}, {told.session['state']}")
    if told.question:
        click.echo(f"  outside  {told.question}")
    if told.worth:
        click.echo(f"  host     {told.worth.host}, {told.worth.right}")
        click.echo(f"  rule     {told.worth.rule}   ({told.worth.origin})")
        click.echo(f"  raises   {_raises(told.worth, up=up)}")
        click.echo(f"  holds    {_holds(told.worth)}")


def _raises(worth: Worth, *, up: bool) -> str:
    if not worth.raises:
        return f"nothing: {worth.why_not}"
    return f"{worth.raises} if no line is up" if up else worth.raises


def _holds(worth: Worth) -> str:
    """Return for how long, and for how long once there has been an answer."""
    now, answered = _span(worth.holds_s), _span(worth.answered_holds_s)
    said = f"the line {now}" if now else "nothing"
    if answered and now != answered:
        said += f", {'' if now else 'the line '}{answered} once answered"
    by_another = answered and worth.held_by != worth.rule
    return f"{said}, by {worth.held_by}" if by_another else said


def _span(holds_s: float | None) -> str:
    if holds_s == 0:
        return ""
    return "while it is open" if holds_s is None else f"for {duration(holds_s)}"


def _print_table(told: Sequence[Explanation]) -> None:
    columns = ("From", "Packet", "Verdict", "Becomes", "It", "Raises", "Holds")
    made = table("", *columns, numbers=("",))
    for number, one in enumerate(told, start=1):
        becomes = one.becomes or "; ".join(one.answers)
        worth = one.worth
        wants = (worth.raises, _holds(worth)) if worth else ("", "")
        shown = (one.side.upper(), one.packet, one.verdict, becomes, one.sentence, *wants)
        made.add_row(str(number), *map(escape, shown))
    print_table(made)
    verdicts = Counter(one.verdict for one in told)
    summary = ", ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items()))
    click.echo(f"\n{len(told)} packets: {summary or 'none'}")
