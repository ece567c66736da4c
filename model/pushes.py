"""What a push to a repository concerns: which Warehouses subscribe to it, and to what was pushed.

Kargo: pkg/webhook/external/refresh.go, the `Matches…` methods of pkg/controller/git/commit, pkg/image, pkg/helm/chart.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from model.paths import PathFilter
from model.resources.warehouse import (
    ChartSubscription,
    CommitSelectionStrategy,
    GitSubscription,
    ImageSelectionStrategy,
    ImageSubscription,
    RepoSubscription,
    WarehouseSpec,
)
from model.selection import TagRules, by_version, chart_versions
from model.urls import normalize_chart, normalize_git, normalize_image

_BRANCH = "refs/heads/"
_TAG = "refs/tags/"
#: Taken for the default branch, which a push doesn't name.
_DEFAULT_BRANCHES = ("main", "master")


@dataclass(frozen=True)
class Push:
    """What a sender told: something is new in a repository."""

    #: The ways in which the repository is written, normalised.
    repositories: frozenset[str]
    #: Full names of Git refs, tags of images, versions of charts. Empty: the sender didn't say, all are meant.
    qualifiers: frozenset[str] = frozenset()
    #: Files that the pushed commits change. Empty: the sender didn't say, or not all of them.
    changed: frozenset[str] = frozenset()


def subscribed_url(subscription: RepoSubscription) -> str:
    """The normalised URL that a subscription is found by; empty for generic ones."""
    if subscription.git:
        return normalize_git(subscription.git.repo_url)
    if subscription.image:
        return normalize_image(subscription.image.repo_url)
    if subscription.chart:
        return normalize_chart(subscription.chart.repo_url)
    return ""


def subscribed_urls(spec: WarehouseSpec) -> list[str]:
    """The normalised URLs of all subscriptions of a Warehouse, each once."""
    return sorted({url for subscription in spec.subscriptions if (url := subscribed_url(subscription))})


def concerns(push: Push, spec: WarehouseSpec) -> bool:
    """Whether a Warehouse may find something new after the push. Raises SelectionError where a rule can't be read."""
    return any(
        subscribed_url(subscription) in push.repositories
        and (not push.qualifiers or _wants(subscription, push.qualifiers, push.changed))
        for subscription in spec.subscriptions
    )


def _wants(subscription: RepoSubscription, qualifiers: frozenset[str], changed: frozenset[str]) -> bool:
    if subscription.git:
        return any(_wants_ref(subscription.git, ref) for ref in qualifiers) and (
            not changed or PathFilter(subscription.git.include_paths, subscription.git.exclude_paths).matches(changed)
        )
    if subscription.image:
        return _wants_image(subscription.image, qualifiers)
    return subscription.chart is not None and _wants_chart(subscription.chart, qualifiers)


def _wants_ref(git: GitSubscription, ref: str) -> bool:
    if git.commit_selection_strategy is CommitSelectionStrategy.NEWEST_FROM_BRANCH:
        branch = ref.removeprefix(_BRANCH)
        if branch == ref:
            return False
        return branch == git.branch if git.branch else branch in _DEFAULT_BRANCHES
    tag = ref.removeprefix(_TAG)
    if tag == ref:
        return False
    tags = TagRules(git.allowed_tags(), git.ignore_tags_regexes, git.ignore_tags).filter([tag])
    if git.commit_selection_strategy is CommitSelectionStrategy.SEMVER:
        return bool(by_version(tags, constraint=git.semver_constraint, strict=git.strict_semvers))
    return bool(tags)


def _wants_image(image: ImageSubscription, tags: Iterable[str]) -> bool:
    if image.image_selection_strategy is ImageSelectionStrategy.DIGEST:
        return image.constraint in tags
    fitting = TagRules(image.allowed_tags(), image.ignore_tags_regexes, image.ignore_tags).filter(tags)
    if image.image_selection_strategy is ImageSelectionStrategy.SEMVER:
        return bool(by_version(fitting, constraint=image.constraint, strict=image.strict_semvers))
    return bool(fitting)


def _wants_chart(chart: ChartSubscription, versions: Iterable[str]) -> bool:
    return bool(chart_versions(versions, constraint=chart.semver_constraint))
