"""The reference of steps: `python -m activities.steps.reference` rewrites docs/steps from the steps' own models.

A step's page is made of its function's docstring, its config and output models, and its example,
examples/steps/<name>.yaml. What other packages bring by entry points isn't described here.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from activities.annotations import cell, descriptions, is_list, models_in, name_of, type_words, value_words
from activities.steps.catalog import load_steps
from activities.steps.check import KARGO_STEPS
from activities.steps.registry import STEPS, Step
from model.base import format_duration
from model.steps import Effect

EXAMPLES = Path("examples/steps")
PAGES = Path("docs/steps")

_NOTICE = "Written by `python -m activities.steps.reference`; a test fails when it is out of date."
_EFFECTS = {
    Effect.WORKSPACE: "changes the workspace only; run again to rebuild it when the worker's host is lost",
    Effect.EXTERNAL: "changes the world outside; once its outcome is recorded it never runs again",
    Effect.PURE: "changes nothing; it computes outputs, waits, or ends the promotion",
}
_INDEX = f"""\
# Steps

{_NOTICE}

Names, configs and outputs are Kargo's. Every step may carry `as`, `if`, `vars`, `continueOnError` and `retry` as well.
Paths are those of the promotion's workspace: `/out` and `../out` are `out` in it, and nothing leads out of it. Values
may hold expressions, `${{{{ … }}}}`; the config is checked when manifests are applied, and again after its expressions
were evaluated.

| step | effect | what it does |
| --- | --- | --- |
"""


def own_steps() -> dict[str, Step]:
    """The steps of this package, by name."""
    load_steps()
    return {name: step for name, step in sorted(STEPS.items()) if step.run.__module__.startswith("activities.steps.")}


def pages(root: Path) -> dict[str, str]:
    """All pages by file name. `root` is the directory of the project, where the examples are."""
    steps = own_steps()
    rows = [
        f"| [{name}]({name}.md) | {step.kind.effect.value} | {cell(_says(step).partition(chr(10) * 2)[0])} |"
        for name, step in steps.items()
    ]
    missing = ", ".join(f"`{name}`" for name in sorted(KARGO_STEPS - STEPS.keys()))
    index = _INDEX + "\n".join(rows) + "\n"
    if missing:
        index += f"\nRefused so far, though Kargo has them, in its open-source or its paid edition: {missing}.\n"
    return {"README.md": index} | {f"{name}.md": page(step, root) for name, step in steps.items()}


def page(step: Step, root: Path) -> str:
    """One step's page."""
    sections = [
        f"# {step.name}",
        _NOTICE,
        _says(step),
        "\n".join(_nature(step)),
        "## Config",
        _config(step),
        "## Outputs",
        _outputs(step),
        "## Example",
        f"```yaml\n{example(step.name, root).strip()}\n```",
    ]
    return "\n\n".join(sections) + "\n"


def example(name: str, root: Path) -> str:
    """The example of a step: a YAML list of steps."""
    path = root / EXAMPLES / f"{name}.yaml"
    return path.read_text() if path.exists() else ""


def _says(step: Step) -> str:
    return inspect.getdoc(step.run) or ""


def _nature(step: Step) -> Iterator[str]:
    kind = step.kind
    yield f"- Effect: **{kind.effect.value}** ({_EFFECTS[kind.effect]})."
    if kind.polls:
        yield f"- It waits: asked again every {format_duration(kind.poll_interval)} unless it says otherwise."
    if kind.asks:
        yield "- It waits for people, for days if need be; nothing on a worker waits with it."
    timeout = f"{format_duration(kind.timeout)}, waiting included" if kind.timeout else "none"
    yield f"- Timeout unless `retry.timeout` says another: {timeout}."
    yield f"- Errors in a row that end it, unless `retry.errorThreshold` says another count: {kind.error_threshold}."


def _config(step: Step) -> str:
    rows = [f"| `{path}` | {kind} | {default} | {said} |" for path, kind, default, said in _fields(step.config, "")]
    free = step.config.model_config.get("extra") == "allow"
    if free or not rows:
        said = inspect.getdoc(step.config) or ""
        return said if free else "None."
    head = "| field | type | default | description |\n| --- | --- | --- | --- |\n"
    return head + "\n".join(rows)


def _fields(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, str, str, str]]:
    """Path, type, default and description of every field, those of the models it holds after it."""
    said = descriptions(model)
    for name, field in model.model_fields.items():
        path = prefix + name_of(name, field)
        default = "required" if field.is_required() else value_words(field.get_default(call_default_factory=True))
        yield path, cell(type_words(field.annotation)), default, cell(said.get(name, ""))
        for inner in models_in(field.annotation):
            yield from _fields(inner, f"{path}[]." if is_list(field.annotation) else f"{path}.")


def _outputs(step: Step) -> str:
    if step.output is not None:
        rows = [f"| `{path}` | {kind} | {said} |" for path, kind, _, said in _fields(step.output, "")]
        intro = inspect.getdoc(step.output) or ""
        return f"{intro}\n\n| output | type | description |\n| --- | --- | --- |\n" + "\n".join(rows)
    returns = inspect.signature(step.run).return_annotation
    return "None." if returns == "None" else "As the config says."


def main() -> None:
    """Rewrite all pages, and remove those of steps that are no more. Argument: the project's directory."""
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    directory = root / PAGES
    directory.mkdir(parents=True, exist_ok=True)
    written = pages(root)
    for old in directory.glob("*.md"):
        if old.name not in written:
            old.unlink()
    for name, text in written.items():
        (directory / name).write_text(text)


if __name__ == "__main__":
    main()
