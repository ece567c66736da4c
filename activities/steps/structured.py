"""Steps on YAML, JSON, TOML and HCL files: `yaml-update`, `yaml-parse`, `yaml-merge`, `json-update`, `json-parse`,
`toml-update`, `toml-parse`, `hcl-update`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import Field

from activities.hcl_edit import InvalidHcl, hcl_scalar, set_hcl_values
from activities.json_edit import InvalidJson, set_value
from activities.steps.registry import StepConfig, StepContext, StepErrored, StepOutput, step
from activities.toml_edit import InvalidToml, parse_toml, set_toml_scalars, toml_scalar
from activities.yaml_documents import InvalidYaml, document, documents, dump, with_string_keys
from activities.yaml_edit import NoSuchKey, number, scalar, set_scalars
from expressions.errors import ExpressionError, Fault
from expressions.evaluator import compile_expression
from expressions.json_text import from_json, to_json
from expressions.limits import Budget
from model.base import Json
from model.steps import Effect

#: The largest file that is read, in bytes.
MAX_SIZE = 16 * 1024 * 1024


class Update(StepConfig):
    """A dotted key, and its new value: text, number, bool or null."""

    #: Where: keys and places in lists, joined by dots; a dot in a key is written `\.`.
    key: str = Field(min_length=1)
    #: The new value: text, number, bool or null.
    value: Json


class UpdateConfig(StepConfig):
    """Config of `yaml-update`, `json-update`, `toml-update` and `hcl-update`."""

    #: The file.
    path: str = Field(min_length=1)
    #: What to set.
    updates: list[Update] = Field(min_length=1)


class Rule(StepConfig):
    """An output, and the expression that finds it: the document's keys are its variables."""

    #: Name of the output.
    name: str = Field(min_length=1)
    #: Expression on the document, whose keys are its variables.
    from_expression: str = Field(min_length=1)


class ParseConfig(StepConfig):
    """Config of `yaml-parse`, `json-parse` and `toml-parse`."""

    #: The file.
    path: str = Field(min_length=1)
    #: What to read.
    outputs: list[Rule] = Field(min_length=1)


class MergeConfig(StepConfig):
    """Config of `yaml-merge`. Later files win."""

    #: Files to merge, the strongest last.
    in_files: list[str] = Field(min_length=1)
    #: The file to write.
    out_file: str = Field(min_length=1)
    #: Leave out files that aren't there; otherwise the step fails.
    ignore_missing_files: bool = False


class CommitMessage(StepOutput):
    """A fragment for git-commit's message; None when nothing was done."""

    #: A message that says what was changed.
    commit_message: str | None = None


@step("yaml-update", config=UpdateConfig, output=CommitMessage, effect=Effect.WORKSPACE)
async def yaml_update(config: UpdateConfig, context: StepContext) -> CommitMessage:
    """Set values that are there already, each in its place; everything else in the file stays as it is."""
    updates = [(update.key, update.value) for update in config.updates]
    await asyncio.to_thread(_rewritten, context.path(config.path), config.path, lambda text: set_scalars(text, updates))
    return _message(config, lambda value: scalar(value) if isinstance(value, str) else _plain(value))


@step("json-update", config=UpdateConfig, output=CommitMessage, effect=Effect.WORKSPACE)
async def json_update(config: UpdateConfig, context: StepContext) -> CommitMessage:
    """Set values, or add them where they are missing; `-1` appends to a list."""

    def change(text: str) -> str:
        for update in config.updates:
            if not isinstance(update.value, str | int | float):
                raise NoSuchKey(f"key {update.key!r}: the new value must be text, a number or a bool")
            text = set_value(text, update.key, update.value)
        return text

    await asyncio.to_thread(_rewritten, context.path(config.path), config.path, change)
    return _message(
        config, lambda value: json.dumps(value, ensure_ascii=False) if isinstance(value, str) else _plain(value)
    )


def _plain(value: Json) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return number(value)
    return json.dumps(value)


def _message(config: UpdateConfig, written: Callable[[Json], str]) -> CommitMessage:
    lines = [f"- {update.key}: {written(update.value)}" for update in config.updates]
    return CommitMessage(commit_message="\n".join([f"Updated {config.path}", "", *lines]))


@step("yaml-parse", config=ParseConfig, effect=Effect.WORKSPACE)
async def yaml_parse(config: ParseConfig, context: StepContext) -> dict[str, Json]:
    """Read values of a YAML file's first document by expressions."""

    def parse(text: str) -> Json:
        return with_string_keys(next(documents(text), None))

    return await asyncio.to_thread(_outputs, context.path(config.path), config, parse)


@step("json-parse", config=ParseConfig, effect=Effect.WORKSPACE)
async def json_parse(config: ParseConfig, context: StepContext) -> dict[str, Json]:
    """Read values of a JSON file by expressions."""
    return await asyncio.to_thread(_outputs, context.path(config.path), config, from_json)


@step("toml-update", config=UpdateConfig, output=CommitMessage, effect=Effect.WORKSPACE)
async def toml_update(config: UpdateConfig, context: StepContext) -> CommitMessage:
    """Set values that are there already, each in its place; every other byte of the file stays as it is."""
    updates = [(update.key, update.value) for update in config.updates]
    await asyncio.to_thread(
        _rewritten, context.path(config.path), config.path, lambda text: set_toml_scalars(text, updates)
    )
    return _message(config, toml_scalar)


@step("toml-parse", config=ParseConfig, effect=Effect.WORKSPACE)
async def toml_parse(config: ParseConfig, context: StepContext) -> dict[str, Json]:
    """Read values of a TOML file by expressions; dates and times are texts."""
    return await asyncio.to_thread(_outputs, context.path(config.path), config, parse_toml)


@step("hcl-update", config=UpdateConfig, output=CommitMessage, effect=Effect.WORKSPACE)
async def hcl_update(config: UpdateConfig, context: StepContext) -> CommitMessage:
    """Set values of attributes that are there already; every other byte of the file stays as it is.

    A key names blocks by type and labels, then attributes, keys of objects and places in lists:
    `resource.aws_lambda_function.app.image_uri`. Of blocks that are named alike a place tells which: `ingress.1.port`.
    Whatever stands there is replaced, other than a list, object or block; `${` in a new text is text.
    """
    updates = [(update.key, update.value) for update in config.updates]
    await asyncio.to_thread(
        _rewritten, context.path(config.path), config.path, lambda text: set_hcl_values(text, updates)
    )
    return _message(config, hcl_scalar)


def _outputs(path: Path, config: ParseConfig, parse: Callable[[str], Json]) -> dict[str, Json]:
    text = _read(path, config.path)
    if not text:
        raise StepErrored(f"{config.path} is empty")
    try:
        data = parse(text)
    except ValueError as error:
        raise StepErrored(f"{config.path} can't be read: {error}") from error
    outputs = {}
    for rule in config.outputs:
        try:
            value = compile_expression(rule.from_expression).run(data)
            outputs[rule.name] = from_json(to_json(value, Budget()))
        except ExpressionError as error:
            raise StepErrored(str(error.within(f"output {rule.name}"))) from error
        except (Fault, ValueError) as error:
            raise StepErrored(f"output {rule.name} can't be written as JSON: {error}") from error
    return outputs


@step("yaml-merge", config=MergeConfig, output=CommitMessage, effect=Effect.WORKSPACE)
async def yaml_merge(config: MergeConfig, context: StepContext) -> CommitMessage:
    """Merge YAML files into one: mappings are merged deeply, null removes, all else is replaced by the later file's."""
    paths = [(context.path(name), name) for name in config.in_files]
    used = await asyncio.to_thread(_merged, paths, context.path(config.out_file), config)
    if not used:
        return CommitMessage()
    if len(used) == 1:
        return CommitMessage(commit_message=f"Wrote {used[0]} to {config.out_file}")
    lines = [f"Merged {len(used)} YAML files to {config.out_file}", *(f"- {name}" for name in used)]
    return CommitMessage(commit_message="\n".join(lines))


def _merged(paths: Sequence[tuple[Path, str]], out: Path, config: MergeConfig) -> list[str]:
    """Write the merged file; returns the names of those that were there."""
    used, texts = [], []
    for path, name in paths:
        if not path.exists():
            if config.ignore_missing_files:
                continue
            raise StepErrored(f"{name} is not there; with ignoreMissingFiles: true it would be left out")
        used.append(name)
        text = _read(path, name)
        try:
            content = document(text)
        except InvalidYaml as error:
            raise StepErrored(f"{name} is not valid YAML: {error}") from error
        if content is not None:
            texts.append((text, content))
    if len(texts) == 1:
        written = texts[0][0]  # alone it keeps its comments
    else:
        result: Json = texts[0][1] if texts else None
        for _, content in texts[1:]:
            result = merge(result, content)
        written = dump(result) if texts else ""
    _write(out, config.out_file, written)
    return used


def merge(present: Json, later: Json) -> Json:
    """Two values merged as kustomize's merge2 does without a schema."""
    if not isinstance(present, dict) or not isinstance(later, dict):
        return later
    result = dict(present)
    for key, value in later.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result[key], value) if key in result else value
    return result


def _rewritten(path: Path, name: str, change: Callable[[str], str]) -> None:
    text = _read(path, name)
    try:
        changed = change(text)
    except (NoSuchKey, InvalidYaml, InvalidJson, InvalidToml, InvalidHcl) as error:
        raise StepErrored(f"{name}: {error}") from error
    if changed != text:
        _write(path, name, changed)


def _read(path: Path, name: str) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_SIZE + 1)
        if len(data) > MAX_SIZE:
            raise StepErrored(f"{name} is larger than {MAX_SIZE} bytes")
        return data.decode()
    except UnicodeDecodeError as error:
        raise StepErrored(f"{name} is not UTF-8 text") from error
    except OSError as error:
        raise StepErrored(f"{name} can't be read: {error.strerror}") from error


def _write(path: Path, name: str, text: str) -> None:
    # Bytes: line ends stay as they are.
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    except OSError as error:
        raise StepErrored(f"{name} can't be written: {error.strerror}") from error
