"""How long a link rests before its next attempt."""

from math import inf

from router.devices import Rng
from router.link.types import RedialConfig

__all__ = ["Redial"]

_JITTER_STEPS = 1000  # an Rng draws integers; no delay is long enough to tell finer steps apart


class Redial:
    """Delays that grow with each failure and are never quite the same.

    Two ends that dial each other at the same time both find the line busy; with the same delay
    they would do so for ever.
    """

    def __init__(self, config: RedialConfig, rng: Rng) -> None:
        self._config = config
        self._rng = rng

    def after_failure(self, failures: int) -> float:
        """Return the seconds to rest after so many failures in a row, the last one included."""
        config = self._config
        try:
            delay_s = config.first_s * config.factor ** (failures - 1)
        except OverflowError:
            delay_s = inf
        return self._with_jitter(min(delay_s, config.max_s))

    def after_loss(self) -> float:
        """Return the seconds to rest after the carrier was lost."""
        return self._with_jitter(self._config.after_loss_s)

    def _with_jitter(self, delay_s: float) -> float:
        share = self._rng.randrange(0, _JITTER_STEPS + 1) / _JITTER_STEPS
        return delay_s * (1 + self._config.jitter * share)
