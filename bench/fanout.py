"""`promote --downstream`: from the request until the Promotions of all downstream Stages are over."""

from __future__ import annotations

import time

from bench.figures import Figure
from bench.house import PROJECT, BenchFailed, house
from bench.manifests import no_op_steps, project, stage, warehouse
from model.promotions import FanOutResult
from model.resources.promotion import PromotionPhase
from starter.targets import fanout_target


async def measure(*, quick: bool) -> list[Figure]:
    """For 3, 30 and 100 Stages below a control-flow Stage, with steps that cost next to nothing."""
    figures = []
    for size in (3, 30) if quick else (3, 30, 100):
        took = await _fan_out(size)
        figures.append(Figure(f"{size} Stages", took, "s", f"{size / took:.1f} promotions per second"))
    return figures


async def _fan_out(size: int) -> float:
    names = [f"region-{number:03}" for number in range(size)]
    async with house() as home:
        stages = [stage("gate", None), *(stage(name, no_op_steps(), upstream="gate") for name in names)]
        await home.apply([project(), warehouse(), *stages])
        first, second = await home.freight("1.0.0", "1.1.0")
        await home.available(names, second)
        took = 0.0
        for freight in (first, second):
            begun = time.perf_counter()
            admission = await home.towpath.promote_downstream(PROJECT, "gate", freight=freight)
            if not admission.accepted:
                raise BenchFailed(admission.reason)
            handle = home.towpath.calls.handle(fanout_target(PROJECT, admission.name))
            result = FanOutResult.model_validate(await handle.result())
            took = time.perf_counter() - begun
            phases = [outcome.phase for outcome in result.promotions.values()]
            if phases != [PromotionPhase.SUCCEEDED] * size:
                raise BenchFailed(f"of {size} Promotions not all succeeded: {phases}")
    return took
