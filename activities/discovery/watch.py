"""The activity that watches a Warehouse's subscriptions.

Each attempt is one look. "Nothing new" is a benign error that has the server start the next attempt after the
interval: between two looks nothing is held, and nothing is written to any history.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import NoReturn

from pydantic import ValidationError
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.credentials import Credentials
from activities.discovery.backoff import Backoff
from activities.discovery.catalog import load_subscribers
from activities.discovery.criteria import judge
from activities.discovery.look import SUBSCRIBERS, CacheByTagPolicy, Found, HostCrowded, HostPaused, Look, LookFailed
from activities.discovery.memory import Memory
from activities.discovery.turns import Turns
from activities.git.mirrors import Git
from activities.git.refs import without_user
from activities.git.smart_http import SmartHttp
from activities.heartbeats import heartbeats
from activities.mask import Mask
from activities.outside import Outside
from activities.registry.address import RegistrySettings
from activities.registry.client import RegistryClient
from model.base import Json
from model.discovery import (
    WATCH,
    DiscoveryReport,
    Retention,
    WatchRequest,
    artifacts_digest,
    failure_digest,
    is_failure,
)
from model.resources.warehouse import (
    ChartDiscoveryResult,
    DiscoveredArtifacts,
    GitDiscoveryResult,
    ImageDiscoveryResult,
    RepoSubscription,
    WarehouseSpec,
)
from model.steps import NOT_YET

logger = logging.getLogger(__name__)

#: Between two heartbeats, in seconds.
HEARTBEAT = 3.0
#: After how long a look is tried again for which there was no room. Spread by as much again.
CROWDED_PAUSE = timedelta(seconds=10)
#: No interval is shorter.
SHORTEST_INTERVAL = timedelta(seconds=1)


class _Failed(Exception):
    """A subscription failed: which, and how."""

    def __init__(self, subscription: str, cause: LookFailed, message: str) -> None:
        super().__init__(message)
        self.subscription = subscription
        self.cause = cause


@dataclass
class Watcher:
    """The activity `watch`, and what it looks with. One per worker: pace, backoff, turns and memory are shared."""

    memory: Memory
    registries: RegistryClient
    git: Git
    credentials: Credentials
    backoff: Backoff = field(default_factory=Backoff)
    turns: Turns = field(default_factory=Turns)
    #: An operator's lower bound of all intervals.
    minimum_interval: timedelta = SHORTEST_INTERVAL
    recheck_after: timedelta = timedelta(hours=1)
    cache_by_tag: CacheByTagPolicy = CacheByTagPolicy.ALLOW
    retention: Retention = field(default_factory=Retention)
    clock: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    random: Random = field(default_factory=Random)

    async def aclose(self) -> None:
        """Close the connections to registries and Git hosts."""
        await self.registries.aclose()
        if self.git.http is not None:
            await self.git.http.aclose()

    @activity.defn(name=WATCH)
    async def watch(self, request: WatchRequest) -> DiscoveryReport:
        """Look once. Returns news, an answer to whoever asked, or a failure that is not known yet.

        Otherwise raises the benign error NotYet, to be retried after the interval, or a host's pause.
        """
        interval = max(request.interval, self.minimum_interval, SHORTEST_INTERVAL)
        if request.rest > timedelta(0) and activity.info().attempt == 1:
            _not_yet("the next look is due later", request.rest)
        async with heartbeats(activity.heartbeat, HEARTBEAT, first=HEARTBEAT):
            report, paused = await self._look(request, interval)
        if report.token:
            return report
        if report.observed == request.known:
            _not_yet(report.error or "nothing new", report.next_look)
        if paused and is_failure(request.known):
            # The host's trouble is known, if in other words.
            _not_yet(report.error, report.next_look)
        return report

    async def _look(self, request: WatchRequest, interval: timedelta) -> tuple[DiscoveryReport, bool]:
        """One look as a report, and whether it failed because its host is left alone."""
        look = Look(
            project=request.project,
            now=self.clock(),
            memory=self.memory,
            registries=self.registries,
            git=self.git,
            credentials=self.credentials,
            backoff=self.backoff,
            turns=self.turns,
            thorough=bool(request.token),
            recheck_after=self.recheck_after,
            cache_by_tag=self.cache_by_tag,
        )
        report = DiscoveryReport(
            project=request.project,
            warehouse=request.warehouse,
            generation=request.generation,
            observed="",
            discovered_at=look.now,
            token=request.token,
            next_look=interval,
            retention=self.retention,
        )
        try:
            report.artifacts = await _discover(request.spec, look)
            if _criteria(request.spec):
                report.criteria, report.criteria_error = await asyncio.to_thread(
                    judge, request.warehouse, request.spec, report.artifacts
                )
            report.observed = artifacts_digest(request.generation, report.artifacts, report.criteria)
        except _Failed as failed:
            if isinstance(failed.cause, HostCrowded):
                _not_yet(str(failed), CROWDED_PAUSE * (1 + self.random.random()))
            report.error = str(failed)
            report.failed_subscription = failed.subscription
            report.observed = failure_digest(request.generation, failed.subscription, report.error)
            if failed.cause.pause is not None:
                report.next_look = max(failed.cause.pause, SHORTEST_INTERVAL)
            paused = isinstance(failed.cause, HostPaused)
        else:
            paused = False
        report.warnings = look.warnings
        return report, paused


def open_watcher(outside: Outside) -> Watcher:
    """The watcher of a worker with these ways to the outside. Close it at the end, on the loop that it looked on."""
    load_subscribers()
    outside.git.http = SmartHttp(outside.git.command)
    settings = outside.settings
    return Watcher(
        memory=Memory(settings.cache_directory / "discovery"),
        registries=RegistryClient(
            RegistrySettings(
                mirrors=settings.registry_mirrors,
                plain_http=frozenset(settings.plain_http_registries),
                credentials_over_http=settings.allow_credentials_over_http,
                requests_per_second=settings.registry_requests_per_second,
            )
        ),
        git=outside.git,
        credentials=outside.credentials,
        minimum_interval=timedelta(seconds=settings.minimum_discovery_interval),
        cache_by_tag=CacheByTagPolicy(settings.cache_by_tag_policy),
        retention=Retention(pieces=settings.freight_retained, age=timedelta(hours=settings.freight_minimum_age)),
    )


async def _discover(spec: Json, look: Look) -> DiscoveredArtifacts:
    """Look at one subscription after the other; the first that fails fails all. Raises _Failed."""
    try:
        subscriptions = WarehouseSpec.model_validate(spec).subscriptions
    except ValidationError as error:
        message = f"the Warehouse's spec can't be read by this worker: {error.error_count()} errors, the first: " + (
            f"{'.'.join(map(str, error.errors()[0]['loc']))}: {error.errors()[0]['msg']}"
        )
        raise _Failed("", LookFailed(message), message) from error
    artifacts = DiscoveredArtifacts(discovered_at=look.now)
    for subscription in subscriptions:
        match await _find(subscription, look):
            case GitDiscoveryResult() as found:
                artifacts.git.append(found)
            case ImageDiscoveryResult() as found:
                artifacts.images.append(found)
            case ChartDiscoveryResult() as found:
                artifacts.charts.append(found)
            case found:
                artifacts.results.append(found)
    return artifacts


async def _find(subscription: RepoSubscription, look: Look) -> Found:
    name = subscription_name(subscription)
    mask = Mask()
    with mask.collecting():
        try:
            find = SUBSCRIBERS.get(subscription.type)
            if find is None:
                raise LookFailed(
                    f"no worker here knows subscriptions of type {subscription.type}: install what brings them there "
                    "(entry point group towpath.subscriptions), and restart it"
                )
            return await find(subscription, look)
        except LookFailed as failed:
            raise _Failed(name, failed, mask.text(f"{name}: {failed}")) from None
        except Exception as error:
            # A fault of ours must be seen in the Warehouse's status, not retried in silence for ever.
            logger.error("looking at %s failed unexpectedly: %s", name, mask.text(repr(error)))
            message = mask.text(f"{name}: unexpected {type(error).__name__}: {error}")
            raise _Failed(name, LookFailed(message), message) from None


def subscription_name(subscription: RepoSubscription) -> str:
    """A subscription as people know it: `image ghcr.io/akuity/guestbook`, with its name where it has one."""
    repo = subscription.repo()
    parts = [subscription.type, without_user(repo.repo_url), f"({subscription.name})" if subscription.name else ""]
    return " ".join(part for part in parts if part)


def _criteria(spec: Json) -> bool:
    """Whether there is anything to judge: a thread for nothing is a tenth of a look's cost."""
    return isinstance(spec, dict) and bool(spec.get("freightCreationCriteria"))


def _not_yet(message: str, delay: timedelta) -> NoReturn:
    raise ApplicationError(message, type=NOT_YET, category=ApplicationErrorCategory.BENIGN, next_retry_delay=delay)
