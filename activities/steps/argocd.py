"""The step `argocd-update` (Kargo: pkg/promotion/runner/builtin/argocd_updater.go, argocd_revisions.go)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from pydantic import Field, model_validator

from activities.applications import (
    APPLICATIONS,
    REFRESH,
    ApplicationError,
    authorized,
    explained,
    find_application,
    find_applications,
)
from activities.kubernetes import KubernetesError, ObjectConflict
from activities.selectors import ApplicationSelector
from activities.steps.registry import NotYet, StepConfig, StepContext, StepErrored, StepOutput, step
from model.base import Json
from model.health import described, sources_of
from model.references import HealthCheckStep
from model.steps import Effect
from model.urls import normalize_git

#: In the info of an operation: the Promotion that asked for it.
PROMOTION_INFO = "kargo.akuity.io/promotion"
#: Who asks for operations, where no person is known.
INITIATOR = "towpath"
#: How long an attempt watches an operation before it gives its slot back, in seconds.
WATCHED = 3
#: Incompatible Applications named in one message.
MAX_NAMED = 3


class TargetApplications(StepConfig):
    """One Application by name, or several by selector."""

    #: The Application; or a selector.
    name: str = ""
    #: The worker's Argo CD namespace, unless given.
    namespace: str = ""
    #: All Applications with these labels; those that this Stage may not change are left out of an update.
    selector: ApplicationSelector | None = None

    @model_validator(mode="after")
    def name_or_selector(self) -> TargetApplications:
        if bool(self.name) == bool(self.selector):
            raise ValueError("an app needs exactly one of name and selector")
        for value in (self.name, self.namespace):
            # They become part of a path.
            if value and not re.fullmatch(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?", value):
                raise ValueError(f"{value!r} can't be the name of an Application or namespace")
        return self


class KustomizeImageUpdate(StepConfig):
    """One image of a source's `kustomize.images`."""

    #: The image's repository, as the Application's manifests name it.
    repo_url: str = Field(min_length=1)
    #: Another repository to take the image from.
    new_name: str = ""
    #: The tag; or a digest.
    tag: str = ""
    #: The digest; or a tag.
    digest: str = ""

    @model_validator(mode="after")
    def one_version(self) -> KustomizeImageUpdate:
        if self.tag and self.digest:
            raise ValueError(f"image {self.repo_url} has both tag and digest; give one of them")
        return self

    def __str__(self) -> str:
        name = f"{self.repo_url}={self.new_name}" if self.new_name else self.repo_url
        if self.digest:
            return f"{name}@{self.digest}"
        return f"{name}:{self.tag}" if self.tag else name


class KustomizeUpdate(StepConfig):
    """A source's new `kustomize.images`."""

    #: All images that the source shall override.
    images: list[KustomizeImageUpdate] = Field(min_length=1)


class HelmParameterUpdate(StepConfig):
    """One of a source's `helm.parameters`."""

    #: Name of the parameter.
    key: str = Field(min_length=1)
    #: Its value.
    value: str


class HelmUpdate(StepConfig):
    """A source's Helm parameters that hold versions of images."""

    #: Parameters to set; others stay.
    images: list[HelmParameterUpdate] = Field(min_length=1)


class SourceUpdate(StepConfig):
    """What to change in one source of an Application, which `repoURL` and `chart` identify."""

    #: Address of the source's repository.
    repo_url: str = Field(min_length=1)
    #: The chart, where the source is one.
    chart: str = ""
    #: The revision the source is to be seen synced to.
    desired_revision: str = ""
    #: Also point the source's targetRevision at it.
    update_target_revision: bool = False
    #: For a source that Kustomize renders.
    kustomize: KustomizeUpdate | None = None
    #: For a source that Helm renders.
    helm: HelmUpdate | None = None

    @model_validator(mode="after")
    def target_needs_a_revision(self) -> SourceUpdate:
        if self.update_target_revision and not self.desired_revision:
            raise ValueError(f"source {self.repo_url}: updateTargetRevision needs desiredRevision")
        return self

    def matches(self, source: dict[str, Json]) -> bool:
        """Whether this is the source that is meant: Git repositories by normalised URL, charts as written."""
        chart, url = source.get("chart") or "", source.get("repoURL") or ""
        if chart or self.chart:
            return bool(self.repo_url == url and self.chart == chart)
        return normalize_git(self.repo_url) == normalize_git(url)

    def applied(self, source: dict[str, Json]) -> dict[str, Json]:
        """The source with this change."""
        changed = dict(source)
        if self.update_target_revision:
            changed["targetRevision"] = self.desired_revision
        if self.kustomize:
            changed["kustomize"] = (changed.get("kustomize") or {}) | {
                "images": [str(image) for image in self.kustomize.images]
            }
        if self.helm:
            helm = dict(changed.get("helm") or {})
            wanted = {image.key: {"name": image.key, "value": image.value} for image in self.helm.images}
            present = helm.get("parameters") or []
            kept = [wanted.pop(parameter.get("name"), parameter) for parameter in present]
            changed["helm"] = helm | {"parameters": kept + list(wanted.values())}
        return changed


class ApplicationUpdate(TargetApplications):
    """One or several Applications, and what to change in their sources."""

    #: What to change in its sources; without it the Application is synced as it is.
    sources: list[SourceUpdate] | None = Field(default=None, min_length=1)

    def desired_revisions(self, app: dict[str, Json]) -> list[str]:
        """The revision each source of the Application is to be synced to; empty where any will do."""
        return [
            next((update.desired_revision for update in self.sources or [] if update.matches(source)), "")
            for source in sources_of(app)
        ]

    def desired_sources(self, app: dict[str, Json]) -> list[dict[str, Json]]:
        """The Application's sources with the changes. Raises ApplicationError when a change fits no source."""
        sources = sources_of(app)
        for update in self.sources or []:
            place = next((n for n, source in enumerate(sources) if update.matches(source)), None)
            if place is None:
                chart = f" and chart {update.chart!r}" if update.chart else ""
                raise ApplicationError(f"{described(app)} has no source with repoURL {update.repo_url!r}{chart}")
            sources[place] = update.applied(sources[place])
        return sources


class UpdateConfig(StepConfig):
    """Config of `argocd-update`."""

    #: The Applications. Each must carry the annotation `kargo.akuity.io/authorized-stage: <project>:<stage>`.
    apps: list[ApplicationUpdate] = Field(min_length=1)


class ApplicationName(StepOutput):
    """Name and namespace of one Application."""

    #: Name of the Application.
    name: str
    #: Its namespace.
    namespace: str


class ApplicationsOutput(StepOutput):
    """The Applications that a step dealt with."""

    #: Name and namespace of each Application.
    apps: list[ApplicationName]


def applications_output(apps: Sequence[dict[str, Json]]) -> ApplicationsOutput:
    """The names of Applications as a step's output."""
    names = [ApplicationName(name=a["metadata"]["name"], namespace=a["metadata"]["namespace"]) for a in apps]
    return ApplicationsOutput(apps=names)


class Action(StrEnum):
    """What is to be done about an Application."""

    #: Ask for an operation.
    SYNC = "sync"
    #: An operation is under way, ours or a foreign one.
    WAIT = "wait"
    #: Our operation has ended well.
    DONE = "done"
    #: Our operation has ended badly.
    FAILED = "failed"


def next_action(app: dict[str, Json], promotion: str, desired_revisions: list[str]) -> tuple[Action, str]:
    """What is to be done about an Application for a Promotion, and a sentence that says why.

    An operation asked for but not taken up yet stands in `operation`, one taken up in `status.operationState`.
    """
    where = described(app)
    asked = app.get("operation")
    state = (app.get("status") or {}).get("operationState")
    if state and state.get("phase") in ("Running", "Terminating"):
        return Action.WAIT, f"{where}: {_whose(state.get('operation'), promotion)} is {state['phase'].lower()}"
    if asked:
        return Action.WAIT, f"{where}: {_whose(asked, promotion)} has not begun yet"
    if not state or _asked_by(state.get("operation")) != promotion:
        return Action.SYNC, f"{where}: sync requested"
    message = state.get("message") or ""
    result = state.get("syncResult")
    if not result:
        return Action.SYNC, f"{where}: the operation ended without a result, sync requested again: {message}"
    observed = result.get("revisions") or [result.get("revision") or ""]
    differing = [
        f"{found or 'nothing'} instead of {desired}"
        for found, desired in zip(observed + [""] * len(desired_revisions), desired_revisions, strict=False)
        if desired and found != desired
    ]
    if differing:
        return Action.SYNC, f"{where}: synced to {' and '.join(differing)}, sync requested again"
    if state.get("phase") == "Succeeded":
        return Action.DONE, ""
    return Action.FAILED, f"{where}: the operation ended as {state.get('phase')}: {message}"


def _asked_by(operation: Json) -> str | None:
    """The Promotion that asked for an operation; None: none of them did."""
    for info in (operation or {}).get("info") or []:
        if (info or {}).get("name") == PROMOTION_INFO:
            return str(info.get("value"))
    return None


def _whose(operation: Json, promotion: str) -> str:
    asked_by = _asked_by(operation)
    if asked_by == promotion:
        return "the operation"
    if asked_by:
        return f"another operation, for Promotion {asked_by},"
    user = ((operation or {}).get("initiatedBy") or {}).get("username")
    return f"another operation{f', begun by {user},' if user else ''}"


def sync_patch(app: dict[str, Json], sources: list[dict[str, Json]], promotion: str, actor: str) -> dict[str, Json]:
    """The one merge patch that changes the sources, asks for a hard refresh, and for the operation.

    It holds the resource version, so that it fails on an Application that has changed since.
    """
    spec = app.get("spec") or {}
    policy = spec.get("syncPolicy") or {}
    # A person's operation is held back by sync windows that let automated ones through, so it must be told apart.
    person = actor if actor and not actor.startswith("controller:") else ""
    operation: dict[str, Json] = {
        "initiatedBy": {"username": person} if person else {"username": INITIATOR, "automated": True},
        "info": [
            {"name": "Reason", "value": "A Promotion asked for a sync of this Application."},
            {"name": PROMOTION_INFO, "value": promotion},
        ],
        "sync": {"syncOptions": policy["syncOptions"]} if policy.get("syncOptions") else {},
    }
    if policy.get("retry"):
        operation["retry"] = policy["retry"]
    patch: dict[str, Json] = {
        "metadata": {
            "resourceVersion": app["metadata"]["resourceVersion"],
            "annotations": {REFRESH: "hard"},
        },
        "operation": operation,
    }
    if sources != sources_of(app):
        patch["spec"] = {"sources": sources} if spec.get("sources") else {"source": sources[0]}
    if "operationState" in (app.get("status") or {}):
        # Argo CD's own API server does this too; its controller takes an old state for the new operation's otherwise.
        patch["status"] = {"operationState": None}
    return patch


@dataclass
class _Found:
    """An Application, and the part of the config that named it."""

    update: ApplicationUpdate
    app: dict[str, Json]

    @property
    def revisions(self) -> list[str]:
        return self.update.desired_revisions(self.app)


@step(
    "argocd-update",
    config=UpdateConfig,
    output=ApplicationsOutput,
    effect=Effect.EXTERNAL,
    polls=True,
    timeout=timedelta(minutes=5),
    poll_interval=timedelta(seconds=5),
)
async def argocd_update(config: UpdateConfig, context: StepContext) -> ApplicationsOutput:
    """Change Applications' sources, have them synced, and wait for the end of that; register their health check.

    It may be run again at any time: it knows its own operation by the Promotion's name in it.
    """
    try:
        # All are looked at before any is changed.
        found = [_Found(update, app) for update in config.apps for app in await _authorized(update, context)]
        _check_applicable(found)
        waiting = await _advance(found, context)
        if waiting:
            await _watch(waiting, context)
            found = [_Found(update, app) for update in config.apps for app in await _authorized(update, context)]
            waiting = await _advance(found, context)
    except ApplicationError as error:
        raise StepErrored(str(error)) from error
    except KubernetesError as error:
        raise StepErrored(explained(error)) from error
    apps = [item.app for item in found]
    if waiting:
        sentences = [sentence for _, sentence in waiting]
        raise NotYet(
            "; ".join(sentences), applications_output(apps).model_dump(by_alias=True), after=pause(context.started_at)
        )
    checked = [
        {**name.model_dump(), "desiredRevisions": item.revisions}
        for name, item in zip(applications_output(apps).apps, found, strict=True)
    ]
    context.register_health_check(HealthCheckStep(uses="argocd-update", config={"apps": checked}))
    return applications_output(apps)


def pause(started_at: datetime) -> timedelta:
    """How long to wait before looking again: short at first, longer the longer it takes already."""
    waited = (datetime.now(UTC) - started_at).total_seconds()
    return timedelta(seconds=min(max(waited / 5, 1.0), 15.0))


async def _authorized(update: ApplicationUpdate, context: StepContext) -> list[dict[str, Json]]:
    """The Applications that are meant and that this Stage may change.

    By name, one that may not be changed is an error; by selector it is left out, and an error only if none is left.
    """
    apps = await matching_applications(update, context)
    if not update.selector:
        authorized(apps[0], context.project, context.stage)
        return apps
    allowed, refused = [], ""
    for app in apps:
        try:
            authorized(app, context.project, context.stage)
            allowed.append(app)
        except ApplicationError as error:
            refused = refused or str(error)
    if not allowed:
        raise ApplicationError(
            f"{len(apps)} Argo CD Applications match {str(update.selector)!r}, but this Stage may change none of them; "
            f"of the first: {refused}"
        )
    return allowed


async def matching_applications(target: TargetApplications, context: StepContext) -> list[dict[str, Json]]:
    """The Applications that a step's config means. Raises ApplicationError when there is none."""
    namespace = target.namespace or context.outside.settings.argocd_namespace
    if target.selector:
        return await find_applications(context.outside.kubernetes, namespace, str(target.selector))
    return [await find_application(context.outside.kubernetes, namespace, target.name)]


def _check_applicable(found: Sequence[_Found]) -> None:
    """See to it that every change fits, so that no Application is changed when another one can't be."""
    problems = []
    for item in found:
        try:
            item.update.desired_sources(item.app)
        except ApplicationError as error:
            problems.append(str(error))
    if problems:
        more = f"; and {len(problems) - MAX_NAMED} more" if len(problems) > MAX_NAMED else ""
        raise ApplicationError(f"no Application was changed: {'; '.join(problems[:MAX_NAMED])}{more}")


async def _advance(found: Sequence[_Found], context: StepContext) -> list[tuple[_Found, str]]:
    """Do what is to be done about each Application; return those to wait for, each with the reason.

    Raises ApplicationError when an operation has failed.
    """
    waiting = []
    for item in found:
        action, sentence = next_action(item.app, context.promotion, item.revisions)
        if action is Action.FAILED:
            raise ApplicationError(sentence)
        if action is Action.SYNC:
            metadata = item.app["metadata"]
            patch = sync_patch(item.app, item.update.desired_sources(item.app), context.promotion, context.actor)
            try:
                item.app = await context.outside.kubernetes.patch(
                    APPLICATIONS, metadata["namespace"], metadata["name"], patch
                )
            except ObjectConflict:
                sentence = f"{described(item.app)} changed meanwhile: it is looked at again"
        if action is not Action.DONE:
            waiting.append((item, sentence))
    return waiting


async def _watch(waiting: Sequence[tuple[_Found, str]], context: StepContext) -> None:
    """Wait a little for operations that end soon, one Application after the other."""
    until = datetime.now(UTC) + timedelta(seconds=WATCHED)
    for item, _ in waiting:
        app = item.app
        metadata = app["metadata"]
        while (left := (until - datetime.now(UTC)).total_seconds()) > 0:
            action, _ = next_action(app, context.promotion, item.revisions)
            if action is not Action.WAIT:
                break
            await context.outside.kubernetes.wait_for_change(
                APPLICATIONS,
                metadata["namespace"],
                metadata["name"],
                app["metadata"]["resourceVersion"],
                max(1, round(left)),
            )
            app = await find_application(context.outside.kubernetes, metadata["namespace"], metadata["name"])
