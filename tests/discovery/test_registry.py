"""The client of registries against real servers: the demo's, and Debian's docker-registry where it is installed."""

from __future__ import annotations

import json
import warnings
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from activities.registry.address import RegistrySettings, locate
from activities.registry.challenge import Challenge, read_challenges
from activities.registry.client import Login, RegistryClient
from activities.registry.description import read_time
from activities.registry.errors import (
    BadAddress,
    Forbidden,
    NotFound,
    RateLimited,
    RegistryError,
    TooLarge,
    Unauthorized,
    Unavailable,
    Unreadable,
)
from activities.registry.pace import Pace
from examples.world.registry import DOCKER_MANIFEST, OCI_MANIFEST, Fault, Registry
from tests.discovery.docker_registry import COMMAND, DockerRegistry

SETTINGS = RegistrySettings(
    plain_http=frozenset({"127.0.0.1"}), credentials_over_http=True, requests_per_second=100_000
)


@pytest.fixture
async def client() -> AsyncIterator[RegistryClient]:
    async with RegistryClient(SETTINGS) as client:
        yield client


@pytest.fixture(params=["demo", "docker-registry"])
def any_registry(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Registry | DockerRegistry]:
    if request.param == "demo":
        with Registry() as registry:
            yield registry
        return
    if COMMAND is None:
        warnings.warn("NOT TESTED against a real registry: docker-registry is not on PATH", stacklevel=1)
        pytest.skip(
            "NOT TESTED against a real registry: docker-registry is not on PATH (apt-get install docker-registry)"
        )
    with DockerRegistry(tmp_path) as real:
        yield real


async def test_tags_are_listed(client: RegistryClient, any_registry: Registry | DockerRegistry) -> None:
    for tag in ("1.0.0", "1.1.0", "latest"):
        any_registry.push("team/app", tag)

    assert sorted((await client.repository(f"{any_registry.host}/team/app").tags()).tags) == [
        "1.0.0",
        "1.1.0",
        "latest",
    ]


@pytest.mark.parametrize("docker", [False, True], ids=["oci", "docker"])
@pytest.mark.parametrize("platforms", [(), ("linux/amd64", "linux/arm64/v8")], ids=["image", "index"])
async def test_image_is_described(
    client: RegistryClient, any_registry: Registry | DockerRegistry, docker: bool, platforms: tuple[str, ...]
) -> None:
    created = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
    pushed = any_registry.push("app", "1.0.0", platforms=platforms, docker=docker, created=created)
    repository = client.repository(f"{any_registry.host}/app")

    description = await repository.describe("1.0.0")

    assert description.digest == pushed == await repository.digest("1.0.0")
    assert description.created_at == created
    assert [str(platform) for platform in description.platforms] == (list(platforms) or ["linux/amd64"])


async def test_annotations_are_carried(client: RegistryClient, any_registry: Registry | DockerRegistry) -> None:
    annotations = {"org.opencontainers.image.created": "2026-05-05T05:05:05Z", "link": "https://example.com"}
    any_registry.push("app", "1.0.0", annotations=annotations)

    description = await client.repository(f"{any_registry.host}/app").describe("1.0.0")

    assert description.annotations == annotations
    assert description.created_at == datetime(2026, 5, 5, 5, 5, 5, tzinfo=UTC)


async def test_missing_repository_and_tag_are_not_found(
    client: RegistryClient, any_registry: Registry | DockerRegistry
) -> None:
    any_registry.push("app", "1.0.0")

    with pytest.raises(NotFound, match=r"listing the tags of .*/gone: .*404"):
        await client.repository(f"{any_registry.host}/gone").tags()
    with pytest.raises(NotFound, match=r"reading .*/app:2\.0\.0"):
        await client.repository(f"{any_registry.host}/app").describe("2.0.0")
    with pytest.raises(NotFound):
        await client.repository(f"{any_registry.host}/app").digest("2.0.0")


async def test_label_counts_where_it_is_later_than_the_config(client: RegistryClient, registry: Registry) -> None:
    label = {"org.opencontainers.image.created": "2026-02-02T00:00:00Z"}
    registry.push("app", "later", labels=label, created=datetime(2026, 1, 1, tzinfo=UTC))
    registry.push("app", "earlier", labels=label, created=datetime(2026, 3, 3, tzinfo=UTC))
    repository = client.repository(f"{registry.host}/app")

    assert (await repository.describe("later")).created_at == datetime(2026, 2, 2, tzinfo=UTC)
    assert (await repository.describe("earlier")).created_at == datetime(2026, 3, 3, tzinfo=UTC)


async def test_index_with_annotated_time_is_one_request(client: RegistryClient, registry: Registry) -> None:
    registry.push(
        "app",
        "1.0.0",
        platforms=["linux/amd64", "linux/arm64"],
        annotations={"org.opencontainers.image.created": "2026-02-02T00:00:00Z"},
    )

    await client.repository(f"{registry.host}/app").describe("1.0.0")

    assert registry.counted() == 1


async def test_twenty_thousand_tags_over_two_hundred_pages(client: RegistryClient, registry: Registry) -> None:
    registry.page_size = 100
    registry.push("app", "0.0.0")
    registry.tag_many("app", [f"1.{minor}.{patch}" for minor in range(200) for patch in range(100)], "0.0.0")

    listing = await client.repository(f"{registry.host}/app").tags()

    assert len(listing.tags) == 20_001
    assert registry.counted() == 201


async def test_pages_that_go_round_in_circles_end(client: RegistryClient, registry: Registry) -> None:
    link = '</v2/app/tags/list?n=1000&last=a>; rel="next"'
    registry.fault = Fault(status=200, body=b'{"tags":["a"]}', headers={"Link": link})

    with pytest.raises(Unreadable, match="after 2 pages"):
        await client.repository(f"{registry.host}/app").tags()


async def test_link_to_another_host_is_read_at_ours(client: RegistryClient, registry: Registry) -> None:
    registry.push("app", "b")
    link = '<https://internal.example.com/v2/app/tags/list?n=1000&last=a>; rel="next"'
    registry.fault = Fault(status=200, body=b'{"tags":["a"]}', headers={"Link": link}, times=1)

    assert (await client.repository(f"{registry.host}/app").tags()).tags == ["a", "b"]


async def test_null_and_unusable_tags_are_left_out(client: RegistryClient, registry: Registry) -> None:
    repository = client.repository(f"{registry.host}/app")
    registry.fault = Fault(status=200, body=b'{"name":"app","tags":null}')
    assert (await repository.tags()).tags == []
    registry.fault = Fault(status=200, body=json.dumps({"tags": ["ok", "../..", "-x", "a b", "ok"]}).encode())
    assert (await repository.tags()).tags == ["ok"]


async def test_anonymous_token_is_fetched_once(client: RegistryClient, registry: Registry) -> None:
    registry.auth = "token"
    registry.push("app", "1.0.0")
    repository = client.repository(f"{registry.host}/app")

    await repository.tags()
    await repository.describe("1.0.0")

    assert registry.counted("token") == 1
    assert [request.kind for request in registry.requests] == ["tags", "token", "tags", "manifests", "blobs"]
    assert "scope=repository%3Aapp%3Apull" in registry.requests[1].path


async def test_token_that_expires_between_pages_is_fetched_again(client: RegistryClient, registry: Registry) -> None:
    registry.auth = "token"
    registry.push("app", "1.0.0")
    repository = client.repository(f"{registry.host}/app")
    await repository.tags()
    registry.expire_tokens()

    assert (await repository.tags()).tags == ["1.0.0"]
    assert registry.counted("token") == 2


@pytest.mark.parametrize("auth", ["token", "basic"])
async def test_login(client: RegistryClient, registry: Registry, auth: str) -> None:
    registry.auth = "token" if auth == "token" else "basic"
    registry.users = {"robot": "open-sesame"}
    registry.push("app", "1.0.0")
    url = f"{registry.host}/app"

    assert (await client.repository(url, Login("robot", "open-sesame")).tags()).tags == ["1.0.0"]
    with pytest.raises(Unauthorized, match="check username and password in the Secret"):
        await client.repository(url, Login("robot", "open-barley")).tags()
    with pytest.raises(Unauthorized, match=r"wants credentials \(401\).*add a Secret of type image"):
        await client.repository(url).tags()


async def test_credentials_stay_off_plain_http_unless_allowed(registry: Registry) -> None:
    registry.auth, registry.users = "basic", {"robot": "open-sesame"}
    registry.push("app", "1.0.0")
    async with RegistryClient(RegistrySettings(plain_http=frozenset({registry.host}))) as client:
        with pytest.raises(Unauthorized, match="aren't sent over plain HTTP"):
            await client.repository(f"{registry.host}/app", Login("robot", "open-sesame")).tags()

    assert not any("Authorization" in request.headers for request in registry.requests)


async def test_redirected_blob_is_read_without_credentials(client: RegistryClient, registry: Registry) -> None:
    registry.auth, registry.users = "basic", {"robot": "open-sesame"}
    with Registry() as store:
        store.push("app", "1.0.0")
        registry.push("app", "1.0.0")
        registry.blob_host = f"http://{store.host}"

        description = await client.repository(f"{registry.host}/app", Login("robot", "open-sesame")).describe("1.0.0")

        assert description.created_at is not None
        assert "Authorization" in registry.requests[-1].headers
        assert [("Authorization" in request.headers) for request in store.requests] == [False]


async def test_redirect_to_a_host_without_tls_is_refused(registry: Registry) -> None:
    registry.push("app", "1.0.0")
    registry.blob_host = "http://storage.example.com"
    async with RegistryClient(RegistrySettings(plain_http=frozenset({registry.host}))) as client:
        with pytest.raises(BadAddress, match=r"storage\.example\.com"):
            await client.repository(f"{registry.host}/app").describe("1.0.0")


async def test_redirects_without_end_are_left(client: RegistryClient, registry: Registry) -> None:
    registry.fault = Fault(status=302, headers={"Location": "/v2/app/tags/list"})

    with pytest.raises(Unreadable, match="redirected more than 5 times"):
        await client.repository(f"{registry.host}/app").tags()


async def test_registry_without_head_is_asked_with_get(client: RegistryClient, registry: Registry) -> None:
    digest = registry.push("app", "1.0.0")
    registry.head = False

    assert await client.repository(f"{registry.host}/app").digest("1.0.0") == digest


@pytest.mark.parametrize(
    ("fault", "kind", "message"),
    [
        (Fault(status=401), Unauthorized, "wants credentials (401)"),
        (Fault(status=403), Forbidden, "forbids it (403): out of order"),
        (Fault(status=404), NotFound, "not found (404)"),
        (Fault(status=429), RateLimited, "takes no more requests for now (429)"),
        (Fault(status=500), Unavailable, "is in trouble (500)"),
        (Fault(status=503, content_type="text/html", body=b"<html>"), Unavailable, "is in trouble (503)"),
        (Fault(status=418), Unreadable, "answered 418"),
        (Fault(status=200, content_type="text/html", body=b"<html>Hello"), Unreadable, "answered with a web page"),
        (Fault(status=200, body=b'{"tags": ["a'), Unreadable, "is there a registry at that address?"),
        (Fault(status=200, body=b'{"tags": [' + b" " * 9_000_000), TooLarge, "is larger than"),
        (Fault(status=200, headers={"Content-Encoding": "gzip"}, body=b"no gzip"), Unreadable, "can't be decoded"),
    ],
)
async def test_faults_become_errors_that_name_the_repository(
    client: RegistryClient, registry: Registry, fault: Fault, kind: type[RegistryError], message: str
) -> None:
    registry.push("app", "1.0.0")
    registry.fault = fault

    with pytest.raises(kind) as caught:
        await client.repository(f"{registry.host}/app").tags()

    assert f"listing the tags of {registry.host}/app" in str(caught.value)
    assert message in str(caught.value)
    assert caught.value.host == registry.host


async def test_silent_registry_is_unavailable(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("activities.registry.client.RESPONSE_TIMEOUT", 0.05)
    registry.fault = Fault(status=0, delay=0.5)
    async with RegistryClient(SETTINGS) as client:
        with pytest.raises(Unavailable, match="did not answer in time"):
            await client.repository(f"{registry.host}/app").tags()


async def test_unreachable_registry_is_unavailable(client: RegistryClient, registry: Registry) -> None:
    host = registry.host
    registry.stop()

    with pytest.raises(Unavailable, match="can't be reached"):
        await client.repository(f"{host}/app").tags()


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("17", timedelta(seconds=17)),
        ("999999999", timedelta(days=1)),
        ("Thu, 01 Jan 1970 00:00:00 GMT", timedelta(0)),
        ("soon", None),
        ("", None),
    ],
)
async def test_retry_after_is_read(
    client: RegistryClient, registry: Registry, header: str, expected: timedelta | None
) -> None:
    registry.fault = Fault(status=429, retry_after=header)

    with pytest.raises(RateLimited) as caught:
        await client.repository(f"{registry.host}/app").tags()

    assert caught.value.retry_after == expected


@pytest.mark.parametrize(
    ("manifest", "media_type", "message"),
    [
        ({}, "application/vnd.cncf.helm.chart.v1.prov", "none of an image's"),
        ({"manifests": []}, "application/vnd.oci.image.index.v1+json", "names no image"),
        ({"config": {}}, OCI_MANIFEST, "(its config): the manifest names none"),
        ({"config": "?"}, DOCKER_MANIFEST, "answered with something else"),
    ],
)
async def test_manifests_that_are_no_images(
    client: RegistryClient, registry: Registry, manifest: dict[str, object], media_type: str, message: str
) -> None:
    registry.push_manifest("app", "1.0.0", manifest, media_type)

    with pytest.raises(Unreadable) as caught:
        await client.repository(f"{registry.host}/app").describe("1.0.0")

    assert message in str(caught.value)


async def test_content_that_is_not_what_the_digest_says_is_refused(client: RegistryClient, registry: Registry) -> None:
    registry.push("app", "1.0.0")
    registry.fault = Fault(status=200, body=b"{}", headers={"Docker-Content-Digest": f"sha256:{'0' * 64}"})

    with pytest.raises(Unreadable, match="not sha256:000"):
        await client.repository(f"{registry.host}/app").manifest("1.0.0")


@pytest.mark.parametrize(
    ("url", "mirrors", "name", "address"),
    [
        ("nginx", {}, "nginx", "https://registry-1.docker.io/v2/library/nginx"),
        ("docker.io/library/nginx", {}, "nginx", "https://registry-1.docker.io/v2/library/nginx"),
        ("index.docker.io/bitnami/redis", {}, "bitnami/redis", "https://registry-1.docker.io/v2/bitnami/redis"),
        ("ghcr.io/Akuity/Guestbook", {}, "ghcr.io/akuity/guestbook", "https://ghcr.io/v2/akuity/guestbook"),
        ("localhost/app", {}, "localhost/app", "https://localhost/v2/app"),
        ("127.0.0.1:5000/app", {}, "127.0.0.1:5000/app", "http://127.0.0.1:5000/v2/app"),
        ("ghcr.io/a/b", {"ghcr.io": "127.0.0.1:5000"}, "ghcr.io/a/b", "http://127.0.0.1:5000/v2/a/b"),
        ("ghcr.io/a/b", {"ghcr.io": "https://127.0.0.1:5000/"}, "ghcr.io/a/b", "https://127.0.0.1:5000/v2/a/b"),
        ("nginx", {"docker.io": "mirror.example.com/hub"}, "nginx", "https://mirror.example.com/v2/hub/library/nginx"),
    ],
)
def test_where_a_repository_is_read(url: str, mirrors: dict[str, str], name: str, address: str) -> None:
    found = locate(url, RegistrySettings(mirrors=mirrors, plain_http=frozenset({"127.0.0.1"})))

    assert found.name == name
    assert f"{found.base}/v2/{found.repository}" == address


@pytest.mark.parametrize(
    ("url", "mirrors"),
    [
        ("https://ghcr.io/a/b", {}),
        ("ghcr.io/a/b:latest", {}),
        ("ghcr.io/a/../b", {}),
        ("", {}),
        ("user@ghcr.io/a", {}),
        ("ghcr.io/a/b", {"ghcr.io": "http://mirror.example.com"}),
        ("ghcr.io/a/b", {"ghcr.io": "ftp://127.0.0.1"}),
        ("ghcr.io/a/b", {"ghcr.io": "-oProxy"}),
    ],
)
def test_what_is_no_repository(url: str, mirrors: dict[str, str]) -> None:
    with pytest.raises(BadAddress):
        locate(url, RegistrySettings(mirrors=mirrors, plain_http=frozenset({"127.0.0.1"})))


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (
            'Bearer realm="https://ghcr.io/token",service="ghcr.io",scope="repository:a/b:pull"',
            [("bearer", {"realm": "https://ghcr.io/token", "service": "ghcr.io", "scope": "repository:a/b:pull"})],
        ),
        ('Basic realm="a, \\"b\\""', [("basic", {"realm": 'a, "b"'})]),
        (
            'BEARER realm="https://r/t",scope="repository:a:pull,push", Basic realm=x',
            [("bearer", {"realm": "https://r/t", "scope": "repository:a:pull,push"}), ("basic", {"realm": "x"})],
        ),
        # The forms of Docker Hub, ECR (private and public), Artifact Registry, ACR, Quay,
        # Harbor.
        (
            'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull"',
            [
                (
                    "bearer",
                    {
                        "realm": "https://auth.docker.io/token",
                        "service": "registry.docker.io",
                        "scope": "repository:a/b:pull",
                    },
                )
            ],
        ),
        (
            'Basic realm="https://123456789012.dkr.ecr.eu-central-1.amazonaws.com/",service="ecr.amazonaws.com"',
            [
                (
                    "basic",
                    {
                        "realm": "https://123456789012.dkr.ecr.eu-central-1.amazonaws.com/",
                        "service": "ecr.amazonaws.com",
                    },
                )
            ],
        ),
        (
            'Bearer realm="https://public.ecr.aws/token/",service="public.ecr.aws",scope="aws"',
            [("bearer", {"realm": "https://public.ecr.aws/token/", "service": "public.ecr.aws", "scope": "aws"})],
        ),
        (
            'Bearer realm="https://europe-docker.pkg.dev/v2/token",service="europe-docker.pkg.dev",'
            'scope="repository:p/r/i:pull"',
            [
                (
                    "bearer",
                    {
                        "realm": "https://europe-docker.pkg.dev/v2/token",
                        "service": "europe-docker.pkg.dev",
                        "scope": "repository:p/r/i:pull",
                    },
                )
            ],
        ),
        (
            'Bearer realm="https://x.azurecr.io/oauth2/token",service="x.azurecr.io",scope="repository:a:metadata_read",'
            'error="invalid_token"',
            [
                (
                    "bearer",
                    {
                        "realm": "https://x.azurecr.io/oauth2/token",
                        "service": "x.azurecr.io",
                        "scope": "repository:a:metadata_read",
                        "error": "invalid_token",
                    },
                )
            ],
        ),
        (
            'Bearer realm="https://quay.io/v2/auth",service="quay.io",scope="repository:a/b:pull"',
            [
                (
                    "bearer",
                    {"realm": "https://quay.io/v2/auth", "service": "quay.io", "scope": "repository:a/b:pull"},
                )
            ],
        ),
        (
            'Bearer realm="https://h.example.com/service/token",service="harbor-registry",scope="repository:a/b:pull"',
            [
                (
                    "bearer",
                    {
                        "realm": "https://h.example.com/service/token",
                        "service": "harbor-registry",
                        "scope": "repository:a/b:pull",
                    },
                )
            ],
        ),
        ("Negotiate", [("negotiate", {})]),
        ("", []),
    ],
)
def test_challenges_are_read(header: str, expected: list[tuple[str, dict[str, str]]]) -> None:
    assert read_challenges(header) == [Challenge(scheme, parameters) for scheme, parameters in expected]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05.123456789Z", datetime(2026, 1, 2, 3, 4, 5, 123456, tzinfo=UTC)),
        ("2026-01-02T03:04:05+02:00", datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05", None),
        ("yesterday", None),
        (None, None),
    ],
)
def test_times_are_read(text: str | None, moment: datetime | None) -> None:
    assert read_time(text) == moment


async def test_pace_spaces_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("activities.registry.pace.asyncio.sleep", sleep)
    pace = Pace(requests_per_second=0.001, concurrency=8, burst=2)
    for _ in range(5):
        async with pace.turn():
            pass

    assert [round(seconds / 1000) for seconds in slept] == [1, 2]
