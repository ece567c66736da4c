"""Step contexts for tests of single steps."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from activities.settings import ActivitySettings
from activities.steps.registry import STEPS, StepContext
from model.references import (
    FreightCollection,
    FreightOrigin,
    FreightReference,
    Image,
    RequestedOrigin,
    SubscribedRepo,
    collect,
)

FREIGHT = "540d970918f2aead3277576026d5660c723f05ea"
DIGEST = "sha256:" + "b" * 64


def freight(*images: Image, warehouse: str = "guestbook") -> FreightReference:
    return FreightReference(name=FREIGHT, origin=FreightOrigin(name=warehouse), images=list(images))


def requested(warehouse: str, *repositories: str) -> RequestedOrigin:
    return RequestedOrigin(
        origin=FreightOrigin(name=warehouse),
        subscriptions=[SubscribedRepo(kind="image", repo_url=repository) for repository in repositories],
    )


def step_context(
    workspace: Path,
    *,
    collection: FreightCollection | None = None,
    origins: list[RequestedOrigin] | None = None,
    outside: Any = None,
    **changes: Any,
) -> StepContext:
    """A context of Stage dev of Project demo, working in `workspace`."""
    workspace.mkdir(parents=True, exist_ok=True)
    fields: dict[str, Any] = {
        "project": "demo",
        "stage": "dev",
        "promotion": "dev.01kaaaaaaaaaaaaaaaaaaaaaaa.540d970",
        "alias": "step-1",
        "actor": "",
        "workspace": workspace,
        "freight": freight(),
        "collection": collection or collect(freight()),
        "origins": origins or [],
        "started_at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        "outside": outside or SimpleNamespace(settings=ActivitySettings(), state=None),
    }
    return StepContext(**{**fields, **changes})


async def run_step(name: str, config: Mapping[str, Any], context: StepContext) -> dict[str, Any]:
    """Run a registered step on a config as manifests spell it; its output as later steps see it."""
    step = STEPS[name]
    output = await step.run(step.config.model_validate(dict(config)), context)
    if output is None:
        return {}
    return dict(output) if isinstance(output, Mapping) else output.model_dump(by_alias=True, exclude_none=True)
