"""Messages as HTTP requests to an address of the channel's."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import httpx

from activities.messages.delivery import Delivery, patience
from activities.messages.requests import request
from activities.registry.client import retry_after
from activities.settings import ActivitySettings
from activities.steps.http import Answer, NamedValue, remember_secrets, response_of, shown
from activities.steps.registry import StepErrored, StepFailed
from expressions.errors import ExpressionError
from expressions.evaluator import Program, compile_expression
from model.base import Json
from model.resources.message_channel import HttpChannel

DEFAULT_TIMEOUT = timedelta(seconds=10)
#: What an encoded message may say.
FIELDS = ("body", "headers", "method", "url", "queryParams", "successExpression", "failureExpression")
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
#: Headers that the client writes itself.
_OWN_HEADERS = {"content-length", "transfer-encoding", "connection", "host"}
_PARSED = ("application/json", "application/yaml", "text/yaml", "application/x-yaml")


async def send_request(channel: HttpChannel, delivery: Delivery, settings: ActivitySettings) -> int:
    """Sends it; the status of the answer. Raises StepFailed, StepErrored, NotYet."""
    fields = delivery.known(*FIELDS)
    url = _text(fields, "url") or channel.url
    method = _text(fields, "method") or channel.method
    if method not in _METHODS:
        raise StepFailed(f"message: method must be one of {', '.join(_METHODS)}")
    success = _compiled("successExpression", _text(fields, "successExpression") or channel.success_expression)
    failure = _compiled("failureExpression", _text(fields, "failureExpression") or channel.failure_expression)
    content, kind = _content(delivery, fields)
    answer = await request(
        delivery.channel,
        method,
        _with_params(url, channel, _texts(fields, "queryParams")),
        headers=_headers(channel, delivery, _texts(fields, "headers"), url, kind, settings),
        content=content,
        settings=settings,
        timeout=channel.timeout or DEFAULT_TIMEOUT,
        verify=not channel.insecure_skip_tls_verify,
        follow_redirects=True,
    )
    if answer.status == 429:
        raise patience(delivery.channel, retry_after(answer.headers.get("retry-after", "")))
    await asyncio.to_thread(_judge, delivery.channel, answer, success, failure)
    return answer.status


def _content(delivery: Delivery, fields: dict[str, Json]) -> tuple[bytes, str]:
    """The body, and the type it has unless a header says another."""
    body: Json = delivery.text if delivery.fields is None else fields.get("body", "")
    if isinstance(body, str):
        return body.encode(), "text/plain; charset=utf-8"
    return json.dumps(body).encode(), "application/json"


def _headers(
    channel: HttpChannel,
    delivery: Delivery,
    given: dict[str, str],
    url: str,
    kind: str,
    settings: ActivitySettings,
) -> list[tuple[str, str]]:
    """The channel's headers, the message's over them, and what opens the address: at the channel's own host alone."""
    headers = {"content-type": kind}
    headers |= {header.name.lower(): header.value for header in channel.headers}
    headers |= {name.lower(): value for name, value in given.items()}
    remember_secrets([NamedValue(name=name, value=value) for name, value in headers.items() if name and value])
    if delivery.secret:
        if _origin(url) != _origin(channel.url):
            raise StepFailed(
                f"message: url leads to another host than that of {delivery.channel}, whose Secret is not sent there"
            )
        if url.startswith("http://") and not settings.allow_credentials_over_http:
            raise StepErrored(
                f"{delivery.channel}: {shown(url)} is not encrypted, so its Secret is not sent; use https://, or "
                "TOWPATH_ALLOW_CREDENTIALS_OVER_HTTP=true",
                final=True,
            )
        headers["authorization"] = _authorization(delivery)
    return [(name, value) for name, value in headers.items() if name not in _OWN_HEADERS]


def _authorization(delivery: Delivery) -> str:
    if delivery.secret.get("authorization"):
        return delivery.secret["authorization"]
    if delivery.secret.get("bearerToken"):
        return f"Bearer {delivery.secret['bearerToken']}"
    raise StepErrored(f"{delivery.channel}: its Secret has neither bearerToken nor authorization", final=True)


def _origin(url: str) -> tuple[str, str, int | None]:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise StepFailed(f"url: {error}") from error
    return parsed.scheme, parsed.host, parsed.port


def _with_params(url: str, channel: HttpChannel, given: dict[str, str]) -> str:
    params = {param.name: param.value for param in channel.query_params} | given
    try:
        return str(httpx.URL(url).copy_merge_params(params)) if params else url
    except httpx.InvalidURL as error:
        raise StepFailed(f"url: {error}") from error


def _text(fields: dict[str, Json], name: str) -> str:
    value = fields.get(name, "")
    if not isinstance(value, str):
        raise StepFailed(f"message: {name} must be a text")
    return value


def _texts(fields: dict[str, Json], name: str) -> dict[str, str]:
    value = fields.get(name, {})
    if not isinstance(value, dict) or not all(isinstance(entry, str) for entry in value.values()):
        raise StepFailed(f"message: {name} must be an object of texts")
    return value


def _compiled(name: str, source: str) -> Program | None:
    try:
        return compile_expression(source) if source else None
    except ExpressionError as error:
        raise StepErrored(str(error.within(name)), final=True) from error


def _judge(channel: str, answer: Answer, success: Program | None, failure: Program | None) -> None:
    """Raises StepFailed where the answer is a no, StepErrored where the host is in trouble."""
    if success is None and failure is None:
        if answer.ok:
            return
        said = f"{channel}: the answer was HTTP {answer.status}"
        raise StepErrored(said) if answer.status >= 500 else StepFailed(said)
    response = response_of(answer)
    if answer.headers.get("content-type", "").partition(";")[0].strip().lower() not in _PARSED:
        response["body"] = answer.body.decode(errors="replace")
    environment: Json = {"response": response}
    if failure is not None and _true("failureExpression", failure, environment):
        raise StepFailed(f"{channel}: the answer, HTTP {answer.status}, meets failureExpression")
    if success is not None and not _true("successExpression", success, environment):
        raise StepFailed(f"{channel}: the answer, HTTP {answer.status}, does not meet successExpression")


def _true(name: str, program: Program, environment: Json) -> bool:
    try:
        value = program.run(environment)
    except ExpressionError as error:
        raise StepErrored(str(error.within(name)), final=True) from error
    if not isinstance(value, bool):
        raise StepErrored(f"{name} must be true or false; it is {type(value).__name__}", final=True)
    return value
