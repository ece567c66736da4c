"""What stands on the cards of the picture, and in the lines of the list: one frozen value each. Pure.

Values compare: what is drawn again is what has changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from model.base import Json
from web.pages import states
from web.pages.artifacts import Artifact, artifacts
from web.pages.colours import ANNOTATION, stage_colour
from web.pages.states import Doing, Tone

Resource = Mapping[str, Json]


@dataclass(frozen=True)
class Piece:
    """Freight as a Stage holds it."""

    name: str
    alias: str
    origin: str
    #: The version of the first artifact, and how many more there are.
    main: str
    more: int = 0

    @property
    def shown(self) -> str:
        return self.alias or self.name[:7]


@dataclass(frozen=True)
class StageCard:
    """A Stage at a glance."""

    name: str
    colour: str
    control_flow: bool
    doing: Doing
    pieces: tuple[Piece, ...] = ()
    health: str = ""
    verification: str = ""
    #: Why something waits: the queue, a window, a freeze. Empty: nothing does.
    waiting: str = ""
    queued: int = 0
    frozen: str = ""
    held: str = ""
    auto: bool = False
    labels: tuple[tuple[str, str], ...] = ()
    origins: tuple[str, ...] = ()
    last_promotion: str = ""
    last_phase: str = ""
    last_at: str = ""

    @property
    def tone(self) -> Tone:
        """How it is: what is bad counts before what is under way."""
        if self.doing.tone in (Tone.BAD, Tone.BUSY):
            return self.doing.tone
        if self.health:
            found = states.tone(self.health)
            if found in (Tone.BAD, Tone.WARN, Tone.BUSY):
                return found
        return Tone.WAIT if self.frozen or self.waiting else self.doing.tone

    @property
    def health_tone(self) -> Tone:
        return states.tone(self.health)


@dataclass(frozen=True)
class WarehouseCard:
    """A Warehouse at a glance."""

    name: str
    subscriptions: tuple[tuple[str, str], ...]
    tone: Tone
    word: str
    detail: str = ""
    freight: int = 0
    looked_at: str = ""


@dataclass(frozen=True)
class FreightCard:
    """A piece of Freight in the timeline."""

    name: str
    alias: str
    origin: str
    discovered_at: str
    artifacts: tuple[Artifact, ...]
    #: Stages that hold it, with their colours.
    in_stages: tuple[tuple[str, str], ...] = ()
    verified_in: int = 0

    @property
    def shown(self) -> str:
        return self.alias or self.name[:7]


def stage_card(stage: Resource, promotion: Resource | None, aliases: Mapping[str, str]) -> StageCard:
    """A Stage's card; `aliases`: of Freight, by name."""
    metadata, status = stage.get("metadata") or {}, stage.get("status") or {}
    frozen = "; ".join(states.freeze_sentence(freeze) for freeze in states.freezes(stage))
    last = status.get("lastPromotion") or {}
    return StageCard(
        name=str(metadata.get("name", "")),
        colour=colour_of(stage),
        control_flow=states.control_flow(stage),
        doing=states.doing(stage, promotion),
        pieces=tuple(piece(held, aliases) for held in states.current_pieces(stage)),
        health=states.health(stage),
        verification=str(states.latest_verification(stage).get("phase") or ""),
        waiting=states.waiting(stage) or ("" if frozen else states.closed_window(stage)),
        queued=states.queued(stage),
        frozen=frozen,
        held=", ".join(_held(hold, aliases) for _, hold in sorted(states.holds(stage).items())),
        auto=bool(status.get("autoPromotionEnabled")),
        labels=tuple(sorted((str(key), str(value)) for key, value in (metadata.get("labels") or {}).items())),
        origins=tuple(request_origin(request) for request in requests(stage)),
        last_promotion=str(last.get("name") or ""),
        last_phase=str((last.get("status") or {}).get("phase") or ""),
        last_at=str(last.get("finishedAt") or ""),
    )


def warehouse_card(warehouse: Resource, freight: int) -> WarehouseCard:
    """A Warehouse's card; `freight`: how many pieces it has."""
    spec, status = warehouse.get("spec") or {}, warehouse.get("status") or {}
    conditions = {entry.get("type"): entry for entry in status.get("conditions") or []}
    ready = conditions.get("Ready") or {}
    words = {"DiscoveryPending": "Looking", "DiscoveryFailed": "Discovery failed", "NoFreight": "No Freight"}
    reason = str(ready.get("reason") or "")
    state = str(ready.get("status") or "")
    tone = Tone.GOOD if state == "True" else Tone.WAIT if reason == "DiscoveryPending" else Tone.BAD
    return WarehouseCard(
        name=str((warehouse.get("metadata") or {}).get("name", "")),
        subscriptions=tuple(_subscription(entry) for entry in spec.get("subscriptions") or []),
        tone=tone if ready else Tone.IDLE,
        word=words.get(reason, "Watching"),
        detail="" if state == "True" else str(ready.get("message") or ""),
        freight=freight,
        looked_at=str((status.get("discoveredArtifacts") or {}).get("discoveredAt") or ""),
    )


def freight_card(freight: Resource, colours: Mapping[str, str]) -> FreightCard:
    """A piece of Freight; `colours`: of Stages, by name."""
    status = freight.get("status") or {}
    return FreightCard(
        name=str((freight.get("metadata") or {}).get("name", "")),
        alias=str(freight.get("alias") or ""),
        origin=str((freight.get("origin") or {}).get("name", "")),
        discovered_at=discovered_at(freight),
        artifacts=artifacts(freight),
        in_stages=tuple((name, colours.get(name, "gray")) for name in sorted(status.get("currentlyIn") or {})),
        verified_in=len(status.get("verifiedIn") or {}),
    )


def discovered_at(freight: Resource) -> str:
    """When it was found, in RFC 3339."""
    return str(freight.get("discoveredAt") or (freight.get("metadata") or {}).get("creationTimestamp") or "")


def piece(held: Resource, aliases: Mapping[str, str]) -> Piece:
    """A piece of Freight as a Stage holds it."""
    found = artifacts(held)
    name = str(held.get("name", ""))
    return Piece(
        name,
        aliases.get(name, ""),
        str((held.get("origin") or {}).get("name", "")),
        found[0].version if found else "",
        max(len(found) - 1, 0),
    )


def colour_of(stage: Resource) -> str:
    metadata = stage.get("metadata") or {}
    return stage_colour(str(metadata.get("name", "")), (metadata.get("annotations") or {}).get(ANNOTATION))


def requests(stage: Resource) -> Sequence[Resource]:
    """The Freight that a Stage requests."""
    found: Sequence[Resource] = (stage.get("spec") or {}).get("requestedFreight") or []
    return found


def request_origin(request: Resource) -> str:
    return str((request.get("origin") or {}).get("name", ""))


def edges(stages: Iterable[Resource]) -> list[tuple[str, str]]:
    """What leads where: ids of nodes (`warehouse:…`, `stage:…`), each pair once."""
    found: dict[tuple[str, str], None] = {}
    for stage in stages:
        end = f"stage:{(stage.get('metadata') or {}).get('name', '')}"
        for request in requests(stage):
            sources = request.get("sources") or {}
            if sources.get("direct"):
                found[f"warehouse:{request_origin(request)}", end] = None
            for upstream in sources.get("stages") or []:
                found[f"stage:{upstream}", end] = None
    return list(found)


def _held(hold: Resource, aliases: Mapping[str, str]) -> str:
    name = str(hold.get("freightName") or "")
    who = f" by {hold['actor']}" if hold.get("actor") else ""
    return f"auto-promotion is held at {aliases.get(name) or name[:7]}{who}"


def _subscription(entry: Resource) -> tuple[str, str]:
    for kind, value in entry.items():
        if kind != "name" and isinstance(value, Mapping):
            of = str(value.get("name") or value.get("repoURL") or entry.get("name") or kind)
            return kind, of.rstrip("/").rpartition("/")[2].removesuffix(".git") or of
    return "artifact", str(entry.get("name") or "")
