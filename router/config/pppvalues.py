"""The kinds of value that say how a PPP line is dialled and logged in to; see `values`."""

import re
from typing import Annotated

from pydantic import PlainValidator

from router.config.readers import choice, from_text, shown
from router.host.ppp.tty import SPEEDS, FlowControl
from router.ppp.discovery import LONGEST_NAME
from router.ppp.types import Method

__all__ = ["USUAL_SPEED", "Flow", "Label", "Methods", "Numbers", "Speed", "User"]

USUAL_SPEED = 115200  # bit/s: the fastest that every serial port since the 16550 has

_NUMBER = re.compile(r"[0-9A-D*#,;!@WwTtPp()+ ./-]{1,60}")  # V.250, section 6.3.1
_NEAREST = 3  # speeds that are named to who gives one that does not exist
_LONGEST_USER = 255  # octets: PAP's Peer-ID-Length is one (RFC 1334 section 2.2.1)


def _read_speed(value: object) -> int:
    if type(value) is not int:
        known = value if isinstance(value, str) and value in map(str, SPEEDS) else USUAL_SPEED
        raise ValueError(f"{shown(value)} is not a speed: a number without quotes, such as {known}")
    if value not in SPEEDS:
        *others, last = sorted(sorted(SPEEDS, key=lambda speed: abs(speed - value))[:_NEAREST])
        nearest = f"{', '.join(map(str, others))} and {last}"
        raise ValueError(f"{value} is not a speed of a serial port; the nearest are {nearest}")
    return value


def _read_numbers(value: object) -> tuple[str, ...]:
    numbers = value if isinstance(value, list) else [value]
    for number in numbers:
        if not isinstance(number, str) or not _NUMBER.fullmatch(number):
            raise ValueError(
                f"{shown(number)} is not a telephone number in quotes, or a list of them, such as"
                ' "0192 837465"'
            )
    return tuple(numbers)


def _read_methods(value: object) -> tuple[Method, ...]:
    allowed = ", ".join(f'"{method.value}"' for method in Method)
    words = value if isinstance(value, list) else []
    try:
        methods = tuple(dict.fromkeys(Method(word) for word in words))
    except ValueError:
        methods = ()
    if not methods:
        raise ValueError(f"{shown(value)} is not a list of ways to log in, which are {allowed}")
    return methods


def _read_user(text: str) -> str:
    if not text or len(text.encode()) > _LONGEST_USER or not text.isprintable():
        raise ValueError(f"{text!r} is not a user's name of 1 to {_LONGEST_USER} octets")
    return text


def _read_label(text: str) -> str:
    if len(text.encode()) > LONGEST_NAME or not text.isprintable():
        raise ValueError(f"{text!r} is not a name of at most {LONGEST_NAME} octets")
    return text


Flow = Annotated[FlowControl, choice(FlowControl)]
Label = Annotated[str, from_text(_read_label, "a name in PPPoE")]
Methods = Annotated[tuple[Method, ...], PlainValidator(_read_methods)]
Numbers = Annotated[tuple[str, ...], PlainValidator(_read_numbers)]
Speed = Annotated[int, PlainValidator(_read_speed)]
User = Annotated[str, from_text(_read_user, "a user's name")]
