"""A set of manifests is refused whole for one error; what may still come is a warning."""

from __future__ import annotations

import pytest

from model.admission import Existing, ExistingProject, ExistingStage, in_project, validate_set
from model.base import Json
from model.manifests import Located, load
from model.problems import Severity
from model.resources import KINDS, ConfigMap, Resource, Secret

VERSIONS = {kind: version for version, kind in KINDS}
SHOP = Existing(projects={"shop": ExistingProject(warehouses=["w"])})


def resource(kind: str, name: str, namespace: str = "shop", **fields: Json) -> Resource:
    manifest = {
        "apiVersion": VERSIONS[kind],
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        **fields,
    }
    return KINDS[VERSIONS[kind], kind].model_validate(manifest)


def request(name: str = "w", **sources: Json) -> dict[str, Json]:
    return {"origin": {"kind": "Warehouse", "name": name}, "sources": sources or {"direct": True}}


def stage(name: str = "dev", steps: list[Json] | None = None, **spec: Json) -> Resource:
    template = {} if steps is None else {"promotionTemplate": {"spec": {"steps": steps}}}
    return resource("Stage", name, spec={"requestedFreight": [request()], **template, **spec})


def behind(name: str, *upstreams: str, **sources: Json) -> Resource:
    return stage(name, [{"uses": "x"}], requestedFreight=[request(stages=list(upstreams), **sources)])


def warehouse(*subscriptions: Json, **spec: Json) -> Resource:
    return resource("Warehouse", "w", spec={"subscriptions": list(subscriptions), **spec})


def git(url: str = "https://git.example.com/shop.git", **fields: Json) -> dict[str, Json]:
    return {"git": {"repoURL": url, **fields}}


def image(url: str = "registry.example.com/shop", **fields: Json) -> dict[str, Json]:
    return {"image": {"repoURL": url, **fields}}


def template(name: str = "t", *args: str, **metric: Json) -> Resource:
    metric = {"name": "m", "provider": {"web": {"url": "https://example.com"}}} | metric
    arguments = [{"name": argument} for argument in args]
    return resource("AnalysisTemplate", name, spec={"metrics": [metric], "args": arguments})


def said(*resources: Resource, existing: Existing = SHOP) -> list[str]:
    """All problems: an error as `! field: message`, a warning as `? field: message`."""
    problems = validate_set(resources, existing)
    mark = {Severity.ERROR: "!", Severity.WARNING: "?"}
    return [f"{mark[problem.severity]} {problem.field}: {problem.message}" for problem in problems]


STEPS = "spec.promotionTemplate.spec.steps"


@pytest.mark.parametrize(
    ("steps", "problem"),
    [
        ([{"as": "x"}], f"! {STEPS}[0]: a step needs exactly one of uses and task"),
        ([{"uses": "x", "task": {"name": "t"}}], f"! {STEPS}[0]: a step needs exactly one of uses and task"),
        (
            [{"uses": "x", "as": "a"}, {"uses": "y", "as": " a"}],
            f"! {STEPS}[1].as: the alias a is that of step 1 already",
        ),
        ([{"uses": "x", "as": "step-3"}], f"! {STEPS}[0].as: the alias step-3 is reserved for steps without one"),
        ([{"uses": "x", "as": "task-12"}], f"! {STEPS}[0].as: the alias task-12 is reserved for steps without one"),
        *(
            (
                [{"task": {"name": "t"}, field: value}],
                f"! {STEPS}[0].{field}: a step that refers to a task can't have {field}, only as and vars",
            )
            for field, value in (
                ("if", "${{ always() }}"),
                ("config", {}),
                ("continueOnError", True),
                ("retry", {"errorThreshold": 2}),
            )
        ),
        (
            [{"uses": "x", "vars": [{"name": "a-b", "value": "1"}]}],
            f"! {STEPS}[0].vars[0].name: 'a-b' can't be the name of a variable: "
            "a letter or _, then letters, digits and _",
        ),
        ([{"task": {"name": "T!"}}], f"! {STEPS}[0].task.name: T! can't be the name of a PromotionTask"),
    ],
)
def test_steps_of_a_stage(steps: list[Json], problem: str) -> None:
    assert problem in said(stage(steps=steps), resource("PromotionTask", "t", spec={"steps": [{"uses": "x"}]}))


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        ({"task": {"name": "t"}}, "! spec.steps[0].task: a task can't refer to another task; write its steps here"),
        ({"as": "x"}, "! spec.steps[0].uses: say which step it uses"),
        ({"uses": "x", "as": "step-1"}, "! spec.steps[0].as: the alias step-1 is reserved for steps without one"),
    ],
)
@pytest.mark.parametrize("kind", ["PromotionTask", "ClusterPromotionTask"])
def test_steps_of_a_task(kind: str, step: Json, problem: str) -> None:
    namespace = "shop" if kind == "PromotionTask" else ""
    assert said(resource(kind, "t", namespace, spec={"steps": [step]})) == [problem]


def test_a_step_that_uses_something_may_say_everything() -> None:
    step = {"uses": "x", "as": "step-x", "if": "${{ true }}", "retry": {}, "continueOnError": True, "config": {}}
    assert said(stage(steps=[step, {"uses": "x"}])) == []


REQUEST = "spec.requestedFreight[0].sources"


@pytest.mark.parametrize(
    ("requests", "problems"),
    [
        (
            [request(), request()],
            ["! spec.requestedFreight[1].origin: Warehouse/w is requested already, in requestedFreight[0]"],
        ),
        (
            [request(direct=False)],
            [f"? {REQUEST}: without direct or stages no Freight ever gets here, but by approval"],
        ),
        ([request(direct=True, stages=["up"])], [f"? {REQUEST}.stages: without effect: direct lets all Freight in"]),
        (
            [request(direct=True, requiredSoakTime="1h")],
            [f"? {REQUEST}.requiredSoakTime: without effect: direct lets all Freight in"],
        ),
        ([request(stages=["up", "up"])], [f"? {REQUEST}.stages[1]: up stands here twice"]),
        ([request(stages=["Up"])], [f"! {REQUEST}.stages[0]: 'Up' can't be the name of a Stage"]),
        (
            [request(stages=["upp"])],
            [f"? {REQUEST}.stages[0]: there is no Stage upp yet; did you mean up?"],
        ),
        ([request("v")], ["? spec.requestedFreight[0].origin.name: there is no Warehouse v yet"]),
    ],
)
def test_what_a_stage_requests(requests: list[Json], problems: list[str]) -> None:
    there = Existing(projects={"shop": ExistingProject(warehouses=["w"], stages={"up": ExistingStage()})})
    found = said(stage(steps=[{"uses": "x"}], requestedFreight=requests), existing=there)
    assert set(problems) <= set(found)
    assert all(problem in problems or "there is no Stage Up yet" in problem for problem in found)


@pytest.mark.parametrize(
    ("sources", "problem"),
    [
        ({"direct": True, "stages": ["up"]}, "MatchUpstream needs an upstream Stage, and no direct"),
        ({"stages": ["up", "top"]}, "MatchUpstream needs exactly one upstream Stage, not 2"),
        ({"direct": True}, "MatchUpstream needs exactly one upstream Stage, not 0"),
    ],
)
def test_matching_the_upstream_stage(sources: dict[str, Json], problem: str) -> None:
    options: dict[str, Json] = {"autoPromotionOptions": {"selectionPolicy": "MatchUpstream"}}
    found = said(stage(steps=[{"uses": "x"}], requestedFreight=[request(**sources, **options)]))
    assert f"! {REQUEST}.autoPromotionOptions.selectionPolicy: {problem}" in found


def test_soak_behind_a_control_flow_stage_is_noted() -> None:
    gate = stage("gate")
    assert said(gate, behind("prod", "gate", requiredSoakTime="1h")) == [
        f"? {REQUEST}.requiredSoakTime: Freight does not stay in gate, which has no promotion steps: "
        "the time counts from when it was verified there"
    ]
    assert said(gate, behind("prod", "gate")) == []
    there = Existing(
        projects={"shop": ExistingProject(warehouses=["w"], stages={"gate": ExistingStage(control_flow=True)})}
    )
    assert len(said(behind("prod", "gate", requiredSoakTime="1h"), existing=there)) == 1


@pytest.mark.parametrize(
    ("chain", "circle"),
    [
        ({"a": ["a"]}, "a → a"),
        ({"a": ["b"], "b": ["a"]}, "a → b → a"),
        ({"a": ["c"], "b": ["a"], "c": ["b"], "d": ["c"], "e": []}, "a → b → c → a"),
    ],
)
def test_a_circle_of_stages_is_an_error_that_names_it(chain: dict[str, list[str]], circle: str) -> None:
    stages = [behind(name, *upstreams) if upstreams else stage(name) for name, upstreams in chain.items()]
    errors = [problem for problem in said(*stages) if problem.startswith("!")]
    assert errors == [f"! spec.requestedFreight: Freight would go in a circle: {circle}"]


def test_a_circle_through_what_exists_is_found() -> None:
    there = {"b": ExistingStage(upstreams=["a"]), "c": ExistingStage(upstreams=["b"])}
    existing = Existing(projects={"shop": ExistingProject(warehouses=["w"], stages=there)})
    (problem,) = validate_set([behind("a", "c")], existing)
    assert problem.message == "Freight would go in a circle: a → b → c → a"
    # Taking one Stage out of the circle in the same set makes it good.
    assert validate_set([behind("a", "c"), stage("b", [{"uses": "x"}])], existing) == []


def test_stages_that_part_and_meet_again_are_no_circle() -> None:
    stages = [stage("a", [{"uses": "x"}]), behind("b", "a"), behind("c", "a"), behind("d", "b", "c")]
    assert said(*stages) == []


def test_references_to_what_is_missing_are_warnings() -> None:
    steps = [{"task": {"name": "t"}}, {"task": {"name": "t", "kind": "ClusterPromotionTask"}}]
    verification = {"analysisTemplates": [{"name": "m"}, {"name": "m", "kind": "ClusterAnalysisTemplate"}]}
    config = resource("ProjectConfig", "shop", spec={"promotionPolicies": [{"stage": "deb"}]})
    whole = (stage(steps=steps, verification=verification, requestedFreight=[request("v")]), config)
    assert said(*whole) == [
        "? spec.requestedFreight[0].origin.name: there is no Warehouse v yet",
        f"? {STEPS}[0].task.name: there is no PromotionTask t yet",
        f"? {STEPS}[1].task.name: there is no ClusterPromotionTask t yet",
        "? spec.verification.analysisTemplates[0]: there is no AnalysisTemplate m yet",
        "? spec.verification.analysisTemplates[1]: there is no ClusterAnalysisTemplate m yet",
        "? spec.promotionPolicies[0]: there is no Stage deb yet; did you mean dev?",
    ]
    there = Existing(
        projects={
            "shop": ExistingProject(
                warehouses=["v"], tasks=["t"], analysis_templates=["m"], stages={"deb": ExistingStage()}
            )
        },
        cluster_tasks=["t"],
        cluster_analysis_templates=["m"],
    )
    assert said(*whole, existing=there) == []


def test_a_required_variable_without_a_value_is_a_warning() -> None:
    task = resource("PromotionTask", "t", spec={"vars": [{"name": "repo"}], "steps": [{"uses": "x"}]})
    (problem,) = said(stage(steps=[{"task": {"name": "t"}}]), task)
    assert problem.startswith(
        "? spec.promotionTemplate: promotions will be refused: step task-1: PromotionTask/t needs"
    )
    assert said(stage(steps=[{"task": {"name": "t"}, "vars": [{"name": "repo", "value": "r"}]}]), task) == []


@pytest.mark.parametrize(
    ("verification", "problems"),
    [
        ({}, ["? spec.verification: names no analysisTemplates: every verification would end in Error"]),
        (
            {"analysisTemplates": [{"name": "t"}, {"name": "t"}]},
            [
                "! spec.verification.analysisTemplates[1]: AnalysisTemplate/t stands here twice: "
                "its metrics would have the same names"
            ],
        ),
        (
            {
                "analysisTemplates": [{"name": "t"}],
                "args": [{"name": "url", "value": "x"}, {"name": "ulr", "value": "x"}],
            },
            ["? spec.verification.args[1]: without effect: no template has an argument ulr"],
        ),
    ],
)
def test_verification(verification: Json, problems: list[str]) -> None:
    assert said(stage(steps=[{"uses": "x"}], verification=verification), template("t", "url")) == problems


def test_verification_of_a_control_flow_stage_has_no_effect() -> None:
    assert said(stage(verification={"analysisTemplates": [{"name": "gone"}]})) == [
        "? spec.verification: without effect: a Stage without promotion steps is not verified"
    ]


SUBSCRIPTION = "spec.subscriptions"


@pytest.mark.parametrize(
    ("subscriptions", "problem"),
    [
        (
            [git(), git("https://Git.example.com/shop/")],
            f"! {SUBSCRIPTION}[1]: subscriptions[0] is to the same repository: give each a name of its own",
        ),
        (
            [image("app"), image("docker.io/library/app")],
            f"! {SUBSCRIPTION}[1]: subscriptions[0] is to the same repository: give each a name of its own",
        ),
        (
            [{"name": "a", **git()}, {"name": "a", **image()}],
            f"! {SUBSCRIPTION}[1].name: subscriptions[0] has this name already",
        ),
        ([git("/srv/git/shop")], f"! {SUBSCRIPTION}[0].git.repoURL: /srv/git/shop is no URL of a Git repository"),
        (
            [git("ftp://me:word@git.example.com/shop")],
            f"! {SUBSCRIPTION}[0].git.repoURL: ftp://***@git.example.com/shop is no URL of a Git repository",
        ),
        (
            [git(branch="--upload-pack=x")],
            f"! {SUBSCRIPTION}[0].git.branch: --upload-pack=x can't be the name of a branch",
        ),
        (
            [git("https://me:word@git.example.com/shop")],
            f"! {SUBSCRIPTION}[0].git.repoURL: https://***@git.example.com/shop holds a password; "
            "put it into the worker's credentials directory",
        ),
        ([git(branch="a..b")], f"! {SUBSCRIPTION}[0].git.branch: a..b can't be the name of a branch"),
        (
            [git(semverConstraint="^1")],
            f"? {SUBSCRIPTION}[0].git.semverConstraint: without effect: NewestFromBranch does not look at tags",
        ),
        (
            [image("https://registry.example.com/shop")],
            f"! {SUBSCRIPTION}[0].image.repoURL: https://registry.example.com/shop is no image repository; "
            "write it without scheme, tag and digest, as ghcr.io/team/app",
        ),
        (
            [image(allowTagsRegexes=["^1", "("])],
            f"! {SUBSCRIPTION}[0].image.allowTagsRegexes[1]: ( is no regular expression: missing ): (",
        ),
        (
            [image(allowTags="(?=a)")],
            f"! {SUBSCRIPTION}[0].image.allowTags: (?=a) is no regular expression: invalid perl operator: (?=",
        ),
        (
            [image(imageSelectionStrategy="Digest")],
            f"! {SUBSCRIPTION}[0].image.constraint: the strategy Digest needs the tag to follow here",
        ),
        (
            [{"chart": {"repoURL": "https://charts.example.com"}}],
            f"! {SUBSCRIPTION}[0].chart.name: say which chart of the repository",
        ),
        (
            [{"chart": {"repoURL": "oci://charts.example.com/c", "name": "c"}}],
            f"! {SUBSCRIPTION}[0].chart.name: a chart in an OCI repository has its name in the URL alone",
        ),
        ([{"s3": {}}], f"! {SUBSCRIPTION}[0].name: a subscription of type s3 needs a name"),
        (
            [git(includePaths=["docs", "glob:[a"])],
            f"! {SUBSCRIPTION}[0].git.includePaths[1]: 'glob:[a' is no glob pattern: ",
        ),
        (
            [git(excludePaths=["regex:("])],
            f"! {SUBSCRIPTION}[0].git.excludePaths[0]: 'regex:(' is not a regular expression (RE2)",
        ),
        (
            [git(commitSelectionStrategy="SemVer", semverConstraint="^one")],
            f"! {SUBSCRIPTION}[0].git.semverConstraint: ",
        ),
        ([image(constraint="^one")], f"! {SUBSCRIPTION}[0].image.constraint: "),
        (
            [{"chart": {"repoURL": "oci://charts.example.com/c", "semverConstraint": "^one"}}],
            f"! {SUBSCRIPTION}[0].chart.semverConstraint: ",
        ),
        ([image(platform="linux")], f"! {SUBSCRIPTION}[0].image.platform: platform 'linux' is not of the form os/arch"),
        (
            [git(commitSelectionStrategy="SemVer", since="2026-01-01T00:00:00Z")],
            f"? {SUBSCRIPTION}[0].git.since: without effect: SemVer looks at tags, whatever branch or age",
        ),
        (
            [git(commitSelectionStrategy="NewestTag", branch="main")],
            f"? {SUBSCRIPTION}[0].git.branch: without effect: NewestTag looks at tags, whatever branch or age",
        ),
        (
            [git(commitSelectionStrategy="Lexical", semverConstraint="^1.0.0")],
            f"? {SUBSCRIPTION}[0].git.semverConstraint: without effect: Lexical does not read tags as versions",
        ),
        (
            [image(imageSelectionStrategy="NewestBuild", constraint="^1.0.0")],
            f"? {SUBSCRIPTION}[0].image.constraint: without effect: NewestBuild does not read tags as versions",
        ),
        (
            [image(imageSelectionStrategy="Digest", constraint="latest", cacheByTag=True)],
            f"? {SUBSCRIPTION}[0].image.cacheByTag: without effect: Digest follows the one tag that constraint names",
        ),
    ],
)
def test_subscriptions(subscriptions: list[Json], problem: str) -> None:
    assert any(line.startswith(problem) for line in said(warehouse(*subscriptions)))


@pytest.mark.parametrize(
    "subscription",
    [
        git("https://git.example.com:8443/a/b"),
        git("http://127.0.0.1:8080/shop.git"),
        git("git@git.example.com:a/b.git", branch="release/1.0"),
        git("ssh://git@git.example.com:22/a.git"),
        image("127.0.0.1:5000/team/app", constraint="^1"),
        image("app", allowTagsRegexes=[r"^v\d"], ignoreTagsRegexes=["rc"]),
        {"name": "main", **git()},
    ],
)
def test_subscriptions_that_are_good(subscription: Json) -> None:
    assert said(warehouse(subscription)) == []


METRIC = "spec.metrics[0]"


@pytest.mark.parametrize(
    ("metric", "problem"),
    [
        ({"provider": {}}, f"! {METRIC}.provider: a metric needs exactly one provider; there is none"),
        (
            {"provider": {"web": {"url": "x"}, "graphite": {}}},
            f"! {METRIC}.provider: a metric needs exactly one provider; not web and graphite",
        ),
        ({"interval": "5"}, f"! {METRIC}.interval: '5' is not a duration: expected one like 30s, 5m or 1h30m"),
        ({"count": 2}, f"! {METRIC}.interval: 2 measurements need an interval between them"),
        (
            {"count": 1, "failureLimit": 3},
            f"! {METRIC}.count: 1 measurements are fewer than the limits need (3)",
        ),
        (
            {"count": 3, "interval": "1s", "failureLimit": 2, "consecutiveSuccessLimit": 2},
            f"! {METRIC}.count: 3 measurements are fewer than the limits need (4)",
        ),
        ({"count": 1, "inconclusiveLimit": 2}, f"! {METRIC}.count: 1 measurements are fewer than inconclusiveLimit"),
        ({"failureLimit": -2}, f"! {METRIC}.failureLimit: must be -1 (never) or more"),
        (
            {"failureLimit": -1},
            f"! {METRIC}.failureLimit: -1 needs a consecutiveSuccessLimit, or the metric could never end well",
        ),
        ({"consecutiveErrorLimit": -1}, f"! {METRIC}.consecutiveErrorLimit: can't be negative"),
        ({"count": "few"}, f"! {METRIC}.count: 'few' is no number"),
        (
            {"provider": {"web": {"url": "x", "body": "b"}}},
            f"! {METRIC}.provider.web.method: a request with a body needs the method POST or PUT",
        ),
        (
            {"provider": {"web": {"url": "x", "method": "PUT", "body": "b", "jsonBody": {}}}},
            f"! {METRIC}.provider.web.jsonBody: a request has either body or jsonBody",
        ),
        (
            {"provider": {"web": {"url": "x", "authentication": {"oauth2": {"tokenUrl": "t", "clientId": "c"}}}}},
            f"! {METRIC}.provider.web.authentication.oauth2.clientSecret: is required",
        ),
        (
            {"provider": {"web": {"url": "x", "authentication": {"oauth2": {"clientSecret": "plain"}}}}},
            f"? {METRIC}.provider.web.authentication.oauth2.clientSecret: stands here in plain text, and so in the "
            "history of workflows; take it from an argument with secretKeyRef",
        ),
    ],
)
def test_metrics(metric: dict[str, Json], problem: str) -> None:
    assert problem in said(template(**metric))


@pytest.mark.parametrize(
    "metric",
    [
        {"count": 5, "interval": "5s", "failureLimit": 3},
        {"count": "{{args.n}}", "failureLimit": 3, "interval": "{{ args.every }}"},
        {"count": "5", "interval": "5s"},
        {"interval": "5s", "failureLimit": -1, "consecutiveSuccessLimit": 3},
        {"count": 0, "interval": "5s", "failureLimit": 3},
    ],
)
def test_metrics_that_are_good(metric: dict[str, Json]) -> None:
    assert said(template(**metric)) == []


def test_analysis_templates() -> None:
    metric = {"name": "m", "provider": {"web": {"url": "x"}}}
    spec = {
        "metrics": [metric, metric],
        "args": [{"name": "a"}, {"name": "a"}],
        "dryRun": [{"metricName": "*"}, {"metricName": "n"}],
        "measurementRetention": [{"metricName": "m", "limit": 1}, {"metricName": "m", "limit": 2}],
    }
    assert said(resource("AnalysisTemplate", "t", spec=spec)) == [
        "! spec.metrics[1].name: the metric m stands at metrics[0] already",
        "! spec.args[1].name: the argument a stands at args[0] already",
        "! spec.dryRun[0].metricName: * is no regular expression; .* stands for all metrics",
        "? spec.dryRun[1].metricName: n matches no metric of this template",
        "! spec.measurementRetention[1].metricName: the pattern m stands at measurementRetention[0] already",
    ]
    assert said(resource("ClusterAnalysisTemplate", "t", "", spec={})) == [
        "? spec.metrics: there are no metrics: alone, its runs would end in Error"
    ]


def test_policies() -> None:
    spec = {
        "promotionPolicies": [
            {"stage": "dev", "autoPromotionEnabled": True},
            {"stageSelector": {"name": "dev"}},
            {"stageSelector": {"name": "gate"}, "autoPromotionEnabled": True},
        ]
    }
    config = resource("ProjectConfig", "shop", spec=spec)
    assert said(config, stage("dev", [{"uses": "x"}]), stage("gate")) == [
        "! spec.promotionPolicies[1]: promotionPolicies[0] is for the Stage dev already",
        "? spec.promotionPolicies[2]: without effect: gate has no promotion steps, Freight passes through it",
    ]


@pytest.mark.parametrize(
    ("kind", "name", "namespace", "problem"),
    [
        ("Project", "Shop", "", "! metadata.name: Shop can't be the name of a Project: lower-case"),
        ("Project", "a.b", "", "! metadata.name: a.b can't be the name of a Project: lower-case"),
        ("Project", "a" * 64, "", "can't be the name of a Project"),
        ("Stage", "dev/eu", "shop", "! metadata.name: dev/eu can't be a name: lower-case letters, digits, - and ."),
        ("Stage", "-dev", "shop", "! metadata.name: -dev can't be a name"),
        ("Stage", "a" * 254, "shop", "can't be a name"),
        ("Stage", "", "shop", "! metadata.name: a Stage needs a name"),
        ("Stage", "dev", "", "! metadata.namespace: say which Project this belongs to, here or by --project"),
        ("Stage", "dev", "Shop", "! metadata.namespace: Shop is no name of a Project"),
        (
            "Stage",
            "dev",
            "shp",
            "! metadata.namespace: there is no Project shp: apply it before, or with this; known Projects: shop",
        ),
        ("ProjectConfig", "config", "shop", "! metadata.name: a ProjectConfig has the name of its Project, here shop"),
        ("ClusterConfig", "mine", "", "! metadata.name: the one ClusterConfig has the name cluster"),
        (
            "ClusterPromotionTask",
            "t",
            "shop",
            "? metadata.namespace: a ClusterPromotionTask belongs to the whole cluster",
        ),
    ],
)
def test_metadata(kind: str, name: str, namespace: str, problem: str) -> None:
    spec: dict[str, Json] = {
        "Stage": {"requestedFreight": [request()]},
        "ClusterPromotionTask": {"steps": [{"uses": "x"}]},
    }.get(kind, {})
    assert any(problem in found for found in said(resource(kind, name, namespace, spec=spec)))


@pytest.mark.parametrize(
    ("kind", "annotation", "value", "problem"),
    [
        ("Stage", "towpath/health-interval", "1m", ""),
        ("ClusterConfig", "towpath/closed-windows", "nothing", ""),
        ("ProjectConfig", "example.com/whatever", "x", ""),
        ("Stage", "towpath/health-interval", "soon", "'soon' is not a duration"),
        ("ProjectConfig", "towpath/health-interval", "1s", "'1s' is out of bounds: expected 10s to 24h0m0s"),
        ("ProjectConfig", "towpath/closed-windows", "all", "'all' is not known: expected manual or nothing"),
        ("Stage", "towpath/closed-windows", "nothing", "no such setting of Towpath's; it has towpath/health-interval"),
        ("Warehouse", "towpath/health-interval", "1m", "a Warehouse has no such setting of Towpath's; it has none"),
    ],
)
def test_annotations_of_towpath_are_checked(kind: str, annotation: str, value: str, problem: str) -> None:
    spec: dict[str, Json] = {
        "Stage": {"requestedFreight": [request()]},
        "Warehouse": {"subscriptions": [image()]},
    }.get(kind, {})
    name, namespace = {"ProjectConfig": ("shop", "shop"), "ClusterConfig": ("cluster", "")}.get(kind, ("w", "shop"))
    annotated = resource(kind, name, namespace, spec=spec)
    annotated.metadata.annotations = {annotation: value}
    found = [sentence for sentence in said(annotated) if "annotations" in sentence]
    assert len(found) == bool(problem)
    assert not problem or problem in found[0]


def test_generated_names_are_refused() -> None:
    dev = stage("")
    dev.metadata.generate_name = "dev-"
    assert said(dev) == ["! metadata.name: a Stage needs a name (generateName is not supported)"]


def test_a_project_may_come_with_the_set() -> None:
    project = resource("Project", "shop", "")
    assert said(warehouse(git()), project, existing=Existing()) == []
    assert said(warehouse(git()), existing=Existing()) == [
        "! metadata.namespace: there is no Project shop: apply it before, or with this"
    ]


def test_a_default_project_is_for_what_names_none() -> None:
    dev = stage("dev", [{"uses": "x"}])
    bare = dev.model_copy(update={"metadata": dev.metadata.model_copy(update={"namespace": ""})})
    assert validate_set([bare], SHOP, default_project="shop") == []
    assert in_project(Located(bare), "shop").resource == dev
    assert in_project(Located(dev), "other").resource == dev
    project = resource("Project", "shop", "")
    assert in_project(Located(project), "other").resource == project


def test_two_of_one_name_in_a_set_are_an_error_that_names_the_first() -> None:
    text = """
apiVersion: kargo.akuity.io/v1alpha1
kind: Warehouse
metadata: {name: w, namespace: shop}
spec: {subscriptions: [{image: {repoURL: app}}]}
"""
    first, _ = load(text, "a.yaml")
    second, _ = load(text, "b.yaml")
    (problem,) = validate_set([*first, *second], SHOP)
    assert str(problem) == "b.yaml:4: Warehouse/w: metadata.name: Warehouse/w stands in this set twice, in a.yaml:2"


@pytest.mark.parametrize("kind", [Secret, ConfigMap])
def test_secrets_and_config_maps_stay_with_the_worker(kind: type[Resource]) -> None:
    (problem,) = said(kind.model_validate({"metadata": {"name": "s"}}))
    assert problem.startswith("! : a ")
    assert "put it into the worker's credentials directory" in problem


@pytest.mark.parametrize(
    ("unsupported", "problem"),
    [
        (stage(targets={"selectors": [{}]}), "spec.targets: targets"),
        (
            resource("ClusterConfig", "cluster", "", spec={"gitClient": {"name": "a", "email": "b"}}),
            "spec.gitClient: an author of commits",
        ),
        (resource("Promotion", "p", spec={"stage": "dev", "freight": "f"}), "spec: applying Promotions"),
        (resource("Freight", "f", origin={"kind": "Warehouse", "name": "w"}), "origin: applying Freight"),
    ],
)
def test_what_is_known_but_not_done_yet_is_an_error(unsupported: Resource, problem: str) -> None:
    found = [entry for entry in said(unsupported) if entry.startswith(f"! {problem}")]
    assert len(found) == 1
    assert "not supported yet" in found[0]


def test_old_policies_of_a_project_have_moved() -> None:
    project = resource("Project", "shop", "", spec={"promotionPolicies": [{"stage": "dev"}]})
    assert said(project) == [
        "! spec.promotionPolicies: promotion policies belong in the ProjectConfig of the same name"
    ]


@pytest.mark.parametrize("field", ["allowTags", "ignoreTags"])
def test_old_tag_filters_are_accepted_with_a_warning(field: str) -> None:
    value: Json = "^1" if field == "allowTags" else ["latest"]
    (problem,) = said(warehouse(image(**{field: value})))
    assert problem.startswith(f"? {SUBSCRIPTION}[0].image.{field}: {field} is gone since Kargo 1.11")
    assert len(said(warehouse(git(**{field: value})))) == 2


def test_the_same_set_is_checked_the_same_way_twice() -> None:
    whole = [behind("b", "gone"), warehouse(git(includePaths=["a"])), stage("dev", [{"as": "x"}])]
    assert validate_set(whole, SHOP) == validate_set(whole, SHOP)


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"promotionPolicies": [{"stageSelector": {"name": "regex:("}}]}, "is not a regular expression"),
        ({"promotionPolicies": [{"stageSelector": {"name": "glob:[a"}}]}, "is not a pattern"),
        (
            {
                "promotionPolicies": [
                    {"stageSelector": {"matchExpressions": [{"key": "a", "operator": "In", "values": []}]}}
                ]
            },
            "In needs values",
        ),
        ({"promotionWindows": [{"name": "a", "kind": "Deny"}]}, "dtstart: '' is not a moment"),
        (
            {
                "promotionWindows": [
                    {
                        "name": "a",
                        "kind": "Deny",
                        "dtstart": "20260101T000000Z",
                        "dtend": "20260102T000000Z",
                        "rrule": "FREQ=NEVER",
                        "projectSelector": {"name": "x"},
                    }
                ]
            },
            "projectSelector: means something in a ClusterConfig only",
        ),
    ],
)
def test_policies_and_windows_that_cannot_be_read_are_refused(spec: dict[str, Json], problem: str) -> None:
    assert any(problem in found for found in said(resource("ProjectConfig", "shop", spec=spec)))
