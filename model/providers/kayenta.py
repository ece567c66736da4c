"""The provider `kayenta`: a canary analysis by Spinnaker's Kayenta."""

from __future__ import annotations

from pydantic import Field, model_validator

from model.base import Manifest


class ScopeDetail(Manifest):
    """What is measured, where, and from when to when."""

    scope: str
    region: str
    #: Seconds.
    step: int
    #: RFC 3339; without: the metric's interval ago, or with `lookback` the start of the run.
    start: str = ""
    #: RFC 3339; without: now.
    end: str = ""


class KayentaScope(Manifest):
    """The two sides that are compared."""

    name: str
    control_scope: ScopeDetail
    experiment_scope: ScopeDetail

    @model_validator(mode="after")
    def _alike(self) -> KayentaScope:
        for field in ("start", "end"):
            if bool(getattr(self.control_scope, field)) != bool(getattr(self.experiment_scope, field)):
                raise ValueError(f"controlScope.{field} and experimentScope.{field} must both be given, or neither")
        return self


class KayentaThreshold(Manifest):
    """Scores from `pass` on are Successful, from `marginal` on Inconclusive, below Failed."""

    pass_: int = Field(alias="pass")
    marginal: int


class KayentaMetric(Manifest):
    """A canary analysis by a stored canary configuration."""

    address: str
    application: str
    canary_config_name: str
    metrics_account_name: str
    configuration_account_name: str
    storage_account_name: str
    threshold: KayentaThreshold
    scopes: list[KayentaScope]
    lookback: bool = False
