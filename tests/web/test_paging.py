"""Lists by the page."""

from __future__ import annotations

from typing import Any

import pytest

from web.api.errors import Unfit
from web.api.paging import Page, page


def named(*names: str) -> list[dict[str, Any]]:
    return [{"metadata": {"name": name}} for name in names]


def names(items: list[dict[str, Any]]) -> list[str]:
    return [item["metadata"]["name"] for item in items]


def test_pages_together_are_the_list() -> None:
    whole, seen, token = named("a", "b", "c", "d", "e"), [], ""
    for left in (3, 1, None):
        items, rest = page(2, token).of_sorted(whole)
        seen += names(items)
        token = str(rest.get("continue", ""))
        assert rest.get("remainingItemCount") == left
    assert (seen, token) == (["a", "b", "c", "d", "e"], "")


def test_what_came_and_went_between_two_pages_of_names_disturbs_nothing() -> None:
    _, rest = Page(2).of_sorted(named("a", "b", "c", "d"))
    items, _ = page(2, str(rest["continue"])).of_sorted(named("a", "aa", "c", "d"))
    assert names(items) == ["c", "d"]


def test_a_list_in_an_order_of_its_own_goes_on_behind_what_was_shown_last() -> None:
    items, rest = Page(2).of(named("z", "m", "a"))
    assert (names(items), rest["remainingItemCount"]) == (["z", "m"], 1)
    assert names(page(0, str(rest["continue"])).of(named("z", "y", "m", "a"))[0]) == ["a"]
    with pytest.raises(Unfit) as gone:
        page(0, str(rest["continue"])).of(named("z", "a"))
    assert gone.value.status_code == 410


@pytest.mark.parametrize("token", ["%", "é", "a", "_w=="])
def test_a_token_of_another_making_is_refused(token: str) -> None:
    with pytest.raises(Unfit) as refused:
        page(1, token)
    assert refused.value.status_code == 400


def test_without_a_limit_all_is_shown() -> None:
    assert Page().of_sorted(named("a", "b")) == (named("a", "b"), {})
