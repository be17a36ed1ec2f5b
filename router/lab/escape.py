"""The way from data to commands: silence, three escape octets, silence (Hayes' `+++`)."""

from math import inf

__all__ = ["Escape"]

_TIMES = 3
_LAST_ESCAPE = 127  # an octet above it is never one


class Escape:
    """Hears what a terminal sends while the modem is online; the guard time is in seconds.

    Silence is as long as the guard time or longer; the octets are closer to each other than that,
    unless there is no guard time.
    """

    def __init__(self, octet: int, guard_s: float, now: float) -> None:
        self._octet = octet
        self._guard_s = guard_s
        self._heard_at = now
        self._count = 0

    def hear(self, data: bytes, now: float) -> None:
        """Take octets that have come together."""
        silence_s, self._heard_at = now - self._heard_at, now
        is_silence = silence_s >= self._guard_s
        if not self._consists(data):
            self._count = 0
        elif self._count and not (is_silence and self._guard_s):
            self._count += len(data)
        else:
            self._count = len(data) if is_silence else 0

    def deadline(self) -> float:
        """Return when the escape is complete, if nothing more is heard; inf while it is none."""
        return self._heard_at + self._guard_s if self._count == _TIMES else inf

    def _consists(self, data: bytes) -> bool:
        if self._octet > _LAST_ESCAPE or len(data) > _TIMES:
            return False
        return data == bytes((self._octet,)) * len(data)
