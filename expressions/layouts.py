"""Dates to text and back by the layouts of Go's time package, in which 2006-01-02 15:04:05 stands for the parts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from expressions.dates import DAY, MONTHS, UTC_ZONE, WEEKDAYS, Date, Zone, days_from_civil, local_date
from expressions.errors import Fault

#: Longer layouts and texts are refused.
_MAX_TEXT: Final = 4096

# Longest first; "Jan" only where no small letter follows, as in Go.
_ELEMENT: Final = re.compile(
    r"January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST|2006|_2006|__2|002|_2|01|02|03|04|05|06|15|PM|pm"
    r"|Z07:00:00|-07:00:00|Z070000|-070000|Z07:00|-07:00|Z0700|-0700|Z07|-07"
    r"|[.,](?:0+|9+)(?!\d)|1|2|3|4|5"
)

_RFC3339: Final = "2006-01-02T15:04:05Z07:00"
#: The layouts that `date()` tries when none is given.
DEFAULT_LAYOUTS: Final = (
    "2006-01-02",
    "15:04:05",
    "2006-01-02 15:04:05",
    _RFC3339,
    "02 Jan 06 15:04 MST",
    "Monday, 02-Jan-06 15:04:05 MST",
    "Mon, 02 Jan 2006 15:04:05 MST",
)


@lru_cache(maxsize=256)
def _pieces(layout: str) -> tuple[tuple[bool, str], ...]:
    """The layout as pieces: (is an element, text)."""
    if len(layout) > _MAX_TEXT:
        raise Fault(f"a layout of a date is longer than {_MAX_TEXT} characters")
    pieces: list[tuple[bool, str]] = []
    position = 0
    for match in _ELEMENT.finditer(layout):
        element = match[0]
        start = match.start()
        if element == "_2006":
            # `_2006` is an underscore and a year, not `_2` and 006.
            start, element = start + 1, "2006"
        if start > position:
            pieces.append((False, layout[position:start]))
        pieces.append((True, element))
        position = match.end()
    if position < len(layout):
        pieces.append((False, layout[position:]))
    return tuple(pieces)


def _offset_text(element: str, offset: int) -> str:
    if element.startswith("Z") and offset == 0:
        return "Z"
    sign, rest = ("-", -offset) if offset < 0 else ("+", offset)
    parts = [f"{rest // 3600:02d}"]
    digits = sum(character.isdigit() for character in element)
    if digits >= 4:
        parts.append(f"{rest // 60 % 60:02d}")
    if digits >= 6:
        parts.append(f"{rest % 60:02d}")
    return sign + (":" if ":" in element else "").join(parts)


def format_date(date: Date, layout: str) -> str:
    """The date as text (Go: Time.Format)."""
    year, month, day = date.civil()
    hour, minute, second = date.clock()
    out: list[str] = []
    for is_element, text in _pieces(layout):
        if not is_element:
            out.append(text)
            continue
        match text:
            case "2006":
                out.append(f"{year:04d}" if year >= 0 else f"-{-year:04d}")
            case "06":
                out.append(f"{year % 100:02d}")
            case "January":
                out.append(MONTHS[month - 1])
            case "Jan":
                out.append(MONTHS[month - 1][:3])
            case "01":
                out.append(f"{month:02d}")
            case "1":
                out.append(str(month))
            case "Monday":
                out.append(WEEKDAYS[date.weekday])
            case "Mon":
                out.append(WEEKDAYS[date.weekday][:3])
            case "02":
                out.append(f"{day:02d}")
            case "_2":
                out.append(f"{day:2d}")
            case "2":
                out.append(str(day))
            case "002":
                out.append(f"{date.year_day:03d}")
            case "__2":
                out.append(f"{date.year_day:3d}")
            case "15":
                out.append(f"{hour:02d}")
            case "03":
                out.append(f"{(hour % 12) or 12:02d}")
            case "3":
                out.append(str((hour % 12) or 12))
            case "04":
                out.append(f"{minute:02d}")
            case "4":
                out.append(str(minute))
            case "05":
                out.append(f"{second:02d}")
            case "5":
                out.append(str(second))
            case "PM":
                out.append("PM" if hour >= 12 else "AM")
            case "pm":
                out.append("pm" if hour >= 12 else "am")
            case "MST":
                offset, name = date.offset()
                out.append(name or _offset_text("-0700", offset))
            case _ if text[0] in ".,":
                digits = f"{date.fraction:09d}"[: len(text) - 1].ljust(len(text) - 1, "0")
                if text[1] == "9":
                    digits = digits.rstrip("0")
                out.append(text[0] + digits if digits else "")
            case _:
                out.append(_offset_text(text, date.offset()[0]))
    return "".join(out)


@dataclass
class _Parsed:
    """The parts read so far."""

    year: int = 0
    month: int | None = None
    day: int | None = None
    year_day: int | None = None
    hour: int = 0
    minute: int = 0
    second: int = 0
    fraction: int = 0
    afternoon: bool | None = None
    offset: int | None = None
    zone_name: str = ""


class _Mismatch(Exception):
    """The text is not of this layout."""


_NUMBERS: Final = {
    "2006": r"\d{4}",
    "06": r"\d{2}",
    "01": r"\d{2}",
    "1": r"\d{1,2}",
    "02": r"\d{2}",
    "_2": r" ?\d{1,2}",
    "2": r"\d{1,2}",
    "002": r"\d{3}",
    "__2": r" {0,2}\d{1,3}",
    "15": r"\d{1,2}",
    "03": r"\d{2}",
    "3": r"\d{1,2}",
    "04": r"\d{2}",
    "4": r"\d{1,2}",
    "05": r"\d{2}",
    "5": r"\d{1,2}",
}
_COMPILED: Final = {element: re.compile(pattern, re.ASCII) for element, pattern in _NUMBERS.items()}
_FRACTION: Final = re.compile(r"[.,](\d+)", re.ASCII)
_OFFSET: Final = {
    "07": re.compile(r"([+-])(\d\d)", re.ASCII),
    "0700": re.compile(r"([+-])(\d\d)(\d\d)", re.ASCII),
    "07:00": re.compile(r"([+-])(\d\d):(\d\d)", re.ASCII),
    "070000": re.compile(r"([+-])(\d\d)(\d\d)(\d\d)", re.ASCII),
    "07:00:00": re.compile(r"([+-])(\d\d):(\d\d):(\d\d)", re.ASCII),
}
_ABBREVIATION: Final = re.compile(r"GMT[+-]\d{1,2}|[+-]\d{2}|[A-Z]{3,5}", re.ASCII)


def _name(text: str, position: int, names: tuple[str, ...] | list[str], short: bool) -> tuple[int, int]:
    for index, name in enumerate(names):
        wanted = name[:3] if short else name
        if text[position : position + len(wanted)].lower() == wanted.lower():
            return index, position + len(wanted)
    raise _Mismatch


def _element(parsed: _Parsed, element: str, text: str, position: int) -> int:
    """Read one element; the position after it. Raises _Mismatch."""
    if element in ("January", "Jan"):
        index, end = _name(text, position, MONTHS, element == "Jan")
        parsed.month = index + 1
        return end
    if element in ("Monday", "Mon"):
        return _name(text, position, WEEKDAYS, element == "Mon")[1]
    if element in ("PM", "pm"):
        half = text[position : position + 2]
        if half not in ("AM", "PM") if element == "PM" else half not in ("am", "pm"):
            raise _Mismatch
        parsed.afternoon = half in ("PM", "pm")
        return position + 2
    if element == "MST":
        return _abbreviation(parsed, text, position)
    if element[0] in ".,":
        return _fraction(parsed, element, text, position)
    if element[0] in "Z-":
        return _offset(parsed, element, text, position)
    match = _COMPILED[element].match(text, position)
    if match is None:
        raise _Mismatch
    number = int(match[0])
    match element:
        case "2006":
            parsed.year = number
        case "06":
            parsed.year = number + (1900 if number >= 69 else 2000)
        case "01" | "1":
            parsed.month = number
        case "02" | "_2" | "2":
            parsed.day = number
        case "002" | "__2":
            parsed.year_day = number
        case "15" | "03" | "3":
            parsed.hour = number
            if number > (23 if element == "15" else 12):
                raise _Mismatch
        case "04" | "4":
            parsed.minute = number
        case _:
            parsed.second = number
    return match.end()


def _digits(text: str, position: int) -> tuple[int, int]:
    match = _FRACTION.match(text, position)
    if match is None:
        raise _Mismatch
    return int(match[1][:9].ljust(9, "0")), match.end()


def _fraction(parsed: _Parsed, element: str, text: str, position: int) -> int:
    if element[1] == "9":
        if position < len(text) and text[position] in ".,":
            parsed.fraction, position = _digits(text, position)
        return position
    part = text[position : position + len(element)]
    parsed.fraction, _ = _digits(part, 0)
    if len(part) != len(element):
        raise _Mismatch
    return position + len(element)


def _offset(parsed: _Parsed, element: str, text: str, position: int) -> int:
    if element[0] == "Z" and text[position : position + 1] == "Z":
        parsed.offset = 0
        return position + 1
    match = _OFFSET[element[1:]].match(text, position)
    if match is None:
        raise _Mismatch
    sign, hours, *rest = match.groups()
    minutes = int(rest[0]) if rest else 0
    if int(hours) > 24 or minutes > 60:
        raise _Mismatch
    seconds = int(hours) * 3600 + minutes * 60 + (int(rest[1]) if len(rest) > 1 else 0)
    parsed.offset = -seconds if sign == "-" else seconds
    return match.end()


def _abbreviation(parsed: _Parsed, text: str, position: int) -> int:
    match = _ABBREVIATION.match(text, position)
    if match is None:
        raise _Mismatch
    if match[0] == "UTC":
        parsed.offset = 0
    else:
        parsed.zone_name = match[0]
    return match.end()


_MONTH_DAYS: Final = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def _month_days(year: int, month: int) -> int:
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return 29 if month == 2 and leap else _MONTH_DAYS[month - 1]


def parse_date(layout: str, text: str, where: Zone | None = None) -> Date:
    """A date from text in a layout (Go: time.ParseInLocation); `where` holds when the text names no zone.

    Raises Fault.
    """
    try:
        return _parse(layout, text, where or UTC_ZONE)
    except _Mismatch:
        raise Fault("the text is not a date in the given layout") from None


def parse_any_date(text: str, where: Zone | None = None) -> Date:
    """A date in one of the layouts that `date()` knows. Raises Fault."""
    for layout in DEFAULT_LAYOUTS:
        try:
            return _parse(layout, text, where or UTC_ZONE)
        except _Mismatch:
            continue
    raise Fault("invalid date: expected one like 2006-01-02, 15:04:05, 2006-01-02 15:04:05 or 2006-01-02T15:04:05Z")


def _parse(layout: str, text: str, where: Zone) -> Date:
    if len(text) > _MAX_TEXT:
        raise _Mismatch
    parsed = _Parsed()
    position = 0
    pieces = _pieces(layout)
    elements = [piece for is_element, piece in pieces if is_element]
    for is_element, piece in pieces:
        if not is_element:
            position = _skip(text, position, piece)
            continue
        position = _element(parsed, piece, text, position)
        elements.pop(0)
        fraction_follows = bool(elements) and elements[0][0] in ".,"
        if piece in ("05", "5") and not fraction_follows and _FRACTION.match(text, position):
            # A fraction is read after the seconds even where the layout has none.
            parsed.fraction, position = _digits(text, position)
    if position != len(text):
        raise _Mismatch
    return _date(parsed, where)


def _skip(text: str, position: int, wanted: str) -> int:
    """The position after text between elements; blanks match any number of blanks. Raises _Mismatch."""
    for part in re.findall(r" +|[^ ]+", wanted):
        if part[0] == " ":
            if text[position : position + 1] not in ("", " "):
                raise _Mismatch
            position = len(text) - len(text[position:].lstrip(" "))
        elif text.startswith(part, position):
            position += len(part)
        else:
            raise _Mismatch
    return position


def _date(parsed: _Parsed, where: Zone) -> Date:
    month = 1 if parsed.month is None else parsed.month
    day = 1 if parsed.day is None else parsed.day
    if not 1 <= month <= 12 or not 1 <= day <= _month_days(parsed.year, month):
        raise _Mismatch
    if parsed.minute > 59 or parsed.second > 59:
        raise _Mismatch
    hour = parsed.hour
    if parsed.afternoon and hour < 12:
        hour += 12
    elif parsed.afternoon is False and hour == 12:
        hour = 0
    days = days_from_civil(parsed.year, month, day)
    if parsed.year_day is not None:
        year_days = 337 + _month_days(parsed.year, 2)
        if not 1 <= parsed.year_day <= year_days:
            raise _Mismatch
        days = days_from_civil(parsed.year, 1, 1) + parsed.year_day - 1
    second = hour * 3600 + parsed.minute * 60 + parsed.second
    if parsed.offset is not None:
        fixed = UTC_ZONE if parsed.offset == 0 else Zone("", parsed.offset)
        local = local_date(days, second, parsed.fraction, fixed)
        if where.at(days * DAY + second - parsed.offset)[0] == parsed.offset:
            return local.within(where)
        return local
    if parsed.zone_name:
        return _named(parsed.zone_name, days, second, parsed.fraction, where)
    return local_date(days, second, parsed.fraction, where)


def _named(name: str, days: int, second: int, fraction: int, where: Zone) -> Date:
    """A date whose zone is an abbreviation: known only if `where` uses it then, else without offset (as in Go)."""
    local = local_date(days, second, fraction, where)
    if local.offset()[1] == name:
        return local
    hours = name[3:] if name.startswith("GMT") and len(name) > 3 else ""
    # The clock's time is taken for UTC then, even where the abbreviation has an offset.
    return local_date(days, second, fraction, UTC_ZONE).within(Zone(name, int(hours) * 3600 if hours else 0))
