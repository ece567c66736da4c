"""What Freight is made of, and how Stages and Promotions refer to it (Kargo: api/v1alpha1/stage_types.go)."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Literal

from pydantic import Field

from model.base import Json, Manifest, Time


class FreightOrigin(Manifest):
    """Where Freight comes from. Only Warehouses exist as origins."""

    kind: Literal["Warehouse"] = "Warehouse"
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"

    def __hash__(self) -> int:
        return hash((self.kind, self.name))


class GitCommit(Manifest):
    """One commit of a Git repository. `branch` and `tag` are recorded only where the subscription names them."""

    repo_url: str = Field(default="", alias="repoURL")
    id: str = ""
    branch: str | None = None
    tag: str | None = None
    message: str | None = None
    author: str | None = None
    committer: str | None = None
    subscription_name: str | None = None


class Image(Manifest):
    """One container image: tag and the digest the tag pointed at when it was discovered."""

    repo_url: str = Field(default="", alias="repoURL")
    tag: str = ""
    digest: str = ""
    annotations: dict[str, str] | None = None
    subscription_name: str | None = None


class Chart(Manifest):
    """One version of a Helm chart. `name` is empty for OCI repositories, where it is part of the URL."""

    repo_url: str = Field(default="", alias="repoURL")
    name: str = ""
    version: str = ""
    subscription_name: str | None = None


class ArtifactReference(Manifest):
    """One version of an artifact found by a generic subscription."""

    artifact_type: str = ""
    subscription_name: str = ""
    version: str = ""
    metadata: Json = None


class FreightReference(Manifest):
    """A piece of Freight as Stages and Promotions hold it: its name, its origin and all its artifacts."""

    name: str = ""
    origin: FreightOrigin
    commits: list[GitCommit] = Field(default_factory=list)
    images: list[Image] = Field(default_factory=list)
    charts: list[Chart] = Field(default_factory=list)
    artifacts: list[ArtifactReference] = Field(default_factory=list)


class VerificationPhase(StrEnum):
    """Phase of a verification; Failed, Error, Aborted and Inconclusive all count as not verified."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCESSFUL = "Successful"
    FAILED = "Failed"
    ERROR = "Error"
    ABORTED = "Aborted"
    INCONCLUSIVE = "Inconclusive"

    @property
    def terminal(self) -> bool:
        return self not in (VerificationPhase.PENDING, VerificationPhase.RUNNING)


class AnalysisRunReference(Manifest):
    """Where the run behind a verification is found. Here its name is the Verification workflow's."""

    namespace: str = ""
    name: str = ""
    phase: str = ""


class VerificationInfo(Manifest):
    """One verification of a Freight collection in a Stage."""

    id: str
    actor: str | None = None
    start_time: Time | None = None
    phase: VerificationPhase
    message: str | None = None
    analysis_run: AnalysisRunReference | None = None
    finish_time: Time | None = None


class FreightCollection(Manifest):
    """What a Stage holds: one piece of Freight for each origin, keyed "Warehouse/name"."""

    id: str = ""
    items: dict[str, FreightReference] = Field(default_factory=dict)
    verification_history: list[VerificationInfo] = Field(default_factory=list)

    def references(self) -> list[FreightReference]:
        """The pieces, in the order of their origins."""
        return [self.items[origin] for origin in sorted(self.items)]

    def includes(self, freight: str) -> bool:
        return any(piece.name == freight for piece in self.items.values())


def collection_id(names: list[str]) -> str:
    """The id of a collection: hex SHA-1 of its sorted Freight names joined by commas (Kargo: UpdateOrPush)."""
    return hashlib.sha1(",".join(sorted(names)).encode(), usedforsecurity=False).hexdigest()


def collect(*pieces: FreightReference) -> FreightCollection:
    """A collection of these pieces; a later one replaces an earlier one of the same origin."""
    items = {str(piece.origin): piece for piece in pieces}
    return FreightCollection(id=collection_id([piece.name for piece in items.values()]), items=items)


class ExpressionVariable(Manifest):
    """A variable of expressions; its value may hold `${{ }}` templates."""

    name: str
    value: str = ""


class HealthState(StrEnum):
    """Health of a Stage or of one check; `merge` keeps the worse (Kargo: HealthState.Merge)."""

    HEALTHY = "Healthy"
    NOT_APPLICABLE = "NotApplicable"
    PROGRESSING = "Progressing"
    UNKNOWN = "Unknown"
    UNHEALTHY = "Unhealthy"

    def merge(self, other: HealthState) -> HealthState:
        order = list(HealthState)
        return self if order.index(self) > order.index(other) else other


class HealthCheckStep(Manifest):
    """A health check registered by a promotion step; `uses` names the checker, `config` is its alone."""

    uses: str
    config: Json = None


class Health(Manifest):
    """Health of a Stage. `issues` are sentences for people, `output` one entry per check."""

    status: HealthState
    issues: list[str] = Field(default_factory=list)
    config: Json = None
    output: Json = None


class SubscribedRepo(Manifest):
    """One subscription of a Warehouse as expressions need it to tell which origin a repository belongs to."""

    kind: Literal["git", "image", "chart", "artifact"]
    repo_url: str = Field(default="", alias="repoURL")
    name: str = ""


class RequestedOrigin(Manifest):
    """An origin that a Stage requests, with what its Warehouse subscribes to."""

    origin: FreightOrigin
    subscriptions: list[SubscribedRepo] = Field(default_factory=list)
