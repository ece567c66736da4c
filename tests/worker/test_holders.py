"""A Stage finds out that the holder of its turn is gone."""

from __future__ import annotations

import pytest
from temporalio.client import Client
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.testing import ActivityEnvironment

from activities.holders import Holders
from model.stages import HolderRequest
from model.steps import NOT_YET
from tests.worker.pipeline import Tow


async def test_a_holder_at_work_is_looked_at_again_later(dev_client: Client) -> None:
    handle = await dev_client.start_workflow(Tow.run, "gravel", id="holder-at-work", task_queue="nobody")
    request = HolderRequest(workflow_id=handle.id, run_id=handle.result_run_id or "")
    with pytest.raises(ApplicationError, match="holder-at-work is still running") as caught:
        await ActivityEnvironment().run(Holders(dev_client).watch, request)
    assert (caught.value.type, caught.value.category) == (NOT_YET, ApplicationErrorCategory.BENIGN)
    await handle.terminate()
    report = await ActivityEnvironment().run(Holders(dev_client).watch, request)
    assert report.status == "Terminated"


async def test_a_holder_that_never_was_is_not_found(dev_client: Client) -> None:
    report = await ActivityEnvironment().run(Holders(dev_client).watch, HolderRequest(workflow_id="nobody"))
    assert report.status == "NotFound"
