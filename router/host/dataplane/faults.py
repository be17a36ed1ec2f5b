"""Faults: exceptions on the packet path, counted always and logged now and then."""

import logging
import time
from collections.abc import Callable

from router.devices import Side

__all__ = ["Faults"]

LOG_INTERVAL_S = 10.0  # seconds: a stranger's odd packets must not fill the disk
LOGGED_BYTES = 64  # of the frame: the headers, and little of what people wrote

_log = logging.getLogger(__name__)


class Faults:
    """Counts what went wrong on the packet path; the router goes on."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.count = 0
        self._clock = clock
        self._quiet_until = float("-inf")

    def note(
        self, side: Side | None, frame: bytes | memoryview = b"", *, what: str = "a timer"
    ) -> None:
        """Count the exception being handled; log it with its traceback if none was lately.

        `side` is where the frame came from; without one, `what` was being done.
        """
        self.count += 1
        now = self._clock()
        if now < self._quiet_until:
            return
        self._quiet_until = now + LOG_INTERVAL_S
        where = what if side is None else f"a packet from the {side.name} side"
        _log.exception(
            "internal fault on %s, dropped and carried on (%d so far): %s",
            where,
            self.count,
            bytes(frame[:LOGGED_BYTES]).hex(),
        )
