"""How much is tried: little in every run, much in `make fuzz`.

The environment variable HYPOTHESIS_PROFILE chooses `quick` (the default; the same examples every
time, so that a failure stays) or `thorough` (new examples every time, fifty times as many).
"""

import os

from hypothesis import HealthCheck, settings

_SLOW_IS_FINE = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]
_TIMES = {"quick": 1, "thorough": 50}
_PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "quick")

settings.register_profile(
    "quick", deadline=None, derandomize=True, database=None, suppress_health_check=_SLOW_IS_FINE
)
settings.register_profile(
    "thorough", deadline=None, print_blob=True, suppress_health_check=_SLOW_IS_FINE
)


def budget(examples: int, steps: int = 50) -> settings:
    """Return settings for a property that runs so many examples in the quick profile."""
    return settings(
        settings.get_profile(_PROFILE),
        max_examples=examples * _TIMES[_PROFILE],
        stateful_step_count=steps,
    )
