"""Why Freight comes by itself to a Stage, or doesn't: a sentence for every piece, whatever holds it back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from model.explanation import explain
from model.freezes import Freeze
from model.promotions import HoldIntent
from model.resources.project_config import PromotionWindow, PromotionWindowKind
from model.resources.promotion import PromotionPhase
from model.resources.stage import AutoPromotionHold
from model.stage_state import StageState
from model.stages import StageBundle
from tests.model.policy_world import NOW, a_stage, a_state, holding, piece, queued, reference, running

#: Newest first: not verified upstream, the candidate, an older one, one of another origin.
RAW = piece("raw", age=1)
NEW = piece("new", age=2, verified={"dev": 2}, current={"dev": 1})
OLD = piece("old", age=3, verified={"dev": 3})
STRANGE = piece("strange", "api")
SALE = PromotionWindow(name="sale", kind=PromotionWindowKind.DENY, dtstart="20260301T000000Z", dtend="20260303T000000Z")


def auto(**fields: Any) -> StageBundle:
    return StageBundle(revision=1, auto_promotion=True, **fields)


def held(state: StageState) -> None:
    state.holds["Warehouse/web"] = AutoPromotionHold(
        freight_name="old", origin=reference("old").origin, promotion_name="prod.1", actor="subject:ann", created_at=NOW
    )


def going_back(state: StageState) -> None:
    running(state, queued("prod.2", "old", intent=HoldIntent.HOLD))


def nothing(state: StageState) -> None:
    """As it is."""


Change = Callable[[StageState], Any]

#: what is so, the bundle, what has happened, the Freight asked about, available or not, candidate or not, the sentence
CASES: list[tuple[str, StageBundle, Change, Any, bool, bool, str]] = [
    ("candidate", auto(), nothing, NEW, True, True, "Freight new-alias is promoted by itself"),
    ("older", auto(), nothing, OLD, True, False, "Freight new-alias is newer: only the newest is promoted by itself"),
    ("not available", auto(), nothing, RAW, False, False, "Freight new-alias is promoted by itself"),
    ("of another origin", auto(), nothing, STRANGE, False, False, "its origin is not requested"),
    ("no policy", StageBundle(revision=1), nothing, NEW, True, True, "no promotion policy of the Project turns"),
    ("bad policy", StageBundle(revision=1, policy_problem="no regex"), nothing, NEW, True, True, "no regex"),
    (
        "held",
        auto(),
        held,
        NEW,
        True,
        True,
        "auto-promotion is held: Freight old was chosen by subject:ann at 2026-03-02T12:00:00Z in prod.1; "
        "promote the candidate to resume: `towpath promote --warehouse web`",
    ),
    ("held, older", auto(), held, OLD, True, False, "auto-promotion is held: Freight old was chosen"),
    ("held while in flight", auto(), going_back, NEW, True, True, "auto-promotion is held: Freight old was chosen"),
    ("in flight", auto(), going_back, OLD, True, False, "it is being promoted or waits for its turn"),
    ("candidate in flight", auto(), lambda s: running(s, queued("p", "new")), NEW, True, True, "waits for its turn"),
    ("current", auto(), lambda s: holding(s, "new"), NEW, True, True, "the candidate, is what the Stage holds"),
    ("older is current", auto(), lambda s: holding(s, "old"), OLD, True, False, "it is what the Stage holds"),
    (
        "failed before",
        auto(),
        lambda s: s.outcomes.update(new=PromotionPhase.FAILED),
        NEW,
        True,
        True,
        "the last promotion of Freight new-alias ended Failed: it is not repeated by itself",
    ),
    (
        "frozen",
        auto(freezes=[Freeze(scope="everything", actor="subject:ann", reason="fire", since=NOW)]),
        nothing,
        NEW,
        True,
        True,
        "Freight new-alias waits: everything is frozen by subject:ann since 2026-03-02T12:00:00Z: fire",
    ),
    (
        "closed window",
        auto(windows=[SALE]),
        nothing,
        NEW,
        True,
        True,
        "waits: the promotion window is closed: the Deny window sale is active; it opens at 2026-03-03T00:00:00Z",
    ),
]


@pytest.mark.parametrize(
    ("bundle", "change", "record", "available", "candidate", "sentence"),
    [case[1:] for case in CASES],
    ids=[case[0] for case in CASES],
)
def test_a_sentence_for_every_piece(
    bundle: StageBundle, change: Change, record: Any, available: bool, candidate: bool, sentence: str
) -> None:
    state = a_state(RAW, NEW, OLD, bundle=bundle)
    change(state)
    [said] = explain(state, a_stage(stages=["dev"]), [record], "", NOW).freight
    assert (said.available, said.candidate) == (available, candidate)
    assert sentence in said.auto_promotion
    assert said.reason


@pytest.mark.parametrize(
    ("records", "sources", "sentence"),
    [
        ([], {"stages": ["dev"]}, "Warehouse web has not said yet what it holds"),
        (
            [RAW],
            {"stages": ["dev"]},
            "no Freight is available; of the newest, raw-alias: not verified in Stage dev",
        ),
        (
            [OLD],
            {"stages": ["dev"], "autoPromotionOptions": {"selectionPolicy": "MatchUpstream"}},
            "nothing that is in Stage dev now is available",
        ),
        (
            [NEW, piece("other", verified={"dev": 1}, current={"dev": 1})],
            {"stages": ["dev"], "autoPromotionOptions": {"selectionPolicy": "MatchUpstream"}},
            "Stage dev is just changing its Freight",
        ),
    ],
)
def test_why_an_origin_has_no_candidate(records: list[Any], sources: dict[str, Any], sentence: str) -> None:
    state = a_state(*records, bundle=auto())
    [origin] = explain(state, a_stage(**sources), [], "", NOW).origins
    assert (origin.candidate, origin.reason) == ("", sentence)


def test_what_follows_the_upstream_says_so() -> None:
    stage = a_stage(stages=["dev"], autoPromotionOptions={"selectionPolicy": "MatchUpstream"})
    [said] = explain(a_state(NEW, OLD, bundle=auto()), stage, [OLD], "", NOW).freight
    assert (said.candidate, said.auto_promotion) == (False, "only what is in Stage dev is promoted by itself")


def test_a_control_flow_stage_and_a_soak_say_so() -> None:
    gate = a_stage(steps=False, stages=["dev"], requiredSoakTime="3h")
    soaking = piece("f", verified={"dev": 2}, current={"dev": 2})
    [said] = explain(a_state(soaking, bundle=auto()), gate, [soaking], "", NOW).freight
    assert said.auto_promotion.startswith("Freight passes through a control-flow Stage by itself")
    assert (said.available, said.reason) == (False, "soaked 2h0m0s of 3h0m0s in Stage dev")
    assert said.available_at is not None
    assert (said.available_at - NOW).total_seconds() == 3600
