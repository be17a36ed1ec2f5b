"""`python -m tests.fuzz [PATH...]`: hypothesis at random, round after round, until time is up.

POSTROAD_FUZZ_SECONDS bounds when the last round starts (default 60). Stops at the first failure and
tells the seed that repeats its round.
"""

import os
import random
import subprocess
import sys
import time

_DEFAULT_SECONDS = 60.0
_DEFAULT_PATHS = ["tests/fuzz"]


def main(paths: list[str]) -> int:
    until = time.monotonic() + float(os.environ.get("POSTROAD_FUZZ_SECONDS", _DEFAULT_SECONDS))
    environment = os.environ | {"HYPOTHESIS_PROFILE": "thorough"}
    rounds = 0
    while time.monotonic() < until:
        seed = random.SystemRandom().getrandbits(32)
        print(f"round {rounds + 1}: --hypothesis-seed={seed}", flush=True)
        pytest = [sys.executable, "-m", "pytest", "-q", "-x", f"--hypothesis-seed={seed}", *paths]
        status = subprocess.run(pytest, env=environment, check=False).returncode
        if status:
            return status
        rounds += 1
    print(f"{rounds} rounds, nothing found")
    return 0


sys.exit(main(sys.argv[1:] or _DEFAULT_PATHS))
