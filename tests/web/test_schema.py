"""Whatever is sent to the API: it never breaks, and answers as its OpenAPI document says."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.starter.house import Rooms
from tests.web.served import discovered, furnished, served

#: Requests of each kind, as they come and upon what there is. More of them: `python -m bench api`.
EXAMPLES = 1


def does_not_break(_: Any, response: Any, __: Any) -> None:
    """501, that Towpath doesn't have it, is an answer."""
    assert response.status_code == 501 or response.status_code < 500, response.text


CHECKS = [
    does_not_break,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
#: What would change the house for the other tests, or look at it for a minute.
LEFT_OUT = {"FreezeEverything", "ThawEverything", "RefreshWarehouse", "DeleteClusterConfig", "PreviewPromotion"}


async def test_any_request_is_answered_as_documented(house: Rooms, tmp_path: Path) -> None:
    project = await furnished(house)
    there = {"project": project, "stage": "dev", "warehouse": "web", "freight": await discovered(house)}
    async with served(house, tmp_path) as client:
        tried = await asyncio.to_thread(try_all, str(client.base_url.copy_with(path="/openapi.json")), there, EXAMPLES)
    assert tried > 60


def try_all(url: str, there: dict[str, str], examples: int) -> int:
    """Tries each operation with what hypothesis thinks of, and again upon what is there. Returns how many there are."""
    schema = schemathesis.openapi.from_url(url)
    operations = [found.ok() for found in schema.get_all_operations()]
    for operation in operations:
        label = operation.definition.raw.get("operationId")
        if label in LEFT_OUT:
            continue
        _try(operation, {}, examples)
        if operation.method != "delete":
            _try(operation, there, examples)
    return len(operations)


def _try(operation: Any, there: dict[str, str], examples: int) -> None:
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def attempt(case: Any) -> None:
        for name in list(case.path_parameters or {}):
            case.path_parameters[name] = there.get(name, case.path_parameters[name])
        # A stream has no end.
        if case.query and "watch" in case.query:
            case.query["watch"] = "false"
        case.call_and_validate(checks=CHECKS, timeout=30)

    attempt()
