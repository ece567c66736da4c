"""All that is shown of a Project, as it was at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from model.freight_status import FreightRecord
from starter.shapes import Resource


@dataclass(frozen=True)
class Snapshot:
    """A Project with everything in it, in Kubernetes' shape with Kargo's fields. Nobody changes it, or what is in it.

    What has not changed since an earlier Snapshot is the same object in both.
    """

    project: str
    #: Another one where anything shown is another; the same in every process that shows the same.
    version: str
    taken_at: datetime
    #: The Project itself.
    resource: Resource
    #: Its ProjectConfig, if it has one.
    config: Resource | None
    #: By name.
    warehouses: Mapping[str, Resource]
    stages: Mapping[str, Resource]
    freight: Mapping[str, Resource]
    #: Those that are not over, and at least the last one of each Stage. Outputs of steps stand in the Promotion alone.
    promotions: Mapping[str, Resource]
    #: The Freight again, as its Warehouse keeps it: for `model.availability`.
    records: Mapping[str, FreightRecord] = field(default_factory=dict)
