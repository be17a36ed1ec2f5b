"""Hours of the week as people write them: days `mon-fri`, from `08:00` to `18:00`.

Weeks and days go round: `fri-mon` are four days, and a span that ends when it begins, or before,
ends on the next day.
"""

import re
from collections.abc import Iterator

from router.link.types import Span

__all__ = ["DAY", "format_days", "format_span", "parse_clock", "parse_days"]

DAY = 24 * 60  # minutes

_NAMES = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WEEK = len(_NAMES)
_DAILY = "daily"
_DAYS = re.compile(rf"({'|'.join(_NAMES)})(?:-({'|'.join(_NAMES)}))?")
_CLOCK = re.compile(r"([0-9]{1,2}):([0-5][0-9])")


def parse_days(text: str) -> frozenset[int]:
    """Return the days in a text such as `mon-fri`, 0 for Monday; raise ValueError otherwise."""
    if text == _DAILY:
        return frozenset(range(_WEEK))
    days: set[int] = set()
    for part in text.split(","):
        match = _DAYS.fullmatch(part.strip())
        if match is None:
            raise ValueError(
                f'{text!r} is not a list of days such as "mon-fri", "sat,sun" or "{_DAILY}"'
            )
        first, last = _NAMES.index(match[1]), _NAMES.index(match[2] or match[1])
        days.update((first + later) % _WEEK for later in range((last - first) % _WEEK + 1))
    return frozenset(days)


def format_days(days: frozenset[int]) -> str:
    """Return a text that `parse_days` reads as `days`."""
    if len(days) == _WEEK:
        return _DAILY
    return ",".join(
        _NAMES[first] if first == last else f"{_NAMES[first]}-{_NAMES[last]}"
        for first, last in _runs(days)
    )


def _runs(days: frozenset[int]) -> Iterator[tuple[int, int]]:
    """Yield the first and the last of days that follow each other."""
    for first in sorted(days):
        if first - 1 not in days:
            last = first
            while last + 1 in days:
                last += 1
            yield first, last


def parse_clock(text: str) -> int:
    """Return the minutes from midnight to a time such as `08:00`; raise ValueError otherwise.

    The end of the day is `24:00`.
    """
    match = _CLOCK.fullmatch(text)
    minutes = int(match[1]) * 60 + int(match[2]) if match else DAY + 1
    if minutes > DAY:
        raise ValueError(f'{text!r} is not a time of day such as "08:00", up to "24:00"')
    return minutes


def format_span(span: Span) -> str:
    """Return days and hours as people write them, `mon-fri 08:00-18:00`."""
    return f"{format_days(span.days)} {_format_clock(span.start)}-{_format_clock(span.end or DAY)}"


def _format_clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"
