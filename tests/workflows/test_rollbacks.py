"""Automatic rollback of a Stage that takes Freight of several origins."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio.testing import WorkflowEnvironment

from activities.verification import Verifications
from model.steps import StepRequest
from tests.analysis.outside import outside_in
from tests.analysis.server import metric_server
from tests.workflows.house import House, house, policies, project, stage, warehouse


async def last_verification(h: House) -> tuple[str, dict[str, str]]:
    """Phase of the latest verification, and what the Stage holds, by origin."""
    history = (await h.stage("dev"))["status"]["freightHistory"]
    if not history:
        return "", {}
    items = {origin: piece["images"][0]["tag"] for origin, piece in history[0]["items"].items()}
    infos = history[0].get("verificationHistory") or [{"phase": ""}]
    return infos[0]["phase"], items


async def test_origins_go_back_one_after_the_other_once_and_are_held(
    time_skipping: WorkflowEnvironment, tmp_path: Path
) -> None:
    with metric_server() as server:
        server.answer("/", {"n": 1})
        async with house(time_skipping) as h:
            h.verifications = Verifications(outside_in(tmp_path))
            seen: list[tuple[str, bool, str]] = []

            def work(request: StepRequest) -> dict[str, Any]:
                context = request.context
                seen.append((context.freight.images[0].tag, context.rollback, context.actor))
                return {}

            h.plays["work"] = work
            web = {"url": server.url, "jsonPath": "{$.n}"}
            metric = {"name": "n", "successCondition": "result == 1", "provider": {"web": web}}
            template = {
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": "AnalysisTemplate",
                "metadata": {"name": "check"},
                "spec": {"metrics": [metric]},
            }
            verification = {"analysisTemplates": [{"name": "check"}]}
            config = policies(h.project, "dev")
            both = stage("dev", warehouses=("web", "api"), verification=verification)
            await h.apply(project(h.project), config, template, warehouse("web"), warehouse("api"), both)

            async def comes(phase: str, **tags: str) -> None:
                wanted = {f"Warehouse/{name}": tag for name, tag in tags.items()}

                async def there() -> bool:
                    return await last_verification(h) == (phase, wanted)

                await h.until(there)

            await h.discover("1.0.0", "web")
            await comes("Successful", web="1.0.0")
            await h.discover("1.0.1", "api")
            await comes("Successful", web="1.0.0", api="1.0.1")
            server.answer("/", {"n": 0})
            await h.discover("2.0.0", "web")
            await comes("Failed", web="2.0.0", api="1.0.1")
            await h.discover("2.0.1", "api")
            await comes("Failed", web="2.0.0", api="2.0.1")
            assert [rollback for _, rollback, _ in seen] == [False] * 4
            # The policy comes after the failure, which is recent enough: what was verified last is brought back.
            config["spec"]["promotionPolicies"][0]["autoRollback"] = {"onVerification": ["Failed"]}
            await h.apply(config)
            await comes("Failed", web="1.0.0", api="1.0.1")
            back = ("1.0.1", True, "controller:towpath"), ("1.0.0", True, "controller:towpath")
            assert tuple(seen[4:]) == back
            # A rollback is not rolled back, though it failed too; and nothing goes forward again by itself.
            await time_skipping.sleep(timedelta(hours=2))
            assert len(seen) == 6
            assert sorted((await h.stage("dev"))["status"]["autoPromotionHolds"]) == ["Warehouse/api", "Warehouse/web"]


async def test_a_failure_of_long_ago_is_not_rolled_back(time_skipping: WorkflowEnvironment) -> None:
    async with house(time_skipping) as h:
        gone = {"analysisTemplates": [{"name": "gone"}]}
        await h.apply(project(h.project), warehouse(), stage("dev"))
        await h.promote("dev", (await h.discover("1.0.0")).name)

        async def verified() -> bool:
            return (await last_verification(h))[0] == "Successful"

        await h.until(verified)
        await h.apply(stage("dev", verification=gone))
        two = await h.discover("2.0.0")
        await h.promote("dev", two.name)

        async def failed() -> bool:
            return (await last_verification(h))[0] == "Error"

        await h.until(failed)
        await time_skipping.sleep(timedelta(hours=2))
        config = policies(h.project, "dev")
        config["spec"]["promotionPolicies"][0]["autoRollback"] = {"onVerification": ["Error"]}
        await h.apply(config)
        await time_skipping.sleep(timedelta(hours=1))
        assert (await last_verification(h))[1] == {"Warehouse/web": "2.0.0"}
