"""What Freight is made of, for people: short names, links, and what differs between two pieces. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from model.base import Json

Resource = Mapping[str, Json]

#: Annotations of OCI images that lead somewhere, and what they are called (OCI image spec, annotations).
_OCI_LINKS = {
    "org.opencontainers.image.url": "home page",
    "org.opencontainers.image.documentation": "documentation",
    "org.opencontainers.image.source": "source",
}
_REVISION = "org.opencontainers.image.revision"
#: Kargo's own: `link.akuity.io/…`, whatever is behind.
_LINK_PREFIX = "link.akuity.io/"
#: How long a commit's subject may be.
_SUBJECT = 120


@dataclass(frozen=True)
class Link:
    """A way to more; only ever http or https."""

    text: str
    url: str


@dataclass(frozen=True)
class Artifact:
    """One artifact of a piece of Freight."""

    #: `image`, `commit`, `chart` or `artifact`.
    kind: str
    #: What it is a version of: a repository's URL, a chart, a subscription.
    of: str
    #: The last part of that.
    short: str
    version: str
    #: A commit's subject, an image's digest.
    detail: str = ""
    author: str = ""
    links: tuple[Link, ...] = ()

    @property
    def label(self) -> str:
        return f"{self.short} {self.version}"

    @property
    def brief(self) -> str:
        """The detail, a digest cut."""
        return self.detail[:19] if self.kind == "image" else self.detail


@dataclass(frozen=True)
class Change:
    """What becomes of one artifact: `before` or `after` is None where it comes or goes."""

    before: Artifact | None
    after: Artifact | None

    @property
    def same(self) -> bool:
        return (
            self.before is not None
            and self.after is not None
            and (self.before.version, self.before.detail) == (self.after.version, self.after.detail)
        )

    @property
    def of(self) -> Artifact:
        """The newer of the two."""
        found = self.after or self.before
        assert found is not None
        return found


def artifacts(piece: Resource) -> tuple[Artifact, ...]:
    """The artifacts of a Freight resource or reference, images first."""
    return (
        *(_image(image) for image in piece.get("images") or []),
        *(_commit(commit) for commit in piece.get("commits") or []),
        *(_chart(chart) for chart in piece.get("charts") or []),
        *(_other(artifact) for artifact in piece.get("artifacts") or []),
    )


def changes(before: Sequence[Artifact], after: Sequence[Artifact]) -> list[Change]:
    """What a promotion changes, artifact by artifact: those that differ first."""
    old = {(artifact.kind, artifact.of): artifact for artifact in before}
    new = {(artifact.kind, artifact.of): artifact for artifact in after}
    found = [Change(old.get(key), new.get(key)) for key in dict.fromkeys([*new, *old])]
    return sorted(found, key=lambda change: change.same)


def safe_url(url: str) -> str:
    """The URL where a browser may be sent there, else nothing."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return url if parts.scheme in ("http", "https") and parts.netloc else ""


def _short(url: str) -> str:
    return url.rstrip("/").rpartition("/")[2].removesuffix(".git") or url


def _image(image: Resource) -> Artifact:
    annotations: Mapping[str, Json] = image.get("annotations") or {}
    links = []
    for key, value in sorted(annotations.items()):
        name = _OCI_LINKS.get(key) or (key.removeprefix(_LINK_PREFIX) if key.startswith(_LINK_PREFIX) else "")
        if name and isinstance(value, str) and (url := safe_url(value)):
            links.append(Link(name, url))
    source, revision = annotations.get("org.opencontainers.image.source"), annotations.get(_REVISION)
    if isinstance(source, str) and isinstance(revision, str) and (url := commit_url(source, revision)):
        links.append(Link(f"commit {revision[:7]}", url))
    url = str(image.get("repoURL", ""))
    version = str(image.get("tag") or str(image.get("digest", ""))[:19])
    return Artifact("image", url, _short(url), version, str(image.get("digest", "")), links=tuple(links))


def _commit(commit: Resource) -> Artifact:
    url, name = str(commit.get("repoURL", "")), str(commit.get("id", ""))
    subject = str(commit.get("message") or "").strip().partition("\n")[0][:_SUBJECT]
    page = commit_url(url, name)
    return Artifact(
        "commit",
        url,
        _short(url),
        str(commit.get("tag") or name[:7]),
        subject,
        str(commit.get("author") or ""),
        (Link("commit", page),) if page else (),
    )


def _chart(chart: Resource) -> Artifact:
    url, name = str(chart.get("repoURL", "")), str(chart.get("name") or "")
    return Artifact("chart", f"{url}/{name}" if name else url, name or _short(url), str(chart.get("version", "")))


def _other(artifact: Resource) -> Artifact:
    name = str(artifact.get("subscriptionName") or artifact.get("artifactType") or "artifact")
    return Artifact("artifact", name, name, str(artifact.get("version", "")))


def commit_url(repository: str, commit: str) -> str:
    """The page of a commit at the Git hosts whose addresses are known; else nothing."""
    try:
        parts = urlsplit(repository)
    except ValueError:
        return ""
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not commit:
        return ""
    path = parts.path.rstrip("/").removesuffix(".git")
    for known, way in (("github", "commit"), ("gitlab", "-/commit"), ("bitbucket", "commits"), ("codeberg", "commit")):
        if known in host or "gitea" in host:
            return f"{parts.scheme}://{host}{path}/{way if 'gitea' not in host else 'commit'}/{commit}"
    return ""
