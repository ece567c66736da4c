"""`towpath create`: Freight by hand."""

from __future__ import annotations

import click

from model.freight_choice import ArtifactKind, Choice
from starter import options
from starter.session import Session, asynchronous


@click.group()
def command() -> None:
    """Make Freight by hand.

    \b
    Examples:
      towpath create freight -p guestbook --warehouse guestbook --image ghcr.io/akuity/guestbook=v0.1.0
    """


def _choices(kind: ArtifactKind, values: tuple[str, ...]) -> list[Choice]:
    """`repository=version` taken apart at the last `=`."""
    choices = []
    for value in values:
        of, equals, version = value.rpartition("=")
        if not (of and equals and version):
            option = "--commit" if kind == "git" else f"--{kind}"
            raise click.UsageError(f"{option} {value}: write it as REPOSITORY=VERSION, or SUBSCRIPTION=VERSION")
        choices.append(Choice(kind=kind, of=of, version=version))
    return choices


@command.command("freight")
@options.project_option
@click.option(
    "--warehouse", required=True, shell_complete=options.complete_names("warehouses"), help="The Warehouse it is of."
)
@click.option("--image", "images", multiple=True, metavar="REPO=TAG", help="An image, by tag or tag@digest.")
@click.option("--commit", "commits", multiple=True, metavar="REPO=ID", help="A commit, by id or tag.")
@click.option("--chart", "charts", multiple=True, metavar="REPO=VERSION", help="A chart, by version.")
@click.option("--artifact", "artifacts", multiple=True, metavar="NAME=VERSION", help="Another artifact, by version.")
@click.option("--alias", default="", help="Its alias, unique in the Project. Made up where none is given.")
@asynchronous
async def freight(
    session: Session,
    project: str,
    warehouse: str,
    images: tuple[str, ...],
    commits: tuple[str, ...],
    charts: tuple[str, ...],
    artifacts: tuple[str, ...],
    alias: str,
) -> None:
    """Make Freight of artifacts that a Warehouse has found.

    Say one artifact for each of its subscriptions, by repository or by the subscription's name. What was not found can
    be given whole: an image by tag@sha256:..., a commit by its whole id.

    \b
    Examples:
      towpath create freight -p guestbook --warehouse guestbook --image ghcr.io/akuity/guestbook=v0.1.0
      towpath create freight -p shop --warehouse shop --image web=v2.0.1 --commit https://example.com/shop.git=4f2c1a9
    """
    choices = [
        *_choices("image", images),
        *_choices("git", commits),
        *_choices("chart", charts),
        *_choices("artifact", artifacts),
    ]
    if not choices:
        raise click.UsageError("say at least one of --image, --commit, --chart and --artifact")
    towpath = await session.connect()
    created = await towpath.create_freight(project, warehouse, choices, alias)
    click.echo(f"freight {created.name} created with the alias {created.alias}")
