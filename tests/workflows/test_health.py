"""A Stage's health while it settles, when it turns bad later, and what waits for it to be good again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from temporalio.testing import WorkflowEnvironment

from model.references import Health, HealthCheckStep, HealthState
from model.stages import VerifyRequest
from model.steps import StepRequest, StepResult, StepStatus
from tests.workflows.house import House, house, policies, project, stage, warehouse

ISSUES = ["Argo CD Application 'web' in namespace 'argocd' is Degraded", "Argo CD Application 'api' is progressing"]


def checked(request: StepRequest) -> StepResult:
    """A step that registers a health check."""
    return StepResult(status=StepStatus.SUCCEEDED, health_checks=[HealthCheckStep(uses="argocd-update", config={})])


async def verifications(h: House, name: str) -> list[dict[str, Any]]:
    history = (await h.stage(name))["status"]["freightHistory"]
    found: list[dict[str, Any]] = history[0].get("verificationHistory", []) if history else []
    return [info for info in found if info["phase"] not in ("Pending", "Running")]


async def health(h: House, name: str) -> str:
    return str((await h.stage(name))["status"].get("health", {}).get("status"))


async def test_health_that_turns_bad_later_is_shown_and_good_health_wakes_verification(
    time_skipping: WorkflowEnvironment,
) -> None:
    async with house(time_skipping) as h:
        h.plays["work"] = checked
        # Templates that are nowhere: each verification ends at once, in Error.
        dev = stage("dev", verification={"analysisTemplates": [{"name": "gone"}]})
        await h.apply(project(h.project), warehouse(), dev)
        freight = await h.discover("1.0.0")
        await h.promote("dev", freight.name)
        await h.until(lambda: verifications(h, "dev"))
        h.health["dev"] = Health(status=HealthState.UNHEALTHY, issues=ISSUES)
        await time_skipping.sleep(timedelta(minutes=6))

        async def bad() -> bool:
            return await health(h, "dev") == "Unhealthy"

        await h.until(bad)
        shown = (await h.stage("dev"))["status"]
        assert shown["health"]["issues"] == ISSUES
        condition = next(found for found in shown["conditions"] if found["type"] == "Healthy")
        assert (condition["status"], condition["message"]) == ("False", "; ".join(ISSUES))
        # Asked for now, it starts when the Stage is well again, and not before.
        assert (await h.update_stage("dev", "verify", VerifyRequest(actor="subject:ann"))).ok
        await time_skipping.sleep(timedelta(minutes=20))
        assert len(await verifications(h, "dev")) == 1
        h.health.clear()
        await time_skipping.sleep(timedelta(minutes=6))

        async def again() -> bool:
            return len(await verifications(h, "dev")) == 2

        await h.until(again)


async def test_how_often_health_is_looked_at_is_a_matter_of_annotations(time_skipping: WorkflowEnvironment) -> None:
    async with house(time_skipping) as h:
        h.plays["work"] = checked
        slow, quick = stage("slow"), stage("quick")
        quick["metadata"]["annotations"] = {"towpath/health-interval": "20s"}
        config = policies(h.project)
        config["metadata"]["annotations"] = {"towpath/health-interval": "1h"}
        await h.apply(project(h.project), config, warehouse(), slow, quick)
        freight = await h.discover("1.0.0")
        for name, interval in (("slow", timedelta(hours=1)), ("quick", timedelta(seconds=20))):
            await h.promote(name, freight.name)

            async def settled(name: str = name, interval: timedelta = interval) -> bool:
                last = [request for request in h.watched if request.stage == name][-1:]
                return bool(last) and last[0].known is not None and last[0].interval == interval

            await h.until(settled)
            first = next(request for request in h.watched if request.stage == name)
            assert (first.first, first.interval) == (timedelta(seconds=5), timedelta(seconds=20))
