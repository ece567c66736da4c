"""What belongs to no Project: ClusterPromotionTasks, ClusterAnalysisTemplates, settings of the cluster."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError, FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from pydantic import Field

    from model.api_tokens import (
        AccessView,
        CreateTokenRequest,
        RevokeTokenRequest,
        created,
        revoked,
        roles_in,
    )
    from model.base import Json, Message
    from model.freezes import Freeze, FreezeRequest, ThawRequest, active, frozen, thawed
    from model.names import project_id
    from model.project_rules import cluster_windows, config_settings
    from model.project_state import ClusterState
    from model.projects import Action, AppliedResource, ApplyRequest, ApplyResult, ClusterSnapshot, DeleteRequest
    from model.steps import CheckStepsReport, CheckStepsRequest, DescribeStepsRequest, StepDescriptions
    from model.warehouses import Outcome
    from workflows.life import Life


class ClusterView(Message):
    """Answer of the query `view`: manifests by name, and the Projects that are registered."""

    tasks: dict[str, Json]
    templates: dict[str, Json]
    channels: dict[str, Json] = Field(default_factory=dict)
    config: dict[str, Json] | None = None
    projects: list[str]
    freezes: list[Freeze] = Field(default_factory=list)


@workflow.defn
class Cluster:
    """Tells every Project what has changed, and lets workers check the steps of a set before it is applied."""

    @workflow.init
    def __init__(self, state: ClusterState) -> None:
        self.state = state
        self.life = Life("cluster")

    # Messages

    @workflow.update
    async def apply(self, message: ApplyRequest) -> ApplyResult:
        """Take a validated set of manifests of the cluster's kinds."""
        self.state.kinds.update(message.kinds)
        actions = []
        for manifest in message.manifests:
            kind, name = manifest["kind"], manifest["metadata"]["name"]
            if kind == "ClusterConfig":
                known, self.state.config = self.state.config, manifest
            else:
                held = self._held()[kind]
                known, held[name] = held.get(name), manifest
            action = Action.CREATED if known is None else Action.CONFIGURED
            action = Action.UNCHANGED if known == manifest else action
            actions.append(AppliedResource(kind=kind, name=name, action=action))
        if any(action.action is not Action.UNCHANGED for action in actions):
            self.state.revision += 1
            self._touch()
        return ApplyResult(resources=actions)

    @workflow.update
    async def delete(self, message: DeleteRequest) -> Outcome:
        """Delete a manifest of the cluster's kinds."""
        held = self._held()
        if message.kind == "ClusterConfig" and self.state.config is not None:
            self.state.config = None
        elif held.get(message.kind, {}).pop(message.name, None) is None:
            return Outcome(ok=False, message=f"{message.kind} {message.name} does not exist")
        self.state.revision += 1
        self._touch()
        return Outcome(message=f"{message.kind} {message.name} is deleted")

    @workflow.update
    async def freeze(self, message: FreezeRequest) -> Outcome:
        """Nothing new starts anywhere until it is thawed; what runs goes on."""
        self.state.freezes = frozen(self.state.freezes, "everything", message, workflow.now())
        self.state.revision += 1
        self._touch()
        return Outcome(message="everything is frozen")

    @workflow.update
    async def thaw(self, message: ThawRequest) -> Outcome:
        """End a freeze of everything; one of a Project or a Stage stays."""
        if not active(self.state.freezes):
            return Outcome(ok=False, message="everything together is not frozen")
        self.state.freezes = thawed(self.state.freezes, message, workflow.now())
        self.state.revision += 1
        self._touch()
        return Outcome(message="everything is thawed")

    @workflow.update
    async def create_token(self, message: CreateTokenRequest) -> Outcome:
        """Remember an API token of the system, by its hash."""
        self.state.tokens, outcome = created(self.state.tokens, message, workflow.now())
        if outcome.ok:
            self._touch()
        return outcome

    @workflow.update
    async def revoke_token(self, message: RevokeTokenRequest) -> Outcome:
        """Forget an API token: it is valid no longer."""
        self.state.tokens, outcome = revoked(self.state.tokens, message.name)
        if outcome.ok:
            self._touch()
        return outcome

    @workflow.update
    async def check_steps(self, message: CheckStepsRequest) -> CheckStepsReport:
        """Have a worker, which knows its steps, check their uses in a set of manifests."""
        try:
            report: CheckStepsReport = await workflow.execute_activity(
                "check-steps",
                message,
                result_type=CheckStepsReport,
                start_to_close_timeout=timedelta(seconds=30),
                retry_policy=RetryPolicy(maximum_attempts=3),
                summary=f"{len(message.uses)} uses",
            )
        except FailureError as error:
            raise ApplicationError(f"the steps could not be checked: {error.cause or error}") from error
        return report

    @workflow.update
    async def describe_steps(self, message: DescribeStepsRequest) -> StepDescriptions:
        """Have a worker say which steps it knows, or describe one of them."""
        try:
            found: StepDescriptions = await workflow.execute_activity(
                "describe-steps",
                message,
                result_type=StepDescriptions,
                start_to_close_timeout=timedelta(seconds=30),
                retry_policy=RetryPolicy(maximum_attempts=3),
                summary=message.name or "all",
            )
        except FailureError as error:
            raise ApplicationError(f"the steps could not be described: {error.cause or error}") from error
        return found

    @workflow.signal
    def register(self, project: str) -> None:
        """A Project wants to hear of changes."""
        self.state.projects[project] = -1
        self._touch()

    @workflow.signal
    def deregister(self, project: str) -> None:
        """A Project has ended."""
        self.state.projects.pop(project, None)

    @workflow.query
    def view(self) -> ClusterView:
        """All that the Cluster holds."""
        return ClusterView(
            tasks=self.state.tasks,
            templates=self.state.templates,
            channels=self.state.channels,
            config=self.state.config,
            projects=sorted(self.state.projects),
            freezes=self.state.freezes,
        )

    @workflow.query
    def access(self) -> AccessView:
        """Who may do what everywhere: roles as declared, and API tokens."""
        return AccessView(roles=roles_in(self.state.config), tokens=self.state.tokens)

    @workflow.query
    def export(self) -> ClusterState:
        """The whole state, for backups."""
        return self.state

    # The life of the entity

    @workflow.run
    async def run(self, state: ClusterState) -> None:
        await self.life.live(self._tell_projects, self.state)

    async def _tell_projects(self) -> None:
        snapshot = ClusterSnapshot(
            revision=self.state.revision,
            tasks=self.state.tasks,
            templates=self.state.templates,
            kinds=self.state.kinds,
            windows=cluster_windows(self.state.config),
            settings=config_settings(self.state.config),
            freezes=active(self.state.freezes),
        )
        empty = not self.state.tasks and not self.state.templates and self.state.revision == 0
        for project in sorted(self.state.projects):
            known = self.state.projects.get(project)
            if known is None or known == snapshot.revision:
                continue
            if not empty:
                try:
                    await workflow.get_external_workflow_handle(project_id(project)).signal("cluster_changed", snapshot)
                except FailureError as error:
                    if is_cancelled_exception(error):
                        raise
                    workflow.logger.info("project %s could not be told: %s", project, error)
                    # A new Project of that name may have registered in the meantime.
                    if self.state.projects.get(project) == known:
                        self.state.projects.pop(project)
                    continue
            # What has changed while it was being told is still to be told.
            if project in self.state.projects:
                self.state.projects[project] = snapshot.revision

    def _held(self) -> dict[str, dict[str, Json]]:
        """The manifests that the Cluster holds, by kind and name."""
        return {
            "ClusterPromotionTask": self.state.tasks,
            "ClusterAnalysisTemplate": self.state.templates,
            "ClusterMessageChannel": self.state.channels,
        }

    def _touch(self) -> None:
        self.life.touch()
