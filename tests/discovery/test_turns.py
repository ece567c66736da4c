"""Hosts are asked by few at once, and a slow one keeps nobody from asking another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from activities.discovery.look import SUBSCRIBERS, Look, LookFailed, subscriber
from activities.discovery.turns import AT_ONCE, WAITING, Crowded, Turns
from activities.discovery.watch import CROWDED_PAUSE, Watcher
from model.references import ArtifactReference
from model.resources.warehouse import DiscoveryResult, RepoSubscription
from tests.discovery.test_watch import look, nothing_new, request

QUICK, SLOW = {"host": {"config": {"host": "quick.example"}}}, {"host": {"config": {"host": "slow.example"}}}


async def settled() -> None:
    """Let everything run that can."""
    for _ in range(50):
        await asyncio.sleep(0)


class SlowHost:
    """A host that answers when it is told to, or fails."""

    def __init__(self) -> None:
        self.answers = asyncio.Event()
        self.failure = ""
        self.asked = 0


@pytest.fixture
async def slow() -> AsyncIterator[SlowHost]:
    """A type of subscription to hosts, of which slow.example is slow."""
    host = SlowHost()

    @subscriber("host")
    async def find(subscription: RepoSubscription, look: Look) -> DiscoveryResult:
        assert subscription.subscription is not None
        name = str(subscription.subscription.config["host"])
        async with look.asking(name):
            if name == "slow.example":
                host.asked += 1
                await host.answers.wait()
                if host.failure:
                    raise LookFailed(host.failure, plight=host.failure)
        return DiscoveryResult(name=name, artifact_references=[ArtifactReference(artifact_type="host", version="1")])

    yield host
    host.answers.set()
    SUBSCRIBERS.pop("host")


async def test_a_slow_host_delays_only_who_asks_it(watcher: Watcher, slow: SlowHost) -> None:
    waiting = [asyncio.create_task(look(watcher, request(SLOW))) for _ in range(AT_ONCE + WAITING)]
    await settled()
    assert slow.asked == AT_ONCE

    # Who asks the slow host now is sent away, without a failure; who asks another one is answered.
    later = await nothing_new(watcher, request(SLOW))
    assert later.next_retry_delay is not None
    assert CROWDED_PAUSE <= later.next_retry_delay <= 2 * CROWDED_PAUSE
    assert (await look(watcher, request(QUICK))).error == ""
    assert not any(task.done() for task in waiting)

    slow.answers.set()
    assert {report.error for report in await asyncio.gather(*waiting)} == {""}


async def test_who_asks_for_a_look_waits_however_long_the_line_is(watcher: Watcher, slow: SlowHost) -> None:
    waiting = [asyncio.create_task(look(watcher, request(SLOW))) for _ in range(AT_ONCE + WAITING)]
    await settled()
    asked = asyncio.create_task(look(watcher, request(SLOW, token="now")))
    await settled()
    assert not asked.done()

    slow.answers.set()
    await asyncio.gather(*waiting)
    assert (await asked).error == ""


async def test_a_host_that_failed_is_not_asked_by_those_who_waited(watcher: Watcher, slow: SlowHost) -> None:
    slow.failure = "it is in trouble"
    waiting = [asyncio.create_task(look(watcher, request(SLOW))) for _ in range(AT_ONCE + WAITING)]
    await settled()
    slow.answers.set()
    reports = await asyncio.gather(*waiting)

    assert slow.asked == AT_ONCE
    assert sum("left alone" in report.error for report in reports) == WAITING
    assert (await look(watcher, request(QUICK))).error == ""


async def test_turns_are_given_back(watcher: Watcher, slow: SlowHost) -> None:
    """Also of looks that are cancelled, waiting or at work."""
    waiting = [asyncio.create_task(look(watcher, request(SLOW))) for _ in range(AT_ONCE + WAITING)]
    await settled()
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)

    slow.answers.set()
    assert (await look(watcher, request(SLOW))).error == ""


@pytest.mark.parametrize("hosts", [1, 5])
async def test_at_once_and_altogether(hosts: int) -> None:
    turns = Turns(at_once=3, waiting=2, altogether=7)
    end, having, refused = asyncio.Event(), [0], [0]

    async def ask(host: str) -> None:
        try:
            async with turns.turn(host):
                having[0] += 1
                await end.wait()
        except Crowded:
            refused[0] += 1

    asking = [asyncio.create_task(ask(f"host-{host}")) for host in range(hosts) for _ in range(6)]
    await settled()
    assert having[0] == min(3 * hosts, 7)
    assert refused[0] == hosts
    end.set()
    await asyncio.gather(*asking)
    assert having[0] == 5 * hosts
