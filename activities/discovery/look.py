"""One look at a Warehouse's subscriptions: what each kind of subscription is given, and how it says that it failed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from activities.credentials import Credentials
from activities.discovery.backoff import Backoff
from activities.discovery.memory import Memory
from activities.discovery.turns import Crowded, Turns
from activities.git.mirrors import Git
from activities.registry.client import RegistryClient
from model.resources.warehouse import (
    ChartDiscoveryResult,
    DiscoveryResult,
    GitDiscoveryResult,
    ImageDiscoveryResult,
    RepoSubscription,
)

Found = GitDiscoveryResult | ImageDiscoveryResult | ChartDiscoveryResult | DiscoveryResult


class CacheByTagPolicy(StrEnum):
    """What the operator says about `cacheByTag` (Kargo: CACHE_BY_TAG_POLICY); the strategy Digest is never meant."""

    #: As if no subscription had it.
    FORBID = "Forbid"
    #: As subscriptions say.
    ALLOW = "Allow"
    #: A subscription without it fails.
    REQUIRE = "Require"
    #: As if every subscription had it.
    FORCE = "Force"


class LookFailed(Exception):
    """A subscription could not be looked at; the message is for people and holds no secret.

    `plight`, where the whole host is in trouble, says which, without naming the repository; `limited`: it has had too
    many requests.
    """

    def __init__(
        self, message: str, *, plight: str = "", limited: bool = False, retry_after: timedelta | None = None
    ) -> None:
        super().__init__(message)
        self.plight = plight
        self.limited = limited
        self.retry_after = retry_after
        #: How long the host is left alone now; None: look again at the interval.
        self.pause: timedelta | None = None


class HostPaused(LookFailed):
    """The host is left alone for now, after what it answered to this or another Warehouse."""


class HostCrowded(LookFailed):
    """So many look at repositories of the host that this look has to be made later. Nothing is wrong."""


@dataclass
class Look:
    """What a subscription is looked at with."""

    project: str
    now: datetime
    memory: Memory
    registries: RegistryClient
    git: Git
    credentials: Credentials
    backoff: Backoff
    turns: Turns
    #: Somebody asked for this look: check as well what is otherwise taken to have stayed.
    thorough: bool = False
    #: How old what is taken to have stayed may be.
    recheck_after: timedelta = timedelta(hours=1)
    cache_by_tag: CacheByTagPolicy = CacheByTagPolicy.ALLOW
    warnings: list[str] = field(default_factory=list)

    def warn(self, sentence: str) -> None:
        """Show the user a sentence beside the result."""
        if sentence not in self.warnings:
            self.warnings.append(sentence)

    @asynccontextmanager
    async def asking(self, host: str) -> AsyncIterator[None]:
        """Within it, the host is asked: by few at once, not while it is paused, and its failures pause it for all.

        A look that somebody asked for waits its turn however long the line is, and doesn't mind the pause, unless the
        host itself wants it.

        Raises HostPaused, HostCrowded. What is raised within must be LookFailed.
        """
        self._mind_pause(host)
        try:
            async with self.turns.turn(host, patient=self.thorough):
                # What others found out while this look waited.
                self._mind_pause(host)
                async with self._noting(host):
                    yield
        except Crowded:
            raise HostCrowded(f"many look at repositories of {host} just now") from None

    def _mind_pause(self, host: str) -> None:
        if (paused := self.backoff.pause(host, insisting=self.thorough)) is not None:
            failure = HostPaused(f"{host} is left alone for a while, because {paused[1]}")
            failure.pause = paused[0]
            raise failure

    @asynccontextmanager
    async def _noting(self, host: str) -> AsyncIterator[None]:
        began = self.backoff.now()
        try:
            yield
        except LookFailed as failed:
            if failed.plight:
                failed.pause = self.backoff.failed(
                    host, failed.plight, began=began, limited=failed.limited, retry_after=failed.retry_after
                )
            else:
                self.backoff.succeeded(host, began=began)
            raise
        self.backoff.succeeded(host, began=began)


Subscriber = Callable[[RepoSubscription, Look], Awaitable[Found]]

#: How each kind of subscription is looked at, by the key it has in the manifest.
SUBSCRIBERS: dict[str, Subscriber] = {}


def subscriber(kind: str) -> Callable[[Subscriber], Subscriber]:
    """Register an async function `(subscription, look) -> found` for a kind of subscription.

    It raises LookFailed and nothing else that is foreseen. Raises ValueError when the kind is taken.
    """

    def register(function: Subscriber) -> Subscriber:
        if kind in SUBSCRIBERS:
            raise ValueError(f"subscriptions of kind {kind} are registered already")
        SUBSCRIBERS[kind] = function
        return function

    return register
