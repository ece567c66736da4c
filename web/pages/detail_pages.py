"""A page for each Stage, Warehouse, piece of Freight, Promotion, verification; lists; settings. All are live."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Hashable, Mapping
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from model.base import Json, format_time
from model.names import promotion_id, verification_id
from model.roles import Verb
from model.roles import may as allows
from web.access.guard import grants_of, permit
from web.board.snapshot import Snapshot
from web.pages import states
from web.pages.artifacts import artifacts
from web.pages.cards import FreightCard, freight_card, piece, warehouse_card
from web.pages.discoveries import discoveries
from web.pages.events import events
from web.pages.live import stream
from web.pages.measurements import metric_views
from web.pages.reach import Where, reach
from web.pages.rendering import path, render
from web.pages.scene import Scene, Shot
from web.pages.site import Site, aliases_of, allowed, found, framed, newest_first, now
from web.pages.views import applications, downstream, history, issues, sources, step_views

#: Promotions and verifications in a list.
_LISTED = 200
#: Runs that are known to be over.
_REMEMBERED = 5000

Resource = Mapping[str, Json]


#: One kind of page, about the thing of a name: title, template, and what stands in it. Raises NotFound.
Detail: TypeAlias = Callable[[Snapshot, str, frozenset[Verb]], Awaitable[tuple[str, str, dict[str, object]]]]


class DetailPages:
    """The endpoints."""

    def __init__(self, site: Site) -> None:
        self._site = site
        #: Runs that are over: they are not looked at again.
        self._over: set[tuple[str, str]] = set()
        self._kinds: dict[str, tuple[Detail, Callable[[Snapshot, str], Hashable], str]] = {
            "stages": (self._stage, _marker_of_stage, "pipeline"),
            "warehouses": (self._warehouse, lambda snapshot, name: snapshot.version, "pipeline"),
            "freight": (self._freight, lambda snapshot, name: snapshot.version, "freight"),
            "promotions": (self._promotion, self._marker_of_run, "promotions"),
            "verifications": (self._verification, self._marker_of_run, "promotions"),
            "all-freight": (self._all_freight, lambda snapshot, name: snapshot.version, "freight"),
            "all-promotions": (self._all_promotions, _marker_of_promotions, "promotions"),
            "all-events": (self._events, lambda snapshot, name: snapshot.version, "events"),
            "settings": (self._settings, lambda snapshot, name: snapshot.version, "settings"),
        }

    def show(self, kind: str) -> Callable[[Request], Awaitable[Response]]:
        """The endpoint of a kind's page."""

        async def endpoint(request: Request) -> Response:
            project, name = request.path_params["project"], request.path_params.get("name", "")
            await permit(request, Verb.VIEW, project)
            snapshot = await self._site.boards.snapshot(project)
            shot, title = await self._shot(snapshot, kind, name, await self._may(request, snapshot, kind, name))
            return framed(
                request,
                "detail.html",
                project=project,
                tab=self._kinds[kind][2],
                title=title,
                live=f"{request.url.path}/live",
                digest=shot.digest,
                scene=shot.scene,
            )

        return endpoint

    def live(self, kind: str) -> Callable[[Request], Awaitable[Response]]:
        """The endpoint of its stream."""

        async def endpoint(request: Request) -> Response:
            project, name = request.path_params["project"], request.path_params.get("name", "")
            await permit(request, Verb.VIEW, project)
            snapshot = await self._site.boards.snapshot(project)
            may = await self._may(request, snapshot, kind, name)

            async def shoot(snapshot: Snapshot) -> Shot:
                return (await self._shot(snapshot, kind, name, may))[0]

            return stream(
                self._site.boards.changes(project),
                shoot,
                self._site.gallery.scene(request.query_params.get("digest", "")),
                lambda: permit(request, Verb.VIEW, project),
                leaving=getattr(request.app.state, "leaving", None),
                restless=kind in ("promotions", "verifications"),
            )

        return endpoint

    async def _may(self, request: Request, snapshot: Snapshot, kind: str, name: str) -> frozenset[Verb]:
        stage = name if kind == "stages" else ""
        if kind in ("promotions", "verifications"):
            stage = name.rsplit(".", 2)[0]
        return await allowed(request, snapshot.project, stage)

    async def _shot(self, snapshot: Snapshot, kind: str, name: str, may: frozenset[Verb]) -> tuple[Shot, str]:
        detail, marker, _ = self._kinds[kind]

        async def draw() -> Scene:
            title, template, values = await detail(snapshot, name, may)
            html = render(template, project=snapshot.project, may=may, title=title, **values)
            return Scene({"detail": html})

        shot = await self._site.gallery.shot((snapshot.project, kind, name, may), marker(snapshot, name), draw)
        return shot, name or kind.removeprefix("all-").capitalize()

    def _marker_of_run(self, snapshot: Snapshot, name: str) -> Hashable:
        """A run that is under way is looked at each second, as long as somebody looks."""
        return "over" if (snapshot.project, name) in self._over else int(time.monotonic())

    def _ended(self, project: str, name: str) -> None:
        if len(self._over) >= _REMEMBERED:
            self._over.clear()
        self._over.add((project, name))

    # The kinds

    async def _stage(self, snapshot: Snapshot, name: str, may: frozenset[Verb]) -> tuple[str, str, dict[str, object]]:
        stage = found("Stage", name, snapshot.project, snapshot.stages)
        aliases = aliases_of(snapshot)
        card = self._site.drawing(snapshot.project).stage_cards(snapshot)[name]
        lines = await self._site.towpath.promotion_lines(snapshot.project, name, limit=_LISTED)
        return (
            name,
            "stage.html",
            {
                "card": card,
                "stage": stage,
                "history": history(stage, aliases),
                "applications": applications(stage),
                "issues": issues(stage),
                "sources": sources(stage),
                "downstream": downstream(name, snapshot.stages),
                "promotions": [
                    (line, aliases.get(line.freight) or line.freight[:7], format_time(line.created_at))
                    for line in lines[:20]
                ],
                "frozen": [states.freeze_sentence(freeze) for freeze in states.freezes(stage)],
            },
        )

    async def _warehouse(
        self, snapshot: Snapshot, name: str, may: frozenset[Verb]
    ) -> tuple[str, str, dict[str, object]]:
        warehouse = found("Warehouse", name, snapshot.project, snapshot.warehouses)
        own = [
            snapshot.freight[freight]
            for freight in newest_first(snapshot.freight)
            if piece(snapshot.freight[freight], {}).origin == name
        ]
        return (
            name,
            "warehouse.html",
            {
                "card": warehouse_card(warehouse, len(own)),
                "warehouse": warehouse,
                "found": discoveries(warehouse, own, aliases_of(snapshot)),
                "freight": [self._card(snapshot, piece) for piece in own[:20]],
                "conditions": (warehouse.get("status") or {}).get("conditions") or [],
            },
        )

    async def _freight(self, snapshot: Snapshot, name: str, may: frozenset[Verb]) -> tuple[str, str, dict[str, object]]:
        freight = found("Freight", name, snapshot.project, snapshot.freight)
        verdicts = reach(freight, snapshot.stages, now())
        order = [Where.HERE, Where.COMING, Where.OPEN, Where.SOON, Where.PASSED, Where.CLOSED]
        return (
            str(freight.get("alias") or name[:7]),
            "freight.html",
            {
                "name": name,
                "freight": freight,
                "card": self._card(snapshot, freight),
                "artifacts": artifacts(freight),
                "verdicts": sorted(
                    ((stage, verdict) for stage, verdict in verdicts.items() if verdict.where is not Where.FOREIGN),
                    key=lambda entry: (order.index(entry[1].where), entry[0]),
                ),
                "Verb": Verb,
            },
        )

    async def _promotion(
        self, snapshot: Snapshot, name: str, may: frozenset[Verb]
    ) -> tuple[str, str, dict[str, object]]:
        view = await self._site.towpath.promotion_view(snapshot.project, name)
        steps = step_views(view)
        if view.phase is not None and view.phase.terminal:
            self._ended(snapshot.project, name)
        return (
            name,
            "promotion.html",
            {
                "view": view,
                "steps": steps,
                "created_at": format_time(view.created_at),
                "started_at": format_time(view.started_at) if view.started_at else "",
                "finished_at": format_time(view.finished_at) if view.finished_at else "",
                "over": view.phase is not None and view.phase.terminal,
                "done": sum(1 for step in steps if step.finished_at),
                "temporal": self._site.temporal_url(promotion_id(snapshot.project, name)),
            },
        )

    async def _verification(
        self, snapshot: Snapshot, name: str, may: frozenset[Verb]
    ) -> tuple[str, str, dict[str, object]]:
        run = await self._site.towpath.get_verification(snapshot.project, name)
        phase = str((run.get("status") or {}).get("phase") or "Pending")
        if phase not in ("Pending", "Running"):
            self._ended(snapshot.project, name)
        return (
            name,
            "verification.html",
            {
                "run": run,
                "stage": name.rsplit(".", 2)[0],
                "phase": phase,
                "metrics": metric_views(run),
                "temporal": self._site.temporal_url(verification_id(snapshot.project, name)),
            },
        )

    # Lists

    async def _all_freight(
        self, snapshot: Snapshot, _: str, may: frozenset[Verb]
    ) -> tuple[str, str, dict[str, object]]:
        cards = [self._card(snapshot, snapshot.freight[name]) for name in newest_first(snapshot.freight)]
        return "Freight", "all_freight.html", {"cards": cards[:500], "all": len(cards)}

    async def _all_promotions(
        self, snapshot: Snapshot, _: str, may: frozenset[Verb]
    ) -> tuple[str, str, dict[str, object]]:
        lines = await self._site.towpath.promotion_lines(snapshot.project, limit=_LISTED)
        aliases = aliases_of(snapshot)
        shown = [
            (
                line,
                aliases.get(line.freight) or line.freight[:7],
                format_time(line.created_at),
                format_time(line.finished_at) if line.finished_at else "",
                states.step_at(snapshot.promotions.get(line.name)) if line.finished_at is None else None,
            )
            for line in lines[:_LISTED]
        ]
        return "Promotions", "all_promotions.html", {"lines": shown, "most": _LISTED}

    async def _events(self, snapshot: Snapshot, _: str, may: frozenset[Verb]) -> tuple[str, str, dict[str, object]]:
        lines = await self._site.towpath.promotion_lines(snapshot.project, limit=_LISTED)
        return "Events", "events.html", {"events": events(snapshot, lines[:_LISTED])}

    async def _settings(self, snapshot: Snapshot, _: str, may: frozenset[Verb]) -> tuple[str, str, dict[str, object]]:
        config = snapshot.config or {}
        tasks = await self._site.towpath.list_promotion_tasks(snapshot.project)
        templates = await self._site.towpath.list_analysis_templates(snapshot.project)
        return (
            "Settings",
            "settings.html",
            {
                "resource": snapshot.resource,
                "config": config,
                "spec": config.get("spec") or {},
                "tasks": tasks,
                "templates": templates,
                "frozen": [
                    states.freeze_sentence(freeze)
                    for freeze in (snapshot.resource.get("status") or {}).get("freezes") or []
                    if not freeze.get("thawedAt")
                ],
            },
        )

    def _card(self, snapshot: Snapshot, freight: Resource) -> FreightCard:
        cards = self._site.drawing(snapshot.project).stage_cards(snapshot)
        return freight_card(freight, {name: card.colour for name, card in cards.items()})

    # Projects

    async def projects(self, request: Request) -> Response:
        """`/projects`"""
        await permit(request, Verb.ENTER)
        grants = await grants_of(request)
        shown = []
        for resource in await self._site.boards.projects():
            name = resource["metadata"]["name"]
            if allows(grants, Verb.VIEW, name):
                stats = (resource.get("status") or {}).get("stats") or {}
                shown.append((name, resource, stats))
        return framed(request, "projects.html", projects=shown)

    async def start(self, request: Request) -> Response:
        """`/`"""
        return RedirectResponse(path("projects"), 303)


def _marker_of_stage(snapshot: Snapshot, name: str) -> Hashable:
    stage = snapshot.stages.get(name)
    version = (stage or {}).get("metadata", {}).get("resourceVersion")
    own = [
        promotion["metadata"].get("resourceVersion")
        for promotion in snapshot.promotions.values()
        if promotion["spec"]["stage"] == name
    ]
    return (version, *own, len(snapshot.stages), *(freight.get("alias") for freight in snapshot.freight.values()))


def _marker_of_promotions(snapshot: Snapshot, _: str) -> Hashable:
    return tuple(promotion["metadata"].get("resourceVersion") for promotion in snapshot.promotions.values())
