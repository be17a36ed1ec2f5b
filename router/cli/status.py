"""`postroad status`: the lines and their budgets, uptime, counts and what became of packets."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from router.cli.options import as_json, control_client, control_options, print_json
from router.cli.tables import duration, print_table, size, table

__all__ = ["again", "budgets_table", "own_reason", "status"]


@click.command()
@as_json
@control_options
def status(as_json: bool, config_path: Path | None, control: Path | None) -> None:
    """Show how the running router is doing."""
    answer = control_client(config_path, control).get("status")
    if as_json:
        print_json(answer)
        return
    traffic = answer["traffic"]
    uptime = duration(answer["uptime_s"])
    click.echo(f"postroad {answer['version']}, process {answer['pid']}, up {uptime}")
    for link in answer["links"]:
        for line in _link(link):
            click.echo(line)
    click.echo(f"LAN: {answer['lan']['address']} on {_device(answer['lan'])}")
    if answer["names"] is not None:
        click.echo(_names(answer["names"]))
    click.echo(f"{traffic['sessions']} sessions, {traffic['mappings']} mappings\n")
    if answer["budgets"]:
        print_table(budgets_table(answer["budgets"]))
        click.echo()
    print_table(_sides(traffic))
    click.echo()
    print_table(_reasons(traffic))
    if traffic["malformed"]:
        click.echo()
        print_table(_malformed(traffic))
    if traffic["faults"]:
        click.echo(f"\n{traffic['faults']} internal faults, see the router's log")


def _device(side: dict[str, Any]) -> str:
    return f"{side['device']} by way of {side['tun']}" if side["device"] else str(side["tun"])


def _link(link: dict[str, Any]) -> Iterator[str]:
    """Yield the line and how it is, and then what else there is to know of it."""
    address = f" with {link['address']} on {_device(link)}" if link["address"] else ""
    reason = own_reason(link)
    by = f" ({link['by']})" if reason and link["by"] else ""
    because = f", {reason}{by}" if reason else ""
    lasted = duration(link["since_s"])
    yield f"line {link['name']}: {link['state']}{address} for {lasted}{because}{again(link)}"
    if link["details"]:
        yield from _details(link["details"])
    if link["falls_in_s"] is not None:
        yield f"  falls in {duration(link['falls_in_s'])} unless something holds it"
    if link["failures"]:
        yield f"  attempts that failed in a row: {link['failures']}"
    if link["blocked"]:
        yield f"  traffic may not raise it: {link['blocked']}"


def _details(known: dict[str, Any]) -> Iterator[str]:
    """Yield what a PPP line has got, while it is up, and what has been counted of it."""
    peer = f"peer {known['peer']}" if known["peer"] else ""
    names = f"names {' and '.join(known['dns'])}" if known["dns"] else ""
    if got := ", ".join(filter(None, (known["carrier"], known["login"], peer, names))):
        yield f"  ppp: {got}"
    frames = known["frames"]
    if any(frames.values()):
        bad = _split_up("bad", known["bad_frames"])
        dropped = _split_up("packets dropped", known["dropped_packets"])
        wait = f", {known['waiting_packets']} wait" if known["waiting_packets"] else ""
        yield f"  frames: {frames['received']} in, {frames['sent']} out{bad}{dropped}{wait}"


def _split_up(what: str, counts: dict[str, int]) -> str:
    """Return how many there are in all and of each kind, "" where there are none."""
    kinds = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    return f", {sum(counts.values())} {what} ({kinds})" if kinds else ""


def own_reason(link: dict[str, Any]) -> str:
    """Return why a link is as it is, "" where what blocks it says so anyway."""
    said, blocked = (str(link[key]).partition(";")[0] for key in ("reason", "blocked"))
    return "" if said == blocked else str(link["reason"])


def again(link: dict[str, Any]) -> str:
    """Return what follows on the reason of a link that rests: until when, "" for others."""
    again_in_s = link["again_in_s"]
    if again_in_s is None:
        return ""
    return f"; again in {duration(again_in_s)}, or by postroad up {link['name']}"


def _names(names: dict[str, Any]) -> str:
    pid = names["pid"]
    running = "dnsmasq is not running" if pid is None else f"dnsmasq, process {pid}"
    asked = f"{names['queries']} asked for outside, {names['cached']} of them known"
    unmet = f"{names['refused']} refused, {names['failed']} failed, {names['waiting']} waiting"
    return f"names: {running}, {asked}, {unmet}"


def budgets_table(rows: list[dict[str, Any]]) -> Table:
    """Return the allowances and what is used of them."""
    numbers = ("Used", "Allowed", "Share", "Begins anew in")
    made = table("Budget", "Of", *numbers, numbers=numbers)
    for row in rows:
        amount = _octets if row["what"] == "bytes" else _count
        share = f"{row['used'] / row['allowed']:.0%}" if row["allowed"] else "100%"
        again = duration(row["resets_in_s"])
        used, allowed = amount(row["used"]), amount(row["allowed"])
        made.add_row(row["period"], row["what"], used, allowed, share, again)
    return made


def _octets(number: float) -> str:
    return size(round(number))


def _count(number: float) -> str:
    return f"{number:.0f}"


def _sides(traffic: dict[str, Any]) -> Table:
    numbers = ("Received", "Bytes", "Sent", "Bytes sent", "Queue full", "Down", "Refused")
    made = table("Side", "TUN", *numbers, numbers=numbers)
    for name in ("lan", "wan"):
        side = traffic[name]
        made.add_row(
            name.upper(),
            side["tun"],
            str(side["received_packets"]),
            size(side["received_bytes"]),
            str(side["sent_packets"]),
            size(side["sent_bytes"]),
            str(side["queue_drops"]),
            str(side["down_drops"]),
            str(side["refused_drops"]),
        )
    return made


def _reasons(traffic: dict[str, Any]) -> Table:
    """Return the packets by reason; what the rewrite cache repeated belongs to sessions."""
    made = table("Packets", "Reason", "Meaning", numbers=("Packets",))
    made.add_row(str(traffic["cache_hits"]), "cached", "repeats what a session decided")
    for count in sorted(traffic["reasons"], key=lambda count: -int(count["packets"])):
        made.add_row(str(count["packets"]), count["reason"], count["sentence"])
    return made


def _malformed(traffic: dict[str, Any]) -> Table:
    """Return the malformed packets by what is wrong with them."""
    made = table("Malformed", "Flaw", "Meaning", numbers=("Malformed",))
    for count in sorted(traffic["malformed"], key=lambda count: -int(count["packets"])):
        made.add_row(str(count["packets"]), count["flaw"], count["sentence"])
    return made
