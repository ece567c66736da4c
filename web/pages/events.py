"""What happened in a Project lately: found, promoted, verified, approved, frozen. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from model.base import format_time
from starter.listing import RunLine
from web.board.snapshot import Snapshot
from web.pages.rendering import path
from web.pages.states import Tone, freeze_sentence, tone

#: Events shown.
_MOST = 200


@dataclass(frozen=True)
class Event:
    """One thing that happened."""

    at: str
    tone: Tone
    words: str
    url: str = ""


def events(snapshot: Snapshot, promotions: Iterable[RunLine]) -> list[Event]:
    """The newest first."""
    project = snapshot.project
    shown: list[Event] = []
    aliases = {name: str(freight.get("alias") or name[:7]) for name, freight in snapshot.freight.items()}
    for line in promotions:
        freight = aliases.get(line.freight, line.freight[:7])
        url = path("projects", project, "promotions", line.name)
        shown.append(Event(format_time(line.created_at), Tone.IDLE, f"{freight} was asked for in {line.stage}", url))
        if line.finished_at is not None:
            words = f"The promotion of {freight} to {line.stage} {line.phase}"
            shown.append(Event(format_time(line.finished_at), tone(line.phase), words, url))
    for name, piece in snapshot.freight.items():
        url, status = path("projects", project, "freight", name), piece.get("status") or {}
        at = str(piece.get("discoveredAt") or "")
        origin = (piece.get("origin") or {}).get("name", "")
        shown.append(Event(at, Tone.IDLE, f"Warehouse {origin} made Freight {aliases[name]}", url))
        for stage, verified in (status.get("verifiedIn") or {}).items():
            at = str(verified.get("verifiedAt") or "")
            shown.append(Event(at, Tone.GOOD, f"{aliases[name]} was verified in {stage}", url))
        for stage, approved in (status.get("approvedFor") or {}).items():
            at = str(approved.get("approvedAt") or "")
            shown.append(Event(at, Tone.WARN, f"{aliases[name]} was approved for {stage}", url))
    for name, stage in snapshot.stages.items():
        status, url = stage.get("status") or {}, path("projects", project, "stages", name)
        for collection in status.get("freightHistory") or []:
            for run in collection.get("verificationHistory") or []:
                phase = str(run.get("phase") or "")
                if run.get("finishTime") and phase != "Successful":
                    where = (run.get("analysisRun") or {}).get("name")
                    link = path("projects", project, "verifications", where) if where else url
                    shown.append(Event(str(run["finishTime"]), tone(phase), f"Verification in {name}: {phase}", link))
        shown += [
            Event(str(freeze.get("since") or ""), Tone.WAIT, freeze_sentence(freeze), url)
            for freeze in status.get("freezes") or []
        ]
    found = {(event.at, event.words): event for event in shown if event.at}
    return sorted(found.values(), key=lambda event: (event.at, event.words), reverse=True)[:_MOST]
