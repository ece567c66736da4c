"""Who may do what: the rule, case by case, and what apply refuses of roles."""

from __future__ import annotations

from typing import Any

import pytest

from model.admission.project_config import check_cluster_config, check_project_config
from model.manifests import load
from model.resources import ClusterConfig, ProjectConfig
from model.resources.role import ProjectRole, Role, SystemRole
from model.roles import Claims, Grant, RoleKind, Verb, bound_to, bound_to_token, may, with_built_in

VIEWER = Grant(RoleKind.VIEWER, "shop")
PROMOTER = Grant(RoleKind.PROMOTER, "shop", ("dev", "glob:test-*", "regex:^prod-(eu|us)$"))
EVERY_STAGE = Grant(RoleKind.PROMOTER, "shop")
ADMIN = Grant(RoleKind.ADMIN, "shop")
SYSTEM_VIEWER = Grant(RoleKind.VIEWER)
SYSTEM_ADMIN = Grant(RoleKind.ADMIN)


@pytest.mark.parametrize(
    ("grant", "verb", "project", "stage", "allowed"),
    [
        (None, Verb.ENTER, "", "", False),
        (None, Verb.VIEW, "shop", "", False),
        (VIEWER, Verb.ENTER, "", "", True),
        (VIEWER, Verb.VIEW, "shop", "", True),
        (VIEWER, Verb.VIEW, "bank", "", False),
        (VIEWER, Verb.VIEW, "", "", False),
        (VIEWER, Verb.REFRESH, "shop", "", False),
        (VIEWER, Verb.PROMOTE, "shop", "dev", False),
        (PROMOTER, Verb.VIEW, "shop", "prod", True),
        (PROMOTER, Verb.PROMOTE, "shop", "dev", True),
        (PROMOTER, Verb.PROMOTE, "shop", "devil", False),
        (PROMOTER, Verb.PROMOTE, "shop", "test-a", True),
        (PROMOTER, Verb.PROMOTE, "shop", "prod-eu", True),
        (PROMOTER, Verb.PROMOTE, "shop", "prod-eu-2", False),
        (PROMOTER, Verb.PROMOTE, "bank", "dev", False),
        (PROMOTER, Verb.PROMOTE, "shop", "", False),
        (PROMOTER, Verb.PROMOTE, "", "dev", False),
        (PROMOTER, Verb.APPROVE, "shop", "dev", True),
        (PROMOTER, Verb.VERIFY, "shop", "prod-us", True),
        (PROMOTER, Verb.ABORT, "shop", "prod", False),
        (PROMOTER, Verb.REFRESH, "shop", "", True),
        (PROMOTER, Verb.REFRESH, "shop", "prod", False),
        (PROMOTER, Verb.OVERRIDE, "shop", "dev", False),
        (PROMOTER, Verb.FREEZE, "shop", "dev", False),
        (PROMOTER, Verb.EDIT, "shop", "dev", False),
        (PROMOTER, Verb.ADMIN, "shop", "", False),
        (EVERY_STAGE, Verb.PROMOTE, "shop", "prod", True),
        (EVERY_STAGE, Verb.EDIT, "shop", "prod", False),
        (ADMIN, Verb.EDIT, "shop", "", True),
        (ADMIN, Verb.OVERRIDE, "shop", "prod", True),
        (ADMIN, Verb.ADMIN, "shop", "", True),
        (ADMIN, Verb.VIEW, "bank", "", False),
        (ADMIN, Verb.EDIT, "", "", False),
        (SYSTEM_VIEWER, Verb.VIEW, "", "", True),
        (SYSTEM_VIEWER, Verb.VIEW, "bank", "", True),
        (SYSTEM_VIEWER, Verb.PROMOTE, "bank", "dev", False),
        (SYSTEM_ADMIN, Verb.EDIT, "", "", True),
        (SYSTEM_ADMIN, Verb.ADMIN, "bank", "", True),
    ],
)
def test_a_role_allows_what_it_says_and_no_more(
    grant: Grant | None, verb: Verb, project: str, stage: str, *, allowed: bool
) -> None:
    assert may([grant] if grant else [], verb, project, stage) is allowed


def roles(*declared: dict[str, Any]) -> list[Role]:
    return [ProjectRole.model_validate(role) for role in declared]


def test_a_role_is_for_those_whose_claims_it_names() -> None:
    declared = roles(
        {"name": "devs", "role": "promoter", "stages": ["dev"], "claims": [{"name": "groups", "values": ["devs"]}]},
        {"name": "boss", "role": "admin", "claims": [{"name": "email", "values": ["boss@example.com"]}]},
        {"name": "robot", "role": "viewer", "claims": [{"name": "sub", "values": ["7"]}]},
    )

    def found(claims: Claims) -> list[RoleKind]:
        return [grant.role for grant in bound_to(claims, declared, "shop")]

    assert found(Claims(groups=frozenset({"devs", "others"}))) == [RoleKind.PROMOTER]
    assert found(Claims(email="boss@example.com", subject="7")) == [RoleKind.ADMIN, RoleKind.VIEWER]
    assert found(Claims(email="BOSS@example.com")) == []
    assert found(Claims(subject="devs", email="7")) == []
    assert found(Claims()) == []


def test_a_token_has_the_role_it_was_made_for_as_that_is_now_and_those_that_name_it() -> None:
    declared = roles(
        {"name": "ci", "role": "promoter", "stages": ["dev"]},
        {"name": "robots", "role": "admin", "tokens": ["deployer"]},
    )
    known = with_built_in(declared, "shop")

    assert list(bound_to_token("x", "ci", known, "shop")) == [Grant(RoleKind.PROMOTER, "shop", ("dev",))]
    assert list(bound_to_token("x", "kargo-viewer", known, "shop")) == [Grant(RoleKind.VIEWER, "shop")]
    assert list(bound_to_token("deployer", "gone", known, "shop")) == [Grant(RoleKind.ADMIN, "shop")]
    assert list(bound_to_token("x", "gone", known, "shop")) == []


def problems(kind: str, *declared: dict[str, Any]) -> list[str]:
    if kind == "ProjectConfig":
        config = ProjectConfig.model_validate({"spec": {"roles": list(declared)}})
        return [f"{finding.path}: {finding.message}" for finding in check_project_config(config)]
    cluster = ClusterConfig.model_validate({"spec": {"roles": list(declared)}})
    return [f"{finding.path}: {finding.message}" for finding in check_cluster_config(cluster)]


@pytest.mark.parametrize(
    ("role", "said"),
    [
        ({"name": "Devs", "role": "viewer"}, "can't be the name of a role"),
        ({"name": "kargo-admin", "role": "viewer"}, "must be admin, as the name says"),
        ({"name": "devs", "role": "promoter", "stages": ["regex:("]}, "is not a regular expression"),
        ({"name": "devs", "role": "viewer", "stages": ["dev"]}, "for a promoter only"),
        ({"name": "devs", "role": "viewer", "tokens": ["a/b"]}, "can't be the name of an API token"),
    ],
)
def test_what_can_not_be_right_of_a_role_is_refused(role: dict[str, Any], said: str) -> None:
    (problem,) = problems("ProjectConfig", role)
    assert said in problem


def test_two_roles_can_not_have_one_name() -> None:
    (problem,) = problems("ClusterConfig", {"name": "a", "role": "viewer"}, {"name": "a", "role": "admin"})
    assert "roles[0] has the name a already" in problem


@pytest.mark.parametrize(
    ("kind", "line", "field"),
    [
        ("ProjectConfig", "{name: a, role: owner}", "role"),
        ("ProjectConfig", "{name: a, role: viewer, users: [x]}", "users"),
        ("ProjectConfig", "{name: a, role: viewer, claims: [{name: phone, values: ['1']}]}", "name"),
        ("ProjectConfig", "{name: a, role: viewer, claims: [{name: email, values: []}]}", "values"),
        ("ClusterConfig", "{name: a, role: promoter}", "role"),
        ("ClusterConfig", "{name: a, role: admin, stages: [dev]}", "stages"),
    ],
)
def test_unknown_words_in_a_role_are_errors_that_name_the_field(kind: str, line: str, field: str) -> None:
    name = "{name: shop, namespace: shop}" if kind == "ProjectConfig" else "{name: cluster}"
    text = f"apiVersion: kargo.akuity.io/v1alpha1\nkind: {kind}\nmetadata: {name}\nspec: {{roles: [{line}]}}\n"
    _, found = load(text, "config.yaml")
    assert any(field in str(problem) for problem in found), found


def test_a_system_role_is_no_promoter() -> None:
    with pytest.raises(ValueError, match="viewer"):
        SystemRole.model_validate({"name": "x", "role": "promoter"})
