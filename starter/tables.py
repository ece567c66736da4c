"""The columns of tables, Kargo's first: by kind, a function of the resource each."""

from __future__ import annotations

from collections.abc import Callable

from model.base import Json, format_time
from starter import kinds
from starter.kinds import Kind
from starter.listing import ProjectLine, StageLine, WarehouseLine
from starter.output import Column, age, at
from starter.shapes import Resource, resource


def _at(*path: str) -> Callable[[Resource], str]:
    return lambda item: at(item, *path)


def _age(*path: str) -> Callable[[Resource], str]:
    return lambda item: age(at(item, *path))


def _joined(value: object) -> str:
    """A list or the keys of a mapping, in one cell."""
    return ",".join(str(entry) for entry in value) if isinstance(value, list | dict) else ""


def _under(item: Resource, *path: str) -> Json:
    value: Json = item
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def project_row(line: ProjectLine) -> Resource:
    """A Project as its memo tells it."""
    shown = resource(kinds.PROJECT, line.name, created=line.summary.created_at)
    counts = {"stages": line.summary.stages, "warehouses": line.summary.warehouses}
    shown["status"] = {"stats": {what: {"count": count} for what, count in counts.items()}}
    return shown


def stage_row(line: StageLine) -> Resource:
    """A Stage as its memo tells it: enough for a table."""
    summary = line.summary
    shown = resource(kinds.STAGE, line.name, line.project, summary.created_at)
    shown["status"] = {
        "freightSummary": ",".join(alias or name[:7] for name, alias in summary.freight.items())
        or summary.freight_summary,
        "health": {"status": summary.health},
        "verification": summary.verification,
        "currentPromotion": {"name": summary.current_promotion},
        "lastPromotion": {"name": summary.last_promotion, "phase": summary.last_phase},
        "queued": summary.queued,
        "waiting": summary.waiting,
        "controlFlow": summary.control_flow,
        "autoPromotionEnabled": summary.auto_promotion,
        "origins": summary.origins,
        "upstream": summary.upstream,
    }
    return shown


def warehouse_row(line: WarehouseLine) -> Resource:
    """A Warehouse as its memo tells it."""
    summary = line.summary
    shown = resource(kinds.WAREHOUSE, line.name, line.project, summary.created_at)
    shown["status"] = {
        "freight": summary.freight,
        "lastDiscovery": summary.last_discovery,
        "error": summary.error,
        "failingSince": format_time(summary.failing_since) if summary.failing_since else "",
        "healthy": {True: "True", False: "False", None: "Unknown"}[summary.healthy],
    }
    return shown


def _promotion_state(item: Resource) -> str:
    running = at(item, "status", "currentPromotion", "name")
    if running:
        return "Running"
    return at(item, "status", "lastPromotion", "phase") or at(item, "status", "lastPromotion", "status", "phase")


def _verification_of(item: Resource) -> str:
    """The latest verification of what the Stage holds, from its memo or its whole status."""
    listed = _under(item, "status", "verification")
    if isinstance(listed, str):
        return listed
    history = _under(item, "status", "freightHistory")
    verifications = history[0].get("verificationHistory") if history else None
    return at(verifications[0], "phase") if verifications else ""


def _waits(item: Resource) -> str:
    """What a Promotion waits for people to say: `approve: approval of groups qa`."""
    return " ".join(at(item, "status", "waits").split()).replace(" waits for ", ": ", 1)


def _stage_message(item: Resource) -> str:
    waiting = at(item, "status", "waiting")
    return waiting.replace("\n", " ")


def _warehouse_health(item: Resource) -> str:
    listed = _under(item, "status", "healthy")
    return listed if isinstance(listed, str) else _condition(item, "Healthy")


def _condition(item: Resource, kind: str) -> str:
    for condition in _under(item, "status", "conditions") or []:
        if condition.get("type") == kind:
            return str(condition.get("status", ""))
    return ""


def _warehouse_error(item: Resource) -> str:
    text = at(item, "status", "error") or at(item, "status", "message")
    return text.replace("\n", " ")


def _freight_contents(item: Resource) -> str:
    parts = [f"{image.get('repoURL', '')}:{image.get('tag', '')}" for image in item.get("images", [])]
    parts += [
        f"{commit.get('repoURL', '')}@{commit.get('tag') or str(commit.get('id', ''))[:7]}"
        for commit in item.get("commits", [])
    ]
    for chart in item.get("charts", []):
        name = f"/{chart['name']}" if chart.get("name") else ""
        parts.append(f"{chart.get('repoURL', '')}{name}:{chart.get('version', '')}")
    parts += [
        f"{artifact.get('subscriptionName', '')}:{artifact.get('version', '')}"
        for artifact in item.get("artifacts", [])
    ]
    return ",".join(parts)


def _task_steps(item: Resource) -> str:
    return ",".join(step.get("uses", "") for step in _under(item, "spec", "steps") or [])


def _metrics(item: Resource) -> str:
    return ",".join(metric.get("name", "") for metric in _under(item, "spec", "metrics") or [])


_NAME = Column("NAME", _at("metadata", "name"))
_AGE = Column("AGE", _age("metadata", "creationTimestamp"))
_TASK = (_NAME, Column("STEPS", _task_steps))
_CHANNEL = (_NAME, Column("KIND", lambda item: _joined([k for k in _under(item, "spec") or {} if k != "secretRef"])))
_TEMPLATE = (_NAME, Column("METRICS", _metrics))

COLUMNS: dict[Kind, tuple[Column, ...]] = {
    kinds.PROJECT: (
        _NAME,
        Column("STAGES", _at("status", "stats", "stages", "count")),
        Column("WAREHOUSES", _at("status", "stats", "warehouses", "count")),
        _AGE,
    ),
    kinds.PROJECT_CONFIG: (
        _NAME,
        Column("POLICIES", lambda item: str(len(_under(item, "spec", "promotionPolicies") or []))),
    ),
    kinds.CLUSTER_CONFIG: (_NAME,),
    kinds.WAREHOUSE: (
        _NAME,
        Column("FREIGHT", _at("status", "freight")),
        Column("HEALTHY", _warehouse_health),
        Column("LAST DISCOVERY", _age("status", "lastDiscovery")),
        _AGE,
        Column("FAILING FOR", _age("status", "failingSince")),
        Column("ERROR", _warehouse_error),
    ),
    kinds.FREIGHT: (
        _NAME,
        Column("ALIAS", _at("alias")),
        Column("ORIGIN", lambda item: f"{at(item, 'origin', 'kind')}/{at(item, 'origin', 'name')}"),
        Column("AGE", _age("discoveredAt")),
        Column("IN", lambda item: _joined(_under(item, "status", "currentlyIn"))),
        Column("VERIFIED IN", lambda item: _joined(_under(item, "status", "verifiedIn")), wide=True),
        Column("APPROVED FOR", lambda item: _joined(_under(item, "status", "approvedFor")), wide=True),
        Column("ARTIFACTS", _freight_contents, wide=True),
    ),
    kinds.STAGE: (
        _NAME,
        Column("CURRENT FREIGHT", _at("status", "freightSummary")),
        Column("HEALTH", _at("status", "health", "status")),
        Column("VERIFICATION", _verification_of),
        Column("PROMOTION", _promotion_state),
        Column("QUEUED", _at("status", "queued"), wide=True),
        Column("AUTO", _at("status", "autoPromotionEnabled"), wide=True),
        Column("ORIGINS", lambda item: _joined(_under(item, "status", "origins")), wide=True),
        Column("UPSTREAM", lambda item: _joined(_under(item, "status", "upstream")), wide=True),
        _AGE,
        Column("STATUS", _stage_message),
    ),
    kinds.PROMOTION: (
        _NAME,
        Column("STAGE", _at("spec", "stage")),
        Column("FREIGHT", _at("spec", "freight")),
        Column("PHASE", _at("status", "phase")),
        _AGE,
        Column("WAITS FOR", _waits),
    ),
    kinds.VERIFICATION: (
        _NAME,
        Column("STAGE", _at("metadata", "labels", "kargo.akuity.io/stage")),
        Column("PHASE", _at("status", "phase")),
        _AGE,
    ),
    kinds.PROMOTION_TASK: _TASK,
    kinds.CLUSTER_PROMOTION_TASK: _TASK,
    kinds.ANALYSIS_TEMPLATE: _TEMPLATE,
    kinds.CLUSTER_ANALYSIS_TEMPLATE: _TEMPLATE,
    kinds.MESSAGE_CHANNEL: _CHANNEL,
    kinds.CLUSTER_MESSAGE_CHANNEL: _CHANNEL,
}
