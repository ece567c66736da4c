"""The name of Freight: the same artifacts from the same origin have the same name (Kargo: pkg/api/freight.go)."""

from __future__ import annotations

import hashlib
import posixpath

from model.references import ArtifactReference, Chart, FreightReference, GitCommit, Image
from model.resources.freight import Freight
from model.urls import normalize_chart, normalize_git


def fingerprint(freight: Freight | FreightReference) -> str:
    """Hex SHA-1 over the origin and the artifacts; messages, authors, branches and annotations don't count."""
    parts = [
        *map(_commit, freight.commits),
        *map(_image, freight.images),
        *map(_chart, freight.charts),
        *map(_artifact, freight.artifacts),
    ]
    parts.sort(key=str.encode)
    text = f"{freight.origin}:{'|'.join(parts)}"
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def _commit(commit: GitCommit) -> str:
    repo = normalize_git(commit.repo_url)
    return _named(f"{repo}:{commit.tag}:{commit.id}" if commit.tag else f"{repo}:{commit.id}", commit.subscription_name)


def _image(image: Image) -> str:
    # The URL is that of the subscription as it was written: not normalised.
    return _named(f"{image.repo_url}:{image.tag}@{image.digest}", image.subscription_name)


def _chart(chart: Chart) -> str:
    return _named(f"{_join(normalize_chart(chart.repo_url), chart.name)}:{chart.version}", chart.subscription_name)


def _artifact(artifact: ArtifactReference) -> str:
    return f"{artifact.artifact_type}:{artifact.subscription_name}:{artifact.version}"


def _named(part: str, subscription: str | None) -> str:
    """Names of subscriptions count since Kargo 1.12, where there is one."""
    return f"{part}:{subscription}" if subscription else part


def _join(*parts: str) -> str:
    """Go's path.Join: without empty parts, and never more than one slash together (`https:/host/chart`)."""
    path = "/".join(part for part in parts if part)
    if not path:
        return ""
    clean = posixpath.normpath(path)
    return clean[1:] if clean.startswith("//") else clean
