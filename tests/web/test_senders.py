"""Each sender's deliveries refresh the Warehouses that they concern, and no other."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from tests.web.town import SECRET, Town, body_of, chart, git, image, names, signed, view

REPO = "https://git.example.com/shop/web"
SSH = "git@git.example.com:shop/web.git"


class Case(NamedTuple):
    """A delivery, and the names of what is refreshed by it."""

    kind: str
    headers: dict[str, str]
    payload: dict[str, Any]
    refreshed: list[str]
    settings: dict[str, Any] = {}  # noqa: RUF012  # never changed


def furnish(town: Town) -> None:
    """One Warehouse for each way to subscribe, all with one letter or two."""
    town.warehouse("any-branch", git(f"{REPO}.git"))
    town.warehouse("ssh", git(SSH))
    town.warehouse("stable", git(REPO, branch="stable"))
    town.warehouse("docs", git(REPO, branch="main", includePaths=["docs"]))
    town.warehouse("no-docs", git(REPO, branch="main", excludePaths=["glob:docs/**"]))
    town.warehouse("tags", git(REPO, commitSelectionStrategy="SemVer", semverConstraint="^1.0.0"))
    town.warehouse("newest-tag", git(REPO, commitSelectionStrategy="NewestTag", ignoreTagsRegexes=["-rc"]))
    town.warehouse("other", git("https://git.example.com/shop/other"))
    for place, host in (("hub", "shop/web"), ("reg", "registry.example.com/shop/web")):
        town.warehouse(f"{place}-semver", image(host, constraint="^1.0.0"))
        town.warehouse(f"{place}-digest", image(host, imageSelectionStrategy="Digest", constraint="latest"))
        town.warehouse(
            f"{place}-lexical", image(host, imageSelectionStrategy="Lexical", allowTagsRegexes=["^nightly-"])
        )
        town.warehouse(f"{place}-chart", chart(f"oci://{host}", semverConstraint="2.x"))
    town.warehouse("elsewhere", git(REPO), image("shop/web"), image("registry.example.com/shop/web"), project="another")


def commits(*paths: str) -> list[dict[str, Any]]:
    return [{"added": [], "modified": [path], "removed": []} for path in paths]


def github_push(ref: str, *paths: str) -> dict[str, Any]:
    repository = {"clone_url": f"{REPO}.git", "ssh_url": SSH}
    return {"ref": ref, "repository": repository, "commits": commits(*paths), "head_commit": None}


def package(tag: str, media_type: str = "", kind: str = "CONTAINER", action: str = "published") -> dict[str, Any]:
    version = {
        "package_url": "registry.example.com/shop/web:",
        "container_metadata": {"tag": {"name": tag}, "manifest": {"config": {"media_type": media_type}}},
    }
    return {"action": action, "package": {"package_type": kind, "package_version": version}}


def gitlab_push(ref: str, *paths: str, total: int = 0) -> dict[str, Any]:
    repository = {"git_http_url": f"{REPO}.git", "git_ssh_url": SSH}
    return {"ref": ref, "repository": repository, "commits": commits(*paths), "total_commits_count": total}


def harbor(tag: str) -> dict[str, Any]:
    resource = {"tag": tag, "resource_url": f"registry.example.com/shop/web:{tag}"}
    return {"type": "PUSH_ARTIFACT", "event_data": {"resources": [resource]}}


def artifactory(tag: str, kind: str = "docker", key: str = "shop") -> dict[str, Any]:
    data = {"path": f"web/{tag}/manifest.json", "repo_key": key, "image_type": kind, "image_name": "web", "tag": tag}
    return {"domain": "docker", "event_type": "pushed", "data": data, "jpd_origin": "https://registry.example.com"}


MAIN = ["any-branch", "no-docs", "ssh"]
GITHUB = {"X-GitHub-Event": "push"}
GITLAB = {"X-Gitlab-Event": "Push Hook", "X-Gitlab-Token": SECRET}
HELM = "application/vnd.cncf.helm.config.v1+json"
ACR = {"User-Agent": "AzureContainerRegistry/1.0"}
DEVOPS = {"User-Agent": "VSServices/19"}


def acr(tag: str, media_type: str = "") -> dict[str, Any]:
    target = {"repository": "shop/web", "tag": tag, "mediaType": media_type}
    return {"action": "push", "target": target, "request": {"host": "registry.example.com"}}


CASES = {
    "github: a branch": Case("github", GITHUB, github_push("refs/heads/main", "src/a"), MAIN),
    "github: paths": Case("github", GITHUB, github_push("refs/heads/main", "docs/a"), ["any-branch", "docs", "ssh"]),
    "github: no paths known": Case("github", GITHUB, github_push("refs/heads/main"), [*MAIN, "docs"]),
    "github: another branch": Case("github", GITHUB, github_push("refs/heads/stable", "docs/a"), ["stable"]),
    "github: nobody's branch": Case("github", GITHUB, github_push("refs/heads/topic", "src/a"), []),
    "github: a version": Case("github", GITHUB, github_push("refs/tags/v1.2.3"), ["newest-tag", "tags"]),
    "github: a version out of range": Case("github", GITHUB, github_push("refs/tags/v2.0.0"), ["newest-tag"]),
    "github: an ignored tag": Case("github", GITHUB, github_push("refs/tags/v1.2.3-rc1"), []),
    "github: a package": Case("github", {"X-GitHub-Event": "package"}, package("1.2.3"), ["reg-semver"]),
    "github: a chart": Case("github", {"X-GitHub-Event": "package"}, package("2.1.0", HELM), ["reg-chart"]),
    "github: not a container": Case("github", {"X-GitHub-Event": "package"}, package("1.2.3", kind="npm"), []),
    "github: a deleted package": Case("github", {"X-GitHub-Event": "package"}, package("1.2.3", action="deleted"), []),
    "github: a registry package": Case(
        "github",
        {"X-GitHub-Event": "registry_package"},
        {"action": "updated", "registry_package": package("latest")["package"]},
        ["reg-digest"],
    ),
    "github: ping": Case("github", {"X-GitHub-Event": "ping"}, {"zen": "…"}, []),
    "gitlab: a branch": Case("gitlab", GITLAB, gitlab_push("refs/heads/main", "src/a", total=1), MAIN),
    "gitlab: truncated": Case("gitlab", GITLAB, gitlab_push("refs/heads/main", "src/a", total=30), [*MAIN, "docs"]),
    "gitlab: a tag": Case(
        "gitlab", {**GITLAB, "X-Gitlab-Event": "Tag Push Hook"}, gitlab_push("refs/tags/v1.0.0"), ["newest-tag", "tags"]
    ),
    "gitea: a branch": Case(
        "gitea",
        {"X-Gitea-Event": "push"},
        {
            "ref": "refs/heads/main",
            "repository": {"clone_url": f"{REPO}.git"},
            "commits": commits("docs/a"),
            "total_commits": 1,
        },
        ["any-branch", "docs"],
    ),
    "bitbucket: cloud": Case(
        "bitbucket",
        {"X-Event-Key": "repo:push"},
        {
            "repository": {"links": {"html": {"href": REPO}}},
            "push": {"changes": [{"new": {"type": "branch", "name": "stable"}}, {"new": None}]},
        },
        ["stable"],
    ),
    "bitbucket: cloud, a deleted branch": Case(
        "bitbucket",
        {"X-Event-Key": "repo:push"},
        {"repository": {"links": {"html": {"href": REPO}}}, "push": {"changes": [{"new": None}]}},
        [],
    ),
    "bitbucket: data center": Case(
        "bitbucket",
        {"X-Event-Key": "repo:refs_changed"},
        {
            "repository": {"links": {"clone": [{"href": f"{REPO}.git"}, {"href": SSH}]}},
            "changes": [{"ref": {"id": "refs/tags/v1.0.0"}}],
        },
        ["newest-tag", "tags"],
    ),
    "azure: registry": Case("azure", ACR, acr("1.0.0"), ["reg-semver"]),
    "azure: registry, a chart": Case("azure", ACR, acr("2.0.0", HELM), ["reg-chart"]),
    "azure: registry, ping": Case("azure", ACR, {"action": "ping"}, []),
    "azure: devops": Case(
        "azure",
        DEVOPS,
        {
            "eventType": "git.push",
            "resource": {"repository": {"remoteUrl": REPO}, "refUpdates": [{"name": "refs/heads/stable"}]},
        },
        ["stable"],
    ),
    "dockerhub": Case(
        "dockerhub", {}, {"push_data": {"tag": "1.0.1"}, "repository": {"repo_name": "shop/web"}}, ["hub-semver"]
    ),
    "dockerhub: a chart": Case(
        "dockerhub",
        {},
        {"push_data": {"tag": "2.0.1", "media_type": HELM}, "repository": {"repo_name": "shop/web"}},
        ["hub-chart"],
    ),
    "quay": Case(
        "quay",
        {},
        {"docker_url": "registry.example.com/shop/web", "updated_tags": ["latest", "nightly-7"]},
        ["reg-digest", "reg-lexical"],
    ),
    "harbor": Case("harbor", {"Authorization": SECRET}, harbor("1.9.0"), ["reg-semver"]),
    "artifactory": Case("artifactory", {}, artifactory("1.0.0"), ["reg-semver"]),
    "artifactory: a chart": Case("artifactory", {}, artifactory("2.0.0", "oci"), ["reg-chart"]),
    "artifactory: virtual": Case(
        "artifactory", {}, artifactory("1.0.0", key="shop-local"), ["reg-semver"], {"virtualRepoName": "shop"}
    ),
}
KEYS = {"gitlab": "secret-token", "artifactory": "secret-token", "harbor": "auth-header"}
#: How each sender signs.
SIGNED = {
    "github": ("X-Hub-Signature-256", "sha256="),
    "gitea": ("X-Hub-Signature-256", "sha256="),
    "bitbucket": ("X-Hub-Signature", "sha256="),
    "artifactory": ("X-JFrog-Event-Auth", ""),
}


def signature(kind: str, body: bytes, secret: str = SECRET) -> dict[str, str]:
    if kind not in SIGNED:
        return {}
    header, prefix = SIGNED[kind]
    return signed(body, header, secret, prefix)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_a_delivery_refreshes_what_it_concerns(town: Town, case: Case) -> None:
    furnish(town)
    path = town.receiver(case.kind, key=KEYS.get(case.kind, "secret"), **case.settings)
    body = body_of(case.payload)
    async with town.served() as client:
        answer = await client.post(path, content=body, headers={**case.headers, **signature(case.kind, body)})
    assert (answer.status_code, names(town.done)) == (200, sorted(case.refreshed))
    assert all(entry.startswith("warehouse shop/") for entry in town.done)


@pytest.mark.parametrize("kind", ["github", "gitlab", "gitea", "bitbucket", "harbor", "artifactory"])
async def test_wrong_and_missing_proofs_are_refused_alike(town: Town, kind: str) -> None:
    furnish(town)
    path = town.receiver(kind, key=KEYS.get(kind, "secret"))
    case = next(case for case in CASES.values() if case.kind == kind and case.refreshed)
    body = body_of(case.payload)
    plain = {name: value for name, value in case.headers.items() if value != SECRET}
    answers = []
    async with town.served() as client:
        for proof in (
            {},
            signature(kind, body, "another-secret"),
            signature(kind, b"another body"),
            {"X-Gitlab-Token": "x", "Authorization": "x", "X-Hub-Signature": "sha256=", "X-JFrog-Event-Auth": "ä"},
        ):
            headers = {name: value.encode() for name, value in {**plain, **proof}.items()}
            answer = await client.post(path, content=body, headers=headers)
            answers.append((answer.status_code, answer.json()))
        # Nor does an event that nobody knows get another answer.
        answers.append(((await client.post(path, content=b"{}")).status_code, answers[0][1]))
    assert answers == [(401, {"error": "unauthorized"})] * 5
    assert town.done == []


PAGE = "https://git.example.com/shop/web/pull/7"
CLOSED: dict[str, tuple[str, dict[str, str], dict[str, Any]]] = {
    "github": (
        "github",
        {"X-GitHub-Event": "pull_request"},
        {"action": "closed", "pull_request": {"html_url": PAGE}},
    ),
    "gitea": ("gitea", {"X-Gitea-Event": "pull_request"}, {"action": "closed", "pull_request": {"html_url": PAGE}}),
    "gitlab": (
        "gitlab",
        {"X-Gitlab-Event": "Merge Request Hook", "X-Gitlab-Token": SECRET},
        {"object_attributes": {"action": "merge", "url": PAGE}},
    ),
    "bitbucket cloud": (
        "bitbucket",
        {"X-Event-Key": "pullrequest:fulfilled"},
        {"pullrequest": {"links": {"html": {"href": PAGE}}}},
    ),
    "bitbucket data center": (
        "bitbucket",
        {"X-Event-Key": "pr:declined"},
        {"pullRequest": {"links": {"self": [{"href": PAGE}]}}},
    ),
    "azure": (
        "azure",
        DEVOPS,
        {"eventType": "git.pullrequest.merged", "resource": {"_links": {"web": {"href": PAGE}}}},
    ),
}


@pytest.mark.parametrize(("kind", "headers", "payload"), CLOSED.values(), ids=CLOSED)
async def test_a_closed_pull_request_wakes_the_promotion_that_waits_for_it(
    town: Town, kind: str, headers: dict[str, str], payload: dict[str, Any]
) -> None:
    opened = {"uses": "git-open-pr", "status": "Succeeded", "output": {"pr": {"id": 7, "url": PAGE}}}
    another = {"uses": "git-open-pr", "status": "Succeeded", "output": {"pr": {"id": 8, "url": PAGE[:-1] + "8"}}}
    waits = {"uses": "git-wait-for-pr", "status": "Running"}
    town.promotions = [
        view("waits", opened, waits),
        view("waits-for-another", another, waits),
        view("went-on", opened, {**waits, "status": "Succeeded"}, {"uses": "argocd-update", "status": "Running"}),
        view("elsewhere", opened, waits, project="another"),
        # A step of its own brought the number, or the manifest: only the step knows whether it is this one.
        view("number-from-elsewhere", {"uses": "http", "status": "Succeeded", "output": {"id": 7}}, waits),
        view("merges", opened, {"uses": "git-merge-pr", "status": "Running"}),
        view("does-not-wait", {"uses": "argocd-update", "status": "Running"}),
    ]
    path = town.receiver(kind, key=KEYS.get(kind, "secret"))
    body = body_of(payload)
    async with town.served() as client:
        answer = await client.post(path, content=body, headers={**headers, **signature(kind, body)})
    assert (answer.status_code, answer.json()) == (200, {"msg": "refreshed 3 promotion(s)"})
    assert sorted(town.done) == [
        "promotion shop/merges",
        "promotion shop/number-from-elsewhere",
        "promotion shop/waits",
    ]


@pytest.mark.parametrize(
    ("kind", "headers", "payload", "status"),
    [
        ("github", {"X-GitHub-Event": "star"}, {}, 400),
        ("github", {"X-GitHub-Event": "push"}, {"commits": [1]}, 400),
        ("github", {"X-GitHub-Event": "push"}, {"repository": "x"}, 400),
        ("github", {"X-GitHub-Event": "package"}, {"action": "published"}, 400),
        ("github", {"X-GitHub-Event": "pull_request"}, {"action": "opened"}, 200),
        ("bitbucket", {"X-Event-Key": "repo:fork"}, {}, 400),
        ("gitea", {"X-Gitea-Event": "push"}, {}, 200),
        ("azure", {"User-Agent": "curl/8"}, {}, 400),
        ("azure", ACR, {"action": "delete"}, 400),
        ("azure", DEVOPS, {"eventType": "build.complete"}, 400),
        ("azure", DEVOPS, {"eventType": "git.pullrequest.updated", "resource": {"status": "active"}}, 200),
        ("harbor", {"Authorization": SECRET}, {"type": "PULL_ARTIFACT"}, 400),
        ("artifactory", {}, {"domain": "artifact", "event_type": "deployed"}, 501),
        ("artifactory", {}, artifactory("1", "helm"), 501),
    ],
)
async def test_what_says_nothing_new_refreshes_nothing(
    town: Town, kind: str, headers: dict[str, str], payload: dict[str, Any], status: int
) -> None:
    furnish(town)
    path = town.receiver(kind, key=KEYS.get(kind, "secret"))
    body = body_of(payload)
    async with town.served() as client:
        answer = await client.post(path, content=body, headers={**headers, **signature(kind, body)})
    assert (answer.status_code, town.done) == (status, [])
