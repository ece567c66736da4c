"""A Warehouse with 2,000 pieces of Freight: the size of its state, and the time of what it does at each change."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from model.freight_status import FreightRecord, VerifiedIn
from model.references import FreightOrigin, FreightReference, GitCommit, Image
from model.resources.stage import FreightRequest
from model.warehouse_rules import collectable, relevant
from model.warehouse_state import WarehouseState
from model.warehouses import StageSubscription
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


def run() -> dict[str, object]:
    """Bytes of the state as JSON and as Temporal stores it; milliseconds of each thing a change of Freight costs."""
    state = _state()
    converter = data_converter()

    def told() -> None:
        for subscription in state.subscriptions.values():
            relevant(state, subscription, NOW)

    (payload,) = converter.payload_converter.to_payloads([state])

    assert converter.payload_codec is not None
    (encoded,) = asyncio.run(converter.payload_codec.encode([payload]))
    stored = encoded.ByteSize()

    def restored() -> None:
        WarehouseState.model_validate_json(payload.data)

    return {
        "pieces of Freight": PIECES,
        "state as JSON, bytes": len(payload.data),
        "state as Temporal stores it, bytes": stored,
        "share of Temporal's payload limit": round(stored / LIMIT, 2),
        f"what {STAGES} Stages are told, milliseconds": _milliseconds(told),
        "what may be forgotten, milliseconds": _milliseconds(
            lambda: collectable(state.freight, [], NOW, retained=20, min_age=timedelta(hours=336))
        ),
        "forgotten by the default rule": len(
            collectable(state.freight, [], NOW, retained=20, min_age=timedelta(hours=336))
        ),
        "state written, milliseconds": _milliseconds(lambda: converter.payload_converter.to_payloads([state])),
        "state read, milliseconds": _milliseconds(restored),
    }
