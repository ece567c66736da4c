"""Which labels a selector selects (Kubernetes: apimachinery, LabelSelectorAsSelector)."""

from __future__ import annotations

from collections.abc import Mapping

from model.resources.metadata import LabelSelector, LabelSelectorRequirement


def selects_labels(selector: LabelSelector, labels: Mapping[str, str]) -> bool:
    """Whether all of a selector's requirements hold; one without requirements selects everything."""
    return all(labels.get(key) == value for key, value in selector.match_labels.items()) and all(
        _holds(requirement, labels) for requirement in selector.match_expressions
    )


def _holds(requirement: LabelSelectorRequirement, labels: Mapping[str, str]) -> bool:
    there = requirement.key in labels
    match requirement.operator:
        case "Exists":
            return there
        case "DoesNotExist":
            return not there
        case "In":
            return there and labels[requirement.key] in requirement.values
        case "NotIn":
            # A label that isn't there has none of the values.
            return not there or labels[requirement.key] not in requirement.values


def selector_problem(requirement: LabelSelectorRequirement) -> str:
    """What is wrong with a requirement, in a sentence; empty: nothing."""
    if requirement.operator in ("In", "NotIn") and not requirement.values:
        return f"{requirement.operator} needs values"
    if requirement.operator in ("Exists", "DoesNotExist") and requirement.values:
        return f"{requirement.operator} takes no values"
    return ""
