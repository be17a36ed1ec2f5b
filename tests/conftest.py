"""How much hypothesis tries: little and the same in every run, much and at random in `make fuzz`.

The environment variable HYPOTHESIS_PROFILE chooses `quick` (the default) or `thorough`.
"""

import os

from hypothesis import settings

settings.register_profile("quick", deadline=None, derandomize=True, max_examples=60)
settings.register_profile("thorough", deadline=None, max_examples=1000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))
