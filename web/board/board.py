"""One Project's board: what is known of it, brought up to date by asking for what has changed and nothing else.

A look costs two lists of visibility, whatever there is, and one query for each entity that has changed since the
look before. Now and then everything is listed, so that what visibility never told is noticed, too.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from model.base import Time
from model.freight_status import FreightRecord
from model.projects import ProjectView
from model.resources.promotion import PromotionPhase
from model.warehouse_view import describe_freight
from model.warehouses import WarehouseChanges
from starter.client import Towpath
from starter.errors import NotFound
from starter.listing import runs
from starter.shapes import Resource, config_resource, project_resource, promotion_resource
from starter.sightings import (
    PROJECT,
    PROMOTION,
    STAGE_ENTITY,
    WAREHOUSE,
    Sighting,
    all_of,
    changed_since,
    sighting,
    under_way,
)
from starter.targets import project_target, stage_target, warehouse_target
from web.board.promotions import last_promotion, promotion_seen
from web.board.snapshot import Snapshot
from web.board.versions import version_of, versioned

#: Seconds between two looks at everything.
WHOLE = 60.0
#: How much earlier than the latest change that was seen is asked for again: visibility may tell late.
OVERLAP = timedelta(seconds=10)
#: Seconds for which what was just written to is asked directly, until visibility surely knows.
WRITTEN = 5.0
#: How many Promotions that are over are listed.
PAST = 1000
#: Queries under way at once.
BREADTH = 16
#: How old a Promotion that no Stage speaks of must be to be shown: younger ones may still be refused.
DECIDED = timedelta(seconds=3)

#: Type of the workflow, and name.
Key = tuple[str, str]


class Board:
    """What is known of one Project. Only one look is under way at a time."""

    def __init__(self, towpath: Towpath, project: str) -> None:
        self.project = project
        self.snapshot: Snapshot | None = None
        #: When the look began that the snapshot comes from, by the monotonic clock.
        self.looked_at = float("-inf")
        self._towpath = towpath
        self._looking = asyncio.Lock()
        self._gate = asyncio.Semaphore(BREADTH)
        self._listed_at = float("-inf")
        self._latest: datetime | None = None
        self._marks: dict[Key, tuple[object, ...]] = {}
        self._written: dict[Key, float] = {}
        self._view: ProjectView | None = None
        self._stages: dict[str, Resource] = {}
        self._warehouses: dict[str, Resource] = {}
        self._freight: dict[str, dict[str, Resource]] = {}
        self._records: dict[str, FreightRecord] = {}
        self._seen: dict[str, WarehouseChanges] = {}
        self._promotions: dict[str, Resource] = {}
        self._past: dict[str, Resource] | None = None
        self._config: Resource | None = None
        self._resource: Resource = {}
        self._digests: dict[Key, str] = {}

    async def look(self, since: float) -> Snapshot:
        """The Project as it is, by a look that began at `since` or later. Raises NotFound, TowpathError."""
        async with self._looking:
            if self.snapshot is None or self.looked_at < since:
                begun = time.monotonic()
                await self._look(begun)
                self.snapshot = self._compose()
                self.looked_at = begun
            return self.snapshot

    async def past(self) -> dict[str, Resource]:
        """Promotions that are over, by name, the latest of them."""
        if self._past is None:
            found = await self._towpath.calls.executions(runs(PROMOTION, self.project), PAST)
            seen = [one for one in map(sighting, found) if one.over]
            shown = [(one.name, await promotion_seen(self.project, one)) for one in reversed(seen)]
            self._past = {name: versioned(promotion) for name, promotion in shown if promotion is not None}
        return self._past

    def wrote(self, kind: str, name: str) -> None:
        """An entity or Promotion was just acted upon: the next looks ask it directly."""
        self._written[kind, name] = time.monotonic() + WRITTEN

    # A look

    async def _look(self, begun: float) -> None:
        whole = self._view is None or self._latest is None or begun - self._listed_at > WHOLE
        if whole or self._latest is None:
            query = all_of(self.project)
        else:
            query = changed_since(self.project, self._latest - OVERLAP)
        found, running = await asyncio.gather(self._sightings(query), self._sightings(under_way(self.project)))
        latest = _latest_of(found)
        ask = {
            key
            for key, seen in latest.items()
            if key[0] != PROMOTION and self._marks.get(key) != seen.mark and (seen.running or self._knows(key))
        }
        self._written = {key: until for key, until in self._written.items() if until > begun}
        ask |= {key for key in self._written if key[0] != PROMOTION}
        if whole:
            listed = {(seen.kind, seen.name) for seen in found}
            ask |= {key for key in self._entities() if key not in listed}
            ask.add((PROJECT, self.project))
        if (PROJECT, self.project) in ask:
            await self._ask_project()
            if (PROJECT, self.project) in latest:
                self._marks[PROJECT, self.project] = latest[PROJECT, self.project].mark
            ask |= self._compare_with_project()
            ask.discard((PROJECT, self.project))
        await self._ask_all(ask, latest)
        await self._take_promotions(found, running)
        moments = [seen.changed_at for seen in found if seen.changed_at is not None]
        self._latest = max([*moments, *([self._latest] if self._latest else [])], default=None)
        if whole:
            self._listed_at = begun

    async def _sightings(self, query: str) -> list[Sighting]:
        return [sighting(execution) for execution in await self._towpath.calls.executions(query)]

    def _entities(self) -> set[Key]:
        return {(STAGE_ENTITY, name) for name in self._stages} | {(WAREHOUSE, name) for name in self._warehouses}

    def _knows(self, key: Key) -> bool:
        return key in self._entities() or key == (PROJECT, self.project)

    async def _ask_all(self, ask: set[Key], latest: Mapping[Key, Sighting]) -> None:
        """Asks all of them; what was answered counts, whatever becomes of the others. Raises TowpathError."""
        keys = sorted(ask)
        answers = await asyncio.gather(*(self._ask(*key) for key in keys), return_exceptions=True)
        for key, answer in zip(keys, answers, strict=True):
            if answer is None and key in latest:
                self._marks[key] = latest[key].mark
        for answer in answers:
            if answer is not None:
                raise answer

    async def _ask(self, kind: str, name: str) -> None:
        async with self._gate:
            try:
                if kind == STAGE_ENTITY:
                    target = stage_target(self.project, name)
                    shown = await self._towpath.calls.query(target, "describe", dict, open_only=True)
                    self._stages[name] = self._keep(kind, name, shown)
                else:
                    await self._ask_warehouse(name)
            except NotFound:
                self._drop(kind, name)

    async def _ask_warehouse(self, name: str) -> None:
        known = self._seen.get(name)
        target = warehouse_target(self.project, name)
        answer = await self._towpath.calls.query(
            target, "changes", WarehouseChanges, known.revision if known else 0, open_only=True
        )
        if known is not None and known.created_at != answer.created_at and not answer.whole:
            answer = await self._towpath.calls.query(target, "changes", WarehouseChanges, 0, open_only=True)
        held_freight = self._freight.setdefault(name, {})
        there = {record.name for record in answer.freight}
        gone = set(held_freight) - there if answer.whole else set(answer.forgotten)
        for freight in gone & set(held_freight):
            del held_freight[freight]
            self._records.pop(freight, None)
            self._digests.pop(("Freight", freight), None)
        for record in answer.freight:
            held_freight[record.name] = self._keep("Freight", record.name, describe_freight(self.project, record))
            self._records[record.name] = record
        self._warehouses[name] = self._keep(WAREHOUSE, name, answer.warehouse)
        self._seen[name] = answer.model_copy(update={"freight": [], "forgotten": [], "warehouse": {}})

    async def _ask_project(self) -> None:
        view = await self._towpath.calls.query(project_target(self.project), "view", ProjectView, open_only=True)
        self._view = view
        self._resource = self._keep(PROJECT, self.project, project_resource(view))
        config = config_resource(view)
        if config is None:
            self._config = None
            self._digests.pop(("ProjectConfig", self.project), None)
        else:
            self._config = self._keep("ProjectConfig", self.project, config)

    def _compare_with_project(self) -> set[Key]:
        """Forgets what the Project no longer has; what it has and isn't known here is to be asked."""
        assert self._view is not None
        has = {(STAGE_ENTITY, name) for name in self._view.stages}
        has |= {(WAREHOUSE, name) for name in self._view.warehouses}
        for kind, name in self._entities() - has:
            self._drop(kind, name)
        return has - self._entities()

    def _drop(self, kind: str, name: str) -> None:
        self._digests.pop((kind, name), None)
        self._marks.pop((kind, name), None)
        if kind == STAGE_ENTITY:
            self._stages.pop(name, None)
            return
        self._warehouses.pop(name, None)
        self._seen.pop(name, None)
        for freight in self._freight.pop(name, {}):
            self._records.pop(freight, None)
            self._digests.pop(("Freight", freight), None)

    def _keep(self, kind: str, name: str, shown: Resource) -> Resource:
        """The resource, or the very one that was there, if it says the same."""
        digest = version_of(shown)
        if self._digests.get((kind, name)) == digest:
            known = self._known(kind, name)
            if known is not None:
                return known
        self._digests[kind, name] = digest
        return versioned(shown, digest)

    def _known(self, kind: str, name: str) -> Resource | None:
        if kind == "Freight":
            return next((pieces[name] for pieces in self._freight.values() if name in pieces), None)
        places: dict[str, Mapping[str, Resource]] = {
            STAGE_ENTITY: self._stages,
            WAREHOUSE: self._warehouses,
            PROMOTION: self._promotions,
            PROJECT: {self.project: self._resource},
        }
        if kind == "ProjectConfig":
            return self._config
        return places[kind].get(name) or None

    # Promotions

    async def _take_promotions(self, found: Iterable[Sighting], running: Iterable[Sighting]) -> None:
        under = {seen.name: seen for seen in running}
        ended = {seen.name: seen for seen in found if seen.kind == PROMOTION and seen.over}
        for seen in [*under.values(), *ended.values()]:
            key = (PROMOTION, seen.name)
            if seen.name in ended and seen.running:
                continue
            if self._marks.get(key) != seen.mark:
                await self._show_promotion(seen)
                self._marks[key] = seen.mark
        # Neither running nor ended, as far as visibility says: it may be behind, or the run was ended by hand.
        missing = {
            name
            for name, shown in self._promotions.items()
            if not _over(shown) and name not in under and name not in ended
        }
        missing |= {name for kind, name in self._written if kind == PROMOTION}
        await asyncio.gather(*(self._ask_promotion(name) for name in sorted(missing)))
        for stage in self._stages.values():
            last = last_promotion(stage)
            if last is not None and last["metadata"]["name"] not in self._promotions:
                self._promotions[last["metadata"]["name"]] = self._keep(PROMOTION, last["metadata"]["name"], last)
        self._forget_promotions()

    async def _show_promotion(self, seen: Sighting) -> None:
        shown = await promotion_seen(self.project, seen)
        if shown is None:
            self._forget(seen.name)
        else:
            self._promotions[seen.name] = self._keep(PROMOTION, seen.name, shown)

    async def _ask_promotion(self, name: str) -> None:
        async with self._gate:
            try:
                view = await self._towpath.promotion_view(self.project, name)
            except NotFound:
                self._forget(name)
                return
        if view.phase is None:
            self._forget(name)
            return
        shown = promotion_resource(view)
        shown.get("status", {}).pop("state", None)
        self._promotions[name] = self._keep(PROMOTION, name, shown)

    def _forget(self, name: str) -> None:
        self._promotions.pop(name, None)
        self._digests.pop((PROMOTION, name), None)

    def _forget_promotions(self) -> None:
        """Of those that are over, all but the last of each Stage; all of Stages that are gone."""
        last: dict[str, str] = {}
        for name, shown in self._promotions.items():
            stage = shown["spec"]["stage"]
            if _over(shown) and name > last.get(stage, ""):
                last[stage] = name
        for name, shown in list(self._promotions.items()):
            stage = shown["spec"]["stage"]
            if self._past is not None and _over(shown):
                self._past[name] = shown
                while len(self._past) > PAST:
                    del self._past[next(iter(self._past))]
            if stage not in self._stages or (_over(shown) and last[stage] != name):
                self._forget(name)
        kept = set(self._promotions)
        self._marks = {key: mark for key, mark in self._marks.items() if key[0] != PROMOTION or key[1] in kept}

    # What comes of it

    def _compose(self) -> Snapshot:
        now = datetime.now(UTC)
        promotions = {name: shown for name, shown in sorted(self._promotions.items()) if self._decided(shown, now)}
        hidden = set(self._promotions) - set(promotions)
        digests = [
            f"{kind}/{name}={digest}"
            for (kind, name), digest in sorted(self._digests.items())
            if kind != PROMOTION or name not in hidden
        ]
        version = hashlib.sha256("\n".join(digests).encode()).hexdigest()[:20]
        if self.snapshot is not None and self.snapshot.version == version:
            present = self.snapshot
            return Snapshot(**{**vars(present), "taken_at": now})
        freight = {name: shown for pieces in self._freight.values() for name, shown in pieces.items()}
        return Snapshot(
            project=self.project,
            version=version,
            taken_at=now,
            resource=self._resource,
            config=self._config,
            warehouses=dict(sorted(self._warehouses.items())),
            stages=dict(sorted(self._stages.items())),
            freight=freight,
            promotions=promotions,
            records=dict(self._records),
        )

    def _decided(self, shown: Resource, now: datetime) -> bool:
        """Whether a Promotion was accepted, as far as can be told."""
        if shown.get("status", {}).get("phase") != PromotionPhase.PENDING:
            return True
        name = shown["metadata"]["name"]
        status = self._stages.get(shown["spec"]["stage"], {}).get("status", {})
        if any(entry["name"] == name for entry in status.get("queue", [])):
            return True
        return _time(shown["metadata"]["creationTimestamp"]) < now - DECIDED


def _latest_of(found: Iterable[Sighting]) -> dict[Key, Sighting]:
    """Of several runs of one entity the one that runs, else the latest."""
    latest: dict[Key, Sighting] = {}
    for seen in sorted(found, key=lambda seen: (seen.running, seen.started_at)):
        latest[seen.kind, seen.name] = seen
    return latest


def _over(shown: Resource) -> bool:
    phase = shown.get("status", {}).get("phase", "")
    return bool(phase) and PromotionPhase(phase).terminal


def _time(text: str) -> Time:
    return datetime.fromisoformat(text)
