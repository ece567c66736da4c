"""Colours of Stages, by Kargo's annotation: names of a palette that the stylesheet has for light and dark."""

from __future__ import annotations

import re
import zlib

#: Kargo's names (pkg ui, `kargo.akuity.io/color`), and what they look like; the stylesheet holds what is drawn.
PALETTE = {
    "red": (239, 68, 68),
    "orange": (249, 115, 22),
    "amber": (245, 158, 11),
    "yellow": (234, 179, 8),
    "lime": (132, 204, 22),
    "green": (34, 197, 94),
    "teal": (20, 184, 166),
    "cyan": (6, 182, 212),
    "sky": (14, 165, 233),
    "blue": (59, 130, 246),
    "violet": (139, 92, 246),
    "purple": (168, 85, 247),
    "fuchsia": (217, 70, 239),
    "pink": (236, 72, 153),
    "rose": (244, 63, 94),
    "gray": (107, 114, 128),
}
ANNOTATION = "kargo.akuity.io/color"

_NAMES = list(PALETTE)
_HEX = re.compile(r"#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})")


def stage_colour(name: str, annotated: object) -> str:
    """The palette's colour of a Stage: as annotated, else one that its name decides."""
    wanted = annotated.strip().lower() if isinstance(annotated, str) else ""
    if wanted == "grey":
        return "gray"
    if wanted in PALETTE:
        return wanted
    if found := _HEX.fullmatch(wanted):
        return _nearest(found[1])
    return _NAMES[zlib.crc32(name.encode()) % (len(_NAMES) - 1)]


def _nearest(digits: str) -> str:
    whole = digits if len(digits) == 6 else "".join(digit * 2 for digit in digits)
    rgb = tuple(int(whole[place : place + 2], 16) for place in (0, 2, 4))
    return min(PALETTE, key=lambda name: sum((a - b) ** 2 for a, b in zip(PALETTE[name], rgb, strict=True)))
