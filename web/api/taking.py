"""Takes manifests: applies them as one set, and says of each what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from model.freight_choice import Choice
from model.projects import Action
from starter.errors import InvalidManifests, NotFound, Refused, TowpathError
from starter.shapes import Resource
from web.api.caller import Caller
from web.api.errors import Unfit, sentence_of
from web.api.manifests import Manifest, as_files
from web.api.stages import admitted
from web.board.versions import versioned

#: Kinds that live where the workers are, and are no workflow's to hold.
_WORKERS = ("Secret", "ConfigMap")
#: Kinds that are asked for rather than applied.
_ASKED = ("Promotion", "Freight")


@dataclass
class Taken:
    """What became of a set of manifests."""

    results: list[Resource]
    warnings: list[str] = field(default_factory=list)


async def take(caller: Caller, manifests: list[Manifest], *, create: bool, update: bool) -> Taken:
    """Makes what isn't there (`create`) and changes what is (`update`).

    A single manifest's error is raised; of several, each has its own. Raises TowpathError, Unfit.
    """
    single = len(manifests) == 1
    taken = Taken([{} for _ in manifests])
    places = {id(manifest): place for place, manifest in enumerate(manifests)}

    def note(manifest: Manifest, result: Resource) -> None:
        taken.results[places[id(manifest)]] = result

    def complain(manifest: Manifest, error: TowpathError | Unfit) -> None:
        if single:
            raise error
        note(manifest, {"error": error.detail if isinstance(error, Unfit) else sentence_of(error)})

    applied: list[Manifest] = []
    for manifest in manifests:
        if manifest.kind in _WORKERS:
            complain(manifest, Unfit(501, f"{manifest}: {manifest.kind}s are not held by Towpath's workflows"))
        elif manifest.kind not in _ASKED:
            applied.append(manifest)
    try:
        applied = await _fitting(caller, applied, complain, create=create, update=update)
        changed = await caller.towpath.apply(as_files(applied)) if applied else None
    except InvalidManifests as error:
        if single:
            raise
        for manifest in applied:
            note(manifest, {"error": _about(manifest, error.problems)})
        changed, applied = None, []
    if changed is not None:
        taken.warnings = changed.warnings
        actions = {(change.kind, change.name, change.project): change.action for change in changed.changes}
        for manifest in applied:
            new = actions.get(_key(manifest)) is Action.CREATED
            shown = {key: value for key, value in manifest.value.items() if key != "status"}
            note(manifest, {"createdResourceManifest" if new else "updatedResourceManifest": shown})
            caller.boards.wrote(manifest.project, manifest.kind, manifest.name)
            caller.boards.wrote(manifest.project)
    for manifest in manifests:
        if manifest.kind in _ASKED:
            try:
                note(manifest, {"createdResourceManifest": await _ask(caller, manifest)})
            except (TowpathError, Unfit) as error:
                complain(manifest, error)
    return taken


async def _fitting(
    caller: Caller, manifests: list[Manifest], complain: object, *, create: bool, update: bool
) -> list[Manifest]:
    """Those that may be made or changed, as it was asked. Raises InvalidManifests for the set."""
    if not manifests or (create and update):
        return manifests
    foreseen = await caller.towpath.apply(as_files(manifests), dry_run=True)
    actions = {(change.kind, change.name, change.project): change.action for change in foreseen.changes}
    fitting = []
    assert callable(complain)
    for manifest in manifests:
        there = actions.get(_key(manifest)) is not Action.CREATED
        if there and not update:
            complain(manifest, Refused(f"{manifest} already exists"))
        elif not there and not create:
            complain(manifest, NotFound(f"{manifest} does not exist"))
        else:
            fitting.append(manifest)
    return fitting


def _key(manifest: Manifest) -> tuple[str, str, str]:
    return manifest.kind, manifest.name, manifest.project


def _about(manifest: Manifest, problems: list[str]) -> str:
    mine = [problem for problem in problems if f"{manifest.kind}/{manifest.name}:" in problem]
    return "; ".join(mine) or f"{manifest} was not applied: other manifests of the request have problems"


async def _ask(caller: Caller, manifest: Manifest) -> Resource:
    """A Promotion, or Freight, by its manifest."""
    if manifest.kind == "Promotion":
        spec = manifest.value.get("spec")
        freight = spec.get("freight") if isinstance(spec, dict) else None
        if not manifest.stage or not isinstance(freight, str) or not freight:
            raise InvalidManifests([f"{manifest}: spec.stage and spec.freight are needed"])
        await caller.towpath.get_stage(manifest.project, manifest.stage)
        admission = await caller.towpath.promote(manifest.project, manifest.stage, freight=freight)
        return await admitted(caller, manifest.project, manifest.stage, admission)
    origin = manifest.value.get("origin")
    warehouse = origin.get("name") if isinstance(origin, dict) else None
    if not isinstance(warehouse, str) or not warehouse:
        raise InvalidManifests([f"{manifest}: origin.name, the Warehouse, is needed"])
    alias = manifest.value.get("alias")
    created = await caller.towpath.create_freight(
        manifest.project, warehouse, _choices(manifest), alias if isinstance(alias, str) else ""
    )
    caller.boards.wrote(manifest.project, "Warehouse", warehouse)
    return caller.shown(versioned(await caller.towpath.get_freight(manifest.project, created.name)))


def _choices(manifest: Manifest) -> list[Choice]:
    """The artifacts that a Freight manifest names. Raises InvalidManifests."""
    try:
        choices = [
            Choice(kind="git", of=commit["repoURL"], version=commit["id"])
            for commit in manifest.value.get("commits") or []
        ]
        for image in manifest.value.get("images") or []:
            digest = image.get("digest") or ""
            version = f"{image['tag']}@{digest}" if digest else image["tag"]
            choices.append(Choice(kind="image", of=image["repoURL"], version=version))
        for chart in manifest.value.get("charts") or []:
            of = f"{chart['repoURL']}/{chart['name']}" if chart.get("name") else chart["repoURL"]
            choices.append(Choice(kind="chart", of=of, version=chart["version"]))
    except (KeyError, TypeError, AttributeError, ValueError):
        raise InvalidManifests([f"{manifest}: commits, images or charts are not as Freight has them"]) from None
    return choices
