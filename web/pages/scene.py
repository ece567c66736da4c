"""A page as parts that can be sent one by one: what changed since a browser last looked is all that it gets. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from model.base import Json


@dataclass(frozen=True)
class Scene:
    """A page at one moment. A part is one HTML element with that id; a list is an element that holds parts in order."""

    parts: Mapping[str, str]
    lists: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Names this state of the page."""
        found = hashlib.blake2b(digest_size=12)
        for name, html in self.parts.items():
            found.update(f"{name}\0{html}\0".encode())
        for name, members in self.lists.items():
            found.update(f"{name}\0{','.join(members)}\0".encode())
        return found.hexdigest()


@dataclass(frozen=True)
class Shot:
    """A Scene with its digest, computed once."""

    scene: Scene
    digest: str

    @classmethod
    def of(cls, scene: Scene) -> Shot:
        return cls(scene, scene.digest)


def patch(before: Scene | None, after: Shot) -> dict[str, Json]:
    """What turns a page that shows `before` into `after`; None: nothing is known of what it shows."""
    old = before.parts if before else {}
    old_lists = before.lists if before else {}
    return {
        "digest": after.digest,
        "parts": {name: html for name, html in after.scene.parts.items() if old.get(name) != html},
        "lists": {name: list(members) for name, members in after.scene.lists.items() if old_lists.get(name) != members},
    }
