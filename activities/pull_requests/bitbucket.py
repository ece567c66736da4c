"""Pull requests on Bitbucket Cloud (REST API 2.0)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from activities.pull_requests.api import MAX_PAGES, HostApi, HostError, Parameters, moment
from activities.pull_requests.pull_request import MergeRefused, NotReady, Proposal, PullRequest, newest_first
from activities.pull_requests.repository import HostedRepository
from model.base import Json

#: What Bitbucket merges by; default: the repository's setting.
METHODS = ("fast_forward", "merge_commit", "squash")
STATES = ["OPEN", "MERGED", "DECLINED", "SUPERSEDED"]
PAGE = 50


def api_base(repository: HostedRepository) -> str:
    """Address of the REST API: Bitbucket Cloud has one only."""
    return "https://api.bitbucket.org/2.0"


def headers(token: str) -> dict[str, str]:
    """Headers of every request."""
    return {"Authorization": f"Bearer {token}"} if token else {}


@dataclass(frozen=True)
class Bitbucket:
    """The pull requests of a Bitbucket repository."""

    api: HostApi
    workspace: str
    repo: str
    labels: bool = False

    @classmethod
    def of(cls, api: HostApi, repository: HostedRepository) -> Bitbucket:
        workspace, repo = repository.owner_and_name()
        return cls(api, workspace, repo)

    @property
    def _root(self) -> str:
        return f"/repositories/{self.workspace}/{self.repo}"

    async def find(self, head: str, base: str) -> list[PullRequest]:
        found: list[PullRequest] = []
        query = f'source.branch.name = "{_quoted(head)}" AND destination.branch.name = "{_quoted(base)}"'
        for page in range(1, MAX_PAGES + 1):
            what = f"listing the pull requests of {self.workspace}/{self.repo}"
            params: Parameters = {"state": STATES, "q": query, "pagelen": PAGE, "page": page}
            body = (await self.api.call("GET", f"{self._root}/pullrequests", what, params=params)).body or {}
            found += [
                _read(raw)
                for raw in body.get("values") or []
                if _branch(raw, "source") == head and _branch(raw, "destination") == base
            ]
            if not body.get("next"):
                break
        return newest_first(found)

    async def get(self, number: int) -> PullRequest:
        return await self._whole(_read(await self._raw(number)))

    async def create(self, proposal: Proposal) -> PullRequest:
        body = {
            "title": proposal.title,
            "description": proposal.description,
            "source": {"branch": {"name": proposal.head}},
            "destination": {"branch": {"name": proposal.base}},
        }
        what = f"opening a pull request from {proposal.head} to {proposal.base}"
        return _read((await self.api.call("POST", f"{self._root}/pullrequests", what, body=body)).body)

    async def add_labels(self, number: int, labels: list[str]) -> None:
        """Bitbucket has no labels on pull requests."""

    async def merge(self, number: int, method: str) -> PullRequest:
        if method and method not in METHODS:
            raise MergeRefused(f"Bitbucket has no merge method {method!r}: use one of {', '.join(METHODS)}")
        raw = await self._raw(number)
        pull = _read(raw)
        if pull.merged:
            return await self._whole(pull)
        if not pull.open:
            raise MergeRefused(f"pull request {number} is {str(raw.get('state')).lower()}, and was not merged")
        if raw.get("draft"):
            raise NotReady("it is a draft")
        body = {"type": "pullrequest_merge_parameters", **({"merge_strategy": method} if method else {})}
        try:
            # Bitbucket can't be asked beforehand whether it would (BCLOUD-22014).
            answer = await self.api.call(
                "POST", f"{self._root}/pullrequests/{number}/merge", f"merging pull request {number}", body=body
            )
        except HostError as error:
            if error.status == 409:
                raise MergeRefused(
                    f"pull request {number} has conflicts with its target branch: {error.words}"
                ) from None
            if error.status == 400:
                raise NotReady(error.words or "Bitbucket refuses the merge for now") from None
            if error.status == 555:
                raise NotReady("Bitbucket took too long, and may still merge it", underway=True) from None
            raise
        if answer.status == 202:
            raise NotReady("Bitbucket is merging it", underway=True)
        return await self._whole(_read(answer.body))

    async def _whole(self, pull: PullRequest) -> PullRequest:
        """With the merge commit's full id: pull requests hold a shortened one."""
        if not pull.merge_commit or len(pull.merge_commit) >= 40:
            return pull
        what = f"reading commit {pull.merge_commit}"
        commit = (await self.api.call("GET", f"{self._root}/commit/{pull.merge_commit}", what)).body
        return replace(pull, merge_commit=str(commit["hash"]))

    async def _raw(self, number: int) -> Json:
        what = f"reading pull request {number} of {self.workspace}/{self.repo}"
        return (await self.api.call("GET", f"{self._root}/pullrequests/{number}", what)).body


def _quoted(name: str) -> str:
    return name.replace("\\", "\\\\").replace('"', '\\"')


def _branch(raw: Json, side: str) -> str:
    return str(((raw.get(side) or {}).get("branch") or {}).get("name") or "")


def _read(raw: Json) -> PullRequest:
    try:
        merged = raw["state"] == "MERGED"
        return PullRequest(
            number=int(raw["id"]),
            url=((raw.get("links") or {}).get("html") or {}).get("href") or "",
            open=raw["state"] == "OPEN",
            merged=merged,
            head=_branch(raw, "source"),
            head_commit=((raw.get("source") or {}).get("commit") or {}).get("hash") or "",
            merge_commit=((raw.get("merge_commit") or {}).get("hash") or "") if merged else "",
            created_at=moment(raw.get("created_on")),
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        raise HostError("the host's answer is no pull request as Bitbucket writes it: check provider") from None
