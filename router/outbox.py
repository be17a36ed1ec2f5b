"""What the forwarder has to send besides the packet at hand, and how often it decided what."""

from collections import Counter

from router.departure import Transmit
from router.devices import Side
from router.reasons import Reason
from router.wire.malformed import Malformed
from router.wire.vnet import PLAIN

__all__ = ["Outbox"]


class Outbox:
    """Frames in the order in which they are to be sent; packets by reason and by flaw."""

    def __init__(self) -> None:
        self.counters: Counter[Reason] = Counter()
        self.malformed: Counter[Malformed] = Counter()
        self.last_reason = Reason.MALFORMED
        self._frames: list[Transmit] = []

    def put(self, *frames: Transmit) -> None:
        """Send whole frames."""
        self._frames.extend(frames)

    def say(self, side: Side, packet: bytes) -> None:
        """Send a packet of the router's own."""
        self._frames.append(Transmit(side, PLAIN + packet))

    def take(self) -> list[Transmit]:
        """Return what there is to send, and forget it."""
        frames, self._frames = self._frames, []
        return frames

    def count(self, reason: Reason | Malformed) -> None:
        """Note why a packet got its verdict."""
        if isinstance(reason, Malformed):
            self.malformed[reason] += 1
            reason = Reason.MALFORMED
        self.counters[reason] += 1
        self.last_reason = reason
