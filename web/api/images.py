"""Which images are where."""

from __future__ import annotations

from collections.abc import Mapping

from starter.shapes import Resource


def images_of(stages: Mapping[str, Resource]) -> Resource:
    """By repository and tag the Stages that hold it, or have held it, and how many collections ago that was."""
    images: Resource = {}
    for name, stage in stages.items():
        for age, collection in enumerate(stage.get("status", {}).get("freightHistory", [])):
            for piece in collection.get("items", {}).values():
                for image in piece.get("images") or []:
                    tags = images.setdefault(image["repoURL"], {"tags": {}})["tags"]
                    tags.setdefault(image["tag"], {"stages": {}})["stages"].setdefault(name, age)
    return images
