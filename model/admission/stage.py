"""Rules about one Stage by itself (Kargo: pkg/webhook/kubernetes/stage/webhook.go)."""

from __future__ import annotations

from model.admission.names import is_name
from model.admission.steps import check_steps, check_vars
from model.findings import Findings, Path, error, warning
from model.resources import Stage
from model.resources.stage import FreightSources, SelectionPolicy


def check_stage(stage: Stage) -> Findings:
    """All that can be said of a Stage without looking at others."""
    spec = stage.spec
    first: dict[str, int] = {}
    for place, request in enumerate(spec.requested_freight):
        here: Path = ("spec", "requestedFreight", place)
        origin = str(request.origin)
        if origin in first:
            yield error((*here, "origin"), f"{origin} is requested already, in requestedFreight[{first[origin]}]")
        first.setdefault(origin, place)
        if not is_name(request.origin.name):
            yield error((*here, "origin", "name"), f"{request.origin.name!r} can't be the name of a Warehouse")
        yield from _sources(request.sources, (*here, "sources"))
    yield from check_vars(spec.vars, ("spec", "vars"))
    if spec.promotion_template:
        path: Path = ("spec", "promotionTemplate", "spec")
        yield from check_vars(spec.promotion_template.spec.vars, (*path, "vars"))
        yield from check_steps(stage.steps, (*path, "steps"), in_task=False)
    yield from _verification(stage)


def _sources(sources: FreightSources, path: Path) -> Findings:
    if not sources.direct and not sources.stages:
        yield warning(path, "without direct or stages no Freight ever gets here, but by approval")
    if sources.direct and sources.stages:
        yield warning((*path, "stages"), "without effect: direct lets all Freight in")
    if sources.direct and sources.required_soak_time:
        yield warning((*path, "requiredSoakTime"), "without effect: direct lets all Freight in")
    for place, name in enumerate(sources.stages):
        if not is_name(name):
            yield error((*path, "stages", place), f"{name!r} can't be the name of a Stage")
        elif name in sources.stages[:place]:
            yield warning((*path, "stages", place), f"{name} stands here twice")
    if sources.selection_policy is SelectionPolicy.MATCH_UPSTREAM:
        here = (*path, "autoPromotionOptions", "selectionPolicy")
        if sources.direct:
            yield error(here, "MatchUpstream needs an upstream Stage, and no direct")
        if len(sources.stages) != 1:
            yield error(here, f"MatchUpstream needs exactly one upstream Stage, not {len(sources.stages)}")


def _verification(stage: Stage) -> Findings:
    verification = stage.spec.verification
    if verification is None:
        return
    path: Path = ("spec", "verification")
    if stage.control_flow:
        yield warning(path, "without effect: a Stage without promotion steps is not verified")
    elif not verification.analysis_templates:
        yield warning(path, "names no analysisTemplates: every verification would end in Error")
    first: set[tuple[bool, str]] = set()
    for place, template in enumerate(verification.analysis_templates):
        if (template.cluster, template.name) in first:
            here = (*path, "analysisTemplates", place)
            yield error(here, f"{template} stands here twice: its metrics would have the same names")
        first.add((template.cluster, template.name))
