"""Resources keep Kargo's field names and defaults, and show themselves as they were written."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import ValidationError

from model.base import Json
from model.references import FreightOrigin
from model.resources import KINDS, Freight, Resource, Secret, Stage, Warehouse

ORIGIN = {"kind": "Warehouse", "name": "guestbook"}
STEPS = [
    {"uses": "git-clone", "as": "clone", "if": "${{ always() }}", "config": {"depth": 0, "note": "", "none": None}}
]

WRITTEN: list[dict[str, Json]] = [
    {"apiVersion": "kargo.akuity.io/v1alpha1", "kind": "Project", "metadata": {"name": "shop"}},
    {
        "apiVersion": "kargo.akuity.io/v1alpha1",
        "kind": "ProjectConfig",
        "metadata": {"name": "shop", "namespace": "shop"},
        "spec": {
            "promotionPolicies": [
                {"stage": "dev", "autoPromotionEnabled": True},
                {
                    "stageSelector": {"name": "glob:uat-*", "matchLabels": {"tier": "uat"}},
                    "autoRollback": {"onPromotion": ["Failed"]},
                },
            ],
            "webhookReceivers": [{"name": "hub", "github": {"secretRef": {"name": "hub"}}}],
            "promotionWindows": [{"name": "night", "kind": "Deny", "rrule": "FREQ=DAILY"}],
            "stageLinks": [{"title": "Logs", "url": "${{ 1 }}", "if": "true"}],
        },
    },
    {
        "apiVersion": "kargo.akuity.io/v1alpha1",
        "kind": "ClusterConfig",
        "metadata": {"name": "cluster"},
        "spec": {"gitClient": {"name": "Bot", "email": "bot@example.com", "signingKeySecret": {"name": "key"}}},
    },
    {
        "apiVersion": "kargo.akuity.io/v1alpha1",
        "kind": "Warehouse",
        "metadata": {"name": "guestbook", "namespace": "shop"},
        "spec": {
            "interval": "1m30s",
            "freightCreationPolicy": "Manual",
            "subscriptions": [
                {
                    "git": {
                        "repoURL": "https://git.example.com/shop.git",
                        "commitSelectionStrategy": "NewestTag",
                        "strictSemvers": False,
                        "insecureSkipTLSVerify": True,
                        "since": "2026-01-02T03:04:05Z",
                        "blobless": True,
                        "discoveryLimit": 7,
                    }
                },
                {
                    "name": "app",
                    "image": {
                        "repoURL": "registry.example.com/app",
                        "imageSelectionStrategy": "SemVer",
                        "strictSemvers": True,
                        "allowTagsRegexes": ["^1"],
                        "discoveryLimit": 20,
                    },
                },
                {"chart": {"repoURL": "oci://registry.example.com/chart", "discoveryLimit": 20}},
                {"name": "models", "s3": {"config": {"bucket": ""}, "discoveryLimit": 20}},
            ],
        },
    },
    {
        "apiVersion": "kargo.akuity.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": "uat", "namespace": "shop", "labels": {"tier": "uat"}},
        "spec": {
            "vars": [{"name": "region", "value": "west"}],
            "requestedFreight": [
                {
                    "origin": ORIGIN,
                    "sources": {"stages": ["dev"], "requiredSoakTime": "48h0m0s", "availabilityStrategy": "All"},
                }
            ],
            "promotionTemplate": {"spec": {"steps": [*STEPS, {"task": {"name": "t", "kind": "ClusterPromotionTask"}}]}},
            "verification": {
                "analysisTemplates": [{"name": "load", "kind": "AnalysisTemplate"}],
                "analysisRunMetadata": {"labels": {"a": "b"}},
                "args": [{"name": "url", "value": "x"}],
            },
        },
    },
    {
        "apiVersion": "kargo.akuity.io/v1alpha1",
        "kind": "PromotionTask",
        "metadata": {"name": "t", "namespace": "shop"},
        "spec": {"vars": [{"name": "repoURL"}], "steps": STEPS},
    },
    {
        "apiVersion": "kargo.akuity.io/v1alpha1",
        "kind": "ClusterPromotionTask",
        "metadata": {"name": "t"},
        "spec": {"steps": [{"uses": "x", "retry": {"timeout": "5m0s", "errorThreshold": 3}, "continueOnError": True}]},
    },
    {
        "apiVersion": "kargo.akuity.io/v1alpha1",
        "kind": "Freight",
        "metadata": {"name": "540d", "namespace": "shop"},
        "alias": "wise-otter",
        "discoveredAt": "2026-01-02T03:04:05Z",
        "origin": ORIGIN,
        "commits": [{"repoURL": "https://git.example.com/shop.git", "id": "abc"}],
        "images": [{"repoURL": "registry.example.com/app", "tag": "1.0.0", "digest": "sha256:0"}],
        "status": {
            "currentlyIn": {"dev": {"since": "2026-01-02T03:04:05Z"}},
            "verifiedIn": {"dev": {"verifiedAt": "2026-01-02T03:04:05Z", "longestSoak": "1h0m0s"}},
            "approvedFor": {"prod": {"approvedAt": "2026-01-02T03:04:05Z"}},
            "metadata": {"build": {"id": 0}},
        },
    },
    {
        "apiVersion": "kargo.akuity.io/v1alpha1",
        "kind": "Promotion",
        "metadata": {"name": "dev.01.540d", "namespace": "shop"},
        "spec": {"stage": "dev", "freight": "540d", "steps": STEPS},
        "status": {
            "phase": "Running",
            "currentStep": 1,
            "stepExecutionMetadata": [{"alias": "clone", "status": "Succeeded"}],
            "state": {"clone": {"commits": {}}},
        },
    },
    {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": {"name": "load", "namespace": "shop"},
        "spec": {
            "args": [
                {"name": "url"},
                {"name": "token", "valueFrom": {"secretKeyRef": {"name": "api", "key": "token"}}},
            ],
            "metrics": [
                {
                    "name": "load",
                    "count": "{{args.count}}",
                    "failureLimit": -1,
                    "consecutiveSuccessLimit": 3,
                    "provider": {
                        "web": {
                            "method": "POST",
                            "url": "{{args.url}}",
                            "jsonPath": "{$.load}",
                            "jsonBody": {"q": ""},
                            "authentication": {"oauth2": {"tokenUrl": "https://auth.example.com", "clientId": "me"}},
                        }
                    },
                }
            ],
            "dryRun": [{"metricName": ".*"}],
            "measurementRetention": [{"metricName": "load", "limit": 3}],
        },
    },
    {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "ClusterAnalysisTemplate",
        "metadata": {"name": "load"},
        "spec": {"metrics": [{"name": "load", "provider": {"newRelic": {"query": "x"}}}]},
    },
    {
        "apiVersion": "ee.kargo.akuity.io/v1alpha1",
        "kind": "MessageChannel",
        "metadata": {"name": "hook", "namespace": "shop"},
        "spec": {
            "secretRef": {"name": "hook", "namespace": "elsewhere"},
            "http": {
                "url": "https://hooks.example.com/notify",
                "method": "PUT",
                "headers": [{"name": "Content-Type", "value": "application/json"}],
                "queryParams": [{"name": "source", "value": "kargo"}],
                "timeout": "30s",
                "insecureSkipTLSVerify": True,
                "successExpression": "response.status >= 200 && response.status < 300",
                "failureExpression": "response.status >= 400",
            },
        },
    },
    {
        "apiVersion": "ee.kargo.akuity.io/v1alpha1",
        "kind": "ClusterMessageChannel",
        "metadata": {"name": "mail"},
        "spec": {
            "secretRef": {"name": "mail"},
            "smtp": {
                "from": "no-reply@example.com",
                "to": ["you@example.com"],
                "host": "mail.example.com",
                "port": 587,
                "useTLS": True,
                "insecureSkipVerify": True,
            },
        },
    },
    {
        "apiVersion": "ee.kargo.akuity.io/v1alpha1",
        "kind": "MessageChannel",
        "metadata": {"name": "team", "namespace": "shop"},
        "spec": {"secretRef": {"name": "slack"}, "slack": {"channelID": "C1234567890"}},
    },
    {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s", "namespace": "shop"},
        "type": "Opaque",
        "data": {"a": "eA=="},
    },
    {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "shop"}, "data": {"a": "x"}},
]


def _read(manifest: dict[str, Json]) -> Resource:
    return KINDS[manifest["apiVersion"], manifest["kind"]].model_validate(manifest)


def _ids(manifest: dict[str, Json]) -> str:
    return str(manifest["kind"])


def _within(part: Json, whole: Json) -> bool:
    """Whether everything in `part` stands in `whole`, which may have defaults besides."""
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(key in whole and _within(value, whole[key]) for key, value in part.items())
    if isinstance(part, list) and isinstance(whole, list):
        return len(part) == len(whole) and all(_within(a, b) for a, b in zip(part, whole, strict=True))
    return bool(part == whole)


def test_every_kind_is_among_the_cases() -> None:
    assert {(case["apiVersion"], case["kind"]) for case in WRITTEN} == set(KINDS)


@pytest.mark.parametrize("manifest", WRITTEN, ids=_ids)
def test_a_resource_is_shown_with_all_that_was_written(manifest: dict[str, Json]) -> None:
    shown = _read(manifest).shown()
    assert _within(manifest, shown), shown
    assert _read(shown).shown() == shown


@pytest.mark.parametrize("manifest", WRITTEN, ids=_ids)
def test_a_resource_survives_being_sent(manifest: dict[str, Json]) -> None:
    resource = _read(manifest)
    assert type(resource).model_validate_json(resource.model_dump_json()) == resource
    assert type(resource).model_validate_json(resource.model_dump_json(by_alias=True)) == resource


def test_nothing_empty_is_shown() -> None:
    stage = Stage.model_validate({"metadata": {"name": "prod"}, "spec": {"requestedFreight": [{"origin": ORIGIN}]}})
    assert stage.shown() == {
        "apiVersion": "kargo.akuity.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": "prod"},
        "spec": {"requestedFreight": [{"origin": ORIGIN, "sources": {"availabilityStrategy": "OneOf"}}]},
    }


def test_defaults_are_those_of_kargo() -> None:
    warehouse = Warehouse.model_validate(
        {
            "metadata": {"name": "w"},
            "spec": {
                "subscriptions": [{"git": {"repoURL": "a"}}, {"image": {"repoURL": "b", "discoveryLimit": 0}}],
            },
        }
    )
    git, image = warehouse.spec.subscriptions
    assert warehouse.spec.interval == timedelta(minutes=5)
    assert warehouse.spec.freight_creation_policy == "Automatic"
    assert git.git is not None
    assert git.git.commit_selection_strategy == "NewestFromBranch"
    assert image.image is not None
    assert image.image.image_selection_strategy == "SemVer"
    assert (git.git.strict_semvers, image.image.strict_semvers) == (True, True)
    assert (git.git.discovery_limit, image.image.discovery_limit) == (20, 20)
    assert [repo.kind for repo in warehouse.spec.repos()] == ["git", "image"]


@pytest.mark.parametrize(
    ("subscription", "message"),
    [
        ({}, "it has none"),
        ({"name": "a"}, "it has none"),
        ({"git": {"repoURL": "a"}, "image": {"repoURL": "b"}}, "it has git, image"),
        ({"git": {"repoURL": ""}}, "at least 1 character"),
        ({"git": {"repoURL": "a", "discoveryLimit": 101}}, "less than or equal to 100"),
    ],
)
def test_a_subscription_is_to_exactly_one_thing(subscription: dict[str, Json], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Warehouse.model_validate({"metadata": {"name": "w"}, "spec": {"subscriptions": [subscription]}})


@pytest.mark.parametrize("soak", ["-1h", "500ms", "1d", "soon", ""])
def test_soak_time_is_hours_minutes_and_seconds(soak: str) -> None:
    request = {"origin": ORIGIN, "sources": {"stages": ["dev"], "requiredSoakTime": soak}}
    with pytest.raises(ValidationError, match="expected a duration like 30s"):
        Stage.model_validate({"metadata": {"name": "s"}, "spec": {"requestedFreight": [request]}})


def test_a_stage_without_steps_is_control_flow() -> None:
    spec: dict[str, Json] = {
        "requestedFreight": [{"origin": ORIGIN, "sources": {"stages": ["a", "b"]}}],
    }
    assert Stage.model_validate({"spec": spec}).control_flow
    assert Stage.model_validate({"spec": spec | {"promotionTemplate": {"spec": {"steps": []}}}}).control_flow
    stage = Stage.model_validate({"spec": spec | {"promotionTemplate": {"spec": {"steps": STEPS}}}})
    assert not stage.control_flow
    assert stage.upstreams() == ["a", "b"]
    assert stage.request(FreightOrigin(name="guestbook")) is stage.spec.requested_freight[0]
    assert stage.request(FreightOrigin(name="other")) is None


def test_freight_is_referred_to_with_all_its_artifacts() -> None:
    freight = Freight.model_validate(next(case for case in WRITTEN if case["kind"] == "Freight"))
    reference = freight.reference()
    assert reference.name == "540d"
    assert reference.commits == freight.commits
    assert reference.images == freight.images


def test_a_secret_decodes_its_values_and_never_shows_them() -> None:
    secret = Secret.model_validate({"data": {"a": "aHVudGVy"}, "stringData": {"b": "plain", "a": "wins"}})
    assert secret.values() == {"a": b"wins", "b": b"plain"}
    assert "aHVudGVy" not in repr(secret)
    assert "plain" not in repr(secret)


def test_a_secret_that_is_refused_does_not_show_its_values() -> None:
    with pytest.raises(ValidationError, match="the value of password is not base64") as refused:
        Secret.model_validate({"data": {"password": "open-sesame!"}, "stringData": {"b": 7}})
    assert "open-sesame" not in str(refused.value)
