"""Durations as Kargo's resources take them: not negative, and in hours, minutes and seconds only."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator

from model.base import Duration

_PATTERN = re.compile(r"(\d+(\.\d+)?[smh])+")


def _plain(value: object) -> object:
    if isinstance(value, str) and not _PATTERN.fullmatch(value):
        raise ValueError("expected a duration like 30s, 5m or 1h30m")
    if isinstance(value, timedelta) and value < timedelta(0):
        raise ValueError("a duration can't be negative")
    return value


#: A span of time such as `interval` or `requiredSoakTime` (the pattern stands in Kargo's CRDs).
Period = Annotated[Duration, BeforeValidator(_plain)]
