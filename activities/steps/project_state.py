"""`set-metadata` and `set-freight-alias`: what steps write down on Stages and Freight."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator

from activities.project_state import ProjectState, StateRefused, StateUnknown
from activities.steps.registry import StepConfig, StepContext, StepErrored, StepFailed, step
from model.base import Json
from model.steps import Effect

#: A label's value, as the alias also is one (Kubernetes).
_ALIAS = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9._-]{0,61}[a-zA-Z0-9])?")


class MetadataUpdate(StepConfig):
    """Keys to set on one Stage or piece of Freight."""

    kind: Literal["Stage", "Freight"] = Field(description="What to write on.")
    name: str = Field(min_length=1, description="Its name; of Freight the name, not the alias.")
    values: dict[str, Json] = Field(min_length=1, description="Keys and their values, any JSON. Other keys stay.")


class SetMetadataConfig(StepConfig):
    """Kargo: schemas/set-metadata-config.json."""

    updates: list[MetadataUpdate] = Field(min_length=1, description="What to write, one after another.")


class SetFreightAliasConfig(StepConfig):
    """Kargo: schemas/set-freight-alias-config.json."""

    name: str = Field(min_length=1, description="Name of the Freight.")
    alias: str = Field(min_length=1, description="Its new alias; unique in the Project.")

    @field_validator("alias")
    @classmethod
    def alias_is_a_label(cls, alias: str) -> str:
        if "${" not in alias and not _ALIAS.fullmatch(alias):
            raise ValueError("an alias has at most 63 letters, digits, '-', '_' and '.'")
        return alias


@step("set-metadata", config=SetMetadataConfig, effect=Effect.EXTERNAL)
async def set_metadata(config: SetMetadataConfig, context: StepContext) -> None:
    """Set metadata of Stages and Freight, for stageMetadata() and freightMetadata() to read. The same again is fine."""
    state = _state(context)
    for update in config.updates:
        put = state.set_stage_metadata if update.kind == "Stage" else state.set_freight_metadata
        try:
            await put(context.project, update.name, update.values)
        except StateRefused as error:
            raise StepErrored(f"{update.kind} {update.name}: {error}", final=True) from None
        except StateUnknown as error:
            raise StepErrored(f"{update.kind} {update.name}: {error}") from None


@step("set-freight-alias", config=SetFreightAliasConfig, effect=Effect.EXTERNAL)
async def set_freight_alias(config: SetFreightAliasConfig, context: StepContext) -> None:
    """Give Freight another alias. Failed where the Freight isn't there, or another has that alias."""
    try:
        await _state(context).set_alias(context.project, config.name, config.alias)
    except StateRefused as error:
        raise StepFailed(str(error)) from None
    except StateUnknown as error:
        raise StepErrored(str(error)) from None


def _state(context: StepContext) -> ProjectState:
    if context.outside.state is None:
        raise StepErrored("this worker has no connection to Stages and Freight", final=True)
    return context.outside.state
