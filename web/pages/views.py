"""The details of Promotions and Stages as templates want them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from model.base import Json, format_time
from model.promotions import PromotionView, StepRecord
from model.questions import Question
from model.steps import StepStatus
from web.pages.artifacts import Artifact, artifacts
from web.pages.cards import Piece, piece
from web.pages.states import Tone, tone

Resource = Mapping[str, Json]


@dataclass(frozen=True)
class StepView:
    """One step of a Promotion."""

    number: int
    alias: str
    uses: str
    phase: str
    started_at: str
    finished_at: str
    message: str
    hint: str
    warnings: tuple[str, ...]
    output: Json
    config: Json
    question: Question | None = None
    #: Who answered what: person, action, message, when.
    responses: tuple[tuple[str, str, str, str], ...] = ()
    errors: int = 0
    rebuilds: int = 0
    continue_on_error: bool = False

    @property
    def tone(self) -> Tone:
        return tone(self.phase)


@dataclass(frozen=True)
class HistoryEntry:
    """What a Stage held or holds."""

    current: bool
    pieces: tuple[Piece, ...]
    artifacts: tuple[Artifact, ...]
    verifications: tuple[Resource, ...]


def step_views(view: PromotionView) -> list[StepView]:
    """The steps of a Promotion, those that have not begun too."""
    return [_step(number, step) for number, step in enumerate(view.steps, 1)]


def _step(number: int, step: StepRecord) -> StepView:
    return StepView(
        number=number,
        alias=step.alias,
        uses=step.uses,
        phase=step.status.value if step.status else "",
        started_at=format_time(step.started_at) if step.started_at else "",
        finished_at=format_time(step.finished_at) if step.finished_at else "",
        message=step.message,
        hint=hint(step),
        warnings=tuple(step.warnings),
        output=step.output,
        config=step.config,
        question=step.question if step.status is StepStatus.RUNNING else None,
        responses=tuple(
            (said.user, said.action.value, said.message, format_time(said.time)) for said in step.responses
        ),
        errors=step.error_count,
        rebuilds=step.rebuilds,
        continue_on_error=step.continue_on_error,
    )


def hint(step: StepRecord) -> str:
    """What one may do about a step that did not succeed."""
    if step.status is StepStatus.FAILED:
        return "A clear no: repeating it changes nothing until what it says is put right. Then run it again from here."
    if step.status is StepStatus.ERRORED:
        return (
            "A technical fault: when what it names is back, run it again from this step; what was done is not repeated."
        )
    if step.status is StepStatus.ABORTED:
        return "Somebody aborted it. Run it again from this step, or from the start."
    return ""


def history(stage: Resource, aliases: Mapping[str, str]) -> list[HistoryEntry]:
    """What a Stage holds and held, newest first."""
    shown = []
    collections: Sequence[Resource] = (stage.get("status") or {}).get("freightHistory") or []
    for place, collection in enumerate(collections):
        items: Mapping[str, Resource] = collection.get("items") or {}
        held = [items[origin] for origin in sorted(items)]
        shown.append(
            HistoryEntry(
                place == 0,
                tuple(piece(entry, aliases) for entry in held),
                tuple(artifact for entry in held for artifact in artifacts(entry)),
                tuple(collection.get("verificationHistory") or []),
            )
        )
    return shown


def applications(stage: Resource) -> list[dict[str, str]]:
    """Health by Application, as the checks of `argocd-update` put it out."""
    output = ((stage.get("status") or {}).get("health") or {}).get("output")
    found: list[dict[str, str]] = []
    for check in output if isinstance(output, list) else [output]:
        statuses = check.get("applicationStatuses") if isinstance(check, Mapping) else None
        for entry in statuses if isinstance(statuses, list) else []:
            health, sync = entry.get("health") or {}, entry.get("operationState") or {}
            found.append(
                {
                    "name": str(entry.get("Name") or entry.get("name") or ""),
                    "namespace": str(entry.get("Namespace") or entry.get("namespace") or ""),
                    "health": str(health.get("status") or "Unknown") if isinstance(health, Mapping) else str(health),
                    "message": str(health.get("message") or "") if isinstance(health, Mapping) else "",
                    "sync": str((entry.get("sync") or {}).get("status") or sync.get("phase") or ""),
                }
            )
    return found


def issues(stage: Resource) -> list[str]:
    """Why a Stage is not healthy."""
    return [str(issue) for issue in ((stage.get("status") or {}).get("health") or {}).get("issues") or []]


def sources(stage: Resource) -> list[str]:
    """Where its Freight comes from, in sentences."""
    found = []
    for request in (stage.get("spec") or {}).get("requestedFreight") or []:
        asked = request.get("sources") or {}
        origin = (request.get("origin") or {}).get("name", "")
        ways = ["straight from it"] if asked.get("direct") else []
        if asked.get("stages"):
            joint = " and " if asked.get("availabilityStrategy") == "All" else " or "
            ways.append("verified in " + joint.join(map(str, asked["stages"])))
        soak = f", after {asked['requiredSoakTime']}" if asked.get("requiredSoakTime") else ""
        found.append(f"Warehouse {origin}: {', or '.join(ways) or 'nowhere'}{soak}")
    return found


def downstream(name: str, stages: Mapping[str, Resource]) -> list[str]:
    """Stages that take Freight from this one."""
    return [
        other
        for other, stage in stages.items()
        if any(
            name in ((request.get("sources") or {}).get("stages") or [])
            for request in (stage.get("spec") or {}).get("requestedFreight") or []
        )
    ]
