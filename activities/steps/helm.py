"""Helm steps: `helm-template` and `helm-update-chart` (Kargo: pkg/promotion/runner/builtin)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import Field

from activities.charts import MAX_RENDERED, ChartError, Dependency, check_reach, dated, dependencies, helm, text_of
from activities.steps.registry import StepConfig, StepContext, StepErrored, StepFailed, StepOutput, step
from activities.yaml_documents import InvalidYaml, document
from activities.yaml_edit import NoSuchKey, set_scalars
from model.steps import Effect


class SetValue(StepConfig):
    """One value, as `helm template --set` takes it."""

    #: The key, its parts parted by dots.
    key: str = Field(min_length=1)
    #: The value.
    value: str
    #: Take the value for a text, whatever it looks like.
    literal: bool = False


class HelmTemplateConfig(StepConfig):
    """Kargo: schemas/helm-template-config.json."""

    #: The chart.
    path: str = Field(min_length=1)
    #: A file (.yaml, .yml), or a directory.
    out_path: str = Field(min_length=1)
    #: Files of a directory: as the chart names them, below its name; or one per resource.
    out_layout: Literal["helm", "flat"] = "helm"
    #: Name of the release.
    release_name: str = Field(min_length=1)
    #: Name the directory in outPath after the release, not the chart.
    use_release_name: bool = False
    #: Namespace of the release; the Project's name unless given.
    namespace: str = ""
    #: Files of values, the later over the earlier.
    values_files: list[str] = Field(default_factory=list)
    #: Leave out files of values that are not there.
    ignore_missing_value_files: bool = False
    #: Values over those of the files.
    set_values: list[SetValue] = Field(default_factory=list)
    #: Fetch what the chart depends on first.
    build_dependencies: bool = False
    #: Render the chart's custom resource definitions too.
    include_crds: bool = Field(default=False, alias="includeCRDs")
    #: Leave out hooks.
    disable_hooks: bool = False
    #: Leave out tests.
    skip_tests: bool = False
    #: Version of Kubernetes that the chart shall see.
    kube_version: str = ""
    #: API versions that the chart shall see.
    api_versions: list[str] = Field(default_factory=list)


@step("helm-template", config=HelmTemplateConfig, effect=Effect.WORKSPACE)
async def helm_template(config: HelmTemplateConfig, context: StepContext) -> None:
    """Render a Helm chart to one file, or to a directory.

    Needs the helm program on the worker's PATH. It sees no cluster, no plugins, and no file outside the workspace.
    """
    chart, out = context.path(config.path), context.path(config.out_path)
    whole = out.suffix in (".yaml", ".yml")
    options = [
        f"--namespace={config.namespace or context.project}",
        *(f"--values={name}" for name in _values(config, context)),
        *(f"--set{'-literal' if item.literal else ''}={item.key}={item.value}" for item in config.set_values),
        *(f"--api-versions={version}" for version in config.api_versions),
    ]
    if config.kube_version:
        options.append(f"--kube-version={config.kube_version}")
    for wanted, option in (
        (config.include_crds, "--include-crds"),
        (config.disable_hooks, "--no-hooks"),
        (config.skip_tests, "--skip-tests"),
    ):
        options += [option] if wanted else []
    if not whole and config.out_layout == "helm":
        options += [f"--output-dir={out}", *(["--release-name"] if config.use_release_name else [])]
    settings = context.outside.settings
    try:
        async with helm(context.workspace, settings.plain_http_registries) as program:
            await asyncio.to_thread(check_reach, chart, context.workspace, local=config.build_dependencies)
            if not whole:
                await asyncio.to_thread(check_reach, out, context.workspace)
            needed = await asyncio.to_thread(dependencies, chart / "Chart.yaml") if config.build_dependencies else []
            if needed:
                await program.resolve("build", chart, context.project, context.outside.credentials)
                await asyncio.to_thread(_date_lock, chart, context)
            rendered = await program.run("template", *options, "--", config.release_name, str(chart))
        if whole:
            await asyncio.to_thread(_write, out, rendered)
        elif config.out_layout == "flat":
            await asyncio.to_thread(_write_resources, out, rendered.decode())
    except FileNotFoundError:
        raise StepErrored(f"there is no Chart.yaml in {config.path}") from None
    except (ChartError, UnicodeDecodeError) as error:
        raise StepErrored(f"helm template of {config.path}: {error}") from error
    except OSError as error:
        raise StepErrored(f"{config.out_path} can't be written: {error.strerror or error}") from error


def _values(config: HelmTemplateConfig, context: StepContext) -> Iterable[Path]:
    for name in config.values_files:
        path = context.path(name)
        # helm takes what a comma parts for several files, wherever they are.
        if set(str(path)) & set(',"\n\r'):
            raise StepFailed(f"valuesFiles: a file's name can't hold commas, quotes or line breaks: {name!r}")
        if config.ignore_missing_value_files and not path.exists():
            continue
        yield path


def _write(path: Path, content: bytes) -> None:
    """Write a file in place of whatever is there; a symbolic link is replaced, not followed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink():
        path.unlink()
    path.write_bytes(content)


def _write_resources(directory: Path, rendered: str) -> None:
    """One file per resource, as Kargo names them: `[<group>-]<kind>[-<namespace>]-<name>.yaml`, in lower case."""
    written: set[str] = set()
    for text in re.split(r"(?m)^---[ \t]*$", rendered):
        try:
            resource = document(text, MAX_RENDERED)
        except InvalidYaml as error:
            raise ChartError(f"a rendered resource is not valid YAML: {error}") from error
        if resource is None:
            continue
        name = _file_name(resource) or f"resource-{len(written)}.yaml"
        if "/" in name or "\\" in name or "\0" in name:
            raise ChartError(f"a resource's name gives {name!r}, which can't be a file's name")
        if name in written:
            raise ChartError(f"two resources would be written to {name}: render to one file")
        written.add(name)
        _write(directory / name, text.strip().encode() + b"\n")


def _file_name(resource: object) -> str | None:
    metadata = resource.get("metadata") if isinstance(resource, dict) else None
    if not isinstance(resource, dict) or not isinstance(metadata, dict):
        return None
    kind, name = resource.get("kind"), metadata.get("name")
    if not kind or not name:
        return None
    group = str(resource.get("apiVersion") or "").rpartition("/")[0].replace(".", "_")
    parts = [group, kind, metadata.get("namespace"), name]
    return "-".join(str(part) for part in parts if part).lower() + ".yaml"


class ChartUpdate(StepConfig):
    """A dependency, and the version it shall have."""

    #: The dependency's repository, as Chart.yaml has it.
    repository: str = Field(min_length=1)
    #: The dependency's name, as Chart.yaml has it.
    name: str = Field(min_length=1)
    #: The version to set.
    version: str = Field(min_length=1)


class HelmUpdateChartConfig(StepConfig):
    """Kargo: schemas/helm-update-chart-config.json."""

    #: The directory of the chart.
    path: str = Field(min_length=1)
    #: The dependencies to set. Without any, all are brought to the newest version that Chart.yaml allows.
    charts: list[ChartUpdate] | None = Field(default=None, min_length=1)


class HelmUpdateChartOutput(StepOutput):
    """A fragment for git-commit's message; None where Chart.lock stays as it was."""

    #: A message that says which dependencies changed, and how.
    commit_message: str | None = None


@step("helm-update-chart", config=HelmUpdateChartConfig, output=HelmUpdateChartOutput, effect=Effect.WORKSPACE)
async def helm_update_chart(config: HelmUpdateChartConfig, context: StepContext) -> HelmUpdateChartOutput:
    """Set the versions of a chart's dependencies in Chart.yaml, and bring Chart.lock and charts/ up to date.

    Needs the helm program on the worker's PATH. Chart.lock is dated with the step's start: a rebuild makes the same.
    """
    chart = context.path(config.path)
    try:
        async with helm(context.workspace, context.outside.settings.plain_http_registries) as program:
            await asyncio.to_thread(check_reach, chart, context.workspace, local=True)
            await asyncio.to_thread(_set_versions, chart / "Chart.yaml", config.charts or [])
            before, text = await asyncio.to_thread(_locked, chart)
            await program.resolve("update", chart, context.project, context.outside.credentials)
            after, _ = await asyncio.to_thread(_locked, chart)
            if before == after and text is not None:
                # Helm dates it anew though nothing in it changed.
                await asyncio.to_thread((chart / "Chart.lock").write_bytes, text.encode())
            else:
                await asyncio.to_thread(_date_lock, chart, context)
    except FileNotFoundError:
        raise StepErrored(f"there is no Chart.yaml in {config.path}") from None
    except (ChartError, NoSuchKey, InvalidYaml) as error:
        raise StepErrored(f"chart {config.path}: {error}") from error
    except OSError as error:
        raise StepErrored(f"chart {config.path} can't be changed: {error.strerror or error}") from error
    return HelmUpdateChartOutput(commit_message=commit_message(config.path, before, after))


def _set_versions(path: Path, updates: Iterable[ChartUpdate]) -> None:
    present = dependencies(path)
    changes = []
    for update in updates:
        places = [
            place
            for place, dependency in enumerate(present)
            if (dependency.name, dependency.repository) == (update.name, update.repository)
        ]
        if not places:
            raise ChartError(f"Chart.yaml has no dependency {update.name} from the repository {update.repository}")
        if present[places[0]].version != update.version:
            changes.append((f"dependencies.{places[0]}.version", update.version))
    if changes:
        path.write_bytes(set_scalars(text_of(path), changes).encode())


def _locked(chart: Path) -> tuple[list[Dependency], str | None]:
    """What Chart.lock holds, and its text; nothing where there is none."""
    try:
        return dependencies(chart / "Chart.lock"), text_of(chart / "Chart.lock")
    except FileNotFoundError:
        return [], None


def _date_lock(chart: Path, context: StepContext) -> None:
    _, text = _locked(chart)
    if text is not None:
        (chart / "Chart.lock").write_bytes(dated(text, context.started_at).encode())


def commit_message(path: str, before: Iterable[Dependency], after: Iterable[Dependency]) -> str | None:
    """The message fragment that says what changed in Chart.lock; None where nothing did."""
    old, new = ({dependency.name: dependency.version for dependency in locked} for locked in (before, after))
    lines = []
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            change = f"{old[name]} -> {new[name]}" if name in old and name in new else new.get(name, "removed")
            lines.append(f"- {name}: {change}")
    return "\n".join([f"Updated chart dependencies for {path}", "", *lines]) if lines else None
