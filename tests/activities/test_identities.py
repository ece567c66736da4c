"""Secrets that lead to a token: of GitHub Apps, ECR and Artifact Registry, asked of doubles on loopback."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from activities.aws_signature import Keys, signature_headers
from activities.credentials import Credential, CredentialKind, CredentialUnusable, DirectoryCredentials, credentials_of
from activities.identities import github_app
from activities.mask import Mask
from activities.settings import ActivitySettings
from tests.analysis.server import Answered, Asked, MetricServer, metric_server

GIT, IMAGE, HELM = CredentialKind.GIT, CredentialKind.IMAGE, CredentialKind.HELM
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()
ECR = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/app"
GAR = "europe-docker.pkg.dev/towpath/images/app"
#: Nothing that opens anything.
ACCESS_KEY = "not-a-real-key"


@pytest.fixture
def server() -> Iterator[MetricServer]:
    with metric_server() as server:
        yield server


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(github_app, "PAUSES", (0.0, 0.0))


def credentials(root: Path, server: MetricServer, *, allow_http: bool = True, **mirrors: str) -> DirectoryCredentials:
    found = credentials_of(
        ActivitySettings(
            credentials_directory=root,
            allow_credentials_over_http=allow_http,
            http_mirrors={
                "https://api.github.com": server.url,
                "https://api.ecr.eu-central-1.amazonaws.com": f"{server.url}/ecr",
                "https://oauth2.googleapis.com": f"{server.url}/google",
            },
        )
    )
    assert isinstance(found, DirectoryCredentials)
    return found


def secret(root: Path, kind: str, *, directory: str = "demo", annotations: str = "", **data: str) -> None:
    path = root / directory / "s.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    document: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s", "labels": {"kargo.akuity.io/cred-type": kind}},
        "stringData": data,
    }
    if annotations:
        document["metadata"]["annotations"] = {github_app.SCOPES: annotations}
    path.write_text(json.dumps(document))
    path.chmod(0o600)


def find(found: DirectoryCredentials, kind: CredentialKind, url: str, project: str = "demo") -> Credential:
    credential = found.find(project, kind, url)
    assert credential is not None
    return credential


def app(root: Path, server: MetricServer, **changes: str) -> str:
    """A Secret of a GitHub App at this server, which is taken for a GitHub Enterprise Server; a repository there."""
    data = {
        "repoURL": f"^{server.url}/",
        "repoURLIsRegex": "true",
        "githubAppClientID": "Iv1.towpath",
        "githubAppInstallationID": "7",
        "githubAppPrivateKey": PEM,
    }
    secret(root, "git", **{**data, **changes})
    return f"{server.url}/org/app.git"


def grant(server: MetricServer, prefix: str = "/api/v3", *, lasts: timedelta = timedelta(hours=1)) -> None:
    expires = (datetime.now(UTC) + lasts).strftime("%Y-%m-%dT%H:%M:%SZ")
    count = iter(range(1, 100))

    def token(asked: Asked) -> Answered:
        return Answered({"token": f"token-number-{next(count)}", "expires_at": expires}, 201)

    server.routes[f"{prefix}/app/installations/7/access_tokens"] = token
    server.answer(f"{prefix}/repos/org/app", {"name": "app"})
    server.answer(f"{prefix}/repos/org/other", {"name": "other"})


class TestGitHubApp:
    def test_a_token_for_one_repository_signed_for_by_the_app(self, tmp_path: Path, server: MetricServer) -> None:
        url = app(tmp_path, server)
        grant(server)
        found = find(credentials(tmp_path, server), GIT, url)

        assert (found.username, found.password) == ("x-access-token", "token-number-1")
        asked, checked = server.asked
        assert asked.json() == {"repositories": ["app"]}
        claims = jwt.decode(asked.headers["authorization"].removeprefix("Bearer "), KEY.public_key(), ["RS256"])
        assert claims["iss"] == "Iv1.towpath"
        assert claims["exp"] - claims["iat"] <= 600
        assert (checked.path, checked.headers["authorization"]) == ("/api/v3/repos/org/app", "Bearer token-number-1")

    def test_it_is_kept_while_it_lasts_and_asked_for_anew_before_it_ends(
        self, tmp_path: Path, server: MetricServer
    ) -> None:
        url = app(tmp_path, server)
        grant(server)
        source = credentials(tmp_path, server)
        assert {find(source, GIT, url).password for _ in range(3)} == {"token-number-1"}
        assert find(source, GIT, url.replace("app.git", "other")).password == "token-number-2"

        source._broker.cache.clock = lambda: datetime.now(UTC) + timedelta(minutes=56)
        assert find(source, GIT, url).password == "token-number-3"

    def test_github_com_has_its_api_elsewhere(self, tmp_path: Path, server: MetricServer) -> None:
        url = "https://github.com/org/app"
        app(tmp_path, server, repoURL=url, repoURLIsRegex="false")
        grant(server, "")
        assert find(credentials(tmp_path, server), GIT, f"{url}.git").password == "token-number-1"

    def test_app_id_and_a_key_in_base64_will_do(self, tmp_path: Path, server: MetricServer) -> None:
        key = base64.b64encode(PEM.encode()).decode()
        url = app(tmp_path, server, githubAppClientID="", githubAppID="99", githubAppPrivateKey=key)
        grant(server)
        assert find(credentials(tmp_path, server), GIT, url).password == "token-number-1"

    def test_a_token_that_github_does_not_know_everywhere_yet_is_waited_for(
        self, tmp_path: Path, server: MetricServer
    ) -> None:
        url = app(tmp_path, server)
        grant(server)
        answers = iter((404, 401, 200))
        server.routes["/api/v3/repos/org/app"] = lambda asked: Answered({}, next(answers))
        assert find(credentials(tmp_path, server), GIT, url).password == "token-number-1"
        assert next(answers, None) is None

    @pytest.mark.parametrize(
        ("project", "scopes", "opens"),
        [
            ("demo", {"demo": ["app"]}, True),
            ("demo", {"demo": ["other"]}, False),
            ("demo", {"else": ["app"]}, False),
        ],
    )
    def test_a_shared_app_lets_projects_into_the_repositories_it_says(
        self, tmp_path: Path, server: MetricServer, project: str, scopes: dict[str, list[str]], opens: bool
    ) -> None:
        url = app(tmp_path, server)
        text = (tmp_path / "demo" / "s.yaml").read_text()
        document = json.loads(text)
        (tmp_path / "demo" / "s.yaml").unlink()
        secret(tmp_path, "git", directory="shared", annotations=json.dumps(scopes), **document["stringData"])
        grant(server)
        assert (credentials(tmp_path, server).find(project, GIT, url) is not None) is opens

    @pytest.mark.parametrize(
        ("changes", "says"),
        [
            ({"githubAppPrivateKey": "hidden-key"}, "is not an RSA private key in PEM form"),
            ({"githubAppPrivateKey": "aGVsb"}, "looks like base64 but is damaged"),
            ({"githubAppInstallationID": "x"}, "githubAppInstallationID must be a number"),
            ({"githubAppInstallationID": ""}, "a GitHub App needs githubAppClientID"),
            ({"githubAppInstallationID": "8"}, "check the App's id and key"),
        ],
    )
    def test_what_is_wrong_is_said_without_the_key(
        self, tmp_path: Path, server: MetricServer, changes: dict[str, str], says: str
    ) -> None:
        url = app(tmp_path, server, **changes)
        grant(server)
        with pytest.raises(CredentialUnusable, match=rf"^Secret s: .*{says}") as caught:
            credentials(tmp_path, server).find("demo", GIT, url)
        assert "hidden-key" not in str(caught.value)
        assert "PRIVATE KEY" not in str(caught.value)
        assert not caught.value.passing

    def test_githubs_trouble_passes(self, tmp_path: Path, server: MetricServer) -> None:
        url = app(tmp_path, server)
        server.answer("/api/v3/app/installations/7/access_tokens", {"message": "down"}, 502)
        with pytest.raises(CredentialUnusable, match="gives no tokens for now") as caught:
            credentials(tmp_path, server).find("demo", GIT, url)
        assert caught.value.passing

    def test_key_and_token_are_masked(self, tmp_path: Path, server: MetricServer) -> None:
        url = app(tmp_path, server)
        grant(server)
        mask = Mask()
        with mask.collecting():
            credentials(tmp_path, server).find("demo", GIT, url)
        assert mask.text(f"token-number-1 {PEM.splitlines()[3]}") == "*** ***"
        assert mask.text(url) == url


class TestElasticRegistry:
    def test_an_access_key_gives_a_login_by_a_signed_request(self, tmp_path: Path, server: MetricServer) -> None:
        secret(
            tmp_path,
            "image",
            repoURL=ECR,
            awsAccessKeyID="AKID",
            awsSecretAccessKey=ACCESS_KEY,
            awsRegion="eu-central-1",
        )
        login = base64.b64encode(b"AWS:the-login").decode()
        expires = (datetime.now(UTC) + timedelta(hours=12)).timestamp()
        server.answer("/ecr/", {"authorizationData": [{"authorizationToken": login, "expiresAt": expires}]})
        source = credentials(tmp_path, server)
        found = [find(source, IMAGE, ECR) for _ in range(2)]

        assert [(one.username, one.password) for one in found] == [("AWS", "the-login")] * 2
        (asked,) = server.asked
        assert asked.headers["x-amz-target"] == "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken"
        moment = datetime.strptime(asked.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        headers = {name: asked.headers[name] for name in ("content-type", "x-amz-target")}
        expected = signature_headers(
            Keys("eu-central-1", "AKID", ACCESS_KEY),
            service="ecr",
            method="POST",
            url="https://api.ecr.eu-central-1.amazonaws.com/",
            body=asked.body,
            now=moment,
            headers=headers,
        )
        assert asked.headers["authorization"] == expected["authorization"]

    def test_a_chart_opens_as_well(self, tmp_path: Path, server: MetricServer) -> None:
        secret(
            tmp_path,
            "helm",
            repoURL=f"oci://{ECR}",
            awsAccessKeyID="AKID",
            awsSecretAccessKey=ACCESS_KEY,
            awsRegion="eu-central-1",
        )
        server.answer("/ecr/", {"authorizationData": [{"authorizationToken": base64.b64encode(b"AWS:x").decode()}]})
        assert find(credentials(tmp_path, server), HELM, f"oci://{ECR}").username == "AWS"

    @pytest.mark.parametrize(
        ("url", "region", "answer", "says"),
        [
            ("ghcr.io/org/app", "eu-central-1", {}, "opens repositories of ECR alone"),
            (ECR, "", {}, "ECR needs awsAccessKeyID"),
            (ECR, "eu/central", {}, "letters, digits and hyphens"),
            (ECR, "eu-central-1", {"__type": "AccessDenied", "message": "not you"}, "ecr:GetAuthorizationToken"),
            (ECR, "eu-central-1", {"authorizationData": [{"authorizationToken": "!"}]}, "something else than a login"),
        ],
    )
    def test_what_is_wrong_is_said(
        self, tmp_path: Path, server: MetricServer, url: str, region: str, answer: dict[str, Any], says: str
    ) -> None:
        secret(tmp_path, "image", repoURL=url, awsAccessKeyID="AKID", awsSecretAccessKey=ACCESS_KEY, awsRegion=region)
        server.answer("/ecr/", answer, 400 if "message" in answer else 200)
        with pytest.raises(CredentialUnusable, match=says) as caught:
            credentials(tmp_path, server).find("demo", IMAGE, url)
        assert ACCESS_KEY not in str(caught.value)


def service_account(**changes: str) -> str:
    return json.dumps(
        {
            "type": "service_account",
            "client_email": "robot@towpath.example",
            "private_key": PEM,
            "private_key_id": "one",
            "token_uri": "https://oauth2.googleapis.com/token",
            **changes,
        }
    )


class TestArtifactRegistry:
    @pytest.mark.parametrize("url", [GAR, "eu.gcr.io/towpath/app"])
    def test_a_service_accounts_key_gives_a_token(self, tmp_path: Path, server: MetricServer, url: str) -> None:
        key = base64.b64encode(service_account().encode()).decode()
        secret(tmp_path, "image", repoURL=url, gcpServiceAccountKey=key)
        server.answer("/google/token", {"access_token": "a-google-token", "expires_in": 3599})
        source = credentials(tmp_path, server)
        found = [find(source, IMAGE, url) for _ in range(2)]

        assert [(one.username, one.password) for one in found] == [("oauth2accesstoken", "a-google-token")] * 2
        (asked,) = server.asked
        assertion = dict(part.split("=") for part in asked.body.decode().split("&"))["assertion"]
        claims = jwt.decode(assertion, KEY.public_key(), ["RS256"], audience="https://oauth2.googleapis.com/token")
        assert claims["iss"] == "robot@towpath.example"

    @pytest.mark.parametrize(
        ("url", "key", "says"),
        [
            ("ghcr.io/org/app", service_account(), "pkg.dev and gcr.io alone"),
            (GAR, "hello!", "neither a key file nor one in base64"),
            (GAR, "{}", "not the JSON key of a service account"),
            (GAR, service_account(private_key="hidden-key"), "not an RSA private key"),
            (GAR, service_account(token_uri="https://169.254.169.254/token"), "elsewhere than to googleapis.com"),
            (GAR, service_account(), "the key was deleted"),
        ],
    )
    def test_what_is_wrong_is_said(self, tmp_path: Path, server: MetricServer, url: str, key: str, says: str) -> None:
        secret(tmp_path, "image", repoURL=url, gcpServiceAccountKey=key)
        server.answer("/google/token", {"error": "invalid_grant", "error_description": "the key was deleted"}, 400)
        with pytest.raises(CredentialUnusable, match=says) as caught:
            credentials(tmp_path, server).find("demo", IMAGE, url)
        assert "hidden-key" not in str(caught.value)


def test_username_and_password_win_as_in_kargo(tmp_path: Path, server: MetricServer) -> None:
    secret(tmp_path, "image", repoURL=ECR, username="me", password="word", awsAccessKeyID="AKID")
    assert find(credentials(tmp_path, server), IMAGE, ECR).username == "me"
    assert server.asked == []


def test_a_secret_labelled_for_something_else_says_so(tmp_path: Path, server: MetricServer) -> None:
    secret(tmp_path, "image", repoURL="ghcr.io/org/app", githubAppPrivateKey=PEM)
    with pytest.raises(
        CredentialUnusable, match="a GitHub App opens Git repositories, but the Secret is labelled image"
    ):
        credentials(tmp_path, server).find("demo", IMAGE, "ghcr.io/org/app")


def test_nobody_is_asked_over_plain_http_unless_the_operator_allows_it(tmp_path: Path, server: MetricServer) -> None:
    secret(tmp_path, "image", repoURL=GAR, gcpServiceAccountKey=service_account())
    with pytest.raises(CredentialUnusable, match="over https:// alone"):
        credentials(tmp_path, server, allow_http=False).find("demo", IMAGE, GAR)
    assert server.asked == []
