"""Runs single steps as the runtime would, without Temporal."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from activities.outside import Outside
from activities.steps import git_clone, git_commit, git_push, outputs  # noqa: F401  # registers the steps
from activities.steps.registry import STEPS, StepContext
from model.references import FreightCollection, FreightOrigin, FreightReference

STARTED = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC)


class Bench:
    """One promotion's workspace, and its steps."""

    def __init__(self, outside: Outside, promotion: str = "dev.01j.abc", workspace: Path | None = None) -> None:
        self.outside = outside
        self.promotion = promotion
        self.workspace = workspace or outside.workspaces.claim(promotion)
        self.warnings: list[str] = []

    async def run(
        self,
        name: str,
        config: Mapping[str, Any],
        *,
        alias: str = "",
        recorded: Mapping[str, Any] | None = None,
        repeated: bool = False,
    ) -> dict[str, Any]:
        """Run a step, and return its output in Kargo's spelling."""
        step = STEPS[name]
        context = StepContext(
            project="guestbook",
            stage="dev",
            promotion=self.promotion,
            alias=alias or name,
            actor="",
            workspace=self.workspace,
            freight=FreightReference(name="f", origin=FreightOrigin(name="w")),
            collection=FreightCollection(),
            origins=[],
            started_at=STARTED,
            outside=self.outside,
            recorded=recorded,
            repeated=repeated,
            warnings=self.warnings,
        )
        output = await step.run(step.config.model_validate(dict(config)), context)
        if output is None or isinstance(output, Mapping):
            return dict(output or {})
        return output.model_dump(mode="json", by_alias=True, exclude_none=True)

    def write(self, name: str, text: str) -> None:
        path = self.workspace / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
