"""Tells another workflow something by a signal, and survives that there is none."""

from __future__ import annotations

from typing import Any

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception


async def tell(workflow_id: str, signal: str, message: Any, *, run_id: str = "") -> bool:
    """Signal a workflow, or just that run of it. False: there is none. An entity must not die of that."""
    handle = workflow.get_external_workflow_handle(workflow_id, run_id=run_id or None)
    try:
        await handle.signal(signal, message)
    except FailureError as error:
        if is_cancelled_exception(error):
            raise
        workflow.logger.info("%s could not be told %s: %s", workflow_id, signal, error)
        return False
    return True
