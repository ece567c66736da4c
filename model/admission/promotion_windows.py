"""Rules about promotion windows and the selectors that policies and windows share."""

from __future__ import annotations

from collections.abc import Sequence

from model.admission.names import is_name
from model.findings import Findings, Path, error
from model.label_selectors import selector_problem
from model.name_patterns import BadNamePattern, name_pattern
from model.resources.project_config import PromotionPolicySelector, PromotionWindow
from model.windows import BadWindow, recurrence


def check_selector(selector: PromotionPolicySelector, path: Path) -> Findings:
    """Its pattern can be read, and its requirements on labels can be met."""
    try:
        name_pattern(selector.name)
    except BadNamePattern as problem:
        yield error((*path, "name"), str(problem))
    for place, requirement in enumerate(selector.match_expressions):
        if problem_text := selector_problem(requirement):
            yield error((*path, "matchExpressions", place), problem_text)


def check_windows(windows: Sequence[PromotionWindow], *, of_project: bool) -> Findings:
    """Each window has a name of its own, a span that can be read, and selects what there is to select."""
    first: dict[str, int] = {}
    for place, window in enumerate(windows):
        here: Path = ("spec", "promotionWindows", place)
        if not is_name(window.name):
            yield error((*here, "name"), f"{window.name!r} can't be the name of a window")
        if window.name in first:
            yield error((*here, "name"), f"promotionWindows[{first[window.name]}] has the name {window.name} already")
        first.setdefault(window.name, place)
        if window.stage_selector is not None:
            yield from check_selector(window.stage_selector, (*here, "stageSelector"))
        if window.project_selector is not None:
            if of_project:
                yield error(
                    (*here, "projectSelector"), "means something in a ClusterConfig only; here it is this Project"
                )
            yield from check_selector(window.project_selector, (*here, "projectSelector"))
        try:
            recurrence(window)
        except BadWindow as problem:
            field, _, why = str(problem).partition(": ")
            yield error((*here, field), why)
