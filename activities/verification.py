"""Activities of verifications: preparing an analysis, and taking one measurement of one metric.

Rules are Kargo's (pkg/rollouts) and Argo Rollouts' (analysis/analysis.go). Secrets are read here, just before each
measurement, and never leave: what is returned is masked.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from temporalio import activity

from activities.arguments import evaluate_arguments
from activities.heartbeats import heartbeats
from activities.mask import Mask
from activities.metrics.conditions import check_syntax, judge
from activities.metrics.registry import (
    LOGS,
    MetricContext,
    MetricError,
    Provider,
    Reading,
    find_provider,
    load_providers,
)
from activities.metrics.shown import cut, cut_logs
from activities.outside import Outside
from activities.project_state import project_status
from expressions.sources import StatusSource
from model.analysis import Measurement
from model.arguments import MASK, SecretKey, arguments_named, fill_arguments, give_arguments, merge_templates
from model.base import Json
from model.metrics import InvalidAnalysis, apply_rules, provider_of, read_metric, read_metrics
from model.references import ExpressionVariable, VerificationPhase
from model.verifications import (
    ArgumentContext,
    MeasurementReport,
    MeasurementRequest,
    PreparedAnalysis,
    VerificationRequest,
)

logger = logging.getLogger(__name__)

#: Seconds between two signs of life.
HEARTBEAT = 2.0
#: Messages of measurements are cut at this length.
MAX_MESSAGE = 2000


class AnalysisMask(Mask):
    """Masks secrets as Argo Rollouts shows them."""

    def text(self, text: str) -> str:
        for form in self._longest_first:
            text = text.replace(form, MASK)
        return text


class Verifications:
    """The activities `prepare-analysis` and `measure`, with the worker's ways to the outside."""

    def __init__(self, outside: Outside) -> None:
        load_providers()
        self._outside = outside

    def activities(self) -> list[Callable[..., Any]]:
        """What a worker registers."""
        return [self.prepare, self.measure]

    @activity.defn(name="prepare-analysis")
    async def prepare(self, request: VerificationRequest) -> PreparedAnalysis:
        """Merge templates and arguments, and validate what came out of it. An invalid one has `error` set."""
        async with heartbeats(activity.heartbeat, HEARTBEAT):
            mask = AnalysisMask()
            try:
                with mask.collecting():
                    return await asyncio.to_thread(self._prepared, request, self._status(request.project))
            except InvalidAnalysis as error:
                return PreparedAnalysis(error=mask.text(str(error)))
            except Exception as error:
                # An error of ours would be tried again for ever; a user can only be helped by seeing it.
                logger.error("prepare-analysis %s: %s", request.name, mask.text(traceback.format_exc()))
                return PreparedAnalysis(error=mask.text(f"unexpected error: {type(error).__name__}: {error}"))

    def _prepared(self, request: VerificationRequest, status: StatusSource | None) -> PreparedAnalysis:
        merged = merge_templates([template.get("spec") or {} for template in request.templates])
        context = ArgumentContext(
            project=request.project,
            stage=request.stage,
            vars=request.vars,
            collection=request.collection,
            origins=request.origins,
        )
        evaluated = evaluate_arguments(request.args, context, self._outside, status)
        given = [argument.argument() for argument in evaluated]
        args, ignored = give_arguments(merged.args, given)
        values = {argument.name: MASK if argument.hidden else argument.value or "" for argument in args}
        try:
            filled = [fill_arguments(metric, values) for metric in merged.metrics]
        except InvalidAnalysis as error:
            raise InvalidAnalysis(f"Unable to resolve metric arguments: {error}") from None
        try:
            schedules = read_metrics(filled)
            apply_rules(schedules, merged.dry_run, merged.measurement_retention)
            hidden = {argument.name for argument in args if argument.hidden}
            for written, metric, schedule in zip(merged.metrics, filled, schedules, strict=True):
                schedule.lasting = _checked(metric).terminate is not None
                _check_conditions(metric, _conditions_known(written, hidden))
        except InvalidAnalysis as error:
            raise InvalidAnalysis(f"Analysis spec invalid: {error}") from None
        return PreparedAnalysis(
            schedules=schedules,
            metrics=merged.metrics,
            args=args,
            dry_run=merged.dry_run,
            measurement_retention=merged.measurement_retention,
            warnings=[f"argument {name!r} of the Stage is declared by no template: ignored" for name in ignored],
        )

    @activity.defn(name="measure")
    async def measure(self, request: MeasurementRequest) -> MeasurementReport:
        """Take one measurement, or look at one in flight. A provider's fault is a measurement in Error."""
        mask = AnalysisMask()
        async with heartbeats(activity.heartbeat, HEARTBEAT):
            with mask.collecting():
                try:
                    status = self._status(request.context.project) if request.context else None
                    values = await asyncio.to_thread(self._values, request, mask, status)
                    metric = fill_arguments(request.metric, values)
                except InvalidAnalysis as error:
                    if request.terminate:
                        # What runs elsewhere is ended all the same: that needs none of the values.
                        metric = fill_arguments(request.metric, {argument.name: MASK for argument in request.args})
                        return await self._measured(request, metric, mask)
                    return MeasurementReport(unresolved=mask.text(f"Unable to resolve metric arguments: {error}"))
                return await self._measured(request, metric, mask)

    def _status(self, project: str) -> StatusSource | None:
        return project_status(project, self._outside)

    def _values(self, request: MeasurementRequest, mask: Mask, status: StatusSource | None) -> dict[str, str]:
        """The arguments with their secrets."""
        values: dict[str, str] = {}
        templates = [
            ExpressionVariable(name=argument.name, value=argument.template)
            for argument in request.args
            if argument.secret is None and argument.template is not None
        ]
        if templates and request.context is not None:
            for evaluated in evaluate_arguments(templates, request.context, self._outside, status):
                mask.add(evaluated.value)
                values[evaluated.name] = evaluated.value
        for argument in request.args:
            if argument.secret is not None:
                values[argument.name] = self._secret(request.project, argument.name, argument.secret, mask)
            elif argument.template is None:
                values[argument.name] = argument.value or ""
        return values

    def _secret(self, project: str, name: str, reference: SecretKey, mask: Mask) -> str:
        value = self._outside.credentials.secret_key(project, reference.name, reference.key)
        if value is None:
            raise InvalidAnalysis(
                f"argument {name!r}: there is no key {reference.key!r} in a Secret {reference.name!r} "
                f"of Project {project!r}"
            )
        mask.add(value)
        return value

    async def _measured(self, request: MeasurementRequest, metric: dict[str, Json], mask: Mask) -> MeasurementReport:
        try:
            kind, config = provider_of(metric)
            provider = find_provider(kind)
            context = MetricContext(
                project=request.project,
                stage=request.stage,
                run=request.run,
                metric=request.name,
                number=request.number,
                now=datetime.now(UTC),
                outside=self._outside,
                mask=mask,
                run_started_at=request.run_started_at,
                interval=read_metric(metric).interval,
            )
            reading = await _reading(provider, config, context, request)
            phase = reading.phase or await asyncio.to_thread(judge, metric, reading.result)
        except (MetricError, InvalidAnalysis) as error:
            return _fault(mask.text(str(error)))
        except Exception as error:
            # A provider of a third party may raise anything, and none of it may pass by the mask.
            logger.error("measure %s %s: %s", request.run, request.name, mask.text(traceback.format_exc()))
            return _fault(mask.text(f"unexpected error: {type(error).__name__}: {error}"))
        measurement = Measurement(
            phase=phase,
            message=mask.text(reading.message)[:MAX_MESSAGE],
            value=cut(mask.text(reading.value)),
            metadata=_kept(reading.metadata, mask),
            resume_at=reading.resume_at,
        )
        return MeasurementReport(measurement=measurement, metadata=_kept(reading.resolved, mask))


def _kept(metadata: Mapping[str, str], mask: Mask) -> dict[str, str]:
    return {key: (cut_logs if key == LOGS else cut)(mask.text(value)) for key, value in metadata.items()}


def _fault(message: str) -> MeasurementReport:
    measurement = Measurement(phase=VerificationPhase.ERROR, message=message[:MAX_MESSAGE])
    return MeasurementReport(measurement=measurement)


async def _reading(provider: Provider, config: Json, context: MetricContext, request: MeasurementRequest) -> Reading:
    settings = provider.read_config(config)
    if request.in_flight is None:
        return await provider.measure(settings, context)
    action = provider.terminate if request.terminate else provider.resume
    if request.terminate and action is None:
        return Reading(phase=VerificationPhase.INCONCLUSIVE, metadata=request.in_flight.metadata)
    if action is None:
        raise MetricError(f"{provider.name}: a measurement in flight can't be looked at again")
    return await action(settings, context, request.in_flight)


def _checked(metric: Mapping[str, Json]) -> Provider:
    """The metric's provider, its configuration looked at. Raises InvalidAnalysis."""
    kind, config = provider_of(dict(metric))
    try:
        found = find_provider(kind)
        found.read_config(config)
    except MetricError as error:
        raise InvalidAnalysis(f"metric {metric.get('name')!r}: {error}") from None
    return found


def _conditions_known(metric: Mapping[str, Json], hidden: set[str]) -> list[str]:
    """The metric's conditions into which no secret is filled: those can be read before it is."""
    fields = ("successCondition", "failureCondition")
    return [field for field in fields if not hidden & arguments_named(str(metric.get(field) or ""))]


def _check_conditions(metric: Mapping[str, Json], fields: list[str]) -> None:
    for field in fields:
        try:
            check_syntax(field, str(metric.get(field) or ""))
        except MetricError as error:
            raise InvalidAnalysis(f"metric {metric.get('name')!r}: {error}") from None
