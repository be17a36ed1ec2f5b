"""The steps of the demonstration about the line itself: what raises it, holds it, lets it fall."""

import time

from router.lab import files
from router.lab.ride import CURL, CURL_OUTSIDE, DIG_NO_REPLY, seen
from router.lab.stage import Stage
from router.lab.topology import CLIENT, EXTERNAL, MAIL, POOL, SERVER
from router.link.types import Ending, State

__all__ = ["fall", "fall_again", "lease", "raise_again", "raise_it", "refuse", "stay_down"]

_CURL_REFUSED = 7  # curl(1), EXIT CODES
_PING_NO_REPLY = 1  # ping(8)
_AT_ONCE_S = 1.0  # seconds; a program that nobody answers waits for many of them
_FALLS_WITHIN_S = 40.0  # what a ping may hold it by the shipped policy, and patience
_FEW = 100  # ports; what a scan asks in half a second
_LEASE = "demo"


def stay_down(stage: Stage) -> None:
    """Find that what nobody waits for does not raise the line."""
    stage.check(_is_down(stage), "the line is down")
    stage.run("alice", f"dig +tries=1 +time=1 -p 123 @{SERVER} x", expect=DIG_NO_REPLY)
    stage.check(
        _is_down(stage) and not stage.rises(), "a packet to a time server does not raise it"
    )
    packets = stage.run("internet", f"tcpdump -n -r {stage.lab.recording}").output
    stage.check(not packets, "nothing has been on it")


def refuse(stage: Stage) -> None:
    """Find that a host that may only use the line is told so, at once."""
    said = stage.run("bob", f"ping -n -c 1 -W 3 {SERVER}", expect=_PING_NO_REPLY).output
    stage.check("Packet filtered" in said, "bob may not raise the line: ICMP 3/13")
    began = time.monotonic()
    why = stage.run("bob", f"{CURL} http://{SERVER}/", expect=_CURL_REFUSED).errors.strip()
    took_s = time.monotonic() - began
    stage.check(took_s < _AT_ONCE_S, f"after {took_s:.1f} s: {why}")
    stage.check(_is_down(stage), "the line is still down")


def raise_it(stage: Stage) -> None:
    """Raise the line by using it: dial, log in, get an address, ask for a name, fetch a page."""
    began = time.monotonic()
    page = stage.run("alice", f"{CURL} http://www.example.test/").output
    took_s = time.monotonic() - began
    stage.check(seen(page) == EXTERNAL, f"the page is there after {took_s:.1f} s, at the first try")
    rise = stage.await_rise(1, "up_at")
    stage.check(
        (rise["by"], rise["lost"]) == ("alice", 0), f"raised by {rise['by']}, nothing was lost"
    )
    _show_login(stage)
    stage.postroad("why --last 1")


def lease(stage: Stage) -> None:
    """Hold the line for as long as the rest takes."""
    wish = {"id": _LEASE, "right": "raise", "why": "the rest of the show", "ttl_s": 60}
    stage.ask("POST", "leases", wish)
    stage.check(stage.link()["state"] == State.UP.value, "the line is up and stays so")
    stage.postroad("holding")


def fall(stage: Stage) -> None:
    """Let the line fall under a port scan."""
    address = stage.address
    stage.ask("DELETE", f"leases/{_LEASE}")
    with stage.meanwhile("internet", "router.lab.scan", CLIENT, address) as end:
        rise = stage.await_rise(1, "ended_at", _FALLS_WITHIN_S)
        asked = int(end())
    stage.check(asked > _FEW, f"{asked} ports were asked while the line was up")
    stage.check(rise["ending"] == Ending.IDLE.value, "it fell all the same: it was idle")
    stage.check(rise["kept_by"] != "", f"what held it last: {rise['kept_by']}")


def raise_again(stage: Stage) -> None:
    """Raise the line once more, and find another address on it."""
    said = stage.run("mail", f"ping -n -c 1 -W 15 {SERVER}").output
    stage.check(" 0% packet loss" in said, "the first ping is answered")
    address = stage.address
    stage.check(address == POOL[1], f"the line has another address: {address}")
    page = stage.run("internet", f"{CURL_OUTSIDE} http://{address}/").output
    stage.check(f"This is {MAIL}" in page, f"port 80 there leads to {MAIL}")


def fall_again(stage: Stage) -> None:
    """Let the line fall for lack of use."""
    rise = stage.await_rise(2, "ended_at", _FALLS_WITHIN_S)
    lasted_s = rise["ended_at"] - (rise["up_at"] or rise["ended_at"])
    stage.check(rise["ending"] == Ending.IDLE.value, f"it was up for {lasted_s:.0f} s, then idle")
    stage.check(_is_down(stage), "the line is down")
    stage.postroad("why --last 1")


def _show_login(stage: Stage) -> None:
    """Show how the router talked to its modem, who has logged in, and that nobody told how."""
    talk = stage.provider_said("modem")
    for said in talk:
        stage.tell(f"modem {said}")
    dialled = f"> ATDT{files.NUMBER}" in talk and any(said.startswith("< CONNECT") for said in talk)
    stage.check(dialled, "the modem was told to dial, and has found a carrier")
    logins = [said for said in stage.provider_said("session") if "logged in" in said]
    by_chap = len(logins) == 1 and "by CHAP" in logins[0]
    stage.check(by_chap, f"at the provider: {', '.join(logins)}")
    password = files.password_file(stage.lab).read_text().strip()
    told = [role for role in ("router", "isp") if password in stage.lab.log(role).read_text()]
    stage.check(not told, "the password is in nobody's log")


def _is_down(stage: Stage) -> bool:
    return bool(stage.link()["state"] == State.DORMANT.value)
