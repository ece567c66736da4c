"""The step http, against servers on loopback."""

from __future__ import annotations

import ipaddress
import json
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from activities import guarded
from activities.guarded import refused
from activities.mask import Mask
from activities.steps.http import MAX_BODY, HttpConfig
from activities.steps.registry import NotYet, StepErrored, StepFailed
from tests.steps.contexts import run_step, step_context


class Site:
    """A web server that answers as told and remembers what it was asked."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        site = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base names it so)
                """Stay silent."""

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                path, _, query = self.path.partition("?")
                site.requests.append(
                    {"method": self.command, "path": path, "query": query, "headers": self.headers, "body": body}
                )
                status, headers, content = site.answers.get(path, (404, {}, b""))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"):
            setattr(Handler, f"do_{method}", Handler.answer)
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def answer(self, path: str, body: Any = b"", status: int = 200, **headers: str) -> str:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        kind = {} if isinstance(body, bytes) else {"Content-Type": "application/json; charset=utf-8"}
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answers[path] = (status, {**kind, **given}, content)
        return self.url + path

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    running = Site()
    yield running
    running.close()


def outputs(**rules: str) -> list[dict[str, str]]:
    return [{"name": name, "fromExpression": source} for name, source in rules.items()]


async def test_a_request_carries_what_the_config_says(site: Site, tmp_path: Path) -> None:
    site.answer("/a", {"ok": True})
    config = {
        "method": "POST",
        "url": f"{site.url}/a?x=1",
        "headers": [
            {"name": "X-Tag", "value": "é"},
            {"name": "X-Many", "value": "1"},
            {"name": "X-Many", "value": "2"},
        ],
        "queryParams": [{"name": "q", "value": "a b&c"}],
        "body": '{"v": "1.10"}',
    }
    assert await run_step("http", config, step_context(tmp_path)) == {}
    [request] = site.requests
    assert request["method"] == "POST"
    assert request["query"] in ("x=1&q=a+b%26c", "x=1&q=a%20b%26c")
    assert request["body"] == b'{"v": "1.10"}'
    assert request["headers"].get_all("X-Many") == ["1", "2"]


async def test_the_body_can_come_from_a_file_of_the_workspace(site: Site, tmp_path: Path) -> None:
    site.answer("/a")
    (tmp_path / "w").mkdir()
    (tmp_path / "w/body.json").write_bytes(b"\x00\xffraw")
    config = {"method": "PUT", "url": f"{site.url}/a", "bodyFromFile": "../body.json"}
    await run_step("http", config, step_context(tmp_path / "w"))
    assert site.requests[0]["body"] == b"\x00\xffraw"
    (tmp_path / "secret").write_text("s")
    (tmp_path / "w/link").symlink_to(tmp_path / "secret")
    with pytest.raises(StepFailed, match="leads out"):
        await run_step("http", config | {"bodyFromFile": "link"}, step_context(tmp_path / "w"))
    with pytest.raises(StepErrored, match="bodyFromFile none can't be read"):
        await run_step("http", config | {"bodyFromFile": "none"}, step_context(tmp_path / "w"))


# the answer's type and body, the config's responseContentType, an expression, its value
BODIES: dict[str, tuple[str, bytes, str, str, Any]] = {
    "JSON": ("application/json", b'{"a": [1, 2.5]}', "", "response.body.a", [1, 2.5]),
    "JSON scalar": ("application/json", b'"x"', "", "response.body", "x"),
    "JSON without a type": ("", b'{"a": 1}', "", "response.body.a", 1),
    "JSON of a vendor": ("application/vnd.github+json", b'{"a": 1}', "", "response.body.a", 1),
    "YAML": ("application/yaml", b"a: {1: x, t: 2026-01-01}", "", "response.body.a", {"1": "x", "t": "2026-01-01"}),
    "text": ("text/plain; charset=utf-8", b"12", "", "response.body", "12"),
    "HTML": ("text/html", b"<p>", "", "response.body", {}),
    "nothing": ("application/json", b"", "", "response.body", {}),
    "YAML by config": ("text/plain", b"a: 1", "application/yaml", "response.body.a", 1),
    "text by config": ("application/json", b"{", "text/plain", "response.body", "{"),
    "status": ("", b"", "", "response.status", 200),
    "a header": ("", b"", "", "response.header('x-thing')", "t"),
    "no such header": ("", b"", "", "response.header('x-none')", ""),
    "headers": ("", b"", "", "response.headers['X-Thing'][0]", "t"),
    "a missing field": ("application/json", b"{}", "", "response.body?.a?.b", None),
}


@pytest.mark.parametrize("case", BODIES)
async def test_outputs_are_found_in_the_answer(site: Site, tmp_path: Path, case: str) -> None:
    kind, body, override, source, value = BODIES[case]
    headers = {"X_Thing": "t"} | ({"Content_Type": kind} if kind else {})
    config: dict[str, Any] = {"url": site.answer("/a", body, **headers), "outputs": outputs(it=source)}
    if override:
        config["responseContentType"] = override
    assert await run_step("http", config, step_context(tmp_path)) == {"it": value}


SUCCESS = {"successExpression": "response.body.state == 'done'"}
FAILURE = {"failureExpression": "response.body.state == 'broken'"}
# the expressions, the answer's status, its state, what comes of it
OUTCOMES: list[tuple[dict[str, str], int, str, type[Exception] | None, str]] = [
    ({}, 200, "", None, ""),
    ({}, 204, "", None, ""),
    ({}, 302, "", NotYet, "HTTP 302"),
    ({}, 500, "", NotYet, "HTTP 500"),
    (SUCCESS, 200, "done", None, ""),
    (SUCCESS, 500, "done", None, ""),
    (SUCCESS, 200, "busy", NotYet, "neither success nor failure"),
    (FAILURE, 200, "busy", NotYet, "neither success nor failure"),
    (FAILURE, 200, "broken", StepFailed, r"HTTP \(200\) response met failure criteria$"),
    ({**SUCCESS, **FAILURE}, 200, "done", None, ""),
    ({**SUCCESS, **FAILURE}, 200, "busy", NotYet, "neither"),
    ({**SUCCESS, "failureExpression": "true"}, 200, "done", StepFailed, "met failure criteria"),
    ({**FAILURE, "errorExpression": "'it is ' + response.body.state"}, 200, "broken", StepFailed, ": it is broken$"),
    ({**FAILURE, "errorExpression": "response.body.a.b.c"}, 200, "broken", StepFailed, "criteria$"),
    ({**FAILURE, "errorExpression": "response.status"}, 200, "broken", StepFailed, "criteria$"),
    ({"successExpression": "response.status"}, 200, "", StepErrored, "must be true or false"),
    ({"successExpression": "response.body.a.b"}, 200, "", StepErrored, "successExpression: cannot fetch"),
]


@pytest.mark.parametrize(("expressions", "status", "state", "error", "words"), OUTCOMES)
async def test_outcome(
    site: Site,
    tmp_path: Path,
    expressions: dict[str, str],
    status: int,
    state: str,
    error: type[Exception] | None,
    words: str,
) -> None:
    config = {
        "url": site.answer("/a", {"state": state}, status),
        **expressions,
        "outputs": outputs(s="response.status"),
    }
    if error is None:
        assert await run_step("http", config, step_context(tmp_path)) == {"s": status}
        return
    with pytest.raises(error, match=words):
        await run_step("http", config, step_context(tmp_path))


@pytest.mark.parametrize(
    ("config", "after"),
    [
        ({"successExpression": "false"}, timedelta(seconds=30)),
        ({"successExpression": "false", "pollInterval": "2m"}, timedelta(minutes=2)),
        ({"successExpression": "false", "pollInterval": "1s"}, timedelta(seconds=10)),
        ({}, timedelta(minutes=5)),
    ],
)
async def test_when_it_is_asked_again(site: Site, tmp_path: Path, config: dict[str, str], after: timedelta) -> None:
    with pytest.raises(NotYet) as caught:
        await run_step("http", {"url": site.answer("/a", b"", 503), **config}, step_context(tmp_path))
    assert caught.value.after == after


@pytest.mark.parametrize("field", ["successExpression", "failureExpression", "errorExpression"])
async def test_an_expression_that_cannot_be_read_costs_no_request(site: Site, tmp_path: Path, field: str) -> None:
    with pytest.raises(StepErrored, match=field) as caught:
        await run_step("http", {"url": site.answer("/a"), field: "response."}, step_context(tmp_path))
    assert caught.value.final
    assert not site.requests


@pytest.mark.parametrize(
    ("method", "sent"), [("GET", True), ("PUT", True), ("DELETE", True), ("POST", False), ("PATCH", False)]
)
async def test_a_request_that_may_have_been_sent_is_not_sent_twice(
    site: Site, tmp_path: Path, method: str, sent: bool
) -> None:
    config = {"method": method, "url": site.answer("/a")}
    context = step_context(tmp_path, repeated=True)
    if sent:
        await run_step("http", config, context)
    else:
        with pytest.raises(StepErrored, match=r"nobody knows whether that arrived.*retry\.errorThreshold") as caught:
            await run_step("http", config, context)
        # Not final: with a higher threshold the next attempt sends it.
        assert not caught.value.final
    assert bool(site.requests) is sent


async def test_redirects_are_followed(site: Site, tmp_path: Path) -> None:
    site.answer("/b", {"x": 1})
    config = {"url": site.answer("/a", b"", 302, Location="/b"), "outputs": outputs(x="response.body.x")}
    assert await run_step("http", config, step_context(tmp_path)) == {"x": 1}
    with pytest.raises(StepErrored, match="redirects"):
        await run_step("http", {"url": site.answer("/c", b"", 302, Location="/c")}, step_context(tmp_path))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://169.254.169.254/latest/meta-data", "link-local and metadata"),
        ("http://[fe80::1]/", "link-local and metadata"),
        ("http://[::ffff:169.254.169.254]/", "link-local and metadata"),
        ("http://0xA9FEA9FE/", "link-local and metadata|can't be resolved"),
        ("http://metadata.test/", "metadata.test is at 169.254.169.254"),
        ("file:///etc/passwd", "must begin with http"),
        ("gopher://127.0.0.1/", "must begin with http"),
        ("/relative", "must begin with http"),
        ("http://127.0.0.1:99999/", "invalid URL|can't be made"),
    ],
)
async def test_addresses_that_are_refused(
    tmp_path: Path, url: str, words: str, monkeypatch: pytest.MonkeyPatch, site: Site
) -> None:
    real = socket.getaddrinfo

    def resolve(host: str, port: Any, *args: Any, **options: Any) -> Any:
        return real("169.254.169.254" if host == "metadata.test" else host, port, *args, **options)

    monkeypatch.setattr(guarded.socket, "getaddrinfo", resolve)
    with pytest.raises(StepErrored, match=words):
        await run_step("http", {"url": url}, step_context(tmp_path))
    if "://" in url:
        with pytest.raises(StepErrored):
            await run_step("http", {"url": site.answer("/a", b"", 302, Location=url)}, step_context(tmp_path))


@pytest.mark.parametrize(
    ("address", "no"),
    [
        ("169.254.1.1", True),
        ("100.100.100.200", True),
        ("fd00:ec2::254", True),
        ("64:ff9b::a9fe:a9fe", True),
        ("2002:a9fe:a9fe::1", True),
        ("0.0.0.0", True),  # noqa: S104 (nothing binds to it)
        ("127.0.0.1", False),
        ("10.0.0.1", False),
        ("192.0.2.1", False),
        ("2001:db8::1", False),
    ],
)
def test_which_addresses_are_refused(address: str, no: bool) -> None:
    assert refused(ipaddress.ip_address(address)) is no


async def test_a_proxy_is_used(site: Site, tmp_path: Path) -> None:
    site.answer("http://example.test/a", {"x": 1})
    config = {"url": "http://example.test/a", "proxy": site.url, "outputs": outputs(x="response.body.x")}
    assert await run_step("http", config, step_context(tmp_path)) == {"x": 1}
    with pytest.raises(StepErrored, match="link-local and metadata"):
        await run_step("http", config | {"url": "http://169.254.169.254/"}, step_context(tmp_path))
    with pytest.raises(StepErrored, match="link-local and metadata"):
        await run_step("http", config | {"proxy": "http://169.254.169.254:80"}, step_context(tmp_path))


async def test_an_answer_that_is_too_large_is_not_read_on(site: Site, tmp_path: Path) -> None:
    with pytest.raises(StepErrored, match="larger than"):
        await run_step("http", {"url": site.answer("/a", b"x" * (MAX_BODY + 1))}, step_context(tmp_path))


@pytest.mark.parametrize("body", [b"{", b"NaN", b'{"a": 1} x', b"[" * 100_000])
async def test_an_answer_that_is_not_the_json_it_says(site: Site, tmp_path: Path, body: bytes) -> None:
    url = site.answer("/a", body, Content_Type="application/json")
    with pytest.raises(StepErrored, match="it is not"):
        await run_step("http", {"url": url}, step_context(tmp_path))


async def test_a_server_that_never_answers(tmp_path: Path, site: Site) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/x?token=abc"
        with pytest.raises(StepErrored, match=r"GET http://127\.0\.0\.1:\d+/x: no answer within 0\.2 seconds"):
            await run_step("http", {"url": url, "timeout": "200ms"}, step_context(tmp_path))
    with pytest.raises(StepErrored, match="GET http://127"):
        await run_step("http", {"url": url}, step_context(tmp_path))


async def test_secrets_of_a_request_are_masked(site: Site, tmp_path: Path) -> None:
    url = site.answer("/a", {"echo": "opensesame", "user": "p4ssphrase"}).replace("//", "//ann:p4ssphrase@")
    config = {
        "url": url,
        "headers": [
            {"name": "Authorization", "value": "Bearer opensesame"},
            {"name": "Accept", "value": "application/json"},
        ],
        "outputs": outputs(echo="response.body.echo", user="response.body.user", kind="'application/json'"),
    }
    mask = Mask()
    with mask.collecting():
        output = await run_step("http", config, step_context(tmp_path))
    assert mask.json(output) == {"echo": "***", "user": "***", "kind": "application/json"}


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({}, "Field required"),
        ({"url": "http://a", "method": "TRACE"}, "'DELETE'"),
        ({"url": "http://a", "body": "a", "bodyFromFile": "b"}, "either body or bodyFromFile"),
        ({"url": "http://a", "body": {"a": 1}}, "valid string"),
        ({"url": "http://a", "timeout": "ten"}, "duration"),
        ({"url": "http://a", "timeout": "0s"}, "above zero"),
        ({"url": "http://a", "proxy": "localhost:3128"}, "proxy must begin"),
        ({"url": "http://a", "headers": [{"name": "a"}]}, "Field required"),
        ({"url": "http://a", "responseContentType": "text/html"}, "Input should be"),
        ({"url": "http://a", "outputs": [{"name": "a", "fromExpression": ""}]}, "at least 1 character"),
        ({"url": "http://a", "follow": True}, "Extra inputs"),
    ],
)
def test_bad_configs_are_refused(config: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        HttpConfig.model_validate_json(json.dumps(config))
