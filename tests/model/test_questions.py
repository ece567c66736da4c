"""Who may answer what a Promotion asks, what an answer has to be, and what the answers come to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from model.answer_schema import SchemaInvalid, check_schema, problems_of, typed, with_defaults
from model.questions import (
    MAX_MESSAGE,
    MAX_VALUES,
    Action,
    Answer,
    Question,
    QuestionKind,
    Responder,
    Response,
    output_of,
    refusal,
    response_to,
    verdict,
    waiting,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LEADS = Responder(claim="groups", value="leads", required=True)
MANAGER = Responder(role="release-manager")
SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["version"],
    "properties": {
        "version": {"type": "string", "pattern": "^v[0-9]+$"},
        "urgency": {"enum": ["low", "high"], "default": "low"},
        "count": {"type": "integer"},
        "window": {"type": "object", "properties": {"hours": {"type": "number", "default": 2}}},
    },
}


def approval(*responders: Responder, count: int = 1) -> Question:
    return Question(kind=QuestionKind.APPROVAL, responders=list(responders), min_approvals=count, asked_at=NOW)


def asks_input(*responders: Responder) -> Question:
    return Question(kind=QuestionKind.INPUT, responders=list(responders), input_schema=SCHEMA, asked_at=NOW)


def said(question: Question, *answers: Answer) -> list[Response]:
    """The answers that count, in their order."""
    responses: list[Response] = []
    for number, answer in enumerate(answers):
        assert refusal("s", question, responses, answer) == ""
        responses.append(response_to(question, answer, NOW + timedelta(minutes=number)))
    return responses


def by(actor: str, action: Action = Action.APPROVE, **given: Any) -> Answer:
    return Answer(action=action, actor=actor, **given)


@pytest.mark.parametrize(
    ("rule", "answer", "fits"),
    [
        (Responder(claim="groups", value="qa"), by("subject:a", claims={"groups": ["dev", "qa"]}), True),
        (Responder(claim="groups", value="qa"), by("subject:a", claims={"groups": ["dev"]}), False),
        (Responder(claim="groups", value="qa"), by("subject:qa"), False),
        (Responder(claim="email", value="a@example.com"), by("email:a@example.com"), True),
        (Responder(claim="email", value="a@example.com"), by("subject:a@example.com"), False),
        (Responder(claim="sub", value="a"), by("subject:a"), True),
        (Responder(role="qa"), by("subject:a", roles=["qa"]), True),
        (Responder(role="qa"), by("subject:a", claims={"role": ["qa"]}), False),
        (Responder(role="qa"), by("admin"), False),
    ],
)
def test_who_may_answer(rule: Responder, answer: Answer, fits: bool) -> None:
    reason = refusal("approve", approval(rule), [], answer)
    assert (reason == "") is fits
    assert fits or reason == f"{answer.actor} may not answer step approve: it asks {rule}"


def test_everybody_may_answer_where_no_rule_says_who_but_somebody_has_to_be_named() -> None:
    assert refusal("s", approval(), [], by("subject:anybody")) == ""
    assert "TOWPATH_ACTOR" in refusal("s", approval(), [], by(""))


def test_a_quorum_counts_distinct_people() -> None:
    question = approval(count=2)
    responses = said(question, by("subject:a"))
    assert verdict(question, responses) is None
    assert waiting(question, responses) == "waits for 1 of 2 approvals of anybody"
    again = refusal("s", question, responses, by("subject:a"))
    assert again.startswith("subject:a has approved step s already, at 2026-01-02T03:04:05Z")
    both = said(question, by("subject:a"), by("subject:b", message="fine"))
    decided = verdict(question, both)
    assert decided is not None
    assert decided.approved
    assert output_of(question, both) == {
        "responses": [
            {"user": "subject:a", "action": "approve", "time": "2026-01-02T03:04:05Z"},
            {"user": "subject:b", "action": "approve", "time": "2026-01-02T03:05:05Z", "message": "fine"},
        ]
    }


def test_a_required_approver_is_waited_for_however_many_others_approve() -> None:
    question = approval(LEADS, MANAGER, count=1)
    manager = by("subject:m", roles=["release-manager"])
    responses = said(question, manager)
    assert verdict(question, responses) is None
    assert waiting(question, responses) == "waits for an approval of groups leads"
    lead = by("subject:l", claims={"groups": ["leads"]})
    decided = verdict(question, said(question, manager, lead))
    assert decided is not None
    assert decided.approved


def test_whoever_rejects_ends_it_also_after_approving() -> None:
    question = approval(count=3)
    answers = [by("subject:a"), by("subject:b"), by("subject:a", Action.REJECT, message="not today")]
    responses = said(question, *answers)
    decided = verdict(question, responses)
    assert decided is not None
    assert not decided.approved
    assert decided.message == "rejected by subject:a at 2026-01-02T03:06:05Z: not today"
    late = refusal("s", question, responses, by("subject:c"))
    assert late == "step s is answered already: rejected by subject:a at 2026-01-02T03:06:05Z: not today"


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"version": "v1"}, ""),
        ({"version": "v1", "count": 3, "urgency": "high"}, ""),
        ({}, '"version" is a required property'),
        ({"version": "1"}, 'version: "1" does not match "^v[0-9]+$"'),
        ({"version": 1}, 'version: 1 is not of type "string"'),
        ({"version": "v1", "urgency": "soon"}, 'urgency: "soon" is not one of "low" or "high"'),
        ({"version": "v1", "other": 1}, "Additional properties are not allowed ('other' was unexpected)"),
        ({"version": "v" + "1" * MAX_VALUES}, f"at most {MAX_VALUES} are allowed"),
    ],
)
def test_values_have_to_fit_the_schema(values: dict[str, Any], problem: str) -> None:
    reason = refusal("ask", asks_input(), [], by("subject:a", Action.INPUT, values=values))
    assert reason == problem or (problem and problem in reason)


def test_the_first_values_that_fit_count_with_the_defaults_of_those_left_out() -> None:
    question = asks_input()
    responses = said(question, by("subject:a", Action.INPUT, values={"version": "v1", "window": {}}))
    assert output_of(question, responses) == {
        "values": {"version": "v1", "urgency": "low", "window": {"hours": 2}},
        "respondedBy": "subject:a",
        "respondedAt": "2026-01-02T03:04:05Z",
    }
    late = refusal("ask", question, responses, by("subject:b", Action.INPUT, values={"version": "v2"}))
    assert "answered already: answered by subject:a" in late


def test_an_answer_of_the_wrong_kind_is_told_what_to_do() -> None:
    assert "towpath answer" in refusal("s", asks_input(), [], by("subject:a"))
    assert "towpath reject" in refusal("s", approval(), [], by("subject:a", Action.INPUT, values={"a": 1}))
    assert "at most" in refusal("s", approval(), [], by("subject:a", message="x" * (MAX_MESSAGE + 1)))


def test_what_is_waited_for_names_the_fields() -> None:
    assert waiting(asks_input(MANAGER), []) == (
        "waits for input of role release-manager: version (string, required), "
        'urgency (one of low, high, default "low"), count (integer), window (object)'
    )


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({}, "`type: object`"),
        ({"type": "string"}, "`type: object`"),
        ({"type": "object", "properties": {"a": {"type": "txt"}}}, "txt"),
        ({"type": "object", "properties": {"a": {"pattern": "(?=a)b"}}}, "can't be used"),
        ({"type": "object", "$schema": "http://json-schema.org/draft-03/schema#"}, "draft-04, draft-06 or draft-07"),
        ({"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1/x"}}}, "only `#/…`"),
        ({"type": "object", "properties": {"a": {"$ref": "#/definitions/a"}}}, "no such part"),
        ({"type": "object", "definitions": {"a": {"items": {"$ref": "#/definitions/a"}}}}, "refers to itself"),
        ({"type": "object", "description": "x" * 40_000}, "bytes of JSON"),
        (
            {
                "type": "object",
                "allOf": [{"$ref": "#/definitions/d0"}],
                "definitions": {
                    f"d{n}": {"anyOf": [{"$ref": f"#/definitions/d{n + 1}"}] * 2} if n < 30 else {} for n in range(31)
                },
            },
            "parts",
        ),
    ],
)
def test_a_schema_that_cannot_be_asked_with_is_refused(schema: dict[str, Any], reason: str) -> None:
    with pytest.raises(SchemaInvalid, match=reason):
        check_schema(schema)


def test_a_schema_may_refer_to_its_own_parts_and_name_its_draft() -> None:
    schema = {
        "$schema": "http://json-schema.org/draft-04/schema#",
        "type": "object",
        "properties": {"a": {"$ref": "#/definitions/tag"}},
        "definitions": {"tag": {"type": "string", "pattern": "^v"}},
    }
    check_schema(schema)
    assert problems_of(schema, {"a": "v1"}) == []
    assert problems_of(schema, {"a": "1"}) == ['a: "1" does not match "^v"']


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("string", "17", "17"),
        ("integer", "17", 17),
        ("number", "1.5", 1.5),
        ("boolean", "True", True),
        ("array", '["a"]', ["a"]),
        ("integer", "many", "many"),
        (["string", "null"], "null", "null"),
    ],
)
def test_what_is_typed_becomes_what_the_field_is(kind: Any, text: str, value: Any) -> None:
    assert typed({"properties": {"field": {"type": kind}}}, "field", text) == value
    assert with_defaults({"properties": {"field": {"type": kind}}}, {"field": value}) == {"field": value}
