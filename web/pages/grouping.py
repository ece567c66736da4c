"""Stages that share a value of a label, folded into one: for pipelines of many. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from web.pages.cards import StageCard
from web.pages.states import Tone

#: A label by which so many Stages can be told apart is worth grouping by.
_VALUES = 200


@dataclass(frozen=True)
class GroupCard:
    """Stages folded into one."""

    label: str
    value: str
    stages: tuple[str, ...]
    #: How many are how, the worst first.
    tones: tuple[tuple[Tone, int], ...]
    #: How many hold which Freight, the most first.
    freight: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Folded:
    """What is left to draw: Stages that stand alone, groups, and which node each Stage is part of."""

    stages: Mapping[str, StageCard]
    groups: Mapping[str, GroupCard]
    node_of: Mapping[str, str]


def labels(cards: Iterable[StageCard]) -> list[str]:
    """Labels that more than one Stage has, by which one may group."""
    values: dict[str, Counter[str]] = {}
    for card in cards:
        for key, value in card.labels:
            values.setdefault(key, Counter())[value] += 1
    return sorted(key for key, found in values.items() if len(found) <= _VALUES and max(found.values()) > 1)


def fold(cards: Mapping[str, StageCard], label: str, unfolded: Iterable[str] = ()) -> Folded:
    """Folds Stages by a label's value; those without it, and those of values in `unfolded`, stay as they are."""
    stays, members = set(unfolded), dict[str, list[str]]()
    for name, card in cards.items():
        value = dict(card.labels).get(label)
        if value is not None and value not in stays:
            members.setdefault(value, []).append(name)
    groups = {
        value: _group(label, value, [cards[name] for name in found])
        for value, found in sorted(members.items())
        if len(found) > 1
    }
    node_of = {name: f"stage:{name}" for name in cards}
    node_of |= {name: f"group:{value}" for value, group in groups.items() for name in group.stages}
    alone = {name: card for name, card in cards.items() if node_of[name].startswith("stage:")}
    return Folded(alone, groups, node_of)


def _group(label: str, value: str, cards: Sequence[StageCard]) -> GroupCard:
    order = [Tone.BAD, Tone.BUSY, Tone.WARN, Tone.WAIT, Tone.GOOD, Tone.IDLE]
    tones = Counter(card.tone for card in cards)
    held = Counter(piece.shown for card in cards for piece in card.pieces)
    return GroupCard(
        label,
        value,
        tuple(sorted(card.name for card in cards)),
        tuple((tone, tones[tone]) for tone in order if tones[tone]),
        tuple(sorted(held.items(), key=lambda item: (-item[1], item[0]))[:3]),
    )
