"""Freight by hand: for each subscription exactly one artifact, of those discovered or given whole."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from model.base import Message
from model.fingerprint import fingerprint
from model.freight_assembly import assemble
from model.references import FreightReference
from model.resources.warehouse import (
    ChartDiscoveryResult,
    DiscoveredArtifacts,
    DiscoveredCommit,
    DiscoveredImageReference,
    DiscoveryResult,
    GitDiscoveryResult,
    ImageDiscoveryResult,
    RepoSubscription,
    WarehouseSpec,
)
from model.semver import SemverError, parse_version
from model.urls import normalize_chart, normalize_git, normalize_image

ArtifactKind = Literal["git", "image", "chart", "artifact"]

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
#: The shortest beginning of a commit's id that is taken for it.
_SHORT_COMMIT = 7
_PINNED = re.compile(r"([a-zA-Z0-9_][a-zA-Z0-9._-]{0,127})@(sha256:[0-9a-f]{64})")
_OPTIONS = {"git": "--commit", "image": "--image", "chart": "--chart", "artifact": "--artifact"}


class Unsuitable(Exception):
    """The artifacts make no Freight of this Warehouse; the message says which, and what to say instead."""


class Choice(Message):
    """One artifact that is asked for.

    `of` is the repository's URL or the name of the subscription, for a chart in an HTTP repository also
    `<URL>/<chart>`. `version` is a commit's id (or its beginning) or tag, an image's tag (`tag@sha256:…` where it
    wasn't discovered), a chart's version, or the version of another artifact.
    """

    kind: ArtifactKind
    of: str
    version: str

    def __str__(self) -> str:
        return f"{_OPTIONS[self.kind]} {self.of}={self.version}"


def choose(warehouse: str, spec: WarehouseSpec, found: DiscoveredArtifacts, choices: list[Choice]) -> FreightReference:
    """The Freight that these choices make. Raises Unsuitable."""
    chosen: dict[int, Choice] = {}
    for choice in choices:
        places = [place for place, sub in enumerate(spec.subscriptions) if _fits(choice, sub)]
        if not places:
            raise Unsuitable(f"{choice}: Warehouse {warehouse} has no such subscription; it has {_list(spec)}")
        if len(places) > 1:
            names = ", ".join(spec.subscriptions[place].name or "(no name)" for place in places)
            raise Unsuitable(f"{choice}: several subscriptions are to it, say the name of one: {names}")
        if places[0] in chosen:
            raise Unsuitable(f"{choice}: there is {chosen[places[0]]} already, and each subscription takes one")
        chosen[places[0]] = choice
    missing = [sub for place, sub in enumerate(spec.subscriptions) if place not in chosen]
    if missing:
        named = ", ".join(f"{_OPTIONS[_kind(sub)]} {_named(sub)}=…" for sub in missing)
        raise Unsuitable(f"each subscription needs one artifact, and there is none for {named}")
    single = DiscoveredArtifacts(discovered_at=found.discovered_at)
    for place, subscription in enumerate(spec.subscriptions):
        _take(chosen[place], subscription, found, single)
    reference = assemble(warehouse, spec, single)
    return reference.model_copy(update={"name": fingerprint(reference)})


def _kind(subscription: RepoSubscription) -> ArtifactKind:
    return subscription.repo().kind


def _named(subscription: RepoSubscription) -> str:
    if subscription.name:
        return subscription.name
    if subscription.chart and subscription.chart.name:
        return f"{subscription.chart.repo_url.rstrip('/')}/{subscription.chart.name}"
    return subscription.repo().repo_url


def _list(spec: WarehouseSpec) -> str:
    return ", ".join(f"{_OPTIONS[_kind(sub)]} {_named(sub)}" for sub in spec.subscriptions)


def _fits(choice: Choice, subscription: RepoSubscription) -> bool:
    if choice.kind != _kind(subscription):
        return False
    if subscription.name and choice.of == subscription.name:
        return True
    if subscription.git:
        return normalize_git(choice.of) == normalize_git(subscription.git.repo_url)
    if subscription.image:
        return normalize_image(choice.of) == normalize_image(subscription.image.repo_url)
    if subscription.chart:
        chart = subscription.chart
        whole = f"{chart.repo_url.rstrip('/')}/{chart.name}" if chart.name else chart.repo_url
        return normalize_chart(choice.of) in {normalize_chart(chart.repo_url), normalize_chart(whole)}
    return False


def _take(
    choice: Choice, subscription: RepoSubscription, found: DiscoveredArtifacts, single: DiscoveredArtifacts
) -> None:
    """Add the chosen artifact to `single`, as if it alone had been discovered. Raises Unsuitable."""
    name = subscription.name
    if subscription.git:
        url = subscription.git.repo_url
        commits = [
            commit
            for result in found.git
            if (result.repo_url, result.subscription_name) == (url, name)
            for commit in result.commits
        ]
        commit = _commit(choice, commits)
        single.git.append(GitDiscoveryResult(repo_url=url, commits=[commit], subscription_name=name))
    elif subscription.image:
        url = subscription.image.repo_url
        images = [
            image
            for result in found.images
            if (result.repo_url, result.subscription_name) == (url, name)
            for image in result.references
        ]
        image = _image(choice, images)
        single.images.append(ImageDiscoveryResult(repo_url=url, references=[image], subscription_name=name))
    elif subscription.chart:
        chart = subscription.chart
        try:
            parse_version(choice.version)
        except SemverError as error:
            raise Unsuitable(f"{choice}: {error}") from error
        single.charts.append(
            ChartDiscoveryResult(
                repo_url=chart.repo_url, name=chart.name, versions=[choice.version], subscription_name=name
            )
        )
    else:
        known = [artifact for result in found.results if result.name == name for artifact in result.artifact_references]
        fitting = [artifact for artifact in known if artifact.version == choice.version]
        if not fitting:
            raise Unsuitable(f"{choice}: no such version was discovered{_known(one.version for one in known)}")
        single.results.append(DiscoveryResult(name=name, artifact_references=fitting[:1]))


def _commit(choice: Choice, known: list[DiscoveredCommit]) -> DiscoveredCommit:
    version = choice.version
    fitting = [commit for commit in known if version in (commit.tag, commit.id)]
    if not fitting and len(version) >= _SHORT_COMMIT:
        fitting = [commit for commit in known if commit.id.startswith(version.lower())]
    if len({commit.id for commit in fitting}) > 1:
        raise Unsuitable(f"{choice}: more than one discovered commit begins so")
    if fitting:
        return fitting[0]
    if _COMMIT.fullmatch(version):
        return DiscoveredCommit(id=version)
    shown = _known(commit.tag or commit.id[:_SHORT_COMMIT] for commit in known)
    raise Unsuitable(f"{choice}: no such commit was discovered{shown}; another one needs its whole id")


def _image(choice: Choice, known: list[DiscoveredImageReference]) -> DiscoveredImageReference:
    pinned = _PINNED.fullmatch(choice.version)
    tag, digest = pinned.groups() if pinned else (choice.version, "")
    fitting = [image for image in known if image.tag == tag and digest in ("", image.digest)]
    if fitting:
        return fitting[0]
    if pinned:
        return DiscoveredImageReference(tag=tag, digest=digest)
    shown = _known(image.tag for image in known)
    raise Unsuitable(f"{choice}: no such tag was discovered{shown}; another one needs its digest: tag@sha256:…")


def _known(versions: Iterable[str]) -> str:
    shown = list(versions)[:5]
    return f" (the best are {', '.join(shown)})" if shown else ""
