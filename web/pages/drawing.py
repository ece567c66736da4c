"""Draws a Project's pipeline as a Scene, and remembers what it drew: what has not changed costs nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from model.base import Json
from web.board.snapshot import Snapshot
from web.pages.cards import (
    StageCard,
    WarehouseCard,
    discovered_at,
    edges,
    freight_card,
    stage_card,
    warehouse_card,
)
from web.pages.grouping import Folded, GroupCard, fold
from web.pages.layout import Layout, Node, Place, lay_out
from web.pages.rendering import render
from web.pages.scene import Scene
from web.pages.states import Tone

Resource = Mapping[str, Json]

#: Sizes of nodes in pixels, as the stylesheet has them.
STAGE = (236, 112)
CONTROL_FLOW = (168, 48)
WAREHOUSE = (212, 80)
GROUP = (236, 112)
#: How many pieces of Freight the timeline shows beside those that a Stage holds.
TIMELINE = 30
#: Layouts kept: one for each way to fold a pipeline that somebody looks at.
_LAYOUTS = 16


@dataclass(frozen=True)
class View:
    """How somebody looks at a pipeline; it stands in the address."""

    #: `graph` or `list`.
    shape: str = "graph"
    #: Label by which Stages are folded; empty: they aren't.
    group: str = ""
    #: Values of that label that are unfolded all the same.
    unfolded: tuple[str, ...] = ()


@dataclass(frozen=True)
class Count:
    """How many Stages are how."""

    tone: Tone
    word: str
    count: int


_WORDS = {
    Tone.BAD: "in trouble",
    Tone.BUSY: "at work",
    Tone.WARN: "to look at",
    Tone.WAIT: "waiting",
    Tone.GOOD: "fine",
    Tone.IDLE: "idle",
}


class Drawing:
    """Of one Project."""

    def __init__(self, project: str) -> None:
        self.project = project
        #: What each card was made of, and the card.
        self._cards: dict[str, tuple[Resource, Resource | None, tuple[str, ...], StageCard]] = {}
        self._html: dict[str, tuple[object, str]] = {}
        self._layouts: dict[object, Layout] = {}

    def pipeline(self, snapshot: Snapshot, view: View) -> Scene:
        """The picture or the list, with the timeline and the summary."""
        cards = self.stage_cards(snapshot)
        parts: dict[str, str] = {"summary": self._summary(snapshot, cards)}
        lists: dict[str, list[str]] = {}
        timeline = self._timeline(snapshot, cards)
        parts |= dict(timeline)
        lists["timeline"] = [part for part, _ in timeline]
        drawn = self._list(snapshot, cards) if view.shape == "list" else self._graph(snapshot, cards, view, parts)
        parts |= drawn
        lists["rows" if view.shape == "list" else "nodes"] = list(drawn)
        self._forget({*parts})
        return Scene(parts, lists)

    def stage_cards(self, snapshot: Snapshot) -> dict[str, StageCard]:
        """The cards of all Stages, by name."""
        aliases = {name: str(freight.get("alias") or "") for name, freight in snapshot.freight.items()}
        return {name: self._card(name, stage, snapshot, aliases) for name, stage in snapshot.stages.items()}

    def _card(self, name: str, stage: Resource, snapshot: Snapshot, aliases: Mapping[str, str]) -> StageCard:
        running = ((stage.get("status") or {}).get("currentPromotion") or {}).get("name")
        promotion = snapshot.promotions.get(running) if running else None
        history = (stage.get("status") or {}).get("freightHistory") or [{}]
        held = [piece.get("name", "") for piece in (history[0].get("items") or {}).values()]
        held += [
            hold.get("freightName", "")
            for hold in ((stage.get("status") or {}).get("effectiveAutoPromotionHolds") or {}).values()
        ]
        called = tuple(aliases.get(freight, "") for freight in held)
        known = self._cards.get(name)
        if known is not None and known[0] is stage and known[1] is promotion and known[2] == called:
            return known[3]
        card = stage_card(stage, promotion, aliases)
        self._cards[name] = (stage, promotion, called, card)
        return card

    # The parts

    def _summary(self, snapshot: Snapshot, cards: Mapping[str, StageCard]) -> str:
        tones = [card.tone for card in cards.values() if not card.control_flow]
        counts = [Count(tone, word, tones.count(tone)) for tone, word in _WORDS.items() if tones.count(tone)]
        frozen = {
            part for card in cards.values() for part in card.frozen.split("; ") if f"Project {self.project}" in part
        }
        return self._drawn(
            "summary",
            (tuple(counts), tuple(sorted(frozen)), len(cards), len(snapshot.freight)),
            lambda: render(
                "parts/summary.html",
                project=self.project,
                counts=counts,
                frozen=sorted(frozen),
                stages=len(cards),
                freight=len(snapshot.freight),
            ),
        )

    def _timeline(self, snapshot: Snapshot, cards: Mapping[str, StageCard]) -> list[tuple[str, str]]:
        colours = {name: card.colour for name, card in cards.items()}
        return [
            (f"freight-{name}", self._part("freight", name, freight_card(snapshot.freight[name], colours)))
            for name in timeline(snapshot.freight)
        ]

    def _list(self, snapshot: Snapshot, cards: Mapping[str, StageCard]) -> dict[str, str]:
        """Lines in the order of the way: pipeline by pipeline, what comes first first."""
        places = self.layout(snapshot, fold(cards, "")).places
        order = sorted(cards, key=lambda name: (places[f"stage:{name}"].x, places[f"stage:{name}"].y, name))
        return {f"row-{name}": self._part("row", name, cards[name]) for name in order}

    def _part(self, kind: str, name: str, card: object) -> str:
        return self._drawn(
            f"{kind}-{name}", card, lambda: render(f"parts/{kind}.html", project=self.project, card=card)
        )

    def _graph(
        self, snapshot: Snapshot, cards: Mapping[str, StageCard], view: View, parts: dict[str, str]
    ) -> dict[str, str]:
        """The nodes; the wires go to `parts`."""
        folded = fold(cards, view.group, view.unfolded) if view.group else fold(cards, "")
        layout = self.layout(snapshot, folded)
        parts["wires"] = self._drawn(f"wires?{view}", id(layout), lambda: render("parts/wires.html", layout=layout))
        counts: dict[str, int] = {}
        for freight in snapshot.freight.values():
            origin = str((freight.get("origin") or {}).get("name", ""))
            counts[origin] = counts.get(origin, 0) + 1
        nodes: dict[str, str] = {}
        for name, warehouse in snapshot.warehouses.items():
            node = warehouse_card(warehouse, counts.get(name, 0))
            nodes[f"warehouse-{name}"] = self._node("warehouse", name, node, layout.places[f"warehouse:{name}"])
        for name, card in folded.stages.items():
            nodes[f"stage-{name}"] = self._node("stage", name, card, layout.places[f"stage:{name}"])
        for value, group in folded.groups.items():
            nodes[f"group-{value}"] = self._node("group", value, group, layout.places[f"group:{value}"])
        return nodes

    def _node(self, kind: str, name: str, card: StageCard | WarehouseCard | GroupCard, place: Place) -> str:
        return self._drawn(
            f"{kind}-{name}",
            (card, place),
            lambda: render(f"parts/{kind}.html", project=self.project, card=card, place=place),
        )

    def layout(self, snapshot: Snapshot, folded: Folded) -> Layout:
        """Where everything stands; computed anew only where names or edges are others."""
        nodes = [Node(f"warehouse:{name}", *WAREHOUSE) for name in snapshot.warehouses]
        nodes += [
            Node(f"stage:{name}", *(CONTROL_FLOW if card.control_flow else STAGE))
            for name, card in folded.stages.items()
        ]
        nodes += [Node(f"group:{value}", *GROUP) for value in folded.groups]
        wires = []
        for start, end in edges(snapshot.stages.values()):
            first = folded.node_of.get(start.removeprefix("stage:"), start) if start.startswith("stage:") else start
            last = folded.node_of.get(end.removeprefix("stage:"), end)
            wires.append((first, last))
        key = (tuple(nodes), tuple(wires))
        if key not in self._layouts:
            while len(self._layouts) >= _LAYOUTS:
                self._layouts.pop(next(iter(self._layouts)))
            self._layouts[key] = lay_out(nodes, wires)
        return self._layouts[key]

    def _drawn(self, part: str, of: object, draw: Callable[[], str]) -> str:
        known = self._html.get(part)
        if known is None or known[0] != of:
            known = self._html[part] = (of, draw())
        return known[1]

    def _forget(self, parts: set[str]) -> None:
        """What is no longer there need not be remembered."""
        if len(self._html) > 8 * len(parts) + 100:
            self._html.clear()


def timeline(freight: Mapping[str, Resource]) -> list[str]:
    """Names of what the timeline shows, newest first: the latest, and whatever a Stage holds."""
    order = sorted(freight, key=lambda name: (discovered_at(freight[name]), name), reverse=True)
    return [
        name
        for place, name in enumerate(order)
        if place < TIMELINE or (freight[name].get("status") or {}).get("currentlyIn")
    ]
