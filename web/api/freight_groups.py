"""Freight in groups and in order, as Kargo's query gives it (pkg/server/query_freight.go)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cmp_to_key

from model.semver import SemverError, parse_version
from starter.shapes import Resource


def grouped(
    freight: Iterable[Resource], by: str = "", group: str = "", order: str = "", *, reverse: bool = False
) -> dict[str, list[Resource]]:
    """Freight by repository (`by`: image_repo, git_repo, chart_repo), else in one group without a name.

    `group`: only that one. `order`: `first_seen`, or `tag`: by version, of Freight whose first image or chart is
    of the same repository.
    """
    groups: dict[str, list[Resource]] = {} if by else {"": []}
    for piece in freight:
        for key in _keys(piece, by):
            if not group or key == group:
                groups.setdefault(key, []).append(piece)
    compare = cmp_to_key(_by_tag if order == "tag" else _by_age)
    return {key: sorted(pieces, key=compare, reverse=reverse) for key, pieces in sorted(groups.items())}


def _keys(piece: Resource, by: str) -> list[str]:
    if by == "image_repo":
        return list(dict.fromkeys(image["repoURL"] for image in piece.get("images") or []))
    if by == "git_repo":
        return list(dict.fromkeys(commit["repoURL"] for commit in piece.get("commits") or []))
    if by == "chart_repo":
        return list(dict.fromkeys(_chart(chart) for chart in piece.get("charts") or []))
    return [""]


def _chart(chart: Resource) -> str:
    name = chart.get("name", "")
    return f"{chart['repoURL']}/{name}" if name else str(chart["repoURL"])


def _by_age(one: Resource, other: Resource) -> int:
    mine, theirs = _age(one), _age(other)
    return (mine > theirs) - (mine < theirs)


def _age(piece: Resource) -> tuple[str, str]:
    return piece.get("discoveredAt", ""), piece["metadata"]["name"]


def _by_tag(one: Resource, other: Resource) -> int:
    repo, tag = _tag(one)
    other_repo, other_tag = _tag(other)
    if not repo or repo != other_repo or tag == other_tag:
        return _by_age(one, other)
    try:
        mine, theirs = parse_version(tag), parse_version(other_tag)
    except SemverError:
        return (tag > other_tag) - (tag < other_tag)
    return (mine > theirs) - (mine < theirs)


def _tag(piece: Resource) -> tuple[str, str]:
    if piece.get("images"):
        return piece["images"][0]["repoURL"], piece["images"][0]["tag"]
    if piece.get("charts"):
        return _chart(piece["charts"][0]), piece["charts"][0]["version"]
    return "", ""
