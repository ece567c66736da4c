"""A Warehouse that only listens, and a look that finds what it is told to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from temporalio import activity, workflow
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from model.discovery import WATCH, DiscoveryReport, WatchingNotice, WatchRequest
from model.resources.warehouse import DiscoveredArtifacts
from model.steps import NOT_YET


@workflow.defn(name="Warehouse")
class ListeningWarehouse:
    """Stands for the Warehouse: remembers what it is told."""

    def __init__(self) -> None:
        self.notices: list[WatchingNotice] = []
        self.reports: list[DiscoveryReport] = []

    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: False)

    @workflow.signal
    def watching(self, notice: WatchingNotice) -> None:
        self.notices.append(notice)

    @workflow.signal
    def discovered(self, report: DiscoveryReport) -> None:
        self.reports.append(report)

    @workflow.query
    def heard(self) -> list[DiscoveryReport]:
        return self.reports

    @workflow.query
    def watched_by(self) -> list[WatchingNotice]:
        return self.notices


class FakeWatch:
    """Finds `observed`; reports when that isn't known, or somebody asks."""

    def __init__(self) -> None:
        self.observed = "found:one"
        self.requests: list[WatchRequest] = []
        self.looks = 0

    @activity.defn(name=WATCH)
    async def watch(self, request: WatchRequest) -> DiscoveryReport:
        if activity.info().attempt == 1:
            self.requests.append(request)
            if request.rest:
                raise self._not_yet(request.rest)
        self.looks += 1
        if self.observed == request.known and not request.token:
            raise self._not_yet(request.interval)
        return DiscoveryReport(
            project=request.project,
            warehouse=request.warehouse,
            generation=request.generation,
            observed=self.observed,
            artifacts=DiscoveredArtifacts(discovered_at=datetime(2026, 1, 1, tzinfo=UTC)),
            discovered_at=datetime(2026, 1, 1, tzinfo=UTC),
            token=request.token,
            next_look=request.interval,
        )

    @staticmethod
    def _not_yet(delay: timedelta) -> ApplicationError:
        return ApplicationError(
            "nothing new", type=NOT_YET, category=ApplicationErrorCategory.BENIGN, next_retry_delay=delay
        )
