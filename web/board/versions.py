"""What a resource's version is: a digest of what it says, so that equal ones have the same in every process."""

from __future__ import annotations

import hashlib
import json

from starter.shapes import Resource


def version_of(shown: Resource) -> str:
    """The version of a resource without one."""
    return hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()[:16]


def versioned(shown: Resource, version: str = "") -> Resource:
    """The resource with its `metadata.resourceVersion`."""
    metadata = {**shown.get("metadata", {}), "resourceVersion": version or version_of(shown)}
    return {**shown, "metadata": metadata}
