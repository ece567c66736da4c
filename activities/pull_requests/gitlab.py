"""Merge requests on GitLab (REST API v4)."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from activities.pull_requests.api import HostApi, HostError, Parameters, moment
from activities.pull_requests.pull_request import MergeRefused, NotReady, Proposal, PullRequest, newest_first
from activities.pull_requests.repository import HostedRepository
from model.base import Json

#: What GitLab merges by; default: the project's setting.
METHODS = ("merge", "squash")
PAGE = 100

#: Values of detailed_merge_status that no waiting changes.
_HOPELESS = {"conflict": "it has conflicts with its target branch"}


def api_base(repository: HostedRepository) -> str:
    """Address of the REST API of the GitLab that a repository is on."""
    return f"{repository.scheme}://{repository.host}/api/v4"


def headers(token: str) -> dict[str, str]:
    """Headers of every request."""
    return {"PRIVATE-TOKEN": token} if token else {}


@dataclass(frozen=True)
class GitLab:
    """The merge requests of a GitLab project."""

    api: HostApi
    #: Path of the project, with its groups.
    project: str
    labels: bool = True

    @classmethod
    def of(cls, api: HostApi, repository: HostedRepository) -> GitLab:
        return cls(api, repository.path)

    @property
    def _root(self) -> str:
        return f"/projects/{quote(self.project, safe='')}/merge_requests"

    async def find(self, head: str, base: str) -> list[PullRequest]:
        what = f"listing the merge requests of {self.project}"
        params: Parameters = {"source_branch": head, "target_branch": base, "state": "all", "per_page": PAGE}
        return newest_first(list(map(_read, await self.api.listed(self._root, what, params, size=PAGE))))

    async def get(self, number: int) -> PullRequest:
        return _read(await self._raw(number))

    async def create(self, proposal: Proposal) -> PullRequest:
        body: dict[str, Json] = {
            "title": proposal.title,
            "description": proposal.description,
            "source_branch": proposal.head,
            "target_branch": proposal.base,
        }
        if proposal.labels:
            body["labels"] = ",".join(proposal.labels)
        what = f"opening a merge request from {proposal.head} to {proposal.base}"
        return _read((await self.api.call("POST", self._root, what, body=body)).body)

    async def add_labels(self, number: int, labels: list[str]) -> None:
        what = f"labelling merge request {number}"
        await self.api.call("PUT", f"{self._root}/{number}", what, body={"add_labels": ",".join(labels)})

    async def merge(self, number: int, method: str) -> PullRequest:
        if method and method not in METHODS:
            raise MergeRefused(f"GitLab has no merge method {method!r}: use one of {', '.join(METHODS)}")
        raw = await self._raw(number)
        pull = _read(raw)
        if pull.merged:
            return pull
        if raw.get("state") == "locked":
            raise NotReady("GitLab is merging it", underway=True)
        if not pull.open:
            raise MergeRefused(f"merge request {number} is closed, and was not merged")
        if raw.get("draft"):
            raise NotReady("it is a draft")
        status = raw.get("detailed_merge_status") or "unknown"
        if status in _HOPELESS:
            raise MergeRefused(f"merge request {number} can't be merged: {_HOPELESS[status]}")
        if status != "mergeable":
            raise NotReady(f"GitLab says {status}")
        try:
            body = {"squash": True} if method == "squash" else {}
            what = f"merging merge request {number}"
            answer = await self.api.call("PUT", f"{self._root}/{number}/merge", what, body=body)
        except HostError as error:
            # 405 and 409: its state changed since; 422: GitLab tried and could not (API docs, "Merge a merge request").
            if error.status in (405, 409):
                raise NotReady(error.words or "its state changed meanwhile") from None
            if error.status == 422:
                raise MergeRefused(f"GitLab could not merge it: {error.words or 'it gives no reason'}") from None
            raise
        merged = _read(answer.body)
        if not merged.merged:
            raise NotReady("GitLab is merging it", underway=True)
        return merged

    async def _raw(self, number: int) -> Json:
        what = f"reading merge request {number} of {self.project}"
        return (await self.api.call("GET", f"{self._root}/{number}", what)).body


def _read(raw: Json) -> PullRequest:
    try:
        merged = raw["state"] == "merged"
        # A fast-forward merge makes no merge commit; its head is then the squashed commit, or the source's.
        commit = raw.get("merge_commit_sha") or raw.get("squash_commit_sha") or raw.get("sha") or ""
        return PullRequest(
            number=int(raw["iid"]),
            url=raw.get("web_url") or "",
            open=raw["state"] in ("opened", "locked"),
            merged=merged,
            head=raw.get("source_branch") or "",
            head_commit=raw.get("sha") or "",
            merge_commit=commit if merged else "",
            created_at=moment(raw.get("created_at")),
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        raise HostError("the host's answer is no merge request as GitLab writes it: check provider") from None
