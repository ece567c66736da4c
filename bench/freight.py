"""A Warehouse with 2,000 pieces of Freight: the size of its state, and the time of what it does at each change."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from statistics import median

from bench.figures import Figure, spread
from bench.house import BenchFailed, house
from model.discovery import DiscoveryReport, Retention
from model.freight_status import FreightRecord, VerifiedIn
from model.names import task_queue
from model.references import FreightOrigin, FreightReference, GitCommit, Image
from model.resources.stage import FreightRequest
from model.warehouse_rules import collectable, relevant
from model.warehouse_state import WarehouseState
from model.warehouses import AliasRequest, StageSubscription
from workflows.converter import data_converter

PIECES = 2000
STAGES = 10
#: Temporal's limit of one payload, in bytes.
LIMIT = 2 * 1024 * 1024
NOW = datetime(2026, 6, 1, tzinfo=UTC)


def _state() -> WarehouseState:
    state = WarehouseState(project="shop", name="web", generation=3)
    for number in range(PIECES):
        digest = hashlib.sha256(str(number).encode()).hexdigest()
        found = NOW - timedelta(hours=2 * number)
        record = FreightRecord(
            reference=FreightReference(
                name=digest[:40],
                origin=FreightOrigin(name="web"),
                images=[
                    Image(
                        repo_url="ghcr.io/example/web",
                        tag=f"v1.{number}.0",
                        digest=f"sha256:{digest}",
                        annotations={"org.opencontainers.image.revision": digest[:40]},
                    )
                ],
                commits=[
                    GitCommit(
                        repo_url="https://github.com/example/shop.git",
                        id=digest[-40:],
                        branch="main",
                        message="Make the shop window a little wider than it was before",
                        author="Ada <ada@example.com>",
                        committer="Grace <grace@example.com>",
                    )
                ],
            ),
            alias=f"wonky-wombat-{number}",
            discovered_at=found,
            verified_in={
                f"stage-{place}": VerifiedIn(verified_at=found, longest_soak=timedelta(hours=1)) for place in range(3)
            },
        )
        state.freight[record.name] = record
    for place in range(STAGES):
        request = FreightRequest.model_validate(
            {
                "origin": {"kind": "Warehouse", "name": "web"},
                "sources": {"stages": [f"stage-{place - 1}"]} if place else {"direct": True},
            }
        )
        state.subscriptions[f"stage-{place}"] = StageSubscription(stage=f"stage-{place}", revision=1, request=request)
    return state


def _milliseconds(work: Callable[[], object]) -> float:
    """Of the processor's time, best of three."""
    best = float("inf")
    for _ in range(3):
        begun = time.process_time()
        work()
        best = min(best, time.process_time() - begun)
    return round(best * 1000, 1)


async def measure(*, quick: bool) -> list[Figure]:
    """Size of the state, as JSON and as Temporal stores it, what a change of Freight costs, and how soon it answers."""
    return [*await _sizes(_state()), *await _answers(_state(), 3 if quick else 20)]


async def _answers(state: WarehouseState, rounds: int) -> list[Figure]:
    """A Warehouse with that state at work: what people ask it, and what they tell it."""
    # By the operator's rule nothing is old enough to be forgotten.
    state.report = DiscoveryReport(
        project=state.project,
        warehouse=state.name,
        generation=state.generation,
        observed="",
        discovered_at=NOW,
        retention=Retention(pieces=PIECES),
    )
    async with house() as home:
        handle = await home.towpath.calls.temporal.start_workflow(
            "Warehouse", state, id=f"warehouse/{state.project}/{state.name}", task_queue=task_queue()
        )
        name = next(iter(state.freight))
        asked: dict[str, Callable[[], Awaitable[object]]] = {
            "the Warehouse described": lambda: handle.query("describe"),
            "one piece of Freight by its name": lambda: handle.query("freight", [name]),
            "all Freight": lambda: handle.query("freight", []),
            "another alias given": lambda: handle.execute_update(
                "set_alias", AliasRequest(freight=name, alias=f"alias-{time.monotonic_ns()}")
            ),
        }
        figures = []
        for what, ask in asked.items():
            took = []
            await ask()
            before = home.cpu()
            for _ in range(rounds):
                begun = time.perf_counter()
                await ask()
                took.append(time.perf_counter() - begun)
            used = home.cpu().since(before)
            note = f"{spread(took, 'ms', 1000)}; the worker works {1000 * used.worker / rounds:.0f} ms"
            figures.append(Figure(what, 1000 * median(took), "ms", note))
        if (kept := len(await handle.query("freight", []))) != PIECES:
            raise BenchFailed(f"only {kept} pieces of Freight were asked for")
        return figures


async def _sizes(state: WarehouseState) -> list[Figure]:
    converter = data_converter()

    def told() -> None:
        for subscription in state.subscriptions.values():
            relevant(state, subscription, NOW)

    (payload,) = converter.payload_converter.to_payloads([state])

    assert converter.payload_codec is not None
    (encoded,) = await converter.payload_codec.encode([payload])
    stored = encoded.ByteSize()

    def restored() -> None:
        WarehouseState.model_validate_json(payload.data)

    def forgotten() -> list[str]:
        return collectable(state.freight, [], NOW, retained=20, min_age=timedelta(hours=336))

    return [
        Figure("state as JSON", len(payload.data) / 1e6, "MB", f"{PIECES} pieces of Freight, {STAGES} Stages"),
        Figure("state as Temporal stores it", stored / 1e6, "MB", "compressed"),
        Figure("share of Temporal's limit of a payload", stored / LIMIT, "×", reach=0.5),
        Figure("what the Stages are told", _milliseconds(told), "ms", "worked out for all of them"),
        Figure("what may be forgotten", _milliseconds(forgotten), "ms", f"{len(forgotten())} by the default rule"),
        Figure("state written", _milliseconds(lambda: converter.payload_converter.to_payloads([state])), "ms"),
        Figure("state read", _milliseconds(restored), "ms"),
    ]
