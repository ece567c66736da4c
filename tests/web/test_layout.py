"""The picture of a pipeline: whatever the graph, nothing overlaps, edges lead to the right, and nothing jumps."""

from __future__ import annotations

import re
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from web.pages.layout import BLOCK, Layout, Node, Place, lay_out

Edges = list[tuple[str, str]]


def boxes(names: list[str]) -> list[Node]:
    return [Node(name, 200 if index % 3 else 140, 90 if index % 4 else 40) for index, name in enumerate(names)]


def overlapping(layout: Layout) -> list[tuple[str, str]]:
    def apart(one: Place, other: Place) -> bool:
        return (
            one.x + one.width <= other.x
            or other.x + other.width <= one.x
            or one.y + one.height <= other.y
            or other.y + other.height <= one.y
        )

    return [
        (one, other)
        for one, other in combinations(layout.places, 2)
        if not apart(layout.places[one], layout.places[other])
    ]


@st.composite
def graphs(draw: st.DrawFn, cycles: bool = False) -> tuple[list[Node], Edges]:
    count = draw(st.integers(1, 24))
    names = [f"n{index}" for index in range(count)]
    pairs = draw(st.lists(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), max_size=50))
    edges = [(names[a], names[b]) if cycles or a < b else (names[b], names[a]) for a, b in pairs if a != b]
    return boxes(names), edges


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_nothing_overlaps_and_every_edge_leads_to_the_right(graph: tuple[list[Node], Edges]) -> None:
    nodes, edges = graph
    layout = lay_out(nodes, edges)
    assert set(layout.places) == {node.id for node in nodes}
    assert not overlapping(layout)
    for start, end in edges:
        assert layout.places[start].layer < layout.places[end].layer
        assert layout.places[start].x + layout.places[start].width < layout.places[end].x
    for place in layout.places.values():
        assert 0 <= place.x <= layout.width - place.width
        assert 0 <= place.y <= layout.height - place.height


@settings(max_examples=30, deadline=None)
@given(graphs(cycles=True))
def test_a_cycle_hangs_nothing_and_hides_nothing(graph: tuple[list[Node], Edges]) -> None:
    nodes, edges = graph
    layout = lay_out(nodes, edges)
    assert set(layout.places) == {node.id for node in nodes}
    assert not overlapping(layout)


@settings(max_examples=30, deadline=None)
@given(graphs(), st.randoms())
def test_the_order_in_which_things_are_named_changes_nothing(graph: tuple[list[Node], Edges], random: object) -> None:
    nodes, edges = graph
    before = lay_out(nodes, edges)
    random.shuffle(nodes)  # type: ignore[attr-defined] # hypothesis gives random.Random
    random.shuffle(edges)  # type: ignore[attr-defined] # as above
    assert lay_out(nodes, edges) == before


def test_a_pipeline_that_is_independent_does_not_move_its_neighbour() -> None:
    shop = ([Node("shop-dev", 200, 90), Node("shop-prod", 200, 90)], [("shop-dev", "shop-prod")])
    alone = lay_out(*shop)
    both = lay_out([*shop[0], Node("zoo", 200, 90)], shop[1])
    assert {name: both.places[name] for name in alone.places} == dict(alone.places)


def test_edges_that_need_not_cross_do_not() -> None:
    edges = [("w", "a"), ("w", "b"), ("a", "z-of-a"), ("b", "c-of-b"), ("a", "y-of-a")]
    layout = lay_out(boxes(["w", "a", "b", "c-of-b", "y-of-a", "z-of-a"]), edges)
    ends = {name: layout.places[name].y for name in layout.places}
    assert (ends["a"] < ends["b"]) == (max(ends["y-of-a"], ends["z-of-a"]) < ends["c-of-b"])


def test_many_alike_stand_in_a_block_reached_by_one_edge() -> None:
    regions = [f"prod-{index:02}" for index in range(BLOCK * 2)]
    layout = lay_out([Node(name, 200, 90) for name in ["prod", *regions]], [("prod", region) for region in regions])
    assert len({layout.places[region].x for region in regions}) > 1
    assert [wire.target for wire in layout.wires] == ["prod-00"]
    assert not overlapping(layout)


def test_an_edge_over_several_layers_passes_between_what_stands_there() -> None:
    edges = [("a", "b"), ("b", "c"), ("c", "d"), ("a", "d")]
    layout = lay_out([Node(name, 200, 90) for name in "abcd"], edges)
    (wire,) = [wire for wire in layout.wires if (wire.source, wire.target) == ("a", "d")]
    points = [(float(x), float(y)) for x, y in re.findall(r"(-?\d+) (-?\d+)(?=[LC]|$)", wire.path)]
    for x, y in points[1:-1]:
        for place in (layout.places["b"], layout.places["c"]):
            assert not (place.x <= x <= place.x + place.width and place.y <= y <= place.y + place.height)


def test_edges_to_what_is_not_there_are_left_out() -> None:
    assert lay_out([Node("a", 10, 10)], [("a", "gone"), ("gone", "a")]).wires == []
    assert lay_out([], []).places == {}


def test_six_hundred_stages_are_a_picture_not_a_ribbon() -> None:
    names, edges = ["w"], []
    for team in range(75):
        previous = "w" if team % 3 == 0 else f"w{team}"
        names += [] if previous == "w" else [previous]
        for stage in ("dev", "test", "staging", "qa", "prod-a", "prod-b", "prod-c", "prod-d"):
            name = f"t{team}-{stage}"
            names.append(name)
            edges.append((f"t{team}-qa" if stage.startswith("prod") else previous, name))
            previous = previous if stage.startswith("prod") else name
    layout = lay_out([Node(name, 220, 96) for name in names], edges)
    assert not overlapping(layout)
    assert layout.width * 6 > layout.height
