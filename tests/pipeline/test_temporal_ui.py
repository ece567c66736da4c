"""What a person finds in the Temporal UI: what each run is, its steps and outcomes, and the way to its neighbours."""

from __future__ import annotations

import re
from urllib.parse import unquote

import pytest
from temporalio.api.sdk.v1 import WorkflowMetadata

from tests.pipeline.installation import Installation, until
from tests.pipeline.pipeline import REGIONS, Pipeline

LINK = re.compile(r"\[([^]]+)\]\(/namespaces/([^/)]+)/workflows/([^)]+)\)")


class Page:
    """One run, as the UI's page of it shows it."""

    def __init__(self, towpath: Installation, workflow_id: str) -> None:
        handle = towpath.running.client.get_workflow_handle(workflow_id)
        description = towpath.wait(handle.describe())
        self.kind: str = description.workflow_type
        self.summary: str = towpath.wait(description.static_summary()) or ""
        metadata = towpath.wait(handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata))
        self.details: str = metadata.current_details
        #: The runs that it links to.
        self.links: list[str] = []
        for text, namespace, target in LINK.findall(self.details):
            assert (unquote(target), namespace) == (text, towpath.running.namespace)
            self.links.append(text)
        events = towpath.wait(handle.fetch_history()).events
        #: Type and summary of each activity, in order.
        self.activities: list[tuple[str, str]] = [
            (
                event.activity_task_scheduled_event_attributes.activity_type.name,
                event.user_metadata.summary.data.decode().strip('"'),
            )
            for event in events
            if event.HasField("activity_task_scheduled_event_attributes")
        ]

    def to(self, kind: str) -> str:
        """The id of the one run of a kind that it links to."""
        (found,) = {target for target in self.links if target.startswith(f"{kind}/")}
        return found


@pytest.fixture(scope="module")
def fanned_out(towpath: Installation) -> tuple[Pipeline, str, str]:
    """Freight that was promoted to all Stages behind a control-flow Stage; its name and that of the FanOut."""
    pipeline = Pipeline.create(towpath)
    # The shorter way: to production from dev.
    pipeline.apply(
        {"        stages:\n          - ab-test-a\n          - ab-test-b\n": "        stages:\n          - dev\n"}
    )
    freight = pipeline.discover()
    pipeline.bring("dev", freight)
    pipeline.await_verified("prod", freight)
    pipeline.run("promote", "--downstream-from", "prod", "--freight", freight, "--wait")
    for region in REGIONS:
        pipeline.await_verified(region, freight)
    for stage in ("staging", "ab-test-a"):
        pipeline.bring(stage, freight)
    (fanout,) = found(towpath, f"WorkflowType = 'FanOut' AND TowpathProject = '{pipeline.project}'", 1)
    return pipeline, freight, fanout


def found(towpath: Installation, query: str, count: int) -> list[str]:
    """The ids that a list filter of the UI finds, once there are so many: visibility lags behind."""

    async def look() -> list[str]:
        return sorted([item.id async for item in towpath.running.client.list_workflows(query)])

    def enough() -> tuple[list[str]] | None:
        ids = towpath.wait(look())
        return (ids,) if len(ids) == count else None

    return until(enough, f"{count} of {query}")[0]


def test_a_fan_out_leads_to_its_promotions_and_they_lead_back(fanned_out: tuple[Pipeline, str, str]) -> None:
    pipeline, freight, fanout = fanned_out
    page = Page(pipeline.towpath, fanout)
    assert page.kind == "FanOut"
    assert "to all downstream of prod" in page.summary
    assert page.to("stage") == f"stage/{pipeline.project}/prod"
    assert page.to("warehouse") == f"warehouse/{pipeline.project}/cargo"
    promotions = [target for target in page.links if target.startswith("promotion/")]
    assert len(promotions) == len(REGIONS)
    for region, promotion in zip(REGIONS, promotions, strict=True):
        assert re.search(rf"\| {region} \| .*{promotion}.* \| Succeeded \|", page.details)
        child = Page(pipeline.towpath, promotion)
        assert child.to("fanout") == fanout
        assert child.to("stage") == f"stage/{pipeline.project}/{region}"
        assert freight in child.details
        assert child.summary == f"promote {freight[:7]} to {region}"


def test_a_promotion_shows_each_step_by_alias_and_outcome(fanned_out: tuple[Pipeline, str, str]) -> None:
    pipeline, _, _ = fanned_out
    stage = Page(pipeline.towpath, f"stage/{pipeline.project}/ab-test-a")
    page = Page(pipeline.towpath, stage.to("promotion"))
    assert "**Succeeded**" in page.details
    assert "| task-1::step-1 | git-clone | Succeeded |" in page.details
    assert "| task-1::commit | git-commit | Succeeded |" in page.details
    assert page.activities == [
        ("git-clone", "task-1::step-1"),
        ("git-clear", "task-1::step-2"),
        ("kustomize-set-image", "task-1::update-image"),
        ("kustomize-build", "task-1::step-4"),
        ("git-commit", "task-1::commit"),
        ("git-push", "task-1::step-6"),
        ("argocd-update", "task-1::step-7"),
    ]


def test_the_way_from_a_promotion_by_its_stage_to_its_verification_and_back(
    fanned_out: tuple[Pipeline, str, str],
) -> None:
    pipeline, freight, _ = fanned_out
    stage = Page(pipeline.towpath, f"stage/{pipeline.project}/ab-test-a")
    assert stage.summary == f"Stage ab-test-a of Project {pipeline.project}"
    assert freight[:7] in stage.details
    assert "health Healthy" in stage.details
    verification = Page(pipeline.towpath, stage.to("verification"))
    assert verification.kind == "Verification"
    assert verification.summary == "verify ab-test-a"
    assert "**Successful**" in verification.details
    assert "| experience | Successful | 3 | 0 | 0 | 0 | 112 |" in verification.details
    assert verification.to("promotion") == stage.to("promotion")
    assert verification.to("stage") == f"stage/{pipeline.project}/ab-test-a"
    assert [activity for activity, _ in verification.activities] == ["prepare-analysis", *["measure"] * 3]


def test_list_filters_find_runs(fanned_out: tuple[Pipeline, str, str]) -> None:
    pipeline, freight, fanout = fanned_out
    towpath, mine = pipeline.towpath, f"TowpathProject = '{pipeline.project}'"
    stages = ("dev", "staging", "ab-test-a", *REGIONS)
    assert found(towpath, f"{mine} AND TowpathFreight = '{freight}' AND WorkflowType = 'FanOut'", 1) == [fanout]
    for query, count in {
        f"{mine} AND WorkflowType = 'Promotion'": len(stages),
        f"{mine} AND WorkflowType = 'Promotion' AND TowpathStage = 'dev'": 1,
        f"{mine} AND WorkflowType = 'Promotion' AND TowpathPhase = 'Succeeded'": len(stages),
        f"{mine} AND WorkflowType = 'Promotion' AND TowpathPhase = 'Failed'": 0,
        f"TowpathFreight = '{freight}' AND WorkflowType = 'Promotion'": len(stages),
        f"{mine} AND TowpathWarehouse = 'cargo' AND WorkflowType = 'Promotion'": len(stages),
        f"{mine} AND TowpathWarehouse = 'cargo' AND WorkflowType = 'Warehouse'": 1,
        f"{mine} AND WorkflowType = 'Verification' AND TowpathPhase = 'Successful'": 1,
        f"TowpathFreight = '{freight}' AND TowpathWarehouse = 'cargo' AND WorkflowType = 'Verification'": 1,
        f"{mine} AND WorkflowType = 'Stage' AND ExecutionStatus = 'Running'": len(stages) + 2,
    }.items():
        found(towpath, query, count)


def test_a_promotion_that_waits_or_was_refused_says_why(pipeline: Pipeline) -> None:
    freight = pipeline.discover()
    refused = pipeline.fail("promote", "--stage", "staging", "--freight", freight)
    (refusal,) = found(pipeline.towpath, f"TowpathProject = '{pipeline.project}' AND WorkflowType = 'Promotion'", 1)
    page = Page(pipeline.towpath, refusal)
    assert page.details.startswith("**Refused**: ")
    reason = page.details.splitlines()[0].partition(": ")[2]
    assert reason
    assert reason in refused
