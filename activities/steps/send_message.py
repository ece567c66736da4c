"""The step `send-message`: by a MessageChannel to Slack, by mail, or to an address (Kargo 1.8, its paid edition)."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, ValidationError, field_validator

from activities.messages.delivery import MAX_MESSAGE, Delivery, decoded
from activities.messages.mail import MailOptions, send_mail
from activities.messages.slack import send_to_slack
from activities.messages.webhook import send_request
from activities.project_state import StateUnknown
from activities.steps.registry import StepConfig, StepContext, StepErrored, StepOutput, step
from credentials.directory import CLUSTER
from model.mail import MAX_RECIPIENTS
from model.resources.message_channel import MessageChannelSpec
from model.steps import Effect

#: What can't stand in the ID of a mail.
_NOT_IN_IDS = re.compile(r"[^A-Za-z0-9_.-]+")


class ChannelReference(StepConfig):
    """The channel that a message goes by."""

    #: Of the Project, or of all Projects.
    kind: Literal["MessageChannel", "ClusterMessageChannel"]
    #: Its name.
    name: str = Field(min_length=1)


class SlackOptions(StepConfig):
    """What only Slack knows."""

    #: ID of the Slack channel; by default the MessageChannel's.
    channel_id: str = Field(default="", alias="channelID")
    #: Timestamp of the thread to write in; empty: a new message. Wrap it in `quote()`, or it becomes a number.
    thread_ts: str = Field(default="", alias="threadTS")


class SmtpOptions(StepConfig):
    """What only mail knows."""

    #: An address or several, of which all but the first get copies; by default the MessageChannel's.
    to: str | list[str] = Field(default_factory=list)
    #: The subject; by default it names the promotion.
    subject: str = ""
    #: The message is HTML.
    html: bool = False

    @field_validator("to")
    @classmethod
    def not_too_many(cls, to: str | list[str]) -> str | list[str]:
        if isinstance(to, list) and len(to) > MAX_RECIPIENTS:
            raise ValueError(f"at most {MAX_RECIPIENTS} recipients are allowed")
        return to


class SendMessageConfig(StepConfig):
    """Config of `send-message`."""

    #: Where it goes.
    channel: ChannelReference
    #: The message; with encodingType an object of the channel's own fields.
    message: str = Field(min_length=1)
    #: How the message is encoded; empty: it is plain text. `xml`, which Kargo has too, is refused so far.
    encoding_type: Literal["", "json", "yaml"] = ""
    #: For channels of Slack; not read with encodingType.
    slack: SlackOptions | None = None
    #: For channels of mail; not read with encodingType.
    smtp: SmtpOptions | None = None

    @field_validator("encoding_type", mode="before")
    @classmethod
    def xml_is_known(cls, encoding: object) -> object:
        if encoding == "xml":
            raise ValueError("xml is not supported yet; write the message in json or yaml")
        return encoding

    @field_validator("message")
    @classmethod
    def not_too_long(cls, message: str) -> str:
        if len(message.encode()) > MAX_MESSAGE:
            raise ValueError(f"a message may have at most {MAX_MESSAGE} bytes")
        return message


class SlackSent(StepOutput):
    """What Slack said."""

    #: Timestamp of the thread: of the new message, or what threadTS said.
    thread_ts: str = Field(alias="threadTS")


class HttpSent(StepOutput):
    """What the address said."""

    #: Status of the answer.
    status: int


class SendMessageOutput(StepOutput):
    """Outputs of `send-message`."""

    #: Of channels of Slack.
    slack: SlackSent | None = None
    #: Of channels of HTTP.
    http: HttpSent | None = None


@step("send-message", config=SendMessageConfig, output=SendMessageOutput, effect=Effect.EXTERNAL, polls=True)
async def send_message(config: SendMessageConfig, context: StepContext) -> SendMessageOutput:
    """Send a message by a MessageChannel: to Slack, by mail, or as an HTTP request.

    Asked for patience (429), it waits as long as it was told. What the host won't have is Failed. A message is never
    sent twice unless `retry.errorThreshold` allows it: where the worker was lost while it sent, the step is Errored.
    """
    channel = f"{config.channel.kind} {config.channel.name}"
    if context.repeated:
        raise StepErrored(
            f"the worker was lost while it sent a message by {channel}, and nobody knows whether that arrived: see to "
            "it there, then promote again. To have it sent again without asking, give the step retry.errorThreshold"
        )
    spec = await _spec(config.channel, context)
    fields = decoded(config.message, config.encoding_type)
    for name in ("slack", "smtp"):
        if getattr(config, name) is not None and (fields is not None or getattr(spec, name) is None):
            why = "with encodingType" if fields is not None else f"{channel} is of another kind"
            context.warn(f"{name} is not read: {why}")
    delivery = Delivery(
        channel=channel,
        secret=_secret(config.channel, spec, context),
        text=config.message,
        fields=fields,
        message_id=f"<{_NOT_IN_IDS.sub('.', f'{context.promotion}.{context.alias}')}@{context.project}.towpath>",
        subject=f"Promotion {context.promotion} of Project {context.project}",
    )
    settings = context.outside.settings
    if spec.slack is not None:
        slack = config.slack or SlackOptions()
        thread = await send_to_slack(
            spec.slack, delivery, settings, channel_id=slack.channel_id, thread=slack.thread_ts
        )
        return SendMessageOutput(slack=SlackSent(thread_ts=thread))
    if spec.smtp is not None:
        smtp = config.smtp or SmtpOptions()
        to = [smtp.to] if isinstance(smtp.to, str) else smtp.to
        await send_mail(
            spec.smtp, delivery, context, MailOptions([entry for entry in to if entry], smtp.subject, smtp.html)
        )
        return SendMessageOutput()
    assert spec.http is not None
    return SendMessageOutput(http=HttpSent(status=await send_request(spec.http, delivery, settings)))


async def _spec(reference: ChannelReference, context: StepContext) -> MessageChannelSpec:
    """The channel as it was applied last. Raises StepErrored."""
    state = context.outside.state
    if state is None:
        raise StepErrored("this worker has no connection to its Project, which has the channel", final=True)
    project = context.project if reference.kind == "MessageChannel" else ""
    try:
        manifest = await state.message_channel(project, reference.name)
    except StateUnknown as error:
        raise StepErrored(f"{reference.kind} {reference.name}: {error}") from None
    if manifest is None:
        where = f" in Project {project}" if project else ""
        raise StepErrored(f"there is no {reference.kind} {reference.name}{where}: apply it", final=True)
    try:
        return MessageChannelSpec.model_validate(manifest.get("spec"))
    except ValidationError as error:
        raise StepErrored(f"{reference.kind} {reference.name} can't be read: {error}", final=True) from None


def _secret(reference: ChannelReference, spec: MessageChannelSpec, context: StepContext) -> dict[str, str]:
    """What opens the channel; empty where it names no Secret. Raises StepErrored where that isn't there."""
    if spec.secret_ref is None:
        return {}
    place = context.project if reference.kind == "MessageChannel" else CLUSTER
    found = context.outside.credentials.secret(place, spec.secret_ref.name)
    if not found:
        raise StepErrored(
            f"{reference.kind} {reference.name}: there is no Secret {spec.secret_ref.name} in the worker's "
            f"credentials of {place}",
            final=True,
        )
    return found
