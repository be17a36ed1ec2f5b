"""The steps of the demonstration for which the line is up: what passes through the router.

Whoever looks from outside sees one address, which is the one the line has got this time.
"""

import re

from router.lab.pages import BIG_SHA256
from router.lab.stage import Stage
from router.lab.topology import CLIENT, MAIL, ROUTER, SERVER

__all__ = [
    "CURL",
    "CURL_OUTSIDE",
    "DIG_NO_REPLY",
    "fetch_big",
    "fetch_together",
    "hairpin",
    "knock",
    "look_for_leaks",
    "ping",
    "reach_mail",
    "reach_news",
    "reach_web",
    "resolve",
    "seen",
    "trace",
]

CURL = "curl -sS --max-time 30"
CURL_OUTSIDE = f"{CURL} --interface {CLIENT}"
DIG_NO_REPLY = 9  # dig(1), RETURN CODES

_CURL_TIMED_OUT = 28  # curl(1), EXIT CODES; 7 would be a refusal, which tells that a host is there
_YOU_ARE = re.compile(r"[Yy]ou are ([0-9.]+[0-9])")
_HOP = re.compile(r"^ *[0-9]+ +([0-9.*]+)", re.MULTILINE)
_LETTER = "From: <inn@example.test>\r\nTo: <post@example.test>\r\nSubject: horses\r\n\r\nThree.\r\n"


def fetch_together(stage: Stage) -> None:
    """Have two hosts read a page at the same time."""
    outcomes = stage.run_together(("alice", "bob"), f"{CURL} http://{SERVER}/story")
    stage.check(
        all(outcome.output.endswith("The end.\n") for outcome in outcomes),
        "both read the page to its end",
    )
    ended = stage.await_events("internet", "GET /story ends", 2)
    address = stage.address
    begun = stage.events("internet", "GET /story begins")
    stage.check(
        len(begun) == len(ended) == 2 and {one.remote_address for one in begun} == {address},
        f"the server saw both as {address}: {' and '.join(one.remote for one in begun)}",
    )
    together = min(one.at for one in ended) - max(one.at for one in begun)
    stage.check(
        together.total_seconds() > 0,
        f"they were at it at the same time, for {together.total_seconds():.1f} s",
    )


def fetch_big(stage: Stage) -> None:
    """Have two hosts fetch more than a few packets."""
    for outcome in stage.run_together(("alice", "bob"), f"{CURL} http://{CLIENT}/big | sha256sum"):
        stage.check(outcome.output.split()[0] == BIG_SHA256, "2.1 MB arrived, every byte as sent")


def resolve(stage: Stage) -> None:
    """Ask the router for names, and a server outside."""
    for asked, who in ((ROUTER, "the router"), (CLIENT, "a server outside")):
        found = stage.run("alice", f"dig +short +tries=2 @{asked} www.example.test").output.strip()
        stage.check(found == SERVER, f"www.example.test is {found}, says {who}")
    page = stage.run("bob", f"{CURL} http://www.example.test/").output
    stage.check(seen(page) == stage.address, f"by name too, the server sees {seen(page)}")


def ping(stage: Stage) -> None:
    """Ping outwards, to the router, and from outside."""
    for node, target in (("alice", SERVER), ("bob", ROUTER), ("internet", stage.address)):
        said = stage.run(node, f"ping -n -c 3 -i 0.2 -W 2 {target}").output
        times = re.search(r"mdev = [0-9.]+/([0-9.]+)/", said)
        stage.check(
            " 0% packet loss" in said and times is not None,
            f"3 of 3 echoes, {times[1] if times else '-'} ms on average",
        )


def trace(stage: Stage) -> None:
    """Count the router on the path, by every kind of traceroute."""
    for how, options in (("UDP", ""), ("ICMP", "-I "), ("TCP", "-T -p 80 ")):
        said = stage.run("alice", f"traceroute -n -q 1 -w 3 -m 5 {options}{SERVER}").output
        hops = _HOP.findall(said)
        stage.check(hops == [ROUTER, SERVER], f"{how}: the router is one hop: {' > '.join(hops)}")
    said = stage.run("bob", f"tracepath -n -m 5 {SERVER}").output
    stage.check("Resume: pmtu 1500 hops 2" in said, "the path takes 1500 bytes")


def reach_mail(stage: Stage) -> None:
    """Deliver a letter from outside."""
    command = (
        f"{CURL_OUTSIDE} -v smtp://{stage.address} --mail-from inn@example.test "
        "--mail-rcpt post@example.test --upload-file -"
    )
    said = stage.run("internet", command, fed=_LETTER).errors
    greeting = next(line for line in said.splitlines() if line.startswith("< 220"))
    stage.check(seen(greeting) == CLIENT, f"the server greets: {greeting[2:]}")
    letters = stage.await_events("mail", f"took {len(_LETTER)} octets", 1)
    stage.check(
        [one.remote_address for one in letters] == [CLIENT],
        f"a letter of {len(_LETTER)} octets has come from {CLIENT}",
    )


def reach_web(stage: Stage) -> None:
    """Visit the web server from outside."""
    page = stage.run("internet", f"{CURL_OUTSIDE} http://{stage.address}/").output
    stage.check(seen(page) == CLIENT, f"the page says: You are {seen(page)}.")
    stage.check(f"This is {MAIL}" in page, f"it comes from {MAIL}")


def reach_news(stage: Stage) -> None:
    """Visit the news server from outside."""
    # The oldest scheme curl has: it connects, sends the one line, reads until the end.
    said = stage.run("internet", f"{CURL_OUTSIDE} gopher://{stage.address}:119/1QUIT").output
    greeting = said.splitlines()[0]
    stage.check(seen(greeting) == CLIENT, f"the server greets: {greeting}")


def knock(stage: Stage) -> None:
    """Find other ports silent from outside."""
    address = stage.address
    before = len(stage.events("mail", ""))
    knock = f"curl -sS --max-time 2 --interface {CLIENT} http://{address}:81/"
    stage.run("internet", knock, expect=_CURL_TIMED_OUT)
    stage.check(True, "TCP port 81 stays silent: no refusal, no answer")
    stage.run("internet", f"dig +tries=1 +time=2 @{address} example.test", expect=DIG_NO_REPLY)
    stage.check(True, "UDP port 53 stays silent")
    stage.check(len(stage.events("mail", "")) == before, "no server inside saw anything")


def hairpin(stage: Stage) -> None:
    """Reach a server inside by the address it has outside."""
    address = stage.address
    page = stage.run("alice", f"{CURL} http://{address}/").output
    stage.check(f"This is {MAIL}" in page, f"{address} leads back inside, to {MAIL}")
    visit = stage.events("mail", "GET / begins")[-1]
    stage.check(
        seen(page) == visit.remote_address == address,
        f"mail saw {visit.remote}, alice's external endpoint",
    )


def look_for_leaks(stage: Stage) -> None:
    """Look for private addresses in all that was on the line."""
    recording = f"tcpdump -n -r {stage.lab.recording}"
    packets = stage.run("internet", recording).output.splitlines()
    stage.check(bool(packets), f"{len(packets)} packets were on the line till now")
    leaks = stage.run("internet", f"{recording} net 192.168.0.0/16").output.splitlines()
    stage.check(not leaks, "none of them bears a private address")


def seen(text: str) -> str:
    """Return the address a server says its caller has."""
    found = _YOU_ARE.search(text)
    return found[1] if found else "nobody"
