"""What has happened in a Project, in the shape of Kubernetes' Events with Kargo's reasons."""

from __future__ import annotations

from datetime import datetime

from model.base import format_time
from starter import kinds
from starter.kinds import Kind
from starter.listing import RunLine
from starter.shapes import Resource
from web.api.caller import Caller

#: How many Promotions, and how many verifications, are looked at: the latest.
LATEST = 200

_VERIFICATION = {
    "Successful": "Succeeded",
    "Failed": "Failed",
    "Error": "Errored",
    "Aborted": "Aborted",
    "Inconclusive": "Inconclusive",
}


async def events_of(caller: Caller, project: str) -> Resource:
    """An EventList, the latest first: of the last Promotions and verifications, and of Freight made and approved."""
    snapshot = await caller.boards.snapshot(project)
    events = []
    for line in await caller.towpath.promotion_lines(project, limit=LATEST):
        events.append(_event(project, kinds.PROMOTION, line.name, "PromotionCreated", line.created_at, _asked(line)))
        if line.finished_at is not None:
            words = f"Promotion of Freight {line.freight} to Stage {line.stage} ended {line.phase}"
            reason = f"Promotion{line.phase}"
            events.append(_event(project, kinds.PROMOTION, line.name, reason, line.finished_at, words))
    for line in await caller.towpath.verification_lines(project, limit=LATEST):
        if line.finished_at is not None:
            reason = f"FreightVerification{_VERIFICATION.get(line.phase, 'Unknown')}"
            words = f"Verification {line.name} in Stage {line.stage} ended {line.phase}"
            events.append(_event(project, kinds.FREIGHT, line.freight, reason, line.finished_at, words))
    for record in snapshot.records.values():
        words = f"Freight {record.alias} was made by {record.reference.origin}"
        events.append(_event(project, kinds.FREIGHT, record.name, "FreightCreated", record.discovered_at, words))
        for stage, when in record.approved_for.items():
            words = f"Freight {record.alias} was approved for Stage {stage}"
            events.append(_event(project, kinds.FREIGHT, record.name, "FreightApproved", when, words))
    events.sort(key=lambda event: (event["lastTimestamp"], event["metadata"]["name"]), reverse=True)
    return {"apiVersion": "v1", "kind": "EventList", "metadata": {}, "items": events[: 4 * LATEST]}


def _asked(line: RunLine) -> str:
    return f"Promotion of Freight {line.freight} to Stage {line.stage} was asked for"


def _event(project: str, kind: Kind, name: str, reason: str, when: datetime, message: str) -> Resource:
    moment = format_time(when)
    good = not reason.endswith(("Failed", "Errored", "Unknown", "Inconclusive"))
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{name}.{reason.lower()}.{int(when.timestamp()):x}"[:253],
            "namespace": project,
            "creationTimestamp": moment,
        },
        "involvedObject": {"apiVersion": kind.api_version, "kind": kind.name, "namespace": project, "name": name},
        "reason": reason,
        "message": message,
        "type": "Normal" if good else "Warning",
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
        "source": {"component": "towpath"},
    }
