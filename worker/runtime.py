"""The runtime of Temporal's SDK in this process: its heartbeats, its metrics, its log lines among ours."""

from __future__ import annotations

import logging
from datetime import timedelta

from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    PrometheusConfig,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)

#: By these, others tell a host that is busy from one that is gone.
HEARTBEAT = timedelta(seconds=2)


def sdk_runtime(metrics_address: str = "") -> Runtime:
    """A runtime with worker heartbeats, and metrics for Prometheus on `host:port` if one is given.

    One per process is enough: each has threads of its own. Raises ValueError where the address can't be listened on.
    """
    metrics = PrometheusConfig(bind_address=metrics_address) if metrics_address else None
    forwarding = LogForwardingConfig(logging.getLogger("temporalio.core"), append_target_to_name=False)
    return Runtime(
        telemetry=TelemetryConfig(
            logging=LoggingConfig(TelemetryFilter(core_level="WARN", other_level="ERROR"), forwarding=forwarding),
            metrics=metrics,
        ),
        worker_heartbeat_interval=HEARTBEAT,
    )
