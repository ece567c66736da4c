"""Takes measurements in tests as a worker would, through the activity."""

from __future__ import annotations

from temporalio.testing import ActivityEnvironment

from activities.outside import Outside
from activities.verification import Verifications
from model.analysis import Measurement
from model.arguments import Argument
from model.base import Json
from model.verifications import MeasurementReport, MeasurementRequest


def request_for(provider: Json, *args: Argument, number: int = 1, **fields: Json) -> MeasurementRequest:
    """A request for one measurement of a metric `m` with this provider block."""
    metric = {"name": "m", "provider": provider, **fields}
    return MeasurementRequest(
        project="demo", stage="test", run="test.run", metric=metric, name="m", number=number, args=list(args)
    )


async def report_of(outside: Outside, request: MeasurementRequest) -> MeasurementReport:
    return await ActivityEnvironment().run(Verifications(outside).measure, request)


async def measure(outside: Outside, provider: Json, *args: Argument, **fields: Json) -> Measurement:
    report = await report_of(outside, request_for(provider, *args, **fields))
    assert report.measurement is not None, report.unresolved
    return report.measurement
