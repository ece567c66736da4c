"""Whatever stands in a file, reading and checking it ends in problems, never in an exception."""

from __future__ import annotations

import copy
import json

import yaml
from hypothesis import given, settings
from hypothesis import strategies as some

from model.admission import Existing, validate_set
from model.base import Json
from model.manifests import load
from model.problems import errors
from tests.model.test_resources import WRITTEN

WORDS = some.sampled_from(
    ["", "git", "name", "spec", "status", "subscription", "${{ x }}", "{{args.x}}", "5m", "-1", "Warehouse", "ü/../x"]
)
VALUES: some.SearchStrategy[Json] = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(WORDS, inner, max_size=3),
    max_leaves=5,
)


def _paths(value: Json, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, entry in inner for found in _paths(entry, (*path, key)))]


@given(data=some.data(), value=VALUES)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_any_value_anywhere(data: some.DataObject, value: Json) -> None:
    manifest: Json = copy.deepcopy(data.draw(some.sampled_from(WRITTEN)))
    *path, last = data.draw(some.sampled_from(_paths(manifest)[1:]))
    place: Json = manifest
    for part in path:
        place = place[part]
    place[last] = value
    located, problems = load(json.dumps(manifest), "any.json")
    assert located or errors(problems) or manifest["kind"] == "Namespace"
    assert all(str(problem) for problem in validate_set(located, Existing()))


@given(text=some.text(max_size=60) | VALUES.map(lambda value: yaml.safe_dump(value, allow_unicode=True)))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_any_text(text: str) -> None:
    located, problems = load(text, "any.yaml")
    assert not located
    assert all(str(problem) for problem in problems)
