"""Two ends of an authentication protocol, and a wire between them that loses what it is told to."""

import itertools
from collections.abc import Callable, Container

from router.ppp.exchange import Exchange, Outcome
from router.wire.malformed import Malformed
from router.wire.ppp import Packet

__all__ = ["Wire", "packet", "users"]

USERS = {"alice": "wonderland", "bob": "builder", "ISP\\carol": "singing"}


def users(name: str) -> str | None:
    return USERS.get(name)


def packet(code: int, identifier: int, data: bytes) -> Packet:
    """What arrives when this is sent, with padding behind it."""
    parsed = Packet.parse(Packet(code, identifier, data).build() + b"\0\0")
    assert not isinstance(parsed, Malformed)
    return parsed


class Wire:
    """Joins two ends. The packets are numbered from 0, in both directions; those in `lost` are.

    `heard` is the conversation: who sent what, and "*" behind what was lost.
    """

    def __init__(self, client: Exchange, server: Exchange, lost: Container[int] = ()) -> None:
        self.ends = {"client": client, "server": server}
        self.lost = lost
        self.now = 0.0
        self.heard: list[str] = []
        self._numbers = itertools.count()

    def begin(self) -> None:
        for end in self.ends.values():
            end.begin(self.now)
        self._carry()

    def settle(self) -> None:
        """Run until nobody has anything to decide any more."""
        self.run(lambda: any(end.outcome is Outcome.PENDING for end in self.ends.values()))

    def run_until(self, until: float) -> None:
        """Run all that is due until then."""
        self.run(lambda: min(self._deadlines(), default=until + 1) <= until)
        self.now = until

    def run(self, goes_on: Callable[[], bool]) -> None:
        while goes_on():
            self.now = min(self._deadlines())
            for end in self.ends.values():
                end.handle_timer(self.now)
            self._carry()
            assert self.now < 1e6

    @property
    def outcomes(self) -> tuple[str, str]:
        return self.ends["client"].outcome.name, self.ends["server"].outcome.name

    def _deadlines(self) -> list[float]:
        deadlines = [end.next_deadline() for end in self.ends.values()]
        return [deadline for deadline in deadlines if deadline is not None]

    def _carry(self) -> None:
        while moving := [(name, one) for name in self.ends for one in self._taken(name)]:
            for name, one in moving:
                number = next(self._numbers)
                is_lost = number in self.lost
                self.heard.append(f"{self.now:g} {name} {one.code}" + "*" * is_lost)
                if not is_lost:
                    other = self.ends["server" if name == "client" else "client"]
                    other.receive(packet(*one), self.now)

    def _taken(self, name: str) -> list[Packet]:
        return self.ends[name].take_packets()
