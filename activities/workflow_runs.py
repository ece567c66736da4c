"""Runs of GitHub Actions workflows: dispatched, found again, looked at (GitHub's REST API: actions/workflows, runs)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from activities.pull_requests.api import HostApi, HostError, Parameters, moment
from activities.pull_requests.repository import HostedRepository
from model.base import Json

#: Runs in one answer. More are not dispatched on one ref between two looks.
PAGE = 100
#: The parameter by which GitHub answers with the run's id, since February 2026; older GitHub Enterprise refuses it.
_RETURN_DETAILS = "return_run_details"


@dataclass(frozen=True)
class WorkflowRun:
    """One run of a workflow."""

    id: int
    #: Its page.
    url: str
    #: The branch or tag it runs on.
    ref: str
    #: Its name, or what the workflow's `run-name` made.
    title: str
    #: queued, in_progress, completed …
    status: str
    #: success, failure, cancelled …; empty until it is completed.
    conclusion: str
    created_at: datetime | None


@dataclass(frozen=True)
class WorkflowRuns:
    """The runs of one repository's workflows. All methods raise HostError where GitHub refuses, or can't be asked."""

    api: HostApi
    owner: str
    repo: str

    @classmethod
    def of(cls, api: HostApi, repository: HostedRepository) -> WorkflowRuns:
        owner, repo = repository.owner_and_name()
        return cls(api, owner, repo)

    @property
    def _root(self) -> str:
        return f"/repos/{self.owner}/{self.repo}/actions"

    async def dispatch(self, workflow: str, ref: str, inputs: Mapping[str, str]) -> int | None:
        """Start a workflow, by its file's name. The run's id where GitHub tells it."""
        what = f"dispatching {workflow} of {self.owner}/{self.repo} on {ref}"
        path = f"{self._root}/workflows/{quote(workflow, safe='')}/dispatches"
        body: dict[str, Json] = {"ref": ref, "inputs": dict(inputs), _RETURN_DETAILS: True}
        try:
            answer = await self.api.call("POST", path, what, body=body)
        except HostError as error:
            if error.status not in (400, 422) or _RETURN_DETAILS not in error.words:
                raise
            # It was refused for that parameter alone: nothing was dispatched.
            del body[_RETURN_DETAILS]
            answer = await self.api.call("POST", path, what, body=body)
        run = answer.body.get("workflow_run_id") if isinstance(answer.body, dict) else None
        return run if isinstance(run, int) else None

    async def dispatched(self, workflow: str, ref: str) -> list[WorkflowRun]:
        """The last runs of a workflow that were dispatched on a branch or tag, the newest first."""
        what = f"listing the runs of {workflow} of {self.owner}/{self.repo}"
        path = f"{self._root}/workflows/{quote(workflow, safe='')}/runs"
        params: Parameters = {"event": "workflow_dispatch", "per_page": PAGE}
        body = (await self.api.call("GET", path, what, params=params)).body
        runs = [_read(raw) for raw in (body.get("workflow_runs") if isinstance(body, dict) else None) or []]
        name = ref.removeprefix("refs/heads/").removeprefix("refs/tags/")
        return sorted((run for run in runs if run.ref == name), key=lambda run: run.id, reverse=True)

    async def get(self, run: int) -> WorkflowRun:
        """One by its id."""
        what = f"reading workflow run {run} of {self.owner}/{self.repo}"
        return _read((await self.api.call("GET", f"{self._root}/runs/{run}", what)).body)


def _read(raw: Json) -> WorkflowRun:
    try:
        return WorkflowRun(
            id=int(raw["id"]),
            url=raw.get("html_url") or "",
            ref=raw.get("head_branch") or "",
            title=raw.get("display_title") or raw.get("name") or "",
            status=raw["status"] or "",
            conclusion=raw.get("conclusion") or "",
            created_at=moment(raw.get("created_at")),
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        raise HostError("the host's answer is no workflow run as GitHub writes it: check repoURL") from None
