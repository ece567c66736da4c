"""Freight: one immutable set of artifact versions, and where it has been (Kargo: api/v1alpha1/freight_types.go)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from model.base import Duration, Json, Manifest, Time
from model.references import ArtifactReference, Chart, FreightOrigin, FreightReference, GitCommit, Image
from model.resources.resource import KARGO, KargoVersion, Resource


class CurrentStage(Manifest):
    """Since when a Stage holds this Freight."""

    since: Time | None = None


class VerifiedStage(Manifest):
    """When this Freight was first verified in a Stage, and its longest stay there that is over."""

    verified_at: Time | None = None
    longest_soak: Duration | None = None


class ApprovedStage(Manifest):
    """When a person let this Freight into a Stage regardless of where it has been."""

    approved_at: Time | None = None


class FreightStatus(Manifest):
    """Where the Freight is and has been, by Stage; and what steps have noted on it."""

    currently_in: dict[str, CurrentStage] = Field(default_factory=dict)
    verified_in: dict[str, VerifiedStage] = Field(default_factory=dict)
    approved_for: dict[str, ApprovedStage] = Field(default_factory=dict)
    metadata: dict[str, Json] = Field(default_factory=dict)


class Freight(Resource):
    """A set of artifact versions; its name is their fingerprint. It has no `spec`: the artifacts stand at the top."""

    api_version: KargoVersion = KARGO
    kind: Literal["Freight"] = "Freight"
    alias: str = ""
    discovered_at: Time | None = None
    origin: FreightOrigin
    commits: list[GitCommit] = Field(default_factory=list)
    images: list[Image] = Field(default_factory=list)
    charts: list[Chart] = Field(default_factory=list)
    artifacts: list[ArtifactReference] = Field(default_factory=list)
    status: FreightStatus = Field(default_factory=FreightStatus)

    def reference(self) -> FreightReference:
        """This Freight as Stages and Promotions hold it."""
        return FreightReference(
            name=self.metadata.name,
            origin=self.origin,
            commits=self.commits,
            images=self.images,
            charts=self.charts,
            artifacts=self.artifacts,
        )
