"""The `job` provider: a Kubernetes Job whose end is the measurement.

The Job is named after run, metric and number of the measurement, so that another attempt finds what a lost one made.
When it has ended, its pods' logs are kept, then it is deleted, unless its spec says by `ttlSecondsAfterFinished` how
long it is to stay. Source: Argo Rollouts metricproviders/job; that it keeps no logs and leaves the Job to its owner's
end is the difference.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import re
from collections.abc import Iterator
from datetime import datetime, timedelta

from activities.kubernetes import (
    Kubernetes,
    KubernetesError,
    KubernetesUnreachable,
    ObjectConflict,
    ObjectNotFound,
    Resource,
)
from activities.metrics.registry import LOGS, MetricContext, MetricError, Reading, provider
from model.analysis import Measurement
from model.base import Json, format_time
from model.providers.job import JobMetric
from model.references import VerificationPhase

JOBS = Resource("batch", "v1", "jobs", "Job")
#: Where the measurement keeps which Job it is.
NAME, NAMESPACE = "job-name", "job-namespace"
#: What became of the Job, kept before it is deleted.
OUTCOME, REASON = "job-outcome", "job-message"
#: Since when the API hasn't answered.
UNREACHABLE = "unreachable-since"
#: Of the Job and its pods: which run they belong to, as Argo Rollouts labels them.
RUN_LABEL = "analysisrun.argoproj.io/uid"
#: Seconds that one look waits for the Job to change.
WATCH = 20
#: Seconds between two questions, should the API end every watch at once.
BREATH = 0.2
LONGEST_PAUSE = timedelta(minutes=1)
#: So long an API that doesn't answer is taken for an interruption.
LONGEST_SILENCE = timedelta(minutes=10)
#: A container that waits for one of these reasons will never start by itself.
STUCK = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName"})
#: Kubernetes' limit on the name of a Job, which becomes a label of its pods.
MAX_NAME = 63
#: Seconds between attempts to delete a Job while the API can't be reached.
PAUSES = (1.0, 3.0, 0.0)


async def resume(config: JobMetric, context: MetricContext, measurement: Measurement) -> Reading:
    """Look at the Job, waiting a while for its end."""
    kept = dict(measurement.metadata)
    if outcome := kept.pop(OUTCOME, ""):
        await _deleted(context)
        return Reading(phase=VerificationPhase(outcome), metadata=kept, message=kept.pop(REASON, ""))
    try:
        reading = await _looked(config, context, measurement)
    except KubernetesUnreachable as error:
        since = kept.setdefault(UNREACHABLE, format_time(context.now))
        if context.now - datetime.fromisoformat(since) > LONGEST_SILENCE:
            raise MetricError(f"since {since}: {error}") from None
        return Reading(
            phase=VerificationPhase.RUNNING,
            metadata=kept,
            message=str(error),
            resume_at=context.now + timedelta(seconds=10),
        )
    except ObjectNotFound:
        raise MetricError(f"Job {_where(context)} is gone: it was deleted before it ended") from None
    except KubernetesError as error:
        raise MetricError(str(error)) from None
    return reading


async def terminate(_: JobMetric, context: MetricContext, measurement: Measurement) -> Reading:
    """Keep the logs so far, and delete the Job, if there is one."""
    kept = {NAME: job_name(context), NAMESPACE: namespace(context)} | measurement.metadata
    kept.pop(OUTCOME, None)
    kept.pop(REASON, None)
    if LOGS not in kept and (logs := await _logs(context)):
        kept[LOGS] = logs
    await _deleted(context)
    return Reading(phase=VerificationPhase.INCONCLUSIVE, metadata=kept)


@provider("job", config=JobMetric, resume=resume, terminate=terminate)
async def measure(config: JobMetric, context: MetricContext) -> Reading:
    """Create the Job, or find the one that an attempt before this one created."""
    creation = asyncio.ensure_future(_created(config, context))
    try:
        await asyncio.shield(creation)
    except asyncio.CancelledError:
        # The request is under way, and can't be called back: whoever ends the Job must do so after it.
        await asyncio.wait([creation])
        raise
    except KubernetesError as error:
        raise MetricError(str(error)) from None
    return Reading(
        phase=VerificationPhase.RUNNING,
        metadata={NAME: job_name(context), NAMESPACE: namespace(context)},
        resume_at=context.now,
    )


def namespace(context: MetricContext) -> str:
    """Where Jobs of this measurement's Project run."""
    return context.outside.settings.job_namespace or context.project


def job_name(context: MetricContext) -> str:
    """The name that this measurement's Job has in every attempt: the metric, for people, and what makes it unique."""
    ending = f".{_run_id(context)}.{_digest(context.metric)[:6]}.{context.number}"
    readable = re.sub(r"[^a-z0-9]+", "-", context.metric.lower()).strip("-") or "metric"
    return f"{readable[: MAX_NAME - len(ending)].rstrip('-')}{ending}"


def _run_id(context: MetricContext) -> str:
    return _digest(f"{context.project}/{context.run}")[:12]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _where(context: MetricContext) -> str:
    return f"{namespace(context)}/{job_name(context)}"


def _kubernetes(context: MetricContext) -> Kubernetes:
    return context.outside.kubernetes


def _manifest(config: JobMetric, context: MetricContext) -> Json:
    spec = config.spec.shown()
    template = spec["template"]
    metadata = template.setdefault("metadata", {})
    metadata["labels"] = (metadata.get("labels") or {}) | {RUN_LABEL: _run_id(context)}
    annotations = {
        "analysisrun.argoproj.io/name": context.run,
        "analysisrun.argoproj.io/namespace": context.project,
        "analysisrun.argoproj.io/metric-name": context.metric,
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job_name(context),
            "namespace": namespace(context),
            "labels": config.metadata.labels | {RUN_LABEL: _run_id(context)},
            "annotations": config.metadata.annotations | annotations,
        },
        "spec": spec,
    }


async def _created(config: JobMetric, context: MetricContext) -> None:
    try:
        await _kubernetes(context).create(JOBS, namespace(context), _manifest(config, context))
    except ObjectConflict as error:
        found = await _kubernetes(context).get(JOBS, namespace(context), job_name(context))
        if found["metadata"].get("labels", {}).get(RUN_LABEL) != _run_id(context):
            raise MetricError(f"Job {_where(context)} belongs to somebody else: {error}") from None


async def _looked(config: JobMetric, context: MetricContext, measurement: Measurement) -> Reading:
    loop = asyncio.get_running_loop()
    until = loop.time() + WATCH
    kept = {key: value for key, value in measurement.metadata.items() if key != UNREACHABLE}
    while True:
        job = await _kubernetes(context).get(JOBS, namespace(context), job_name(context))
        phase, message = _ended(job)
        pods = await _pods(context) if phase is None else []
        if phase is None and (stuck := next((reason for pod in pods for reason in _stuck(pod)), "")):
            phase, message = VerificationPhase.INCONCLUSIVE, stuck
        if phase is not None:
            return await _kept(config, context, kept, phase, message)
        left = int(until - loop.time())
        if left < 1:
            break
        version = job["metadata"]["resourceVersion"]
        # Pods that are stuck don't always change the Job: look at them now and then.
        await _kubernetes(context).wait_for_change(JOBS, namespace(context), job_name(context), version, min(left, 5))
        await asyncio.sleep(BREATH)
    elapsed = max((context.now - measurement.started_at).total_seconds(), 0.0) if measurement.started_at else 0.0
    pause = min(timedelta(seconds=math.sqrt(2 * elapsed)), LONGEST_PAUSE)
    message = next((reason for pod in pods for reason in _waiting(pod)), "")
    resume_at = context.now + timedelta(seconds=WATCH) + pause
    return Reading(phase=VerificationPhase.RUNNING, metadata=kept, message=message, resume_at=resume_at)


async def _kept(
    config: JobMetric, context: MetricContext, kept: dict[str, str], phase: VerificationPhase, message: str
) -> Reading:
    """The Job has ended: keep what its pods said. Deleting it is the next look's, when this is safely recorded."""
    if logs := await _logs(context):
        kept = kept | {LOGS: logs}
    if config.spec.ttl_seconds_after_finished is not None and phase is not VerificationPhase.INCONCLUSIVE:
        return Reading(phase=phase, metadata=kept, message=message)
    return Reading(
        phase=VerificationPhase.RUNNING,
        metadata=kept | {OUTCOME: phase.value, REASON: message},
        message=message,
        resume_at=context.now,
    )


def _ended(job: dict[str, Json]) -> tuple[VerificationPhase | None, str]:
    for condition in job.get("status", {}).get("conditions") or []:
        if condition.get("status") != "True":
            continue
        if condition.get("type") == "Complete":
            return VerificationPhase.SUCCESSFUL, ""
        if condition.get("type") == "Failed":
            said = (str(condition[field]) for field in ("reason", "message") if condition.get(field))
            return VerificationPhase.FAILED, ": ".join(said)
    return None, ""


async def _pods(context: MetricContext) -> list[dict[str, Json]]:
    pods = await _kubernetes(context).pods(namespace(context), f"job-name={job_name(context)}")
    return sorted(pods, key=lambda pod: (str(pod["metadata"].get("creationTimestamp")), pod["metadata"]["name"]))


def _containers(pod: dict[str, Json]) -> Iterator[dict[str, Json]]:
    status = pod.get("status") or {}
    yield from status.get("initContainerStatuses") or []
    yield from status.get("containerStatuses") or []


def _stuck(pod: dict[str, Json]) -> Iterator[str]:
    for container in _containers(pod):
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") in STUCK:
            yield (
                f"Pod {pod['metadata']['name']}, container {container.get('name')} can't start "
                f"({waiting['reason']}): {waiting.get('message', '')}"
            )


def _waiting(pod: dict[str, Json]) -> Iterator[str]:
    """Why a pod hasn't started."""
    status = pod.get("status") or {}
    if status.get("phase") != "Pending":
        return
    for condition in status.get("conditions") or []:
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            yield f"Pod {pod['metadata']['name']} waits ({condition.get('reason')}): {condition.get('message', '')}"
    yield f"Pod {pod['metadata']['name']} is Pending"


async def _logs(context: MetricContext) -> str:
    """The last lines of every container that has run. What can't be read says so: the outcome matters more."""
    try:
        pods = await _pods(context)
    except KubernetesError as error:
        return f"(the logs can't be read: {error})\n"
    parts: list[str] = []
    for pod in pods:
        for container in _containers(pod):
            state = container.get("state") or {}
            if state.get("running") is None and state.get("terminated") is None:
                continue
            name, place = str(container.get("name")), str(pod["metadata"]["name"])
            try:
                text = await _kubernetes(context).log(namespace(context), place, name)
            except KubernetesError as error:
                text = f"(the log can't be read: {error})"
            parts.append(f"==> {place} {name} <==\n{text.rstrip()}\n")
    return "\n".join(parts)


async def _deleted(context: MetricContext) -> None:
    for pause in PAUSES:
        try:
            await _kubernetes(context).delete(JOBS, namespace(context), job_name(context))
        except ObjectNotFound:
            return
        except KubernetesError as error:
            if pause and isinstance(error, KubernetesUnreachable):
                await asyncio.sleep(pause)
                continue
            raise MetricError(f"Job {_where(context)} could not be deleted, delete it by hand: {error}") from None
        return
