"""The language of modems: command lines, what they set, and the results (ITU-T V.250).

A command line is `AT`, then commands one after the other, as in `ATE0X4S7=30DT5551234`. They are
read one at a time, since those before a mistake count.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

__all__ = ["Command", "DialString", "Register", "Result", "Settings", "commands"]


class Result(Enum):
    """What a modem says to a command, or of itself: in words, and as a number."""

    OK = "OK", 0
    CONNECT = "CONNECT", 1
    RING = "RING", 2
    NO_CARRIER = "NO CARRIER", 3
    ERROR = "ERROR", 4
    NO_DIALTONE = "NO DIALTONE", 6
    BUSY = "BUSY", 7
    NO_ANSWER = "NO ANSWER", 8

    __hash__ = object.__hash__

    @property
    def words(self) -> str:
        """Return what is said while results are verbose."""
        return self.value[0]

    @property
    def number(self) -> int:
        """Return what is said while they are not."""
        return self.value[1]


class Register:
    """Numbers of S registers that mean something here."""

    AUTO_ANSWER = 0  # after so many rings; 0 is never
    RINGS = 1  # how often it has rung
    ESCAPE = 2  # the octet that, three times, leads to command mode; above 127 none does
    END = 3  # the octet that ends a command line
    LINE_FEED = 4
    BACKSPACE = 5
    CARRIER_WAIT = 7  # seconds
    PAUSE = 8  # seconds, for each comma in a number
    GUARD = 12  # of the escape, in fiftieths of a second


# As V.250 has them; S2 and S12, which it leaves to others, as Hayes had them.
_REGISTERS = {0: 0, 1: 0, 2: 43, 3: 13, 4: 10, 5: 8, 6: 2, 7: 50, 8: 2, 10: 14, 12: 50}
_LARGEST = 255

# Parameters set by a letter and a number: the default, and the largest that is allowed. L and M
# are a loudspeaker's, and there is none.
_PARAMETERS = {
    "E": (1, 1),  # echo
    "Q": (0, 1),  # no results
    "V": (1, 1),  # results in words
    "X": (4, 4),  # which calling tones are known, and whether the speed is told
    "L": (1, 3),
    "M": (1, 3),
    "&C": (1, 1),  # carrier detect tells of the carrier; 0 is always on
    "&D": (2, 3),  # what it means that the terminal is not ready any more
    "&K": (3, 6),  # flow control
}

_COMMAND = re.compile(r"S(?P<register>[0-9]+)(?:=(?P<value>[0-9]*)|\?)|(?P<name>&?[A-Z])([0-9]*)")
_NAMES = frozenset(_PARAMETERS) | {"A", "H", "I", "O", "Z", "&F"}


class Command(NamedTuple):
    """One command: `S=` and `S?` with a register's number, `D` with text, letters with a number."""

    name: str
    number: int = 0
    argument: str = ""


def commands(body: str) -> Iterator[Command]:
    """Return the commands of a line without its AT; raises ValueError at the first mistake."""
    text, at = body.replace(" ", "").upper(), 0
    while at < len(text):
        if text[at] == "D":
            yield Command("D", 0, text[at + 1 :])
            return
        found = _COMMAND.match(text, at)
        if found is None or (found["name"] is not None and found["name"] not in _NAMES):
            raise ValueError(f"no such command: {text[at:]}")
        yield _command(found)
        at = found.end()


def _command(found: "re.Match[str]") -> Command:
    if found["register"] is None:
        return Command(found["name"], int(found[4] or 0))
    if found["value"] is None:
        return Command("S?", int(found["register"]))
    return Command("S=", int(found["register"]), found["value"] or "0")


@dataclass(frozen=True, slots=True)
class DialString:
    """What follows ATD: the number, how many commas are in it, whether to wait for a dial tone."""

    number: str
    pauses: int
    waits_for_tone: bool

    @classmethod
    def parse(cls, text: str) -> "DialString":
        """Return it taken apart; raises ValueError when it holds what cannot be dialled."""
        if strange := re.sub(r"[0-9A-D*#TPW,!@()./-]", "", text):
            raise ValueError(f"cannot be dialled: {strange}")
        return cls(re.sub(r"[^0-9A-D*#]", "", text), text.count(","), "W" in text)


class Settings:
    """What a modem can be told to remember; a new one is as from the factory."""

    def __init__(self) -> None:
        self.restore()

    def restore(self) -> None:
        """Be as from the factory again."""
        self._parameters = {name: default for name, (default, _) in _PARAMETERS.items()}
        self._registers = dict(_REGISTERS)

    def __getitem__(self, name: str) -> int:
        """Return a parameter."""
        return self._parameters[name]

    def set(self, name: str, number: int) -> None:
        """Set a parameter; raises ValueError when it does not exist or the number is too large."""
        if name not in _PARAMETERS or number > _PARAMETERS[name][1]:
            raise ValueError(f"no such setting: {name}{number}")
        self._parameters[name] = number

    def register(self, number: int) -> int:
        """Return a register; raises ValueError when there is none of this number."""
        if number not in self._registers:
            raise ValueError(f"no such register: {number}")
        return self._registers[number]

    def set_register(self, number: int, value: int) -> None:
        """Set a register; raises ValueError when there is none, or it is too small for that."""
        self.register(number)
        if value > _LARGEST:
            raise ValueError(f"{value} is more than a register holds")
        self._registers[number] = value

    @property
    def knows_dial_tone(self) -> bool:
        """Whether a line without a dial tone is noticed (X2 and X4)."""
        return self["X"] in (2, 4)

    @property
    def knows_busy(self) -> bool:
        """Whether an engaged number is told from one that nobody answers (X3 and X4)."""
        return self["X"] in (3, 4)

    @property
    def guard_s(self) -> float:
        """The silence around an escape, seconds."""
        return self.register(Register.GUARD) / 50
