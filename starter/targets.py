"""The workflows that stand for resources, and what they are called in messages."""

from __future__ import annotations

from model import names
from starter.calls import Target

CLUSTER = Target(names.CLUSTER, "the Cluster", "nothing has been applied yet")


def project_target(project: str) -> Target:
    return Target(names.project_id(project), f"Project {project}", "`towpath get projects` lists what there is")


def warehouse_target(project: str, name: str) -> Target:
    hint = f"`towpath get warehouses -p {project}` lists what there is"
    return Target(names.warehouse_id(project, name), f"Warehouse {name} in Project {project}", hint)


def stage_target(project: str, name: str) -> Target:
    hint = f"`towpath get stages -p {project}` lists what there is"
    return Target(names.stage_id(project, name), f"Stage {name} in Project {project}", hint)


def promotion_target(project: str, name: str) -> Target:
    hint = f"`towpath get promotions -p {project}` lists what there is"
    return Target(names.promotion_id(project, name), f"Promotion {name} in Project {project}", hint)


def fanout_target(project: str, name: str) -> Target:
    return Target(names.fanout_id(project, name), f"FanOut {name} in Project {project}")


def preview_target(project: str, name: str) -> Target:
    return Target(names.preview_id(project, name), f"Preview {name} in Project {project}")


def verification_target(project: str, name: str) -> Target:
    hint = f"`towpath get verifications -p {project}` lists what there is"
    return Target(names.verification_id(project, name), f"Verification {name} in Project {project}", hint)
