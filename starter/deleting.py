"""Deleting resources: what depends on others goes first, and nothing goes when one of them may not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from model.projects import DeleteRequest, ProjectView
from model.warehouses import Outcome, RetireRequest
from starter import kinds
from starter.calls import Calls, Target
from starter.errors import InvalidInput, NotFound, Refused
from starter.kinds import Kind
from starter.listing import StageLine, entities, stage_lines
from starter.targets import CLUSTER, project_target, stage_target, warehouse_target

_ENTITIES = (kinds.STAGE, kinds.WAREHOUSE)
_PROJECT_HOLDS = (kinds.PROJECT_CONFIG, kinds.PROMOTION_TASK, kinds.ANALYSIS_TEMPLATE, kinds.MESSAGE_CHANNEL)
_CLUSTER_HOLDS = (
    kinds.CLUSTER_PROMOTION_TASK,
    kinds.CLUSTER_ANALYSIS_TEMPLATE,
    kinds.CLUSTER_MESSAGE_CHANNEL,
    kinds.CLUSTER_CONFIG,
)
_ORDER = (*_ENTITIES, *_PROJECT_HOLDS, kinds.PROJECT, *_CLUSTER_HOLDS)


@dataclass(frozen=True)
class Reference:
    """A resource by its kind and name; `project` is empty for what belongs to none."""

    kind: Kind
    name: str
    project: str = ""

    def __str__(self) -> str:
        return f"{self.kind.name} {self.name}"


@dataclass(frozen=True)
class Deleted:
    """One resource that is gone."""

    reference: Reference
    message: str = ""


async def delete_resources(calls: Calls, references: Sequence[Reference], *, actor: str, force: bool) -> list[Deleted]:
    """See `Towpath.delete`."""
    wanted: dict[Reference, None] = {}
    views: dict[str, ProjectView] = {}
    for reference in references:
        if reference.kind not in _ORDER:
            raise InvalidInput(f"a {reference.kind.name} can't be deleted: it is kept as a record of what happened")
        project = reference.name if reference.kind is kinds.PROJECT else reference.project
        if project and project not in views:
            views[project] = await calls.query(project_target(project), "view", ProjectView, open_only=True)
        if reference.kind is kinds.PROJECT:
            wanted |= dict.fromkeys(_content(reference.name, views[reference.name]))
        else:
            await check_there(calls, reference, views.get(reference.project))
        wanted[reference] = None
    if not force:
        await _check_quiet(calls, list(wanted), list(views))
    deleted: list[Deleted] = []
    for reference in sorted(wanted, key=lambda item: (_ORDER.index(item.kind), item.project, item.name)):
        outcome = await _delete(calls, reference, actor, force)
        if not outcome.ok:
            done = f" ({len(deleted)} deleted before)" if deleted else ""
            raise Refused(f"{reference} was not deleted: {outcome.message}{done}")
        deleted.append(Deleted(reference, outcome.message))
    return deleted


def _content(project: str, view: ProjectView) -> list[Reference]:
    """The entities of a Project, which end before it does; what it holds itself ends with it."""
    stages = [Reference(kinds.STAGE, name, project) for name in view.stages]
    return stages + [Reference(kinds.WAREHOUSE, name, project) for name in view.warehouses]


async def check_there(calls: Calls, reference: Reference, view: ProjectView | None = None) -> None:
    """Raises NotFound where there is no such resource. `view`: of its Project, if that is known already."""
    target = _target(reference)
    if reference.kind in (*_ENTITIES, kinds.PROJECT):
        if not await calls.running(target):
            raise target.missing()
        return
    if reference.kind in _CLUSTER_HOLDS:
        cluster = await calls.query(target, "view", dict, open_only=True)
        there = {
            kinds.CLUSTER_PROMOTION_TASK: reference.name in cluster.get("tasks", {}),
            kinds.CLUSTER_ANALYSIS_TEMPLATE: reference.name in cluster.get("templates", {}),
            kinds.CLUSTER_MESSAGE_CHANNEL: reference.name in cluster.get("channels", {}),
            kinds.CLUSTER_CONFIG: cluster.get("config") is not None,
        }
    else:
        held = await calls.query(target, "view", ProjectView, open_only=True) if view is None else view
        there = {
            kinds.PROJECT_CONFIG: held.config is not None,
            kinds.PROMOTION_TASK: reference.name in held.tasks,
            kinds.ANALYSIS_TEMPLATE: reference.name in held.templates,
            kinds.MESSAGE_CHANNEL: reference.name in held.channels,
        }
    if not there.get(reference.kind, True):
        where = f" in Project {reference.project}" if reference.project else ""
        raise NotFound(f"{reference} not found{where}")


async def _check_quiet(calls: Calls, references: Sequence[Reference], projects: Sequence[str]) -> None:
    """Refuses while a promotion or verification runs in a Stage that would go; Stages look again themselves."""
    stages = {(reference.project, reference.name) for reference in references if reference.kind is kinds.STAGE}
    busy: list[StageLine] = []
    for project in projects:
        if not any(of == project for of, _ in stages):
            continue
        lines = await stage_lines(project, await calls.executions(entities("Stage", project)))
        busy += [line for line in lines if (project, line.name) in stages and line.summary.current_promotion]
    if busy:
        named = ", ".join(f"{line.summary.current_promotion} in Stage {line.name}" for line in busy)
        raise Refused(f"a promotion runs: {named}; wait for it, abort it, or say --force. Nothing was deleted")


async def _delete(calls: Calls, reference: Reference, actor: str, force: bool) -> Outcome:
    target = _target(reference)
    if reference.kind in (*_ENTITIES, kinds.PROJECT):
        outcome = await calls.update(target, "retire", Outcome, RetireRequest(actor=actor, force=force))
        # Its owner hears of it before it is over: only then may what depends on it be asked.
        if outcome.ok and not await calls.closed(target):
            return Outcome(ok=False, message="it is ending, but has not ended yet; try again in a moment")
        return outcome
    request = DeleteRequest(kind=reference.kind.name, name=reference.name, actor=actor)
    return await calls.update(target, "delete", Outcome, request)


def _target(reference: Reference) -> Target:
    if reference.kind is kinds.STAGE:
        return stage_target(reference.project, reference.name)
    if reference.kind is kinds.WAREHOUSE:
        return warehouse_target(reference.project, reference.name)
    if reference.kind in _CLUSTER_HOLDS:
        return CLUSTER
    return project_target(reference.name if reference.kind is kinds.PROJECT else reference.project)
