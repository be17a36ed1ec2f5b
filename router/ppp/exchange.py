"""One authentication protocol in one role, as the session drives it.

An exchange is made anew each time the link is established, and asked to begin when authentication
does. It stays for as long as the link does, since a peer may challenge again at any time (RFC 1994
section 2) and a late duplicate wants its answer again (RFC 1334 section 2.2.1).
"""

from enum import Enum, auto
from typing import Protocol

from router.wire import ppp

__all__ = ["Exchange", "Outcome"]


class Outcome(Enum):
    """What the exchange has come to so far."""

    PENDING = auto()
    PASSED = auto()
    FAILED = auto()

    __hash__ = object.__hash__


class Exchange(Protocol):
    """One side of PAP or CHAP.

    `message` is what the other end has said about it, printable text for people. `user` is who the
    peer has proved to be, "" on the side that proves itself. A passed exchange may fail later.
    """

    protocol: ppp.Protocol
    outcome: Outcome
    message: str
    user: str

    def begin(self, now: float) -> None:
        """Begin, because the link is established."""
        ...

    def receive(self, packet: ppp.Packet, now: float) -> None:
        """Take a packet of this protocol; one that is not expected is ignored."""
        ...

    def handle_timer(self, now: float) -> None:
        """Do what is due: send again, give up, challenge anew."""
        ...

    def next_deadline(self) -> float | None:
        """Return when `handle_timer` has something to do."""
        ...

    def take_packets(self) -> list[ppp.Packet]:
        """Return what is to be sent, in order, and forget it."""
        ...
