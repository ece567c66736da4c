"""Whatever can't be understood in a manifest is named: file, line, resource, field, and what was expected."""

from __future__ import annotations

import pytest

from model.manifests import load, parse, read_manifests
from model.problems import Problem, Severity, errors
from model.resources import Stage, Warehouse

KARGO = "apiVersion: kargo.akuity.io/v1alpha1"
STAGE = f"""{KARGO}
kind: Stage
metadata: {{name: dev, namespace: shop}}
spec:
  requestedFreight:
  - origin: {{kind: Warehouse, name: w}}
    sources: {{direct: true}}
"""


def _problems(text: str) -> list[Problem]:
    return load(text, "shop.yaml")[1]


def _said(text: str) -> list[str]:
    return [str(problem) for problem in _problems(text)]


def _stage(changed: str, by: str) -> str:
    assert changed in STAGE
    return STAGE.replace(changed, by)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(
            _stage("namespace: shop", "lables: {}"),
            "shop.yaml:3: Stage/dev: metadata.lables: there is no such field; did you mean labels?",
            id="unknown field",
        ),
        pytest.param(
            _stage("direct: true", "Direct: true"),
            "shop.yaml:7: Stage/dev: spec.requestedFreight[0].sources.Direct: there is no such field; "
            "did you mean direct?",
            id="unknown field, deep",
        ),
        pytest.param(
            _stage("direct: true", "qqq: 1"),
            "shop.yaml:7: Stage/dev: spec.requestedFreight[0].sources.qqq: there is no such field; known fields: "
            "direct, stages, requiredSoakTime, availabilityStrategy, autoPromotionOptions",
            id="unknown field like no other",
        ),
        pytest.param(
            _stage("direct: true", "direct: 'true'"),
            "shop.yaml:7: Stage/dev: spec.requestedFreight[0].sources.direct: must be true or false, not true",
            id="text for a truth value",
        ),
        pytest.param(
            _stage("name: w", "name: 1.10"),
            "shop.yaml:6: Stage/dev: spec.requestedFreight[0].origin.name: must be text, not 1.1; put it in quotes",
            id="number for text",
        ),
        pytest.param(
            _stage("kind: Warehouse", "kind: Stage"),
            "shop.yaml:6: Stage/dev: spec.requestedFreight[0].origin.kind: must be 'Warehouse', not Stage",
            id="not one of the values",
        ),
        pytest.param(
            _stage("direct: true", "stages: dev"),
            "shop.yaml:7: Stage/dev: spec.requestedFreight[0].sources.stages: must be a list, not dev",
            id="text for a list",
        ),
        pytest.param(
            _stage("sources: {direct: true}", "sources: []"),
            "shop.yaml:7: Stage/dev: spec.requestedFreight[0].sources: must be a mapping, not a list",
            id="list for a mapping",
        ),
        pytest.param(
            _stage("direct: true", "requiredSoakTime: 2 days"),
            "shop.yaml:7: Stage/dev: spec.requestedFreight[0].sources.requiredSoakTime: "
            "expected a duration like 30s, 5m or 1h30m",
            id="no duration",
        ),
        pytest.param(
            f"{KARGO}\nkind: Stage\nmetadata: {{name: dev}}\nspec:\n  vars: []\n",
            "shop.yaml:5: Stage/dev: spec.requestedFreight: is required",
            id="missing field",
        ),
        pytest.param(
            f"{KARGO}\nkind: Stage\nmetadata: {{name: dev}}\n",
            "shop.yaml:1: Stage/dev: spec: is required",
            id="missing spec",
        ),
        pytest.param(
            f"{KARGO}\nkind: Warehouse\nmetadata: {{name: w}}\nspec:\n  subscriptions:\n  - imgae: {{repoURL: x}}\n",
            "shop.yaml:6: Warehouse/w: spec.subscriptions[0]: there is no subscription type imgae; did you mean image?",
            id="misspelled subscription",
        ),
        pytest.param(
            f"{KARGO}\nkind: Warehouse\nmetadata: {{name: w}}\nspec:\n  subscriptions:\n  - s3: {{bucket: x}}\n",
            "shop.yaml:6: Warehouse/w: spec.subscriptions[0].s3.bucket: there is no such field; known fields: "
            "subscriptionType, config, discoveryLimit",
            id="generic subscription",
        ),
        pytest.param(
            "apiVersion: argoproj.io/v1alpha1\nkind: AnalysisTemplate\nmetadata: {name: t}\n"
            "spec: {metrics: [{name: m, count: [1], provider: {}}]}\n",
            "shop.yaml:4: AnalysisTemplate/t: spec.metrics[0].count: must be a number or text",
            id="alternatives",
        ),
        pytest.param(
            f"{KARGO}\nkind: Stagee\n",
            "shop.yaml:2: Stagee: kind: the kind Stagee of kargo.akuity.io/v1alpha1 is not known; did you mean Stage?",
            id="unknown kind",
        ),
        pytest.param(
            "apiVersion: kargo.akuity.io/v1\nkind: Stage\n",
            "shop.yaml:1: Stage: apiVersion: Stage is known in kargo.akuity.io/v1alpha1, not in kargo.akuity.io/v1",
            id="unknown version",
        ),
        pytest.param(
            f"{KARGO}\nkind: Target\n",
            "shop.yaml:2: Target: kind: Targets belong to a paid feature of Kargo and are not supported",
            id="kind that is not supported",
        ),
        pytest.param(
            "kind: Stage\n", "shop.yaml:1: Stage: apiVersion: a manifest needs apiVersion, as text", id="no version"
        ),
        pytest.param(
            "- 1\n", "shop.yaml:1: a manifest is a mapping with apiVersion, kind and metadata", id="no mapping"
        ),
        pytest.param("a: [\n", "shop.yaml:2: this is not valid YAML: did not find expected node content", id="no YAML"),
    ],
)
def test_a_manifest_that_is_wrong_is_refused_with_a_sentence(text: str, said: str) -> None:
    assert _said(text) == [said]
    assert errors(_problems(text))
    assert load(text, "shop.yaml")[0] == []


def test_a_kind_of_something_else_names_what_is_known() -> None:
    (said,) = _said("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n")
    assert "known kinds: Project, ProjectConfig, ClusterConfig, Warehouse, Stage" in said


def test_all_problems_of_a_file_are_said_at_once() -> None:
    said = _said(_stage("direct: true", "drect: true") + "---\n" + _stage("name: w", "name: [w]"))
    assert len(said) == 2
    assert said[1].startswith("shop.yaml:14: Stage/dev: spec.requestedFreight[0].origin.name")


def test_a_problem_knows_its_document() -> None:
    text = f"{STAGE}---\n# nothing\n---\n{_stage('direct: true', 'drect: true')}"
    (problem,) = _problems(text)
    assert (problem.source, problem.document, problem.kind, problem.name) == ("shop.yaml", 2, "Stage", "dev")
    assert problem.field == "spec.requestedFreight[0].sources.drect"


def test_null_counts_as_unset() -> None:
    text = _stage("metadata: {", "metadata: {creationTimestamp: null, labels: null, ") + "  vars: null\nstatus: null\n"
    (located,), problems = load(text, "shop.yaml")
    assert problems == []
    assert isinstance(located.resource, Stage)
    assert located.resource.spec.vars == []


def test_null_where_something_is_required_is_missing() -> None:
    assert _said(_stage("name: w", "name: null")) == [
        "shop.yaml:6: Stage/dev: spec.requestedFreight[0].origin.name: is required"
    ]


def test_null_in_the_config_of_a_step_is_kept() -> None:
    text = STAGE + "  promotionTemplate: {spec: {steps: [{uses: x, config: {a: null}}]}}\n"
    (located,), _ = load(text, "shop.yaml")
    assert isinstance(located.resource, Stage)
    assert located.resource.steps[0].config == {"a": None}


def test_status_is_left_out_with_a_warning() -> None:
    (located,), (problem,) = load(STAGE + "status: {health: {status: Healthy}, ofAnotherRelease: 1}\n", "shop.yaml")
    assert isinstance(located.resource, Stage)
    assert located.resource.status.health is None
    assert (problem.severity, problem.field) == (Severity.WARNING, "status")


def test_a_namespace_is_needless_but_no_error() -> None:
    located, (problem,) = load("apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n", "shop.yaml")
    assert located == []
    assert problem.severity is Severity.WARNING


@pytest.mark.parametrize("kind", ["v1\nkind: List", "kargo.akuity.io/v1alpha1\nkind: StageList"])
def test_lists_are_taken_apart(kind: str) -> None:
    indented = "".join(f"  {line}\n" for line in STAGE.splitlines())
    text = f"apiVersion: {kind}\nmetadata: {{resourceVersion: ''}}\nitems:\n" + f"-{indented[1:]}" * 2
    located, problems = load(text, "shop.yaml")
    assert problems == []
    assert [str(entry.resource) for entry in located] == ["Stage/dev", "Stage/dev"]
    assert [entry.document.line for entry in located if entry.document] == [5, 12]


def test_a_time_may_be_written_with_and_without_quotes() -> None:
    for since in ("2026-01-31T12:00:00Z", "'2026-01-31T12:00:00Z'"):
        git = f"{{repoURL: 'https://git.example.com/a', since: {since}}}"
        text = f"{KARGO}\nkind: Warehouse\nmetadata: {{name: w}}\nspec: {{subscriptions: [{{git: {git}}}]}}\n"
        (located,), problems = load(text, "shop.yaml")
        assert problems == []
        assert isinstance(located.resource, Warehouse)
        assert located.resource.spec.subscriptions[0].git is not None
        assert located.resource.spec.subscriptions[0].git.since is not None


@pytest.mark.parametrize(
    "values", ["data: {password: 'open-sesame!'}", "stringData: {password: [open-sesame]}", "data: 5"]
)
def test_a_secret_that_is_wrong_does_not_show_its_values(values: str) -> None:
    (said,) = _said(f"apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\n{values}\n")
    assert said.startswith("shop.yaml:4: Secret/s: ")
    assert "sesame" not in said


def test_documents_can_be_read_one_by_one() -> None:
    first, second = read_manifests(STAGE + "---\nkind: [Stage]\n", "shop.yaml")
    assert isinstance(parse(first), Stage)
    assert parse(second) is None
    assert [len(document.problems) for document in (first, second)] == [0, 1]
