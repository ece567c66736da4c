"""Nicknames are readable, free, and the same for the same random numbers."""

from __future__ import annotations

import re
from random import Random

from model.aliases import new_alias


def test_the_same_random_numbers_give_the_same_alias() -> None:
    assert new_alias(Random(1), set()) == new_alias(Random(1), set())
    assert len({new_alias(Random(seed), set()) for seed in range(50)}) > 40


def test_an_alias_is_an_adjective_and_an_animal() -> None:
    random = Random(2)
    assert all(re.fullmatch(r"[a-z]+-[a-z]+", new_alias(random, set())) for _ in range(500))


def test_a_taken_alias_is_not_given_again() -> None:
    taken: set[str] = set()
    random = Random(3)
    for _ in range(2000):
        alias = new_alias(random, taken)
        assert alias not in taken
        taken.add(alias)


class _Everything:
    """Takes every alias of two words."""

    def __contains__(self, alias: object) -> bool:
        return not str(alias).endswith("-3")


def test_when_all_are_taken_a_number_tells_them_apart() -> None:
    assert new_alias(Random(4), _Everything()).endswith("-3")
