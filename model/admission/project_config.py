"""Rules about a ProjectConfig (Kargo: pkg/webhook/kubernetes/projectconfig/webhook.go)."""

from __future__ import annotations

from model.admission.names import is_name
from model.findings import Findings, Path, error
from model.resources import ProjectConfig


def check_project_config(config: ProjectConfig) -> Findings:
    """Its promotion policies: each Stage is named exactly at most once."""
    first: dict[str, int] = {}
    for place, policy in enumerate(config.spec.promotion_policies):
        stage = policy.exact_stage
        if stage is None:
            continue
        here: Path = ("spec", "promotionPolicies", place)
        if not is_name(stage):
            yield error(here, f"{stage!r} can't be the name of a Stage")
        if stage in first:
            yield error(here, f"promotionPolicies[{first[stage]}] is for the Stage {stage} already")
        first.setdefault(stage, place)
