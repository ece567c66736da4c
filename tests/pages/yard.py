"""A Project that is only played: its resources, a board of them that changes at once, and a client that plays along."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from model.explanation import OriginExplanation, StageExplanation
from model.previews import PreviewResult, WorktreeChange
from model.promotions import Admission, PromotionView
from model.warehouses import CreatedFreight, Outcome
from starter.errors import NotFound, Refused
from starter.listing import RunLine
from web.board.snapshot import Snapshot

KARGO = "kargo.akuity.io/v1alpha1"
T0 = "2026-01-02T03:04:05Z"
Resource = dict[str, Any]


def stage(
    name: str,
    *upstream: str,
    warehouse: str = "cargo",
    control_flow: bool = False,
    colour: str = "",
    labels: dict[str, str] | None = None,
    **status: Any,
) -> Resource:
    """A Stage; without upstream ones it takes Freight straight from the Warehouse."""
    sources: Resource = {"stages": list(upstream)} if upstream else {"direct": True}
    spec: Resource = {"requestedFreight": [{"origin": {"kind": "Warehouse", "name": warehouse}, "sources": sources}]}
    if not control_flow:
        spec["promotionTemplate"] = {"spec": {"steps": [{"uses": "git-push", "as": "push"}]}}
    annotations = {"kargo.akuity.io/color": colour} if colour else {}
    metadata = {"name": name, "namespace": "shop", "annotations": annotations, "labels": labels or {}}
    return {"apiVersion": KARGO, "kind": "Stage", "metadata": metadata, "spec": spec, "status": status}


def freight(name: str, alias: str, tag: str, *, warehouse: str = "cargo", at: str = T0, **status: Any) -> Resource:
    """Freight of one image and one commit."""
    return {
        "apiVersion": KARGO,
        "kind": "Freight",
        "metadata": {"name": name, "namespace": "shop", "creationTimestamp": at},
        "alias": alias,
        "origin": {"kind": "Warehouse", "name": warehouse},
        "discoveredAt": at,
        "images": [{"repoURL": "registry.example.com/shop", "tag": tag, "digest": f"sha256:{'0' * 64}"}],
        "commits": [
            {
                "repoURL": "https://github.com/example/shop.git",
                "id": name,
                "message": f"Sell {tag}\n\nIn full.",
                "author": "Someone <someone@example.com>",
            }
        ],
        "status": status,
    }


def warehouse(name: str = "cargo", **status: Any) -> Resource:
    spec = {
        "subscriptions": [
            {"image": {"repoURL": "registry.example.com/shop", "constraint": "^1.0.0"}},
            {"git": {"repoURL": "https://github.com/example/shop.git", "branch": "main"}},
        ]
    }
    ready = [{"type": "Ready", "status": "True", "reason": "ArtifactsDiscovered", "message": ""}]
    metadata = {"name": name, "namespace": "shop"}
    shown = {"conditions": ready} | status
    return {"apiVersion": KARGO, "kind": "Warehouse", "metadata": metadata, "spec": spec, "status": shown}


def held(piece: Resource, phase: str = "", **more: Any) -> Resource:
    """What a Stage's status says when it holds this Freight."""
    reference = {"name": piece["metadata"]["name"], **{key: piece[key] for key in ("origin", "images", "commits")}}
    runs = [{"id": "v1", "phase": phase, "finishTime": T0, "analysisRun": {"name": f"dev.{'0' * 26}.1234567"}}]
    return {
        "freightHistory": [
            {"id": "c", "items": {"Warehouse/cargo": reference}, "verificationHistory": runs if phase else []}
        ],
        "health": {"status": "Healthy"},
        **more,
    }


FIRST = freight(
    "a" * 40, "green-quail", "1.0.0", verifiedIn={"dev": {"verifiedAt": T0}}, currentlyIn={"dev": {"since": T0}}
)
SECOND = freight("b" * 40, "cool-eel", "1.1.0", at="2026-01-03T03:04:05Z")


@dataclass
class Yard:
    """The Project `shop`, as its board and its client show it. Changes go through `change`."""

    stages: dict[str, Resource] = field(default_factory=dict)
    freight: dict[str, Resource] = field(default_factory=dict)
    warehouses: dict[str, Resource] = field(default_factory=dict)
    promotions: dict[str, Resource] = field(default_factory=dict)
    views: dict[str, PromotionView] = field(default_factory=dict)
    verifications: dict[str, Resource] = field(default_factory=dict)
    #: What was done: `promote dev bbbbbbb by admin`.
    done: list[str] = field(default_factory=list)
    #: With what the next request is refused.
    refusal: str = ""
    actor: str = ""
    namespace: str = "default"
    version: int = 1
    news: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    def small(cls) -> Yard:
        """One Warehouse, four Stages, two pieces of Freight."""
        built = cls()
        built.warehouses = {"cargo": warehouse()}
        built.freight = {piece["metadata"]["name"]: piece for piece in (FIRST, SECOND)}
        built.stages = {
            "dev": stage("dev", colour="red", **held(FIRST, "Successful")),
            "staging": stage("staging", "dev", colour="amber"),
            "prod": stage("prod", "staging", control_flow=True),
            "prod-east": stage("prod-east", "prod"),
        }
        return built

    def change(self) -> None:
        """Whoever looks sees it. In the server's own loop."""
        self.version += 1
        news, self.news = self.news, asyncio.Event()
        news.set()

    # The board

    async def snapshot(self, project: str, *, fresh: bool = False) -> Snapshot:
        if project != "shop":
            raise NotFound(f"Project {project} not found")
        return Snapshot(
            project="shop",
            version=str(self.version),
            taken_at=datetime.now(UTC),
            resource={"apiVersion": KARGO, "kind": "Project", "metadata": {"name": "shop"}, "status": {}},
            config=None,
            warehouses=dict(self.warehouses),
            stages=dict(self.stages),
            freight=dict(self.freight),
            promotions=dict(self.promotions),
        )

    async def changes(self, project: str) -> AsyncIterator[Snapshot]:
        while True:
            news = self.news
            yield await self.snapshot(project)
            await news.wait()

    async def projects(self) -> list[Resource]:
        return [(await self.snapshot("shop")).resource]

    def wrote(self, project: str, kind: str = "", name: str = "") -> None:
        self.done.append(f"wrote {project} {kind} {name}".strip())

    # The client

    def acting(self, actor: str) -> Yard:
        self.actor = actor
        return self

    def _do(self, what: str) -> Outcome:
        if self.refusal:
            raise Refused(self.refusal)
        self.done.append(f"{what} by {self.actor}")
        return Outcome()

    async def promote(self, project: str, stage: str, *, freight: str = "", override_window: str = "") -> Admission:
        if self.refusal:
            return Admission(accepted=False, name="", reason=self.refusal)
        self._do(f"promote {stage} {freight[:7]}")
        return Admission(accepted=True, name=f"{stage}.{'0' * 26}.{freight[:7]}")

    async def promote_downstream(self, project: str, stage: str, *, freight: str = "") -> Admission:
        self._do(f"downstream {stage} {freight[:7]}")
        return Admission(accepted=True, name="f", promotions=["p"])

    async def promote_again(self, project: str, name: str, *, from_failed_step: bool = False) -> Admission:
        self._do(f"rerun {name.partition('.')[0]} {'failed' if from_failed_step else 'start'}")
        return Admission(accepted=True, name=name)

    async def approve(self, project: str, stage: str, freight: str) -> Outcome:
        return self._do(f"approve {stage} {freight[:7]}")

    async def refresh_stage(self, project: str, name: str) -> Outcome:
        return self._do(f"refresh {name}")

    async def refresh_warehouse(self, project: str, name: str) -> Outcome:
        return self._do(f"refresh {name}")

    async def verify(self, project: str, stage: str) -> Outcome:
        return self._do(f"verify {stage}")

    async def abort_verification(self, project: str, stage: str, reason: str) -> Outcome:
        return self._do(f"abort verification {stage}")

    async def abort_promotion(self, project: str, name: str, reason: str) -> Outcome:
        return self._do(f"abort {name.partition('.')[0]}")

    async def freeze(self, reason: str, project: str, stage: str) -> Outcome:
        return self._do(f"freeze {stage or project} because {reason}")

    async def thaw(self, project: str, stage: str) -> Outcome:
        return self._do(f"thaw {stage or project}")

    async def set_alias(self, project: str, alias: str, freight: str) -> Outcome:
        return self._do(f"alias {freight[:7]} {alias}")

    async def create_freight(self, project: str, warehouse: str, choices: Sequence[Any], alias: str) -> CreatedFreight:
        self._do(f"make {warehouse} {' '.join(map(str, choices))}")
        return CreatedFreight(name="c" * 40, alias=alias)

    async def explain_stage(self, project: str, stage: str) -> StageExplanation:
        origin = OriginExplanation(origin="Warehouse/cargo", reason="no promotion policy turns auto-promotion on")
        return StageExplanation(stage=stage, origins=[origin])

    async def preview(self, project: str, stage: str, *, freight: str) -> PreviewResult:
        diff = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-tag: 1.0.0\n+tag: 1.1.0\n"
        change = WorktreeChange(repo_url="https://git.example.com/shop.git", branch="env/dev", path="out", diff=diff)
        return PreviewResult(project=project, stage=stage, freight=freight, changes=[change])

    async def answer_promotion(self, project: str, name: str, action: Any, **more: Any) -> None:
        self._do(f"{action.value} {more['step']} {more['values']}")

    async def promotion_lines(self, project: str, stage: str = "", limit: int | None = None) -> list[RunLine]:
        return [
            RunLine(
                project=project,
                name=view.name,
                stage=view.stage,
                freight=view.freight,
                phase=view.phase.value if view.phase else "",
                created_at=view.created_at,
                finished_at=view.finished_at,
            )
            for view in self.views.values()
            if stage in ("", view.stage)
        ]

    async def promotion_view(self, project: str, name: str) -> PromotionView:
        if name not in self.views:
            raise NotFound(f"Promotion {name} not found in Project {project}")
        return self.views[name]

    async def get_verification(self, project: str, name: str) -> Resource:
        if name not in self.verifications:
            raise NotFound(f"AnalysisRun {name} not found in Project {project}")
        return self.verifications[name]

    async def list_promotion_tasks(self, project: str) -> list[Resource]:
        return []

    async def list_analysis_templates(self, project: str) -> list[Resource]:
        return []


def promotion_view(name: str, *steps: dict[str, Any], phase: str = "Running", **more: Any) -> PromotionView:
    """A Promotion with these steps."""
    return PromotionView.model_validate(
        {
            "project": "shop",
            "stage": name.partition(".")[0],
            "name": name,
            "freight": "b" * 40,
            "freightAlias": "cool-eel",
            "phase": phase,
            "createdAt": T0,
            "startedAt": T0,
            "steps": list(steps),
            **more,
        }
    )


def verification(*values: str, phase: str = "Failed", condition: str = "result < 0.05") -> Resource:
    """An AnalysisRun of one metric with these values."""
    measurements = [
        {"phase": "Successful" if value < "0.05" else "Failed", "value": value, "finishedAt": T0} for value in values
    ]
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisRun",
        "metadata": {"name": "dev.1.2", "namespace": "shop"},
        "spec": {"metrics": [{"name": "error-rate", "successCondition": condition, "provider": {"web": {}}}]},
        "status": {
            "phase": phase,
            "message": 'Metric "error-rate" assessed Failed due to failed (1) > failureLimit (0)',
            "metricResults": [{"name": "error-rate", "phase": phase, "measurements": measurements, "failed": 1}],
        },
    }
