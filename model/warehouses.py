"""What passes between a Warehouse, its Stages, and those who manage it."""

from __future__ import annotations

import json

from pydantic import Field

from model.base import Json, Message, Time
from model.freight_choice import Choice
from model.freight_status import FreightRecord
from model.references import SubscribedRepo
from model.resources.stage import FreightRequest


class WarehouseConfiguration(Message):
    """Signal `configure` to a Warehouse (and argument of its first run): its manifest, latest generation wins."""

    project: str
    name: str
    generation: int
    #: The whole manifest, in Kargo's shape.
    manifest: dict[str, Json]


class StageSubscription(Message):
    """Signal `subscribe` to a Warehouse: a Stage requests its Freight. The latest revision wins."""

    stage: str
    #: Counts up with each change of what the Stage asks for.
    revision: int
    #: None: the Stage no longer requests this Warehouse's Freight.
    request: FreightRequest | None
    control_flow: bool = False
    #: The Stage is deleted: what was verified in it or approved for it is forgotten.
    forget: bool = False


class StageReport(Message):
    """Signal `stage_report` to a Warehouse: the whole of what a Stage has to say about its Freight; latest wins."""

    stage: str
    sequence: int
    #: Freight of this Warehouse that is now in the Stage: name and since when.
    current: dict[str, Time] = Field(default_factory=dict)
    #: Freight that has been verified in the Stage, and when.
    verified: dict[str, Time] = Field(default_factory=dict)
    #: Freight queued for the Stage or in its history: not to be collected.
    kept: list[str] = Field(default_factory=list)
    #: Freight that a Promotion to the Stage waits or runs with: not to be deleted by hand either.
    promoting: list[str] = Field(default_factory=list)


class FreightQuestion(Message):
    """Signal `ask` to a Warehouse: a Stage must decide about Freight that its copy doesn't hold."""

    stage: str
    freight: str


class WarehouseSnapshot(Message):
    """Signal `freight_changed` to a Stage: the Freight it may have to decide about. The latest version wins."""

    warehouse: str
    version: int
    subscriptions: list[SubscribedRepo] = Field(default_factory=list)
    #: Control-flow Stages among those upstream of this one: Freight passes through them without ever being in them.
    control_flow: list[str] = Field(default_factory=list)
    #: Newest first; as much of each record as concerns this Stage.
    freight: list[FreightRecord] = Field(default_factory=list)
    #: Names the Stage asked for by `ask`, found or not.
    asked: list[str] = Field(default_factory=list)


class WarehouseChanges(Message):
    """Answer of the query `changes` of a Warehouse: itself, and what is new about its Freight."""

    #: To ask from, next time.
    revision: int
    #: `freight` is all there is, rather than what has changed.
    whole: bool
    #: Another one than before: this is another Warehouse of that name.
    created_at: Time | None = None
    #: In Kubernetes' shape, with Kargo's status.
    warehouse: dict[str, Json]
    freight: list[FreightRecord] = Field(default_factory=list)
    #: Names of Freight that is gone.
    forgotten: list[str] = Field(default_factory=list)


class ApproveRequest(Message):
    """Argument of the update `approve`."""

    freight: str
    stage: str
    actor: str = ""


class CreateFreightRequest(Message):
    """Argument of the update `create_freight`: for each subscription of the Warehouse exactly one artifact."""

    choices: list[Choice]
    #: Empty: one is made up.
    alias: str = ""
    actor: str = ""


class CreatedFreight(Message):
    """Answer of `create_freight`."""

    ok: bool = True
    message: str = ""
    name: str = ""
    alias: str = ""


class DeleteFreightRequest(Message):
    """Argument of the update `delete_freight`."""

    freight: str
    actor: str = ""


class AliasRequest(Message):
    """Argument of the update `set_alias`."""

    freight: str
    alias: str


class MetadataRequest(Message):
    """Argument of the update `set_metadata` of a Warehouse, on a piece of its Freight, and of a Stage."""

    #: Name of the Freight; empty for a Stage.
    freight: str = ""
    #: Keys to set; others stay.
    values: dict[str, Json]


#: Bytes of JSON that the metadata of one Stage or piece of Freight may have: all of it is state of a workflow.
MAX_METADATA = 16 * 1024


def merged_metadata(present: dict[str, Json], values: dict[str, Json]) -> dict[str, Json] | None:
    """The metadata with these keys set; None where that would be too much."""
    merged = {**present, **values}
    return merged if len(json.dumps(merged, ensure_ascii=False).encode()) <= MAX_METADATA else None


class RefreshRequest(Message):
    """Argument of the update `refresh`: look now. It returns when the look is over."""

    actor: str = ""
    wait: bool = True


class RetireRequest(Message):
    """Argument of the update `retire` of every entity: it ends, and what it had started ends with it."""

    actor: str = ""
    #: Also while a promotion runs.
    force: bool = False


class Outcome(Message):
    """Answer of an update: what happened, or why not."""

    ok: bool = True
    message: str = ""
