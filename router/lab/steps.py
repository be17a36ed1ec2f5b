"""The steps of the demonstration in their order: the line rises, is ridden, falls, rises again."""

from collections.abc import Callable
from dataclasses import dataclass

from router.lab import dialling, ride
from router.lab.stage import Stage

__all__ = ["STEPS", "Step"]


@dataclass(frozen=True, slots=True)
class Step:
    """One step: its title, and what it does."""

    title: str
    perform: Callable[[Stage], None]


STEPS = (
    Step("the line is down, and time servers do not raise it", dialling.stay_down),
    Step("bob may use the line, not raise it: he is told at once", dialling.refuse),
    Step("alice's first request, by name, raises the line and succeeds", dialling.raise_it),
    Step("a lease holds the line for what follows", dialling.lease),
    Step("alice and bob fetch a page through one address, both at once", ride.fetch_together),
    Step("alice and bob fetch something big, both at once", ride.fetch_big),
    Step("names are resolved, by the router and by a server outside", ride.resolve),
    Step("ping: outwards, to the router, and to its address from outside", ride.ping),
    Step("traceroute: the router is one hop", ride.trace),
    Step("from outside, mail is delivered to port 25", ride.reach_mail),
    Step("from outside, the web server on port 80", ride.reach_web),
    Step("from outside, the news server on port 119", ride.reach_news),
    Step("from outside, every other port is silent", ride.knock),
    Step("alice reaches the web server inside by its external address", ride.hairpin),
    Step("without the lease the line falls, a port scan does not hold it", dialling.fall),
    Step("mail's ping raises it again, with another address", dialling.raise_again),
    Step("unused, it falls, and the ledger says what it was for", dialling.fall_again),
    Step("no private address has been seen outside", ride.look_for_leaks),
)
