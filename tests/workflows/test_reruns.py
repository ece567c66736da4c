"""A rerun repeats a Promotion with its frozen plan and Freight, from the start or from the failed step."""

from __future__ import annotations

import random
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from model.names import new_ulid, promotion_id, run_name
from model.promotions import PromotionRecord, PromotionRequest
from model.reruns import RerunRefused, rerun_of
from model.steps import FAILED, Effect, StepKind, StepRequest
from tests.workflows.house import House, house, project, stage, warehouse
from workflows.promotion import Promotion

STEPS = [{"uses": "clone"}, {"uses": "push"}, {"uses": "work"}, {"uses": "tell"}]


async def again(h: House, name: str, *, from_failed_step: bool) -> str:
    handle = h.client.get_workflow_handle(promotion_id(h.project, name))
    record = await handle.query("record", result_type=PromotionRecord)
    rerun = rerun_of(name, record, from_failed_step=from_failed_step)
    new = run_name(record.stage, new_ulid(datetime.now(UTC), random.Random(uuid.uuid4().int)), record.freight)
    request = PromotionRequest(project=h.project, stage=record.stage, name=new, freight=record.freight, rerun=rerun)
    await h.client.start_workflow(Promotion.run, request, id=promotion_id(h.project, new), task_queue=h.task_queue)
    return new


@pytest.mark.parametrize("from_failed_step", [False, True])
async def test_a_rerun_repeats_the_frozen_plan(time_skipping: WorkflowEnvironment, from_failed_step: bool) -> None:
    async with house(time_skipping) as h:
        requests: list[StepRequest] = []

        def noted(request: StepRequest) -> dict[str, Any]:
            requests.append(request)
            return {"from": request.step.kind.name}

        def no(request: StepRequest) -> None:
            raise ApplicationError("no", type=FAILED, non_retryable=True)

        h.kinds = {name: StepKind(name=name) for name in ("push", "work", "tell")}
        h.kinds["clone"] = StepKind(name="clone", effect=Effect.WORKSPACE)
        h.plays = {"clone": noted, "push": noted, "work": no, "tell": noted}
        await h.apply(project(h.project), warehouse(), stage("dev", steps=STEPS))
        freight = await h.discover("1.0.0")
        _, first = await h.request("dev", freight.name)
        assert (await h.result(first)).phase == "Failed"
        # What is applied since doesn't matter, nor does newer Freight.
        await h.apply(stage("dev", steps=[{"uses": "other"}]))
        await h.discover("2.0.0")
        h.plays["work"] = noted
        requests.clear()
        second = await again(h, first, from_failed_step=from_failed_step)
        done = await h.result(second)
        assert done.phase == "Succeeded"
        assert done.freight is not None
        assert done.freight.name == freight.name
        ran = [(request.step.kind.name, request.rebuild) for request in requests]
        if from_failed_step:
            assert ran == [("clone", True), ("work", False), ("tell", False)]
            assert requests[1].outputs == {"step-1": {"from": "clone"}, "step-2": {"from": "push"}}
        else:
            assert ran == [("clone", False), ("push", False), ("work", False), ("tell", False)]
        view = await h.progress(second)
        assert [step.status for step in view.steps] == ["Succeeded"] * 4
        with pytest.raises(RerunRefused, match="has no failed step"):
            await again(h, second, from_failed_step=True)
