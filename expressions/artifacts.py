"""`commitFrom()` and its like: artifacts of the Freight at hand, for expressions (Kargo: pkg/expressions/function)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final, TypeVar

from expressions.dates import from_datetime
from expressions.errors import Fault
from expressions.functions.builtin import text_argument
from expressions.values import Function, Record, Reference, StringMap, Value, type_name
from model.references import (
    ArtifactReference,
    Chart,
    FreightCollection,
    FreightOrigin,
    FreightReference,
    GitCommit,
    Image,
    RequestedOrigin,
    SubscribedRepo,
)
from model.resources.warehouse import DiscoveredArtifacts, DiscoveredCommit, DiscoveredImageReference
from model.urls import normalize_chart, normalize_git, normalize_image

#: The same few repositories are compared again and again.
_normal_git: Final = lru_cache(maxsize=1024)(normalize_git)

_Artifact = TypeVar("_Artifact", GitCommit, Image, Chart, ArtifactReference)


def _shown(fields: dict[str, Value]) -> dict[str, Value]:
    """As JSON: Kargo's field names, empty fields left out."""
    return {name: value for name, value in fields.items() if value}


def origin_record(origin: FreightOrigin) -> Record:
    """An origin as expressions see it."""
    fields = {"Kind": str(origin.kind), "Name": origin.name}
    return Record("FreightOrigin", fields, {"kind": str(origin.kind), "name": origin.name})


def commit_record(commit: GitCommit) -> Record:
    """A commit of a piece of Freight as expressions see it."""
    return Record(
        "GitCommit",
        {
            "RepoURL": commit.repo_url,
            "ID": Reference(commit.id, "commit id"),
            "Branch": commit.branch or "",
            "Tag": Reference(commit.tag or "", "commit tag"),
            "Message": commit.message or "",
            "Author": commit.author or "",
            "Committer": commit.committer or "",
            "SubscriptionName": commit.subscription_name or "",
        },
        _shown(commit.shown()),
    )


def image_record(image: Image) -> Record:
    """An image of a piece of Freight as expressions see it."""
    return Record(
        "Image",
        {
            "RepoURL": image.repo_url,
            "Tag": Reference(image.tag, "image tag"),
            "Digest": Reference(image.digest, "image digest"),
            "Annotations": StringMap(image.annotations or {}),
            "SubscriptionName": image.subscription_name or "",
        },
        _shown(image.shown()),
    )


def chart_record(chart: Chart) -> Record:
    """A chart of a piece of Freight as expressions see it."""
    return Record(
        "Chart",
        {
            "RepoURL": chart.repo_url,
            "Name": chart.name,
            "Version": Reference(chart.version, "chart version"),
            "SubscriptionName": chart.subscription_name or "",
        },
        _shown(chart.shown()),
    )


def artifact_record(artifact: ArtifactReference) -> Record:
    """A generic artifact as expressions see it."""
    fields: dict[str, Value] = {
        "ArtifactType": artifact.artifact_type,
        "SubscriptionName": artifact.subscription_name,
        "Version": Reference(artifact.version, "artifact version"),
        "Metadata": artifact.metadata or {},
    }
    # Kargo's own type here has no JSON names: its fields are written as they are called.
    return Record("ArtifactReference", fields, dict(fields))


def _warehouse(name: Value) -> Record:
    text = text_argument(name, "warehouse")
    if not text:
        raise Fault("warehouse() needs a name, got an empty one")
    return origin_record(FreightOrigin(name=text))


def _origin_argument(value: Value, name: str) -> FreightOrigin:
    if isinstance(value, Record) and value.type == "FreightOrigin":
        return FreightOrigin(name=str(value.fields["Name"]))
    raise Fault(f'{name}() needs an origin such as warehouse("name"), not {type_name(value)}')


class FreightLookup:
    """Finds artifacts in the Freight collection of a Promotion or Verification."""

    def __init__(self, collection: FreightCollection, origins: list[RequestedOrigin]) -> None:
        self.pieces = collection.references()
        self.origins = origins
        #: Records that were asked for already, by the identity of their artifact.
        self.records: dict[int, Record] = {}

    def functions(self) -> dict[str, Function]:
        """The functions that look into the collection."""
        return {
            "warehouse": Function("warehouse", _warehouse, 1, 1),
            "commitFrom": Function("commitFrom", self.commit, 1, 2),
            "imageFrom": Function("imageFrom", self.image, 1, 2),
            "chartFrom": Function("chartFrom", self.chart, 1, 3),
            "artifactFrom": Function("artifactFrom", self.artifact, 1, 2),
        }

    def commit(self, repo: Value, origin: Value = None) -> Record | None:
        url = _normal_git(text_argument(repo, "commitFrom"))
        pieces = self._pieces(
            "commitFrom", origin, url, lambda sub: sub.kind == "git" and _normal_git(sub.repo_url) == url
        )
        commits = (commit for piece in pieces or [] for commit in piece.commits)
        return self._record(commit_record, (commit for commit in commits if _normal_git(commit.repo_url) == url))

    def image(self, repo: Value, origin: Value = None) -> Record | None:
        url = text_argument(repo, "imageFrom")
        pieces = self._pieces("imageFrom", origin, url, lambda sub: sub.kind == "image" and sub.repo_url == url)
        images = (image for piece in pieces or [] for image in piece.images)
        return self._record(image_record, (image for image in images if image.repo_url == url))

    def chart(self, repo: Value, *rest: Value) -> Record | None:
        url = text_argument(repo, "chartFrom")
        name, origin = self._chart_arguments(rest)
        pieces = self._pieces(
            "chartFrom", origin, url, lambda sub: sub.kind == "chart" and sub.repo_url == url and sub.name == name
        )
        if pieces is None:
            what = f"chart {name} of {url}" if name else f"a chart of {url}"
            raise Fault(f"no requested Warehouse subscribes to {what}")
        charts = (chart for piece in pieces for chart in piece.charts)
        return self._record(chart_record, (chart for chart in charts if (chart.repo_url, chart.name) == (url, name)))

    @staticmethod
    def _chart_arguments(rest: tuple[Value, ...]) -> tuple[str, Value]:
        if len(rest) == 2:
            name = text_argument(rest[0], "chartFrom")
            if not name:
                raise Fault("chartFrom() with three arguments needs the chart's name as the second")
            return name, rest[1]
        if rest and isinstance(rest[0], str):
            return str(rest[0]), None
        if rest and not isinstance(rest[0], Record):
            raise Fault(f"chartFrom() needs a chart's name or an origin as second argument, not {type_name(rest[0])}")
        return "", rest[0] if rest else None

    def artifact(self, subscription: Value, origin: Value = None) -> Record | None:
        name = text_argument(subscription, "artifactFrom")
        pieces = self._pieces("artifactFrom", origin, name, lambda sub: sub.kind == "artifact" and sub.name == name)
        artifacts = (artifact for piece in pieces or [] for artifact in piece.artifacts)
        return self._record(artifact_record, (found for found in artifacts if found.subscription_name == name))

    def _record(self, make: Callable[[_Artifact], Record], found: Iterable[_Artifact]) -> Record | None:
        """The record of the first artifact found."""
        artifact = next(iter(found), None)
        if artifact is None:
            return None
        if id(artifact) not in self.records:
            self.records[id(artifact)] = make(artifact)
        return self.records[id(artifact)]

    def _pieces(
        self, function: str, origin: Value, subject: str, subscribes: Callable[[SubscribedRepo], bool]
    ) -> list[FreightReference] | None:
        """The pieces of the origin that is meant; None when nothing requested could provide the artifact."""
        if origin is not None:
            wanted = _origin_argument(origin, function)
        else:
            able = [
                requested.origin
                for requested in self.origins
                for subscription in requested.subscriptions
                if subscribes(subscription)
            ]
            if not able:
                return None
            if len(able) > 1:
                names = ", ".join(dict.fromkeys(found.name for found in able))
                raise Fault(
                    f"several subscriptions could provide {subject} (Warehouses: {names}): "
                    f'say which Warehouse is meant, as in {function}(…, warehouse("{able[0].name}"))'
                )
            wanted = able[0]
        return [piece for piece in self.pieces if piece.origin == wanted]


def discovered_functions(found: DiscoveredArtifacts | None) -> dict[str, Function]:
    """The functions of Freight-creation criteria: they look at the best candidate of each subscription."""
    lookup = _DiscoveryLookup(found)
    return {
        "commitFrom": Function("commitFrom", lookup.commit, 1, 1),
        "imageFrom": Function("imageFrom", lookup.image, 1, 1),
        "chartFrom": Function("chartFrom", lookup.chart, 1, 2),
        "artifactFrom": Function("artifactFrom", lookup.artifact, 1, 1),
    }


class _DiscoveryLookup:
    def __init__(self, found: DiscoveredArtifacts | None) -> None:
        self.found = found

    def commit(self, repo: Value) -> Record | None:
        url = normalize_git(text_argument(repo, "commitFrom"))
        results = self.found.git if self.found else []
        return _best(
            discovered_commit_record(result.commits[0])
            for result in results
            if result.commits and normalize_git(result.repo_url) == url
        )

    def image(self, repo: Value) -> Record | None:
        url = normalize_image(text_argument(repo, "imageFrom"))
        results = self.found.images if self.found else []
        return _best(
            discovered_image_record(result.references[0])
            for result in results
            if result.references and normalize_image(result.repo_url) == url
        )

    def chart(self, repo: Value, name: Value = "") -> Record | None:
        url, wanted = normalize_chart(text_argument(repo, "chartFrom")), text_argument(name, "chartFrom")
        results = self.found.charts if self.found else []
        return _best(
            chart_record(Chart(repo_url=url, name=result.name, version=result.versions[0]))
            for result in results
            if result.versions and normalize_chart(result.repo_url) == url and wanted in ("", result.name)
        )

    def artifact(self, subscription: Value) -> Record | None:
        name = text_argument(subscription, "artifactFrom")
        results = self.found.results if self.found else []
        return _best(
            artifact_record(result.artifact_references[0])
            for result in results
            if result.artifact_references and result.name == name
        )


def _best(records: Iterable[Record]) -> Record | None:
    return next(iter(records), None)


def discovered_commit_record(commit: DiscoveredCommit) -> Record:
    """A candidate of a Git repository as expressions see it."""
    return Record(
        "DiscoveredCommit",
        {
            "ID": Reference(commit.id, "commit id"),
            "Branch": commit.branch,
            "Tag": Reference(commit.tag, "commit tag"),
            "Subject": commit.subject,
            "Author": commit.author,
            "Committer": commit.committer,
            "CreatorDate": None if commit.creator_date is None else from_datetime(commit.creator_date),
        },
        _shown(commit.shown()),
    )


def discovered_image_record(image: DiscoveredImageReference) -> Record:
    """A candidate of an image repository as expressions see it."""
    return Record(
        "DiscoveredImageReference",
        {
            "Tag": Reference(image.tag, "image tag"),
            "Digest": Reference(image.digest, "image digest"),
            "Annotations": StringMap(image.annotations),
            "CreatedAt": None if image.created_at is None else from_datetime(image.created_at),
        },
        _shown(image.shown()),
    )
