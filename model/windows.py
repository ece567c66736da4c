"""Promotion windows: when a Stage may be promoted to (Kargo: api/v1alpha1/promotion_window_types.go).

Recurrence is RFC 5545's, evaluated in the window's own local time, so that 09:00 stays 09:00 when clocks change;
each occurrence lasts exactly as long as the first. Pure: the zone data is that of the pinned `tzdata` package.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from importlib import resources
from itertools import islice
from zoneinfo import ZoneInfo

from dateutil.rrule import rrule, rruleset, rrulestr

from model.resources.project_config import PromotionWindow, PromotionWindowKind, PromotionWindowStatus

#: The longest rule, the most occurrences a rule may count, and how far ahead it is looked.
LONGEST_RULE = 500
MOST_OCCURRENCES = 1000
HORIZON_YEARS = 2
#: The longest one occurrence may last.
LONGEST_WINDOW = timedelta(days=366)
#: Changes looked through in search of the next opening or closing.
CHANGES = 50
#: Local times are off by less than this from one side of a change of clocks to the other.
_SLACK = timedelta(hours=26)

_MOMENT = re.compile(r"(?:TZID=(?P<zone>[A-Za-z0-9_+/-]{1,64}):)?(?P<moment>\d{8}T\d{6})(?P<utc>Z?)")
_STEPS = {"HOURLY": timedelta(hours=1), "DAILY": timedelta(days=1), "WEEKLY": timedelta(weeks=1)}


class BadWindow(ValueError):
    """A window can't be read; the message names the field and says what was expected."""


@dataclass(frozen=True)
class Recurrence:
    """When one window is active: the local start of its first occurrence, its zone, how long each lasts, its rule."""

    start: datetime
    zone: tzinfo
    length: timedelta
    rule: str

    def starts(self, after: datetime, until: datetime) -> list[datetime]:
        """Starts of occurrences with `after` < start <= `until`, in UTC, at most `CHANGES` of them."""
        if not self.rule:
            found = [self._utc(self.start)]
        else:
            rule = _expanded(self.rule, self._near(after), after.year + HORIZON_YEARS)
            local = after.astimezone(self.zone).replace(tzinfo=None) - _SLACK
            end = until.astimezone(self.zone).replace(tzinfo=None) + _SLACK
            every = (moment for moment in rule.xafter(local) if moment >= self.start)
            found = []
            for moment in every:
                if moment > end or len(found) >= CHANGES:
                    break
                if self._utc(moment) > after:
                    found.append(self._utc(moment))
        return [moment for moment in found if after < moment <= until]

    def active_until(self, now: datetime) -> datetime | None:
        """The end of the occurrence that is under way, of several the latest; None: none is."""
        return max((start + self.length for start in self.starts(now - self.length, now)), default=None)

    def next_start(self, now: datetime) -> datetime | None:
        return next(iter(self.starts(now, now.replace(year=now.year + HORIZON_YEARS, day=1))), None)

    def _utc(self, local: datetime) -> datetime:
        return local.replace(tzinfo=self.zone).astimezone(UTC)

    def _near(self, moment: datetime) -> datetime:
        """The first occurrence, or a later start from which the rule goes on just the same: old rules stay cheap."""
        parts = _parts(self.rule)
        step = _STEPS.get(parts.get("FREQ", ""))
        if step is None or "COUNT" in parts:
            return self.start
        step *= int(parts.get("INTERVAL", "1"))
        local = moment.astimezone(self.zone).replace(tzinfo=None) - _SLACK - timedelta(weeks=1)
        return self.start + step * max((local - self.start) // step, 0)


def recurrence(window: PromotionWindow) -> Recurrence:
    """A window as it is evaluated. Raises BadWindow."""
    start, zone = _moment(window.dtstart, "dtstart")
    end, end_zone = _moment(window.dtend, "dtend")
    length = end.replace(tzinfo=end_zone).astimezone(UTC) - start.replace(tzinfo=zone).astimezone(UTC)
    if length <= timedelta(0):
        raise BadWindow("dtend: must be after dtstart")
    if window.rrule and length > LONGEST_WINDOW:
        raise BadWindow("dtend: one occurrence may last at most 366 days")
    rule = window.rrule.strip().removeprefix("RRULE:").upper()
    if rule:
        rule = _checked(rule, start, zone)
    return Recurrence(start=start, zone=zone, length=length, rule=rule)


def window_status(windows: Sequence[PromotionWindow], now: datetime) -> PromotionWindowStatus:
    """Whether the windows of a Stage let promotions through now, why not, and when that changes next.

    Open: no Deny window is active and, where there are Allow windows, at least one is. A window that can't be read
    closes: better nothing is promoted than at the wrong time.
    """
    named, bad = [], []
    for window in windows:
        try:
            named.append((window, recurrence(window)))
        except BadWindow as error:
            bad.append(f"window {window.name} can't be read: {error}")
    if bad:
        return PromotionWindowStatus(closed=True, reason="; ".join(bad))
    reason = _closed(named, now)
    if reason:
        return PromotionWindowStatus(closed=True, reason=reason, next_open=_change(named, now, wanted_open=True)[0])
    closing, why = _change(named, now, wanted_open=False)
    return PromotionWindowStatus(closed=False, next_close=closing, next_close_reason=why)


def _closed(named: Sequence[tuple[PromotionWindow, Recurrence]], now: datetime) -> str:
    """Why promotions are forbidden at a moment; empty: they aren't."""
    denying = [w.name for w, when in named if w.kind is PromotionWindowKind.DENY and when.active_until(now)]
    if denying:
        return f"the Deny window {denying[0]} is active"
    allowing = [(w, when) for w, when in named if w.kind is PromotionWindowKind.ALLOW]
    if allowing and not any(when.active_until(now) for _, when in allowing):
        listed = ", ".join(window.name for window, _ in allowing)
        return f"no Allow window is active (there {'are' if len(allowing) > 1 else 'is'} {listed})"
    return ""


def _change(
    named: Sequence[tuple[PromotionWindow, Recurrence]], now: datetime, *, wanted_open: bool
) -> tuple[datetime | None, str]:
    """When it becomes open, or closed, next, and why it closes; None: no such moment is known."""
    moment = now
    for _ in range(CHANGES):
        later = _moments(named, moment, wanted_open=wanted_open)
        if later is None:
            return None, ""
        moment = later
        reason = _closed(named, moment)
        if bool(reason) != wanted_open:
            return moment, reason
    return None, ""


def _moments(
    named: Sequence[tuple[PromotionWindow, Recurrence]], moment: datetime, *, wanted_open: bool
) -> datetime | None:
    """The next moment at which it may have become open, or closed."""
    found: list[datetime | None] = []
    for window, when in named:
        # It opens at an Allow window's start or a Deny window's end, and closes the other way round.
        at_start = (window.kind is PromotionWindowKind.ALLOW) is wanted_open
        found.append(when.next_start(moment) if at_start else when.active_until(moment))
        if not at_start and found[-1] is None and not wanted_open:
            found.append(_next_end(when, moment))
    return min((candidate for candidate in found if candidate is not None and candidate > moment), default=None)


def _next_end(when: Recurrence, moment: datetime) -> datetime | None:
    start = when.next_start(moment)
    return start + when.length if start is not None else None


def selected(windows: Iterable[PromotionWindow]) -> list[PromotionWindow]:
    """Windows as a Stage is told them: those who select have chosen already."""
    return [window.model_copy(update={"stage_selector": None, "project_selector": None}) for window in windows]


def _moment(text: str, field: str) -> tuple[datetime, tzinfo]:
    found = _MOMENT.fullmatch(text.strip())
    if found is None or (found["zone"] and found["utc"]):
        raise BadWindow(
            f"{field}: {text!r} is not a moment: expected one like 20260101T090000Z"
            " or TZID=Europe/Berlin:20260101T090000"
        )
    try:
        moment = datetime.strptime(found["moment"], "%Y%m%dT%H%M%S")
    except ValueError as error:
        raise BadWindow(f"{field}: {text!r} is not a moment: {error}") from error
    return moment, _zone(found["zone"], field) if found["zone"] else UTC


@lru_cache(maxsize=64)
def _zone(name: str, field: str) -> tzinfo:
    """A time zone from the pinned package, not from the machine: every worker decides alike."""
    parts = name.split("/")
    try:
        with resources.files("tzdata.zoneinfo").joinpath(*parts).open("rb") as data:
            return ZoneInfo.from_file(data, key=name)
    except (OSError, ValueError, ModuleNotFoundError) as error:
        raise BadWindow(f"{field}: there is no time zone {name!r}") from error


def _parts(rule: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in rule.split(";") if "=" in part)


def _checked(rule: str, start: datetime, zone: tzinfo) -> str:
    """The rule, with its UNTIL in local time. Raises BadWindow."""
    if len(rule) > LONGEST_RULE:
        raise BadWindow(f"rrule: longer than {LONGEST_RULE} characters")
    parts = _parts(rule)
    if parts.get("FREQ") in ("SECONDLY", "MINUTELY"):
        raise BadWindow("rrule: FREQ may be HOURLY or longer")
    count, interval = parts.get("COUNT", "1"), parts.get("INTERVAL", "1")
    if not count.isdecimal() or not 1 <= int(count) <= MOST_OCCURRENCES:
        raise BadWindow(f"rrule: COUNT must be a number from 1 to {MOST_OCCURRENCES}")
    if not interval.isdecimal() or not 1 <= int(interval) <= MOST_OCCURRENCES:
        raise BadWindow(f"rrule: INTERVAL must be a number from 1 to {MOST_OCCURRENCES}")
    if parts.get("UNTIL", "").endswith("Z"):
        until, _ = _moment(parts["UNTIL"], "rrule: UNTIL")
        local = until.replace(tzinfo=UTC).astimezone(zone)
        rule = rule.replace(parts["UNTIL"], local.strftime("%Y%m%dT%H%M%S"))
    if parts.get("FREQ") == "HOURLY" and set(parts) & {"BYMONTH", "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYSETPOS"}:
        raise BadWindow("rrule: HOURLY goes with BYDAY and BYHOUR only; say DAILY with BYHOUR for the rest")
    try:
        first = next(iter(rrulestr(f"RRULE:{rule}", dtstart=start)), None)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadWindow(f"rrule: {rule!r} is not a recurrence rule of RFC 5545: {error}") from error
    if first is None:
        # Looking for an occurrence of such a rule takes seconds: it must not get as far as a workflow.
        raise BadWindow("rrule: never comes true")
    return rule


@lru_cache(maxsize=256)
def _expanded(text: str, start: datetime, year: int) -> rrule | rruleset | _Counted:
    """The rule from a start on, up to the end of a year: a rule that never matches must end too."""
    parts = _parts(text)
    count = int(parts.pop("COUNT", "0"))
    end = datetime(min(year, 9999), 12, 31, 23, 59, 59)
    # Both are written year first: the earlier one is the lesser text.
    parts["UNTIL"] = min(parts.get("UNTIL", "9999"), end.strftime("%Y%m%dT%H%M%S"))
    rule = rrulestr("RRULE:" + ";".join(f"{key}={value}" for key, value in parts.items()), dtstart=start)
    return _Counted(tuple(islice(rule, count))) if count else rule


@dataclass(frozen=True)
class _Counted:
    """The occurrences of a rule that has a COUNT."""

    moments: tuple[datetime, ...]

    def xafter(self, moment: datetime) -> Iterable[datetime]:
        return (occurrence for occurrence in self.moments if occurrence > moment)
