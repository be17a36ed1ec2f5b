"""What a modem does: to its terminal, to the line, and for a log."""

from dataclasses import dataclass

__all__ = [
    "Answer",
    "Answered",
    "Carrier",
    "Dial",
    "Effect",
    "HangUp",
    "Heard",
    "ToLine",
    "ToTerminal",
]


@dataclass(frozen=True, slots=True)
class ToTerminal:
    """Octets for the terminal."""

    data: bytes


@dataclass(frozen=True, slots=True)
class ToLine:
    """Octets for the line."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Dial:
    """Call a number, which may be empty."""

    number: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Take the call that comes in."""


@dataclass(frozen=True, slots=True)
class HangUp:
    """Leave the line, whatever it was doing."""


@dataclass(frozen=True, slots=True)
class Carrier:
    """Carrier detect goes on or off."""

    on: bool


@dataclass(frozen=True, slots=True)
class Heard:
    """A command line was heard."""

    line: str


@dataclass(frozen=True, slots=True)
class Answered:
    """A result was told, or would have been without ATQ1."""

    result: str


Effect = ToTerminal | ToLine | Dial | Answer | HangUp | Carrier | Heard | Answered
