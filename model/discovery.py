"""What passes between a Warehouse, the Discovery that watches for it, and the activity that looks.

What was found has the shape of `status.discoveredArtifacts` (model.resources.warehouse), best candidate first.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from pydantic import Field

from model.base import Json, Message, Time
from model.names import discovery_id
from model.resources.warehouse import DiscoveredArtifacts

#: How often a Warehouse looks where its spec doesn't say.
DEFAULT_INTERVAL = timedelta(minutes=5)

#: About how long one run of Discovery lives, and so the pace of its Schedule.
DEFAULT_PERIOD = timedelta(hours=1)


#: Names of the activities.
WATCH = "watch"
ENSURE_SCHEDULE = "ensure-schedule"
DELETE_SCHEDULE = "delete-schedule"
TRIGGER_SCHEDULE = "trigger-schedule"


class WatchRequest(Message):
    """Argument of the activity `watch`: look at the interval until there is something to tell."""

    project: str
    warehouse: str
    #: Of the Warehouse's spec.
    generation: int = 0
    #: `Warehouse.spec` as JSON, in Kargo's spelling.
    spec: Json = None
    #: `observed` of the last report; empty: nothing was reported yet.
    known: str = ""
    #: Not empty: somebody asked. The next look is reported whatever it finds, and doesn't trust that tags stay.
    token: str = ""
    interval: timedelta = DEFAULT_INTERVAL
    #: Pause before the first look: set where one has just been made.
    rest: timedelta = timedelta(0)


class Verdict(StrEnum):
    """What `freightCreationCriteria` say of the best candidates."""

    #: There are no criteria, or not every subscription has a candidate.
    NONE = ""
    SATISFIED = "Satisfied"
    NOT_SATISFIED = "NotSatisfied"
    #: The expression could not be evaluated.
    FAILED = "Failed"


class Retention(Message):
    """Which old Freight is kept though no Stage needs it (Kargo: MAX_RETAINED_FREIGHT, MIN_FREIGHT_DELETION_AGE)."""

    #: Pieces older than the oldest one that is in some Stage.
    pieces: int = 20
    #: Younger ones are kept, however many.
    age: timedelta = timedelta(hours=336)


class DiscoveryReport(Message):
    """Result of `watch`, and the signal `discovered` to the Warehouse: something new, an answer, or a failure.

    Either `artifacts` is set, or `error` says what failed; then what was found before is still what is known.
    """

    project: str
    warehouse: str
    generation: int = 0
    #: Digest of what was found, or of the failure: `known` of the next request.
    observed: str
    artifacts: DiscoveredArtifacts | None = None
    #: A sentence for people, without secrets.
    error: str = ""
    #: The subscription that failed, as people know it: `image ghcr.io/akuity/guestbook`.
    failed_subscription: str = ""
    #: Whether Freight may be made of it, and why it could not be told.
    criteria: Verdict = Verdict.NONE
    criteria_error: str = ""
    #: The operator's rule for old Freight: workflows read no settings.
    retention: Retention = Field(default_factory=Retention)
    #: Sentences about what works but shouldn't stay so, such as a deprecated field.
    warnings: list[str] = Field(default_factory=list)
    discovered_at: Time
    #: The request's token: this report answers it.
    token: str = ""
    #: All tokens answered by it, where several were waiting.
    answered: list[str] = Field(default_factory=list)
    #: When to look again, from now.
    next_look: timedelta = DEFAULT_INTERVAL


class DiscoveryRequest(Message):
    """Argument of the workflow `Discovery`, and of its signal `reconfigure`."""

    project: str
    warehouse: str
    generation: int = 0
    #: `Warehouse.spec` as JSON, in Kargo's spelling.
    spec: Json = None
    interval: timedelta = DEFAULT_INTERVAL
    #: Id of the Warehouse's workflow, which is told what was found; empty: nobody is told.
    warehouse_workflow: str = ""
    #: Pace of the Schedule: a run ends just before the next begins.
    period: timedelta = DEFAULT_PERIOD
    #: Worker shard on whose task queue the looking is done.
    shard: str = ""
    #: What was known where a run continues as new; otherwise the last run's result counts.
    known: str = ""


class WatchingNotice(Message):
    """The signal `watching` to the Warehouse: this run watches for you now."""

    workflow_id: str
    run_id: str
    generation: int = 0


class ScheduleRequest(Message):
    """Argument of `ensure-schedule`, `delete-schedule` and `trigger-schedule`.

    To delete or trigger, `request` needs only the names.
    """

    request: DiscoveryRequest
    #: Task queue of the Discovery runs; empty: the shared one.
    task_queue: str = ""

    @property
    def schedule_id(self) -> str:
        return discovery_id(self.request.project, self.request.warehouse)


def schedule_period(interval: timedelta) -> timedelta:
    """The pace of the Schedule for this polling interval: as many whole intervals as fit into an hour, at least one.

    Whole ones, because a run looks when it begins: so a restart neither adds a look nor leaves one out.
    """
    if interval <= timedelta(0):
        return DEFAULT_PERIOD
    return interval * max(1, DEFAULT_PERIOD // interval)


def schedule_offset(schedule_id: str, period: timedelta) -> timedelta:
    """Where in its period a Schedule fires: spread evenly over all Schedules, always the same for one of them."""
    seconds = max(1, int(period.total_seconds()))
    return timedelta(seconds=int.from_bytes(hashlib.sha256(schedule_id.encode()).digest()[:8], "big") % seconds)


def next_start(now: datetime, period: timedelta, offset: timedelta) -> datetime:
    """The first moment after `now` at which a Schedule of this pace fires (Temporal counts from the Unix epoch)."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return now + period - (now - epoch - offset) % period


def artifacts_digest(generation: int, artifacts: DiscoveredArtifacts, criteria: Verdict = Verdict.NONE) -> str:
    """The digest of what was found for this generation of the spec. When it was found is no part of it."""
    found = artifacts.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"discovered_at"})
    judged = [criteria] if criteria else []
    return f"{_FOUND}:{_digest([generation, found, *judged])}"


_FOUND, _FAILED = "found", "failed"
_VARIES = re.compile(r"\b(?=[0-9a-f]*[0-9])[0-9a-f]{7,}\b|\d+", re.IGNORECASE)


def failure_digest(generation: int, subscription: str, error: str) -> str:
    """The digest of a failure. Numbers and ids in its message don't count: they differ each time it happens."""
    return f"{_FAILED}:{_digest([generation, subscription, _VARIES.sub('#', error)])}"


def is_failure(observed: str) -> bool:
    """Whether a digest is one of a failure."""
    return observed.startswith(f"{_FAILED}:")


def _digest(value: Json) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
