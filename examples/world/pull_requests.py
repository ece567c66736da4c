"""Git hosts on loopback: as much of five pull request APIs as Towpath speaks, over real repositories."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from examples.world.git_server import Repository
from examples.world.loopback import Loopback

LABELS = {"release": 7, "towpath": 9}


@dataclass
class Pull:
    """A pull request, whatever its host calls it."""

    number: int
    head: str
    base: str
    title: str
    description: str
    labels: list[str]
    head_commit: str
    #: open, merged or closed.
    state: str = "open"
    #: ready, draft, blocked, conflict or unknown.
    merge_state: str = "ready"
    merge_commit: str = ""
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat())
    #: Looks at it until a merge that was asked for is done.
    completing: int = 0


class PullRequestHosts(Loopback):
    """The APIs of GitHub, GitLab, Gitea, Bitbucket and Azure DevOps for one repository, for as long as it is entered.

    `token` is what requests must carry, in the host's own way. `lose_answers` makes so many requests that change
    something end without an answer, after they took effect.
    """

    def __init__(self, repository: Repository, token: str = "") -> None:
        self.repository = repository
        self.token = token
        self.pulls: list[Pull] = []
        #: Method and path of every request.
        self.requests: list[str] = []
        #: Merge methods that were asked for.
        self.methods: list[str] = []
        self.lose_answers = 0
        self.refuse_merge: tuple[int, str] | None = None
        self.refuse_update: tuple[int, str] | None = None
        #: Called with method and path before requests for commits and refs are answered, each for one request.
        self.before_answer: list[Callable[[str, str], None]] = []
        self.merge_later = 0
        super().__init__(_handler(self))

    def answer(self, method: str, target: str, headers: Any, body: Any) -> tuple[int, Any]:
        """Status and JSON for a request."""
        parts = urlsplit(target)
        path = parts.path
        self.requests.append(f"{method} {path}")
        query = parse_qs(parts.query)
        for api in (_github, _github_data, _gitlab, _gitea, _bitbucket, _azure):
            found = api(self, method, path, query, body)
            if found is not None:
                expected = _AUTHORIZATION[api].format(token=self.token)
                name = "PRIVATE-TOKEN" if api is _gitlab else "Authorization"
                if self.token and api is not _azure and headers.get(name) != expected:
                    return 401, {"message": "Bad credentials"}
                if self.token and api is _azure and not str(headers.get(name)).startswith("Basic "):
                    return 401, {"message": "sign in"}
                return found()
        return 404, {"message": "Not Found"}

    def open(self, head: str, base: str, title: str, description: str, labels: list[str]) -> Pull | None:
        """A new pull request; None where there is one open between the branches."""
        if any(pull.state == "open" and (pull.head, pull.base) == (head, base) for pull in self.pulls):
            return None
        pull = Pull(len(self.pulls) + 1, head, base, title, description, labels, self.repository.head(head) or "")
        self.pulls.append(pull)
        return pull

    def pull(self, number: int | str) -> Pull:
        return self.pulls[int(number) - 1]

    def merge(self, pull: Pull) -> None:
        """Merge it in the repository itself, by a merge commit."""
        head, base = self.repository.head(pull.head) or "", self.repository.head(pull.base) or ""
        tree = self.repository.git("rev-parse", f"{head}^{{tree}}")
        commit = self.repository.git("commit-tree", tree, "-p", base, "-p", head, "-m", f"Merge {pull.head}")
        self.repository.git("update-ref", f"refs/heads/{pull.base}", commit)
        pull.state, pull.merge_commit, pull.completing = "merged", commit, 0


Answer = Callable[[], tuple[int, Any]]


def _github(host: PullRequestHosts, method: str, path: str, query: dict[str, list[str]], body: Any) -> Answer | None:
    match = re.fullmatch(r"/api/v3/repos/([^/]+)/([^/]+)/(pulls|issues)(?:/(\d+)(?:/(merge|labels))?)?", path)
    if not match:
        return None
    owner, number, action = match[1], match[4], match[5]

    def shown(pull: Pull) -> dict[str, Any]:
        state = {"ready": "clean", "conflict": "dirty"}.get(pull.merge_state, pull.merge_state)
        return {
            "number": pull.number,
            "html_url": f"https://github.example.com/{owner}/{match[2]}/pull/{pull.number}",
            "state": "open" if pull.state == "open" else "closed",
            "merged_at": "2026-05-01T12:00:00Z" if pull.state == "merged" else None,
            "merge_commit_sha": pull.merge_commit or "f" * 40,
            "mergeable_state": state,
            "mergeable": pull.merge_state in ("ready", "blocked"),
            "draft": pull.merge_state == "draft",
            "head": {"ref": pull.head, "sha": pull.head_commit},
            "base": {"ref": pull.base},
            "created_at": pull.created,
        }

    def answer() -> tuple[int, Any]:
        if method == "POST" and action == "labels":
            host.pull(number).labels = sorted({*host.pull(number).labels, *body["labels"]})
            return 200, []
        if method == "PUT" and action == "merge":
            host.methods.append(body.get("merge_method", ""))
            if host.refuse_merge:
                return host.refuse_merge[0], {"message": host.refuse_merge[1]}
            host.merge(host.pull(number))
            return 200, {"merged": True, "sha": host.pull(number).merge_commit}
        if method == "POST":
            pull = host.open(body["head"], body["base"], body["title"], body["body"], [])
            if pull is None:
                return 422, {"message": "Validation Failed", "errors": [{"message": "A pull request already exists"}]}
            return 201, shown(pull)
        if number:
            return 200, shown(host.pull(number))
        head = query["head"][0].removeprefix(f"{owner}:")
        return 200, [shown(pull) for pull in host.pulls if (pull.head, pull.base) == (head, query["base"][0])]

    return answer


#: Who makes and signs the commits that name no author.
APP = {"name": "app[bot]", "email": "app@github.example.com", "date": "2026-05-01T12:00:00Z"}


def _github_data(
    host: PullRequestHosts, method: str, path: str, query: dict[str, list[str]], body: Any
) -> Answer | None:
    """GitHub's Git data API: commits made of trees that are there, and refs."""
    match = re.fullmatch(r"/api/v3/repos/[^/]+/[^/]+/git/(?:(commits)|refs(?:/(.+))?)", path)
    if not match:
        return None
    git = host.repository.git
    ref = f"refs/{unquote(match[2] or '')}"

    def answer() -> tuple[int, Any]:
        if host.before_answer:
            host.before_answer.pop(0)(method, path)
        if match[1]:
            author = body.get("author", APP)
            committer = body.get("committer", author)
            environment = {
                f"GIT_{role}_{key.upper()}": who[key]
                for role, who in (("AUTHOR", author), ("COMMITTER", committer))
                for key in ("name", "email", "date")
            }
            parents = [word for parent in body["parents"] for word in ("-p", parent)]
            commit = git("commit-tree", body["tree"], *parents, "-m", body["message"], environment=environment)
            return 201, {"sha": commit}
        if method == "DELETE":
            git("update-ref", "-d", ref)
            return 204, None
        if method == "POST":
            if git("for-each-ref", body["ref"]):
                return 422, {"message": "Reference already exists"}
            git("update-ref", body["ref"], body["sha"])
            return 201, {"ref": body["ref"]}
        if not body.get("force") and git("merge-base", ref, body["sha"]) != git("rev-parse", ref):
            return 422, {"message": "Update is not a fast forward"}
        if host.refuse_update:
            return host.refuse_update[0], {"message": host.refuse_update[1]}
        git("update-ref", ref, body["sha"])
        return 200, {"ref": ref}

    return answer


def _gitlab(host: PullRequestHosts, method: str, path: str, query: dict[str, list[str]], body: Any) -> Answer | None:
    match = re.fullmatch(r"/api/v4/projects/([^/]+)/merge_requests(?:/(\d+)(?:/(merge))?)?", path)
    if not match:
        return None
    project, number, action = unquote(match[1]), match[2], match[3]

    def shown(pull: Pull) -> dict[str, Any]:
        status = {"ready": "mergeable", "draft": "draft_status", "blocked": "not_approved", "unknown": "checking"}
        return {
            "iid": pull.number,
            "web_url": f"https://gitlab.example.com/{project}/-/merge_requests/{pull.number}",
            "state": {"open": "opened"}.get(pull.state, pull.state),
            "sha": pull.head_commit,
            "merge_commit_sha": pull.merge_commit or None,
            "detailed_merge_status": status.get(pull.merge_state, pull.merge_state),
            "draft": pull.merge_state == "draft",
            "source_branch": pull.head,
            "target_branch": pull.base,
            "created_at": pull.created,
        }

    def answer() -> tuple[int, Any]:
        if method == "PUT" and action == "merge":
            host.methods.append("squash" if body.get("squash") else "")
            if host.refuse_merge:
                return host.refuse_merge[0], {"message": host.refuse_merge[1]}
            host.merge(host.pull(number))
            return 200, shown(host.pull(number))
        if method == "PUT":
            host.pull(number).labels = sorted({*host.pull(number).labels, *body["add_labels"].split(",")})
            return 200, shown(host.pull(number))
        if method == "POST":
            labels = body["labels"].split(",") if "labels" in body else []
            pull = host.open(body["source_branch"], body["target_branch"], body["title"], body["description"], labels)
            return (201, shown(pull)) if pull else (409, {"message": ["Another open merge request already exists"]})
        if number:
            return 200, shown(host.pull(number))
        wanted = query["source_branch"][0], query["target_branch"][0]
        return 200, [shown(pull) for pull in host.pulls if (pull.head, pull.base) == wanted]

    return answer


def _gitea(host: PullRequestHosts, method: str, path: str, query: dict[str, list[str]], body: Any) -> Answer | None:
    match = re.fullmatch(r"/api/v1/repos/([^/]+)/([^/]+)/(pulls|issues|labels)(?:/(\d+)(?:/(merge|labels))?)?", path)
    if not match:
        return None
    number, action = match[4], match[5]
    names = {value: key for key, value in LABELS.items()}

    def shown(pull: Pull) -> dict[str, Any]:
        return {
            "number": pull.number,
            "html_url": f"https://gitea.example.com/{match[1]}/{match[2]}/pulls/{pull.number}",
            "state": "open" if pull.state == "open" else "closed",
            "merged": pull.state == "merged",
            "merge_commit_sha": pull.merge_commit or None,
            "mergeable": pull.merge_state == "ready",
            "draft": pull.merge_state == "draft",
            "head": {"ref": pull.head, "sha": pull.head_commit},
            "base": {"ref": pull.base},
            "created_at": pull.created,
        }

    def answer() -> tuple[int, Any]:
        if match[3] == "labels":
            return 200, [{"id": number, "name": name} for name, number in LABELS.items()]
        if method == "POST" and action == "labels":
            host.pull(number).labels = sorted({*host.pull(number).labels, *(names[label] for label in body["labels"])})
            return 200, []
        if method == "POST" and action == "merge":
            host.methods.append(body["Do"])
            if host.refuse_merge:
                return host.refuse_merge[0], {"message": host.refuse_merge[1]}
            host.merge(host.pull(number))
            return 200, None
        if method == "POST":
            labels = [names[label] for label in body.get("labels", [])]
            pull = host.open(body["head"], body["base"], body["title"], body["body"], labels)
            return (201, shown(pull)) if pull else (409, {"message": "pull request already exists for these targets"})
        return 200, shown(host.pull(number)) if number else [shown(pull) for pull in host.pulls]

    return answer


def _bitbucket(host: PullRequestHosts, method: str, path: str, query: dict[str, list[str]], body: Any) -> Answer | None:
    if commit := re.fullmatch(r"/2\.0/repositories/[^/]+/[^/]+/commit/([0-9a-f]+)", path):
        return lambda: (200, {"hash": host.repository.git("rev-parse", commit[1])})
    match = re.fullmatch(r"/2\.0/repositories/([^/]+)/([^/]+)/pullrequests(?:/(\d+)(?:/(merge))?)?", path)
    if not match:
        return None
    number, action = match[3], match[4]

    def shown(pull: Pull) -> dict[str, Any]:
        return {
            "id": pull.number,
            "links": {"html": {"href": f"https://bitbucket.org/{match[1]}/{match[2]}/pull-requests/{pull.number}"}},
            "state": {"open": "OPEN", "merged": "MERGED", "closed": "DECLINED"}[pull.state],
            "draft": pull.merge_state == "draft",
            # Shortened, as Bitbucket does.
            "merge_commit": {"hash": pull.merge_commit[:12]} if pull.merge_commit else None,
            "source": {"branch": {"name": pull.head}, "commit": {"hash": pull.head_commit[:12]}},
            "destination": {"branch": {"name": pull.base}},
            "created_on": pull.created,
        }

    def answer() -> tuple[int, Any]:
        if method == "POST" and action == "merge":
            host.methods.append(body.get("merge_strategy", ""))
            if host.refuse_merge:
                return host.refuse_merge[0], {"type": "error", "error": {"message": host.refuse_merge[1]}}
            host.merge(host.pull(number))
            return 200, shown(host.pull(number))
        if method == "POST":
            head, base = body["source"]["branch"]["name"], body["destination"]["branch"]["name"]
            pull = host.open(head, base, body["title"], body["description"], [])
            return (201, shown(pull)) if pull else (400, {"type": "error", "error": {"message": "it exists already"}})
        if number:
            return 200, shown(host.pull(number))
        return 200, {"values": [shown(pull) for pull in host.pulls]}

    return answer


def _azure(host: PullRequestHosts, method: str, path: str, query: dict[str, list[str]], body: Any) -> Answer | None:
    match = re.fullmatch(r"/([^/]+)/([^/]+)/_apis/git/repositories/([^/]+)/pullrequests(?:/(\d+)(?:/(labels))?)?", path)
    if not match:
        return None
    number, action = match[4], match[5]

    def shown(pull: Pull) -> dict[str, Any]:
        if pull.completing:
            pull.completing -= 1
            if not pull.completing:
                host.merge(pull)
        status = {"ready": "succeeded", "conflict": "conflicts", "blocked": "rejectedByPolicy", "unknown": "queued"}
        return {
            "pullRequestId": pull.number,
            "repository": {"webUrl": f"https://dev.azure.com/{match[1]}/{match[2]}/_git/{match[3]}"},
            "status": {"open": "active", "merged": "completed", "closed": "abandoned"}[pull.state],
            "mergeStatus": status.get(pull.merge_state, "succeeded"),
            "isDraft": pull.merge_state == "draft",
            "sourceRefName": f"refs/heads/{pull.head}",
            "targetRefName": f"refs/heads/{pull.base}",
            "lastMergeSourceCommit": {"commitId": pull.head_commit},
            "lastMergeCommit": {"commitId": pull.merge_commit or "e" * 40},
            "creationDate": pull.created,
        }

    def answer() -> tuple[int, Any]:
        if method == "POST" and action == "labels":
            host.pull(number).labels = sorted({*host.pull(number).labels, body["name"]})
            return 200, {}
        if method == "PATCH":
            pull = host.pull(number)
            host.methods.append((body.get("completionOptions") or {}).get("mergeStrategy", ""))
            if host.refuse_merge:
                return host.refuse_merge[0], {"message": host.refuse_merge[1]}
            if body["lastMergeSourceCommit"] != {"commitId": pull.head_commit}:
                return 409, {"message": "the source branch was modified"}
            pull.completing = 1 + host.merge_later
            return 200, {}
        if method == "POST":
            head, base = (body[side].removeprefix("refs/heads/") for side in ("sourceRefName", "targetRefName"))
            labels = [label["name"] for label in body["labels"]]
            opened = host.open(head, base, body["title"], body["description"], labels)
            return (201, shown(opened)) if opened else (409, {"message": "TF401179: an active pull request exists"})
        if number:
            return 200, shown(host.pull(number))
        wanted = [query[f"searchCriteria.{side}RefName"][0] for side in ("source", "target")]
        found = [pull for pull in host.pulls if [f"refs/heads/{pull.head}", f"refs/heads/{pull.base}"] == wanted]
        return 200, {"value": [shown(pull) for pull in found]}

    return answer


_AUTHORIZATION: dict[Any, str] = {
    _github: "Bearer {token}",
    _github_data: "Bearer {token}",
    _gitlab: "{token}",
    _gitea: "token {token}",
    _bitbucket: "Bearer {token}",
    _azure: "",
}


def _handler(host: PullRequestHosts) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def respond(self) -> None:
            data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, answer = host.answer(self.command, self.path, self.headers, json.loads(data) if data else None)
            if self.command != "GET" and host.lose_answers:
                host.lose_answers -= 1
                self.close_connection = True
                return
            content = b"" if answer is None else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            """Say nothing."""

    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        setattr(Handler, f"do_{method}", Handler.respond)
    return Handler
