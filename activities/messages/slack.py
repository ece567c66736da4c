"""Messages to Slack, by its method chat.postMessage (docs.slack.dev/reference/methods/chat.postMessage)."""

from __future__ import annotations

import json

from activities.messages.delivery import TIMEOUT, Delivery, patience
from activities.messages.requests import request
from activities.registry.client import retry_after
from activities.settings import ActivitySettings
from activities.steps.registry import StepErrored, StepFailed
from expressions.json_text import from_json
from model.base import Json
from model.resources.message_channel import SlackChannel

URL = "https://slack.com/api/chat.postMessage"
#: Slack cuts longer texts off.
MAX_TEXT = 40_000
#: Fields of a message that Slack reads and a manifest may give; the token is the channel's.
FIELDS = (
    "attachments",
    "blocks",
    "channel",
    "icon_emoji",
    "icon_url",
    "link_names",
    "metadata",
    "mrkdwn",
    "parse",
    "reply_broadcast",
    "text",
    "thread_ts",
    "unfurl_links",
    "unfurl_media",
    "username",
)
#: Slack's own troubles, which another attempt may not meet.
_PASSING = {"fatal_error", "internal_error", "request_timeout", "service_unavailable", "team_added_to_org"}
#: What is wrong with the token, not with the message.
_CREDENTIALS = {
    "access_denied": "it may not write there",
    "account_inactive": "its user or workspace is gone",
    "invalid_auth": "Slack doesn't know it",
    "missing_scope": "it lacks the scope chat:write",
    "no_permission": "it may not write there",
    "not_authed": "it is empty",
    "token_expired": "it has expired",
    "token_revoked": "it was revoked",
}
#: What to do about some of Slack's refusals.
_HINTS = {
    "channel_not_found": "give the channel's ID, such as C1234567890, and invite the app if it is private",
    "not_in_channel": "invite the app to the channel",
    "is_archived": "the channel is archived",
}


async def send_to_slack(
    channel: SlackChannel, delivery: Delivery, settings: ActivitySettings, *, channel_id: str, thread: str
) -> str:
    """Sends it; the timestamp of the thread it stands in. Raises StepFailed, StepErrored, NotYet."""
    token = delivery.secret.get("apiKey", "")
    if not token:
        raise StepErrored(f"{delivery.channel}: its Secret has no apiKey", final=True)
    message = _message(delivery, channel_id or channel.channel_id, thread)
    answer = await request(
        delivery.channel,
        "POST",
        URL,
        headers=[("Authorization", f"Bearer {token}"), ("Content-Type", "application/json; charset=utf-8")],
        content=json.dumps(message).encode(),
        settings=settings,
        timeout=TIMEOUT,
    )
    if answer.status == 429:
        raise patience(delivery.channel, retry_after(answer.headers.get("retry-after", "")))
    said = _said(answer.body)
    if said is None:
        kind = answer.headers.get("content-type", "no content type").partition(";")[0]
        raise StepErrored(
            f"{delivery.channel}: Slack answered HTTP {answer.status} with {kind}, not with JSON; is a proxy between?"
        )
    if said.get("ok") is not True:
        raise _refused(delivery.channel, str(said.get("error") or f"HTTP {answer.status}")[:200])
    thread_of: Json = message.get("thread_ts") or said.get("ts")
    return str(thread_of or "")


def _message(delivery: Delivery, channel_id: str, thread: str) -> dict[str, Json]:
    if delivery.fields is None:
        message: dict[str, Json] = {"channel": channel_id, "text": delivery.text}
        if thread:
            message["thread_ts"] = thread
    else:
        message = {"channel": channel_id, **delivery.known(*FIELDS)}
    # As Kargo documents it.
    if message.get("icon_emoji"):
        message.pop("icon_url", None)
    text = message.get("text", "")
    if not isinstance(text, str) or not isinstance(message["channel"], str):
        raise StepFailed("message: text and channel must be texts; `quote()` keeps them so")
    if len(text) > MAX_TEXT:
        raise StepFailed(f"message: it has {len(text)} characters, and Slack cuts texts off at {MAX_TEXT}")
    return message


def _said(body: bytes) -> dict[str, Json] | None:
    try:
        said: Json = from_json(body.decode(errors="replace"))
    except ValueError:
        return None
    return said if isinstance(said, dict) else None


def _refused(channel: str, error: str) -> Exception:
    if error == "ratelimited":
        return patience(channel, None)
    if error in _PASSING or error.startswith("HTTP 5"):
        return StepErrored(f"{channel}: Slack is in trouble: {error}")
    if error in _CREDENTIALS:
        return StepErrored(f"{channel}: Slack refused the token ({error}): {_CREDENTIALS[error]}", final=True)
    hint = f": {_HINTS[error]}" if error in _HINTS else ""
    return StepFailed(f"{channel}: Slack refused the message ({error}){hint}")
