"""Pull requests on Gitea and Forgejo (REST API v1)."""

from __future__ import annotations

from dataclasses import dataclass

from activities.pull_requests.api import HostApi, HostError, Parameters, moment
from activities.pull_requests.pull_request import MergeRefused, NotReady, Proposal, PullRequest, newest_first
from activities.pull_requests.repository import HostedRepository
from model.base import Json

#: What Gitea merges by; default: merge.
METHODS = ("fast-forward-only", "manually-merged", "merge", "rebase", "rebase-merge", "squash")
PAGE = 50


def api_base(repository: HostedRepository) -> str:
    """Address of the REST API of the Gitea that a repository is on."""
    return f"{repository.scheme}://{repository.host}/api/v1"


def headers(token: str) -> dict[str, str]:
    """Headers of every request."""
    return {"Authorization": f"token {token}"} if token else {}


@dataclass(frozen=True)
class Gitea:
    """The pull requests of a Gitea repository."""

    api: HostApi
    owner: str
    repo: str
    labels: bool = True

    @classmethod
    def of(cls, api: HostApi, repository: HostedRepository) -> Gitea:
        owner, repo = repository.owner_and_name()
        return cls(api, owner, repo)

    @property
    def _root(self) -> str:
        return f"/repos/{self.owner}/{self.repo}"

    async def find(self, head: str, base: str) -> list[PullRequest]:
        what = f"listing the pull requests of {self.owner}/{self.repo}"
        params: Parameters = {"state": "all", "sort": "recentupdate", "limit": PAGE}
        raws = await self.api.listed(f"{self._root}/pulls", what, params, size=PAGE)
        # Gitea filters by neither branch.
        return newest_first([pull for raw in raws if (pull := _read(raw)).head == head and _base(raw) == base])

    async def get(self, number: int) -> PullRequest:
        return _read(await self._raw(number))

    async def create(self, proposal: Proposal) -> PullRequest:
        body: dict[str, Json] = {
            "title": proposal.title,
            "head": proposal.head,
            "base": proposal.base,
            "body": proposal.description,
        }
        if proposal.labels:
            body["labels"] = await self._label_ids(proposal.labels)
        what = f"opening a pull request from {proposal.head} to {proposal.base}"
        return _read((await self.api.call("POST", f"{self._root}/pulls", what, body=body)).body)

    async def add_labels(self, number: int, labels: list[str]) -> None:
        body = {"labels": await self._label_ids(labels)}
        await self.api.call(
            "POST", f"{self._root}/issues/{number}/labels", f"labelling pull request {number}", body=body
        )

    async def _label_ids(self, names: list[str]) -> list[int]:
        """Gitea takes ids. Raises HostError naming the labels that the repository has not."""
        what = f"listing the labels of {self.owner}/{self.repo}"
        raws = await self.api.listed(f"{self._root}/labels", what, {"limit": PAGE}, size=PAGE)
        known = {raw["name"]: int(raw["id"]) for raw in raws}
        missing = [name for name in dict.fromkeys(names) if name not in known]
        if missing:
            raise HostError(
                f"{self.owner}/{self.repo} has no label {', '.join(missing)}: make it there first, Gitea does not"
            )
        return [known[name] for name in dict.fromkeys(names)]

    async def merge(self, number: int, method: str) -> PullRequest:
        if method and method not in METHODS:
            raise MergeRefused(f"Gitea has no merge method {method!r}: use one of {', '.join(METHODS)}")
        raw = await self._raw(number)
        pull = _read(raw)
        if pull.merged:
            return pull
        if not pull.open:
            raise MergeRefused(f"pull request {number} is closed, and was not merged")
        if raw.get("draft"):
            raise NotReady("it is a draft")
        if not raw.get("mergeable"):
            raise NotReady("Gitea says it is not mergeable: conflicts, or checks that have not passed")
        try:
            body = {"Do": method or "merge"}
            await self.api.call(
                "POST", f"{self._root}/pulls/{number}/merge", f"merging pull request {number}", body=body
            )
        except HostError as error:
            if error.status in (405, 409, 423):
                if "not allowed" in error.words.lower():
                    raise MergeRefused(f"Gitea refuses the merge: {error.words}") from None
                raise NotReady(error.words or "Gitea refuses the merge for now") from None
            raise
        return await self.get(number)

    async def _raw(self, number: int) -> Json:
        what = f"reading pull request {number} of {self.owner}/{self.repo}"
        return (await self.api.call("GET", f"{self._root}/pulls/{number}", what)).body


def _base(raw: Json) -> str:
    return str((raw.get("base") or {}).get("ref") or "")


def _read(raw: Json) -> PullRequest:
    try:
        merged = bool(raw.get("merged"))
        return PullRequest(
            number=int(raw["number"]),
            url=raw.get("html_url") or "",
            open=raw["state"] == "open",
            merged=merged,
            head=raw["head"]["ref"],
            head_commit=raw["head"].get("sha") or "",
            merge_commit=(raw.get("merge_commit_sha") or "") if merged else "",
            created_at=moment(raw.get("created_at")),
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        raise HostError("the host's answer is no pull request as Gitea writes it: check provider") from None
