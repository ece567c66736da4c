"""What a Promotion asks people, who may answer, and what their answers come to. Pure.

The rules are those of Kargo's steps `wait-for-approval` and `get-user-input` (1.12).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from enum import StrEnum

from pydantic import Field

from model.answer_schema import fields_of, problems_of, with_defaults
from model.base import Json, Message, Time, format_time

#: The largest answer, in bytes of JSON, and the longest message left with one.
MAX_VALUES = 64 * 1024
MAX_MESSAGE = 4096
#: So many people may have said something about one question.
MAX_RESPONSES = 100


class QuestionKind(StrEnum):
    """What is asked for."""

    APPROVAL = "approval"
    INPUT = "input"


class Action(StrEnum):
    """What somebody says."""

    APPROVE = "approve"
    REJECT = "reject"
    #: Gives values.
    INPUT = "input"


class Responder(Message):
    """One rule about who may answer: a claim with its value, or a role."""

    claim: str = ""
    value: str = ""
    role: str = ""
    #: One of the approvals must be of somebody whom this rule fits.
    required: bool = False

    def __str__(self) -> str:
        return f"role {self.role}" if self.role else f"{self.claim} {self.value}"


class Question(Message):
    """What a step asks, frozen when it begins to wait."""

    kind: QuestionKind
    #: Any of them fits; none: everybody may answer.
    responders: list[Responder] = Field(default_factory=list)
    #: Distinct people who have to approve.
    min_approvals: int = 1
    #: A text for whoever is asked.
    display: str = ""
    #: What the values have to be, a JSON Schema.
    input_schema: dict[str, Json] = Field(default_factory=dict)
    #: Who asked for the Promotion.
    asked_by: str = ""
    asked_at: Time


class Answer(Message):
    """Argument of a Promotion's update `answer`."""

    action: Action
    #: Alias of the step that asks; empty: the one that asks now.
    step: str = ""
    #: Who answers: `email:…`, `subject:…`, `admin`.
    actor: str = ""
    #: What is known of them, by claim: `{"groups": ["platform-leads"], "email": ["jane@example.com"]}`.
    claims: dict[str, list[str]] = Field(default_factory=dict)
    #: Names of the roles they have in the Project.
    roles: list[str] = Field(default_factory=list)
    message: str = ""
    values: dict[str, Json] = Field(default_factory=dict)


class Answered(Message):
    """Answer of the update `answer`: it counts, and what the step still waits for; empty: it waits no longer."""

    step: str
    waiting: str = ""


class Response(Message):
    """What somebody answered, and when."""

    user: str
    action: Action
    time: Time
    message: str = ""
    #: Places of the rules that fit whoever answered.
    rules: list[int] = Field(default_factory=list)
    values: dict[str, Json] | None = None


class Verdict(Message):
    """What the answers come to."""

    approved: bool
    message: str


def fitting(question: Question, answer: Answer) -> list[int]:
    """The places of the rules that fit who answers. Their own name is a claim too: `email`, or `sub`."""
    claims = {name: set(values) for name, values in answer.claims.items()}
    kind, _, name = answer.actor.partition(":")
    if name and kind in ("email", "subject"):
        claims.setdefault({"email": "email", "subject": "sub"}[kind], set()).add(name)
    return [
        place
        for place, rule in enumerate(question.responders)
        if (rule.role in answer.roles if rule.role else rule.value in claims.get(rule.claim, ()))
    ]


def refusal(step: str, question: Question, responses: Sequence[Response], answer: Answer) -> str:
    """Why an answer doesn't count, in a sentence; empty: it does. The step goes on waiting."""
    if verdict(question, responses) is not None:
        return f"step {step} is answered already: {told(responses[-1])}"
    if not answer.actor:
        return "nobody is named as the one who answers; TOWPATH_ACTOR says who acts"
    if question.kind is QuestionKind.INPUT and answer.action is not Action.INPUT:
        return (
            f"step {step} asks for values, which can't be {_PAST[answer.action]}: "
            "give them with `towpath answer promotion`, or abort the promotion"
        )
    if question.kind is QuestionKind.APPROVAL and answer.action is Action.INPUT:
        return f"step {step} asks for approval, not for values: `towpath approve promotion`, or `towpath reject`"
    if question.responders and not fitting(question, answer):
        allowed = " or ".join(str(rule) for rule in question.responders)
        return f"{answer.actor} may not answer step {step}: it asks {allowed}"
    if len(answer.message) > MAX_MESSAGE:
        return f"the message has {len(answer.message)} characters; at most {MAX_MESSAGE} are allowed"
    if question.kind is QuestionKind.INPUT:
        return _unfit(question, answer.values)
    before = [response for response in responses if response.user == answer.actor]
    if answer.action is Action.APPROVE and before:
        waits = waiting(question, responses)
        return f"{answer.actor} has approved step {step} already, at {format_time(before[0].time)}; it {waits}"
    if len(responses) >= MAX_RESPONSES and answer.action is Action.APPROVE:
        return f"{MAX_RESPONSES} people have approved already, and step {step} {waiting(question, responses)}"
    return ""


def _unfit(question: Question, values: Mapping[str, Json]) -> str:
    size = len(json.dumps(values))
    if size > MAX_VALUES:
        return f"the values have {size} bytes of JSON; at most {MAX_VALUES} are allowed"
    return "; ".join(problems_of(question.input_schema, with_defaults(question.input_schema, values)))


def response_to(question: Question, answer: Answer, now: Time) -> Response:
    """How an answer that isn't refused is recorded."""
    asks_input = question.kind is QuestionKind.INPUT
    return Response(
        user=answer.actor,
        action=answer.action,
        time=now,
        message=answer.message,
        rules=fitting(question, answer),
        values=with_defaults(question.input_schema, answer.values) if asks_input else None,
    )


def verdict(question: Question, responses: Sequence[Response]) -> Verdict | None:
    """What the answers come to; None: more are needed. Whoever rejects ends it, however many approved."""
    rejected = next((response for response in responses if response.action is Action.REJECT), None)
    if rejected is not None:
        return Verdict(approved=False, message=told(rejected))
    if question.kind is QuestionKind.INPUT:
        return Verdict(approved=True, message=told(responses[0])) if responses else None
    if len(responses) < question.min_approvals or _lacking(question, responses):
        return None
    return Verdict(approved=True, message="; ".join(told(response) for response in responses)[:MAX_MESSAGE])


def _lacking(question: Question, responses: Sequence[Response]) -> list[Responder]:
    """The rules one of which has to be met still: at least one approval of each required kind."""
    met = {place for response in responses for place in response.rules}
    return [rule for place, rule in enumerate(question.responders) if rule.required and place not in met]


def waiting(question: Question, responses: Sequence[Response]) -> str:
    """What a step waits for, in words: `waits for 1 of 2 approvals, of groups qa or role release-manager`."""
    people = " or ".join(str(rule) for rule in question.responders) or "anybody"
    if question.kind is QuestionKind.INPUT:
        return f"waits for input of {people}: {', '.join(fields_of(question.input_schema)) or 'any values'}"
    missing = max(question.min_approvals - len(responses), 0)
    count = f"{missing} of {question.min_approvals} approvals" if question.min_approvals > 1 else "approval"
    lacking = _lacking(question, responses)
    if not missing:
        return f"waits for an approval of {' and one of '.join(str(rule) for rule in lacking)}"
    needed = f", one of them of {' and one of '.join(str(rule) for rule in lacking)}" if lacking else ""
    return f"waits for {count} of {people}{needed}"


def told(response: Response) -> str:
    """An answer in words: `rejected by email:jane@example.com at 2026-01-02T03:04:05Z: too early`."""
    said = f": {response.message}" if response.message else ""
    return f"{_PAST[response.action]} by {response.user} at {format_time(response.time)}{said}"


_PAST = {Action.APPROVE: "approved", Action.REJECT: "rejected", Action.INPUT: "answered"}


def output_of(question: Question, responses: Sequence[Response]) -> dict[str, Json] | None:
    """The step's output, in Kargo's shape; of an approval it is there while more are waited for."""
    if question.kind is QuestionKind.INPUT:
        if not responses:
            return None
        first = responses[0]
        return {"values": first.values or {}, "respondedBy": first.user, "respondedAt": format_time(first.time)}
    return {
        "responses": [
            {
                "user": response.user,
                "action": response.action.value,
                "time": format_time(response.time),
                **({"message": response.message} if response.message else {}),
            }
            for response in responses
        ]
    }
