"""`towpath promote --preview`: the diff that a promotion would commit, made without changing anything."""

from __future__ import annotations

import json

from tests.pipeline.pipeline import FIRST, Pipeline

SECRET = """apiVersion: v1
kind: Secret
metadata: {name: vault, namespace: PROJECT, labels: {kargo.akuity.io/cred-type: generic}}
stringData: {token: not-a-real-token-0815}
"""
WRITE = """- uses: file-write
      config: {path: ./out/token.txt, contents: "token ${{ secret('vault').token }}"}
    - uses: git-commit"""
BUILT = "harbour-dev-deployment-harbour.yaml"


def workspaces(pipeline: Pipeline) -> list[str]:
    """Workspaces of previews that are left on the worker's disk."""
    root = pipeline.towpath.settings.workspace_directory
    return [path.name for path in root.iterdir() if path.name.startswith("preview.")]


def test_the_diff_is_shown_and_is_what_the_promotion_then_commits(pipeline: Pipeline) -> None:
    freight = pipeline.discover()
    said = pipeline.run("promote", "--stage", "dev", "--freight", freight, "--preview")
    image = f"image: registry.example.com/{pipeline.project}:{FIRST}"
    assert f"{pipeline.repo_url} branch env/dev: 1 file in 1 commit(s)" in said
    assert "  Updated ./src/env/dev to use new image" in said
    added = [line[1:] for line in said.splitlines() if line.startswith("+") and not line.startswith("+++")]
    assert image in " ".join(added)
    assert "left out: task-1::step-6 (git-push), acts outside of the workspace" in said
    assert "left out: task-1::step-7 (argocd-update), acts outside of the workspace" in said

    assert pipeline.repository.head("env/dev") is None
    assert pipeline.read("promotions")["items"] == []
    assert pipeline.stage("dev")["freightHistory"] == []
    assert workspaces(pipeline) == []

    pipeline.promote("dev", freight)
    assert pipeline.repository.read(BUILT, "env/dev").splitlines() == added
    again = pipeline.run("promote", "--stage", "dev", "--freight", freight, "--preview")
    assert "No commit would be made." in again


def test_freight_that_would_be_refused_is_shown_with_the_reason(pipeline: Pipeline) -> None:
    freight = pipeline.discover()
    shown = json.loads(pipeline.run("promote", "--stage", "staging", "--freight", freight, "--preview", "-o", "json"))
    assert "not verified in Stage dev" in shown["unavailable"]
    (change,) = shown["changes"]
    assert (change["branch"], change["path"], change["truncated"]) == ("env/staging", "out", False)
    assert [file["path"] for file in change["files"]] == ["harbour-staging-deployment-harbour.yaml"]
    assert change["diff"].startswith("diff --git a/harbour-staging-deployment-harbour.yaml")


def test_a_promotion_that_would_fail_says_at_which_step(pipeline: Pipeline) -> None:
    pipeline.apply({"imageFrom(vars.image).Tag": "imageFrom('registry.example.com/none').Tag"})
    freight = pipeline.discover()
    said = pipeline.fail("promote", "--stage", "dev", "--freight", freight, "--preview")
    assert "the promotion would fail: step task-1::update-image (kustomize-set-image)" in said.splitlines()[-1]
    assert workspaces(pipeline) == []


def test_secrets_that_a_step_writes_are_masked_in_the_diff(pipeline: Pipeline) -> None:
    directory = pipeline.towpath.settings.credentials_directory
    assert directory is not None
    (directory / pipeline.project).mkdir()
    (directory / pipeline.project / "vault.yaml").write_text(SECRET.replace("PROJECT", pipeline.project))
    pipeline.apply({"- uses: git-commit": WRITE})
    freight = pipeline.discover()
    said = pipeline.run("promote", "--stage", "dev", "--freight", freight, "--preview")
    assert "+token ***" in said.splitlines()
    assert "0815" not in said


def test_options_that_do_not_go_together_are_refused(pipeline: Pipeline) -> None:
    for others in (["--wait"], ["--warehouse", "cargo"], ["-o", "name"]):
        arguments = ["promote", "--stage", "dev", "--freight", "0123456", "--preview", *others, "-p", pipeline.project]
        result = pipeline.towpath.type(*arguments)
        assert result.exit_code == 2
        assert "--preview" in result.stderr
