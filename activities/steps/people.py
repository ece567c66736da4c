"""`wait-for-approval` and `get-user-input`: what a promotion asks people (Kargo 1.12, its paid edition).

The steps only put the question; the promotion waits for the answers, and judges them by model.questions.
"""

from __future__ import annotations

from typing import NoReturn

from pydantic import Field, field_validator, model_validator

from activities.steps.registry import Asks, StepConfig, StepContext, StepOutput, step
from model.answer_schema import check_schema
from model.base import Duration, Json
from model.questions import MAX_RESPONSES, Question, QuestionKind, Responder
from model.steps import Effect

#: Text for whoever is asked, in characters.
MAX_DISPLAY = 4096
#: Rules about who may answer.
MAX_RULES = 50


class ResponderRule(StepConfig):
    """Who may answer: whoever has a claim with this value, or a role."""

    #: Name of a claim, such as `groups` or `email`; goes with `value`.
    claim: str = Field(default="", max_length=256)
    #: Value of the claim; of a list of values, one of them.
    value: str = Field(default="", max_length=1024)
    #: Name of a role of the Project.
    role: str = Field(default="", max_length=256)

    @model_validator(mode="after")
    def claim_or_role(self) -> ResponderRule:
        if bool(self.claim) != bool(self.value):
            raise ValueError("claim and value go together")
        if bool(self.claim) == bool(self.role):
            raise ValueError("give either claim and value, or role")
        return self


class ApproverRule(ResponderRule):
    """Who may approve or reject."""

    #: At least one approval must come from somebody whom this rule fits.
    required: bool = False


class WaitForApprovalConfig(StepConfig):
    """Config of `wait-for-approval`."""

    #: Who may approve or reject: whoever one of these rules fits. None: everybody.
    approvers: list[ApproverRule] = Field(default_factory=list, max_length=MAX_RULES)
    #: How many people have to approve.
    min_approvals: int = Field(default=1, ge=1, le=MAX_RESPONSES)
    #: Taken for Kargo's sake: an answer is heard at once, nothing is polled.
    poll_interval: Duration | None = None


class ApprovalResponse(StepOutput):
    """One answer."""

    #: Who answered.
    user: str
    #: `approve` or `reject`.
    action: str
    #: When; RFC 3339.
    time: str
    #: What they said to it.
    message: str | None = None


class WaitForApprovalOutput(StepOutput):
    """Outputs of `wait-for-approval`."""

    #: All answers, the first one first; there while more are waited for.
    responses: list[ApprovalResponse]


class GetUserInputConfig(StepConfig):
    """Config of `get-user-input`."""

    #: JSON Schema (draft 4, 6 or 7) of the values; its root has `type: object`.
    input_schema: dict[str, Json] = Field(alias="schema")
    #: Who may answer: whoever one of these rules fits. None: everybody.
    responders: list[ResponderRule] = Field(default_factory=list, max_length=MAX_RULES)
    #: A text for whoever is asked.
    display: str = Field(default="", max_length=MAX_DISPLAY)
    #: Taken for Kargo's sake: an answer is heard at once, nothing is polled.
    poll_interval: Duration | None = None

    @field_validator("input_schema")
    @classmethod
    def can_be_asked_with(cls, schema: dict[str, Json]) -> dict[str, Json]:
        check_schema(schema)
        return schema


class GetUserInputOutput(StepOutput):
    """Outputs of `get-user-input`."""

    #: The values, as the schema has them; those left out that have a default are there.
    values: dict[str, Json]
    #: Who answered.
    responded_by: str
    #: When; RFC 3339.
    responded_at: str


@step("wait-for-approval", config=WaitForApprovalConfig, output=WaitForApprovalOutput, effect=Effect.PURE, asks=True)
async def wait_for_approval(config: WaitForApprovalConfig, context: StepContext) -> NoReturn:
    """Wait until enough people have approved. Whoever rejects ends it as Failed.

    `towpath approve promotion` and `towpath reject promotion` answer, with `--reason` as the message. Each person
    counts once.
    """
    raise Asks(
        Question(
            kind=QuestionKind.APPROVAL,
            responders=[
                Responder(claim=rule.claim, value=rule.value, role=rule.role, required=rule.required)
                for rule in config.approvers
            ],
            min_approvals=config.min_approvals,
            asked_by=context.actor,
            asked_at=context.started_at,
        )
    )


@step("get-user-input", config=GetUserInputConfig, output=GetUserInputOutput, effect=Effect.PURE, asks=True)
async def get_user_input(config: GetUserInputConfig, context: StepContext) -> NoReturn:
    """Wait until somebody has given values that fit the schema. An answer that doesn't fit is refused, saying why.

    `towpath answer promotion` answers: `--set key=value`, or a file of values. The first answer counts.
    """
    raise Asks(
        Question(
            kind=QuestionKind.INPUT,
            responders=[Responder(claim=rule.claim, value=rule.value, role=rule.role) for rule in config.responders],
            display=config.display,
            input_schema=config.input_schema,
            asked_by=context.actor,
            asked_at=context.started_at,
        )
    )
