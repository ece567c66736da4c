"""Applying manifests: the whole set is validated first, then handed to its owners."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from model.base import Message
from model.projects import Action
from starter.calls import Calls
from starter.deleting import Reference
from starter.files import ManifestFile


class Change(Message):
    """What `apply` did, or would do, with one resource. `project` is empty for what belongs to none."""

    kind: str
    name: str
    project: str = ""
    action: Action


class Applied(Message):
    """All that `apply` did, and what the person should know."""

    changes: list[Change] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list)


def named_in(files: Sequence[ManifestFile], project: str) -> list[Reference]:
    raise NotImplementedError


async def apply_manifests(
    calls: Calls, files: Sequence[ManifestFile], *, project: str, actor: str, dry_run: bool
) -> Applied:
    raise NotImplementedError
