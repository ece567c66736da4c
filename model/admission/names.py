"""Which names Kubernetes takes, and what a resource's metadata must say."""

from __future__ import annotations

import re

from model.annotations import PREFIX, BadAnnotation, check_annotation
from model.findings import Findings, error, warning
from model.names import MAX_NAME
from model.resources import ClusterConfig, Project, ProjectConfig, Resource

MAX_LABEL = 63

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(rf"{_LABEL.pattern}(\.{_LABEL.pattern})*")
_VARIABLE = re.compile(r"[a-zA-Z_]\w*", re.ASCII)


def is_label(name: str) -> bool:
    """Whether it is a DNS label: a namespace's name, thus a Project's."""
    return len(name) <= MAX_LABEL and _LABEL.fullmatch(name) is not None


def is_name(name: str) -> bool:
    """Whether it is a DNS subdomain: the name of any other resource."""
    return len(name) <= MAX_NAME and _SUBDOMAIN.fullmatch(name) is not None


def is_variable(name: str) -> bool:
    """Whether it is the name of a variable in expressions."""
    return _VARIABLE.fullmatch(name) is not None


def check_metadata(resource: Resource) -> Findings:
    """Name and namespace of a resource, and Towpath's own annotations."""
    yield from _name(resource)
    for name, value in (resource.metadata.annotations or {}).items():
        if not name.startswith(PREFIX):
            continue
        try:
            check_annotation(resource.kind, name, value)
        except BadAnnotation as problem:
            yield error(("metadata", "annotations", name), str(problem))
    namespace = resource.metadata.namespace
    if resource.cluster_scoped:
        if namespace:
            yield warning(
                ("metadata", "namespace"), f"a {resource.kind} belongs to the whole cluster: the namespace is left out"
            )
    elif not namespace:
        yield error(("metadata", "namespace"), "say which Project this belongs to, here or by --project")
    elif not is_label(namespace):
        yield error(("metadata", "namespace"), f"{namespace} is no name of a Project: {_LABEL_RULE}")


_LABEL_RULE = f"lower-case letters, digits and -, at most {MAX_LABEL}"
_NAME_RULE = f"lower-case letters, digits, - and ., at most {MAX_NAME}"


def _name(resource: Resource) -> Findings:
    path = ("metadata", "name")
    if not resource.name:
        generated = " (generateName is not supported)" if resource.metadata.generate_name else ""
        yield error(path, f"a {resource.kind} needs a name{generated}")
    elif isinstance(resource, Project) and not is_label(resource.name):
        yield error(path, f"{resource.name} can't be the name of a Project: {_LABEL_RULE}")
    elif not is_name(resource.name):
        yield error(path, f"{resource.name} can't be a name: {_NAME_RULE}")
    elif isinstance(resource, ProjectConfig) and resource.project and resource.name != resource.project:
        yield error(path, f"a ProjectConfig has the name of its Project, here {resource.project}")
    elif isinstance(resource, ClusterConfig) and resource.name != "cluster":
        yield error(path, "the one ClusterConfig has the name cluster")
