"""Runs a promotion's steps in a workspace that is thrown away, leaving out what acts outside, and shows the diff."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.credentials import CredentialKind
from activities.git.clone import Worktree, directory
from activities.git.errors import GitError
from activities.git.refs import Remote
from activities.heartbeats import heartbeats
from activities.mask import Mask
from activities.outside import Outside
from activities.steps.registry import STEPS, StepErrored
from activities.steps.runtime import Attempt, Outcome
from model.outcome import has_failures, outputs_of
from model.previews import (
    LONGEST_DIFF,
    LONGEST_DIFFS,
    ChangedFile,
    PreviewedStep,
    PreviewOutcome,
    PreviewRequest,
    PreviewResult,
    WorktreeChange,
    runs_in_preview,
)
from model.promotions import StepRecord
from model.steps import ERRORED, Effect, StepRequest, StepStatus

#: Seconds between two signs of life.
HEARTBEAT = 1.0
#: Previews that work at once on this worker; promotions have slots of their own.
AT_ONCE = 2


class Previews:
    """The activity `preview-promotion`."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside
        self._slots = asyncio.Semaphore(AT_ONCE)

    def activities(self) -> list[Callable[..., Any]]:
        """What a worker registers."""
        return [self.preview]

    @activity.defn(name="preview-promotion")
    async def preview(self, request: PreviewRequest) -> PreviewResult:
        """Run the steps of the plan that touch only the workspace, in order; then remove it, however it went."""
        info = activity.info()
        name = f"preview.{(info.workflow_id or '').rpartition('/')[2]}.{info.attempt}"
        run = _Run(request, self._outside, self._slots, name, Mask())
        with run.mask.collecting():
            async with heartbeats(activity.heartbeat, HEARTBEAT):
                try:
                    return await run.result()
                finally:
                    await asyncio.to_thread(self._outside.workspaces.remove, name)


@dataclass
class _Run:
    request: PreviewRequest
    outside: Outside
    slots: asyncio.Semaphore
    workspace: str
    mask: Mask

    async def result(self) -> PreviewResult:
        context = self.request.context
        files = await asyncio.to_thread(self.outside.workspaces.claim, self.workspace)
        async with self.slots:
            steps = await self._steps()
            changes = await self._changes(files)
        return PreviewResult(
            project=context.project,
            stage=context.stage,
            freight=context.freight.name,
            freight_alias=context.freight_alias,
            steps=steps,
            changes=changes,
        )

    async def _steps(self) -> list[PreviewedStep]:
        shown: list[PreviewedStep] = []
        records: list[StepRecord] = []
        for index, planned in enumerate(self.request.plan.steps):
            record = StepRecord(
                alias=planned.alias, uses=planned.kind.name, continue_on_error=planned.continue_on_error
            )
            step = PreviewedStep(alias=planned.alias, uses=planned.kind.name, outcome=PreviewOutcome.LEFT_OUT)
            if not planned.condition and has_failures(records):
                record.status = StepStatus.SKIPPED
                step.outcome, step.message = PreviewOutcome.SKIPPED, "an earlier step failed"
            elif not runs_in_preview(planned.kind):
                # What comes after it is shown as if it had succeeded.
                record.status = StepStatus.SUCCEEDED
                acts = planned.kind.effect is Effect.EXTERNAL
                waits = "asks people" if planned.kind.asks else "waits for something outside"
                step.message = "acts outside of the workspace" if acts else waits
            else:
                outcome = await self._run(index, records)
                guessed = any(earlier.outcome is PreviewOutcome.LEFT_OUT for earlier in shown)
                _tell(step, record, outcome, guessed=guessed)
                record.output = None if outcome.output is None else self.mask.json(dict(outcome.output))
                step.message = self.mask.text(step.message)
                step.warnings = [self.mask.text(warning) for warning in outcome.warnings]
            shown.append(step)
            records.append(record)
        return shown

    async def _run(self, index: int, records: list[StepRecord]) -> Outcome:
        planned = self.request.plan.steps[index]
        started_at = self.request.started_at
        assert started_at is not None
        request = StepRequest(
            context=self.request.context,
            workspace=self.workspace,
            step=planned,
            index=index,
            outputs=outputs_of(records),
            statuses={record.alias: record.status for record in records if record.status is not None},
            failed=has_failures(records),
            started_at=started_at,
            preview=True,
        )
        step = STEPS.get(planned.kind.name)
        if step is None:
            return Outcome(StepStatus.ERRORED, f"this worker has no step {planned.kind.name}")
        return await Attempt(step, request, self.outside, self.slots, mask=self.mask).once()

    async def _changes(self, files: Path) -> list[WorktreeChange]:
        """What was committed in each worktree, in the order of their paths."""
        paths = await asyncio.to_thread(_worktrees, files)
        changes: list[WorktreeChange] = []
        room = LONGEST_DIFFS
        for path in paths:
            shown = path.relative_to(files).as_posix()
            try:
                change = await self._change(Worktree.at(self.outside.git, files, path), shown, room)
            except (StepErrored, GitError) as error:
                message = self.mask.text(f"the changes in {shown} can't be shown: {error}")
                raise ApplicationError(message, type=ERRORED, non_retryable=True) from None
            if change is not None:
                room -= len(change.diff)
                changes.append(change)
        return changes

    async def _change(self, tree: Worktree, path: str, room: int) -> WorktreeChange | None:
        base, head = tree.base().strip(), await tree.head()
        if base == head:
            return None
        remote = await self._remote(tree) if tree.clone.blobless else None
        subjects = await tree.run("log", "--reverse", "--format=%s", f"{base}..{head}", "--")
        options = "--no-color", "--no-ext-diff", "--no-textconv", "--find-renames"
        counts = await tree.run("diff", *options, "--numstat", "-z", "--no-renames", base, head, "--", remote=remote)
        text = self.mask.text((await tree.run("diff", *options, base, head, "--", remote=remote)).out)
        longest = max(0, min(LONGEST_DIFF, room))
        return WorktreeChange(
            repo_url=self.mask.text(tree.clone.url),
            branch=tree.branch() or "",
            path=path,
            commits=[self.mask.text(subject) for subject in subjects.out.splitlines()],
            files=[self._file(line) for line in counts.out.split("\0") if line],
            diff=text[:longest],
            truncated=len(text) > longest,
        )

    def _file(self, line: str) -> ChangedFile:
        added, deleted, path = line.split("\t", 2)
        return ChangedFile(
            path=self.mask.text(path),
            added=int(added) if added != "-" else None,
            deleted=int(deleted) if deleted != "-" else None,
        )

    async def _remote(self, tree: Worktree) -> Remote:
        """Where a clone without file contents fetches those it needs."""
        find, project = self.outside.credentials.find, self.request.context.project
        credential = await asyncio.to_thread(find, project, CredentialKind.GIT, tree.clone.url)
        return Remote(tree.clone.url, credential, tree.clone.insecure_skip_tls_verify)


def _tell(step: PreviewedStep, record: StepRecord, outcome: Outcome, *, guessed: bool) -> None:
    """What became of a step that was run; `guessed`: a step before it was left out, and its output is missing."""
    record.status, step.message = outcome.status, outcome.message
    if outcome.status is StepStatus.SUCCEEDED:
        step.outcome = PreviewOutcome.DONE
    elif outcome.status is StepStatus.SKIPPED:
        step.outcome = PreviewOutcome.SKIPPED
    elif guessed:
        record.status = StepStatus.SUCCEEDED
        step.outcome = PreviewOutcome.UNKNOWN
        step.message = f"it may need what an earlier step gives that was left out: {outcome.message}"
    else:
        step.outcome = PreviewOutcome.FAILED


def _worktrees(files: Path) -> list[Path]:
    """The paths at which git-clone made worktrees, below `files` as it is called here."""
    root = Path(os.path.realpath(files))
    pointers = directory(files).glob("*/worktrees/*/gitdir")
    trees = (Path(os.path.realpath(Path(pointer.read_text().strip()).parent)) for pointer in pointers)
    return sorted(files / tree.relative_to(root) for tree in trees if root in tree.parents or tree == root)
