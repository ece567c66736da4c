"""Manifests as a request brings them."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass

import yaml

from model.base import Json
from model.manifests import Document, read_manifests
from model.resources import KINDS
from starter.errors import InvalidInput, InvalidManifests
from starter.files import ManifestFile
from starter.shapes import Resource

#: What errors call the text that they are about.
SOURCE = "request"
_OF_THE_CLUSTER = frozenset(kind for (_, kind), resource in KINDS.items() if resource.cluster_scoped)
#: The most manifests that one request may hold.
MOST = 2000


@dataclass(frozen=True)
class Manifest:
    """One manifest, read but not checked."""

    kind: str
    name: str
    #: The Project it belongs to; empty: none.
    project: str
    value: Resource

    @property
    def stage(self) -> str:
        """Of a Promotion: the Stage it is for."""
        spec = self.value.get("spec")
        stage = spec.get("stage") if isinstance(spec, dict) else None
        return stage if isinstance(stage, str) else ""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


async def read(text: str) -> list[Manifest]:
    """The manifests of a text, those of Projects first. Raises InvalidInput, InvalidManifests."""
    return await asyncio.to_thread(_read, text)


def _read(text: str) -> list[Manifest]:
    documents = read_manifests(_as_list(text) if text.lstrip().startswith("[") else text, SOURCE)
    problems = [str(problem) for document in documents if document.node is None for problem in document.problems]
    if problems:
        raise InvalidInput("; ".join(problems))
    found = [_manifest(document) for document in documents]
    if len(found) > MOST:
        raise InvalidInput(f"a request may hold {MOST} manifests, not {len(found)}")
    return sorted(found, key=lambda manifest: manifest.kind != "Project")


def _manifest(document: Document) -> Manifest:
    assert document.node is not None
    value = document.node.plain()
    metadata = value.get("metadata") if isinstance(value, dict) else None
    if not document.kind or not document.name or not isinstance(metadata, dict):
        raise InvalidManifests([f"{SOURCE}, document {document.index}: kind and metadata.name are needed"])
    return Manifest(document.kind, document.name, _project(document, metadata), value)


def _project(document: Document, metadata: dict[str, Json]) -> str:
    """Whose it is. What belongs to the whole cluster is no Project's, whatever namespace it names."""
    if document.kind == "Project":
        return document.name
    namespace = metadata.get("namespace")
    return namespace if isinstance(namespace, str) and document.kind not in _OF_THE_CLUSTER else ""


def _as_list(text: str) -> str:
    """A JSON array as a Kubernetes List."""
    try:
        items = json.loads(text)
    except (ValueError, RecursionError):
        # It may be a YAML flow sequence: then its reader says what is wrong with it.
        return text
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


def as_files(manifests: list[Manifest]) -> list[ManifestFile]:
    """The manifests as a file, as `apply` reads them."""
    values: list[Json] = [manifest.value for manifest in manifests]
    return [ManifestFile(SOURCE, yaml.safe_dump_all(values, sort_keys=False, allow_unicode=True))]
