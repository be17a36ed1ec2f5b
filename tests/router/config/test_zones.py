from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import TZPATH

import pytest

from router.config.zones import machine_zone, parse_zone

SUMMER = datetime(2024, 7, 1, 12, tzinfo=UTC)
DATABASE = next(Path(folder) for folder in TZPATH if Path(folder, "Europe/Berlin").exists())


def test_a_zone_by_name() -> None:
    zone = parse_zone("Europe/Berlin")
    assert str(zone) == "Europe/Berlin"
    assert SUMMER.astimezone(zone).utcoffset() == timedelta(hours=2)


@pytest.mark.parametrize(
    "text",
    ["", "Mars/Base", "Europe", "../etc/passwd", "/etc/localtime", "tzdata.zi", "a\0b", "x" * 999],
)
def test_what_is_no_zone(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time zone this machine knows, such as"):
        parse_zone(text)


def test_the_machines_zone_is_that_of_its_localtime(tmp_path: Path) -> None:
    localtime = tmp_path / "localtime"
    localtime.symlink_to(DATABASE / "Europe/Berlin")
    assert str(machine_zone(localtime)) == "Europe/Berlin"
    assert SUMMER.astimezone(machine_zone(localtime)).utcoffset() == timedelta(hours=2)


def test_a_copied_localtime_has_no_name_and_the_same_hours(tmp_path: Path) -> None:
    localtime = tmp_path / "localtime"
    localtime.write_bytes((DATABASE / "Europe/Berlin").read_bytes())
    assert str(machine_zone(localtime)) == "localtime"
    assert SUMMER.astimezone(machine_zone(localtime)).utcoffset() == timedelta(hours=2)


@pytest.mark.parametrize("content", [None, b"", b"CET-1CEST"])
def test_without_a_localtime_it_is_utc(tmp_path: Path, content: bytes | None) -> None:
    localtime = tmp_path / "localtime"
    if content is not None:
        localtime.write_bytes(content)
    assert machine_zone(localtime) is UTC
