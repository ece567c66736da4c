"""Every endpoint that Kargo's clients may ask for is there."""

from __future__ import annotations

import re

from web.api.reference import document

#: Of Kargo's REST API v1beta1: methods and path, names of parameters left out.
KARGO = """
POST /login
GET /projects
DELETE GET /projects/{}
GET /projects/{}/analysis-runs/{}
GET /projects/{}/analysis-runs/{}/logs
GET /projects/{}/analysis-templates
DELETE GET /projects/{}/analysis-templates/{}
GET /projects/{}/api-tokens
DELETE GET /projects/{}/api-tokens/{}
DELETE GET /projects/{}/config
POST /projects/{}/config/refresh
GET POST /projects/{}/configmaps
DELETE GET PATCH PUT /projects/{}/configmaps/{}
GET /projects/{}/events
GET /projects/{}/freight
DELETE GET /projects/{}/freight/{}
PATCH /projects/{}/freight/{}/alias
POST /projects/{}/freight/{}/approve
GET /projects/{}/freight/{}/links
GET POST /projects/{}/generic-credentials
DELETE GET PATCH PUT /projects/{}/generic-credentials/{}
GET /projects/{}/images
GET /projects/{}/promotion-tasks
GET /projects/{}/promotion-tasks/{}
GET /projects/{}/promotions
GET /projects/{}/promotions/{}
POST /projects/{}/promotions/{}/abort
POST /projects/{}/promotions/{}/refresh
GET POST /projects/{}/repo-credentials
DELETE GET PATCH PUT /projects/{}/repo-credentials/{}
GET POST /projects/{}/roles
POST /projects/{}/roles/grants
POST /projects/{}/roles/revocations
DELETE GET PUT /projects/{}/roles/{}
POST /projects/{}/roles/{}/api-tokens
GET /projects/{}/stages
DELETE GET /projects/{}/stages/{}
GET /projects/{}/stages/{}/links
POST /projects/{}/stages/{}/promotions
POST /projects/{}/stages/{}/promotions/downstream
POST /projects/{}/stages/{}/refresh
POST /projects/{}/stages/{}/verification
POST /projects/{}/stages/{}/verification/abort
GET /projects/{}/warehouses
DELETE GET /projects/{}/warehouses/{}
POST /projects/{}/warehouses/{}/refresh
DELETE POST PUT /resources
GET /shared/cluster-analysis-templates
DELETE GET /shared/cluster-analysis-templates/{}
GET /shared/cluster-promotion-tasks
GET /shared/cluster-promotion-tasks/{}
GET POST /shared/configmaps
DELETE GET PATCH PUT /shared/configmaps/{}
GET POST /shared/generic-credentials
DELETE GET PATCH PUT /shared/generic-credentials/{}
GET POST /shared/repo-credentials
DELETE GET PATCH PUT /shared/repo-credentials/{}
GET /system/api-tokens
DELETE GET /system/api-tokens/{}
DELETE GET /system/cluster-config
POST /system/cluster-config/refresh
GET POST /system/configmaps
DELETE GET PATCH PUT /system/configmaps/{}
GET /system/controller-heartbeats
GET POST /system/generic-credentials
DELETE GET PATCH PUT /system/generic-credentials/{}
GET /system/public-server-config
GET /system/roles
GET /system/roles/{}
POST /system/roles/{}/api-tokens
GET /system/server-config
GET /system/server-version
"""


def test_every_path_of_kargo_is_answered() -> None:
    ours = {
        (method.upper(), re.sub(r"\{[^}]+\}", "{}", path).removeprefix("/v1beta1"))
        for path, operations in document()["paths"].items()
        for method in operations
    }
    wanted = set()
    for line in KARGO.split("\n"):
        *methods, path = line.split() or [""]
        wanted |= {(method, path) for method in methods}
    assert len(wanted) > 100
    assert wanted - ours == set()
