"""The provider `job`: a Kubernetes Job that succeeds or fails."""

from __future__ import annotations

from pydantic import Field

from model.base import Json, Manifest


class JobMetadata(Manifest):
    """What is written on the Job. Its name and namespace are not the template's to choose."""

    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)


class PodTemplate(Manifest):
    """What the Job's pods are made of. Kubernetes checks it when the Job is created."""

    metadata: dict[str, Json] = Field(default_factory=dict)
    spec: dict[str, Json]


class JobSpec(Manifest):
    """The fields of a Job's spec (batch/v1). Kubernetes checks their values when the Job is created."""

    template: PodTemplate
    parallelism: Json = None
    completions: Json = None
    active_deadline_seconds: Json = None
    pod_failure_policy: Json = None
    success_policy: Json = None
    backoff_limit: Json = None
    backoff_limit_per_index: Json = None
    max_failed_indexes: Json = None
    selector: Json = None
    manual_selector: Json = None
    ttl_seconds_after_finished: Json = None
    completion_mode: Json = None
    suspend: Json = None
    pod_replacement_policy: Json = None
    managed_by: Json = None


class JobMetric(Manifest):
    """The Job to run for each measurement."""

    metadata: JobMetadata = Field(default_factory=JobMetadata)
    spec: JobSpec
