"""Single steps in a workspace of their own, without Temporal."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from activities.outside import open_outside
from activities.settings import ActivitySettings
from activities.steps.catalog import load_steps
from activities.steps.registry import STEPS, StepContext
from model.base import Json
from model.references import FreightCollection, FreightOrigin, FreightReference


class Workspace:
    """One promotion's workspace on a worker with this data directory; `name` tells promotions apart."""

    def __init__(self, directory: Path, name: str) -> None:
        self.outside = open_outside(ActivitySettings(data_directory=directory, git_transports=["http"]))
        self.name = name
        self.files = self.outside.workspaces.claim(name)

    async def run(self, step: str, config: Mapping[str, Json]) -> None:
        """Run a step. Raises as steps do."""
        context = StepContext(
            project="bench",
            stage="dev",
            promotion=self.name,
            alias=step,
            actor="",
            workspace=self.files,
            freight=FreightReference(name="f" * 40, origin=FreightOrigin(name="guestbook")),
            collection=FreightCollection(),
            origins=[],
            started_at=datetime.now(UTC),
            outside=self.outside,
        )
        await STEPS[step].run(STEPS[step].config.model_validate(dict(config)), context)


load_steps()
