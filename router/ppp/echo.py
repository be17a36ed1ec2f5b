"""Whether the peer is still there: echo requests when nothing has come from it (RFC 1661 5.8).

Theory of operation. Anything that comes is as good as a reply, so a busy line sees no requests.
After an interval of silence one goes out, after another the next; with `failures` of them
unanswered for an interval the peer is deaf.
"""

from router.ppp.types import Echo

__all__ = ["EchoWatch"]


class EchoWatch:
    """Watches over one link from `begin` to `end`."""

    def __init__(self, config: Echo) -> None:
        self._config = config
        self._is_on = False
        self._heard_at = self._asked_at = 0.0
        self._asked = 0  # since something was heard

    def begin(self, now: float) -> None:
        """Watch, because the link is established."""
        self._is_on = self._config.interval_s > 0
        self.heard(now)

    def end(self) -> None:
        """Watch no more."""
        self._is_on = False

    def heard(self, now: float) -> None:
        """Note that something has come."""
        self._heard_at, self._asked = now, 0

    def next_deadline(self) -> float | None:
        """Return when to ask, or to give up."""
        if not self._is_on:
            return None
        return (self._asked_at if self._asked else self._heard_at) + self._config.interval_s

    @property
    def is_deaf(self) -> bool:
        """Whether the peer has been asked often enough; that is for `next_deadline` to say."""
        return self._asked >= self._config.failures

    def asked(self, now: float) -> None:
        """Note that a request goes out."""
        self._asked_at = now
        self._asked += 1
