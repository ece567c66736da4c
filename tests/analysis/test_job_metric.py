"""The `job` provider against Kubernetes' API on loopback, alone and in runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from activities.outside import Outside, open_outside
from examples.world.kubernetes import Refusal
from model.analysis import Measurement
from model.arguments import Argument, SecretKey
from model.base import Json
from model.references import VerificationPhase as Phase
from tests.analysis.jobs import PROVIDER, Cluster, cluster
from tests.analysis.measuring import measure, report_of, request_for
from tests.analysis.server import MetricServer
from tests.analysis.test_verification import Bench, Server, metric, request_of, until
from workflows.verification import Verification

pytestmark = pytest.mark.asyncio


@pytest.fixture
def kubernetes(tmp_path: Path) -> Iterator[tuple[Cluster, Outside]]:
    with cluster(tmp_path) as running:
        yield running


async def looked_at(
    outside: Outside, flight: Measurement, provider: Json = PROVIDER, *args: Argument, terminate: bool = False
) -> Measurement:
    request = request_for(provider, *args).model_copy(update={"in_flight": flight, "terminate": terminate})
    report = await report_of(outside, request)
    assert report.measurement is not None, report.unresolved
    return report.measurement


async def test_two_attempts_of_one_measurement_make_one_job(kubernetes: tuple[Cluster, Outside]) -> None:
    world, outside = kubernetes
    first, second = await measure(outside, PROVIDER), await measure(outside, PROVIDER)
    assert first.phase is second.phase is Phase.RUNNING
    assert first.metadata == second.metadata
    [job] = world.jobs
    assert first.metadata == {"job-name": job["metadata"]["name"], "job-namespace": "demo"}
    annotations = job["metadata"]["annotations"]
    assert annotations["analysisrun.argoproj.io/name"] == "test.run"
    assert annotations["analysisrun.argoproj.io/metric-name"] == "m"
    label = job["metadata"]["labels"]["analysisrun.argoproj.io/uid"]
    assert job["spec"]["template"]["metadata"]["labels"] == {"analysisrun.argoproj.io/uid": label}
    assert (await report_of(outside, request_for(PROVIDER, number=2))).measurement is not None
    assert len(world.jobs) == 2, "another measurement has a Job of its own"


async def test_job_of_somebody_else_is_left_alone(kubernetes: tuple[Cluster, Outside]) -> None:
    world, outside = kubernetes
    flight = await measure(outside, PROVIDER)
    name = flight.metadata["job-name"]
    jobs = world.server.stores["batch", "v1", "jobs"]
    jobs.patch("demo", name, {"metadata": {"labels": {"analysisrun.argoproj.io/uid": "other"}}})
    again = await measure(outside, PROVIDER)
    assert again.phase is Phase.ERROR
    assert "belongs to somebody else" in again.message


@pytest.mark.parametrize(
    ("condition", "fields", "phase", "message"),
    [
        ("Complete", {}, Phase.SUCCESSFUL, ""),
        (
            "Failed",
            {"reason": "BackoffLimitExceeded", "message": "Job has failed"},
            Phase.FAILED,
            "BackoffLimitExceeded: Job has failed",
        ),
    ],
)
async def test_end_of_the_job_is_the_measurement_and_its_logs_are_kept_masked(
    kubernetes: tuple[Cluster, Outside], condition: str, fields: dict[str, str], phase: Phase, message: str
) -> None:
    world, outside = kubernetes
    token = Argument(name="token", secret=SecretKey(name="api", key="token"))
    flight = await measure(outside, PROVIDER, token)
    world.end(await world.job(), condition, "token hidden-4711\nbye\n", **fields)
    recorded = await looked_at(outside, flight, PROVIDER, token)
    assert recorded.phase is Phase.RUNNING, "not over before it is recorded"
    assert world.deleted == []
    ended = await looked_at(outside, recorded, PROVIDER, token)
    assert (ended.phase, ended.message) == (phase, message)
    assert ended.metadata["logs"].endswith("-x1 test <==\ntoken *****\nbye\n")
    assert world.deleted == [flight.metadata["job-name"]]
    assert (await looked_at(outside, recorded, PROVIDER, token)).phase is phase, "a repeated attempt says the same"


async def test_job_with_a_time_to_live_stays_for_kubernetes_to_delete(kubernetes: tuple[Cluster, Outside]) -> None:
    world, outside = kubernetes
    provider = {"job": {"spec": {**PROVIDER["job"]["spec"], "ttlSecondsAfterFinished": 60}}}
    flight = await measure(outside, provider)
    world.end(await world.job(), "Complete")
    assert (await looked_at(outside, flight, provider)).phase is Phase.SUCCESSFUL
    assert world.deleted == []


async def test_job_whose_image_is_not_there_is_inconclusive(kubernetes: tuple[Cluster, Outside]) -> None:
    world, outside = kubernetes
    flight = await measure(outside, PROVIDER)
    world.pod(await world.job(), waiting={"reason": "ImagePullBackOff", "message": "no such image"})
    ended = await looked_at(outside, await looked_at(outside, flight))
    assert ended.phase is Phase.INCONCLUSIVE
    assert "container test can't start (ImagePullBackOff): no such image" in ended.message
    assert world.jobs == []


async def test_job_that_never_starts_says_why_and_an_abort_deletes_it(
    kubernetes: tuple[Cluster, Outside], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, outside = kubernetes
    monkeypatch.setattr("activities.metrics.job.WATCH", 0)
    flight = await measure(outside, PROVIDER)
    world.unscheduled(await world.job(), "0/3 nodes are available")
    waiting = await looked_at(outside, flight)
    assert waiting.phase is Phase.RUNNING
    assert "waits (Unschedulable): 0/3 nodes are available" in waiting.message
    assert waiting.resume_at is not None
    await looked_at(outside, waiting, terminate=True)
    assert world.jobs == []


async def test_job_that_somebody_deleted_is_an_error(kubernetes: tuple[Cluster, Outside]) -> None:
    world, outside = kubernetes
    flight = await measure(outside, PROVIDER)
    world.server.stores["batch", "v1", "jobs"].delete("demo", flight.metadata["job-name"])
    gone = await looked_at(outside, flight)
    assert gone.phase is Phase.ERROR
    assert "is gone: it was deleted before it ended" in gone.message


async def test_refusal_of_the_api_says_what_was_asked(kubernetes: tuple[Cluster, Outside]) -> None:
    world, outside = kubernetes
    world.server.refuse = lambda method, _: Refusal(403, "Forbidden", "may not create") if method == "POST" else None
    refused = await measure(outside, PROVIDER)
    assert refused.phase is Phase.ERROR
    assert "creating Job demo/m." in refused.message
    assert "may not create" in refused.message


async def test_interruption_of_the_api_is_waited_out(tmp_path: Path) -> None:
    with cluster(tmp_path) as (_, outside):
        flight = await measure(outside, PROVIDER)
    outside = open_outside(outside.settings, host_queue="tests")
    silent = await looked_at(outside, flight)
    assert silent.phase is Phase.RUNNING
    assert "can't be reached" in silent.message
    old = silent.model_copy(update={"metadata": silent.metadata | {"unreachable-since": "2020-01-01T00:00:00Z"}})
    assert (await looked_at(outside, old)).phase is Phase.ERROR


async def test_run_with_a_job_is_resumed_to_its_end(
    time_skipping: WorkflowEnvironment, kubernetes: tuple[Cluster, Outside]
) -> None:
    world, outside = kubernetes
    bench = Bench(time_skipping, outside)
    async with bench.worker():
        handle = await bench.start(request_of({"name": "smoke test", "provider": PROVIDER}))
        world.end(await world.job(), "Complete", "fine\n")
        finished = await handle.result()
        run = await handle.query(Verification.describe)
    assert finished.phase is Phase.SUCCESSFUL, finished.message
    [result] = run["status"]["metricResults"]
    [measurement] = result["measurements"]
    assert measurement["phase"] == "Successful"
    assert measurement["metadata"]["logs"].endswith("<==\nfine\n")
    assert world.jobs == []


async def test_abort_ends_the_job(dev_client: Client, kubernetes: tuple[Cluster, Outside]) -> None:
    world, outside = kubernetes
    # The time-skipping server never ends a run that cancels an activity in the moment this completes.
    bench = Bench(Server(dev_client), outside)
    async with bench.worker():
        handle = await bench.start(request_of({"name": "m", "provider": PROVIDER}))
        world.pod(await world.job(), "so far\n", running={})
        await handle.signal(Verification.abort, "alice")
        finished = await handle.result()
        run = await handle.query(Verification.describe)
    assert (finished.phase, finished.message) == (Phase.ABORTED, "Verification aborted by alice")
    assert world.jobs == []
    [measurement] = run["status"]["metricResults"][0]["measurements"]
    assert (measurement["phase"], measurement["message"]) == ("Inconclusive", "Metric Terminated")
    assert measurement["metadata"]["logs"].endswith("<==\nso far\n")


async def test_abort_while_the_job_is_being_created_leaves_none(
    dev_client: Client, kubernetes: tuple[Cluster, Outside]
) -> None:
    world, outside = kubernetes
    bench = Bench(Server(dev_client), outside)
    creating: list[str] = []
    aborted: list[bool] = []

    def slow(method: str, _: str) -> None:
        if method == "POST":
            creating.append(method)
            for _ in range(1000):
                if aborted:
                    break
                world.server.stopped.wait(0.02)

    world.server.refuse = slow
    async with bench.worker():
        handle = await bench.start(request_of({"name": "m", "provider": PROVIDER}))
        await until(lambda: bool(creating))
        await handle.signal(Verification.abort, "alice")
        aborted.append(True)
        finished = await handle.result()
    assert finished.phase is Phase.ABORTED
    assert world.jobs == []


async def test_failed_sibling_ends_the_job(
    time_skipping: WorkflowEnvironment,
    kubernetes: tuple[Cluster, Outside],
    server: MetricServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A look at the Job that is under way is waited for.
    monkeypatch.setattr("activities.metrics.job.WATCH", 2)
    world, outside = kubernetes
    server.answer("/", {"n": 0})
    bench = Bench(time_skipping, outside)
    bad = metric(server, "bad", successCondition="result > 1", initialDelay="1s")
    finished, _ = await bench.finish(request_of({"name": "m", "provider": PROVIDER}, bad))
    assert finished.phase is Phase.FAILED
    assert world.jobs == []
    assert len(world.deleted) == 1
