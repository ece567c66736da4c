"""Options that many commands share, spelled as in Kargo's and Kubernetes' command lines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from starter.configuration import load_configuration
from starter.errors import TowpathError
from starter.kinds import spellings
from starter.output import Format

F = TypeVar("F", bound=Callable[..., Any])

#: What is said where a Project matters, and none is named.
NO_PROJECT = "no project: say --project, set TOWPATH_PROJECT, or choose one with `towpath config set-project NAME`"


def _default_project(context: click.Context, parameter: click.Parameter, value: str | None) -> str:
    return value if value is not None else load_configuration().project


def _needed_project(context: click.Context, parameter: click.Parameter, value: str | None) -> str:
    project = _default_project(context, parameter, value)
    if not project and not context.resilient_parsing:
        raise click.UsageError(NO_PROJECT, context)
    return project


def complete_kinds(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Completion by the kinds of resources."""
    return [spelling for spelling in spellings() if spelling.startswith(incomplete)]


def complete_names(plural: str) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """Completion by the names of what there is; silent where no server answers."""

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
        # Imported here: the command modules import this one.
        from starter.completion import names_of

        try:
            project = context.params.get("project") or load_configuration().project
        except TowpathError:
            return []
        return [name for name in names_of(plural, project) if name.startswith(incomplete)]

    return complete


project_option = click.option(
    "-p",
    "--project",
    envvar="TOWPATH_PROJECT",
    callback=_needed_project,
    shell_complete=complete_names("projects"),
    help="The Project; by default the one chosen with `towpath config set-project`.",
)

optional_project_option = click.option(
    "-p",
    "--project",
    envvar="TOWPATH_PROJECT",
    callback=_default_project,
    shell_complete=complete_names("projects"),
    help="The Project, where one matters; by default the one chosen with `towpath config set-project`.",
)

stage_option = click.option("--stage", shell_complete=complete_names("stages"), help="The Stage.")

files_option = click.option(
    "-f",
    "--filename",
    "filenames",
    multiple=True,
    metavar="FILE|DIR|-",
    type=click.Path(allow_dash=True),
    help="A file or directory of manifests, or - for standard input. May be given many times.",
)

recursive_option = click.option(
    "-R", "--recursive", is_flag=True, help="Look into the directories below a directory as well."
)


def output_option(*formats: Format) -> Callable[[F], F]:
    """`-o`, with the formats that the command knows: all, unless named."""
    known = formats or tuple(Format)
    return click.option(
        "-o",
        "--output",
        type=click.Choice([entry.value for entry in known]),
        callback=lambda context, parameter, value: Format(value),
        default=known[0].value,
        show_default=True,
        help="How to print.",
    )


#: `-o` for commands that report what they did.
report_option = output_option(Format.TABLE, Format.JSON, Format.YAML, Format.NAME)


def freeze_options(command: F) -> F:
    """What a freeze is for: `--stage` of a Project, the Project, or `--all`."""
    everything = click.option("--all", "everything", is_flag=True, help="Everything, in all Projects.")
    stage = click.option(
        "--stage", default="", shell_complete=complete_names("stages"), help="One Stage of the Project."
    )
    return optional_project_option(stage(everything(command)))


def frozen_project(project: str, stage: str, everything: bool) -> str:
    """The Project meant, empty for everything. Raises UsageError where it isn't clear what is meant."""
    if everything:
        if stage:
            raise click.UsageError("--all goes without --stage")
        return ""
    if not project:
        raise click.UsageError("say what is meant: --stage and --project, --project, or --all")
    return project
