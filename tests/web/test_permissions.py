"""Who may: every path of the application, asked by somebody of every role."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any, cast

import httpx
from starlette.routing import BaseRoute

from model.api_tokens import ApiToken
from model.roles import Grant, RoleKind, Verb, may
from starter.client import Towpath
from starter.errors import WorkerSilent
from tests.web.access.village import Village, bearer, settings
from web.access.roster import hash_token
from web.app import build_app

#: For which nobody has to be known, each for a reason of its own.
OPEN = {
    "GET /healthz": "says nothing but that it lives",
    "GET /": "leads to the Projects",
    "GET /login": "asks for a password",
    "POST /auth/login": "takes it",
    "GET /auth/oidc": "leads to the provider",
    "GET /auth/callback": "comes from there",
    "POST /auth/logout": "forgets a session",
    "GET /openapi.json": "describes the API, as the documentation does",
    "GET /v1beta1/system/public-server-config": "says how to log in",
    "POST /v1beta1/login": "takes a password",
    "POST /webhooks/{type}/{hash}": "knows its senders by itself",
}
#: What these ask for depends on the manifests: test_manifests_are_allowed_one_by_one.
BY_MANIFEST = {f"{method} /v1beta1/resources" for method in ("POST", "PUT", "DELETE")}


@dataclass(frozen=True)
class Asked:
    """What a path asks for."""

    verb: Verb
    of: str

    def allows(self, grants: Sequence[Grant], stage: str) -> bool:
        project = "" if self.of == "system" else "shop"
        return may(grants, self.verb, project, stage if self.of == "stage" else "")


def table() -> dict[str, Asked]:
    """Method and path, and what they ask for."""
    found: dict[str, Asked] = {}
    heading = Asked(Verb.ENTER, "")
    for line in (Path(__file__).parent / "permissions.txt").read_text().splitlines():
        if line.startswith("    "):
            assert line.strip() not in found, line
            found[line.strip()] = heading
        elif line and not line.startswith("#"):
            verb, of = line.split()
            heading = Asked(Verb(verb), of)
    return found


def routes(of: Sequence[BaseRoute], prefix: str = "") -> Iterator[str]:
    """Method and path of all that an application answers, whatever it includes or mounts."""
    for route in of:
        included = getattr(route, "original_router", None)
        if included is not None:
            yield from routes(included.routes, prefix + cast(Any, route).include_context.prefix)
            continue
        path, methods = prefix + getattr(route, "path", ""), getattr(route, "methods", None)
        if methods:
            yield from (f"{method} {path}" for method in sorted(methods - {"HEAD"}))
        elif getattr(route, "routes", None):
            yield from routes(cast(Any, route).routes, path)
        else:
            yield f"MOUNT {path}"


class Mute(Village):
    """Knows roles and tokens, and is silent about everything else: what is allowed fails later."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        async def silent(*_: object, **__: object) -> None:
            raise WorkerSilent("nobody answered")

        return silent


def grants(*found: Grant) -> list[Grant]:
    return list(found)


ROLES = {
    "nobody": grants(),
    "viewer": grants(Grant(RoleKind.VIEWER, "shop")),
    "promoter": grants(Grant(RoleKind.PROMOTER, "shop", ("dev",))),
    "admin": grants(Grant(RoleKind.ADMIN, "shop")),
    "elsewhere": grants(Grant(RoleKind.ADMIN, "bank")),
    "system-viewer": grants(Grant(RoleKind.VIEWER)),
    "system-admin": grants(Grant(RoleKind.ADMIN)),
}
#: Of each role's token: its owner, and the role it was made for.
MADE_FOR = {
    "nobody": ("shop", "gone"),
    "viewer": ("shop", "kargo-viewer"),
    "promoter": ("shop", "devs"),
    "admin": ("shop", "kargo-admin"),
    "elsewhere": ("bank", "kargo-admin"),
    "system-viewer": ("", "kargo-viewer"),
    "system-admin": ("", "kargo-admin"),
}


def town() -> Mute:
    found = Mute()
    found.project("shop", {"name": "devs", "role": "promoter", "stages": ["dev"]})
    found.project("bank")
    now = datetime.now(UTC)
    for name, (owner, role) in MADE_FOR.items():
        token = ApiToken(
            name=name, role=role, hash=hash_token(f"towpath_{name}"), created_at=now, expires_at=now + timedelta(1)
        )
        found.tokens.setdefault(owner, []).append(token)
    return found


class Asking(httpx.AsyncClient):
    """Before the application, with the lines of the table that it answers."""

    def __init__(self, tmp_path: Path) -> None:
        app = build_app(cast(Towpath, town()), settings(tmp_path))
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        super().__init__(transport=transport, base_url="http://127.0.0.1")
        found = set(routes(app.routes))
        self.table = {route: asked for route, asked in table().items() if route in found}


async def ask(asking: httpx.AsyncClient, route: str, stage: str, headers: dict[str, str]) -> httpx.Response:
    method, path = route.split()
    url = path.replace("{project}", "shop").replace("{stage}", stage)
    url = re.sub(r"/promotions/\{\w+\}", f"/promotions/{stage}.01.abcdefg", url)
    url = re.sub(r"\{\w+\}", "x", url)
    body: dict[str, Any] = {}
    if method in ("POST", "PUT", "PATCH"):
        body = {"json": {}} if path.startswith("/v1beta1") else {"data": {"stage": stage}}
    return await asking.request(method, url, headers=headers, **body)


def test_every_path_has_a_line_and_every_line_a_path(tmp_path: Path) -> None:
    app = build_app(cast(Towpath, town()), settings(tmp_path))
    found = set(routes(app.routes))
    static = {route for route in found if route.startswith("MOUNT ")}
    assert static <= {"MOUNT /static"}
    expected = set(table()) | set(OPEN) | BY_MANIFEST
    assert found - static - expected == set(), "say in permissions.txt which verb they ask for"
    assert expected - found == set(), "these are gone: take them out of permissions.txt"


async def test_who_is_not_known_gets_nothing(tmp_path: Path) -> None:
    async with Asking(tmp_path) as asking:
        for number, route in enumerate([*asking.table, *BY_MANIFEST]):
            headers = ({}, bearer("towpath_unknown"), bearer("a.b.c"))[number % 3]
            answer = await ask(asking, route, "dev", headers)
            led = answer.status_code == 303 and answer.headers["location"].startswith("/login")
            assert answer.status_code == 401 or (led and not route.split()[1].startswith("/v1beta1")), route


async def test_every_path_lets_in_whom_it_should_and_nobody_else(tmp_path: Path) -> None:
    wrong = []
    async with Asking(tmp_path) as asking:
        for role, held in ROLES.items():
            for route, asked in asking.table.items():
                # Of other roles a Stage is like any other.
                for stage in ("dev", "prod") if asked.of == "stage" and role == "promoter" else ("dev",):
                    answer = await ask(asking, route, stage, bearer(f"towpath_{role}"))
                    assert answer.status_code != 401, route
                    if (answer.status_code != 403) is not asked.allows(held, stage):
                        wrong.append(f"{role}: {route} of {stage}: {answer.status_code}, but it asks to {asked.verb}")
    assert wrong == []


def manifest(kind: str, name: str = "x", **metadata: str) -> dict[str, Any]:
    version = "argoproj.io/v1alpha1" if "Analysis" in kind else "kargo.akuity.io/v1alpha1"
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, **metadata}}


#: A manifest, and who may send it.
MANIFESTS = [
    (manifest("Stage", namespace="shop"), {"admin", "system-admin"}),
    (manifest("ProjectConfig", "shop", namespace="shop"), {"admin", "system-admin"}),
    (manifest("Project", "shop"), {"admin", "system-admin"}),
    (manifest("Project", "new"), {"system-admin"}),
    (manifest("Project", "new", namespace="shop"), {"system-admin"}),
    (manifest("Stage", namespace="bank"), {"elsewhere", "system-admin"}),
    (manifest("Stage"), {"system-admin"}),
    (manifest("ClusterConfig", "cluster"), {"system-admin"}),
    (manifest("ClusterConfig", "cluster", namespace="shop"), {"system-admin"}),
    (manifest("ClusterPromotionTask", namespace="shop"), {"system-admin"}),
    (manifest("ClusterAnalysisTemplate", namespace="shop"), {"system-admin"}),
    ({**manifest("Promotion", namespace="shop"), "spec": {"stage": "dev"}}, {"promoter", "admin", "system-admin"}),
    ({**manifest("Promotion", namespace="shop"), "spec": {"stage": "prod"}}, {"admin", "system-admin"}),
    (manifest("Secret", namespace="shop"), {"admin", "system-admin"}),
]


async def test_manifests_are_allowed_one_by_one(tmp_path: Path) -> None:
    own, wrong = manifest("Warehouse", namespace="shop"), []
    async with Asking(tmp_path) as asking:
        for (sent, allowed), role in product(MANIFESTS, ROLES):
            for method in ("POST", "PUT", "DELETE"):
                # Nor does one that may be sent let in another that may not.
                body = [own, sent] if role == "admin" else [sent]
                answer = await asking.request(
                    method, "/v1beta1/resources", json=body, headers=bearer(f"towpath_{role}")
                )
                if (answer.status_code != 403) is not (role in allowed):
                    wrong.append((role, method, sent, answer.status_code))
    assert wrong == []
