"""Dates, durations and time zones with the methods of Go's time package that expressions may call.

Dates are kept as whole nanoseconds since 1970, so that year 0 (`date("15:04:05")`) and nanoseconds are possible, which
Python's datetime has not. There is no clock here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache, total_ordering
from typing import Final
from zoneinfo import ZoneInfo

from expressions.errors import Fault

SECOND: Final = 1_000_000_000
DAY: Final = 86_400
#: Seconds between 0001-01-01 and 1970-01-01: Go rounds and tests for zero from there.
YEAR_ONE: Final = -62_135_596_800
MONTHS: Final = (
    "January February March April May June July August September October November December".split()  # noqa: SIM905
)
WEEKDAYS: Final = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")


class NamedNumber(int):
    """A number with a name as a text: Month 1 is January, Weekday 0 is Sunday. Counts as a number everywhere."""

    name: str

    def __new__(cls, number: int, name: str) -> NamedNumber:
        made = super().__new__(cls, number)
        made.name = name
        return made


@dataclass(frozen=True)
class Zone:
    """A time zone: a name of the tz database, or a fixed offset in seconds east of UTC."""

    name: str
    offset: int = 0
    rules: ZoneInfo | None = None

    def at(self, seconds: int) -> tuple[int, str]:
        """Offset in seconds and abbreviation at a moment in seconds since 1970."""
        if self.rules is None:
            return self.offset, self.name
        local = self._at(seconds).astimezone(self.rules)
        return int((local.utcoffset() or timedelta(0)).total_seconds()), local.tzname() or ""

    def summer(self, seconds: int) -> bool:
        """Whether it is daylight saving time at a moment in seconds since 1970."""
        if self.rules is None:
            return False
        return bool(self._at(seconds).astimezone(self.rules).dst())

    @staticmethod
    def _at(seconds: int) -> datetime:
        return datetime.fromtimestamp(0, UTC) + timedelta(seconds=min(max(seconds, -62_000_000_000), 253_000_000_000))

    def __str__(self) -> str:
        return self.name


UTC_ZONE: Final = Zone("UTC")


@lru_cache(maxsize=64)
def zone(name: str) -> Zone:
    """A zone by its name in the tz database. Raises Fault."""
    if name in ("", "UTC", "Local"):
        # The machine's own zone is no part of an expression: Local is UTC.
        return UTC_ZONE
    try:
        return Zone(name, rules=ZoneInfo(name))
    except (ValueError, OSError, LookupError) as error:
        raise Fault("unknown time zone") from error


def days_from_civil(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 of a date of the proleptic Gregorian calendar; month and day may overflow."""
    year += (month - 1) // 12
    month = (month - 1) % 12 + 1
    if month <= 2:
        year -= 1
    era, year_of_era = divmod(year, 400)
    day_of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146_097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719_468


def civil_from_days(days: int) -> tuple[int, int, int]:
    """Year, month and day of a number of days since 1970-01-01."""
    era, day_of_era = divmod(days + 719_468, 146_097)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    index = (5 * day_of_year + 2) // 153
    month = index + 3 if index < 10 else index - 9
    return year_of_era + era * 400 + (month <= 2), month, day_of_year - (153 * index + 2) // 5 + 1


@total_ordering
@dataclass(frozen=True)
class Duration:
    """A span of time in nanoseconds."""

    nanoseconds: int

    def __lt__(self, other: Duration) -> bool:
        return self.nanoseconds < other.nanoseconds

    def __str__(self) -> str:
        """As Go prints it: `1h30m0s`, `1.5s`, `250ms`."""
        if not self.nanoseconds:
            return "0s"
        sign, rest = ("-", -self.nanoseconds) if self.nanoseconds < 0 else ("", self.nanoseconds)
        if rest < SECOND:
            for unit, size in (("ms", 1_000_000), ("µs", 1000), ("ns", 1)):
                if rest >= size:
                    return f"{sign}{_decimal(rest, size)}{unit}"
        minutes, rest = divmod(rest, 60 * SECOND)
        hours, minutes = divmod(minutes, 60)
        text = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
        return f"{sign}{text}{_decimal(rest, SECOND)}s"

    def truncated(self, step: Duration) -> Duration:
        size = step.nanoseconds
        if size <= 0:
            return self
        sign = -1 if self.nanoseconds < 0 else 1
        return Duration(self.nanoseconds - sign * (abs(self.nanoseconds) % size))

    def rounded(self, step: Duration) -> Duration:
        size = step.nanoseconds
        if size <= 0:
            return self
        sign = -1 if self.nanoseconds < 0 else 1
        whole, rest = divmod(abs(self.nanoseconds), size)
        return Duration(sign * min(size * (whole + (2 * rest >= size)), 2**63 - 1))


def _decimal(number: int, unit: int) -> str:
    whole, rest = divmod(number, unit)
    fraction = f"{rest:0{len(str(unit)) - 1}d}".rstrip("0") if unit > 1 else ""
    return f"{whole}.{fraction}" if fraction else str(whole)


@total_ordering
@dataclass(frozen=True)
class Date:
    """A moment, in nanoseconds since 1970-01-01 UTC, seen in a zone. Equal when the moment is."""

    nanoseconds: int
    zone: Zone = field(default=UTC_ZONE, compare=False)

    def __lt__(self, other: Date) -> bool:
        return self.nanoseconds < other.nanoseconds

    def _local(self) -> tuple[int, int]:
        """Days since 1970 and second of the day in the zone."""
        seconds = self.nanoseconds // SECOND
        return divmod(seconds + self.zone.at(seconds)[0], DAY)

    def civil(self) -> tuple[int, int, int]:
        """Year, month and day in the zone."""
        return civil_from_days(self._local()[0])

    def clock(self) -> tuple[int, int, int]:
        """Hour, minute and second in the zone."""
        rest = self._local()[1]
        return rest // 3600, rest // 60 % 60, rest % 60

    @property
    def fraction(self) -> int:
        """Nanoseconds within the second."""
        return self.nanoseconds % SECOND

    @property
    def weekday(self) -> int:
        """Day of the week, Sunday is 0."""
        return (self._local()[0] + 4) % 7

    @property
    def iso_year(self) -> int:
        """The year that the week of ISO 8601 belongs to: that of its Thursday."""
        days = self._local()[0]
        return civil_from_days(days - (days + 3) % 7 + 3)[0]

    @property
    def year_day(self) -> int:
        days = self._local()[0]
        return days - days_from_civil(civil_from_days(days)[0], 1, 1) + 1

    def offset(self) -> tuple[int, str]:
        """Offset from UTC in seconds, and the zone's abbreviation."""
        return self.zone.at(self.nanoseconds // SECOND)

    def plus(self, duration: Duration) -> Date:
        return Date(self.nanoseconds + duration.nanoseconds, self.zone)

    def since(self, other: Date) -> Duration:
        """The time from the other to this, cut to what a Go duration can hold (292 years)."""
        return Duration(min(max(self.nanoseconds - other.nanoseconds, -(2**63)), 2**63 - 1))

    def plus_date(self, years: int, months: int, days: int) -> Date:
        year, month, day = self.civil()
        return local_date(
            days_from_civil(year + years, month + months, 1) + day - 1 + days,
            self._local()[1],
            self.fraction,
            self.zone,
        )

    def within(self, other: Zone) -> Date:
        return Date(self.nanoseconds, other)

    def truncated(self, step: Duration) -> Date:
        if step.nanoseconds <= 0:
            return self
        since = self.nanoseconds - YEAR_ONE * SECOND
        return Date(self.nanoseconds - since % step.nanoseconds, self.zone)

    def rounded(self, step: Duration) -> Date:
        if step.nanoseconds <= 0:
            return self
        rest = (self.nanoseconds - YEAR_ONE * SECOND) % step.nanoseconds
        down = 2 * rest < step.nanoseconds
        return Date(self.nanoseconds - rest + (0 if down else step.nanoseconds), self.zone)

    def __str__(self) -> str:
        """As Go prints it: `2024-01-05 00:00:00 +0000 UTC`."""
        (year, month, day), (hour, minute, second), (offset, name) = self.civil(), self.clock(), self.offset()
        fraction = f".{self.fraction:09d}".rstrip("0") if self.fraction else ""
        east = f"{'-' if offset < 0 else '+'}{abs(offset) // 3600:02d}{abs(offset) // 60 % 60:02d}"
        return f"{year:04d}-{month:02d}-{day:02d} {hour:02d}:{minute:02d}:{second:02d}{fraction} {east} {name or east}"


def local_date(days: int, second: int, fraction: int, where: Zone) -> Date:
    """The moment at which the clocks of a zone show that day and second; fraction in nanoseconds."""
    local = days * DAY + second
    # Which offset holds depends on the moment that is sought: guess, then look again, as Go's time.Date does.
    offset = where.at(local - where.at(local)[0])[0]
    return Date((local - offset) * SECOND + fraction, where)


def from_datetime(moment: datetime) -> Date:
    """A date from Python's, in UTC; a naive one counts as UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    delta = aware - datetime(1970, 1, 1, tzinfo=UTC)
    return Date((delta.days * DAY + delta.seconds) * SECOND + delta.microseconds * 1000)
