"""Manifests of Projects that are measured: with the guestbook's steps, or with steps that do next to nothing."""

from __future__ import annotations

from typing import Any

import yaml

from bench.house import PROJECT
from examples.world.guestbook import GUESTBOOK

Manifest = dict[str, Any]

#: As many as the guestbook's.
NO_OP_STEPS = 6


def project() -> Manifest:
    return {"apiVersion": "kargo.akuity.io/v1alpha1", "kind": "Project", "metadata": {"name": PROJECT}}


def warehouse(name: str = "guestbook", interval: str = "1h") -> Manifest:
    """The guestbook's Warehouse: an image and a Git repository. Looks by itself so seldom that it doesn't disturb."""
    manifest: Manifest = yaml.safe_load((GUESTBOOK / "manifests" / "warehouse.yaml").read_text())
    manifest["metadata"] = {"name": name, "namespace": PROJECT}
    manifest["spec"]["interval"] = interval
    return manifest


def render_task() -> Manifest:
    """The guestbook's PromotionTask, with the overlay of dev for every Stage; each has a branch of its own."""
    text = (GUESTBOOK / "manifests" / "promotiontask.yaml").read_text()
    manifest: Manifest = yaml.safe_load(text.replace("./src/env/${{ ctx.stage }}", "./src/env/dev"))
    manifest["metadata"]["namespace"] = PROJECT
    return manifest


def guestbook_steps() -> list[Manifest]:
    """The guestbook's promotion: clone, clear, set the image, build, commit, push."""
    return [{"task": {"name": "render"}, "as": "render"}]


def no_op_steps() -> list[Manifest]:
    """Steps that only give out a text each: what remains is the engine's own cost."""
    return [
        {"uses": "compose-output", "as": f"part-{number}", "config": {"stage": "${{ ctx.stage }}"}}
        for number in range(NO_OP_STEPS)
    ]


def stage(name: str, steps: list[Manifest] | None, *, upstream: str = "", origin: str = "guestbook") -> Manifest:
    """A Stage that takes Freight from its Warehouse, or from the Stage before it; without steps, a control-flow one."""
    sources: Manifest = {"stages": [upstream]} if upstream else {"direct": True}
    spec: Manifest = {"requestedFreight": [{"origin": {"kind": "Warehouse", "name": origin}, "sources": sources}]}
    if steps is not None:
        spec["promotionTemplate"] = {"spec": {"steps": steps}}
    return {
        "apiVersion": "kargo.akuity.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": name, "namespace": PROJECT},
        "spec": spec,
    }
