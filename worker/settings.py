"""All settings of a worker: those of clients, those of activities, and how it hosts them.

Each is an environment variable (`TOWPATH_` and its name in capitals) or a key of the TOML file that TOWPATH_SETTINGS
names; the variable wins. Temporal is reached by Temporal's own variables (workflows.connection).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

from activities.settings import ActivitySettings, Listed
from workflows.settings import WebSettings, load_settings


class WorkerSettings(ActivitySettings, WebSettings):
    """Settings of `towpath up` and `towpath worker`."""

    model_config = SettingsConfigDict(env_prefix="TOWPATH_", extra="forbid")

    shard: str = Field(
        default="",
        pattern=r"^[a-z0-9]?([-a-z0-9]{0,61}[a-z0-9])?$",
        description="Shard this worker serves: only Warehouses and Stages with `spec.shard` of that name. Empty: those "
        "without one.",
    )
    workflow_cache: int = Field(
        default=5000,
        ge=100,
        description="Workflows kept in memory, at about 0.3 MB each. Fewer than Warehouses and Stages is slow.",
    )
    host_slots: int = Field(
        default=200,
        ge=10,
        description="Steps accepted by this host at once. Those above TOWPATH_STEP_CONCURRENCY wait inside: a step "
        "that isn't accepted within 10 seconds counts as lost with its host.",
    )
    shutdown_grace: float = Field(
        default=10.0,
        ge=0,
        le=600,
        description="Seconds in which running steps may end when the worker is stopped. Others are taken up again "
        "after a restart, or by another worker, as after a crash.",
    )
    collection_interval: float = Field(
        default=300.0, gt=0, description="Seconds between two collections of closed promotions' workspaces."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="From which level on the worker logs."
    )
    log_format: Literal["text", "json"] = Field(
        default="text", description="One line of text, or JSON, for each event."
    )
    metrics_address: str = Field(
        default="",
        pattern=r"^$|^[^\s:]+:\d{1,5}$",
        description="`host:port` on which Prometheus finds the worker's metrics. Empty: none.",
    )
    temporal_port: int = Field(
        default=7233, ge=0, le=65535, description="`towpath up`: port of Temporal, if it is free; else some free one."
    )
    temporal_ui_port: int = Field(
        default=8233, ge=0, le=65535, description="`towpath up`: port of the Temporal UI, if it is free."
    )
    codec_address: str = Field(
        default="",
        pattern=r"^$|^[^\s:]+:\d{1,5}$",
        description="`host:port` of the endpoint by which the Temporal UI reads payloads. Empty: `towpath up` takes a "
        "free port of the loopback interface, `towpath worker` has none.",
    )
    codec_origins: Listed = Field(
        default_factory=list,
        description="Addresses of Temporal UIs that may ask the codec endpoint, such as `http://127.0.0.1:8080`. "
        "`towpath up` adds its own.",
    )
    codec_token: SecretStr | None = Field(
        default=None, description="Bearer token that the codec endpoint asks for. None: it asks for nothing."
    )

    @field_validator("log_level", mode="before")
    @classmethod
    def _in_capitals(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("codec_origins")
    @classmethod
    def _are_origins(cls, value: list[str]) -> list[str]:
        for origin in value:
            scheme, separator, rest = origin.partition("://")
            if scheme not in ("http", "https") or not separator or not rest or "/" in rest:
                raise ValueError(f"{origin!r} is not an origin like http://127.0.0.1:8233")
        return value


def worker_settings() -> WorkerSettings:
    """From the environment and the settings file. Raises SettingsInvalid."""
    return load_settings(WorkerSettings)
