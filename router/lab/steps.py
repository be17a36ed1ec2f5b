"""The steps of the demonstration: what hosts inside and outside see of the router."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from router.lab.pages import BIG_SHA256
from router.lab.stage import Stage
from router.lab.topology import CLIENT, EXTERNAL, MAIL, ROUTER, SERVER

__all__ = ["STEPS", "Step"]

_CURL = "curl -sS --max-time 30"
_CURL_OUTSIDE = f"{_CURL} --interface {CLIENT}"
_CURL_TIMED_OUT = 28  # curl(1), EXIT CODES; 7 would be a refusal, which tells that a host is there
_DIG_NO_REPLY = 9  # dig(1), RETURN CODES
_YOU_ARE = re.compile(r"[Yy]ou are ([0-9.]+[0-9])")
_HOP = re.compile(r"^ *[0-9]+ +([0-9.*]+)", re.MULTILINE)
_LETTER = "From: <inn@example.test>\r\nTo: <post@example.test>\r\nSubject: horses\r\n\r\nThree.\r\n"


@dataclass(frozen=True, slots=True)
class Step:
    """One step: its title, and what it does."""

    title: str
    perform: Callable[[Stage], None]


def _fetch_together(stage: Stage) -> None:
    outcomes = stage.run_together(("alice", "bob"), f"{_CURL} http://{SERVER}/story")
    stage.check(
        all(outcome.output.endswith("The end.\n") for outcome in outcomes),
        "both read the page to its end",
    )
    ended = stage.await_events("internet", "GET /story ends", 2)
    begun = stage.events("internet", "GET /story begins")
    stage.check(
        len(begun) == len(ended) == 2 and {one.remote_address for one in begun} == {EXTERNAL},
        f"the server saw both as {EXTERNAL}: {' and '.join(one.remote for one in begun)}",
    )
    together = min(one.at for one in ended) - max(one.at for one in begun)
    stage.check(
        together.total_seconds() > 0,
        f"they were at it at the same time, for {together.total_seconds():.1f} s",
    )


def _fetch_big(stage: Stage) -> None:
    for outcome in stage.run_together(("alice", "bob"), f"{_CURL} http://{CLIENT}/big | sha256sum"):
        stage.check(outcome.output.split()[0] == BIG_SHA256, "16.8 MB arrived, every byte as sent")


def _resolve(stage: Stage) -> None:
    answer = stage.run("alice", f"dig +short +tries=2 @{CLIENT} www.example.test").output.strip()
    stage.check(answer == SERVER, f"www.example.test is {answer}")
    page = stage.run("bob", f"{_CURL} http://www.example.test/").output
    stage.check(_seen(page) == EXTERNAL, f"by name too, the server sees {_seen(page)}")


def _ping(stage: Stage) -> None:
    for node, target in (("alice", SERVER), ("bob", ROUTER), ("internet", EXTERNAL)):
        said = stage.run(node, f"ping -n -c 3 -i 0.2 -W 2 {target}").output
        times = re.search(r"mdev = [0-9.]+/([0-9.]+)/", said)
        stage.check(
            " 0% packet loss" in said and times is not None,
            f"3 of 3 echoes, {times[1] if times else '-'} ms on average",
        )


def _trace(stage: Stage) -> None:
    for how, options in (("UDP", ""), ("ICMP", "-I "), ("TCP", "-T -p 80 ")):
        said = stage.run("alice", f"traceroute -n -q 1 -w 3 -m 5 {options}{SERVER}").output
        hops = _HOP.findall(said)
        stage.check(hops == [ROUTER, SERVER], f"{how}: the router is one hop: {' > '.join(hops)}")
    said = stage.run("bob", f"tracepath -n -m 5 {SERVER}").output
    stage.check("Resume: pmtu 1500 hops 2" in said, "the path takes 1500 bytes")


def _reach_mail(stage: Stage) -> None:
    command = (
        f"{_CURL_OUTSIDE} -v smtp://{EXTERNAL} --mail-from inn@example.test "
        "--mail-rcpt post@example.test --upload-file -"
    )
    said = stage.run("internet", command, fed=_LETTER).errors
    greeting = next(line for line in said.splitlines() if line.startswith("< 220"))
    stage.check(_seen(greeting) == CLIENT, f"the server greets: {greeting[2:]}")
    letters = stage.await_events("mail", f"took {len(_LETTER)} octets", 1)
    stage.check(
        [one.remote_address for one in letters] == [CLIENT],
        f"a letter of {len(_LETTER)} octets has come from {CLIENT}",
    )


def _reach_web(stage: Stage) -> None:
    page = stage.run("internet", f"{_CURL_OUTSIDE} http://{EXTERNAL}/").output
    stage.check(_seen(page) == CLIENT, f"the page says: You are {_seen(page)}.")
    stage.check(f"This is {MAIL}" in page, f"it comes from {MAIL}")


def _reach_news(stage: Stage) -> None:
    # The oldest scheme curl has: it connects, sends the one line, reads until the end.
    said = stage.run("internet", f"{_CURL_OUTSIDE} gopher://{EXTERNAL}:119/1QUIT").output
    greeting = said.splitlines()[0]
    stage.check(_seen(greeting) == CLIENT, f"the server greets: {greeting}")


def _knock(stage: Stage) -> None:
    before = len(stage.events("mail", ""))
    knock = f"curl -sS --max-time 2 --interface {CLIENT} http://{EXTERNAL}:81/"
    stage.run("internet", knock, expect=_CURL_TIMED_OUT)
    stage.check(True, "TCP port 81 stays silent: no refusal, no answer")
    stage.run("internet", f"dig +tries=1 +time=2 @{EXTERNAL} example.test", expect=_DIG_NO_REPLY)
    stage.check(True, "UDP port 53 stays silent")
    stage.check(len(stage.events("mail", "")) == before, "no server inside saw anything")


def _hairpin(stage: Stage) -> None:
    page = stage.run("alice", f"{_CURL} http://{EXTERNAL}/").output
    stage.check(f"This is {MAIL}" in page, f"{EXTERNAL} leads back inside, to {MAIL}")
    seen = stage.events("mail", "GET / begins")[-1]
    stage.check(
        _seen(page) == seen.remote_address == EXTERNAL,
        f"mail saw {seen.remote}, alice's external endpoint",
    )


def _look_for_leaks(stage: Stage) -> None:
    recording = f"tcpdump -n -r {stage.lab.directory}/outside.pcap"
    packets = stage.run("internet", recording).output.splitlines()
    stage.check(len(packets) > len(STEPS), f"{len(packets)} packets were on the line till now")
    leaks = stage.run("internet", f"{recording} net 192.168.0.0/16").output.splitlines()
    stage.check(not leaks, "none of them bears a private address")


def _seen(text: str) -> str:
    """Return the address a server says its caller has."""
    found = _YOU_ARE.search(text)
    return found[1] if found else "nobody"


STEPS = (
    Step("alice and bob fetch a page through one address, both at once", _fetch_together),
    Step("alice and bob fetch something big, both at once", _fetch_big),
    Step("names are resolved by a server outside", _resolve),
    Step("ping: outwards, to the router, and to its address from outside", _ping),
    Step("traceroute: the router is one hop", _trace),
    Step("from outside, mail is delivered to port 25", _reach_mail),
    Step("from outside, the web server on port 80", _reach_web),
    Step("from outside, the news server on port 119", _reach_news),
    Step("from outside, every other port is silent", _knock),
    Step("alice reaches the web server inside by its external address", _hairpin),
    Step("no private address has been seen outside", _look_for_leaks),
)
