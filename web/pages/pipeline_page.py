"""The pipeline page: the picture or list, what a piece of Freight means for each Stage, and what can be searched."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from model.roles import Verb
from web.access.guard import permit
from web.board.snapshot import Snapshot
from web.pages import grouping
from web.pages.cards import piece, stage_card, warehouse_card
from web.pages.drawing import View
from web.pages.live import stream
from web.pages.previewing import lines, remarks
from web.pages.reach import reach
from web.pages.rendering import path, render
from web.pages.scene import Scene, Shot
from web.pages.site import Site, aliases_of, allowed, found, fragment, framed, newest_first, now
from web.pages.views import downstream, sources

#: How many values may be unfolded at once, and how long one may be: they come from outside.
_UNFOLDED, _LONGEST = 100, 100
_NO_STORE = {"Cache-Control": "no-store"}


def view_of(request: Request) -> View:
    """How the address says that the pipeline is looked at."""
    query = request.query_params
    return View(
        "list" if query.get("view") == "list" else "graph",
        query.get("group", "")[:_LONGEST],
        tuple(sorted({value[:_LONGEST] for value in query.getlist("open")}))[:_UNFOLDED],
    )


class PipelinePage:
    """The endpoints of one Project's pipeline."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def show(self, request: Request) -> Response:
        """`/projects/{project}`"""
        project = request.path_params["project"]
        await permit(request, Verb.VIEW, project)
        view = view_of(request)
        snapshot = await self._site.boards.snapshot(project)
        shot = await self._shot(snapshot, view)
        labels = grouping.labels(self._site.drawing(project).stage_cards(snapshot).values())
        return framed(
            request,
            "pipeline.html",
            project=project,
            tab="pipeline",
            live=path("projects", project, "live") + (f"?{request.url.query}" if request.url.query else ""),
            digest=shot.digest,
            scene=shot.scene,
            view=view,
            labels=labels,
        )

    async def live(self, request: Request) -> Response:
        """`/projects/{project}/live`: the stream."""
        project = request.path_params["project"]
        await permit(request, Verb.VIEW, project)
        view = view_of(request)
        await self._site.boards.snapshot(project)

        async def shoot(snapshot: Snapshot) -> Shot:
            return await self._shot(snapshot, view)

        return stream(
            self._site.boards.changes(project),
            shoot,
            self._site.gallery.scene(request.query_params.get("digest", "")),
            lambda: permit(request, Verb.VIEW, project),
            leaving=getattr(request.app.state, "leaving", None),
        )

    async def _shot(self, snapshot: Snapshot, view: View) -> Shot:
        async def draw() -> Scene:
            return self._site.drawing(snapshot.project).pipeline(snapshot, view)

        return await self._site.gallery.shot((snapshot.project, view), snapshot.version, draw)

    async def reach(self, request: Request) -> Response:
        """`/projects/{project}/freight/{freight}/reach`: a verdict for each Stage."""
        project = request.path_params["project"]
        await permit(request, Verb.VIEW, project)
        snapshot = await self._site.boards.snapshot(project)
        freight = found("Freight", request.path_params["freight"], project, snapshot.freight)
        verdicts = reach(freight, snapshot.stages, now())
        shown = {
            name: {
                "where": verdict.where,
                "words": verdict.words,
                "reason": verdict.reason,
                "verified": verdict.verified,
                "approved": verdict.approved,
                "at": verdict.at,
            }
            for name, verdict in verdicts.items()
        }
        return JSONResponse({"freight": request.path_params["freight"], "stages": shown}, headers=_NO_STORE)

    async def index(self, request: Request) -> Response:
        """`/projects/{project}/index`: all that can be searched, and done from anywhere."""
        project = request.path_params["project"]
        await permit(request, Verb.VIEW, project)
        snapshot = await self._site.boards.snapshot(project)
        may = await allowed(request, project)
        entries: list[dict[str, object]] = []

        def add(name: str, kind: str, url: str, more: str = "", *, dialog: bool = False) -> None:
            entries.append({"name": name, "kind": kind, "url": url, "more": more, "dialog": dialog})

        for name in snapshot.stages:
            add(name, "Stage", path("projects", project, "stages", name))
        for name in snapshot.warehouses:
            add(name, "Warehouse", path("projects", project, "warehouses", name))
        for name in newest_first(snapshot.freight):
            held = piece(snapshot.freight[name], {})
            alias = str(snapshot.freight[name].get("alias") or name[:7])
            add(alias, "Freight", path("projects", project, "freight", name), f"{held.main} {name[:7]}")
        for name, stage in snapshot.stages.items():
            if Verb.PROMOTE in await allowed(request, project, name):
                if stage_card(stage, None, {}).control_flow:
                    url = path("projects", project, "stages", name, "downstream")
                    add(f"Promote downstream of {name}", "command", url, dialog=True)
                else:
                    add(
                        f"Promote to {name}",
                        "command",
                        path("projects", project, "stages", name, "promote"),
                        dialog=True,
                    )
        if Verb.FREEZE in may:
            add("Freeze the Project", "command", path("projects", project, "freeze"), dialog=True)
            add("Thaw the Project", "command", path("projects", project, "thaw"), dialog=True)
        for tab in ("freight", "promotions", "events", "settings"):
            add(tab.capitalize(), "page", path("projects", project, tab))
        return JSONResponse({"entries": entries}, headers=_NO_STORE)

    async def stage_panel(self, request: Request) -> Response:
        """`/projects/{project}/stages/{stage}/panel`: a Stage beside the picture."""
        project, name = request.path_params["project"], request.path_params["stage"]
        await permit(request, Verb.VIEW, project)
        snapshot = await self._site.boards.snapshot(project)
        stage = found("Stage", name, project, snapshot.stages)
        card = self._site.drawing(project).stage_cards(snapshot)[name]
        explanation = None if card.control_flow else await self._site.towpath.explain_stage(project, name)
        return fragment(
            render(
                "panel_stage.html",
                project=project,
                card=card,
                stage=stage,
                sources=sources(stage),
                downstream=downstream(name, snapshot.stages),
                origins=explanation.origins if explanation else [],
                queue=self._queue(stage, aliases_of(snapshot)),
                may=await allowed(request, project, name),
            )
        )

    def _queue(self, stage: Mapping[str, object], aliases: Mapping[str, str]) -> list[tuple[str, str]]:
        status = stage.get("status")
        queue = status.get("queue") if isinstance(status, dict) else None
        return [(entry["name"], aliases.get(entry["freight"]) or entry["freight"][:7]) for entry in queue or []]

    async def preview(self, request: Request) -> Response:
        """`/projects/{project}/stages/{stage}/preview`: what a promotion of `freight` would commit."""
        project, name = request.path_params["project"], request.path_params["stage"]
        await permit(request, Verb.PROMOTE, project, name)
        result = await self._site.towpath.preview(project, name, freight=request.query_params.get("freight", ""))
        changes = [(change, lines(change.diff)) for change in result.changes]
        return fragment(render("dialogs/preview.html", result=result, changes=changes, remarks=remarks(result)))

    async def warehouse_panel(self, request: Request) -> Response:
        """`/projects/{project}/warehouses/{warehouse}/panel`"""
        project, name = request.path_params["project"], request.path_params["warehouse"]
        await permit(request, Verb.VIEW, project)
        snapshot = await self._site.boards.snapshot(project)
        warehouse = found("Warehouse", name, project, snapshot.warehouses)
        own = [
            freight for freight in newest_first(snapshot.freight) if piece(snapshot.freight[freight], {}).origin == name
        ]
        aliases = aliases_of(snapshot)
        return fragment(
            render(
                "panel_warehouse.html",
                project=project,
                card=warehouse_card(warehouse, len(own)),
                newest=[(freight, aliases[freight] or freight[:7]) for freight in own[:5]],
                may=await allowed(request, project),
            )
        )
