"""The step `http`: a request, and expressions on its answer (Kargo: pkg/promotion/runner/builtin/http_requester.go)."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal

import httpx
from pydantic import Field, field_validator, model_validator

from activities.guarded import GuardedTransport
from activities.mask import remember
from activities.steps.registry import NotYet, StepConfig, StepContext, StepErrored, StepFailed, step
from activities.yaml_documents import InvalidYaml, document, with_string_keys
from expressions.errors import ExpressionError, Fault
from expressions.evaluator import Program, compile_expression
from expressions.json_text import from_json, to_json
from expressions.limits import Budget
from expressions.values import Function, Value
from model.base import Duration, Json
from model.steps import Effect

#: The largest answer, and the largest body read from a file, in bytes.
MAX_BODY = 2 * 1024 * 1024
MAX_REDIRECTS = 10
DEFAULT_TIMEOUT = timedelta(seconds=10)
DEFAULT_POLL_INTERVAL = timedelta(seconds=30)
#: Kargo's floor: nothing is polled more often.
LEAST_POLL_INTERVAL = timedelta(seconds=10)
#: Pause after an answer that isn't 2xx, where no expression says what to make of it.
RETRY_INTERVAL = timedelta(minutes=5)

#: Methods that may be sent twice without doing anything twice (RFC 9110, 9.2.2).
IDEMPOTENT = {"GET", "HEAD", "PUT", "DELETE"}
#: Headers whose values are secrets, by their names.
_SECRET_HEADER = re.compile(r"auth|cookie|credential|key|password|secret|signature|token", re.IGNORECASE)
#: Headers that the client writes itself, as Go's does.
_OWN_HEADERS = {"content-length", "transfer-encoding", "connection"}


class NamedValue(StepConfig):
    """A header, or a query parameter."""

    #: Its name.
    name: str = Field(min_length=1)
    #: Its value.
    value: str = Field(min_length=1)


class OutputRule(StepConfig):
    """An output of the step, and the expression that finds it in the answer."""

    #: Name of the output.
    name: str = Field(min_length=1)
    #: Expression on `response`: status, headers, header(name) and the parsed body.
    from_expression: str = Field(min_length=1)


class HttpConfig(StepConfig):
    """Config of `http`."""

    #: Where to; `http://` or `https://`.
    url: str = Field(min_length=1)
    #: The method.
    method: Literal["DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"] = "GET"
    #: Headers to send; values of those that look like credentials are masked.
    headers: list[NamedValue] = Field(default_factory=list)
    #: Parameters added to the address.
    query_params: list[NamedValue] = Field(default_factory=list)
    #: The body to send; or a file.
    body: str = ""
    #: A file of the workspace to send as the body.
    body_from_file: str = ""
    #: Accept any certificate.
    insecure_skip_tls_verify: bool = False
    #: Proxy for this request; by default the environment's.
    proxy: str = ""
    #: For the whole request.
    timeout: Duration = DEFAULT_TIMEOUT
    #: Pause before it asks again; at least 10s.
    poll_interval: Duration = DEFAULT_POLL_INTERVAL
    #: How to read the body, whatever the answer says it is.
    response_content_type: Literal["", "application/json", "application/yaml", "text/plain"] = ""
    #: Outputs to make of the answer, once the step succeeds.
    outputs: list[OutputRule] = Field(default_factory=list)
    #: True: the step Succeeded.
    success_expression: str = ""
    #: True: the step Failed.
    failure_expression: str = ""
    #: Expression that finds a message in the answer of a failure.
    error_expression: str = ""

    @model_validator(mode="after")
    def one_body(self) -> HttpConfig:
        if self.body and self.body_from_file:
            raise ValueError("use either body or bodyFromFile, not both")
        return self

    @field_validator("proxy")
    @classmethod
    def proxy_has_a_scheme(cls, proxy: str) -> str:
        if proxy and not re.match(r"https?://.", proxy):
            raise ValueError("proxy must begin with http:// or https://")
        return proxy

    @field_validator("timeout", "poll_interval")
    @classmethod
    def longer_than_nothing(cls, duration: timedelta) -> timedelta:
        if duration <= timedelta(0):
            raise ValueError("expected a duration above zero")
        return duration


@dataclass(frozen=True)
class Answer:
    """What the server said."""

    status: int
    headers: httpx.Headers
    body: bytes

    @property
    def ok(self) -> bool:
        return 200 <= self.status <= 299


@step("http", config=HttpConfig, effect=Effect.EXTERNAL, polls=True, poll_interval=DEFAULT_POLL_INTERVAL)
async def http(config: HttpConfig, context: StepContext) -> dict[str, Json]:
    """Send one request; expressions on the answer decide about the outcome, and make the outputs.

    Failed when failureExpression is true, else Succeeded when successExpression is; asked again while what is given
    of the two is false. With neither a 2xx answer is a success, and any other is asked again.
    """
    if context.repeated and config.method not in IDEMPOTENT:
        raise StepErrored(
            f"the worker was lost while it sent a {config.method} request, and nobody knows whether that arrived: see "
            f"to it at {shown(config.url)}, then promote again. To have it sent again without asking, give the step "
            f"retry.errorThreshold"
        )
    expressions = _compiled(config)
    answer = await _send(config, context)
    return await asyncio.to_thread(_concluded, config, expressions, answer)


def _compiled(config: HttpConfig) -> dict[str, Program]:
    """The config's expressions, before anything is sent: one that can't be read must not cost a request."""
    sources = {
        "successExpression": config.success_expression,
        "failureExpression": config.failure_expression,
        "errorExpression": config.error_expression,
    }
    sources |= {f"output {rule.name}": rule.from_expression for rule in config.outputs}
    programs = {}
    for name, source in sources.items():
        if source:
            try:
                programs[name] = compile_expression(source)
            except ExpressionError as error:
                raise StepErrored(str(error.within(name)), final=True) from error
    return programs


async def _send(config: HttpConfig, context: StepContext) -> Answer:
    where = f"{config.method} {shown(config.url)}"
    content = config.body.encode()
    if config.body_from_file:
        content = await asyncio.to_thread(_read, context.path(config.body_from_file), config.body_from_file)
    remember_secrets(config.headers)
    seconds = config.timeout.total_seconds()
    try:
        transport = GuardedTransport(
            verify=not config.insecure_skip_tls_verify,
            proxy=config.proxy or None,
            mirrors=context.outside.settings.http_mirrors,
        )
        async with httpx.AsyncClient(
            transport=transport,
            timeout=seconds,
            follow_redirects=True,
            max_redirects=MAX_REDIRECTS,
            headers={"User-Agent": "towpath"},
        ) as client:
            request = _request(config, client, content)
            async with asyncio.timeout(seconds):
                return await _received(client, request)
    except (TimeoutError, httpx.TimeoutException) as error:
        raise StepErrored(f"{where}: no answer within {seconds:g} seconds") from error
    except (httpx.UnsupportedProtocol, httpx.InvalidURL, httpx.LocalProtocolError, ValueError) as error:
        raise StepErrored(f"{where}: the request can't be made: {error}", final=True) from error
    except httpx.HTTPError as error:
        raise StepErrored(f"{where}: {error or type(error).__name__}") from error


def remember_secrets(headers: list[NamedValue]) -> None:
    """Have the values of headers masked that are secrets, as their names tell."""
    for header in headers:
        if _SECRET_HEADER.search(header.name):
            remember(header.value)
            # The part after "Bearer" and the like leaks on its own as well.
            remember(header.value.rpartition(" ")[2])


def _request(config: HttpConfig, client: httpx.AsyncClient, content: bytes) -> httpx.Request:
    url = httpx.URL(config.url)
    if url.password:
        remember(url.password)
    if config.query_params:
        present = list(url.params.multi_items())
        url = url.copy_with(params=present + [(param.name, param.value) for param in config.query_params])
    headers = [
        (header.name.encode(), header.value.encode())
        for header in config.headers
        if header.name.lower() not in _OWN_HEADERS
    ]
    return client.build_request(config.method, url, headers=headers, content=content or None)


async def _received(client: httpx.AsyncClient, request: httpx.Request) -> Answer:
    response = await client.send(request, stream=True)
    try:
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > MAX_BODY:
                raise StepErrored(f"{shown(str(request.url))}: the answer is larger than {MAX_BODY} bytes")
        return Answer(response.status_code, response.headers, bytes(body))
    finally:
        await response.aclose()


def _read(path: Path, name: str) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BODY + 1)
    except OSError as error:
        raise StepErrored(f"bodyFromFile {name} can't be read: {error.strerror}", final=True) from error
    if len(content) > MAX_BODY:
        raise StepErrored(f"bodyFromFile {name} is larger than {MAX_BODY} bytes", final=True)
    return content


def shown(url: str) -> str:
    """A URL for messages: without user, password and query, where secrets stand."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        return "an invalid URL"
    return f"{parsed.scheme}://{parsed.netloc.decode('ascii', 'replace').rpartition('@')[2]}{parsed.path}"


def _concluded(config: HttpConfig, expressions: dict[str, Program], answer: Answer) -> dict[str, Json]:
    environment = {"response": response_of(answer, config.response_content_type)}
    success = _verdict("successExpression", expressions, environment)
    failure = _verdict("failureExpression", expressions, environment)
    if failure:
        message = _error_message(expressions, environment)
        raise StepFailed(f"HTTP ({answer.status}) response met failure criteria{f': {message}' if message else ''}")
    if success or (success is None and failure is None and answer.ok):
        return {rule.name: _output(rule, expressions, environment) for rule in config.outputs}
    if success is None and failure is None:
        raise NotYet(f"the answer was HTTP {answer.status}; the request is sent again", after=RETRY_INTERVAL)
    raise NotYet(
        f"the answer, HTTP {answer.status}, meets neither success nor failure criteria yet",
        after=max(config.poll_interval, LEAST_POLL_INTERVAL),
    )


def _verdict(name: str, expressions: dict[str, Program], environment: Json) -> bool | None:
    """What an expression says; None without one."""
    if name not in expressions:
        return None
    value = _evaluated(name, expressions[name], environment)
    if not isinstance(value, bool):
        raise StepErrored(f"{name} must be true or false; it is {type(value).__name__}")
    return value


def _evaluated(name: str, program: Program, environment: Json) -> Value:
    try:
        return program.run(environment)
    except ExpressionError as error:
        raise StepErrored(str(error.within(name))) from error


def _error_message(expressions: dict[str, Program], environment: Json) -> str:
    """What errorExpression finds; empty where it fits not this answer, as in Kargo."""
    if "errorExpression" not in expressions:
        return ""
    try:
        value = expressions["errorExpression"].run(environment)
    except ExpressionError:
        return ""
    return value[:1000] if isinstance(value, str) else ""


def _output(rule: OutputRule, expressions: dict[str, Program], environment: Json) -> Json:
    value = _evaluated(f"output {rule.name}", expressions[f"output {rule.name}"], environment)
    try:
        return from_json(to_json(value, Budget()))
    except (Fault, ValueError) as error:
        raise StepErrored(f"output {rule.name} can't be written as JSON: {error}") from error


def response_of(answer: Answer, content_type: str = "") -> dict[str, Value]:
    """The variable `response` of the expressions: status, header(name), headers and the parsed body.

    Headers are named as Go names them, and have a list of values each.
    """
    headers: dict[str, list[str]] = {}
    for name, value in answer.headers.multi_items():
        headers.setdefault(_canonical(name), []).append(value)
    return {
        "status": answer.status,
        "header": Function("header", lambda name: headers.get(_canonical(str(name)), [""])[0], 1, 1),
        "headers": headers,
        "body": _parsed(answer, content_type),
    }


def _canonical(name: str) -> str:
    return "-".join(part.capitalize() for part in name.split("-"))


def _parsed(answer: Answer, content_type: str) -> Json:
    """The body by its type: JSON, YAML or text; of any other type as JSON if it is that, else an empty map."""
    if not answer.body:
        return {}
    told: str = content_type or answer.headers.get("Content-Type", "")
    kind = told.partition(";")[0].strip().lower()
    text = answer.body.decode(errors="replace")
    if kind == "text/plain":
        return text
    if kind in ("application/yaml", "text/yaml", "application/x-yaml"):
        try:
            return with_string_keys(document(text, MAX_BODY))
        except InvalidYaml as error:
            raise StepErrored(f"the answer is not valid YAML: {error}") from error
    try:
        return from_json(text)
    except ValueError as error:
        if kind == "application/json":
            raise StepErrored("the answer says it is JSON, but it is not") from error
        return {}
