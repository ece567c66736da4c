"""Evaluations per second of ten typical expressions, compiled once, and of a whole promotion step's config."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial

from bench.figures import Figure
from expressions.environment import StepEnvironment, evaluate_condition, evaluate_config, step_environment
from expressions.templates import evaluate_template
from model.references import (
    ExpressionVariable,
    FreightOrigin,
    FreightReference,
    GitCommit,
    Image,
    RequestedOrigin,
    SubscribedRepo,
    collect,
)
from model.steps import PlannedStep, PromotionContext, StepKind, StepRequest, StepStatus

TEMPLATES = [
    "env/${{ ctx.stage }}",
    "${{ vars.repoURL }}",
    "${{ commitFrom(vars.repoURL).ID }}",
    "${{ imageFrom(vars.image).Tag }}",
    "${{ task.outputs['update-image'].commitMessage }}",
    "${{ outputs['task-1::push'].commit ?? 'none' }}",
    "${{ semverDiff(imageFrom(vars.image).Tag, '1.0.0') != 'Major' }}",
    "${{ quote(ctx.targetFreight.name[:7]) }}",
    "${{ filter(vars.services, # startsWith 'web') | map(upper(#)) | join(',') }}",
    "${{ asYAML({image: {repository: vars.image, tag: imageFrom(vars.image).Tag} }) }}",
]

CONFIG = {
    "repoURL": "${{ vars.repoURL }}",
    "checkout": [
        {"commit": "${{ commitFrom(vars.repoURL).ID }}", "path": "./src"},
        {"branch": "env/${{ ctx.stage }}", "create": True, "path": "./out"},
    ],
    "message": "${{ task.outputs['update-image'].commitMessage }}",
}

REPO = "https://github.com/akuity/kargo-advanced.git"
IMAGE = "ghcr.io/akuity/guestbook"


class _Nothing:
    """A data source without data."""

    def config_map(self, name: str) -> Mapping[str, str]:
        return {}

    shared_config_map = secret = shared_secret = config_map


def _request() -> StepRequest:
    origin = FreightOrigin(name="guestbook")
    freight = FreightReference(
        name="f" * 40,
        origin=origin,
        commits=[GitCommit(repo_url=REPO, id="a" * 40)],
        images=[Image(repo_url=IMAGE, tag="v1.2.3", digest="sha256:" + "b" * 64)],
    )
    subscriptions = [SubscribedRepo(kind="git", repo_url=REPO), SubscribedRepo(kind="image", repo_url=IMAGE)]
    return StepRequest(
        context=PromotionContext(
            project="kargo-advanced",
            stage="dev",
            promotion="dev.01.ffffff",
            freight=freight,
            collection=collect(freight),
            origins=[RequestedOrigin(origin=origin, subscriptions=subscriptions)],
            vars=[
                ExpressionVariable(name="repoURL", value=REPO),
                ExpressionVariable(name="image", value=IMAGE),
                ExpressionVariable(name="services", value="${{ ['web-a', 'web-b', 'worker'] }}"),
            ],
        ),
        workspace="bench",
        step=PlannedStep(alias="task-1::clone", kind=StepKind(name="git-clone")),
        index=0,
        outputs={"task-1::update-image": {"commitMessage": "Updated guestbook"}, "task-1::push": {"commit": "c" * 40}},
        statuses={"task-1::update-image": StepStatus.SUCCEEDED},
        started_at=datetime(2024, 1, 1, tzinfo=UTC),
    )


def _environment(request: StepRequest) -> StepEnvironment:
    return step_environment(request, _Nothing())


def _rate(work: Callable[[], object], seconds: float) -> float:
    """Calls per second of the processor's time, which other work on the machine doesn't lengthen; best of three."""
    best = 0.0
    for _ in range(3):
        done, begun = 0, time.process_time()
        while (elapsed := time.process_time() - begun) < seconds / 3:
            for _ in range(20):
                work()
            done += 20
        best = max(best, done / elapsed)
    return best


async def measure(*, quick: bool) -> list[Figure]:
    """Each template alone, and all that one step evaluates: its variables, its condition, its config."""
    seconds = 0.1 if quick else 0.6
    request = _request()
    environment = _environment(request)
    environment.prepare()

    def step() -> None:
        fresh = _environment(request)
        assert evaluate_condition("${{ success() }}", fresh)
        evaluate_config(CONFIG, fresh)

    return [
        *(
            Figure(template, _rate(partial(evaluate_template, template, environment), seconds), "per s")
            for template in TEMPLATES
        ),
        Figure("one step", 1000 / _rate(step, seconds), "ms", "three variables, a condition, a config"),
    ]
