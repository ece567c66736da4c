"""Which version of Towpath is installed."""

from __future__ import annotations

from functools import lru_cache
from importlib import metadata


@lru_cache(maxsize=1)
def installed_version() -> str:
    """Such as `0.1.0`; `unknown` where it runs from a directory that was never installed."""
    try:
        return metadata.version("towpath")
    except metadata.PackageNotFoundError:
        return "unknown"
