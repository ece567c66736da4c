"""Steps as Temporal activities: conditions, configs, outcomes, errors, workspaces, secrets."""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.credentials import CredentialKind
from activities.outside import Outside, open_outside
from activities.settings import ActivitySettings
from activities.steps import registry
from activities.steps.registry import (
    NotYet,
    StepConfig,
    StepContext,
    StepErrored,
    StepFailed,
    StepSkipped,
    step,
)
from activities.steps.runtime import Attempt, pause_after
from model.references import ExpressionVariable, FreightCollection, FreightOrigin, FreightReference, HealthCheckStep
from model.steps import (
    ERRORED,
    FAILED,
    LONGEST_CONFIG,
    NOT_YET,
    WORKSPACE_LOST,
    Effect,
    PlannedStep,
    PromotionContext,
    StepFailure,
    StepRequest,
    StepResult,
    StepStatus,
)
from tests.patience import PATIENCE
from tests.steps.bench import STARTED


class ProbeConfig(StepConfig):
    """Config of the step under test."""

    text: str = ""
    count: int | None = Field(default=None, ge=1)
    nested: list[dict[str, int]] | None = None


Behaviour = Callable[[ProbeConfig, StepContext], Any]


class Probe:
    """A step whose behaviour a test sets."""

    def __init__(self) -> None:
        self.behave: Behaviour = lambda config, context: {"text": config.text}
        self.contexts: list[StepContext] = []

    async def __call__(self, config: ProbeConfig, context: StepContext) -> Any:
        self.contexts.append(context)
        result = self.behave(config, context)
        return await result if asyncio.iscoroutine(result) else result


@pytest.fixture
def probe() -> Iterator[Probe]:
    probe = Probe()
    step("probe", config=ProbeConfig, effect=Effect.WORKSPACE, polls=True, poll_interval=timedelta(seconds=30))(
        probe.__call__
    )
    yield probe
    del registry.STEPS["probe"]


def request(config: Any = None, **changes: Any) -> StepRequest:
    planned = {name: changes.pop(name) for name in ("condition", "error_threshold", "alias", "vars") if name in changes}
    freight = FreightReference(name="f" * 40, origin=FreightOrigin(name="main"))
    values: dict[str, Any] = {
        "context": PromotionContext(
            project="guestbook",
            stage="dev",
            promotion="dev.01.fffffff",
            freight=freight,
            collection=FreightCollection(items={"Warehouse/main": freight}),
        ),
        "workspace": "dev.01.fffffff.1",
        "step": PlannedStep(
            alias=planned.pop("alias", "step-1"), kind=registry.STEPS["probe"].kind, config=config, **planned
        ),
        "index": 0,
        "started_at": STARTED,
        "claim": True,
    }
    return StepRequest(**(values | changes))


class Host:
    """Runs one attempt as a worker would, with the heartbeat details that an earlier one left."""

    def __init__(self, outside: Outside) -> None:
        self.outside = outside
        self.heartbeats: list[Any] = []
        self.environment: ActivityEnvironment | None = None

    async def run(self, asked: StepRequest, *, attempt: int = 1) -> StepResult:
        details = self.heartbeats[-1:] if attempt > 1 else []
        environment = self.environment = ActivityEnvironment()
        environment.info = dataclasses.replace(environment.info, attempt=attempt, heartbeat_details=details)
        environment.on_heartbeat = lambda *sent: self.heartbeats.append(sent[0])
        run = Attempt(registry.STEPS[asked.step.kind.name], asked, self.outside, asyncio.Semaphore(2)).run
        result: StepResult = await environment.run(run)
        return result

    async def fails(self, asked: StepRequest, *, attempt: int = 1) -> tuple[ApplicationError, StepFailure]:
        with pytest.raises(ApplicationError) as raised:
            await self.run(asked, attempt=attempt)
        error = raised.value
        assert error.__cause__ is None
        return error, StepFailure.model_validate(error.details[0]) if error.details else StepFailure(message="")


@pytest.fixture
def host(outside: Outside) -> Host:
    return Host(outside)


class TestOutcomes:
    async def test_success(self, host: Host, probe: Probe) -> None:
        def behave(config: ProbeConfig, context: StepContext) -> dict[str, Any]:
            context.warn("look here")
            context.register_health_check(HealthCheckStep(uses="argocd-update", config={"a": 1}))
            assert context.workspace.is_dir()
            return {"text": config.text, "path": Path("x")}

        probe.behave = behave
        result = await host.run(
            request({"text": "${{ ctx.stage }}/${{ vars.x }}"}, vars=[ExpressionVariable(name="x", value="1a")])
        )
        assert result.status is StepStatus.SUCCEEDED
        assert result.output == {"text": "dev/1a", "path": "x"}
        assert result.config == {"text": "dev/1a"}
        assert result.warnings == ["look here"]
        assert [check.uses for check in result.health_checks] == ["argocd-update"]
        assert result.queue == host.outside.host_queue

    @pytest.mark.parametrize(
        ("raised", "kind", "final", "delay"),
        [
            (StepFailed("no", {"a": 1}), FAILED, True, None),
            (StepErrored("fault", {"a": 1}), ERRORED, True, None),
            (StepErrored("fault", {"a": 1}, final=True), ERRORED, True, None),
            (NotYet("soon", {"a": 1}), NOT_YET, False, timedelta(seconds=30)),
            (NotYet("soon", {"a": 1}, after=timedelta(seconds=3)), NOT_YET, False, timedelta(seconds=3)),
        ],
    )
    async def test_exceptions_become_application_errors(
        self, host: Host, probe: Probe, raised: Exception, kind: str, final: bool, delay: timedelta | None
    ) -> None:
        probe.behave = _raising(raised)
        error, failure = await host.fails(request())
        assert (error.type, error.non_retryable, error.next_retry_delay) == (kind, final, delay)
        assert (failure.message, failure.output) == (str(raised), {"a": 1})
        assert failure.queue == host.outside.host_queue

    async def test_skipped_keeps_its_output(self, host: Host, probe: Probe) -> None:
        probe.behave = _raising(StepSkipped("nothing to do", {"commit": "c"}))
        result = await host.run(request())
        assert (result.status, result.output, result.message) == (StepStatus.SKIPPED, {"commit": "c"}, "nothing to do")

    async def test_unexpected_exception_is_errored(self, host: Host, probe: Probe) -> None:
        probe.behave = _raising(KeyError("x"))
        error, failure = await host.fails(request())
        assert (error.type, failure.message) == (ERRORED, "unexpected error: KeyError: 'x'")

    async def test_full_disk_says_so(self, host: Host, probe: Probe) -> None:
        probe.behave = _raising(OSError(errno.ENOSPC, "No space left on device"))
        error, failure = await host.fails(request())
        assert error.type == ERRORED
        assert "disk of worker host" in failure.message

    async def test_full_disk_is_named_where_a_step_says_what_it_could_not_write(self, host: Host, probe: Probe) -> None:
        def behave(config: ProbeConfig, context: StepContext) -> None:
            try:
                raise OSError(errno.ENOSPC, "No space left on device")
            except OSError as error:
                raise StepErrored(f"./out can't be written: {error.strerror}") from error

        probe.behave = behave
        _, failure = await host.fails(request())
        assert failure.message.startswith("./out can't be written: No space left on device; the disk of worker host")

    @pytest.mark.parametrize("raised", [StepErrored("./x is not there", final=True), StepFailed("no"), OSError(2, "x")])
    async def test_an_error_in_a_workspace_that_vanished_is_a_lost_workspace(
        self, host: Host, probe: Probe, raised: Exception
    ) -> None:
        def behave(config: ProbeConfig, context: StepContext) -> None:
            shutil.rmtree(context.workspace.parent)
            raise raised

        probe.behave = behave
        with pytest.raises(ApplicationError) as lost:
            await host.run(request())
        assert (lost.value.type, lost.value.non_retryable) == (WORKSPACE_LOST, True)

    async def test_a_long_config_is_not_kept(self, host: Host, probe: Probe) -> None:
        probe.behave = lambda config, context: None
        result = await host.run(request({"text": "x" * LONGEST_CONFIG}))
        assert result.config is None

    async def test_a_failure_tells_its_config(self, host: Host, probe: Probe) -> None:
        probe.behave = _raising(StepFailed("no"))
        _, failure = await host.fails(request({"text": "${{ ctx.stage }}"}))
        assert failure.config == {"text": "dev"}

    async def test_too_large_an_output_is_errored_for_good(self, host: Host, probe: Probe) -> None:
        probe.behave = lambda config, context: {"text": "x" * 300_000}
        error, failure = await host.fails(request(error_threshold=5))
        assert (error.type, error.non_retryable) == (ERRORED, True)
        assert "at most 262144" in failure.message
        assert failure.output is None


class TestConditions:
    @pytest.mark.parametrize(
        ("condition", "failed", "runs"),
        [
            ("", False, True),
            ("", True, False),
            ("${{ always() }}", True, True),
            ("${{ failure() }}", True, True),
            ("${{ failure() }}", False, False),
            ("${{ ctx.stage == 'dev' }}", True, True),
            ("${{ aborted() }}", False, False),
        ],
    )
    async def test_if(self, host: Host, probe: Probe, condition: str, failed: bool, runs: bool) -> None:
        result = await host.run(request(condition=condition, failed=failed))
        assert result.status is (StepStatus.SUCCEEDED if runs else StepStatus.SKIPPED)
        assert len(probe.contexts) == runs

    @pytest.mark.parametrize("condition", ["true", "${{ 1 + 1 }}", "${{ nope( }}"])
    async def test_what_is_no_condition_is_errored(self, host: Host, probe: Probe, condition: str) -> None:
        error, failure = await host.fails(request(condition=condition, error_threshold=3))
        assert (error.type, error.non_retryable) == (ERRORED, True)
        assert failure.message.startswith("if: ")

    async def test_if_is_asked_once(self, host: Host, probe: Probe) -> None:
        probe.behave = _raising(NotYet("soon"))
        await host.fails(request(condition="${{ success() }}"))
        probe.behave = lambda config, context: None
        result = await host.run(request(condition="${{ success() }}", failed=True), attempt=2)
        assert result.status is StepStatus.SUCCEEDED

    async def test_a_rebuild_does_not_ask(self, host: Host, probe: Probe) -> None:
        result = await host.run(request(condition="${{ false }}", rebuild=True, recorded={"text": "r"}))
        assert result.status is StepStatus.SUCCEEDED
        assert probe.contexts[0].recorded == {"text": "r"}


class TestConfig:
    @pytest.mark.parametrize(
        ("config", "says"),
        [
            ({"text": "${{ 1.10 }}"}, "text: Input should be a valid string"),
            ({"txet": "x"}, "txet: unknown field; did you mean text?"),
            ({"count": 0}, "count: Input should be greater than or equal to 1"),
            ({"count": "3"}, "count: Input should be a valid integer"),
            ({"nested": [{"a": 1}, {"b": "x"}]}, "nested[1].b: Input should be a valid integer"),
        ],
    )
    async def test_violation_is_failed(self, host: Host, probe: Probe, config: Any, says: str) -> None:
        error, failure = await host.fails(request(config, error_threshold=3))
        assert (error.type, error.non_retryable) == (FAILED, True)
        assert says in failure.message
        assert not probe.contexts

    async def test_expression_error_is_errored_for_good(self, host: Host, probe: Probe) -> None:
        error, failure = await host.fails(request({"text": "${{ nope() }}"}, error_threshold=3))
        assert (error.type, error.non_retryable) == (ERRORED, True)
        assert "text" in failure.message


class TestErrorsInARow:
    async def test_threshold_counts_consecutive_errors(self, host: Host, probe: Probe) -> None:
        fault, wait = StepErrored("fault"), NotYet("soon")
        rows = [
            (fault, 1, False),
            (fault, 2, False),
            (wait, 0, False),
            (fault, 1, False),
            (fault, 2, False),
            (fault, 3, True),
        ]
        for attempt, (raised, errors, final) in enumerate(rows, start=1):
            probe.behave = _raising(raised)
            error, failure = await host.fails(request(error_threshold=3), attempt=attempt)
            assert (failure.error_count, error.non_retryable) == (errors, final)
            if raised is fault and not final:
                assert error.next_retry_delay == pause_after(errors)

    def test_pauses_grow_and_are_bounded(self) -> None:
        pauses = [pause_after(errors).total_seconds() for errors in (1, 2, 3, 50)]
        assert pauses == [2, 4, 8, 120]


class TestLostAttempts:
    @pytest.mark.parametrize(
        ("left", "attempt", "repeated"),
        [
            ([], 2, True),
            # The first heartbeat has arrived, later ones were held back when the worker died.
            ([{"errors": 0, "begun": False, "ended": 0}], 2, True),
            ([{"errors": 1, "begun": True, "ended": 1}], 2, False),
            ([{"errors": 1, "begun": True, "ended": 1}], 3, True),
            ([{"errors": 1, "begun": True, "ended": 2}], 3, False),
        ],
    )
    async def test_step_hears_of_an_attempt_of_unknown_outcome(
        self, host: Host, probe: Probe, left: list[Any], attempt: int, repeated: bool
    ) -> None:
        host.heartbeats = left
        await host.run(request(), attempt=attempt)
        assert probe.contexts[0].repeated is repeated

    async def test_missing_workspace_is_lost(self, host: Host, probe: Probe) -> None:
        error, _ = await host.fails(request(claim=False))
        assert (error.type, error.non_retryable) == (WORKSPACE_LOST, True)
        assert not probe.contexts

    async def test_claim_starts_empty_and_next_step_finds_it(self, host: Host, probe: Probe) -> None:
        def leave(config: ProbeConfig, context: StepContext) -> dict[str, Any]:
            seen = sorted(path.name for path in context.workspace.iterdir())
            (context.workspace / "left").write_text("x")
            return {"seen": seen}

        probe.behave = leave
        assert (await host.run(request())).output == {"seen": []}
        assert (await host.run(request(claim=False))).output == {"seen": ["left"]}
        assert (await host.run(request())).output == {"seen": []}

    async def test_cancellation_reaches_the_step(self, host: Host, probe: Probe) -> None:
        started, ended = asyncio.Event(), asyncio.Event()

        async def behave(config: ProbeConfig, context: StepContext) -> None:
            started.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        probe.behave = behave
        running = asyncio.create_task(host.run(request()))
        await asyncio.wait_for(started.wait(), PATIENCE)
        assert host.environment is not None
        host.environment.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(running, PATIENCE)
        assert ended.is_set()
        # What it did is not known: the next attempt must look.
        assert host.heartbeats[-1]["ended"] == 0

    async def test_heartbeats_while_waiting_for_a_slot(self, outside: Outside, probe: Probe) -> None:
        slots = asyncio.Semaphore(0)
        beats: list[Any] = []
        beaten = asyncio.Event()
        environment = ActivityEnvironment()
        environment.on_heartbeat = lambda *sent: (beats.append(sent), beaten.set())
        running = asyncio.ensure_future(
            environment.run(Attempt(registry.STEPS["probe"], request(), outside, slots).run)
        )
        await asyncio.wait_for(beaten.wait(), PATIENCE)
        assert not probe.contexts
        slots.release()
        await asyncio.wait_for(running, PATIENCE)
        assert len(probe.contexts) == 1


class TestSecrets:
    @pytest.fixture
    def host(self, settings: ActivitySettings, tmp_path: Path) -> Host:
        directory = tmp_path / "credentials"
        (directory / "guestbook").mkdir(parents=True)
        (directory / "guestbook" / "all.yaml").write_text(
            "apiVersion: v1\nkind: Secret\nmetadata:\n  name: api\n"
            "  labels: {kargo.akuity.io/cred-type: generic}\nstringData: {token: very+hidden value}\n"
            "---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: repo\n"
            "  labels: {kargo.akuity.io/cred-type: git}\n"
            "stringData: {repoURL: 'https://git.example.com/x', username: bot, password: pass-under-test}\n"
        )
        return Host(open_outside(settings.model_copy(update={"credentials_directory": directory})))

    async def test_no_secret_leaves_a_step(self, host: Host, probe: Probe) -> None:
        def behave(config: ProbeConfig, context: StepContext) -> dict[str, Any]:
            found = context.outside.credentials.find("guestbook", CredentialKind.GIT, "https://git.example.com/x.git")
            assert found is not None
            assert config.text == "Bearer very+hidden value"
            context.warn(f"pushed with {found.password}")
            context.register_health_check(HealthCheckStep(uses="x", config={"t": found.password}))
            return {
                "plain": config.text,
                "url": "https://x/?t=very%2Bhidden%20value",
                "form": "t=very%2Bhidden+value",
                "base64": "dmVyeStoaWRkZW4gdmFsdWU=",
                "basic": "Basic Ym90OnBhc3MtdW5kZXItdGVzdA==",
                "inside": "eCB2ZXJ5K2hpZGRlbiB2YWx1ZSB5",
                "list": [{"very+hidden value": found.password}],
            }

        probe.behave = behave
        result = await host.run(request({"text": "Bearer ${{ secret('api').token }}"}))
        shown = result.model_dump_json()
        assert result.output is not None
        assert result.output["plain"] == "Bearer ***"
        assert result.config == {"text": "Bearer ***"}
        for leak in ("hidden", "pass-under-test", "dmVyeStoaWRkZW4", "YXNzLXVuZGVyLXRlc3"):
            assert leak not in shown

    async def test_no_secret_leaves_by_an_error(self, host: Host, probe: Probe) -> None:
        def behave(config: ProbeConfig, context: StepContext) -> None:
            raise RuntimeError(f"401 for {config.text}")

        probe.behave = behave
        error, failure = await host.fails(request({"text": "${{ secret('api').token }}"}))
        assert "hidden" not in f"{error} {failure.model_dump_json()}"
        error, failure = await host.fails(request({"count": "${{ secret('api').token }}"}))
        assert "hidden" not in f"{error} {failure.model_dump_json()}"


def _raising(error: Exception) -> Behaviour:
    def behave(config: ProbeConfig, context: StepContext) -> None:
        raise error

    return behave
