"""All types of subscriptions that this worker can look at."""

from __future__ import annotations

import importlib
import pkgutil
from importlib.metadata import entry_points

import activities.discovery

#: Entry point group by which another package brings types of subscriptions: each names a module that registers its
#: own with `activities.discovery.look.subscriber` when imported. It is given the subscription, with its `config`, and
#: the look; and returns a `DiscoveryResult`.
ENTRY_POINTS = "towpath.subscriptions"


def load_subscribers() -> None:
    """Import every type: those of this package, then those that installed packages bring.

    Raises ImportError, or ValueError where two have one name.
    """
    for module in pkgutil.iter_modules(activities.discovery.__path__):
        importlib.import_module(f"{activities.discovery.__name__}.{module.name}")
    for entry in entry_points(group=ENTRY_POINTS):
        entry.load()
