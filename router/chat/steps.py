"""What a chat script consists of, as `script` reads it and `machine` goes through it.

What is sent may be a secret, so no repr shows it. What is expected may be shown.
"""

from dataclasses import dataclass, field
from enum import Enum

__all__ = [
    "Attempt",
    "Break",
    "Echo",
    "Expect",
    "Hangup",
    "Number",
    "Octets",
    "Part",
    "Pause",
    "Say",
    "Script",
    "Secret",
    "Speech",
    "Step",
    "Timeout",
    "Watch",
    "Watchword",
]


# The parts of what is sent.


@dataclass(frozen=True, slots=True)
class Octets:
    """These octets."""

    value: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Number:
    """The number to dial."""


@dataclass(frozen=True, slots=True)
class Secret:
    """What is in a file; the name is as written in the script."""

    file: str


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing, for so long."""

    span_s: float


@dataclass(frozen=True, slots=True)
class Break:
    """A break condition on the line."""


Part = Octets | Number | Secret | Pause | Break


# The steps.


@dataclass(frozen=True, slots=True)
class Speech:
    """Send this. `dials`: it makes the modem dial, so what is expected next may take its time."""

    parts: tuple[Part, ...]
    dials: bool = False


@dataclass(frozen=True, slots=True)
class Attempt:
    """Wait for a string; when it does not come in time send `otherwise`, or give up if None.

    The empty string is met at once.
    """

    expected: bytes
    otherwise: Speech | None = None


@dataclass(frozen=True, slots=True)
class Expect:
    """One attempt after the other, until a string is met or the last has nothing to send."""

    attempts: tuple[Attempt, ...]


class Watchword(Enum):
    """What a string means when the modem says it, whatever is expected."""

    ABORT = "abort"  # the chat has failed
    REPORT = "report"  # it, and what follows on its line, is for people

    __hash__ = object.__hash__


@dataclass(frozen=True, slots=True)
class Watch:
    """Watch for a string from now on, or, where not `wanted`, no longer."""

    word: Watchword
    string: bytes
    wanted: bool


@dataclass(frozen=True, slots=True)
class Timeout:
    """Wait for so long for each string expected from now on."""

    span_s: float


@dataclass(frozen=True, slots=True)
class Echo:
    """Show what the modem says from now on, or do not."""

    wanted: bool


@dataclass(frozen=True, slots=True)
class Hangup:
    """Whether the loss of the carrier ends the chat from now on."""

    ends: bool


@dataclass(frozen=True, slots=True)
class Say:
    """Tell people so."""

    text: str


Step = Speech | Expect | Watch | Timeout | Echo | Hangup | Say


@dataclass(frozen=True, slots=True)
class Script:
    """A whole script, in its order."""

    steps: tuple[Step, ...]

    @property
    def needs_number(self) -> bool:
        """Whether it dials a number that it does not contain."""
        return any(isinstance(part, Number) for part in self._parts())

    @property
    def files(self) -> tuple[str, ...]:
        """Return the names of the files that it sends, each once, in order."""
        return tuple({part.file: None for part in self._parts() if isinstance(part, Secret)})

    def _parts(self) -> list[Part]:
        said = [step for step in self.steps if isinstance(step, Speech)]
        attempts = [
            each for step in self.steps if isinstance(step, Expect) for each in step.attempts
        ]
        said += [attempt.otherwise for attempt in attempts if attempt.otherwise is not None]
        return [part for speech in said for part in speech.parts]
