"""Rules about one Warehouse (Kargo: pkg/webhook/kubernetes/warehouse/webhook.go, pkg/subscription)."""

from __future__ import annotations

import re
from collections.abc import Sequence

import re2

from model.admission.names import MAX_LABEL, is_label
from model.findings import Findings, Path, error, warning
from model.paths import PathFilter
from model.resources import Warehouse
from model.resources.warehouse import (
    ChartSubscription,
    CommitSelectionStrategy,
    GitSubscription,
    ImageSelectionStrategy,
    ImageSubscription,
    RepoSubscription,
)
from model.selection import SelectionError, platform_parts
from model.semver import SemverError, parse_constraint
from model.urls import normalize_chart, normalize_git, normalize_image

_GIT_URL = re.compile(
    r"(ssh|https?)://([\w-]+(:.+)?@)?[\w-]+(\.[\w-]+)*(:\d{1,5})?/.*|[\w-]+@[\w+]+(\.[\w-]+)*:/?.*", re.ASCII
)
_PASSWORD = re.compile(r"\w+://[^/@]*:[^/]*@", re.ASCII)
_IMAGE_URL = re.compile(r"(\w+([.-]\w+)*(:\d+)?/)?\w+([.-]\w+)*(/\w+([.-]\w+)*)*", re.ASCII)
_CHART_URL = re.compile(r"(https?|oci)://[\w.-]+(:\d+)?(/.*)?", re.ASCII)
_BRANCH = re.compile(r"[a-zA-Z0-9]([\w./-]*[\w-])?", re.ASCII)


def check_warehouse(warehouse: Warehouse) -> Findings:
    """The subscriptions of a Warehouse, one by one and together."""
    repositories: dict[tuple[str, str], int] = {}
    names: dict[str, int] = {}
    for place, subscription in enumerate(warehouse.spec.subscriptions):
        here: Path = ("spec", "subscriptions", place)
        if subscription.git:
            yield from _git(subscription.git, (*here, "git"))
        if subscription.image:
            yield from _image(subscription.image, (*here, "image"))
        if subscription.chart:
            yield from _chart(subscription.chart, (*here, "chart"))
        key = _repository(subscription)
        if key:
            first = repositories.get(key)
            if first is not None and not (subscription.name and warehouse.spec.subscriptions[first].name):
                message = f"subscriptions[{first}] is to the same repository: give each a name of its own"
                yield error(here, message)
            repositories.setdefault(key, place)
        elif not subscription.name:
            yield error((*here, "name"), f"a subscription of type {subscription.type} needs a name")
        if subscription.name:
            if not is_label(subscription.name):
                rule = f"lower-case letters, digits and -, at most {MAX_LABEL}"
                yield error((*here, "name"), f"{subscription.name} can't be the name of a subscription: {rule}")
            if subscription.name in names:
                yield error((*here, "name"), f"subscriptions[{names[subscription.name]}] has this name already")
            names.setdefault(subscription.name, place)


def _repository(subscription: RepoSubscription) -> tuple[str, str] | None:
    """What must not be subscribed to twice; None: told apart by name alone."""
    if subscription.git:
        return "git", normalize_git(subscription.git.repo_url)
    if subscription.image:
        return "image", normalize_image(subscription.image.repo_url)
    if subscription.chart:
        chart = subscription.chart
        name = f":{chart.name}" if chart.repo_url.startswith(("http://", "https://")) else ""
        return "chart", normalize_chart(chart.repo_url) + name
    return None


def _git(git: GitSubscription, path: Path) -> Findings:
    if not _GIT_URL.fullmatch(git.repo_url):
        yield error((*path, "repoURL"), f"{_masked(git.repo_url)} is no URL of a Git repository")
    elif _PASSWORD.match(git.repo_url):
        message = f"{_masked(git.repo_url)} holds a password; put it into the worker's credentials directory"
        yield error((*path, "repoURL"), message)
    if git.branch and (not _BRANCH.fullmatch(git.branch) or ".." in git.branch or "//" in git.branch):
        yield error((*path, "branch"), f"{git.branch} can't be the name of a branch")
    yield from _regexes(git.allow_tags_regexes, (*path, "allowTagsRegexes"))
    yield from _regexes(git.ignore_tags_regexes, (*path, "ignoreTagsRegexes"))
    yield from _regexes([git.allow_tags], (*path, "allowTags"), single=True)
    if git.commit_selection_strategy is CommitSelectionStrategy.NEWEST_FROM_BRANCH:
        for field, given in (
            ("semverConstraint", git.semver_constraint),
            ("allowTagsRegexes", git.allow_tags_regexes),
            ("ignoreTagsRegexes", git.ignore_tags_regexes),
            ("allowTags", git.allow_tags),
            ("ignoreTags", git.ignore_tags),
        ):
            if given:
                yield warning((*path, field), "without effect: NewestFromBranch does not look at tags")
    else:
        strategy = git.commit_selection_strategy
        for field, there in (("branch", bool(git.branch)), ("since", git.since is not None)):
            if there:
                yield warning((*path, field), f"without effect: {strategy} looks at tags, whatever branch or age")
        if git.semver_constraint and strategy is not CommitSelectionStrategy.SEMVER:
            yield warning((*path, "semverConstraint"), f"without effect: {strategy} does not read tags as versions")
    yield from _constraint(git.semver_constraint, (*path, "semverConstraint"))
    yield from _paths(git.include_paths, (*path, "includePaths"))
    yield from _paths(git.exclude_paths, (*path, "excludePaths"))


def _image(image: ImageSubscription, path: Path) -> Findings:
    if not _IMAGE_URL.fullmatch(image.repo_url):
        without = "; write it without scheme, tag and digest, as ghcr.io/team/app"
        yield error((*path, "repoURL"), f"{_masked(image.repo_url)} is no image repository{without}")
    if image.image_selection_strategy is ImageSelectionStrategy.DIGEST and not image.constraint:
        yield error((*path, "constraint"), "the strategy Digest needs the tag to follow here")
    strategy = image.image_selection_strategy
    if strategy is ImageSelectionStrategy.SEMVER:
        yield from _constraint(image.constraint, (*path, "constraint"))
    elif strategy is not ImageSelectionStrategy.DIGEST and image.constraint:
        yield warning((*path, "constraint"), f"without effect: {strategy} does not read tags as versions")
    if strategy is ImageSelectionStrategy.DIGEST:
        for field, given in (
            ("allowTagsRegexes", image.allow_tags_regexes),
            ("ignoreTagsRegexes", image.ignore_tags_regexes),
            ("cacheByTag", image.cache_by_tag),
        ):
            if given:
                yield warning((*path, field), "without effect: Digest follows the one tag that constraint names")
    if image.platform:
        try:
            platform_parts(image.platform)
        except SelectionError as bad:
            yield error((*path, "platform"), str(bad))
    yield from _regexes(image.allow_tags_regexes, (*path, "allowTagsRegexes"))
    yield from _regexes(image.ignore_tags_regexes, (*path, "ignoreTagsRegexes"))
    yield from _regexes([image.allow_tags], (*path, "allowTags"), single=True)


def _chart(chart: ChartSubscription, path: Path) -> Findings:
    if not _CHART_URL.fullmatch(chart.repo_url):
        yield error((*path, "repoURL"), f"{_masked(chart.repo_url)} is no URL of a chart repository")
    if chart.repo_url.startswith("oci://") and chart.name:
        yield error((*path, "name"), "a chart in an OCI repository has its name in the URL alone")
    if chart.repo_url.startswith(("http://", "https://")) and not chart.name:
        yield error((*path, "name"), "say which chart of the repository")
    yield from _constraint(chart.semver_constraint, (*path, "semverConstraint"))


def _constraint(constraint: str, path: Path) -> Findings:
    if constraint:
        try:
            parse_constraint(constraint)
        except SemverError as bad:
            yield error(path, str(bad))


def _paths(patterns: Sequence[str], path: Path) -> Findings:
    for place, pattern in enumerate(patterns):
        try:
            PathFilter([pattern], [])
        except SelectionError as bad:
            yield error((*path, place), str(bad).partition(": ")[2])


def _regexes(patterns: Sequence[str], path: Path, *, single: bool = False) -> Findings:
    for place, pattern in enumerate(patterns):
        try:
            re2.compile(pattern, _QUIET)
        except re2.error as bad:
            reason = bad.args[0].decode(errors="replace") if isinstance(bad.args[0], bytes) else bad.args[0]
            yield error(path if single else (*path, place), f"{pattern} is no regular expression: {reason}")


def _masked(url: str) -> str:
    """A URL that may hold a password, for a message."""
    return re.sub(r"//[^/]*@", "//***@", url)


_QUIET = re2.Options()
_QUIET.log_errors = False
