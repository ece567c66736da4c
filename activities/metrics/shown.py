"""Values of measurements as text, the way Go's encoding/json and strconv write them."""

from __future__ import annotations

import json
import math

from model.base import Json

#: Longer values are cut in what is recorded; conditions see them whole.
MAX_VALUE = 4096


def shown_float(number: float) -> str:
    """A number without exponent and without needless zeros: 112.0 is `112`."""
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "+Inf" if number > 0 else "-Inf"
    if float(number).is_integer():
        return str(int(number))
    text = repr(float(number))
    return f"{number:f}".rstrip("0") if "e" in text and abs(number) > 1 else text


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
