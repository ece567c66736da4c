"""`towpath steps`: what the workers know, told by a worker."""

from __future__ import annotations

import json

from tests.starter.house import Rooms


def test_all_steps_are_listed(house: Rooms) -> None:
    assert house.run("steps", "list", "-o", "name").stdout.split() == ["fail", "push", "work"]
    table = house.run("steps", "list").stdout.splitlines()
    assert table[0].split() == ["NAME", "EFFECT", "DESCRIPTION"]
    assert table[3].split(maxsplit=2) == ["work", "external", "Does work."]
    assert json.loads(house.run("steps", "list", "-o", "json").stdout)[0]["name"] == "fail"


def test_one_step_is_shown_with_its_schema(house: Rooms) -> None:
    shown = json.loads(house.run("steps", "show", "push", "-o", "json").stdout)
    assert shown["description"] == "Does push."
    assert shown["config"] == {"properties": {"path": {"type": "string"}}}


def test_an_unknown_step_is_not_found(house: Rooms) -> None:
    result = house.run("steps", "show", "git-clown")
    assert result.exit_code == 1
    assert "there is no step 'git-clown'; `towpath steps list` shows" in result.stderr
