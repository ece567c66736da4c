"""Verification runs on a Temporal server that skips time, measuring a real HTTP server."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

import pytest
import pytest_asyncio
from temporalio import activity, workflow
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

import workflows.verification
from activities.outside import Outside
from activities.verification import Verifications
from model.base import Json
from model.names import verification_id
from model.references import ExpressionVariable, FreightCollection
from model.references import VerificationPhase as Phase
from model.verifications import VerificationFinished, VerificationRequest
from tests.analysis.conftest import TOKEN
from tests.analysis.outside import outside_in
from tests.analysis.server import Answered, MetricServer
from tests.patience import PATIENCE
from workflows.verification import Verification

pytestmark = pytest.mark.asyncio

QUEUE = "tests"
_NUMBERS = itertools.count(1)


def metric(server: MetricServer, name: str = "m", path: str = "/", **fields: Json) -> dict[str, Json]:
    return {"name": name, "provider": {"web": {"url": f"{server.url}{path}", "jsonPath": "{.n}"}}, **fields}


def request_of(*metrics: dict[str, Json], spec: Json = None, **fields: Json) -> VerificationRequest:
    template = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": {"name": "t", "namespace": "demo"},
        "spec": {"metrics": list(metrics), **(spec or {})},
    }
    return VerificationRequest(
        project="demo",
        stage="test",
        name=f"test.run{next(_NUMBERS)}.abcdef0",
        templates=[template],
        collection=FreightCollection(id="abcdef0123"),
        **fields,
    )


Handle = WorkflowHandle[Verification, VerificationFinished]


class Servers(Protocol):
    """What has a client."""

    @property
    def client(self) -> Client: ...


@dataclass(frozen=True)
class Server:
    """A server that is there already, by a client of it."""

    client: Client


class Bench:
    """A time-skipping server with one worker, and runs started on it."""

    def __init__(self, environment: Servers, outside: Outside) -> None:
        self.environment = environment
        self.outside = outside

    def worker(self, **options: Any) -> AbstractAsyncContextManager[Worker]:
        return Worker(
            self.environment.client,
            task_queue=QUEUE,
            workflows=[Verification, StageDouble],
            activities=options.pop("activities", None) or Verifications(self.outside).activities(),
            # Its own would be a hash of all that is imported, which takes seconds.
            **{"build_id": "test", **options},
        )

    async def start(self, request: VerificationRequest) -> Handle:
        return await self.environment.client.start_workflow(
            Verification.run, request, id=verification_id(request.project, request.name), task_queue=QUEUE
        )

    async def finish(self, request: VerificationRequest) -> tuple[VerificationFinished, dict[str, Any]]:
        """Run to the end: the result, and the AnalysisRun as shown."""
        async with self.worker():
            handle = await self.start(request)
            finished = await handle.result()
            return finished, await handle.query(Verification.describe)


@workflow.defn(name="StageDouble", sandboxed=False)
class StageDouble:
    """Stands for a Stage: ends with the first verification it is told of."""

    def __init__(self) -> None:
        self.told: VerificationFinished | None = None

    @workflow.signal
    def verification_finished(self, finished: VerificationFinished) -> None:
        self.told = finished

    @workflow.run
    async def run(self) -> VerificationFinished:
        await workflow.wait_condition(lambda: self.told is not None)
        assert self.told is not None
        return self.told


@pytest_asyncio.fixture
async def bench(time_skipping: WorkflowEnvironment, outside: Outside) -> AsyncIterator[Bench]:
    yield Bench(time_skipping, outside)


@pytest.fixture
def real_bench(dev_client: Client, outside: Outside) -> Bench:
    """On a real server, for what breaks off: the one that skips time never ends a run that cancels an activity in the
    moment this completes."""
    return Bench(Server(dev_client), outside)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something to have happened in another thread or task."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110  # another thread can't set an asyncio.Event
            await asyncio.sleep(0.01)


def sequence(server: MetricServer, *answers: Answered, path: str = "/") -> None:
    """Give these answers one after the other; the last for ever."""
    waiting = list(answers)
    server.routes[path] = lambda _: waiting.pop(0) if len(waiting) > 1 else waiting[0]


async def test_five_measurements_five_seconds_apart(bench: Bench, server: MetricServer) -> None:
    server.answer("/", {"n": 112})
    finished, run = await bench.finish(
        request_of(metric(server, interval="5s", count=5, successCondition="result < 200"), promotion="test.p")
    )
    assert finished.phase is Phase.SUCCESSFUL
    assert finished.started_at is not None
    assert finished.finished_at is not None
    assert finished.finished_at - finished.started_at >= timedelta(seconds=20)
    assert run["kind"] == "AnalysisRun"
    assert run["metadata"]["annotations"] == {"kargo.akuity.io/promotion": "test.p"}
    assert run["status"]["phase"] == "Successful"
    assert run["status"]["runSummary"] == {"count": 1, "successful": 1}
    result = run["status"]["metricResults"][0]
    assert (result["count"], result["successful"], result["consecutiveSuccess"]) == (5, 5, 5)
    assert [entry["value"] for entry in result["measurements"]] == ["112"] * 5


async def test_fails_at_the_fourth_failure_with_limit_three(bench: Bench, server: MetricServer) -> None:
    server.answer("/", {"n": 267})
    condition = {"successCondition": "result < {{args.limit}}"}
    finished, run = await bench.finish(
        request_of(
            metric(server, interval="5s", count="{{args.times}}", failureLimit=3, **condition),
            spec={"args": [{"name": "limit", "value": "100"}, {"name": "times"}]},
            args=[
                ExpressionVariable(name="limit", value="${{ quote(vars.limit) }}"),
                ExpressionVariable(name="times", value="5"),
                ExpressionVariable(name="nobody", value="asked"),
            ],
            vars=[ExpressionVariable(name="limit", value="200")],
        )
    )
    assert finished.phase is Phase.FAILED
    assert finished.message == 'Metric "m" assessed Failed due to failed (4) > failureLimit (3)'
    assert len(server.asked) == 4
    assert run["spec"]["args"] == [{"name": "limit", "value": "200"}, {"name": "times", "value": "5"}]
    assert run["status"]["warnings"] == ["argument 'nobody' of the Stage is declared by no template: ignored"]


async def test_error_is_retried_after_ten_seconds_and_not_counted(bench: Bench, server: MetricServer) -> None:
    sequence(server, Answered({}, 500), Answered({"n": 1}))
    finished, run = await bench.finish(request_of(metric(server, interval="1h", count=1)))
    assert finished.phase is Phase.SUCCESSFUL
    assert finished.started_at is not None
    assert finished.finished_at is not None
    assert timedelta(seconds=10) <= finished.finished_at - finished.started_at < timedelta(minutes=5)
    result = run["status"]["metricResults"][0]
    assert (result["count"], result["error"]) == (1, 1)
    assert result["measurements"][0]["message"] == "received non 2xx response code: 500"


async def test_fifth_error_in_a_row_is_the_end(bench: Bench, server: MetricServer) -> None:
    server.answer("/", {}, 500)
    finished, _ = await bench.finish(request_of(metric(server)))
    assert finished.phase is Phase.ERROR
    assert finished.message == (
        'Metric "m" assessed Error due to consecutiveErrors (5) > consecutiveErrorLimit (4): '
        '"Error Message: received non 2xx response code: 500"'
    )
    assert len(server.asked) == 5


async def test_failed_metric_stops_its_siblings(bench: Bench, server: MetricServer) -> None:
    server.answer("/", {"n": 1})
    finished, run = await bench.finish(
        request_of(
            metric(server, "endless", interval="1h"),
            metric(server, "late", initialDelay="2h"),
            metric(server, "bad", initialDelay="10s", successCondition="result > 1"),
        )
    )
    assert finished.phase is Phase.FAILED
    phases = {result["name"]: result["phase"] for result in run["status"]["metricResults"]}
    assert phases == {"endless": "Successful", "bad": "Failed"}
    assert run["status"]["runSummary"] == {"count": 3, "successful": 1, "failed": 1}
    assert len(server.asked) == 2


async def test_dry_run_metric_does_not_decide(bench: Bench, server: MetricServer) -> None:
    server.answer("/", {"n": 1})
    finished, run = await bench.finish(
        request_of(
            metric(server, "dry", successCondition="result > 1"),
            metric(server, "real", successCondition="result == 1"),
            spec={"dryRun": [{"metricName": "dr.*"}]},
        )
    )
    assert finished.phase is Phase.SUCCESSFUL
    assert run["status"]["dryRunSummary"] == {"count": 1, "failed": 1}
    dry = next(result for result in run["status"]["metricResults"] if result["name"] == "dry")
    assert (dry["phase"], dry["dryRun"]) == ("Failed", True)


async def test_only_the_last_measurements_are_kept(bench: Bench, server: MetricServer) -> None:
    server.answer("/", {"n": 1})
    retention = {"measurementRetention": [{"metricName": "m", "limit": 2}]}
    _, run = await bench.finish(request_of(metric(server, interval="1s", count=6), spec=retention))
    result = run["status"]["metricResults"][0]
    assert (result["count"], len(result["measurements"])) == (6, 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"missing_templates": ["AnalysisTemplate/gone"]}, "AnalysisTemplate/gone"),
        ({"templates": []}, "Analysis spec invalid: no metrics specified"),
        ({"args": [ExpressionVariable(name="x", value="${{ 1 + }}")]}, "evaluate argument 'x'"),
        ({"args": [ExpressionVariable(name="x", value="${{ 5 }}")]}, "argument 'x' is a int after evaluation"),
        ({"vars": [ExpressionVariable(name="x", value="${{ nowhere() }}")]}, "evaluate variable 'x'"),
    ],
)
async def test_run_that_can_not_be_prepared_ends_in_error(
    bench: Bench, server: MetricServer, changes: dict[str, Any], message: str
) -> None:
    finished, run = await bench.finish(request_of(metric(server)).model_copy(update=changes))
    assert finished.phase is Phase.ERROR
    assert message in finished.message
    assert run["status"]["message"] == finished.message
    assert server.asked == []


@pytest.mark.parametrize(
    ("fields", "spec", "message"),
    [
        ({"count": 2}, {}, "Analysis spec invalid: metrics[0] (m): interval must be given when count > 1"),
        ({}, {"args": [{"name": "x"}]}, "argument 'x' has no value"),
        ({"interval": "{{args.y}}"}, {}, "Unable to resolve metric arguments: failed to resolve {{args.y}}"),
        ({"provider": {"web": {"url": "http://x", "uri": "y"}}}, {}, "web: uri: Extra inputs"),
        ({"provider": {"oracle": {}}}, {}, "metric provider 'oracle' is not supported"),
        ({"successCondition": "result <"}, {}, "metric 'm': could not read successCondition \"result <\""),
        ({}, {"dryRun": [{"metricName": "*"}]}, "dryRun[0]: '*' is not a regular expression"),
    ],
)
async def test_invalid_template_ends_in_error_before_anything_is_measured(
    bench: Bench, server: MetricServer, fields: dict[str, Json], spec: Json, message: str
) -> None:
    finished, _ = await bench.finish(request_of(metric(server, **fields), spec=spec))
    assert finished.phase is Phase.ERROR
    assert message in finished.message
    assert server.asked == []


async def test_abort_names_who_asked(real_bench: Bench, server: MetricServer) -> None:
    server.answer("/", {"n": 1})
    request = request_of(metric(server, interval="1h"), metric(server, "late", initialDelay="3h"))
    async with real_bench.worker():
        handle = await real_bench.start(request)
        await until(lambda: len(server.asked) == 1)
        await handle.signal(Verification.abort, "alice")
        finished = await handle.result()
        run = await handle.query(Verification.describe)
    assert (finished.phase, finished.message) == (Phase.ABORTED, "Verification aborted by alice")
    assert run["spec"]["terminate"] is True
    assert run["status"]["phase"] == "Aborted"
    assert [result["name"] for result in run["status"]["metricResults"]] == ["m"]


async def test_abort_does_not_wait_for_a_measurement_in_flight(real_bench: Bench) -> None:
    begun = asyncio.Event()

    @activity.defn(name="measure")
    async def never(_: dict[str, Any]) -> None:
        begun.set()
        while True:
            activity.heartbeat()
            await asyncio.sleep(0.1)

    request = request_of({"name": "m", "provider": {"web": {"url": "http://127.0.0.1:1/"}}})
    async with real_bench.worker(activities=[Verifications(real_bench.outside).prepare, never]):
        handle = await real_bench.start(request)
        await begun.wait()
        await handle.signal(Verification.abort, "alice")
        finished = await handle.result()
        run = await handle.query(Verification.describe)
    assert finished.phase is Phase.ABORTED
    assert "metricResults" not in run["status"]


async def test_cancellation_aborts_and_the_stage_is_told(real_bench: Bench, server: MetricServer) -> None:
    server.answer("/", {"n": 1})
    client = real_bench.environment.client
    async with real_bench.worker():
        stage = await client.start_workflow(StageDouble.run, id="stage/demo/cancelled", task_queue=QUEUE)
        handle = await real_bench.start(
            request_of(metric(server, interval="1h"), stage_workflow="stage/demo/cancelled")
        )
        await until(lambda: len(server.asked) == 1)
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        told = await stage.result()
        description = await handle.describe()
    assert description.status is WorkflowExecutionStatus.CANCELED
    assert (told.phase, told.message) == (Phase.ABORTED, "Verification aborted")
    assert told.run_id == handle.first_execution_run_id
    assert description.search_attributes["TowpathPhase"] == ["Aborted"]


async def test_stage_that_is_gone_does_not_fail_the_run(bench: Bench, server: MetricServer) -> None:
    server.answer("/", {"n": 1})
    finished, run = await bench.finish(request_of(metric(server), stage_workflow="stage/demo/gone"))
    assert finished.phase is Phase.SUCCESSFUL
    assert run["status"]["warnings"][0].startswith("the Stage stage/demo/gone could not be told: ")


async def test_endless_run_continues_as_new_with_its_state(
    bench: Bench, server: MetricServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workflows.verification, "MAX_EVENTS", 60)
    answers = [Answered({"n": 1})] * 20 + [Answered({"n": 0})]
    sequence(server, *answers)
    stage = "stage/demo/endless"
    request = request_of(metric(server, interval="1s", successCondition="result == 1"), stage_workflow=stage)
    async with bench.worker(workflow_runner=UnsandboxedWorkflowRunner()):
        told = await bench.environment.client.start_workflow(StageDouble.run, id=stage, task_queue=QUEUE)
        handle = await bench.start(request)
        finished = await handle.result()
        latest = bench.environment.client.get_workflow_handle_for(Verification.run, handle.id)
        run = await latest.query(Verification.describe)
        assert (await told.result()).run_id == handle.first_execution_run_id
        first = await bench.environment.client.get_workflow_handle(
            handle.id, run_id=handle.first_execution_run_id
        ).describe()
    assert first.status is WorkflowExecutionStatus.CONTINUED_AS_NEW
    assert finished.phase is Phase.FAILED
    assert finished.run_id == handle.first_execution_run_id
    result = run["status"]["metricResults"][0]
    assert (result["count"], result["successful"], result["failed"]) == (21, 20, 1)
    assert len(server.asked) == 21


async def test_secrets_stay_on_the_worker(bench: Bench, server: MetricServer) -> None:
    server.routes["/"] = lambda asked: Answered({"n": asked.headers["authorization"]})
    request = request_of(
        {
            "name": "m",
            "interval": "1s",
            "count": 2,
            "successCondition": "result == 'Bearer {{args.ref}} {{args.expr}}'",
            "provider": {
                "web": {
                    "url": f"{server.url}/",
                    "jsonPath": "{.n}",
                    "headers": [{"key": "Authorization", "value": "Bearer {{args.ref}} {{args.expr}}"}],
                }
            },
        },
        metric(server, "broken", successCondition="result < '{{args.ref}}' + 1"),
        spec={
            "dryRun": [{"metricName": "broken"}],
            "args": [
                {"name": "ref", "valueFrom": {"secretKeyRef": {"name": "api", "key": "token"}}},
                {"name": "expr"},
            ],
        },
        args=[ExpressionVariable(name="expr", value="${{ vars.hidden }}-x")],
        vars=[ExpressionVariable(name="hidden", value="${{ secret('api').token }}")],
    )
    async with bench.worker():
        handle = await bench.start(request)
        finished = await handle.result()
        run = await handle.query(Verification.describe)
        history = await handle.fetch_history()
    assert finished.phase is Phase.SUCCESSFUL, finished.message
    sent = {asked.headers["authorization"] for asked in server.asked if "authorization" in asked.headers}
    assert sent == {f"Bearer {TOKEN} {TOKEN}-x"}
    assert run["status"]["metricResults"][0]["measurements"][0]["value"] == '"Bearer ***** *****"'
    assert TOKEN not in json.dumps(run)
    decoded = [
        payload.data.decode("utf-8", "replace") for event in history.events for payload in await _payloads(bench, event)
    ]
    assert any("Bearer" in text for text in decoded), "the history was looked at"
    assert not any(TOKEN in text for text in decoded)
    assert TOKEN not in history.to_json()


async def _payloads(bench: Bench, event: Any) -> list[Any]:
    """All payloads of an event as they were before compression."""
    found: list[Any] = []

    def walk(message: Any) -> None:
        for descriptor, value in message.ListFields():
            if descriptor.message_type is None:
                continue
            repeated = value if hasattr(value, "__len__") and not hasattr(value, "ListFields") else [value]
            for item in repeated.values() if hasattr(repeated, "values") else repeated:
                if not hasattr(item, "ListFields"):
                    continue
                if item.DESCRIPTOR.full_name == "temporal.api.common.v1.Payload":
                    found.append(item)
                else:
                    walk(item)

    walk(event)
    codec = bench.environment.client.data_converter.payload_codec
    return await codec.decode(found) if codec is not None else found


async def test_run_survives_its_worker(dev_client: Client, server: MetricServer, tmp_path: Path) -> None:
    # On the real server: the one that skips time never gives up a worker that is gone.
    bench = Bench(SimpleNamespace(client=dev_client), outside_in(tmp_path / "first"))
    server.answer("/", {"n": 1})
    request = request_of(metric(server, interval="1s", count=3))
    async with bench.worker(sticky_queue_schedule_to_start_timeout=timedelta(seconds=1), build_id="first"):
        handle = await bench.start(request)
        await until(lambda: len(server.asked) == 1)
    bench.outside = outside_in(tmp_path / "second")
    async with bench.worker(build_id="second"):
        finished = await handle.result()
        run = await handle.query(Verification.describe)
    assert finished.phase is Phase.SUCCESSFUL
    assert run["status"]["metricResults"][0]["count"] == 3


@pytest.mark.parametrize("first", ["signal", "cancel"])
async def test_abort_and_cancellation_together_are_told_once(
    dev_client: Client, server: MetricServer, tmp_path: Path, first: str
) -> None:
    # On the real server: both may come within one workflow task.
    bench = Bench(SimpleNamespace(client=dev_client), outside_in(tmp_path / "both"))
    server.answer("/", {"n": 1})
    stage_id = f"stage/demo/both-{first}"
    async with bench.worker():
        stage = await dev_client.start_workflow(StageDouble.run, id=stage_id, task_queue=QUEUE)
        handle = await bench.start(request_of(metric(server, interval="1h"), stage_workflow=stage_id))
        await until(lambda: len(server.asked) == 1)
        for deed in ("signal", "cancel") if first == "signal" else ("cancel", "signal"):
            await (handle.cancel() if deed == "cancel" else handle.signal(Verification.abort, "alice"))
        told = await asyncio.wait_for(stage.result(), PATIENCE)
    assert told.phase is Phase.ABORTED
