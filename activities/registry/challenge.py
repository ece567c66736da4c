"""What a registry asks for in `WWW-Authenticate` (RFC 9110 §11.6.1; distribution's token authentication)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_SCHEME = re.compile(r"\s*,?\s*([A-Za-z][A-Za-z0-9!#$%&'*+.^_`|~-]*)(?:\s+|$)")
_PARAMETER = re.compile(r"\s*,?\s*([A-Za-z0-9!#$%&'*+.^_`|~-]+)\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s,\"]*))")


@dataclass(frozen=True)
class Challenge:
    """One way to authenticate, as the registry offers it."""

    #: Lower-case: `bearer`, `basic`.
    scheme: str
    parameters: dict[str, str] = field(default_factory=dict)


def read_challenges(header: str) -> list[Challenge]:
    """All challenges of one header, in its order. What can't be read ends the list."""
    challenges: list[Challenge] = []
    at = 0
    while scheme := _SCHEME.match(header, at):
        at = scheme.end()
        parameters: dict[str, str] = {}
        while parameter := _PARAMETER.match(header, at):
            at = parameter.end()
            quoted, plain = parameter.group(2), parameter.group(3)
            parameters[parameter.group(1).lower()] = (
                re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain or ""
            )
        challenges.append(Challenge(scheme.group(1).lower(), parameters))
    return challenges
