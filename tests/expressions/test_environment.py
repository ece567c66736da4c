"""What expressions see in steps, verifications, Freight creation, Git filters and HTTP steps."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from expressions.environment import (
    Environment,
    StepEnvironment,
    commit_environment,
    creation_environment,
    evaluate_condition,
    evaluate_config,
    evaluate_criterion,
    evaluate_template,
    evaluate_variables,
    response_environment,
    step_environment,
    tag_environment,
    verification_environment,
)
from expressions.errors import ExpressionError
from expressions.evaluator import evaluate
from model.base import Json
from model.references import (
    ArtifactReference,
    Chart,
    ExpressionVariable,
    FreightOrigin,
    FreightReference,
    GitCommit,
    Image,
    RequestedOrigin,
    SubscribedRepo,
    collect,
)
from model.resources.warehouse import (
    ChartDiscoveryResult,
    DiscoveredArtifacts,
    DiscoveredCommit,
    DiscoveredImageReference,
    DiscoveryResult,
    GitDiscoveryResult,
    ImageDiscoveryResult,
)
from model.steps import PlannedStep, PromotionContext, StepKind, StepRequest, StepStatus
from model.verifications import VerificationRequest

GIT = "https://github.com/akuity/kargo-advanced.git"
IMAGE = "ghcr.io/akuity/guestbook"
CHARTS = "https://charts.example.com"
STARTED = datetime(2024, 2, 29, 12, 0, tzinfo=UTC)

guestbook = FreightOrigin(name="guestbook")
other = FreightOrigin(name="other")
freight = FreightReference(
    name="f" * 40,
    origin=guestbook,
    commits=[GitCommit(repo_url=GIT, id="a" * 40, branch="main", message="Say hello", author="Ann <ann@example.com>")],
    images=[Image(repo_url=IMAGE, tag="1.10", digest="sha256:" + "b" * 64, annotations={"revision": "c0ffee"})],
    charts=[
        Chart(repo_url=CHARTS, name="web", version="1.2.3"),
        Chart(repo_url="oci://ghcr.io/akuity/app", version="0.1.0"),
    ],
    artifacts=[
        ArtifactReference(artifact_type="file", subscription_name="models", version="7b", metadata={"size": {"gb": 4}})
    ],
)
other_freight = FreightReference(
    name="e" * 40, origin=other, images=[Image(repo_url="ghcr.io/akuity/shared", tag="v2", digest="sha256:" + "d" * 64)]
)
origins = [
    RequestedOrigin(
        origin=guestbook,
        subscriptions=[
            SubscribedRepo(kind="git", repo_url="https://github.com/Akuity/kargo-advanced"),
            SubscribedRepo(kind="image", repo_url=IMAGE),
            SubscribedRepo(kind="image", repo_url="ghcr.io/akuity/shared"),
            SubscribedRepo(kind="chart", repo_url=CHARTS, name="web"),
            SubscribedRepo(kind="chart", repo_url="oci://ghcr.io/akuity/app"),
            SubscribedRepo(kind="artifact", name="models"),
            SubscribedRepo(kind="image", repo_url="ghcr.io/akuity/absent"),
        ],
    ),
    RequestedOrigin(origin=other, subscriptions=[SubscribedRepo(kind="image", repo_url="ghcr.io/akuity/shared")]),
]


class Data:
    """Answers from a dict, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def _answer(self, kind: str, name: str) -> Mapping[str, str]:
        self.asked.append(f"{kind}/{name}")
        return {"repoURL": f"{kind} of {name}"} if name == "known" else {}

    def config_map(self, name: str) -> Mapping[str, str]:
        return self._answer("config map", name)

    def shared_config_map(self, name: str) -> Mapping[str, str]:
        return self._answer("shared config map", name)

    def secret(self, name: str) -> Mapping[str, str]:
        return self._answer("secret", name)

    def shared_secret(self, name: str) -> Mapping[str, str]:
        return self._answer("shared secret", name)


class Status:
    def freight_metadata(self, name: str) -> Mapping[str, Json] | None:
        return {"tier": "gold", "config": {"timeout": 5}} if name == freight.name else None

    def freight_status(self, name: str) -> Mapping[str, Json] | None:
        return {"approvedFor": {"prod": {"approvedAt": "2024-01-01T00:00:00Z"}}} if name == freight.name else None

    def stage_metadata(self, name: str) -> Mapping[str, Json] | None:
        return {"aws-region": "eu-1"} if name == "dev" else None


def variables(**values: str) -> list[ExpressionVariable]:
    return [ExpressionVariable(name=name, value=value) for name, value in values.items()]


def environment(
    alias: str = "step-3",
    *,
    vars: list[ExpressionVariable] | None = None,  # noqa: A002
    step_vars: list[ExpressionVariable] | None = None,
    outputs: dict[str, Json] | None = None,
    statuses: dict[str, StepStatus] | None = None,
    failed: bool = False,
    aborted: bool = False,
    data: Data | None = None,
) -> StepEnvironment:
    request = StepRequest(
        context=PromotionContext(
            project="kargo-advanced",
            stage="dev",
            promotion="dev.01.ffffff",
            actor="email:ann@example.com",
            rollback=True,
            freight=freight,
            freight_alias="fond-otter",
            collection=collect(freight, other_freight),
            origins=origins,
            vars=variables(repoURL=GIT, image=IMAGE) if vars is None else vars,
        ),
        workspace="w",
        step=PlannedStep(alias=alias, kind=StepKind(name="x"), vars=step_vars or []),
        index=2,
        outputs=outputs or {},
        statuses=statuses or {},
        failed=failed,
        aborted=aborted,
        started_at=STARTED,
    )
    return step_environment(request, data or Data(), "https://kargo.example.com", status=Status())


def run(expression: str, env: Environment | None = None) -> Any:
    value, _ = evaluate_config({"value": "${% " + expression + " %}"}, env or environment())
    return value["value"]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("ctx.project", "kargo-advanced"),
        ("ctx.stage", "dev"),
        ("ctx.promotion", "dev.01.ffffff"),
        ("ctx.uiBaseUrl", "https://kargo.example.com"),
        ("ctx.targetFreight.name", "f" * 40),
        ("ctx.targetFreight.alias", "fond-otter"),
        ("ctx.targetFreight.origin.name", "guestbook"),
        ("ctx.meta.promotion.actor", "email:ann@example.com"),
        ("ctx.meta.promotion.rollback", True),
        ("ctx.meta.step.alias", "step-3"),
        ("now().Year()", 2024),
    ],
)
def test_a_step_sees_its_context(expression: str, expected: object) -> None:
    assert run(expression) == expected


def test_the_expressions_of_kargo_advanced_evaluate() -> None:
    env = environment(
        "task-1::commit",
        step_vars=variables(branch="env/${{ ctx.stage }}"),
        outputs={"task-1::update-image": {"commitMessage": "Updated guestbook"}},
    )
    config, warnings = evaluate_config(
        {
            "checkout": [{"commit": "${{ commitFrom(vars.repoURL).ID }}"}, {"branch": "env/${{ ctx.stage }}"}],
            "message": "${{ task.outputs['update-image'].commitMessage }}",
            "tag": "v${{ imageFrom(vars.image).Tag}}",
            "target": "${{ vars.branch }}",
        },
        env,
    )
    assert config == {
        "checkout": [{"commit": "a" * 40}, {"branch": "env/dev"}],
        "message": "Updated guestbook",
        "tag": "v1.10",
        "target": "env/dev",
    }
    assert warnings == []


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (f"commitFrom('{GIT}').ID", "a" * 40),
        ("commitFrom('https://GitHub.com/akuity/kargo-advanced/').Branch", "main"),
        (f"commitFrom('{GIT}').Message", "Say hello"),
        (f"commitFrom('{GIT}').Tag", ""),
        (f"commitFrom('{GIT}', warehouse('guestbook')).Author", "Ann <ann@example.com>"),
        (f"commitFrom('{GIT}', warehouse('other'))", None),
        ("commitFrom('https://github.com/akuity/unknown')", None),
        ("commitFrom('https://github.com/akuity/unknown')?.ID", None),
        (f"imageFrom('{IMAGE}').Digest", "sha256:" + "b" * 64),
        (f"imageFrom('{IMAGE}').Annotations.revision", "c0ffee"),
        (f"imageFrom('{IMAGE}').Annotations.missing", ""),
        ("imageFrom('GHCR.io/akuity/guestbook')", None),
        ("imageFrom('ghcr.io/akuity/absent')", None),
        ("imageFrom('ghcr.io/akuity/shared', warehouse('other')).Tag", "v2"),
        (f"chartFrom('{CHARTS}', 'web').Version", "1.2.3"),
        (f"chartFrom('{CHARTS}', 'web', warehouse('guestbook')).Name", "web"),
        ("chartFrom('oci://ghcr.io/akuity/app').Version", "0.1.0"),
        ("chartFrom('oci://ghcr.io/akuity/app', warehouse('guestbook')).RepoURL", "oci://ghcr.io/akuity/app"),
        ("chartFrom('oci://nowhere', warehouse('guestbook'))", None),
        ("artifactFrom('models').Version", "7b"),
        ("artifactFrom('models').Metadata.size.gb", 4),
        ("artifactFrom('unknown')", None),
        ("warehouse('w')", {"kind": "Warehouse", "name": "w"}),
        (
            f"commitFrom('{GIT}')",
            {
                "repoURL": GIT,
                "id": "a" * 40,
                "branch": "main",
                "message": "Say hello",
                "author": "Ann <ann@example.com>",
            },
        ),
    ],
)
def test_artifacts_are_found_in_the_freight_collection(expression: str, expected: object) -> None:
    assert run(expression) == expected


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("imageFrom('ghcr.io/akuity/shared').Tag", "several subscriptions could provide ghcr.io/akuity/shared"),
        ("chartFrom('https://nowhere.example.com', 'x')", "no requested Warehouse subscribes to chart x of"),
        ("chartFrom('https://charts.example.com')", "no requested Warehouse subscribes to a chart of"),
        ("imageFrom('ghcr.io/akuity/absent').Tag", "cannot fetch Tag from nil"),
        (f"imageFrom('{IMAGE}').tag", "cannot fetch tag from Image: it has RepoURL, Tag, Digest"),
        ("imageFrom('x', 'y')", 'needs an origin such as warehouse("name"), not string'),
        ("imageFrom(1)", "cannot use int as argument (type string) to call imageFrom"),
        ("chartFrom('x', 1)", "needs a chart's name or an origin"),
        ("warehouse('')", "needs a name"),
        ("freightMetadata('')", "needs a name"),
        ("status('')", "needs the alias"),
        ("semverParse('latest')", "invalid semantic version"),
    ],
)
def test_what_cannot_be_found_is_told(expression: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        run(expression)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("configMap('known').repoURL", "config map of known"),
        ("sharedConfigMap('known').repoURL", "shared config map of known"),
        ("secret('known').repoURL", "secret of known"),
        ("sharedSecret('known').repoURL", "shared secret of known"),
        ("secret('missing')", {}),
        ("secret('missing').key", ""),
        ("freightMetadata(ctx.targetFreight.name).tier", "gold"),
        ("freightMetadata(ctx.targetFreight.name, 'tier')", "gold"),
        ("freightMetadata(ctx.targetFreight.name)?.config?.missing?.deep ?? 300", 300),
        ("freightMetadata('unknown')", None),
        ("freightStatus(ctx.targetFreight.name).approvedFor?.prod?.approvedAt != nil", True),
        ("stageMetadata(ctx.stage)['aws-region']", "eu-1"),
        ("stageMetadata('unknown')?.x", None),
        ("semverDiff('1.2.3', '2.0.0')", "Major"),
        ("semverParse('v1.2.3').IncMinor().String()", "1.3.0"),
        ("semverParse('1.2.3-rc.1').Prerelease()", "rc.1"),
        ("semverParse('1.2.3') | string()", "1.2.3"),
        ("semverParse('1.2.3')", "1.2.3"),
        ("semverParse('1.2.3').LessThan(semverParse('1.10.0'))", True),
    ],
)
def test_data_and_utility_functions(expression: str, expected: object) -> None:
    assert run(expression) == expected


def test_a_secret_is_read_once_for_one_environment() -> None:
    data = Data()
    env = environment(data=data)
    assert evaluate_condition("${{ secret('known').repoURL != '' }}", env)
    run("secret('known').repoURL + secret('known').repoURL", env)
    assert data.asked == ["secret/known"]


def test_nothing_is_read_before_something_is_evaluated() -> None:
    data = Data()
    environment(vars=variables(a="${{ secret('known').repoURL }}"), data=data)
    assert data.asked == []


def test_without_a_source_of_status_its_functions_say_so() -> None:
    request = VerificationRequest(project="p", stage="s", name="n", collection=collect(freight), origins=origins)
    env = verification_environment(request, Data())
    with pytest.raises(ExpressionError, match=r"stageMetadata\(\) is not available here"):
        evaluate_template("${{ stageMetadata('x') }}", env)


def test_variables_see_earlier_ones_and_a_later_namesake_wins() -> None:
    env = environment(
        vars=variables(a="1", b="${{ vars.a }}-b") + variables(a="2", c="${{ vars.a }}${{ vars.b }}"),
        step_vars=variables(b="step", d="${{ vars.b }}/${{ vars.c }}"),
    )
    assert run("vars", env) == {"a": "2", "b": "step", "c": "21-b", "d": "step/21-b"}


def test_only_step_variables_see_outputs_and_none_sees_status_functions() -> None:
    outputs: dict[str, Json] = {"clone": {"commit": "abc"}}
    assert run("vars.x", environment(step_vars=variables(x="${{ outputs.clone.commit }}"), outputs=outputs)) == "abc"
    with pytest.raises(ExpressionError, match="variable x: cannot fetch clone from nil"):
        run("1", environment(vars=variables(x="${{ outputs.clone.commit }}"), outputs=outputs))
    with pytest.raises(ExpressionError, match=r"variable x: unknown function success\(\)"):
        run("1", environment(step_vars=variables(x="${{ success() }}")))


def test_a_variable_is_coerced_and_its_warning_is_told_with_the_config() -> None:
    env = environment(vars=variables(tag=f"${{{{ imageFrom('{IMAGE}').Tag }}}}", plain="1.10"))
    config, warnings = evaluate_config({"a": "${{ vars.tag }}", "b": "x${{ vars.plain }}"}, env)
    assert config == {"a": 1.1, "b": "x1.10"}
    assert warnings == [
        "variable tag: image tag 1.10 became the number 1.1: "
        f"write ${{{{ quote(imageFrom('{IMAGE}').Tag) }}}} where the text is meant"
    ]


def test_outputs_of_the_same_task_have_a_short_way() -> None:
    outputs: dict[str, Json] = {
        "task-1::a": {"x": 1},
        "task-1::b": None,
        "task-2::a": {"x": 2},
        "task-1": {"composed": 3},
        "a": {"x": 4},
    }
    env = environment("task-1::c", outputs=outputs)
    assert run("task.outputs", env) == {"a": {"x": 1}, "b": None}
    assert run("outputs['task-2::a'].x + outputs['task-1'].composed", env) == 5
    with pytest.raises(ExpressionError, match="cannot fetch outputs from nil"):
        run("task.outputs.a", environment("c", outputs=outputs))


@pytest.mark.parametrize(
    ("alias", "asked", "expected"),
    [
        ("deploy", "clone", "Succeeded"),
        ("deploy", "task-1::clone", ""),
        ("deploy", "unknown", ""),
        ("task-1::deploy", "clone", "Failed"),
        ("task-1::deploy", "task-1::clone", ""),
        ("task-2::deploy", "clone", ""),
    ],
)
def test_status_looks_among_the_siblings_only(alias: str, asked: str, expected: str) -> None:
    statuses = {"clone": StepStatus.SUCCEEDED, "task-1::clone": StepStatus.FAILED}
    assert run(f"status('{asked}')", environment(alias, statuses=statuses)) == expected


def test_status_functions_tell_whether_anything_failed() -> None:
    good, bad = environment(), environment(failed=True)
    assert run("[success(), failure(), always()]", good) == [True, False, True]
    assert run("[success(), failure(), always()]", bad) == [False, True, True]
    assert run("aborted()", good) is run("aborted()", bad) is False
    assert run("[success(), aborted()]", environment(aborted=True)) == [True, True]
    metas = environment(statuses={"clone": StepStatus.SKIPPED})
    assert run("stepMetas.clone.Status", metas) == "Skipped"


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("${{ success() }}", True),
        ("${{ failure() }}", False),
        ("${{ ctx.stage == 'dev' }}", True),
        ("${{ 'true' }}", True),
        ("${{ 'F' }}", False),
        ("${% always() %}\n", True),
    ],
)
def test_conditions(condition: str, expected: bool) -> None:
    assert evaluate_condition(condition, environment()) is expected


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("true", "must evaluate to a boolean, got string: put the expression between"),
        ("${{ 1 }}", "must evaluate to a boolean, got int"),
        ("${{ nil }}", "must evaluate to a boolean, got nil"),
        ("${{ 'yes' }}", "must evaluate to a boolean, got string"),
        ("${{ nope() }}", "unknown function nope()"),
    ],
)
def test_a_condition_that_is_no_bool_is_an_error(condition: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        evaluate_condition(condition, environment())
    assert message in str(caught.value)


def test_no_config_is_an_empty_one() -> None:
    assert evaluate_config(None, environment(vars=variables(x="${{ broken( }}"))) == ({}, [])


def test_verification_arguments_see_the_stage_and_its_variables() -> None:
    request = VerificationRequest(project="p", stage="dev", name="n", collection=collect(freight), origins=origins)
    env = verification_environment(request, Data())
    evaluate_variables(variables(repo=IMAGE, service="web-${{ ctx.stage }}"), env)
    assert evaluate_template("${{ quote(imageFrom(vars.repo).Tag) }}", env) == "1.10"
    assert evaluate_template("${{ vars.service }}", env) == "web-dev"
    assert evaluate_template("${{ outputs }}", env) is None


FOUND = DiscoveredArtifacts(
    discovered_at=STARTED,
    git=[
        GitDiscoveryResult(repo_url="https://github.com/a/front", commits=[]),
        GitDiscoveryResult(
            repo_url="https://github.com/a/front.git",
            commits=[
                DiscoveredCommit(id="1" * 40, tag="v1", subject="one", creator_date=STARTED),
                DiscoveredCommit(id="2" * 40),
            ],
        ),
    ],
    images=[
        ImageDiscoveryResult(
            repo_url="docker.io/library/nginx",
            references=[DiscoveredImageReference(tag="v1", digest="sha256:1", annotations={"a": "b"})],
        )
    ],
    charts=[ChartDiscoveryResult(repo_url="oci://example.com/Chart", versions=["1.0.0", "0.9.0"])],
    results=[DiscoveryResult(name="models", artifact_references=[ArtifactReference(version="7b")])],
)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("commitFrom('https://GITHUB.com/a/front').Tag == imageFrom('nginx').Tag", True),
        ("commitFrom('https://github.com/a/front').Subject", "one"),
        ("commitFrom('https://github.com/a/front').CreatorDate.Year()", 2024),
        ("commitFrom('https://github.com/a/unknown')", None),
        ("imageFrom('nginx').Annotations.a", "b"),
        ("chartFrom('example.com/chart').Version", "1.0.0"),
        ("chartFrom('oci://example.com/chart', 'other')", None),
        ("artifactFrom('models').Version", "7b"),
        ("ctx", None),
    ],
)
def test_freight_creation_sees_the_best_candidates(expression: str, expected: object) -> None:
    env = creation_environment(FOUND)
    assert evaluate(expression, env.variables, env.functions) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("true", True),
        ("'T'", True),
        ("'false'", False),
        ("1", True),
        ("0", False),
        ("imageFrom('nginx').Tag == 'v1'", True),
        ("imageFrom('unknown') != nil", False),
    ],
)
def test_criteria_are_bools_or_texts_of_bools(expression: str, expected: bool) -> None:
    assert evaluate_criterion(expression, creation_environment(FOUND)) is expected


@pytest.mark.parametrize("expression", ["'yes'", "nil", "2", "[]", "imageFrom('unknown').Tag", "configMap('x')"])
def test_other_criteria_are_errors(expression: str) -> None:
    with pytest.raises(ExpressionError):
        evaluate_criterion(expression, creation_environment(FOUND))


def test_git_filters_see_the_commit_or_the_tag() -> None:
    commit = commit_environment(commit="a" * 40, commit_date=STARTED, author="Ann", subject="fix: x")
    assert evaluate_criterion("subject startsWith 'fix' && author != 'bot' && commitDate.Year() == 2024", commit)
    tag = tag_environment(tag="v1", commit="a" * 40, creator_date=STARTED, tagger="Ann", annotation="release")
    assert evaluate_criterion("tag matches '^v' and tagger == 'Ann' and creatorDate < date('2025-01-01')", tag)
    assert not evaluate_criterion("annotation == ''", tag)


def test_http_expressions_see_the_response() -> None:
    headers = [("content-type", "application/json"), ("X-Many", "1"), ("x-many", "2")]
    env = response_environment(201, headers, {"items": [{"id": 7}]})
    for expression, expected in [
        ("response.status == 201", True),
        ("response.body.items[0].id", 7),
        ("response.header('Content-Type')", "application/json"),
        ("response.header('X-None')", ""),
        ("response.headers['X-Many']", ["1", "2"]),
        ("response.headers['X-None']", None),
        ("response.body?.error?.message ?? 'fine'", "fine"),
    ]:
        assert evaluate(expression, env.variables) == expected
