"""What there is to know of the lab's provider: one file.

It is read anew whenever something depends on it, and written in one step, so that it may be changed
at any time. It holds passwords and is for its owner only.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from router.lab import topology
from router.ppp.types import BY_STRENGTH, Method

__all__ = ["DEFAULT_RATE", "MODEM", "Provider"]

MODEM = "modem"  # what its subscribers open, in the folder of the file

DEFAULT_RATE = 33600  # bit/s: V.34, the fastest that goes by telephone in both directions

_ALL_METHODS = tuple(method.value for method in BY_STRENGTH)
_PRIVATE = 0o600


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider: the namespace it is in, its ways, and how often somebody has logged in.

    A dial takes `dial_s` seconds, until there is a carrier or something else is known; one of
    `numbers`, or any if there are none, is answered if `answers`, unless `busy`. The trunk has
    `rate`, `latency_s` and `bit_error_rate`. Who logs in is one of `users`, by one of `methods`.
    Each rise gets the next address of `pool`, or from a `sticky` provider always the first.
    """

    netns: str
    dial_s: float
    rate: float = DEFAULT_RATE
    latency_s: float = 0.0
    bit_error_rate: float = 0.0
    sticky: bool = False
    busy: bool = False
    answers: bool = True
    dialtone: bool = True
    numbers: tuple[str, ...] = ()
    users: dict[str, str] = field(default_factory=dict, repr=False)
    methods: tuple[str, ...] = _ALL_METHODS
    pool: tuple[str, ...] = topology.POOL
    rises: int = 0

    @classmethod
    def load(cls, file: Path) -> "Provider":
        """Return what a file tells."""
        fields = json.loads(file.read_text())
        lists = ("numbers", "methods", "pool")
        return cls(**fields | {key: tuple(fields[key]) for key in lists if key in fields})

    def save(self, file: Path) -> None:
        """Write the file."""
        fresh = file.with_suffix(".new")
        fresh.touch(_PRIVATE)
        fresh.write_text(json.dumps(asdict(self), indent=2) + "\n")
        fresh.replace(file)

    def answers_to(self, number: str) -> bool:
        """Return whether a call to this number is taken."""
        return self.answers and (not self.numbers or number in self.numbers)

    @property
    def next_address(self) -> str:
        """The address that the next rise gets."""
        return self.pool[0 if self.sticky else self.rises % len(self.pool)]

    @property
    def allowed_methods(self) -> tuple[Method, ...]:
        """How who logs in may prove it, the preferred one first."""
        return tuple(Method(name) for name in self.methods)
