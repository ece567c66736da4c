"""What a promotion would change, without doing it: one activity, in a workspace that is thrown away."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from model.names import stage_id, task_queue
    from model.previews import PreviewRequest, PreviewResult
    from workflows.links import link

#: Bounds the steps together; liveness is the heartbeat's business.
LONGEST_PREVIEW = timedelta(minutes=10)
HEARTBEAT = timedelta(seconds=10)
#: A preview has no effects: one whose worker died is begun anew.
ATTEMPTS = RetryPolicy(maximum_attempts=3, initial_interval=timedelta(seconds=1))


@workflow.defn
class Preview:
    """Has a worker of the Stage run the steps that touch only the workspace, and returns what they would commit."""

    @workflow.run
    async def run(self, request: PreviewRequest) -> PreviewResult:
        context = request.context
        workflow.set_current_details(
            f"Preview of Freight `{context.freight.name}` {context.freight_alias}"
            f" for Stage {link(stage_id(context.project, context.stage))}: nothing outside is changed."
        )
        dated = request.model_copy(update={"started_at": request.started_at or workflow.now()})
        result: PreviewResult = await workflow.execute_activity(
            "preview-promotion",
            dated,
            result_type=PreviewResult,
            task_queue=task_queue(context.shard) if context.shard else None,
            start_to_close_timeout=LONGEST_PREVIEW,
            heartbeat_timeout=HEARTBEAT,
            retry_policy=ATTEMPTS,
            summary=f"preview for {context.stage}",
        )
        return result
