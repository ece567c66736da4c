"""Where everything stands in the picture of a pipeline: a layered graph, from left to right. Pure.

Layers by longest path, order within a layer by medians (Sugiyama's method), heights by least squares that keep the
order. It depends on names and edges alone, so that nothing moves when only the state of a Stage changes. Independent
pipelines are packed side by side; many Stages that differ in nothing but their name stand together in a block.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

#: Pixels between layers, between things above each other, and between pipelines that don't touch.
LAYER_GAP = 72
ROW_GAP = 20
COMPONENT_GAP = 56
#: Pixels around the whole.
MARGIN = 32
#: So many leaves of the same Stages stand in a block.
BLOCK = 6
#: A source that feeds so many pipelines stands beside them all, and its wires run in the gutters between them.
HUB = 6
#: Pixels between those of a block.
BLOCK_GAP = 12
#: Sweeps that look for fewer crossings, and passes that straighten edges.
SWEEPS = 8
STRAIGHTENINGS = 6
#: How wide the picture should be in relation to its height.
ASPECT = 1.7
#: What an edge takes of the height of a layer that it crosses.
LANE = 10


@dataclass(frozen=True)
class Node:
    """What is to be placed; sizes in pixels."""

    id: str
    width: int
    height: int


@dataclass(frozen=True)
class Place:
    """Where a node stands: its upper left corner, in pixels."""

    x: int
    y: int
    width: int
    height: int
    #: Which layer of its pipeline, from 0.
    layer: int


@dataclass(frozen=True)
class Wire:
    """An edge as an SVG path. A block is reached by one wire for all in it: then `target` is its first node."""

    source: str
    target: str
    path: str


@dataclass(frozen=True)
class Layout:
    """The whole picture."""

    places: Mapping[str, Place]
    wires: Sequence[Wire]
    width: int
    height: int


@dataclass
class _Box:
    """A node, a block of nodes, or (without members) the place where an edge crosses a layer."""

    members: list[Node]
    width: int
    height: int
    columns: int = 1
    layer: int = 0
    y: float = 0.0
    above: list[int] = field(default_factory=list)
    below: list[int] = field(default_factory=list)

    @property
    def centre(self) -> float:
        return self.y + self.height / 2


def lay_out(nodes: Iterable[Node], edges: Iterable[tuple[str, str]]) -> Layout:
    """Places all nodes. Edges to what isn't there are left out; those that would close a cycle are drawn backwards."""
    known = {node.id: node for node in sorted(nodes, key=lambda node: node.id)}
    wanted = sorted({(start, end) for start, end in edges if start in known and end in known and start != end})
    hubs = _hubs(known, wanted)
    fed = [(start, end) for start, end in wanted if start in hubs]
    boxes, inner = _boxes(
        {name: node for name, node in known.items() if name not in hubs},
        [(start, end) for start, end in wanted if start not in hubs],
    )
    pictures = [_component(boxes, inner, members) for members in _components(len(boxes), inner)]
    return _packed(pictures, [known[name] for name in hubs], fed)


# What belongs together


def _hubs(nodes: Mapping[str, Node], edges: Sequence[tuple[str, str]]) -> list[str]:
    """Sources without which many pipelines would have nothing to do with each other."""
    ends = {end for _, end in edges}
    fed: dict[str, list[str]] = defaultdict(list)
    for start, end in edges:
        if start not in ends:
            fed[start].append(end)
    wide = {start for start, targets in fed.items() if len(targets) >= HUB}
    names = [name for name in nodes if name not in wide]
    at = {name: number for number, name in enumerate(names)}
    rest = [(at[start], at[end]) for start, end in edges if start not in wide]
    part = {number: place for place, members in enumerate(_components(len(names), rest)) for number in members}
    busy = {number for edge in rest for number in edge}
    # Leaves that differ in nothing belong into a block, not into pipelines of their own.
    return sorted(start for start in wide if len({part[at[end]] for end in fed[start] if at[end] in busy}) >= HUB)


def _boxes(nodes: Mapping[str, Node], edges: Sequence[tuple[str, str]]) -> tuple[list[_Box], list[tuple[int, int]]]:
    """Boxes, and the edges between them."""
    before: dict[str, list[str]] = defaultdict(list)
    starts = {start for start, _ in edges}
    for start, end in edges:
        before[end].append(start)
    alike: dict[tuple[object, ...], list[Node]] = defaultdict(list)
    for node in nodes.values():
        if node.id not in starts and before[node.id]:
            alike[(*before[node.id], node.width, node.height)].append(node)
    blocks = [members for members in alike.values() if len(members) >= BLOCK]
    blocked = {node.id for members in blocks for node in members}
    groups = [[node] for node in nodes.values() if node.id not in blocked] + blocks
    boxes = [_box(members) for members in sorted(groups, key=lambda members: members[0].id)]
    at = {node.id: number for number, box in enumerate(boxes) for node in box.members}
    return boxes, sorted({(at[start], at[end]) for start, end in edges})


def _box(members: list[Node]) -> _Box:
    first, count = members[0], len(members)
    if count == 1:
        return _Box(members, first.width, first.height)
    # As near to a square as its members allow.
    columns = max(2, round((count * first.height / first.width) ** 0.5))
    rows = -(-count // columns)
    return _Box(
        members,
        columns * first.width + (columns - 1) * BLOCK_GAP,
        rows * first.height + (rows - 1) * BLOCK_GAP,
        columns,
    )


def _components(count: int, edges: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Boxes that hang together, in the order of their first."""
    neighbours: dict[int, list[int]] = defaultdict(list)
    for start, end in edges:
        neighbours[start].append(end)
        neighbours[end].append(start)
    seen: set[int] = set()
    found = []
    for number in range(count):
        if number in seen:
            continue
        seen.add(number)
        members, pending = [], [number]
        while pending:
            current = pending.pop()
            members.append(current)
            fresh = [other for other in neighbours[current] if other not in seen]
            seen.update(fresh)
            pending += fresh
        found.append(sorted(members))
    return found


# One pipeline


@dataclass
class _Picture:
    places: dict[str, Place]
    wires: list[tuple[str, str, list[tuple[float, float]]]]
    width: float
    height: float


def _component(boxes: Sequence[_Box], edges: Sequence[tuple[int, int]], members: Sequence[int]) -> _Picture:
    local = {number: place for place, number in enumerate(members)}
    own = [_Box(box.members, box.width, box.height, box.columns) for box in (boxes[number] for number in members)]
    inner = _acyclic(len(own), [(local[start], local[end]) for start, end in edges if start in local])
    _rank(own, inner)
    ways = _lanes(own, inner)
    layers = _ordered(own)
    _straighten(own, layers)
    return _drawn(own, layers, ways)


def _acyclic(count: int, edges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The edges, those that close a cycle turned round."""
    after: dict[int, list[int]] = defaultdict(list)
    for start, end in edges:
        after[start].append(end)
    done: set[int] = set()
    on_way: set[int] = set()
    backwards: set[tuple[int, int]] = set()
    for root in range(count):
        stack = [(root, iter(after[root]))] if root not in done else []
        on_way.update([root] if stack else [])
        while stack:
            number, rest = stack[-1]
            following = next(rest, None)
            if following is None:
                stack.pop()
                on_way.discard(number)
                done.add(number)
            elif following in on_way:
                backwards.add((number, following))
            elif following not in done:
                on_way.add(following)
                stack.append((following, iter(after[following])))
    return sorted({(end, start) if (start, end) in backwards else (start, end) for start, end in edges})


def _rank(boxes: list[_Box], edges: Sequence[tuple[int, int]]) -> None:
    """Layers by longest path."""
    missing = [0] * len(boxes)
    after: dict[int, list[int]] = defaultdict(list)
    for start, end in edges:
        after[start].append(end)
        missing[end] += 1
    ready = [number for number, count in enumerate(missing) if not count]
    for number in ready:
        for following in after[number]:
            boxes[following].layer = max(boxes[following].layer, boxes[number].layer + 1)
            missing[following] -= 1
            if not missing[following]:
                ready.append(following)


def _lanes(boxes: list[_Box], edges: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Adds a box wherever an edge crosses a layer; returns each edge as the boxes along it."""
    ways = []
    for start, end in edges:
        way = [start]
        for layer in range(boxes[start].layer + 1, boxes[end].layer):
            boxes.append(_Box([], 0, LANE, layer=layer))
            way.append(len(boxes) - 1)
        way.append(end)
        for left, right in pairwise(way):
            boxes[left].below.append(right)
            boxes[right].above.append(left)
        ways.append(way)
    return ways


def _ordered(boxes: Sequence[_Box]) -> list[list[int]]:
    """Boxes by layer, in an order with few crossings."""
    layers: list[list[int]] = [[] for _ in range(max(box.layer for box in boxes) + 1)]
    for number in _walk(boxes):
        layers[boxes[number].layer].append(number)
    best, fewest = [list(layer) for layer in layers], _crossings(boxes, layers)
    for sweep in range(SWEEPS):
        if not fewest:
            break
        downwards = sweep % 2 == 0
        for layer in layers[1:] if downwards else reversed(layers[:-1]):
            _by_median(boxes, layers, layer, downwards)
        count = _crossings(boxes, layers)
        if count < fewest:
            best, fewest = [list(layer) for layer in layers], count
    return best


def _walk(boxes: Sequence[_Box]) -> list[int]:
    """All boxes, each pipeline's branch together: depth first, in the order of names."""
    seen: set[int] = set()
    found = []
    for root in range(len(boxes)):
        pending = [root] if not boxes[root].above else []
        while pending:
            number = pending.pop()
            if number in seen:
                continue
            seen.add(number)
            found.append(number)
            pending += reversed(boxes[number].below)
    return found


def _by_median(boxes: Sequence[_Box], layers: Sequence[Sequence[int]], layer: list[int], downwards: bool) -> None:
    """Sorts a layer by where the neighbours of its boxes stand; what has none stays in its place."""
    number = boxes[layer[0]].layer
    fixed = {box: place for place, box in enumerate(layers[number - 1 if downwards else number + 1])}
    weights: dict[int, float] = {}
    for place, box in enumerate(layer):
        around = sorted(fixed[other] for other in (boxes[box].above if downwards else boxes[box].below))
        middle = len(around) // 2
        if not around:
            weights[box] = place
        elif len(around) % 2:
            weights[box] = around[middle]
        else:
            weights[box] = (around[middle - 1] + around[middle]) / 2
    layer.sort(key=lambda box: weights[box])


def _crossings(boxes: Sequence[_Box], layers: Sequence[Sequence[int]]) -> int:
    """How many pairs of edges between neighbouring layers cross."""
    count = 0
    for layer, following in pairwise(layers):
        at = {box: place for place, box in enumerate(following)}
        passed: list[int] = []
        for box in layer:
            ends = sorted(at[other] for other in boxes[box].below)
            count += sum(len(passed) - bisect_right(passed, end) for end in ends)
            for end in ends:
                insort(passed, end)
    return count


def _straighten(boxes: Sequence[_Box], layers: Sequence[Sequence[int]]) -> None:
    """Heights: as near to the neighbours' as the order and the gaps allow."""
    for layer in layers:
        y = 0.0
        for number in layer:
            boxes[number].y = y
            y += boxes[number].height + ROW_GAP
    for turn in range(STRAIGHTENINGS):
        downwards = turn % 2 == 0
        for layer in layers[1:] if downwards else reversed(layers[:-1]):
            wanted = []
            for number in layer:
                box = boxes[number]
                around = box.above if downwards else box.below
                centre = sum(boxes[other].centre for other in around) / len(around) if around else box.centre
                wanted.append(centre - box.height / 2)
            _settle([boxes[number] for number in layer], wanted)
    top = min(box.y for box in boxes)
    for box in boxes:
        box.y -= top


def _settle(column: Sequence[_Box], wanted: Sequence[float]) -> None:
    """The nearest heights (least squares) that keep order and gaps: pool adjacent violators."""
    offset = 0.0
    pools: list[tuple[float, int]] = []
    offsets = []
    for box, height in zip(column, wanted, strict=True):
        offsets.append(offset)
        pools.append((height - offset, 1))
        while len(pools) > 1 and pools[-2][0] / pools[-2][1] > pools[-1][0] / pools[-1][1]:
            (total, count), (more, others) = pools.pop(-2), pools.pop()
            pools.append((total + more, count + others))
        offset += box.height + ROW_GAP
    place = 0
    for total, count in pools:
        for _ in range(count):
            column[place].y = total / count + offsets[place]
            place += 1


def _drawn(boxes: Sequence[_Box], layers: Sequence[Sequence[int]], ways: Sequence[Sequence[int]]) -> _Picture:
    widths = [max(boxes[number].width for number in layer) for layer in layers]
    lefts = [sum(widths[:layer]) + layer * LAYER_GAP for layer in range(len(layers))]
    places: dict[str, Place] = {}
    for box in boxes:
        left = lefts[box.layer] + (0 if len(box.members) > 1 else (widths[box.layer] - box.width) / 2)
        for number, node in enumerate(box.members):
            row, column = divmod(number, box.columns)
            places[node.id] = Place(
                round(left + column * (node.width + BLOCK_GAP)),
                round(box.y + row * (node.height + BLOCK_GAP)),
                node.width,
                node.height,
                box.layer,
            )
    wires = []
    for way in ways:
        start, end = boxes[way[0]], boxes[way[-1]]
        first, last = places[start.members[0].id], places[end.members[0].id]
        points: list[tuple[float, float]] = [
            (first.x + (start.width if len(start.members) > 1 else first.width), start.centre)
        ]
        for number in way[1:-1]:
            lane = boxes[number]
            points += [
                (lefts[lane.layer], lane.centre),
                (lefts[lane.layer] + widths[lane.layer], lane.centre),
            ]
        points.append((last.x, end.centre))
        wires.append((start.members[0].id, end.members[0].id, points))
    return _Picture(places, wires, lefts[-1] + widths[-1], max(box.y + box.height for box in boxes))


# All pipelines


def _packed(pictures: Sequence[_Picture], hubs: Sequence[Node], fed: Sequence[tuple[str, str]]) -> Layout:
    """Pipelines side by side in columns, the order of their names kept downwards; what feeds them at their left."""
    places: dict[str, Place] = {}
    y = MARGIN
    for hub in hubs:
        places[hub.id] = Place(MARGIN, y, hub.width, hub.height, 0)
        y += hub.height + ROW_GAP
    height = float(max(y - ROW_GAP, MARGIN))
    left = MARGIN + max((hub.width + LAYER_GAP for hub in hubs), default=0)
    first = 1 if hubs else 0
    # Wires of what feeds them all run above them.
    top = MARGIN + (LANE * 2 if hubs else 0)
    if not pictures:
        return Layout(places, [], left + MARGIN, round(height) + MARGIN)
    widest = max(picture.width for picture in pictures)
    area = sum((picture.width + COMPONENT_GAP) * (picture.height + COMPONENT_GAP) for picture in pictures)
    bound = max(area / max((area * ASPECT) ** 0.5, widest + COMPONENT_GAP), max(p.height for p in pictures))
    wires: list[Wire] = []
    gutters: dict[str, float] = {}
    x, down, column, width = float(left), float(top), 0.0, 0.0
    for picture in pictures:
        if down > top and down - top + picture.height > bound * 1.02:
            x, down, column = x + column + COMPONENT_GAP, float(top), 0.0
        dx, dy = round(x), round(down)
        for name, place in picture.places.items():
            places[name] = Place(place.x + dx, place.y + dy, place.width, place.height, place.layer + first)
            gutters[name] = dx
        wires += [
            Wire(start, end, _path([(px + dx, py + dy) for px, py in points])) for start, end, points in picture.wires
        ]
        column = max(column, picture.width)
        down += picture.height + COMPONENT_GAP
        width, height = max(width, x + picture.width), max(height, down - COMPONENT_GAP)
    wires += [Wire(start, end, _gutter(places[start], places[end], gutters[end], left)) for start, end in fed]
    return Layout(places, wires, round(width) + MARGIN, round(height) + MARGIN)


def _gutter(hub: Place, end: Place, column: float, left: float) -> str:
    """Over all pipelines, down beside the column, and in."""
    start, aisle, middle = hub.x + hub.width, column - COMPONENT_GAP / 2, end.y + end.height / 2
    out = f"M{start:.0f} {hub.y + hub.height / 2:.0f}"
    if column == left:
        return f"{out}H{aisle:.0f}V{middle:.0f}H{end.x}"
    return f"{out}H{left - COMPONENT_GAP / 2:.0f}V{MARGIN}H{aisle:.0f}V{middle:.0f}H{end.x}"


def _path(points: Sequence[tuple[float, float]]) -> str:
    """A smooth line that leaves and arrives level."""
    x, y = points[0]
    parts = [f"M{x:.0f} {y:.0f}"]
    for place, (to_x, to_y) in enumerate(points[1:]):
        if abs(to_y - y) < 0.5 or place % 2:
            parts.append(f"L{to_x:.0f} {to_y:.0f}")
        else:
            middle = (x + to_x) / 2
            parts.append(f"C{middle:.0f} {y:.0f} {middle:.0f} {to_y:.0f} {to_x:.0f} {to_y:.0f}")
        x, y = to_x, to_y
    return "".join(parts)
