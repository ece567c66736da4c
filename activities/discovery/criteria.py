"""Judging what was found by the Warehouse's `freightCreationCriteria`, before the Warehouse hears of it.

Here, not in the workflow: an expression may look at the clock, and takes time.
"""

from __future__ import annotations

from expressions.environment import creation_environment, evaluate_criterion
from expressions.errors import ExpressionError
from model.base import Json
from model.discovery import Verdict
from model.freight_assembly import Incomplete, assemble
from model.resources.warehouse import DiscoveredArtifacts, FreightCreationPolicy, WarehouseSpec


def judge(warehouse: str, spec: Json, found: DiscoveredArtifacts) -> tuple[Verdict, str]:
    """Whether the best candidates satisfy the criteria, and what went wrong in telling.

    Only the best combination is asked, and only where Freight would be made of it. Blocks.
    """
    read = WarehouseSpec.model_validate(spec)
    expression = read.freight_creation_criteria.expression.strip() if read.freight_creation_criteria else ""
    if not expression or read.freight_creation_policy is not FreightCreationPolicy.AUTOMATIC:
        return Verdict.NONE, ""
    try:
        assemble(warehouse, read, found)
        holds = evaluate_criterion(expression, creation_environment(found))
    except Incomplete:
        return Verdict.NONE, ""
    except ExpressionError as error:
        return Verdict.FAILED, f"freightCreationCriteria.expression: {error}"
    return (Verdict.SATISFIED if holds else Verdict.NOT_SATISFIED), ""
