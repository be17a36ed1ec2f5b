"""What readers of single values are built from.

A reader takes what TOML delivered and returns what the program works with. It raises ValueError
with the value and what is allowed instead.
"""

import re
from collections.abc import Callable
from enum import Enum
from typing import TypeVar

from pydantic import PlainValidator

__all__ = ["choice", "from_text", "matching", "number", "shown", "whole_number"]

_T = TypeVar("_T")
_E = TypeVar("_E", bound=Enum)


def shown(value: object) -> str:
    """Return a value as a sentence quotes it."""
    return str(value).lower() if isinstance(value, bool) else repr(value)


def from_text(read: Callable[[str], _T], allowed: str) -> PlainValidator:
    """Return the reader of a value that is written as text."""

    def validate(value: object) -> _T:
        if not isinstance(value, str):
            raise ValueError(f"{shown(value)} is not text in quotes; allowed is {allowed}")
        return read(value)

    return PlainValidator(validate)


def matching(pattern: re.Pattern[str], allowed: str) -> PlainValidator:
    """Return the reader of text of a certain form."""

    def read(value: str) -> str:
        if not pattern.fullmatch(value):
            raise ValueError(f"{value!r} is not {allowed}")
        return value

    return from_text(read, allowed)


def choice(kind: type[_E]) -> PlainValidator:
    """Return the reader of one of a few words."""
    allowed = " or ".join(f'"{member.value}"' for member in kind)

    def read(value: str) -> _E:
        try:
            return kind(value)
        except ValueError:
            raise ValueError(f"{value!r} is not allowed here; it is {allowed}") from None

    return from_text(read, allowed)


def whole_number(least: int, most: int | None = None) -> PlainValidator:
    """Return the reader of an integer within bounds."""
    allowed = f"at least {least}" if most is None else f"from {least} to {most}"

    def validate(value: object) -> int:
        if type(value) is not int or value < least or (most is not None and value > most):
            raise ValueError(f"{shown(value)} is not a whole number {allowed}")
        return value

    return PlainValidator(validate)


def number(least: float, most: float) -> PlainValidator:
    """Return the reader of a number within bounds, whole or not."""

    def validate(value: object) -> float:
        if type(value) not in (int, float) or not least <= value <= most:  # type: ignore[operator]
            raise ValueError(f"{shown(value)} is not a number from {least:g} to {most:g}")
        return float(value)  # type: ignore[arg-type]

    return PlainValidator(validate)
