"""Rules about a ProjectConfig and the ClusterConfig (Kargo: pkg/webhook/kubernetes/{projectconfig,clusterconfig})."""

from __future__ import annotations

from model.admission.names import is_name
from model.admission.promotion_windows import check_selector, check_windows
from model.admission.roles import check_roles
from model.findings import Findings, Path, error
from model.receivers import check_receivers
from model.resources import ClusterConfig, ProjectConfig


def check_project_config(config: ProjectConfig) -> Findings:
    """Its receivers of webhooks, promotion policies, windows and roles; each Stage is named exactly at most once."""
    yield from check_windows(config.spec.promotion_windows, of_project=True)
    first: dict[str, int] = {}
    for place, policy in enumerate(config.spec.promotion_policies):
        here: Path = ("spec", "promotionPolicies", place)
        if policy.stage_selector is not None:
            yield from check_selector(policy.stage_selector, (*here, "stageSelector"))
        stage = policy.exact_stage
        if stage is None:
            continue
        if not is_name(stage):
            yield error(here, f"{stage!r} can't be the name of a Stage")
        if stage in first:
            yield error(here, f"promotionPolicies[{first[stage]}] is for the Stage {stage} already")
        first.setdefault(stage, place)
    yield from check_receivers(config.spec.webhook_receivers)
    yield from check_roles(config.spec.roles)


def check_cluster_config(config: ClusterConfig) -> Findings:
    """Its receivers of webhooks, its windows and its roles."""
    yield from check_windows(config.spec.promotion_windows, of_project=False)
    yield from check_receivers(config.spec.webhook_receivers)
    yield from check_roles(config.spec.roles)
