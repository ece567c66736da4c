"""What is sent, and what can become of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from activities.steps.registry import NotYet, StepFailed
from activities.yaml_documents import InvalidYaml, document, with_string_keys
from expressions.json_text import from_json
from model.base import Json

Encoding = Literal["", "json", "yaml"]

#: The largest message, in bytes.
MAX_MESSAGE = 256 * 1024
#: How long one attempt may take, unless the channel says otherwise.
TIMEOUT = timedelta(seconds=30)
#: What a host that asks for patience gets, at least and at most; and where it doesn't say for how long.
LEAST_PAUSE = timedelta(seconds=1)
LONGEST_PAUSE = timedelta(hours=1)
PAUSE = timedelta(seconds=30)


@dataclass(frozen=True)
class Delivery:
    """One message on its way through a channel."""

    #: Names the channel in messages: `MessageChannel team`.
    channel: str
    #: Of the channel's Secret; empty where it has none.
    secret: Mapping[str, str]
    text: str
    #: The fields that the text holds, where it is encoded.
    fields: dict[str, Json] | None
    #: The same for each attempt at one message.
    message_id: str
    subject: str

    def known(self, *names: str) -> dict[str, Json]:
        """The fields, none of which may have another name. Raises StepFailed."""
        unknown = sorted((self.fields or {}).keys() - set(names))
        if unknown:
            raise StepFailed(f"message: unknown field {unknown[0]}; {self.channel} knows {', '.join(names)}")
        return dict(self.fields or {})


def decoded(text: str, encoding: Encoding) -> dict[str, Json] | None:
    """The fields of an encoded message; None where it isn't encoded. Raises StepFailed."""
    if not encoding:
        return None
    try:
        fields: Json = from_json(text) if encoding == "json" else with_string_keys(document(text))
    except (InvalidYaml, ValueError) as error:
        raise StepFailed(f"message: it is not {encoding.upper()}, as encodingType says: {error}") from error
    if not isinstance(fields, dict):
        raise StepFailed(f"message: as {encoding.upper()} it must be an object of fields")
    return fields


def patience(channel: str, asked: timedelta | None) -> NotYet:
    """The host takes no more for now: the message is sent again when it said, since it wasn't taken."""
    pause = min(max(asked or PAUSE, LEAST_PAUSE), LONGEST_PAUSE)
    return NotYet(f"{channel} takes no more for now; it is sent again in {pause.total_seconds():g} s", after=pause)
