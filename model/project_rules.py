"""What a Project decides: what has changed, what a Stage needs to know, who promotes by itself. Pure."""

from __future__ import annotations

import hashlib
import json

from model.annotations import ClosedWindows, Settings, read_settings
from model.base import Json
from model.freezes import active
from model.name_patterns import BadNamePattern
from model.plan import stage_references
from model.project_state import ProjectState
from model.projects import StageEntry
from model.promotion_policy import policy_for, selects
from model.resources.cluster_config import ClusterConfig
from model.resources.project_config import ProjectConfig, ProjectConfigSpec, PromotionPolicy, PromotionWindow
from model.resources.stage import Stage
from model.stages import StageBundle
from model.windows import selected


def digest(value: Json) -> str:
    """A short digest of a manifest, by which an unchanged one is known."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:16]


def stage_entry(manifest: dict[str, Json], generation: int) -> StageEntry:
    """What a Project remembers of a Stage."""
    stage = Stage.model_validate(manifest)
    references = stage_references(stage)
    return StageEntry(
        generation=generation,
        digest=digest(manifest),
        origins=references.warehouses,
        upstream=references.stages,
        control_flow=stage.control_flow,
        labels=stage.metadata.labels or {},
        tasks=references.tasks,
        cluster_tasks=references.cluster_tasks,
        templates=references.analysis_templates,
        cluster_templates=references.cluster_analysis_templates,
        steps=sorted({step.uses for step in stage.steps if step.uses}),
    )


def stage_policy(state: ProjectState, stage: str, entry: StageEntry) -> tuple[PromotionPolicy | None, str]:
    """The policy for a Stage, None: there is none; and why the policies can't be read, if they can't."""
    try:
        return policy_for(_spec(state.config).promotion_policies, stage, entry.labels), ""
    except BadNamePattern as error:
        return None, f"the promotion policies of the Project can't be read: {error}"


def cluster_windows(config: dict[str, Json] | None) -> list[PromotionWindow]:
    """The promotion windows of a ClusterConfig."""
    return ClusterConfig.model_validate(config).spec.promotion_windows if config else []


def config_settings(config: dict[str, Json] | None) -> Settings:
    """What the annotations of a ProjectConfig or ClusterConfig set."""
    return read_settings((config or {}).get("metadata", {}).get("annotations"))


def stage_windows(state: ProjectState, stage: str, entry: StageEntry, *, strict: bool = False) -> list[PromotionWindow]:
    """The promotion windows for a Stage, of its Project and of the cluster. Raises BadNamePattern.

    `strict`: only those that nothing may pass while they are closed.
    """
    labels = (state.manifest or {}).get("metadata", {}).get("labels") or {}
    there: list[PromotionWindow] = []
    if not strict or state.cluster.settings.closed_windows is ClosedWindows.NOTHING:
        there += [window for window in state.cluster.windows if selects(window.project_selector, state.project, labels)]
    if not strict or config_settings(state.config).closed_windows is ClosedWindows.NOTHING:
        there += _spec(state.config).promotion_windows
    return selected(window for window in there if selects(window.stage_selector, stage, entry.labels))


def _spec(config: dict[str, Json] | None) -> ProjectConfigSpec:
    return ProjectConfig.model_validate(config).spec if config else ProjectConfigSpec()


def bundle_for(state: ProjectState, name: str, entry: StageEntry) -> StageBundle:
    """All that a Stage needs of its Project to decide alone. `revision` is the caller's to set."""
    tasks = {task: state.tasks[task] for task in entry.tasks if task in state.tasks}
    cluster_tasks = {task: state.cluster.tasks[task] for task in entry.cluster_tasks if task in state.cluster.tasks}
    used = set(entry.steps)
    for manifest in [*tasks.values(), *cluster_tasks.values()]:
        used |= {step.get("uses", "") for step in manifest.get("spec", {}).get("steps", [])}
    known = {**state.cluster.kinds, **state.kinds}
    policy, problem = stage_policy(state, name, entry)
    return StageBundle(
        revision=0,
        tasks=tasks,
        cluster_tasks=cluster_tasks,
        templates={t: state.templates[t] for t in entry.templates if t in state.templates},
        cluster_templates={
            t: state.cluster.templates[t] for t in entry.cluster_templates if t in state.cluster.templates
        },
        kinds={kind: known[kind] for kind in sorted(used) if kind in known},
        auto_promotion=policy is not None and policy.auto_promotion_enabled,
        policy_problem=problem,
        auto_rollback=policy.auto_rollback if policy else None,
        windows=stage_windows(state, name, entry),
        strict_windows=stage_windows(state, name, entry, strict=True),
        health_interval=config_settings(state.config).health_interval or state.cluster.settings.health_interval,
        freezes=[*state.cluster.freezes, *active(state.freezes)],
    )


def missing_references(state: ProjectState) -> list[str]:
    """References to what isn't there (yet), a sentence each."""
    sentences = []
    for name, entry in sorted(state.stages.items()):
        for kind, wanted, there in (
            ("Warehouse", entry.origins, state.warehouses),
            ("Stage", entry.upstream, state.stages),
            ("PromotionTask", entry.tasks, state.tasks),
            ("ClusterPromotionTask", entry.cluster_tasks, state.cluster.tasks),
            ("AnalysisTemplate", entry.templates, state.templates),
            ("ClusterAnalysisTemplate", entry.cluster_templates, state.cluster.templates),
        ):
            sentences += [
                f"Stage {name} refers to {kind} {ref}, which does not exist" for ref in wanted if ref not in there
            ]
    return sentences
