"""What a Warehouse has found, subscription by subscription, with why each candidate was or was not taken. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from model.base import Json
from web.pages.artifacts import Link, commit_url

Resource = Mapping[str, Json]


@dataclass(frozen=True)
class Candidate:
    """One artifact that was found."""

    version: str
    #: What says it exactly: a commit's id, a tag, a version.
    exact: str
    detail: str
    at: str
    #: Why it was taken into Freight, or not.
    reason: str
    taken: bool
    links: tuple[Link, ...] = ()


@dataclass(frozen=True)
class Found:
    """One subscription and its candidates, best first."""

    kind: str
    #: What `starter`'s Choice calls it: the repository's URL, or the subscription's name.
    of: str
    name: str
    rules: tuple[tuple[str, str], ...]
    candidates: tuple[Candidate, ...]


#: What a candidate has to fulfil, by field of the subscription.
_RULES = {
    "branch": "branch",
    "commitSelectionStrategy": "commits by",
    "imageSelectionStrategy": "images by",
    "semverConstraint": "versions",
    "constraint": "versions",
    "allowTagsRegexes": "tags that match",
    "ignoreTagsRegexes": "no tags that match",
    "expressionFilter": "filter",
    "includePaths": "paths",
    "excludePaths": "no paths",
    "platform": "platform",
    "discoveryLimit": "at most",
}


def discoveries(warehouse: Resource, freight: Iterable[Resource], aliases: Mapping[str, str]) -> list[Found]:
    """All subscriptions of a Warehouse with what was found for each. `freight`: its own, newest first."""
    spec, status = warehouse.get("spec") or {}, warehouse.get("status") or {}
    found = status.get("discoveredArtifacts") or {}
    manual = spec.get("freightCreationPolicy") == "Manual"
    held = list(freight)
    results: dict[str, list[Resource]] = {
        "git": list(found.get("git") or []),
        "image": list(found.get("images") or []),
        "chart": list(found.get("charts") or []),
        "artifact": list(found.get("results") or []),
    }
    shown = []
    for entry in spec.get("subscriptions") or []:
        kind = next((key for key in entry if key != "name"), "")
        value: Resource = entry.get(kind) or {}
        name = str(entry.get("name") or "")
        key = kind if kind in ("git", "image", "chart") else "artifact"
        result = _result(results[key], value, name)
        of = name or str(value.get("repoURL") or kind)
        if key == "chart" and value.get("name") and not name:
            of = f"{of}/{value['name']}"
        used = _used(held, key, value, name, aliases)
        shown.append(
            Found(
                key,
                of,
                str(value.get("name") or value.get("repoURL") or name or kind),
                tuple((words, _words(value[field])) for field, words in _RULES.items() if value.get(field)),
                tuple(_candidates(key, result, used, manual)),
            )
        )
    return shown


def _result(results: list[Resource], value: Resource, name: str) -> Resource:
    for result in results:
        called = str(result.get("subscriptionName") or result.get("name") or "")
        same_repository = result.get("repoURL") == value.get("repoURL") and value.get("repoURL")
        if (name and called == name) or (
            same_repository and (result.get("name") or "") in ("", value.get("name") or "")
        ):
            return result
    return {}


def _words(value: Json) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _used(
    freight: Sequence[Resource], kind: str, value: Resource, name: str, aliases: Mapping[str, str]
) -> dict[str, str]:
    """Which Freight each version is in, the newest that has it."""
    field = {"git": "commits", "image": "images", "chart": "charts", "artifact": "artifacts"}[kind]
    version = {"git": "id", "image": "tag", "chart": "version", "artifact": "version"}[kind]
    used: dict[str, str] = {}
    for piece in freight:
        for artifact in piece.get(field) or []:
            same = artifact.get("repoURL") == value.get("repoURL") if value.get("repoURL") else True
            called = not name or artifact.get("subscriptionName") in (None, "", name)
            if same and called:
                freight_name = str((piece.get("metadata") or {}).get("name", ""))
                used.setdefault(str(artifact.get(version, "")), aliases.get(freight_name) or freight_name[:7])
    return used


def _candidates(kind: str, result: Resource, used: Mapping[str, str], manual: bool) -> list[Candidate]:
    listed = {
        "git": result.get("commits"),
        "image": result.get("references"),
        "chart": [{"version": version} for version in result.get("versions") or []],
        "artifact": result.get("artifactReferences"),
    }[kind]
    shown = []
    for place, entry in enumerate(listed or []):
        exact = str(entry.get("id") or entry.get("tag") or entry.get("version") or "")
        inside = used.get(exact)
        if inside:
            reason = f"in Freight {inside}"
        elif place:
            reason = "not the best: Freight is made of the first of each subscription"
        elif manual:
            reason = "the best, but Freight is made by hand alone here"
        else:
            reason = "the best, in no Freight yet: another subscription has none, or the criteria aren't met"
        detail = str(entry.get("subject") or str(entry.get("digest") or "")[:19])
        page = commit_url(str(result.get("repoURL") or ""), exact) if kind == "git" else ""
        shown.append(
            Candidate(
                str(entry.get("tag") or exact[:7]) if kind == "git" else exact,
                exact,
                detail + (f" — {entry['author']}" if entry.get("author") else ""),
                str(entry.get("creatorDate") or entry.get("createdAt") or ""),
                reason,
                bool(inside),
                (Link("commit", page),) if page else (),
            )
        )
    return shown
