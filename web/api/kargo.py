"""Resources as Kargo has them, without what only Towpath knows: its clients refuse fields that they don't know.

Fields of status by kind: Kargo's api/v1alpha1. With `beyond=true` a read leaves everything in.
"""

from __future__ import annotations

from starter.shapes import Resource

_STATUS: dict[str, frozenset[str]] = {
    "Stage": frozenset(
        {
            "autoPromotionEnabled",
            "autoPromotionHolds",
            "conditions",
            "currentPromotion",
            "effectiveAutoPromotionHolds",
            "freightHistory",
            "freightSummary",
            "health",
            "lastHandledRefresh",
            "lastPromotion",
            "metadata",
            "observedGeneration",
            "promotionWindowStatus",
        }
    ),
    "Warehouse": frozenset(
        {"conditions", "discoveredArtifacts", "lastFreightID", "lastHandledRefresh", "observedGeneration"}
    ),
    "Freight": frozenset({"approvedFor", "currentlyIn", "metadata", "verifiedIn"}),
    "Promotion": frozenset(
        {
            "currentStep",
            "finishedAt",
            "freight",
            "freightCollection",
            "healthChecks",
            "lastHandledRefresh",
            "message",
            "phase",
            "startedAt",
            "state",
            "stepExecutionMetadata",
        }
    ),
}
_STEP = frozenset({"alias", "continueOnError", "errorCount", "finishedAt", "message", "startedAt", "status"})
_DISCOVERED: dict[str, frozenset[str]] = {
    "": frozenset({"charts", "discoveredAt", "git", "images", "results"}),
    "images": frozenset({"platform", "references", "repoURL", "subscriptionName"}),
    "git": frozenset({"commits", "observedRefs", "repoURL", "subscriptionName"}),
    "charts": frozenset({"name", "repoURL", "semverConstraint", "subscriptionName", "versions"}),
}


def as_kargo(shown: Resource) -> Resource:
    """The resource with Kargo's fields alone. What it shares with the original is not to be changed."""
    known = _STATUS.get(shown.get("kind", ""))
    if known is None or "status" not in shown:
        return shown
    status = _only(shown["status"], known)
    if "stepExecutionMetadata" in status:
        status["stepExecutionMetadata"] = [_only(step, _STEP) for step in status["stepExecutionMetadata"]]
    if "discoveredArtifacts" in status:
        status["discoveredArtifacts"] = _discovered(status["discoveredArtifacts"])
    if shown["kind"] == "Promotion":
        # Of those that were over before anybody looked lists know no steps, which Kargo requires.
        return {**shown, "spec": {"steps": [], **shown["spec"]}, "status": status}
    return {**shown, "status": status}


def _discovered(artifacts: Resource) -> Resource:
    shown = _only(artifacts, _DISCOVERED[""])
    for kind in ("images", "git", "charts"):
        if kind in shown:
            shown[kind] = [_only(found, _DISCOVERED[kind]) for found in shown[kind]]
    return shown


def _only(value: Resource, known: frozenset[str]) -> Resource:
    return {key: field for key, field in value.items() if key in known}
