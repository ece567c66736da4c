"""The step `say-hello`: writes a greeting to a file, and puts it out."""

from __future__ import annotations

import asyncio

from pydantic import Field

from activities.steps.registry import StepConfig, StepContext, StepFailed, StepOutput, step
from model.steps import Effect


class SayHelloConfig(StepConfig):
    """Whom to greet, and where."""

    name: str = Field(min_length=1, description="Whom to greet.")
    out_path: str = Field(min_length=1, description="File to write the greeting to.")


class SayHelloOutput(StepOutput):
    """The greeting."""

    greeting: str = Field(description="What was written.")


@step("say-hello", config=SayHelloConfig, output=SayHelloOutput, effect=Effect.WORKSPACE)
async def say_hello(config: SayHelloConfig, context: StepContext) -> SayHelloOutput:
    """Write a greeting to a file of the workspace."""
    if config.name == "nobody":
        raise StepFailed("there is nobody to greet")
    greeting = f"Hello, {config.name}: {context.stage} gets {context.freight.name}"
    path = context.path(config.out_path)

    def write() -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(greeting + "\n")

    await asyncio.to_thread(write)
    return SayHelloOutput(greeting=greeting)
