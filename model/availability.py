"""Is this Freight available to that Stage, and if not, why and from when? (Kargo: api/v1alpha1/stage_types.go)"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from model.base import format_duration
from model.freight_status import FreightRecord
from model.resources.stage import FreightRequest


class Availability(NamedTuple):
    """Whether Freight is available, the reason in a sentence, and when a soak time that is under way will be met."""

    available: bool
    reason: str
    at: datetime | None = None


def soaked(record: FreightRecord, upstream: str, now: datetime, *, control_flow: bool) -> timedelta:
    """How long Freight has soaked in a Stage: its longest finished stay or the present one, whichever is longer.

    Counted from entering the Stage. Freight never enters a control-flow Stage: there it counts from verification.
    """
    verified = record.verified_in.get(upstream)
    if verified is None:
        return timedelta(0)
    if control_flow:
        return now - verified.verified_at
    longest = verified.longest_soak or timedelta(0)
    since = record.currently_in.get(upstream)
    return max(longest, now - since) if since is not None else longest


def availability(
    stage: str,
    requests: Iterable[FreightRequest],
    record: FreightRecord,
    now: datetime,
    control_flow: Iterable[str] = (),
) -> Availability:
    """Whether a piece of Freight is available to a Stage now.

    `control_flow` names the upstream Stages that Freight only passes through.
    """
    request = next((r for r in requests if r.origin == record.reference.origin), None)
    if request is None:
        return Availability(False, f"Stage {stage} requests no Freight from {record.reference.origin}")
    if stage in record.approved_for:
        return Availability(True, f"approved for Stage {stage}")
    sources = request.sources
    if sources.direct:
        return Availability(True, f"straight from {request.origin}")
    upstream = list(sources.stages or [])
    if not upstream:
        return Availability(False, f"Stage {stage} has neither `direct` nor `stages` among its sources")
    passing = set(control_flow)
    required = sources.required_soak_time or timedelta(0)
    missing: list[str] = []
    due: list[datetime] = []
    for name in upstream:
        if name not in record.verified_in:
            missing.append(f"not verified in Stage {name}")
            continue
        so_far = soaked(record, name, now, control_flow=name in passing)
        if so_far >= required:
            if sources.availability_strategy != "All":
                return Availability(True, f"verified in Stage {name}")
            continue
        sentence = f"soaked {format_duration(timedelta(seconds=int(so_far.total_seconds())))} of "
        sentence += f"{format_duration(required)} in Stage {name}"
        missing.append(sentence)
        if name in passing or name in record.currently_in:
            due.append(now + required - so_far)
    if sources.availability_strategy == "All":
        if not missing:
            return Availability(True, f"verified in {_listed(upstream)}")
        # Everything missing must come true: a time is known only if each missing part is a soak under way.
        return Availability(False, _listed(missing), max(due) if len(due) == len(missing) else None)
    return Availability(False, _listed(missing), min(due, default=None))


def _listed(parts: list[str]) -> str:
    return ", ".join(parts[:-1]) + " and " + parts[-1] if len(parts) > 1 else "".join(parts)
