"""Rules about roles: an extension of ours."""

from __future__ import annotations

from collections.abc import Sequence

from model.admission.names import is_label, is_name
from model.findings import Findings, Path, error
from model.name_patterns import BadNamePattern, name_pattern
from model.resources.role import ProjectRole, Role
from model.roles import PROJECT_ROLES

_BUILT_IN = frozenset(role.name for role in PROJECT_ROLES)


def check_roles(roles: Sequence[Role]) -> Findings:
    """Each has a name of its own, patterns that can be read, and is what its name says where that is a kind of role."""
    first: dict[str, int] = {}
    for place, role in enumerate(roles):
        here: Path = ("spec", "roles", place)
        if not is_label(role.name):
            yield error((*here, "name"), f"{role.name!r} can't be the name of a role: lower-case letters, digits and -")
        if role.name in first:
            yield error((*here, "name"), f"roles[{first[role.name]}] has the name {role.name} already")
        first.setdefault(role.name, place)
        kind = role.name.removeprefix("kargo-")
        if role.name in _BUILT_IN and kind != role.role:
            yield error((*here, "role"), f"must be {kind}, as the name says; else give it another name")
        for number, token in enumerate(role.tokens):
            if not is_name(token):
                yield error((*here, "tokens", number), f"{token!r} can't be the name of an API token")
        yield from _stages(role, here)


def _stages(role: Role, here: Path) -> Findings:
    if not isinstance(role, ProjectRole):
        return
    if role.stages and role.role != "promoter":
        yield error((*here, "stages"), f"means something for a promoter only; a {role.role} is one for the Project")
    for number, pattern in enumerate(role.stages):
        try:
            name_pattern(pattern)
        except BadNamePattern as problem:
            yield error((*here, "stages", number), str(problem))
