"""Where a piece of Freight is, has been, may go, and why not elsewhere: a verdict for each Stage. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from model.availability import availability
from model.base import Json, format_time, parse_duration
from model.freight_status import FreightRecord, VerifiedIn
from model.references import FreightReference
from model.resources.stage import FreightRequest
from web.pages import states

Resource = Mapping[str, Json]


class Where(StrEnum):
    """What a Stage is to a piece of Freight."""

    #: It holds it.
    HERE = "here"
    #: A Promotion of it runs or waits.
    COMING = "coming"
    #: It may be promoted there.
    OPEN = "open"
    #: It may be, once it has soaked.
    SOON = "soon"
    #: Freight passes through, and this has.
    PASSED = "passed"
    CLOSED = "closed"
    #: It takes no Freight of this origin.
    FOREIGN = "foreign"


@dataclass(frozen=True)
class Verdict:
    """One Stage's."""

    where: Where
    #: In a sentence.
    reason: str
    verified: bool = False
    approved: bool = False
    #: RFC 3339: when it may be promoted.
    at: str = ""
    #: It was there before.
    before: bool = False

    @property
    def words(self) -> str:
        """What is on the Stage's card."""
        return {
            Where.HERE: "is here",
            Where.COMING: "is coming",
            Where.OPEN: "may go here",
            Where.SOON: "soaks",
            Where.PASSED: "has passed",
            Where.CLOSED: "may not go here",
            Where.FOREIGN: "other origin",
        }[self.where]


def record_of(freight: Resource) -> FreightRecord:
    """The Freight resource as the rules know it."""
    status = freight.get("status") or {}
    return FreightRecord(
        reference=FreightReference.model_validate(
            {
                "name": (freight.get("metadata") or {}).get("name", ""),
                "origin": freight.get("origin"),
                **{key: freight.get(key) or [] for key in ("commits", "images", "charts", "artifacts")},
            }
        ),
        alias=str(freight.get("alias") or ""),
        discovered_at=datetime.fromisoformat(
            str(freight.get("discoveredAt") or (freight.get("metadata") or {})["creationTimestamp"])
        ),
        verified_in={
            stage: VerifiedIn(
                verified_at=datetime.fromisoformat(entry["verifiedAt"]),
                longest_soak=parse_duration(entry["longestSoak"]) if entry.get("longestSoak") else None,
            )
            for stage, entry in (status.get("verifiedIn") or {}).items()
            if entry.get("verifiedAt")
        },
        approved_for={
            stage: datetime.fromisoformat(entry["approvedAt"])
            for stage, entry in (status.get("approvedFor") or {}).items()
            if entry.get("approvedAt")
        },
        currently_in={
            stage: datetime.fromisoformat(entry["since"])
            for stage, entry in (status.get("currentlyIn") or {}).items()
            if entry.get("since")
        },
    )


def reach(freight: Resource, stages: Mapping[str, Resource], now: datetime) -> dict[str, Verdict]:
    """A verdict for every Stage, by name."""
    record = record_of(freight)
    passing = [name for name, stage in stages.items() if states.control_flow(stage)]
    return {name: _verdict(name, stage, record, passing, now) for name, stage in stages.items()}


def verdict(stage: Resource, freight: Resource, stages: Mapping[str, Resource], now: datetime) -> Verdict:
    """The verdict of one Stage."""
    passing = [name for name, other in stages.items() if states.control_flow(other)]
    return _verdict(str((stage.get("metadata") or {}).get("name", "")), stage, record_of(freight), passing, now)


def _verdict(name: str, stage: Resource, record: FreightRecord, passing: list[str], now: datetime) -> Verdict:
    spec, status = stage.get("spec") or {}, stage.get("status") or {}
    requests = [FreightRequest.model_validate(request) for request in spec.get("requestedFreight") or []]
    verified, approved = name in record.verified_in, name in record.approved_for
    history = status.get("freightHistory") or []
    before = any(
        held.get("name") == record.name for entry in history[1:] for held in (entry.get("items") or {}).values()
    )
    found = availability(name, requests, record, now, passing)

    def say(where: Where, reason: str) -> Verdict:
        at = format_time(found.at) if found.at and where is Where.SOON else ""
        return Verdict(where, reason, verified, approved, at, before)

    if not any(request.origin == record.reference.origin for request in requests):
        return say(Where.FOREIGN, found.reason)
    if states.control_flow(stage):
        return say(Where.PASSED if verified or found.available else Where.CLOSED, found.reason)
    if any(held.get("name") == record.name for held in states.current_pieces(stage)):
        return say(Where.HERE, "verified here" if verified else "here, not verified yet")
    current = (status.get("currentPromotion") or {}).get("freight") or {}
    if current.get("name") == record.name:
        return say(Where.COMING, "is being promoted here")
    if any(entry.get("freight") == record.name for entry in status.get("queue") or []):
        return say(Where.COMING, states.waiting(stage) or "waits for its turn")
    if found.available:
        return say(Where.OPEN, found.reason)
    return say(Where.SOON if found.at else Where.CLOSED, found.reason)
