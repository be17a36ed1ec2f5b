"""How hypothesis runs: bounded and the same each time, or for `make fuzz` at random and for long.

`POSTROAD_HYPOTHESIS=fuzz` picks the other profile; `tests.fuzz` does that.
"""

import os

from hypothesis import settings

settings.register_profile("check", deadline=None, derandomize=True, max_examples=60)
settings.register_profile("fuzz", deadline=None, max_examples=2000, print_blob=True)
settings.load_profile(os.environ.get("POSTROAD_HYPOTHESIS", "check"))
