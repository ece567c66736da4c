"""Receivers of webhooks: their types, and the paths by which they are reached (Kargo: pkg/webhook/external).

A path is derived from a secret, so that it can't be guessed, and exactly as Kargo derives it: URLs that senders know
stay what they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Final

from model.findings import Findings, Path, error
from model.label_selectors import selector_problem
from model.resources.project_config import GenericReceiver, TargetSelection, WebhookReceiver, WebhookReceiverConfig

#: The types, and under which key their Secrets hold what senders know.
SECRET_KEYS: Final[Mapping[str, str]] = {
    "artifactory": "secret-token",
    "azure": "secret",
    "bitbucket": "secret",
    "dockerhub": "secret",
    "generic": "secret",
    "gitea": "secret",
    "github": "secret",
    "gitlab": "secret-token",
    "harbor": "auth-header",
    "quay": "secret",
}


def receiver_type(config: WebhookReceiverConfig) -> str:
    """The one type that is given: `github`. Empty where none is."""
    return next((kind for kind in SECRET_KEYS if getattr(config, kind) is not None), "")


def receiver_settings(config: WebhookReceiverConfig) -> WebhookReceiver | None:
    """What stands under the type."""
    kind = receiver_type(config)
    settings: WebhookReceiver | None = getattr(config, kind) if kind else None
    return settings


def receiver_path(project: str, kind: str, name: str, secret: str) -> str:
    """`<type>/<hash>`, without a slash before it. `project` is empty for a receiver of the ClusterConfig."""
    return f"{kind}/{hashlib.sha256(f'{project}{name}{secret}'.encode()).hexdigest()}"


def check_receivers(receivers: Iterable[WebhookReceiverConfig]) -> Findings:
    """Names are given once; each receiver has one type and a Secret, and what a generic one selects can be selected."""
    first: dict[str, int] = {}
    for place, receiver in enumerate(receivers):
        here: Path = ("spec", "webhookReceivers", place)
        if receiver.name in first:
            yield error((*here, "name"), f"webhookReceivers[{first[receiver.name]}] has the name {receiver.name} too")
        first.setdefault(receiver.name, place)
        given = [kind for kind in SECRET_KEYS if getattr(receiver, kind) is not None]
        if len(given) != 1:
            found = f"it has {', '.join(given)}" if given else "it has none"
            yield error(here, f"a receiver needs exactly one of {', '.join(SECRET_KEYS)}; {found}")
        for kind in given:
            if not getattr(receiver, kind).secret_ref.name:
                yield error((*here, kind, "secretRef", "name"), "the name of a Secret is required")
        if receiver.generic is not None:
            yield from _check_generic(receiver.generic, (*here, "generic"))


def _check_generic(receiver: GenericReceiver, path: Path) -> Findings:
    for place, action in enumerate(receiver.actions):
        here: Path = (*path, "actions", place, "targetSelectionCriteria")
        if not action.target_selection_criteria:
            yield error(here, "an action needs at least one selection of targets")
        for index, target in enumerate(action.target_selection_criteria):
            yield from _check_target(target, (*here, index))


def _check_target(target: TargetSelection, path: Path) -> Findings:
    labels = target.label_selector.match_labels or target.label_selector.match_expressions
    indices = target.index_selector.match_indices
    if not target.name and not labels and not indices:
        yield error(path, "targets are selected by at least one of name, labelSelector and indexSelector")
    if target.kind == "Promotion" and (labels or indices):
        yield error(path, "Promotions are selected by name only")
    for index, label in enumerate(target.label_selector.match_expressions):
        if problem := selector_problem(label):
            yield error((*path, "labelSelector", "matchExpressions", index), problem)
    for index, requirement in enumerate(indices):
        if requirement.key == "receiverPaths":
            yield error(
                (*path, "indexSelector", "matchIndices", index, "key"),
                "receiverPaths is no index of Warehouses; subscribedURLs is",
            )
