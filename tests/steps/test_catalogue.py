"""Every step of Kargo's catalogue, field by field and output by output; and of every step, that it may be run again."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from activities.outside import Outside
from activities.steps.catalog import load_steps
from activities.steps.registry import STEPS, StepFailed
from examples.world.git_server import GitServer
from model.references import Image, collect
from model.steps import Effect
from tests.steps.bench import Bench
from tests.steps.contexts import DIGEST, freight, requested, run_step, step_context

ROOT = Path(__file__).parents[2]
load_steps()

#: What Kargo documents (schemas/*-config.json, and the pages of the steps): fields of the config, then outputs.
#: Objects by what is in them. Steps without fixed outputs have none here.
CATALOGUE: dict[str, tuple[str, str]] = {
    "argocd-update": (
        "apps.name apps.namespace apps.selector.matchExpressions.key apps.selector.matchExpressions.operator "
        "apps.selector.matchExpressions.values apps.selector.matchLabels apps.sources.chart "
        "apps.sources.desiredRevision apps.sources.helm.images.key apps.sources.helm.images.value "
        "apps.sources.kustomize.images.digest apps.sources.kustomize.images.newName "
        "apps.sources.kustomize.images.repoURL apps.sources.kustomize.images.tag apps.sources.repoURL "
        "apps.sources.updateTargetRevision",
        "apps",
    ),
    "argocd-wait": (
        "apps.name apps.namespace apps.selector.matchExpressions.key apps.selector.matchExpressions.operator "
        "apps.selector.matchExpressions.values apps.selector.matchLabels apps.waitFor",
        "apps",
    ),
    "compose-output": ("", ""),
    "copy": ("ignore inPath outPath", ""),
    "delete": ("path paths pathsAreGlobs strict", ""),
    "fail": ("message", ""),
    "file-write": ("contents overwrite path permissions", ""),
    "gha-dispatch-workflow": ("inputs insecureSkipTLSVerify ref repoURL timeout workflowFile", "runID"),
    "gha-wait-for-workflow": ("expectedConclusion insecureSkipTLSVerify pollInterval repoURL runID", "conclusion"),
    "git-clear": ("path", ""),
    "git-clone": (
        "author.email author.name author.signingKey blobless checkout.as checkout.branch checkout.commit "
        "checkout.create checkout.path checkout.sparse checkout.tag insecureSkipTLSVerify recurseSubmodules "
        "repoURL",
        "commits",
    ),
    "git-commit": ("author.email author.name author.signingKey message path", "commit"),
    "git-merge-pr": ("insecureSkipTLSVerify mergeMethod pollInterval prNumber provider repoURL wait", "commit"),
    "git-open-pr": (
        "createTargetBranch description insecureSkipTLSVerify labels provider repoURL sourceBranch targetBranch title",
        "pr.id pr.url",
    ),
    "git-push": ("force generateTargetBranch maxAttempts path provider tag targetBranch", "branch commit commitURL"),
    "git-tag": ("force message path tag", "commit"),
    "git-wait-for-pr": (
        "insecureSkipTLSVerify pollInterval prNumber provider repoURL",
        "commit pr.id pr.merged pr.open pr.url",
    ),
    "github-push": (
        "force generateTargetBranch insecureSkipTLSVerify maxAttempts path targetBranch",
        "branch commit commitURL",
    ),
    "hcl-update": ("path updates.key updates.value", "commitMessage"),
    "helm-template": (
        "apiVersions buildDependencies disableHooks ignoreMissingValueFiles includeCRDs kubeVersion namespace "
        "outLayout outPath path releaseName setValues.key setValues.literal setValues.value skipTests "
        "useReleaseName valuesFiles",
        "",
    ),
    "helm-update-chart": ("charts.name charts.repository charts.version path", "commitMessage"),
    "http": (
        "body bodyFromFile errorExpression failureExpression headers.name headers.value insecureSkipTLSVerify "
        "method outputs.fromExpression outputs.name pollInterval proxy queryParams.name queryParams.value "
        "responseContentType successExpression timeout url",
        "",
    ),
    "http-download": (
        "allowOverwrite headers.name headers.value insecureSkipTLSVerify outPath queryParams.name "
        "queryParams.value timeout url",
        "",
    ),
    "json-parse": ("outputs.fromExpression outputs.name path", ""),
    "json-update": ("path updates.key updates.value", "commitMessage"),
    "kustomize-build": ("outPath outputFormat path plugin.helm.apiVersions plugin.helm.kubeVersion", ""),
    "kustomize-set-image": ("images.digest images.image images.name images.newName images.tag path", "commitMessage"),
    "oci-download": ("allowOverwrite imageRef insecureSkipTLSVerify mediaType outPath", ""),
    "oci-push": ("annotations destRef insecureSkipTLSVerify srcRef", "digest image tag"),
    "set-freight-alias": ("alias name", ""),
    "set-metadata": ("updates.kind updates.name updates.values", ""),
    "tar": ("gzip ignore inPath outPath", ""),
    "toml-parse": ("outputs.fromExpression outputs.name path", ""),
    "toml-update": ("path updates.key updates.value", "commitMessage"),
    "untar": ("ignore inPath outPath stripComponents", ""),
    "yaml-merge": ("ignoreMissingFiles inFiles outFile", "commitMessage"),
    "yaml-parse": ("outputs.fromExpression outputs.name path", ""),
    "yaml-update": ("path updates.key updates.value", "commitMessage"),
}

#: What Towpath's steps give besides.
OURS = {
    "argocd-wait": "healthStatuses",
    "git-push": "tag",
    "http-download": "sha256 size",
    "oci-download": "digest size",
}


def leaves(schema: Mapping[str, Any], root: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """The fields of a JSON Schema that hold no fields themselves, with dots between the names."""
    if "$ref" in schema:
        yield from leaves(root["$defs"][schema["$ref"].rpartition("/")[2]], root, path)
        return
    inner = [*schema.get("anyOf", []), *([schema["items"]] if "items" in schema else [])]
    below = {leaf for alternative in inner for leaf in leaves(alternative, root, path)} - {path}
    if "properties" in schema:
        for name, field in schema["properties"].items():
            below |= set(leaves(field, root, f"{path}.{name}" if path else name))
    yield from below or ([path] if path else [])


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_documented_field_is_one_and_no_other(name: str) -> None:
    schema = STEPS[name].config.model_json_schema(by_alias=True)
    assert sorted(leaves(schema, schema)) == CATALOGUE[name][0].split()


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_documented_output_is_one(name: str) -> None:
    output = STEPS[name].output
    schema = output.model_json_schema(by_alias=True) if output else {}
    given = {leaf.removesuffix(".name").removesuffix(".namespace") for leaf in leaves(schema, schema)}
    assert given == {*CATALOGUE[name][1].split(), *OURS.get(name, "").split()}


#: Steps that read and write files alone: what is there before, and a config.
REBUILT: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "compose-output": ({}, {"a": {"b": [1, "x"]}}),
    "copy": ({"in/a": "1", "in/b": "2"}, {"inPath": "in", "outPath": "out", "ignore": "b"}),
    "delete": ({"a": "1", "b/c": "2"}, {"path": "b"}),
    "file-write": ({}, {"path": "d/a", "contents": "x\n"}),
    "hcl-update": ({"a.tf": "a = 1\n"}, {"path": "a.tf", "updates": [{"key": "a", "value": 2}]}),
    "json-parse": ({"a.json": '{"a": 1}'}, {"path": "a.json", "outputs": [{"name": "x", "fromExpression": "a + 1"}]}),
    "json-update": ({"a.json": '{"a": 1}'}, {"path": "a.json", "updates": [{"key": "b", "value": 2}]}),
    "kustomize-build": (
        {"kustomization.yaml": "resources: [a.yaml]\n", "a.yaml": "apiVersion: v1\nkind: A\nmetadata: {name: a}\n"},
        {"path": ".", "outPath": "out"},
    ),
    "kustomize-set-image": ({"kustomization.yaml": "resources: []\n"}, {"path": "."}),
    "tar": ({"in/a": "1", "in/b/c": "2"}, {"inPath": "in", "outPath": "out.tar.gz"}),
    "toml-parse": ({"a.toml": "a = 1\n"}, {"path": "a.toml", "outputs": [{"name": "x", "fromExpression": "a"}]}),
    "toml-update": ({"a.toml": "a = 1\n"}, {"path": "a.toml", "updates": [{"key": "a", "value": 2}]}),
    "yaml-merge": ({"a.yaml": "a: 1\n", "b.yaml": "b: 2\n"}, {"inFiles": ["a.yaml", "b.yaml"], "outFile": "c.yaml"}),
    "yaml-parse": ({"a.yaml": "a: 1\n"}, {"path": "a.yaml", "outputs": [{"name": "x", "fromExpression": "a"}]}),
    "yaml-update": ({"a.yaml": "a: 1\n"}, {"path": "a.yaml", "updates": [{"key": "a", "value": 2}]}),
}

#: Where the others are run a second time: a rebuild gives the same, or a lost attempt has acted once.
ELSEWHERE = {
    "argocd-update": "test_argocd.py::test_an_operation_that_is_done_is_not_asked_for_again",
    "argocd-wait": "test_argocd.py::test_argocd_wait_waits_for_health",
    "fail": "test_catalogue.py::test_fail_fails_again",
    "get-user-input": "test_people.py",
    "gha-dispatch-workflow": "test_github_actions.py::test_a_lost_attempt_that_had_dispatched_does_not_do_it_twice",
    "gha-wait-for-workflow": "test_github_actions.py::test_any_conclusion_will_do",
    "git-clear": "test_catalogue.py::test_git_steps_give_the_same_in_a_rebuild",
    "git-clone": "test_git_steps.py::test_rebuild_checks_out_the_recorded_commits",
    "git-commit": "test_catalogue.py::test_git_steps_give_the_same_in_a_rebuild",
    "git-merge-pr": "test_pull_requests.py::test_a_lost_attempt_merges_once",
    "git-open-pr": "test_pull_requests.py::test_a_lost_attempt_leaves_one_pull_request_with_its_labels",
    "git-push": "test_git_steps.py::test_lost_push_is_found_again",
    "git-tag": "test_catalogue.py::test_git_steps_give_the_same_in_a_rebuild",
    "git-wait-for-pr": "test_pull_requests.py::test_merged_gives_the_merge_commit",
    "github-push": "test_github_push.py::test_lost_push_is_found_again_on_another_host",
    "helm-template": "test_helm.py::test_a_rebuild_renders_the_same",
    "helm-update-chart": "test_helm.py::test_update_sets_versions_and_says_what_changed",
    "http": "test_http.py::test_a_request_that_may_have_been_sent_is_not_sent_twice",
    "http-download": "test_http_download.py::test_a_rebuild_gives_the_same",
    "oci-download": "test_oci.py::test_a_rebuild_gives_the_same",
    "oci-push": "test_oci.py::test_an_attempt_after_a_lost_one_sends_only_what_is_missing",
    "send-message": "test_send_message.py::test_a_message_whose_worker_was_lost_is_not_sent_again",
    "set-freight-alias": "test_project_state.py::test_aliases",
    "set-metadata": "test_project_state.py::test_metadata_is_set_and_read",
    "untar": "test_catalogue.py::test_untar_gives_the_same_files",
    "wait-for-approval": "test_people.py",
}


def test_of_every_step_it_is_tested_that_it_may_run_again() -> None:
    """A new step needs a line in REBUILT, or the name of its test in ELSEWHERE."""
    built_in = {name for name, step in STEPS.items() if step.run.__module__.startswith("activities.steps.")}
    assert built_in - REBUILT.keys() - ELSEWHERE.keys() == set()
    assert {name for name in REBUILT if STEPS[name].kind.effect is Effect.EXTERNAL} == set()
    missing = []
    for name in built_in & ELSEWHERE.keys():
        file, _, test = ELSEWHERE[name].partition("::")
        tree = ast.parse((ROOT / "tests/steps" / file).read_text())
        tests = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        if test and test not in tests:
            missing.append(ELSEWHERE[name])
    assert missing == []


def files(directory: Path) -> dict[str, bytes]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }


@pytest.mark.parametrize("name", REBUILT)
async def test_a_rebuild_gives_the_same_outputs_and_files(tmp_path: Path, name: str) -> None:
    before, config = REBUILT[name]
    image = Image(repo_url="ghcr.io/team/app", tag="1.2.0", digest=DIGEST)
    seen = []
    for host in ("one", "two"):
        workspace = tmp_path / host
        for path, text in before.items():
            (workspace / path).parent.mkdir(parents=True, exist_ok=True)
            (workspace / path).write_text(text)
        context = step_context(
            workspace, collection=collect(freight(image)), origins=[requested("guestbook", image.repo_url)]
        )
        seen.append((await run_step(name, config, context), files(workspace)))
    assert seen[0] == seen[1]
    wrote = seen[0][1] != {path: text.encode() for path, text in before.items()}
    assert wrote or seen[0][0]


async def test_fail_fails_again(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(StepFailed, match=r"^failed: no$"):
            await run_step("fail", {"message": "no"}, step_context(tmp_path))


async def test_untar_gives_the_same_files(tmp_path: Path) -> None:
    (tmp_path / "one/in/b").mkdir(parents=True)
    (tmp_path / "one/in/b/c").write_text("2")
    await run_step("tar", {"inPath": "in", "outPath": "a.tar"}, step_context(tmp_path / "one"))
    (tmp_path / "two").mkdir()
    (tmp_path / "two/a.tar").write_bytes((tmp_path / "one/a.tar").read_bytes())
    for host in ("one", "two"):
        await run_step("untar", {"inPath": "a.tar", "outPath": "out"}, step_context(tmp_path / host))
    assert files(tmp_path / "one/out") == files(tmp_path / "two/out") != {}


async def test_git_steps_give_the_same_in_a_rebuild(server: GitServer, outside: Outside) -> None:
    repository = server.repository("guestbook", {"a.yaml": "a: 1\n", "b.yaml": "b: 1\n"})
    seen = []
    for promotion in ("dev.one", "dev.two"):
        bench = Bench(outside, promotion)
        checkout = [{"branch": "main", "path": "src"}]
        outputs = [await bench.run("git-clone", {"repoURL": repository.url, "checkout": checkout})]
        outputs.append(await bench.run("git-clear", {"path": "src"}))
        left = files(bench.workspace / "src").keys() - {".git"}
        bench.write("src/c.yaml", "c: 1\n")
        outputs.append(await bench.run("git-commit", {"path": "src", "message": "c"}))
        outputs.append(await bench.run("git-tag", {"path": "src", "tag": "v1", "message": "one"}))
        # The tag is made already when a lost attempt made it.
        assert await bench.run("git-tag", {"path": "src", "tag": "v1", "message": "one"}, repeated=True) == outputs[-1]
        seen.append((outputs, left))
    assert seen[0] == seen[1]
    assert seen[0][1] == set()
