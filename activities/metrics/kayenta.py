"""The `kayenta` provider: a canary analysis by Spinnaker's Kayenta, which is looked at until it has a score.

Source: Argo Rollouts metricproviders/kayenta; Kayenta's API.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

from activities.metrics.http import Answer, MetricClient
from activities.metrics.registry import MetricContext, MetricError, Reading, provider
from model.analysis import Measurement
from model.base import Json, format_time
from model.providers.kayenta import KayentaMetric, KayentaScope, ScopeDetail
from model.references import VerificationPhase

TIMEOUT = 15
PAUSE = timedelta(seconds=15)
#: Where the measurement keeps which analysis it is.
EXECUTION = "canaryExecutionId"


async def resume(config: KayentaMetric, context: MetricContext, measurement: Measurement) -> Reading:
    """Ask for the score, which the thresholds judge."""
    execution = measurement.metadata.get(EXECUTION, "")
    async with _client(context) as client:
        answer = await client.send("GET", f"{config.address.rstrip('/')}/canary/{quote(execution, safe='')}")
    said = _said(answer)
    try:
        complete = said["complete"]
        if not isinstance(complete, bool):
            raise MetricError("Kayenta doesn't say whether the analysis is complete")
        if not complete:
            return _running(execution, context.now)
        score = int(said["result"]["judgeResult"]["score"]["score"])
    except (KeyError, TypeError, ValueError):
        raise MetricError(f"the canary analysis {execution} ended without a score") from None
    if score >= config.threshold.pass_:
        phase = VerificationPhase.SUCCESSFUL
    elif score >= config.threshold.marginal:
        phase = VerificationPhase.INCONCLUSIVE
    else:
        phase = VerificationPhase.FAILED
    return Reading(result=score, value=str(score), phase=phase, metadata={EXECUTION: execution})


@provider("kayenta", config=KayentaMetric, resume=resume)
async def measure(config: KayentaMetric, context: MetricContext) -> Reading:
    """Begin an analysis with the canary configuration of that name."""
    address = config.address.rstrip("/")
    async with _client(context) as client:
        lookup = {"application": config.application, "configurationAccountName": config.configuration_account_name}
        configurations = _said(await client.send("GET", f"{address}/canaryConfig?{urlencode(lookup)}"))
        found = next(
            (
                str(known["id"])
                for known in (configurations if isinstance(configurations, list) else [])
                if isinstance(known, dict) and known.get("name") == config.canary_config_name and "id" in known
            ),
            "",
        )
        if not found:
            raise MetricError(
                f"there is no canary config {config.canary_config_name!r} of the application {config.application!r}"
            )
        accounts = {
            "application": config.application,
            "metricsAccountName": config.metrics_account_name,
            "configurationAccountName": config.configuration_account_name,
            "storageAccountName": config.storage_account_name,
        }
        said = _said(
            await client.send(
                "POST",
                f"{address}/canary/{quote(found, safe='')}?{urlencode(accounts)}",
                headers={"content-type": "application/json"},
                content=_request(config, context),
            )
        )
    execution = said.get(EXECUTION) if isinstance(said, dict) else None
    if not execution:
        raise MetricError("Kayenta began no analysis: its answer has no canaryExecutionId")
    return _running(str(execution), context.now)


def _client(context: MetricContext) -> MetricClient:
    return MetricClient(timeout=TIMEOUT, mirrors=context.outside.settings.http_mirrors)


def _running(execution: str, now: datetime) -> Reading:
    return Reading(phase=VerificationPhase.RUNNING, metadata={EXECUTION: execution}, resume_at=now + PAUSE)


def _said(answer: Answer) -> Any:
    if answer.status != 200:
        raise MetricError(f"Kayenta answered HTTP {answer.status}: {answer.text[:500]}")
    try:
        return answer.json()
    except (ValueError, RecursionError):
        raise MetricError("Kayenta answered with something else than JSON") from None


def _request(config: KayentaMetric, context: MetricContext) -> str:
    thresholds = {"pass": config.threshold.pass_, "marginal": config.threshold.marginal}
    scopes = {scope.name: _scope(scope, config.lookback, context) for scope in config.scopes}
    return json.dumps({"scopes": scopes, "thresholds": thresholds})


def _scope(scope: KayentaScope, lookback: bool, context: MetricContext) -> dict[str, Json]:
    start = _start(lookback, context) if not scope.control_scope.start else ""
    end = format_time(context.now.replace(microsecond=0)) if not scope.control_scope.end else ""

    def side(detail: ScopeDetail) -> dict[str, Json]:
        return {
            "scope": detail.scope,
            "location": detail.region,
            "step": detail.step,
            "start": detail.start or start,
            "end": detail.end or end,
        }

    return {"controlScope": side(scope.control_scope), "experimentScope": side(scope.experiment_scope)}


def _start(lookback: bool, context: MetricContext) -> str:
    if lookback:
        return format_time((context.run_started_at or context.now).replace(microsecond=0))
    if context.interval is None:
        raise MetricError("a scope without start needs an interval of the metric, or lookback")
    return format_time((context.now - context.interval).replace(microsecond=0))
