"""The steps that only speak: `compose-output` and `fail`."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field, model_validator

from activities.steps.registry import StepConfig, StepContext, StepFailed, step
from model.base import Json
from model.steps import Effect


class ComposeOutputConfig(StepConfig):
    """Any keys: each becomes an output. At least one."""

    model_config = ConfigDict(extra="allow")

    __pydantic_extra__: dict[str, Any]

    @model_validator(mode="after")
    def _not_empty(self) -> ComposeOutputConfig:
        if not self.__pydantic_extra__:
            raise ValueError("at least one output is required")
        return self


@step("compose-output", config=ComposeOutputConfig, effect=Effect.PURE)
async def compose_output(config: ComposeOutputConfig, context: StepContext) -> dict[str, Json]:
    """Make outputs of one's own, usually from those of earlier steps."""
    return dict(config.__pydantic_extra__)


class FailConfig(StepConfig):
    """What the failure says."""

    #: What the promotion's message says after `failed: `.
    message: str | None = Field(default=None, min_length=1)


@step("fail", config=FailConfig, effect=Effect.PURE)
async def fail(config: FailConfig, context: StepContext) -> None:
    """End the promotion as Failed."""
    raise StepFailed(f"failed: {config.message}" if config.message else "failed")
