"""Applying manifests: the whole set is read and checked first, then handed to its owners."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta

from pydantic import Field

from model.admission import Existing, ExistingProject, ExistingStage, in_project, validate_set
from model.base import Json, Message
from model.manifests import Located, load
from model.problems import Problem, Severity
from model.project_rules import digest
from model.project_state import ClusterState, ProjectState
from model.projects import Action, ApplyRequest, ApplyResult, ProjectView, StageEntry, WarehouseEntry
from model.resources import ConfigMap, Secret
from model.step_uses import expression_uses, step_uses
from model.steps import CheckStepsReport, CheckStepsRequest, DescribeStepsRequest, StepDescriptions
from starter.calls import UPDATE_TIMEOUT, Calls, Start
from starter.deleting import Reference
from starter.errors import InvalidManifests, NotFound, TowpathError
from starter.files import ManifestFile
from starter.kinds import find_kind
from starter.shapes import Resource
from starter.targets import CLUSTER, project_target
from workflows.attributes import PROJECT, attributes

#: Kinds that stay on the worker's side: nothing of them may enter a workflow.
_WORKERS = (Secret, ConfigMap)


class Change(Message):
    """What `apply` did, or would do, with one resource. `project` is empty for what belongs to none."""

    kind: str
    name: str
    project: str = ""
    action: Action


class Applied(Message):
    """All that `apply` did, and what the person should know."""

    changes: list[Change] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list)


def read_set(files: Sequence[ManifestFile], project: str) -> tuple[list[Located], list[Problem]]:
    """The resources of files, those without a namespace put into `project`, and all problems found in reading."""
    located: list[Located] = []
    problems: list[Problem] = []
    for file in files:
        found, wrong = load(file.text, file.name)
        located += [in_project(entry, project) for entry in found]
        problems += wrong
    return located, problems


def named_in(files: Sequence[ManifestFile], project: str) -> list[Reference]:
    """The resources that files of manifests name. Raises InvalidManifests."""
    located, problems = read_set(files, project)
    _refuse(problems)
    references = [
        Reference(find_kind(entry.resource.kind), entry.resource.name, entry.resource.project)
        for entry in located
        if not isinstance(entry.resource, _WORKERS)
    ]
    return list(dict.fromkeys(references))


async def apply_manifests(
    calls: Calls, files: Sequence[ManifestFile], *, project: str, actor: str, dry_run: bool
) -> Applied:
    """See `Towpath.apply`."""
    located, problems = await asyncio.to_thread(read_set, files, project)
    projects = sorted({_owner(entry) for entry in located} - {""})
    cluster = await _cluster_view(calls)
    views = {name: await _view(calls, name) for name in projects}
    problems += await asyncio.to_thread(validate_set, located, _existing(cluster, views))
    _refuse(problems)
    report = await _check_steps(calls, located)
    if report.problems:
        warnings = [str(problem) for problem in problems]
        raise InvalidManifests([f"{problem.where}: {problem.message}" for problem in report.problems], warnings)
    applied = Applied(warnings=[str(problem) for problem in problems])
    # The Cluster first: Stages may refer to its tasks. Then the Projects, each with all that is its own.
    for owner in ["", *projects]:
        manifests = [entry.resource.shown() for entry in located if _owner(entry) == owner]
        if not manifests:
            continue
        if dry_run:
            held = views[owner] if owner else cluster
            applied.changes += [_foreseen(manifest, held) for manifest in manifests]
            continue
        request = ApplyRequest(manifests=manifests, kinds=report.kinds, actor=actor)
        try:
            result = await _send(calls, owner, request)
        except TowpathError as error:
            done = ", ".join(f"{change.kind} {change.name}" for change in applied.changes)
            raise type(error)(f"{error}{f'; applied before: {done}' if done else ''}") from error
        # The Project's own warnings name what validation has named already, with file and line.
        applied.changes += [
            Change(kind=item.kind, name=item.name, project=owner, action=item.action) for item in result.resources
        ]
    return applied


def _owner(entry: Located) -> str:
    """The Project that a manifest goes to; empty: the Cluster."""
    return entry.resource.name if entry.resource.kind == "Project" else entry.resource.project


def _refuse(problems: Sequence[Problem]) -> None:
    """Raises InvalidManifests if there are errors, in the order of the files."""
    wrong = [str(problem) for problem in problems if problem.severity is Severity.ERROR]
    if wrong:
        warnings = [str(problem) for problem in problems if problem.severity is Severity.WARNING]
        raise InvalidManifests(list(dict.fromkeys(wrong)), warnings)


async def _view(calls: Calls, project: str) -> ProjectView | None:
    try:
        return await calls.query(project_target(project), "view", ProjectView, open_only=True)
    except NotFound:
        return None


async def _cluster_view(calls: Calls) -> Resource:
    try:
        return await calls.query(CLUSTER, "view", dict, open_only=True)
    except NotFound:
        return {}


def _existing(cluster: Resource, views: Mapping[str, ProjectView | None]) -> Existing:
    """What is there already, as admission asks about it."""
    projects = {name: ExistingProject() for name in cluster.get("projects", [])}
    for name, view in views.items():
        if view is None:
            projects.pop(name, None)
            continue
        projects[name] = ExistingProject(
            stages={
                stage: ExistingStage(upstreams=entry.upstream, control_flow=entry.control_flow)
                for stage, entry in view.stages.items()
            },
            warehouses=list(view.warehouses),
            tasks=list(view.tasks),
            analysis_templates=list(view.templates),
        )
    return Existing(
        projects=projects,
        cluster_tasks=list(cluster.get("tasks", {})),
        cluster_analysis_templates=list(cluster.get("templates", {})),
    )


async def _check_steps(calls: Calls, located: Sequence[Located]) -> CheckStepsReport:
    """What a worker, which knows steps and expressions, says of their uses."""
    request = CheckStepsRequest(
        uses=[use for entry in located for use in step_uses(entry)],
        expressions=[use for entry in located for use in expression_uses(entry)],
    )
    if not request.uses and not request.expressions:
        return CheckStepsReport()
    return await calls.update_with_start(CLUSTER, cluster_start(), "check_steps", CheckStepsReport, request)


async def _send(calls: Calls, owner: str, request: ApplyRequest) -> ApplyResult:
    if not owner:
        return await calls.update_with_start(CLUSTER, cluster_start(), "apply", ApplyResult, request)
    target = project_target(owner)
    # A Project hands out what is new one by one: a large set takes its time.
    timeout = UPDATE_TIMEOUT + len(request.manifests) * timedelta(seconds=1)
    if not any(manifest["kind"] == "Project" for manifest in request.manifests):
        return await calls.update(target, "apply", ApplyResult, request, timeout)
    start = Start(
        workflow="Project",
        arg=ProjectState(project=owner),
        search_attributes=attributes({PROJECT: owner}),
        summary=f"Project {owner}",
    )
    return await calls.update_with_start(target, start, "apply", ApplyResult, request, timeout=timeout)


async def describe_steps(calls: Calls, name: str = "") -> StepDescriptions:
    """What the workers' steps are: all of them, or one with its schemas."""
    request = DescribeStepsRequest(name=name)
    return await calls.update_with_start(CLUSTER, cluster_start(), "describe_steps", StepDescriptions, request)


def cluster_start() -> Start:
    """How the Cluster begins, where nothing was applied before."""
    return Start(
        workflow="Cluster",
        arg=ClusterState(),
        summary="Cluster-wide tasks, templates and settings",
    )


def _foreseen(manifest: Resource, held: ProjectView | Resource | None) -> Change:
    """What applying a manifest would do, as its owner would say."""
    kind, name = manifest["kind"], manifest["metadata"]["name"]
    known: Json = None
    if isinstance(held, ProjectView):
        project = held.project
        entries: dict[str, Mapping[str, StageEntry | WarehouseEntry]]
        entries = {"Stage": held.stages, "Warehouse": held.warehouses}
        if kind in entries:
            entry = entries[kind].get(name)
            known = manifest if entry is not None and entry.digest == digest(manifest) else entry
        else:
            known = {
                "Project": held.manifest or None,
                "ProjectConfig": held.config,
                "PromotionTask": held.tasks.get(name),
                "AnalysisTemplate": held.templates.get(name),
                "MessageChannel": held.channels.get(name),
            }.get(kind)
    else:
        project = name if kind == "Project" else manifest["metadata"].get("namespace", "")
        cluster = held or {}
        known = {
            "ClusterPromotionTask": cluster.get("tasks", {}).get(name),
            "ClusterAnalysisTemplate": cluster.get("templates", {}).get(name),
            "ClusterMessageChannel": cluster.get("channels", {}).get(name),
            "ClusterConfig": cluster.get("config"),
        }.get(kind)
    action = Action.CREATED if known is None else Action.UNCHANGED if known == manifest else Action.CONFIGURED
    return Change(kind=kind, name=name, project=project, action=action)
