"""The demo's web API gives verifications what they ask for."""

from __future__ import annotations

import pytest

from activities.outside import Outside
from examples.world.web_api import WebApi
from model.references import VerificationPhase as Phase
from tests.analysis.measuring import measure

pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize(("name", "phase"), [("pikachu", Phase.SUCCESSFUL), ("charizard", Phase.FAILED)])
async def test_base_experience_decides_the_ab_test(outside: Outside, name: str, phase: Phase) -> None:
    with WebApi() as api:
        provider = {"web": {"url": f"{api.url}/api/v2/pokemon/{name}", "jsonPath": "{$.base_experience}"}}
        measured = await measure(outside, provider, successCondition="result < 200")
    assert measured.phase is phase


async def test_error_rate_of_a_stage_can_be_raised(outside: Outside) -> None:
    with WebApi() as api:
        provider = {"web": {"url": f"{api.url}/healthz/test", "jsonPath": "{.errorRate}"}}
        healthy = await measure(outside, provider, successCondition="result < 0.05")
        api.error_rates["test"] = 0.5
        failing = await measure(outside, provider, successCondition="result < 0.05")
    assert (healthy.phase, failing.phase) == (Phase.SUCCESSFUL, Phase.FAILED)
    assert failing.value == "0.5"


async def test_unknown_path_is_not_found(outside: Outside) -> None:
    with WebApi() as api:
        measured = await measure(outside, {"web": {"url": f"{api.url}/nowhere"}})
    assert measured.message == "received non 2xx response code: 404"
