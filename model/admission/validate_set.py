"""A set of manifests, checked as a whole before anything of it is applied."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from model.admission.analysis_template import check_analysis_template
from model.admission.existing import Existing
from model.admission.message_channel import check_message_channel
from model.admission.names import check_metadata
from model.admission.pipeline import check_cycles, check_references, pipeline
from model.admission.project_config import check_cluster_config, check_project_config
from model.admission.stage import check_stage
from model.admission.steps import check_task
from model.admission.warehouse import check_warehouse
from model.findings import Findings
from model.manifests import Located
from model.problems import Problem
from model.resources import (
    AnalysisTemplate,
    ClusterAnalysisTemplate,
    ClusterConfig,
    ClusterMessageChannel,
    ClusterPromotionTask,
    ConfigMap,
    MessageChannel,
    Project,
    ProjectConfig,
    PromotionTask,
    Resource,
    Secret,
    Stage,
    Warehouse,
)
from model.supported import unsupported


def in_project(located: Located, project: str) -> Located:
    """The resource in this Project, where it names none itself and doesn't belong to the cluster."""
    resource = located.resource
    if not project or resource.cluster_scoped or resource.metadata.namespace:
        return located
    metadata = resource.metadata.model_copy(update={"namespace": project})
    return Located(resource.model_copy(update={"metadata": metadata}), located.document)


def validate_set(
    resources: Sequence[Located | Resource], existing: Existing, default_project: str = ""
) -> list[Problem]:
    """All problems of a set of resources, to be applied together upon what exists.

    One error refuses the whole set. References to what isn't there are warnings. `default_project` is that of
    resources which name none; the caller applies them as `in_project` gives them.
    """
    given = [entry if isinstance(entry, Located) else Located(entry) for entry in resources]
    located = [in_project(entry, default_project) for entry in given]
    return [
        *(problem for entry in located for problem in _alone(entry)),
        *_duplicates(located),
        *_projects(located, existing),
        *_together(located, existing),
    ]


def _alone(entry: Located) -> Iterator[Problem]:
    """What is wrong with one resource by itself."""
    resource = entry.resource
    if isinstance(resource, (Secret, ConfigMap)):
        yield entry.problem(
            f"a {resource.kind} is not applied: put it into the worker's credentials directory, "
            "so that its values stay with the worker"
        )
        return
    for finding in (*check_metadata(resource), *_rules(resource), *unsupported(resource)):
        yield entry.problem(finding.message, finding.path, finding.severity)


def _rules(resource: Resource) -> Findings:
    if isinstance(resource, Stage):
        return check_stage(resource)
    if isinstance(resource, Warehouse):
        return check_warehouse(resource)
    if isinstance(resource, (PromotionTask, ClusterPromotionTask)):
        return check_task(resource)
    if isinstance(resource, (AnalysisTemplate, ClusterAnalysisTemplate)):
        return check_analysis_template(resource)
    if isinstance(resource, (MessageChannel, ClusterMessageChannel)):
        return check_message_channel(resource)
    if isinstance(resource, ProjectConfig):
        return check_project_config(resource)
    if isinstance(resource, ClusterConfig):
        return check_cluster_config(resource)
    return iter(())


def _duplicates(located: Sequence[Located]) -> Iterator[Problem]:
    first: dict[tuple[str, str, str, str], Located] = {}
    for entry in located:
        resource = entry.resource
        key = (resource.api_version, resource.kind, resource.project, resource.name)
        if not resource.name or isinstance(resource, (Secret, ConfigMap)):
            continue
        if key in first:
            document = first[key].document
            where = f", in {document.source}:{document.line}" if document else ""
            yield entry.problem(f"{resource} stands in this set twice{where}", ("metadata", "name"))
        first.setdefault(key, entry)


def _projects(located: Sequence[Located], existing: Existing) -> Iterator[Problem]:
    known = {entry.resource.name for entry in located if isinstance(entry.resource, Project)} | set(existing.projects)
    for entry in located:
        resource = entry.resource
        if resource.cluster_scoped or isinstance(resource, (Secret, ConfigMap)):
            continue
        if resource.project and resource.project not in known:
            hint = f"; known Projects: {', '.join(sorted(known))}" if known else ""
            message = f"there is no Project {resource.project}: apply it before, or with this{hint}"
            yield entry.problem(message, ("metadata", "namespace"))


def _together(located: Sequence[Located], existing: Existing) -> Iterator[Problem]:
    """What is wrong with resources in view of the others of their Project."""
    resources = [entry.resource for entry in located]
    for project in dict.fromkeys(resource.project for resource in resources if not resource.cluster_scoped):
        around = pipeline(project, resources, existing)
        own = [entry for entry in located if not entry.resource.cluster_scoped and entry.resource.project == project]
        for entry in own:
            for finding in check_references(entry.resource, around):
                yield entry.problem(finding.message, finding.path, finding.severity)
        stages = {entry.resource.name: entry for entry in own if isinstance(entry.resource, Stage)}
        for name, finding in check_cycles(around.stages, list(stages)).items():
            yield stages[name].problem(finding.message, finding.path, finding.severity)
