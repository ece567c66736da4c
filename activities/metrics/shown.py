"""Values of measurements as text, the way Go's encoding/json and strconv write them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from decimal import Decimal

from model.base import Json

#: Longer values are cut in what is recorded; conditions see them whole.
MAX_VALUE = 4096
#: Longer logs are cut at their beginning: the end says how it ended.
MAX_LOGS = 16 * 1024


def shown_float(number: float) -> str:
    """A number without exponent and without needless zeros: 112.0 is `112`."""
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "+Inf" if number > 0 else "-Inf"
    if float(number).is_integer():
        return str(int(number))
    return format(Decimal(repr(float(number))), "f")


def shown_floats(numbers: Iterable[float]) -> str:
    """Numbers in a list: `[1,0.5,NaN]`."""
    return f"[{','.join(map(shown_float, numbers))}]"


def _whole(value: Json) -> Json:
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return int(value)
    if isinstance(value, dict):
        return {key: _whole(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_whole(entry) for entry in value]
    return value


def shown_json(value: Json) -> str:
    """Compact JSON with sorted keys, whole numbers without a fraction."""
    return json.dumps(_whole(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def cut(text: str) -> str:
    """The text, at most MAX_VALUE long, with a mark where something is missing."""
    return text if len(text) <= MAX_VALUE else f"{text[: MAX_VALUE - 1]}…"


def cut_logs(text: str) -> str:
    """The end of logs, at most MAX_LOGS long, with a mark where something is missing."""
    return text if len(text) <= MAX_LOGS else f"…{text[-MAX_LOGS + 1 :]}"
