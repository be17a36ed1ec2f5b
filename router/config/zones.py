"""Time zones: which civil time schedules and budgets go by."""

from datetime import UTC, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

__all__ = ["machine_zone", "parse_zone"]

_LOCALTIME = Path("/etc/localtime")  # localtime(5)


def parse_zone(text: str) -> tzinfo:
    """Return the zone of a name such as `Europe/Berlin`; raise ValueError otherwise."""
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, OSError, ValueError):
        raise ValueError(
            f'{text!r} is not a time zone this machine knows, such as "Europe/Berlin"'
        ) from None


def machine_zone(localtime: Path = _LOCALTIME) -> tzinfo:
    """Return the zone the machine is set to, UTC where it says none."""
    try:
        with localtime.open("rb") as file:
            return ZoneInfo.from_file(file, key=_name(localtime))
    except (OSError, ValueError):
        return UTC


def _name(localtime: Path) -> str:
    """Return the IANA name that a link into the zone database tells, or that of the file."""
    _, found, name = str(localtime.resolve()).partition("/zoneinfo/")
    return name if found else localtime.name
