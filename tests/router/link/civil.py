"""Civil time for tests: moments as text, and clocks read minute by minute on days they are set."""

from bisect import bisect_left
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import accumulate
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)

# Zone and a day on which its clocks are set
CHANGES = [
    ("Europe/Berlin", "2025-03-30"),  # 02:00 is 03:00
    ("Europe/Berlin", "2025-10-26"),  # 03:00 is 02:00
    ("America/Havana", "2025-03-09"),  # midnight is 01:00
    ("America/Havana", "2025-11-02"),  # 01:00 is midnight
    ("America/Santiago", "2025-04-05"),  # midnight is 23:00
    ("Australia/Lord_Howe", "2025-10-05"),  # 02:00 is 02:30
    ("Australia/Lord_Howe", "2025-04-06"),  # 02:00 is 01:30
    ("America/St_Johns", "2010-11-07"),  # 00:01 is 23:01 of the day before
    ("Pacific/Apia", "2011-12-30"),  # does not exist
    ("Asia/Kathmandu", "2025-06-01"),  # never, but 5:45 off
]


def utc(text: str) -> datetime:
    """Return a moment such as `2025-03-30 00:59` in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def there(zone: str, text: str) -> datetime:
    """Return what the clocks of a zone show at a moment in UTC."""
    return utc(text).astimezone(ZoneInfo(zone))


class Wall:
    """The clocks of a zone in the days around one, read every minute."""

    def __init__(self, zone: str, day: str) -> None:
        self.zone = ZoneInfo(zone)
        self.middle = 12 * 24 * 60
        self._start = utc(day) - self.middle * MINUTE
        instants = (self._start + n * MINUTE for n in range(2 * self.middle))
        shown = (instant.astimezone(self.zone).replace(tzinfo=None) for instant in instants)
        self._latest = list(accumulate(shown, max))

    def instant(self, minute: int) -> datetime:
        return self._start + minute * MINUTE

    def moment(self, minute: int) -> datetime:
        return self.instant(minute).astimezone(self.zone)

    def first(self, shown: datetime) -> int:
        """Return the first minute at which the clocks show this or later."""
        return bisect_left(self._latest, shown)


@lru_cache
def wall(zone: str, day: str) -> Wall:
    return Wall(zone, day)
