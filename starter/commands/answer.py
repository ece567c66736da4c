"""`towpath answer`: a promotion gets the values that it waits for."""

from __future__ import annotations

import click

from model.answer_schema import fields_of, typed
from model.base import Json
from model.questions import MAX_VALUES, Action, QuestionKind
from model.yaml_source import SourceError, read_documents
from starter import options
from starter.answering import answer, step_option
from starter.errors import InvalidInput
from starter.session import Session, asynchronous


@click.group()
def command() -> None:
    """Answer what a promotion asks.

    \b
    Examples:
      towpath answer promotion prod.01jd2v8m3k.8a1f3c2 -p guestbook --set ticket=OPS-17
    """


@command.command("promotion")
@click.argument("name", shell_complete=options.complete_names("promotions"))
@options.project_option
@step_option
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="FIELD=VALUE",
    help="A value, read as the type that the field has. May be given many times.",
)
@click.option(
    "-f",
    "--filename",
    "file",
    type=click.Path(allow_dash=True),
    help="A file with a YAML or JSON object of values, or - for standard input; --set goes over it.",
)
@asynchronous
async def promotion(
    session: Session, name: str, project: str, step: str, settings: tuple[str, ...], file: str | None
) -> None:
    """Give a promotion the values that its step get-user-input waits for.

    Without values it shows what is asked for.

    \b
    Examples:
      towpath answer promotion prod.01jd2v8m3k.8a1f3c2 -p guestbook
      towpath answer promotion prod.01jd2v8m3k.8a1f3c2 -p guestbook --set ticket=OPS-17 --set urgent=true
      towpath answer promotion prod.01jd2v8m3k.8a1f3c2 -p guestbook -f values.yaml
    """
    given = [_split(setting) for setting in settings]
    values = _read(file) if file is not None else {}
    towpath = await session.connect()
    record = await towpath.question(project, name, step)
    assert record.question is not None
    schema = record.question.input_schema
    if not given and file is None:
        click.echo(f"step {record.alias} {record.message}")
        if record.question.display:
            click.echo(record.question.display)
        if record.question.kind is QuestionKind.INPUT:
            for field in fields_of(schema):
                click.echo(f"  {field}")
        return
    values |= {field: typed(schema, field, text) for field, text in given}
    await answer(towpath, project, name, Action.INPUT, step=record.alias, values=values)


def _split(setting: str) -> tuple[str, str]:
    field, separator, text = setting.partition("=")
    if not separator or not field:
        raise click.UsageError(f"--set {setting}: expected FIELD=VALUE")
    return field, text


def _read(file: str) -> dict[str, Json]:
    try:
        with click.open_file(file) as stream:
            text = stream.read(MAX_VALUES + 1)
    except OSError as error:
        raise InvalidInput(f"{file} can't be read: {error.strerror}") from error
    if len(text) > MAX_VALUES:
        raise InvalidInput(f"{file} is larger than {MAX_VALUES} bytes")
    try:
        documents = [document.plain() for document in read_documents(text)]
    except SourceError as error:
        raise InvalidInput(f"{file}: line {error.line}: {error}") from error
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise InvalidInput(f"{file}: expected one object of values, FIELD: VALUE")
    return documents[0]
