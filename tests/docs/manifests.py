"""Manifests of the documents, validated as `towpath apply` would, without a server."""

from __future__ import annotations

from activities.steps.catalog import load_steps
from activities.steps.check import check_steps
from model.admission import Existing, ExistingProject, validate_set
from model.manifests import load
from model.problems import Severity
from model.step_uses import step_uses
from model.steps import CheckStepsRequest

#: The Project that the documents speak of.
PROJECT = "guestbook"


async def errors_of(text: str, source: str) -> list[str]:
    """What `towpath apply` would refuse in these manifests; references to what isn't there are no errors."""
    load_steps()
    existing = Existing(projects={PROJECT: ExistingProject()})
    located, problems = load(text, source)
    problems = [*problems, *validate_set(located, existing, PROJECT)]
    uses = [use for entry in located for use in step_uses(entry)]
    report = await check_steps(CheckStepsRequest(uses=uses))
    return [str(problem) for problem in problems if problem.severity is Severity.ERROR] + [
        f"{problem.where}: {problem.message}" for problem in report.problems
    ]
