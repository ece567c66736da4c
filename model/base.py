"""What every type of the house is built on: two pydantic bases, JSON values, and Go's durations."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, PlainSerializer
from pydantic.alias_generators import to_camel

#: Any JSON value. `Any`, because pydantic's recursive JsonValue walks the whole value at each validation.
Json = Any

_FIELD_NAMES = {
    "api_version": "apiVersion",
    "repo_url": "repoURL",
    "commit_url": "commitURL",
    "repo_url_is_regex": "repoURLIsRegex",
    "insecure_skip_tls_verify": "insecureSkipTLSVerify",
    "include_crds": "includeCRDs",
}


def field_name(name: str) -> str:
    """The spelling of a field in manifests: Kubernetes' camelCase, with Kargo's capitals for URL and TLS."""
    return _FIELD_NAMES.get(name) or to_camel(name)


class Manifest(BaseModel):
    """Base of what a user writes: unknown fields are errors, names are Kargo's (camelCase), snake_case in Python."""

    model_config = ConfigDict(extra="forbid", alias_generator=field_name, populate_by_name=True)

    def shown(self) -> dict[str, Json]:
        """The manifest as JSON in Kargo's spelling, without what was never set."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class Message(BaseModel):
    """Base of what workflows, activities and clients send each other: fields of a newer release are ignored."""

    model_config = ConfigDict(extra="ignore", alias_generator=field_name, populate_by_name=True)


_UNITS = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "μs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
}
_DURATION = re.compile(
    r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h)(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))*"
)
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")


def parse_duration(text: str) -> timedelta:
    """A duration in Go's notation (``1h30m``, ``90s``, ``1.5h``, ``0``), as ``time.ParseDuration`` reads it.

    Raises ValueError, saying what was expected.
    """
    if text in {"0", "+0", "-0"}:
        return timedelta(0)
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{text!r} is not a duration: expected one like 30s, 5m or 1h30m")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    try:
        return timedelta(seconds=-seconds if text.startswith("-") else seconds)
    except OverflowError as error:
        raise ValueError(f"{text!r} is too long a duration") from error


def format_duration(value: timedelta) -> str:
    """A duration in Go's notation, as Go prints it without fractions below a microsecond: ``1h30m0s``, ``1.5s``."""
    if not value:
        return "0s"
    sign, value = ("-", -value) if value < timedelta(0) else ("", value)
    micros = value // timedelta(microseconds=1)
    hours, micros = divmod(micros, 3_600_000_000)
    minutes, micros = divmod(micros, 60_000_000)
    if not hours and not minutes and micros < 1_000_000:
        return f"{sign}{micros / 1000:g}ms" if micros >= 1000 else f"{sign}{micros}µs"
    seconds = f"{micros / 1_000_000:.6f}".rstrip("0").rstrip(".")
    return f"{sign}{f'{hours}h' if hours else ''}{f'{minutes}m' if hours or minutes else ''}{seconds}s"


def _duration(value: object) -> object:
    if isinstance(value, str):
        return parse_duration(value)
    if isinstance(value, timedelta):
        return value
    raise ValueError("expected a duration like 30s, 5m or 1h30m")


#: A Go duration: a string in manifests and JSON, a timedelta in Python.
Duration = Annotated[timedelta, BeforeValidator(_duration), PlainSerializer(format_duration, return_type=str)]


def _utc(value: datetime) -> datetime:
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def format_time(value: datetime) -> str:
    """RFC 3339 in UTC with Z, to the second where there is no fraction, as Kubernetes writes it."""
    text = value.astimezone(UTC).isoformat(timespec="microseconds" if value.microsecond else "seconds")
    return text.replace("+00:00", "Z")


#: A moment, in UTC.
Time = Annotated[datetime, AfterValidator(_utc), PlainSerializer(format_time, return_type=str, when_used="json")]
