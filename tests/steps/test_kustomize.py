"""kustomize-set-image and kustomize-build."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from activities.kustomization import KustomizationError, KustomizeImage, set_images
from activities.programs import MAX_MESSAGE
from activities.steps import kustomize
from activities.steps.registry import STEPS, StepErrored, StepFailed
from model.references import Image, collect
from tests.steps.contexts import DIGEST, freight, requested, run_step, step_context

GUESTBOOK = "ghcr.io/example/guestbook"


def write(directory: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def tree(directory: Path) -> dict[str, str]:
    return {str(p.relative_to(directory)): p.read_text() for p in sorted(directory.rglob("*")) if p.is_file()}


# what is in the file, the images to set, the file afterwards
SET = {
    "a tag in place, comments and order kept": (
        "# base\nresources:\n- ../base # shared\n\nimages:\n# ours\n- name: app   # the app\n"
        "  newTag: v1 # was here\n- name: other\n  newTag: '3'\n# tail\nnamespace: x\n",
        [KustomizeImage("app", new_tag="v2")],
        "# base\nresources:\n- ../base # shared\n\nimages:\n# ours\n- name: app   # the app\n"
        "  newTag: v2 # was here\n- name: other\n  newTag: '3'\n# tail\nnamespace: x\n",
    ),
    "a new field after the present ones": (
        "images:\n  - name: app\n    newTag: v1\n",
        [KustomizeImage("app", new_tag="v2", digest="sha256:1")],
        "images:\n  - name: app\n    newTag: v2\n    digest: sha256:1\n",
    ),
    "a tag gives way to a digest": (
        "images:\n- name: app\n  newTag: v1 # pinned by tag\nnamespace: x\n",
        [KustomizeImage("app", digest="sha256:1")],
        "images:\n- name: app\n  digest: sha256:1\nnamespace: x\n",
    ),
    "the first field goes": (
        "images:\n- newTag: v1\n  name: app\n",
        [KustomizeImage("app", digest="sha256:1")],
        "images:\n- name: app\n  digest: sha256:1\n",
    ),
    "an entry is added at the end": (
        "images:\n- name: app\n  newTag: v1\n",
        [KustomizeImage("zoo", new_tag="2.0"), KustomizeImage("lib", new_tag="v3")],
        'images:\n- name: app\n  newTag: v1\n- name: lib\n  newTag: v3\n- name: zoo\n  newTag: "2.0"\n',
    ),
    "no images yet": (
        "resources: [a.yaml]",
        [KustomizeImage("app", new_tag="v2")],
        "resources: [a.yaml]\nimages:\n- name: app\n  newTag: v2\n",
    ),
    "an empty file": ("", [KustomizeImage("app", new_tag="v2")], "images:\n- name: app\n  newTag: v2\n"),
    "an empty list": (
        "images: []\nnamespace: x\n",
        [KustomizeImage("app", new_tag="v2")],
        "images:\n- name: app\n  newTag: v2\nnamespace: x\n",
    ),
    "no file end": (
        "images:\n- name: app\n  newTag: v1",
        [KustomizeImage("app", new_tag="v2"), KustomizeImage("b", new_tag="c")],
        "images:\n- name: app\n  newTag: v2\n- name: b\n  newTag: c\n",
    ),
    "Windows line ends": (
        "images:\r\n- name: app\r\n  newTag: v1\r\nnamespace: x\r\n",
        [KustomizeImage("app", new_tag="v2", digest="sha256:1")],
        "images:\r\n- name: app\r\n  newTag: v2\r\n  digest: sha256:1\r\nnamespace: x\r\n",
    ),
    "a star keeps what is there": (
        "images:\n- name: app\n  newName: mirror/app\n  newTag: v1\n",
        [KustomizeImage("app", new_name="*", new_tag="*", digest="sha256:1")],
        "images:\n- name: app\n  newName: mirror/app\n  newTag: v1\n  digest: sha256:1\n",
    ),
    "a star without anything there is nothing": (
        "namespace: x\n",
        [KustomizeImage("app", new_name="*", new_tag="v1")],
        "namespace: x\nimages:\n- name: app\n  newTag: v1\n",
    ),
    "nothing to change": (
        "images: [{name: app, newTag: v2}]\n",
        [KustomizeImage("app", new_tag="v2")],
        "images: [{name: app, newTag: v2}]\n",
    ),
}


@pytest.mark.parametrize("case", SET)
def test_set_images_changes_only_the_lines_of_the_images(case: str) -> None:
    before, images, after = SET[case]
    assert set_images(before, {image.name: image for image in images}) == after


@pytest.mark.parametrize(
    "before",
    [
        "images: [{name: app, newTag: v1}, {name: b}]\nnamespace: x\n",
        "{images: [{name: app, newTag: v1}, {name: b}], namespace: x}\n",
        "images:\n- {name: app, newTag: v1}\n- name: b\nnamespace: x\n",
        "images:\n- name: app\n  newTag: >-\n    v1\n- name: b\nnamespace: x\n",
        "namespace: &ns x\nimages:\n-\n  name: app\n  newTag: v1\n-\n  name: b\n",
    ],
)
def test_unusual_files_end_up_with_the_same_content(before: str) -> None:
    after = yaml.safe_load(set_images(before, {"app": KustomizeImage("app", new_tag="v2")}))
    assert after == {"images": [{"name": "app", "newTag": "v2"}, {"name": "b"}], "namespace": "x"}


@pytest.mark.parametrize(
    ("before", "message"),
    [
        ("images: nginx\n", "not a list"),
        ("- a\n", "not a mapping"),
        ("a: b: c\n", "not valid YAML: line 1"),
        ("images: []\nimages: []\n", "twice"),
        ("a: 1\n---\nb: 2\n", "more than one document"),
        ("a: " + "[" * 200 + "]" * 200, "deep"),
    ],
)
def test_what_is_no_kustomization_is_refused(before: str, message: str) -> None:
    with pytest.raises(KustomizationError, match=message):
        set_images(before, {"app": KustomizeImage("app", new_tag="v2")})


async def test_without_images_every_image_of_the_collection_is_set(tmp_path: Path) -> None:
    write(tmp_path, {"src/kustomization.yaml": "resources: []\n"})
    collection = collect(
        freight(Image(repo_url=GUESTBOOK, tag="v0.1.0", digest=DIGEST)),
        freight(Image(repo_url="redis", tag="7", digest=DIGEST), warehouse="cache"),
    )
    context = step_context(tmp_path, collection=collection, origins=[requested("guestbook", GUESTBOOK)])
    output = await run_step("kustomize-set-image", {"path": "./src"}, context)
    assert yaml.safe_load((tmp_path / "src/kustomization.yaml").read_text())["images"] == [
        {"name": GUESTBOOK, "newTag": "v0.1.0", "digest": DIGEST},
        {"name": "redis", "newTag": "7", "digest": DIGEST},
    ]
    assert output == {
        "commitMessage": f"Updated ./src to use new images\n\n- {GUESTBOOK}:v0.1.0@{DIGEST}\n- redis:7@{DIGEST}"
    }


async def test_explicit_images_take_name_and_new_name(tmp_path: Path) -> None:
    write(tmp_path, {"Kustomization": "images:\n- name: web\n  newTag: v1\n"})
    config = {"path": ".", "images": [{"image": GUESTBOOK, "name": "web", "newName": "mirror/web", "tag": "v2"}]}
    output = await run_step("kustomize-set-image", config, step_context(tmp_path))
    assert tree(tmp_path) == {"Kustomization": "images:\n- name: web\n  newTag: v2\n  newName: mirror/web\n"}
    assert output == {"commitMessage": "Updated . to use new image\n\n- mirror/web:v2"}


async def test_an_image_of_two_warehouses_must_be_named(tmp_path: Path) -> None:
    write(tmp_path, {"kustomization.yaml": ""})
    context = step_context(tmp_path, origins=[requested("a", GUESTBOOK), requested("b", GUESTBOOK)])
    with pytest.raises(StepErrored, match="both Warehouse/a and Warehouse/b subscribe to the image"):
        await run_step("kustomize-set-image", {"path": "."}, context)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"x/readme": ""}, "there is no kustomization file in 'x'"),
        ({"x/kustomization.yaml": "", "x/Kustomization": ""}, "several kustomization files"),
    ],
)
async def test_one_kustomization_file_is_needed(tmp_path: Path, files: dict[str, str], message: str) -> None:
    write(tmp_path, files)
    with pytest.raises(StepErrored, match=message):
        await run_step("kustomize-set-image", {"path": "x"}, step_context(tmp_path))


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("kustomize-set-image", {}),
        ("kustomize-set-image", {"path": ""}),
        ("kustomize-set-image", {"path": ".", "images": [{"image": "a"}]}),
        ("kustomize-set-image", {"path": ".", "images": [{"image": "a", "tag": "1", "digest": "d"}]}),
        ("kustomize-set-image", {"path": ".", "images": [{"image": "a", "tag": 1.1}]}),
        ("kustomize-set-image", {"path": ".", "image": []}),
        ("kustomize-build", {"path": "."}),
        ("kustomize-build", {"path": ".", "outPath": "o", "outputFormat": "helm"}),
        ("kustomize-build", {"path": ".", "outPath": "o", "plugin": {"helm": {"apiVersions": [""]}}}),
    ],
)
def test_bad_configs_are_refused(name: str, config: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        STEPS[name].config.model_validate(config)


DEPLOYMENT = """apiVersion: apps/v1
kind: Deployment
metadata:
  name: Guestbook
spec:
  template:
    spec:
      containers:
      - image: ghcr.io/example/guestbook:v1
        name: app
"""
CLUSTER_ROLE = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata:\n  name: reader\n"
SOURCE = {
    "src/base/deployment.yaml": DEPLOYMENT,
    "src/base/kustomization.yaml": "resources: [deployment.yaml, ../shared/role.yaml]\n",
    "src/shared/role.yaml": CLUSTER_ROLE,
    "src/env/dev/kustomization.yaml": (
        f"namespace: dev\nresources: [../../base]\nimages: [{{name: {GUESTBOOK}, newTag: v2}}]\n"
    ),
}
RENDERED = DEPLOYMENT.replace(":v1", ":v2").replace("name: Guestbook", "name: Guestbook\n  namespace: dev")


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"outPath": "out/all.yaml"}, {"all.yaml": f"{CLUSTER_ROLE}---\n{RENDERED}"}),
        ({"outPath": "out/all.yml", "outputFormat": "kustomize"}, {"all.yml": f"{CLUSTER_ROLE}---\n{RENDERED}"}),
        (
            {"outPath": "./out"},
            {"clusterrole-reader.yaml": CLUSTER_ROLE, "dev-deployment-guestbook.yaml": RENDERED},
        ),
        (
            {"outPath": "../out", "outputFormat": "kustomize"},
            {
                "rbac.authorization.k8s.io_v1_clusterrole_reader.yaml": CLUSTER_ROLE,
                "apps_v1_deployment_guestbook.yaml": RENDERED,
            },
        ),
    ],
)
async def test_build_renders_to_a_file_or_to_a_file_per_resource(
    tmp_path: Path, config: dict[str, Any], expected: dict[str, str]
) -> None:
    write(tmp_path, SOURCE)
    output = await run_step("kustomize-build", {"path": "src/env/dev", **config}, step_context(tmp_path))
    assert output == {}
    assert tree(tmp_path / "out") == dict(sorted(expected.items()))
    assert not any(path.stat().st_mode & stat.S_IXUSR for path in (tmp_path / "out").iterdir())


def kustomization(text: str) -> dict[str, str]:
    return {
        "w/k/kustomization.yaml": text,
        "w/ok.yaml": CLUSTER_ROLE,
        "secret.yaml": CLUSTER_ROLE,
        "x/kustomization.yaml": "",
    }


OUTSIDE = {
    "a resource": "resources: [../../secret.yaml]\n",
    "a resource in capitals": "RESOURCES: [../../secret.yaml]\n",
    "a resource with a letter that folds": "reſources: [../../secret.yaml]\n",
    "an absolute path": "resources: [/etc/hostname]\n",
    "a base": "resources: [../../x]\n",
    "a component": "components: [../../x]\n",
    "a generated ConfigMap": "configMapGenerator: [{name: a, files: [key=../../secret.yaml]}]\n",
    "a generated Secret": "secretGenerator: [{name: a, envs: [../../secret.yaml]}]\n",
    "a patch": "patches: [{path: ../../secret.yaml}]\n",
    "a merged patch": "patchesStrategicMerge: [../../secret.yaml]\n",
    "a replacement": "replacements: [{path: ../../secret.yaml}]\n",
    "a schema": "openapi: {path: ../../secret.yaml}\n",
    "a symbolic link": "resources: [link.yaml]\n",
    "a path across a symbolic link": "resources: [dir/../../../secret.yaml]\n",
    "an inline plugin": (
        "generators:\n- |-\n  apiVersion: builtin\n  kind: ConfigMapGenerator\n  metadata: {name: a}\n"
        "  files: [../../secret.yaml]\n"
    ),
    "Helm values": "helmCharts: [{name: a, valuesFile: ../../secret.yaml}]\n",
    "a chart home": "helmGlobals: {chartHome: ../../x}\n",
}


@pytest.mark.parametrize("case", OUTSIDE)
async def test_build_refuses_what_lies_outside_the_workspace(tmp_path: Path, case: str) -> None:
    write(tmp_path, kustomization(OUTSIDE[case]))
    (tmp_path / "w/k/link.yaml").symlink_to(tmp_path / "secret.yaml")
    (tmp_path / "w/k/dir").symlink_to(tmp_path / "w")
    with pytest.raises(StepErrored, match="lies outside the promotion's workspace") as caught:
        await run_step("kustomize-build", {"path": "k", "outPath": "o"}, step_context(tmp_path / "w"))
    assert str(tmp_path) not in str(caught.value)


REFUSED = {
    "a remote base": ("resources: ['https://github.com/example/app//base?ref=v1']\n", "remote"),
    "a remote base in short": ("resources: [github.com/example/app]\n", "remote"),
    "a remote base by ssh": ("resources: ['git@github.com:example/app']\n", "remote"),
    "a remote file": ("configMapGenerator: [{name: a, files: ['a=http://169.254.169.254/latest']}]\n", "remote"),
    "a base that isn't there": ("resources: [example.com/app.git]\n", "isn't there"),
    "an exec function": (
        "generators:\n- |-\n  apiVersion: example.com/v1\n  kind: Run\n  metadata:\n    name: a\n    annotations:\n"
        "      config.kubernetes.io/function: |\n        exec: {path: ./run.sh}\n",
        "plugin",
    ),
    "an option in place of a chart": ("helmCharts: [{name: a, releaseName: --post-renderer=run}]\n", "dash"),
    "Helm plugins": ("helmGlobals: {configHome: h}\nhelmCharts: [{name: a}]\n", "configHome"),
    "a chart without helm": (
        "helmCharts: [{name: a, version: '1', repo: 'https://charts.example.com'}]\n",
        "helm is not",
    ),
    "an unknown field": ("resource: [a.yaml]\n", 'unknown field "resource"'),
    "a broken resource": ("resources: [../broken.yaml]\n", "broken.yaml"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_build_says_why_it_refuses(tmp_path: Path, case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text, message = REFUSED[case]
    write(tmp_path, {**kustomization(text), "w/broken.yaml": "kind: [\n", "w/k/run.sh": "#!/bin/sh\ntouch ran\n"})
    (tmp_path / "w/k/run.sh").chmod(0o755)
    monkeypatch.setattr(kustomize.shutil, "which", lambda name: None)
    with pytest.raises(StepErrored) as caught:
        await run_step("kustomize-build", {"path": "k", "outPath": "o"}, step_context(tmp_path / "w"))
    assert message in str(caught.value)
    assert str(tmp_path) not in str(caught.value)
    assert not any(name.endswith("ran") for name in tree(tmp_path))


HELM = """#!/bin/sh
echo "$@" >> "$(dirname "$0")/calls"
case "$1" in
  version) echo v3.19.0 ;;
  template) printf 'apiVersion: v1\\nkind: ConfigMap\\nmetadata:\\n  name: from-chart\\n' ;;
esac
"""


async def test_build_inflates_charts_with_the_options_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"bin/helm": HELM})
    helm = tmp_path / "bin/helm"
    helm.chmod(0o755)
    monkeypatch.setattr(kustomize.shutil, "which", lambda name: str(helm))
    chart = {"w/k/charts/app/Chart.yaml": "name: app\n", "w/k/charts/app/values.yaml": "a: 1\n"}
    write(tmp_path, kustomization("helmCharts: [{name: app}]\n") | chart)
    config = {
        "path": "k",
        "outPath": "o",
        "plugin": {"helm": {"apiVersions": ["a/v1", "b/v1"], "kubeVersion": "1.30.0"}},
    }
    await run_step("kustomize-build", config, step_context(tmp_path / "w"))
    assert list(tree(tmp_path / "w/o")) == ["configmap-from-chart.yaml"]
    [call] = [line for line in (tmp_path / "bin/calls").read_text().splitlines() if line.startswith("template")]
    for option in ("--api-versions a/v1", "--api-versions b/v1", "--kube-version 1.30.0"):
        assert option in call


async def test_two_resources_of_one_file_name_are_not_lost(tmp_path: Path) -> None:
    service = "apiVersion: {}\nkind: Service\nmetadata: {{name: a}}\n"
    write(
        tmp_path,
        {
            "k/kustomization.yaml": "resources: [a.yaml, b.yaml]\n",
            "k/a.yaml": service.format("v1"),
            "k/b.yaml": service.format("serving.knative.dev/v1"),
        },
    )
    with pytest.raises(StepErrored, match=r"two resources would be written to service-a\.yaml"):
        await run_step("kustomize-build", {"path": "k", "outPath": "o"}, step_context(tmp_path))


async def test_a_link_in_the_output_directory_is_replaced_not_followed(tmp_path: Path) -> None:
    write(tmp_path, {"secret": "keep", **{f"w/{name}": text for name, text in SOURCE.items()}})
    (tmp_path / "w/out").mkdir()
    (tmp_path / "w/out/clusterrole-reader.yaml").symlink_to(tmp_path / "secret")
    await run_step("kustomize-build", {"path": "src/env/dev", "outPath": "out"}, step_context(tmp_path / "w"))
    assert (tmp_path / "secret").read_text() == "keep"
    assert (tmp_path / "w/out/clusterrole-reader.yaml").read_text() == CLUSTER_ROLE


async def test_an_output_that_leads_out_by_a_link_is_refused(tmp_path: Path) -> None:
    write(tmp_path, {f"w/{name}": text for name, text in SOURCE.items()})
    (tmp_path / "w/out").symlink_to(tmp_path)
    with pytest.raises(StepFailed, match="leads out"):
        await run_step("kustomize-build", {"path": "src/env/dev", "outPath": "out"}, step_context(tmp_path / "w"))


async def test_a_long_message_is_shortened(tmp_path: Path) -> None:
    write(
        tmp_path,
        {"k/kustomization.yaml": f"resources: [{'a' * 200}.yaml]\nx: {'y' * 9000}\n"} | {f"k/{'a' * 200}.yaml": ""},
    )
    with pytest.raises(StepErrored) as caught:
        await run_step("kustomize-build", {"path": "k", "outPath": "o"}, step_context(tmp_path))
    assert len(str(caught.value)) < MAX_MESSAGE + 200
