"""Pull requests on GitHub and GitHub Enterprise (REST API, 2022-11-28)."""

from __future__ import annotations

from dataclasses import dataclass

from activities.pull_requests.api import HostApi, HostError, Parameters, moment
from activities.pull_requests.pull_request import MergeRefused, NotReady, Proposal, PullRequest, newest_first
from activities.pull_requests.repository import HostedRepository
from model.base import Json

#: What GitHub merges by; default: merge.
METHODS = ("merge", "rebase", "squash")
PAGE = 100


def api_base(repository: HostedRepository) -> str:
    """Address of the REST API of the GitHub that a repository is on."""
    if repository.host == "github.com":
        return "https://api.github.com"
    if repository.host.endswith(".ghe.com"):
        return f"https://api.{repository.host}"
    return f"{repository.scheme}://{repository.host}/api/v3"


def headers(token: str) -> dict[str, str]:
    """Headers of every request."""
    given = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
    return {**given, "Authorization": f"Bearer {token}"} if token else given


@dataclass(frozen=True)
class GitHub:
    """The pull requests of a GitHub repository."""

    api: HostApi
    owner: str
    repo: str
    labels: bool = True

    @classmethod
    def of(cls, api: HostApi, repository: HostedRepository) -> GitHub:
        owner, repo = repository.owner_and_name()
        return cls(api, owner, repo)

    @property
    def _root(self) -> str:
        return f"/repos/{self.owner}/{self.repo}"

    async def find(self, head: str, base: str) -> list[PullRequest]:
        what = f"listing the pull requests of {self.owner}/{self.repo}"
        params: Parameters = {"state": "all", "head": f"{self.owner}:{head}", "base": base, "per_page": PAGE}
        raws = await self.api.listed(f"{self._root}/pulls", what, params, size=PAGE)
        return newest_first([pull for pull in map(_read, raws) if pull.head == head])

    async def get(self, number: int) -> PullRequest:
        return _read((await self.api.call("GET", f"{self._root}/pulls/{number}", self._reading(number))).body)

    async def create(self, proposal: Proposal) -> PullRequest:
        body = {
            "title": proposal.title,
            "head": proposal.head,
            "base": proposal.base,
            "body": proposal.description,
            "maintainer_can_modify": False,
        }
        what = f"opening a pull request from {proposal.head} to {proposal.base}"
        pull = _read((await self.api.call("POST", f"{self._root}/pulls", what, body=body)).body)
        if proposal.labels:
            await self.add_labels(pull.number, proposal.labels)
        return pull

    async def add_labels(self, number: int, labels: list[str]) -> None:
        what = f"labelling pull request {number}"
        await self.api.call("POST", f"{self._root}/issues/{number}/labels", what, body={"labels": labels})

    async def merge(self, number: int, method: str) -> PullRequest:
        if method and method not in METHODS:
            raise MergeRefused(f"GitHub has no merge method {method!r}: use one of {', '.join(METHODS)}")
        raw = (await self.api.call("GET", f"{self._root}/pulls/{number}", self._reading(number))).body
        pull = _read(raw)
        if pull.merged:
            return pull
        if not pull.open:
            raise MergeRefused(f"pull request {number} is closed, and was not merged")
        held_back = _held_back(raw, number)
        try:
            body = {"merge_method": method} if method else {}
            what = f"merging pull request {number}"
            answer = await self.api.call("PUT", f"{self._root}/pulls/{number}/merge", what, body=body)
        except HostError as error:
            _explain(error, held_back)
            raise
        if not (isinstance(answer.body, dict) and answer.body.get("merged")):
            raise MergeRefused(f"GitHub did not merge pull request {number}")
        return await self.get(number)

    def _reading(self, number: int) -> str:
        return f"reading pull request {number} of {self.owner}/{self.repo}"


def _held_back(raw: Json, number: int) -> bool:
    """Whether rules of the repository hold it back, which may not bind this token: only trying tells.

    Raises NotReady or MergeRefused where trying makes no sense.
    """
    state = raw.get("mergeable_state") or ""
    if state == "dirty":
        raise MergeRefused(f"pull request {number} has conflicts with its target branch: solve them, or close it")
    if state == "draft" or raw.get("draft"):
        raise NotReady("it is a draft")
    if state in ("blocked", "behind"):
        return True
    if state not in ("clean", "unstable", "has_hooks") and not raw.get("mergeable"):
        raise NotReady("GitHub has not found out yet whether it can be merged")
    return False


def _explain(error: HostError, held_back: bool) -> None:
    """Raise what GitHub means by refusing a merge; its status 405 says neither."""
    words = error.words
    if error.status == 409 or (error.status == 405 and "Base branch was modified" in words):
        raise NotReady(words or "the branch was changed meanwhile") from None
    if error.status != 405:
        return
    if "not allowed" in words or not (held_back or "not mergeable" in words):
        raise MergeRefused(f"GitHub refuses the merge: {words or 'it gives no reason'}") from None
    raise NotReady(words or "rules of the repository hold it back") from None


def _read(raw: Json) -> PullRequest:
    try:
        merged = raw.get("merged_at") is not None
        return PullRequest(
            number=int(raw["number"]),
            url=raw.get("html_url") or "",
            open=raw.get("state") == "open",
            merged=merged,
            head=raw["head"]["ref"],
            head_commit=raw["head"]["sha"],
            merge_commit=(raw.get("merge_commit_sha") or "") if merged else "",
            created_at=moment(raw.get("created_at")),
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        raise HostError("the host's answer is no pull request as GitHub writes it: check provider") from None
