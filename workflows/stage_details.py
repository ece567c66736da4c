"""What the Temporal UI shows of a Stage, with links to the runs this is about."""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from model.names import promotion_id, verification_id
    from model.stage_rules import stage_health
    from model.stage_state import StageState
    from model.stages import StageSummary
    from workflows.links import link

#: How many of those that wait are shown.
SHOWN = 10


def details(state: StageState, glance: StageSummary) -> str:
    """Markdown. Only within a workflow, whose namespace the links lead to."""
    project, last = state.project, state.last_promotion
    health = stage_health(state)
    lines = [f"**Stage {state.name}** of Project {project}", ""]
    if glance.control_flow:
        return "\n".join([*lines, "Freight passes through it: it has no promotion steps."])
    held = ", ".join(f"{alias} `{name[:7]}`" for name, alias in glance.freight.items())
    lines.append(f"- holds {held or 'no Freight yet'}")
    issues = "; ".join(health.issues)[:400] if health else ""
    lines.append(f"- health {glance.health or '—'}{f': {issues}' if issues else ''}")
    lines.append(f"- turn: {link(state.turn.workflow_id) if state.turn else 'free'}")
    if glance.frozen:
        lines.append(f"- {glance.frozen}")
    if state.queue:
        lines.append(f"- queued: {glance.queued}, because {glance.waiting or 'its turn is about to come'}")
        lines += [f"  - {link(entry.workflow_id)}" for entry in state.queue[:SHOWN]]
    if last is not None:
        lines.append(f"- last promotion {link(promotion_id(project, last.name))}: {glance.last_phase}")
    current = state.current()
    for info in current.verification_history if current else []:
        shown = link(verification_id(project, info.id)) if info.analysis_run else "(nothing to verify)"
        lines.append(f"- verification {shown}: {info.phase.value}")
    return "\n".join(lines)
