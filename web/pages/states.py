"""What a Stage is about, at a glance: one tone, one sentence, and what else must be known. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from model.base import Json

Resource = Mapping[str, Json]


class Tone(StrEnum):
    """How something is; each has a colour, an icon and words, so that colour is never the only sign."""

    GOOD = "good"
    BUSY = "busy"
    WAIT = "wait"
    WARN = "warn"
    BAD = "bad"
    IDLE = "idle"


#: Phases of Promotions, steps, verifications, and states of health.
_TONES = {
    "Succeeded": Tone.GOOD,
    "Successful": Tone.GOOD,
    "Healthy": Tone.GOOD,
    "Running": Tone.BUSY,
    "Progressing": Tone.BUSY,
    "Pending": Tone.WAIT,
    "Skipped": Tone.IDLE,
    "NotApplicable": Tone.IDLE,
    "Aborted": Tone.WARN,
    "Inconclusive": Tone.WARN,
    "Unknown": Tone.WARN,
    "Failed": Tone.BAD,
    "Error": Tone.BAD,
    "Errored": Tone.BAD,
    "Unhealthy": Tone.BAD,
}


def tone(phase: object) -> Tone:
    """How bad a phase is."""
    return _TONES.get(str(phase or ""), Tone.IDLE)


@dataclass(frozen=True)
class Doing:
    """What happens in a Stage now, or happened last."""

    tone: Tone
    #: `Promoting`, `Verified`, `Failed` …
    word: str
    #: The running step, the message of a failure.
    detail: str = ""
    #: RFC 3339; when it began or ended.
    at: str = ""
    #: Name of the Promotion or verification, for a link.
    promotion: str = ""
    verification: str = ""
    #: Steps done and steps in all, of a running Promotion.
    done: int = 0
    steps: int = 0


@dataclass(frozen=True)
class StepAt:
    """Which step of a running Promotion is at work."""

    name: str
    place: int
    count: int


def control_flow(stage: Resource) -> bool:
    """Whether Freight just passes through."""
    template = (stage.get("spec") or {}).get("promotionTemplate") or {}
    return not (template.get("spec") or {}).get("steps")


def current_pieces(stage: Resource) -> list[Resource]:
    """The Freight that a Stage holds, by origin."""
    history = _status(stage).get("freightHistory") or []
    items: Mapping[str, Resource] = (history[0].get("items") or {}) if history else {}
    return [items[origin] for origin in sorted(items)]


def latest_verification(stage: Resource) -> Resource:
    """The newest verification of what it holds; empty where there is none."""
    history = _status(stage).get("freightHistory") or []
    verifications: Sequence[Resource] = (history[0].get("verificationHistory") or []) if history else []
    return verifications[0] if verifications else {}


def step_at(promotion: Resource | None) -> StepAt | None:
    """The step at work in a Promotion as it was looked at last."""
    if promotion is None:
        return None
    status, steps = promotion.get("status") or {}, (promotion.get("spec") or {}).get("steps") or []
    place = status.get("currentStep")
    if place is None or not 0 <= place < len(steps):
        return None
    step = steps[place]
    return StepAt(str(step.get("as") or step.get("uses") or ""), place, len(steps))


def doing(stage: Resource, promotion: Resource | None = None) -> Doing:
    """What a Stage is about; `promotion` is the running one, where more than its name is known."""
    status = _status(stage)
    running = status.get("currentPromotion") or {}
    if running:
        at = step_at(promotion)
        started = ((promotion or {}).get("status") or {}).get("startedAt") or ""
        name = str(running.get("name", ""))
        if at is None:
            return Doing(Tone.BUSY, "Promoting", at=started, promotion=name)
        return Doing(Tone.BUSY, "Promoting", at.name, started, name, done=at.place, steps=at.count)
    verification = latest_verification(stage)
    phase = str(verification.get("phase") or "")
    run = str((verification.get("analysisRun") or {}).get("name") or "")
    if phase in ("Pending", "Running"):
        return Doing(Tone.BUSY, "Verifying", at=str(verification.get("startTime") or ""), verification=run)
    last = status.get("lastPromotion") or {}
    ended = str(last.get("finishedAt") or "")
    outcome = last.get("status") or {}
    last_phase = str(outcome.get("phase") or "")
    name = str(last.get("name") or "")
    if last_phase and last_phase != "Succeeded":
        return Doing(tone(last_phase), last_phase, str(outcome.get("message") or ""), ended, name)
    at_end = str(verification.get("finishTime") or "")
    if phase and phase != "Successful":
        word = {"Failed": "Verification failed", "Error": "Verification errored"}.get(phase, f"Verification {phase}")
        return Doing(tone(phase), word, str(verification.get("message") or ""), at_end, name, run)
    if phase:
        return Doing(Tone.GOOD, "Verified", at=at_end, promotion=name, verification=run)
    if last_phase:
        return Doing(Tone.GOOD, "Promoted", at=ended, promotion=name)
    if control_flow(stage):
        return Doing(Tone.IDLE, "Control flow")
    return Doing(Tone.IDLE, "No Freight yet")


def waiting(stage: Resource) -> str:
    """Why something waits, in the engine's sentence; empty: nothing does."""
    status = _status(stage)
    return str(status.get("waiting") or "")


def queued(stage: Resource) -> int:
    return len(_status(stage).get("queue") or [])


def freezes(stage: Resource) -> list[Resource]:
    """The freezes in force for a Stage."""
    return [freeze for freeze in _status(stage).get("freezes") or [] if not freeze.get("thawedAt")]


def freeze_sentence(freeze: Resource) -> str:
    """Who froze what, and why."""
    who = f" by {freeze['actor']}" if freeze.get("actor") else ""
    why = f": {freeze['reason']}" if freeze.get("reason") else ""
    return f"{freeze.get('scope', 'this')} is frozen{who}{why}"


def holds(stage: Resource) -> dict[str, Resource]:
    """What is held, by origin."""
    found: dict[str, Resource] = _status(stage).get("effectiveAutoPromotionHolds") or {}
    return found


def health(stage: Resource) -> str:
    return str((_status(stage).get("health") or {}).get("status") or "")


def closed_window(stage: Resource) -> str:
    """Why promotion windows let nothing start now; empty: they do."""
    window = _status(stage).get("promotionWindowStatus") or {}
    return str(window.get("reason") or "outside its promotion windows") if window.get("closed") else ""


def _status(stage: Resource) -> Resource:
    return stage.get("status") or {}
