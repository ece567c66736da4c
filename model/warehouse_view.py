"""A Warehouse and its Freight as they are shown: in Kubernetes' shape with Kargo's status."""

from __future__ import annotations

from collections.abc import Sequence

from model.base import Json, format_duration, format_time
from model.conditions import Condition, timed
from model.discovery import Verdict
from model.freight_status import FreightRecord
from model.warehouse_rules import newest_first
from model.warehouse_state import WarehouseState

#: Names the refresh that was last asked for.
REFRESH = "kargo.akuity.io/refresh"


def describe_freight(project: str, record: FreightRecord) -> dict[str, Json]:
    """The Freight resource: its artifacts at top level, as Kargo has it."""
    reference = record.reference.shown()
    name = reference.pop("name")
    status: dict[str, Json] = {
        "verifiedIn": {
            stage: {"verifiedAt": format_time(verified.verified_at)}
            | ({"longestSoak": format_duration(verified.longest_soak)} if verified.longest_soak else {})
            for stage, verified in sorted(record.verified_in.items())
        },
        "approvedFor": {stage: {"approvedAt": format_time(at)} for stage, at in sorted(record.approved_for.items())},
        "currentlyIn": {stage: {"since": format_time(since)} for stage, since in sorted(record.currently_in.items())},
    }
    if record.metadata:
        status["metadata"] = record.metadata
    return {
        "apiVersion": "kargo.akuity.io/v1alpha1",
        "kind": "Freight",
        "metadata": {
            "name": name,
            "namespace": project,
            "creationTimestamp": format_time(record.discovered_at),
            "labels": {"kargo.akuity.io/alias": record.alias},
        },
        "alias": record.alias,
        **{key: _filled(value) for key, value in reference.items() if value},
        "discoveredAt": format_time(record.discovered_at),
        "status": {key: value for key, value in status.items() if value},
    }


def _filled(artifacts: Json) -> Json:
    """Artifacts without their empty fields, which Kargo leaves out."""
    if not isinstance(artifacts, list):
        return artifacts
    return [{key: value for key, value in artifact.items() if value not in ("", None)} for artifact in artifacts]


def describe(state: WarehouseState) -> dict[str, Json]:
    """The Warehouse resource with its status."""
    manifest = dict(state.manifest or {"apiVersion": "kargo.akuity.io/v1alpha1", "kind": "Warehouse"})
    metadata = {**manifest.get("metadata", {}), "name": state.name, "namespace": state.project}
    metadata["generation"] = state.generation
    if state.created_at is not None:
        metadata["creationTimestamp"] = format_time(state.created_at)
    status: dict[str, Json] = {
        "observedGeneration": state.generation,
        "conditions": timed(conditions(state), state.transitions, state.created_at),
    }
    if state.report is not None and state.report.artifacts is not None:
        status["discoveredArtifacts"] = state.report.artifacts.shown()
    newest = newest_first(state.freight.values())
    if newest:
        status["lastFreightID"] = newest[0].name
    if state.last_refresh:
        metadata["annotations"] = {**metadata.get("annotations", {}), REFRESH: state.last_refresh}
    if state.handled_refresh:
        status["lastHandledRefresh"] = state.handled_refresh
    return {**manifest, "metadata": metadata, "status": status}


def summary(state: WarehouseState, subscribes: Sequence[str] = ()) -> dict[str, Json]:
    """The memo of a Warehouse, from which lists are made. `subscribes`: by which URLs webhooks find it."""
    report = state.report
    return {
        "generation": state.generation,
        "createdAt": format_time(state.created_at) if state.created_at else None,
        "freight": len(state.freight),
        "lastDiscovery": format_time(report.discovered_at) if report else "",
        "failingSince": format_time(state.failing_since) if state.failing_since and report and report.error else None,
        "error": (report.error if report else "")[:500] or state.no_freight[:500],
        "healthy": bool(report and not report.error and not state.no_freight),
        "subscribes": list(subscribes),
    }


def conditions(state: WarehouseState) -> list[Condition]:
    """What holds of the Warehouse, without since when."""
    report = state.report
    if report is None:
        return [{"type": "Ready", "status": "False", "reason": "DiscoveryPending", "message": "nothing looked at yet"}]
    trouble = report.error or state.no_freight
    since = f" (since {format_time(state.failing_since)})" if state.failing_since and report.error else ""
    status = "False" if trouble else "True"
    reason = "DiscoveryFailed" if report.error else "NoFreight" if state.no_freight else "ArtifactsDiscovered"
    message = f"{trouble}{since}" if trouble else "; ".join(report.warnings)
    shown = [
        {"type": "Ready", "status": status, "reason": reason, "message": message},
        {"type": "Healthy", "status": status, "reason": reason, "message": message},
    ]
    if report.criteria in _CRITERIA:
        satisfied, reason, words = _CRITERIA[report.criteria]
        shown.append(
            {
                "type": "FreightCreationCriteriaSatisfied",
                "status": satisfied,
                "reason": reason,
                "message": report.criteria_error or words,
            }
        )
    return shown


_CRITERIA = {
    Verdict.SATISFIED: ("True", "CriteriaSatisfied", "the best candidates satisfy the criteria"),
    Verdict.NOT_SATISFIED: ("False", "CriteriaNotSatisfied", "the best candidates don't satisfy the criteria"),
    Verdict.FAILED: ("Unknown", "CriteriaEvaluationFailed", "the criteria could not be evaluated"),
}
