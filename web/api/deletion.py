"""Deletes what manifests name, dependents first."""

from __future__ import annotations

from starter import kinds
from starter.deleting import Reference
from starter.errors import TowpathError
from starter.kinds import find_kind
from starter.shapes import Resource
from web.api.caller import Caller
from web.api.errors import Unfit, sentence_of
from web.api.manifests import Manifest

#: What others may depend on comes later.
_ORDER = ("Stage", "Freight", "Warehouse")


async def delete_each(caller: Caller, manifests: list[Manifest]) -> list[Resource]:
    """A result for each, those of Projects last. A single manifest's error is raised."""
    listed = sorted(manifests, key=lambda manifest: manifest.kind == "Project")
    results: dict[int, Resource] = {}
    for manifest in sorted(listed, key=_rank):
        try:
            await _delete(caller, manifest)
            results[id(manifest)] = {"deletedResourceManifest": manifest.value}
        except (TowpathError, Unfit) as error:
            if len(manifests) == 1:
                raise
            results[id(manifest)] = {"error": error.detail if isinstance(error, Unfit) else sentence_of(error)}
    return [results[id(manifest)] for manifest in listed]


def _rank(manifest: Manifest) -> int:
    if manifest.kind == "Project":
        return len(_ORDER) + 1
    return _ORDER.index(manifest.kind) if manifest.kind in _ORDER else len(_ORDER)


async def _delete(caller: Caller, manifest: Manifest) -> None:
    if manifest.kind in ("Secret", "ConfigMap"):
        raise Unfit(501, f"{manifest}: {manifest.kind}s are not held by Towpath's workflows")
    kind = find_kind(manifest.kind)
    project = manifest.project if kind.namespaced else ""
    if kind.namespaced and not project:
        raise Unfit(400, f"{manifest}: metadata.namespace, the Project, is needed")
    if kind is kinds.FREIGHT:
        record = await caller.towpath.find_freight(project, manifest.name)
        await caller.towpath.delete_freight(project, record.name)
        caller.boards.wrote(project, "Warehouse", record.reference.origin.name)
        return
    await caller.towpath.delete([Reference(kind, manifest.name, project)])
    caller.boards.wrote(manifest.project, kind.name, manifest.name)
    caller.boards.wrote(manifest.project)
