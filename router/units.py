"""Spans of time and amounts of memory as people write them: `2h4m`, `64KiB`."""

import re

__all__ = ["format_duration", "format_size", "parse_duration", "parse_size"]

_MINUTE = 60  # seconds
_HOUR = 3600  # seconds
# At most nine digits a part: 114,000 years is enough, and no timer overflows.
_DURATION = re.compile(r"(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s)?", re.ASCII)

_SIZE_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}  # bytes
_SIZE = re.compile(r"(\d{1,9})(B|KiB|MiB|GiB)", re.ASCII)


def parse_duration(text: str) -> int:
    """Return the seconds in a text such as `90s`, `5m` or `2h4m`; raise ValueError otherwise."""
    match = _DURATION.fullmatch(text)
    if not text or match is None:
        raise ValueError(f'{text!r} is not a duration such as "90s", "5m" or "2h4m"')
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return hours * _HOUR + minutes * _MINUTE + seconds


def format_duration(seconds: int) -> str:
    """Return the shortest text that `parse_duration` reads as `seconds`."""
    hours, rest = divmod(seconds, _HOUR)
    minutes, rest = divmod(rest, _MINUTE)
    parts = ((hours, "h"), (minutes, "m"), (rest, "s"))
    return "".join(f"{number}{unit}" for number, unit in parts if number) or "0s"


def parse_size(text: str) -> int:
    """Return the bytes in a text such as `64KiB`, `1MiB` or `1500B`; raise ValueError otherwise."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f'{text!r} is not a size such as "1500B", "64KiB" or "1MiB"')
    return int(match[1]) * _SIZE_UNITS[match[2]]


def format_size(size: int) -> str:
    """Return the text for what `parse_size` has read, in the largest unit that leaves no rest."""
    for unit, count in reversed(_SIZE_UNITS.items()):
        if size >= count and size % count == 0:
            return f"{size // count}{unit}"
    return f"{size}B"
