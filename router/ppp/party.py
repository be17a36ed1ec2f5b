"""What both sides of every authentication protocol have in common; see `router.ppp.exchange`."""

from abc import ABC, abstractmethod

from router.devices import Rng
from router.ppp.exchange import Outcome
from router.wire import ppp

__all__ = ["NO_ANSWER", "Party", "draw_octets", "user_of"]

NO_ANSWER = "no answer"


class Party(ABC):
    """An `Exchange` that has one timer and has not come to anything yet."""

    protocol: ppp.Protocol

    def __init__(self) -> None:
        self.outcome = Outcome.PENDING
        self.message = ""
        self.user = ""
        self._deadline: float | None = None
        self._packets: list[ppp.Packet] = []

    @abstractmethod
    def begin(self, now: float) -> None:
        """Begin, because the link is established."""

    @abstractmethod
    def receive(self, packet: ppp.Packet, now: float) -> None:
        """Take a packet of this protocol; one that is not expected is ignored."""

    @abstractmethod
    def _expire(self, now: float) -> None:
        """Do what was due at the deadline, which is no more."""

    def handle_timer(self, now: float) -> None:
        """Do what is due: send again, give up, challenge anew."""
        if self._deadline is not None and now >= self._deadline:
            self._deadline = None
            self._expire(now)

    def next_deadline(self) -> float | None:
        """Return when `handle_timer` has something to do."""
        return self._deadline

    def take_packets(self) -> list[ppp.Packet]:
        """Return what is to be sent, in order, and forget it."""
        packets, self._packets = self._packets, []
        return packets

    def _send(self, code: int, identifier: int, data: bytes) -> None:
        self._packets.append(ppp.Packet(code, identifier, data))

    def _end(self, outcome: Outcome, message: str) -> None:
        self.outcome = outcome
        self.message = message
        self._deadline = None


def draw_octets(rng: Rng, count: int) -> bytes:
    """Return so many octets at random."""
    return bytes(rng.randrange(0, 256) for _ in range(count))


def user_of(name: bytes) -> str:
    """Return the user a name is of, "" if no user can have it."""
    try:
        user = name.decode()
    except UnicodeDecodeError:
        return ""
    return user if user.isprintable() else ""
