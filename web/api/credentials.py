"""Credentials: names, labels and addresses are read, values only written.

They lie where the workers read them, in the credentials directory. Shapes are Kargo's (pkg/server/*_credentials.go).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal
from urllib.parse import urlsplit, urlunsplit

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from credentials.directory import CREDENTIAL_LABEL, CredentialKind
from credentials.store import Entry
from model.base import Json, field_name, format_time
from model.resources.metadata import ObjectMeta
from model.resources.secret import Secret
from web.api.places import (
    DESCRIPTION,
    REDACTED,
    Changing,
    Place,
    PlaceRouter,
    Reading,
    Scope,
    described,
    stored,
)

#: Of repositories, and the others.
REPOSITORIES = (CredentialKind.GIT, CredentialKind.HELM, CredentialKind.IMAGE)
GENERIC = (CredentialKind.GENERIC,)

Text = Annotated[str, Field(max_length=64 * 1024)]
Values = Annotated[dict[str, str], Field(max_length=1000)]


class _Body(BaseModel):
    """Unknown fields are errors, and no error repeats what was sent."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, alias_generator=field_name)


class RepoCredentials(_Body):
    """What replaces credentials for a repository: all of it."""

    type: Literal["git", "helm", "image"]
    repo_url: Text = Field(min_length=1, alias="repoUrl")
    repo_url_is_regex: bool = Field(default=False, alias="repoUrlIsRegex")
    username: Text = Field(min_length=1, repr=False)
    password: Text = Field(min_length=1, repr=False)
    description: Text = ""


class NewRepoCredentials(RepoCredentials):
    """Credentials for a repository."""

    name: str


class RepoCredentialsPatch(_Body):
    """Changes to credentials for a repository: what is empty stays as it is. An empty description is deleted."""

    type: Literal["", "git", "helm", "image"] = ""
    repo_url: Text = Field(default="", alias="repoUrl")
    repo_url_is_regex: bool = Field(default=False, alias="repoUrlIsRegex")
    username: Text = ""
    password: Text = Field(default="", repr=False)
    description: Text | None = None


class GenericCredentials(_Body):
    """What replaces generic credentials. A key that is sent empty keeps its value, one that isn't sent is deleted."""

    data: Values = Field(min_length=1, repr=False)
    description: Text = ""
    replicate: bool = False


class NewGenericCredentials(GenericCredentials):
    """Generic credentials, for `secret()` and `sharedSecret()`."""

    name: str
    type: str = Field(default="", max_length=253)


class GenericCredentialsPatch(_Body):
    """Changes to generic credentials: keys to set, and keys to remove."""

    data: Values = Field(default_factory=dict, repr=False)
    remove_keys: list[str] = Field(default_factory=list, max_length=1000)
    description: Text | None = None


def routers() -> list[APIRouter]:
    """Those of Projects, of what is shared, and of the system, which has no repositories."""
    made: list[APIRouter] = []
    for scope in Scope:
        router = PlaceRouter(scope, "Credentials")
        if scope is not Scope.SYSTEM:
            router.add("GET", "/repo-credentials", list_repo_credentials)
            router.add("POST", "/repo-credentials", create_repo_credentials, 201)
            router.add("GET", "/repo-credentials/{name}", get_repo_credentials)
            router.add("PUT", "/repo-credentials/{name}", update_repo_credentials)
            router.add("PATCH", "/repo-credentials/{name}", patch_repo_credentials)
            router.add("DELETE", "/repo-credentials/{name}", delete_repo_credentials, 204)
        router.add("GET", "/generic-credentials", list_generic_credentials)
        router.add("POST", "/generic-credentials", create_generic_credentials, 201)
        router.add("GET", "/generic-credentials/{name}", get_generic_credentials)
        router.add("PUT", "/generic-credentials/{name}", update_generic_credentials)
        router.add("PATCH", "/generic-credentials/{name}", patch_generic_credentials)
        router.add("DELETE", "/generic-credentials/{name}", delete_generic_credentials, 204)
        made.append(router)
    return made


async def list_repo_credentials(place: Reading) -> Response:
    """Credentials for repositories, without their values."""
    return await _list(place, REPOSITORIES)


async def create_repo_credentials(place: Changing, body: NewRepoCredentials) -> Response:
    """Store credentials for a repository."""
    return await _create(place, _repo_secret(body.name, body))


async def get_repo_credentials(place: Reading, name: str) -> Response:
    """Credentials for one repository, without their values."""
    return await _get(place, name, REPOSITORIES)


async def update_repo_credentials(place: Changing, name: str, body: RepoCredentials) -> Response:
    """Replace credentials for a repository."""

    def change(held: Secret) -> Secret:
        _is_of(held, REPOSITORIES)
        fresh = _repo_secret(name, body)
        annotations = described(held.metadata.annotations, body.description)
        labels = held.metadata.labels | fresh.metadata.labels
        fresh.metadata = held.metadata.model_copy(update={"labels": labels, "annotations": annotations})
        return fresh

    return await _change(place, name, change)


async def patch_repo_credentials(place: Changing, name: str, body: RepoCredentialsPatch) -> Response:
    """Change credentials for a repository."""

    def change(held: Secret) -> Secret:
        _is_of(held, REPOSITORIES)
        values = _values(held)
        if body.repo_url:
            values["repoURL"] = body.repo_url
            values.pop("repoURLIsRegex", None)
            if body.repo_url_is_regex:
                values["repoURLIsRegex"] = "true"
        values |= {key: sent for key in ("username", "password") if (sent := getattr(body, key))}
        held.string_data, held.data = values, {}
        if body.type:
            held.metadata.labels[CREDENTIAL_LABEL] = body.type
        held.metadata.annotations = described(held.metadata.annotations, body.description)
        return held

    return await _change(place, name, change)


async def delete_repo_credentials(place: Changing, name: str) -> Response:
    """Delete credentials for a repository."""
    return await _delete(place, name, REPOSITORIES)


async def list_generic_credentials(place: Reading) -> Response:
    """Generic credentials, without their values."""
    return await _list(place, GENERIC)


async def create_generic_credentials(place: Changing, body: NewGenericCredentials) -> Response:
    """Store generic credentials."""
    no_replicas(replicate=body.replicate)
    secret = Secret(type=body.type or "Opaque", string_data=body.data)
    secret.metadata = _metadata(body.name, CredentialKind.GENERIC, body.description)
    return await _create(place, secret)


async def get_generic_credentials(place: Reading, name: str) -> Response:
    """Generic credentials of one name, without their values."""
    return await _get(place, name, GENERIC)


async def update_generic_credentials(place: Changing, name: str, body: GenericCredentials) -> Response:
    """Replace generic credentials."""
    no_replicas(replicate=body.replicate)

    def change(held: Secret) -> Secret:
        _is_of(held, GENERIC)
        before = _values(held)
        kept = {key: value or before.get(key, "") for key, value in body.data.items()}
        held.string_data, held.data = {key: value for key, value in kept.items() if value}, {}
        held.metadata.annotations = described(held.metadata.annotations, body.description)
        return _not_empty(held)

    return await _change(place, name, change)


async def patch_generic_credentials(place: Changing, name: str, body: GenericCredentialsPatch) -> Response:
    """Change generic credentials."""

    def change(held: Secret) -> Secret:
        _is_of(held, GENERIC)
        kept = {key: value for key, value in _values(held).items() if key not in body.remove_keys}
        held.string_data, held.data = kept | body.data, {}
        held.metadata.annotations = described(held.metadata.annotations, body.description)
        return _not_empty(held)

    return await _change(place, name, change)


async def delete_generic_credentials(place: Changing, name: str) -> Response:
    """Delete generic credentials."""
    return await _delete(place, name, GENERIC)


async def _list(place: Place, kinds: tuple[CredentialKind, ...]) -> Response:
    entries = await stored(place, "Secret", place.shelf(Secret).list)
    items = [_shown(entry, place) for entry in entries if _kind(entry.manifest) in kinds]
    return JSONResponse({"apiVersion": "v1", "kind": "SecretList", "metadata": {}, "items": items})


async def _get(place: Place, name: str, kinds: tuple[CredentialKind, ...]) -> Response:
    entry = await stored(place, f"Secret/{name}", lambda: place.shelf(Secret).get(name))
    _is_of(entry.manifest, kinds)
    return JSONResponse(_shown(entry, place))


async def _create(place: Place, secret: Secret) -> Response:
    entry = await stored(place, f"Secret/{secret.name}", lambda: place.shelf(Secret).create(secret))
    return JSONResponse(_shown(entry, place), 201)


async def _change(place: Place, name: str, change: Callable[[Secret], Secret]) -> Response:
    entry = await stored(place, f"Secret/{name}", lambda: place.shelf(Secret).change(name, change))
    return JSONResponse(_shown(entry, place))


async def _delete(place: Place, name: str, kinds: tuple[CredentialKind, ...]) -> Response:
    await stored(place, f"Secret/{name}", lambda: place.shelf(Secret).delete(name, lambda held: _is_of(held, kinds)))
    return Response(status_code=204)


def _repo_secret(name: str, body: RepoCredentials) -> Secret:
    values = {"repoURL": body.repo_url, "username": body.username, "password": body.password}
    if body.repo_url_is_regex:
        values["repoURLIsRegex"] = "true"
    secret = Secret(string_data=values)
    secret.metadata = _metadata(name, CredentialKind(body.type), body.description)
    return secret


def _metadata(name: str, kind: CredentialKind, description: str) -> ObjectMeta:
    annotations = {DESCRIPTION: description} if description else {}
    return ObjectMeta(name=name, labels={CREDENTIAL_LABEL: kind.value}, annotations=annotations)


def _values(secret: Secret) -> dict[str, str]:
    try:
        return {key: value.decode() for key, value in secret.values().items()}
    except UnicodeDecodeError:
        raise HTTPException(409, f"Secret {secret.name} holds what is not text; replace its file by hand") from None


def _kind(secret: Secret) -> CredentialKind | None:
    label = secret.metadata.labels.get(CREDENTIAL_LABEL)
    return CredentialKind(label) if label in list(CredentialKind) else None


def _is_of(secret: Secret, kinds: tuple[CredentialKind, ...]) -> None:
    """Raises HTTPException where it is a Secret of another kind, as Kargo does."""
    if _kind(secret) not in kinds:
        wanted = ", ".join(kinds)
        raise HTTPException(409, f"Secret {secret.name} exists, but its label {CREDENTIAL_LABEL} is not {wanted}")


def _not_empty(secret: Secret) -> Secret:
    if not secret.string_data:
        raise HTTPException(400, "a Secret without any key would be left: delete it instead")
    return secret


def no_replicas(*, replicate: bool) -> None:
    """Raises HTTPException: Kargo copies into Projects, which all read what is shared here."""
    if replicate:
        raise HTTPException(
            400, "replicate is not supported: all Projects read what is shared, by sharedSecret() and sharedConfigMap()"
        )


def _shown(entry: Entry[Secret], place: Place) -> dict[str, Json]:
    """Everything but the values; of a repository its address, without what may be secret in it."""
    secret = entry.manifest
    shown: dict[str, str] = dict.fromkeys(sorted({*secret.data, *secret.string_data}), REDACTED)
    if _kind(secret) in REPOSITORIES:
        values = secret.values()
        if "repoURL" in values:
            shown["repoURL"] = _address(values["repoURL"].decode(errors="replace"))
        if "repoURLIsRegex" in values:
            shown["repoURLIsRegex"] = values["repoURLIsRegex"].decode(errors="replace")
    annotations = {key: value if key == DESCRIPTION else REDACTED for key, value in secret.metadata.annotations.items()}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": secret.name,
            "namespace": place.directory,
            "creationTimestamp": format_time(entry.changed_at),
            "labels": secret.metadata.labels,
            **({"annotations": annotations} if annotations else {}),
        },
        "type": secret.type,
        "stringData": shown,
    }


def _address(url: str) -> str:
    """A repository's address without a user, a password or a query in it."""
    if "://" not in url:
        return url
    try:
        parts = urlsplit(url)
    except ValueError:
        return REDACTED
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
