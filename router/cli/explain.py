"""`postroad explain`: each packet's verdict and why, without sending anything."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import click

from router.cli.explainer import Explainer, Explanation
from router.cli.options import as_json, config_option, print_json
from router.cli.packets import parse_packet
from router.cli.tables import print_table, table
from router.config import load
from router.devices import Side
from router.errors import DeviceError
from router.host.control.pcapng import EPB_OUTBOUND

__all__ = ["explain"]

BETWEEN_PACKETS_S = 0.001  # seconds from one packet on the command line to the next


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
}


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
@config_option
@as_json
def explain(
    packets: tuple[str, ...],
    read_path: Path | None,
    side: str | None,
    config_path: Path,
    as_json: bool,
) -> None:
    """Tell what the router would do with each PACKET, and why; nothing is sent.

    A PACKET reads 'tcp 192.168.1.10:4000 -> 93.184.216.34:80 flags syn'. Several are judged in
    their order, the later ones with what the earlier ones left behind. No router need run.
    """
    if bool(packets) == bool(read_path):
        raise click.UsageError("give packets, or a file with -r")
    config = load(config_path)
    (link,) = config.links
    explainer = Explainer(
        config.forwarder_config(), config.load_forwards(), link.address.address, link.mtu
    )
    known = {config.lan.tun: Side.LAN, config.wan.tun: Side.WAN}
    given = _from_file(read_path, known) if read_path else _from_texts(packets)
    forced = Side[side.upper()] if side else None
    told = [
        explainer.explain(one.packet, one.at, one.side if forced is None else forced)
        for one in given
    ]
    if as_json:
        print_json([asdict(one) for one in told])
    elif read_path:
        _print_table(told)
    else:
        for one in told:
            _print_one(one)


def _from_texts(texts: tuple[str, ...]) -> Iterator[_Given]:
    for index, text in enumerate(texts):
        try:
            yield _Given(parse_packet(text), index * BETWEEN_PACKETS_S)
        except ValueError as error:
            raise click.UsageError(str(error)) from None


def _from_file(path: Path, interfaces: dict[str, Side]) -> Iterator[_Given]:
    """Yield what came in among the IPv4 packets of a capture, each as long as its header says.

    A capture of the router's own knows direction and interface; in others all packets come in.
    """
    from scapy.error import Scapy_Exception
    from scapy.layers.inet import IP  # also what makes the reader know IP when it sees it
    from scapy.utils import PcapReader

    try:
        # The annotation of PcapReader knows file names only; those it leaves open when it fails.
        with path.open("rb") as file, PcapReader(file) as reader:  # type: ignore[arg-type]
            start = None
            for frame in reader:
                at = float(frame.time)
                start = at if start is None else start
                if IP in frame and frame[IP].version == 4 and frame.direction != EPB_OUTBOUND:
                    packet = bytes(frame[IP].original)
                    side = interfaces.get(str(frame.sniffed_on))
                    yield _Given(packet[: _total_length(packet)], at - start, side)
    except (OSError, EOFError, Scapy_Exception) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DeviceError(f"cannot read {path}: {reason}") from error


def _total_length(packet: bytes) -> int:
    """Return what the IP header says; 0 is how an offloading sender says too long to say."""
    return int.from_bytes(packet[2:4], "big") or len(packet)


def _print_one(told: Explanation) -> None:
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


def _print_table(told: list[Explanation]) -> None:
    made = table("", "From", "Packet", "Verdict", "Becomes", "It", numbers=("",))
    for number, one in enumerate(told, start=1):
        becomes = one.becomes or "; ".join(one.answers)
        made.add_row(str(number), one.side.upper(), one.packet, one.verdict, becomes, one.sentence)
    print_table(made)
    verdicts = Counter(one.verdict for one in told)
    summary = ", ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items()))
    click.echo(f"\n{len(told)} packets: {summary or 'none'}")
