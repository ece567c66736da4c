"""Kubernetes' JSONPath, case by case."""

from __future__ import annotations

import pytest

from model.base import Json
from model.jsonpath import MAX_PATH, JSONPath, JSONPathError

SHOP: Json = {
    "name": "corner",
    "open": True,
    "nothing": None,
    "rate": 0.5,
    "dotted.key": {"a b": "found"},
    "items": [
        {"name": "apple", "price": 3, "fresh": True, "tags": ["red", "sweet"]},
        {"name": "bread", "price": 4.5, "fresh": False},
        {"name": "cake", "price": 12, "fresh": True, "note": "it's big"},
    ],
    "empty": [],
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("{$}", [[SHOP]]),
        ("{@}", [[SHOP]]),
        ("{}", [[SHOP]]),
        ("{$.name}", [["corner"]]),
        ("{.name}", [["corner"]]),
        ("{ .name }", [["corner"]]),
        ("{.nothing}", [[None]]),
        ("{.items[0].name}", [["apple"]]),
        ("{.items[].name}", [["apple"]]),
        ("{.items[-1].name}", [["cake"]]),
        ("{.items[*].name}", [["apple", "bread", "cake"]]),
        ("{.items[0:2].name}", [["apple", "bread"]]),
        ("{.items[:-1].name}", [["apple", "bread"]]),
        ("{.items[-2:].name}", [["bread", "cake"]]),
        ("{.items[::2].name}", [["apple", "cake"]]),
        ("{.items[1:1]}", [[]]),
        ("{.empty[*]}", [[]]),
        ("{.items[0,2].name}", [["apple", "cake"]]),
        ("{.items[0]['name', 'price']}", [["apple", 3]]),
        ("{['name']}", [["corner"]]),
        (r"{.dotted\.key['a\ b']}", [["found"]]),
        (r"{['dotted\.key']}", [[{"a b": "found"}]]),
        ("{.items[0].tags.*}", [["red", "sweet"]]),
        ("{..name}", [["corner", "apple", "bread", "cake"]]),
        ("{..tags[0]}", [["red"]]),
        ("{.items[?(@.price==3)].name}", [["apple"]]),
        ("{.items[?(@.price==3.0)].name}", [["apple"]]),
        ("{.items[?(@.price != 3)].name}", [["bread", "cake"]]),
        ("{.items[?(@.price > 4)].name}", [["bread", "cake"]]),
        ("{.items[?(@.price <= 4.5)].name}", [["apple", "bread"]]),
        ('{.items[?(@.name=="bread")].price}', [[4.5]]),
        ("{.items[?(@.name=='bread')].price}", [[4.5]]),
        ("{.items[?(@.name>='bread')].name}", [["bread", "cake"]]),
        ("{.items[?(@.fresh==true)].name}", [["apple", "cake"]]),
        ("{.items[?(@.note)].name}", [["cake"]]),
        ("{.items[?(@.tags[0])].name}", [["apple"]]),
        ("{'text'}", [["text"]]),
        (r'{"tab\t"}', [["tab\t"]]),
        ("{5}{-1.5}{true}", [[5], [-1.5], [True]]),
        ("just text", [["just text"]]),
        ("name: {.name}!", [["name: "], ["corner"], ["!"]]),
        (
            "{range .items[0:2]}{.name}={.price};{end}.",
            [["apple"], ["="], [3], [";"], ["bread"], ["="], [4.5], [";"], ["."]],
        ),
        ("{range .empty[*]}{.name}{end}{.name}", [["corner"]]),
    ],
)
def test_path_finds(path: str, found: Json) -> None:
    assert JSONPath(path).find(SHOP) == found


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        ("{.missing}", "missing is not found"),
        ("{.name.more}", "more is not found"),
        ("{.items.name}", "name is not found"),
        ("{.items[3]}", "index 3, length 3"),
        ("{.items[-4]}", "out of bounds"),
        ("{.items[0:9]}", "index 8, length 3"),
        ("{.items[2:1]}", "greater than"),
        ("{.items[::0]}", "step"),
        ("{.name[0]}", "needs an array"),
        ("{.name[?(@.x)]}", "needs an array"),
        ("{.items[?(@.note=='x')]}", "note is not found"),
        ("{.items[?(@.price=='x')]}", "can't compare"),
        ("{.items[?(@.fresh<true)]}", "no meaning"),
        ("{.items[?(@.tags[*]=='red')]}", "not found|one value"),
        ("{.items[?(@.name=~'b.*')]}", "unknown operator '=~'"),
        ("{.items[?(@.name]", "not closed"),
        ("{.items", "'}' is missing"),
        ("{.items[0}", "']' is missing"),
        ('{["name"]}', "quote keys with"),
        ("{.items[name]}", "not an index"),
        ("{..}{....}", "twice"),
        ("{name}", "is written .name"),
        ("{end}", "without"),
        ("{.}", "key is missing"),
        ("{'open}", "closing ' is missing"),
        ("{#}", "unexpected '#'"),
        ("{1.2.3}", "not a number"),
        ("x" * (MAX_PATH + 1), "longer than"),
    ],
)
def test_path_is_refused_with_the_reason(path: str, complaint: str) -> None:
    with pytest.raises(JSONPathError, match=complaint):
        JSONPath(path).find(SHOP)


def test_first_value_is_taken_across_pieces() -> None:
    assert JSONPath("{.items[*].price}").first(SHOP) == 3
    with pytest.raises(JSONPathError, match="nothing was found"):
        JSONPath("{.empty[*]}").first(SHOP)


def test_recursive_descent_is_bounded() -> None:
    wide = {str(n): {"x": [0] * 10} for n in range(50_000)}
    with pytest.raises(JSONPathError, match="touches more than"):
        JSONPath("{..x}").find(wide)
    deep: Json = 1
    for _ in range(500):
        deep = [deep]
    with pytest.raises(JSONPathError, match="nested too deeply"):
        JSONPath("{..x}").find(deep)


def test_path_without_braces_is_known_as_plain_text() -> None:
    assert JSONPath("$.name").plain
    assert not JSONPath("{$.name}").plain
