"""Pull requests on Azure DevOps Services (REST API 7.1)."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass
from urllib.parse import quote, unquote

from activities.mask import remember
from activities.pull_requests.api import MAX_PAGES, HostApi, HostError, Parameters, moment
from activities.pull_requests.pull_request import MergeRefused, NotReady, Proposal, PullRequest, newest_first
from activities.pull_requests.repository import HostedRepository
from model.base import Json

#: What Azure DevOps merges by; default: what the target branch's policy allows first.
METHODS = ("noFastForward", "rebase", "rebaseMerge", "squash")
PAGE = 100
VERSION = "7.1"
HOST = "dev.azure.com"
LEGACY = ".visualstudio.com"

#: Azure DevOps completes in the background: how often to look, and seconds between two looks.
LOOKS = 10
PAUSE = 1.0


def api_base(repository: HostedRepository) -> str:
    """Address of the REST API of the organization. Raises HostError where the address has another form."""
    return f"https://{HOST}/{quote(_place(repository)[0], safe='')}"


def headers(token: str) -> dict[str, str]:
    """Headers of every request. Raises HostError without a token: Azure DevOps answers nothing then."""
    if not token:
        raise HostError(
            "Azure DevOps wants a token: add a Secret labelled kargo.akuity.io/cred-type: git with this repoURL and a "
            "personal access token as its password"
        )
    return {"Authorization": "Basic " + remember(base64.b64encode(f":{token}".encode()).decode())}


def _place(repository: HostedRepository) -> tuple[str, str, str]:
    """Organization, project and repository."""
    parts = [unquote(part) for part in repository.path.split("/")]
    if repository.host == HOST and len(parts) == 4 and parts[2] == "_git":
        return parts[0], parts[1], parts[3]
    if repository.host == "ssh.dev.azure.com" and len(parts) == 4 and parts[0] == "v3":
        return parts[1], parts[2], parts[3]
    if repository.host.endswith(LEGACY) and len(parts) == 3 and parts[1] == "_git":
        return repository.host.removesuffix(LEGACY), parts[0], parts[2]
    raise HostError(
        f"{repository.host}/{repository.path} is not a repository of Azure DevOps: expected "
        f"https://{HOST}/<organization>/<project>/_git/<repository> or https://<organization>{LEGACY}/…"
    )


@dataclass(frozen=True)
class Azure:
    """The pull requests of an Azure DevOps repository."""

    api: HostApi
    project: str
    repo: str
    labels: bool = True

    @classmethod
    def of(cls, api: HostApi, repository: HostedRepository) -> Azure:
        _, project, repo = _place(repository)
        return cls(api, project, repo)

    @property
    def _root(self) -> str:
        return f"/{quote(self.project, safe='')}/_apis/git/repositories/{quote(self.repo, safe='')}/pullrequests"

    async def find(self, head: str, base: str) -> list[PullRequest]:
        found: list[PullRequest] = []
        for page in range(MAX_PAGES):
            what = f"listing the pull requests of {self.project}/{self.repo}"
            params: Parameters = {
                "searchCriteria.status": "all",
                "searchCriteria.sourceRefName": f"refs/heads/{head}",
                "searchCriteria.targetRefName": f"refs/heads/{base}",
                "$top": PAGE,
                "$skip": page * PAGE,
                "api-version": VERSION,
            }
            body = (await self.api.call("GET", self._root, what, params=params)).body or {}
            raws = body.get("value") or []
            found += map(_read, raws)
            if len(raws) < PAGE:
                break
        return newest_first(found)

    async def get(self, number: int) -> PullRequest:
        return _read(await self._raw(number))

    async def create(self, proposal: Proposal) -> PullRequest:
        body = {
            "title": proposal.title,
            "description": proposal.description[:4000],
            "sourceRefName": f"refs/heads/{proposal.head}",
            "targetRefName": f"refs/heads/{proposal.base}",
            "labels": [{"name": label} for label in proposal.labels],
        }
        what = f"opening a pull request from {proposal.head} to {proposal.base}"
        return _read((await self.api.call("POST", self._root, what, body=body, params=_VERSIONED)).body)

    async def add_labels(self, number: int, labels: list[str]) -> None:
        for label in labels:
            path = f"{self._root}/{number}/labels"
            await self.api.call(
                "POST", path, f"labelling pull request {number}", body={"name": label}, params=_VERSIONED
            )

    async def merge(self, number: int, method: str) -> PullRequest:
        if method and method not in METHODS:
            raise MergeRefused(f"Azure DevOps has no merge method {method!r}: use one of {', '.join(METHODS)}")
        raw = await self._raw(number)
        pull = _read(raw)
        if pull.merged:
            return pull
        if raw.get("status") == "abandoned":
            raise MergeRefused(f"pull request {number} is abandoned, and was not merged")
        if raw.get("isDraft"):
            raise NotReady("it is a draft")
        status = raw.get("mergeStatus") or "notSet"
        if status == "conflicts":
            raise MergeRefused(f"pull request {number} has conflicts with its target branch")
        if status != "succeeded":
            raise NotReady(f"Azure DevOps says {status}")
        body: dict[str, Json] = {
            "status": "completed",
            # It is merged only as it was just read: what is pushed meanwhile is refused.
            "lastMergeSourceCommit": raw.get("lastMergeSourceCommit"),
        }
        if method:
            body["completionOptions"] = {"mergeStrategy": method}
        what = f"merging pull request {number}"
        try:
            await self.api.call("PATCH", f"{self._root}/{number}", what, body=body, params=_VERSIONED)
        except HostError as error:
            if error.status == 409:
                raise NotReady(error.words or "it was changed meanwhile") from None
            raise
        for look in range(LOOKS):
            if look:
                await asyncio.sleep(PAUSE)
            pull = await self.get(number)
            if pull.merged:
                return pull
        raise NotReady("Azure DevOps is merging it, or waits for its policies", underway=True)

    async def _raw(self, number: int) -> Json:
        what = f"reading pull request {number} of {self.project}/{self.repo}"
        return (await self.api.call("GET", f"{self._root}/{number}", what, params=_VERSIONED)).body


_VERSIONED: Parameters = {"api-version": VERSION}


def _read(raw: Json) -> PullRequest:
    try:
        number = int(raw["pullRequestId"])
        page = (raw.get("repository") or {}).get("webUrl") or ""
        merged = raw["status"] == "completed"
        return PullRequest(
            number=number,
            url=f"{page}/pullrequest/{number}" if page else "",
            open=raw["status"] == "active",
            merged=merged,
            head=str(raw.get("sourceRefName") or "").removeprefix("refs/heads/"),
            head_commit=(raw.get("lastMergeSourceCommit") or {}).get("commitId") or "",
            merge_commit=((raw.get("lastMergeCommit") or {}).get("commitId") or "") if merged else "",
            created_at=moment(raw.get("creationDate")),
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        raise HostError("the host's answer is no pull request as Azure DevOps writes it: check provider") from None
