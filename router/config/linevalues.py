"""The kinds of value that say who may use a line, for what, when and how; see `values`."""

import re
import shlex
from pathlib import Path
from typing import Annotated, NamedTuple

from router.config.hours import DAY, parse_clock, parse_days
from router.config.readers import choice, from_text, number, whole_number
from router.devices import Filter
from router.host.filters import compile_filter
from router.link.types import Action, Mode, Recovery, Right

__all__ = [
    "BACKENDS",
    "Backend",
    "Begin",
    "Command",
    "Days",
    "End",
    "Factor",
    "LinkMode",
    "Mac",
    "Match",
    "MonthDay",
    "PolicyAction",
    "PolicyMatch",
    "RecoveryWay",
    "Share",
    "StaticMode",
    "Threshold",
    "UseRight",
    "found",
    "read_command",
]

BACKENDS = ("static", "command", "ppp")  # ways to reach the provider that this version has

_STEEPEST = 100  # times the delay before: after the first failure it is the longest anyway
_LAST_MONTH_DAY = 28  # every month has it
_MAC = re.compile(r"(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}")


class Match(NamedTuple):
    """A filter as written, and compiled."""

    text: str
    matches: Filter


def _read_backend(text: str) -> str:
    if text not in BACKENDS:
        *others, last = (f'"{backend}"' for backend in BACKENDS)
        has = f"{', '.join(others)} and {last}"
        raise ValueError(f"{text!r} is not a backend of this version, which has {has}")
    return text


def _read_static_mode(text: str) -> Mode:
    if text != Mode.PERMANENT.value:
        raise ValueError(f'{text!r} is not allowed here; a static line is always "permanent"')
    return Mode.PERMANENT


def read_command(text: str) -> tuple[str, ...]:
    """Return a program and its arguments; raises ValueError."""
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        trouble = str(error)[0].lower() + str(error)[1:]
        raise ValueError(f"{text!r} is not a command: {trouble}") from None
    if not words or not words[0] or "\0" in text:
        raise ValueError(f"{text!r} is not a command: a program and its arguments")
    return words


def found(command: tuple[str, ...], folder: Path) -> tuple[str, ...]:
    """Return a command with the place of its program; one without a slash is looked for on PATH."""
    program, *arguments = command
    if "/" in program:
        program = str((folder / program).absolute())
    return (program, *arguments)


def _read_mac(text: str) -> str:
    if not _MAC.fullmatch(text):
        raise ValueError(f"{text!r} is not a MAC address such as 52:54:00:12:34:56")
    return text.lower()


def _read_match(text: str) -> Match:
    return Match(text, compile_filter(text))


def _read_begin(text: str) -> int:
    minutes = parse_clock(text)
    if minutes == DAY:
        raise ValueError(f'{text!r} is the end of a day; the next one begins at "00:00"')
    return minutes


def _read_end(text: str) -> int:
    return parse_clock(text) % DAY


Backend = Annotated[str, from_text(_read_backend, " or ".join(f'"{each}"' for each in BACKENDS))]
Begin = Annotated[int, from_text(_read_begin, 'a time of day such as "08:00"')]
Command = Annotated[tuple[str, ...], from_text(read_command, "a program and its arguments")]
Days = Annotated[frozenset[int], from_text(parse_days, 'days such as "mon-fri" or "daily"')]
End = Annotated[int, from_text(_read_end, 'a time of day such as "18:00"')]
Factor = Annotated[float, number(1, _STEEPEST)]
LinkMode = Annotated[Mode, choice(Mode)]
Mac = Annotated[str, from_text(_read_mac, "a MAC address such as 52:54:00:12:34:56")]
MonthDay = Annotated[int, whole_number(1, _LAST_MONTH_DAY)]
PolicyAction = Annotated[Action, choice(Action)]
PolicyMatch = Annotated[Match, from_text(_read_match, "a filter in tcpdump's syntax")]
RecoveryWay = Annotated[Recovery, choice(Recovery)]
StaticMode = Annotated[Mode, from_text(_read_static_mode, '"permanent"')]
Share = Annotated[float, number(0, 1)]
Threshold = Annotated[int, whole_number(0)]
UseRight = Annotated[Right, choice(Right)]
