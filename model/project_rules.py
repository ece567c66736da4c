"""What a Project decides: what has changed, what a Stage needs to know, who promotes by itself. Pure."""

from __future__ import annotations

import hashlib
import json

from model.base import Json
from model.plan import stage_references
from model.project_state import ProjectState
from model.projects import StageEntry
from model.resources.project_config import ProjectConfig
from model.resources.stage import Stage
from model.stages import StageBundle


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


def auto_promotion(config: dict[str, Json] | None, stage: str) -> bool:
    """Whether the first policy that matches the Stage turns auto-promotion on; none matches: off."""
    if config is None:
        return False
    spec = ProjectConfig.model_validate(config).spec
    for policy in spec.promotion_policies if spec else []:
        selector = policy.stage_selector
        name = selector.name if selector is not None else policy.stage
        if name == stage:
            return policy.auto_promotion_enabled
    return False


def bundle_for(state: ProjectState, name: str, entry: StageEntry) -> StageBundle:
    """All that a Stage needs of its Project to decide alone. `revision` is the caller's to set."""
    tasks = {task: state.tasks[task] for task in entry.tasks if task in state.tasks}
    cluster_tasks = {task: state.cluster.tasks[task] for task in entry.cluster_tasks if task in state.cluster.tasks}
    used = set(entry.steps)
    for manifest in [*tasks.values(), *cluster_tasks.values()]:
        used |= {step.get("uses", "") for step in manifest.get("spec", {}).get("steps", [])}
    known = {**state.cluster.kinds, **state.kinds}
    return StageBundle(
        revision=0,
        tasks=tasks,
        cluster_tasks=cluster_tasks,
        templates={t: state.templates[t] for t in entry.templates if t in state.templates},
        cluster_templates={
            t: state.cluster.templates[t] for t in entry.cluster_templates if t in state.cluster.templates
        },
        kinds={kind: known[kind] for kind in sorted(used) if kind in known},
        auto_promotion=auto_promotion(state.config, name),
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
