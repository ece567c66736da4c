"""Resources by manifest, YAML or JSON: made, changed and deleted, with one result for each."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from model.roles import Verb
from starter.errors import InvalidInput
from web.access.guard import identified, permit
from web.api.caller import Caller
from web.api.deletion import delete_each
from web.api.errors import Unfit
from web.api.manifests import Manifest, read
from web.api.taking import Taken, take

router = APIRouter(prefix="/resources", tags=["Resources"])

_BODY: dict[str, Any] = {
    "requestBody": {
        "description": "Manifests: a YAML text of any number of documents, a JSON object, or a JSON array",
        "required": True,
        "content": {"text/plain": {"schema": {"type": "string"}}, "application/yaml": {"schema": {"type": "string"}}},
    }
}


class Result(BaseModel):
    """What became of one manifest: exactly one of these."""

    createdResourceManifest: dict[str, Any] | None = None  # noqa: N815  # Kargo's spelling
    updatedResourceManifest: dict[str, Any] | None = None  # noqa: N815  # Kargo's spelling
    deletedResourceManifest: dict[str, Any] | None = None  # noqa: N815  # Kargo's spelling
    error: str | None = None


class Results(BaseModel):
    """A result for each manifest, those of Projects first (when deleting: last)."""

    results: list[Result]


async def _manifests(request: Request) -> list[Manifest]:
    """What the body holds. Raises Unfit, InvalidInput."""
    try:
        text = (await request.body()).decode()
    except UnicodeDecodeError:
        raise Unfit(400, "the body is not UTF-8 text") from None
    found = await read(text)
    if not found:
        raise InvalidInput("no resources found in request body")
    return found


async def _caller(request: Request) -> Caller:
    identity = identified(request)
    return Caller(request, identity, request.app.state.house)


async def _permitted(request: Request, manifests: Annotated[list[Manifest], Depends(_manifests)]) -> list[Manifest]:
    """The manifests, once it is known that each may be sent by whoever does. Raises Forbidden."""
    for project, verb, stage in dict.fromkeys(_asks(manifest) for manifest in manifests):
        await permit(request, verb, project, stage)
    return manifests


def _asks(manifest: Manifest) -> tuple[str, Verb, str]:
    if manifest.kind == "Promotion":
        return manifest.project, Verb.PROMOTE, manifest.stage
    if manifest.kind in ("Secret", "ConfigMap"):
        return manifest.project, Verb.ADMIN, ""
    return manifest.project, Verb.EDIT, ""


Calling = Annotated[Caller, Depends(_caller)]
Manifests = Annotated[list[Manifest], Depends(_permitted)]


@router.post("", operation_id="CreateResource", status_code=201, response_model=Results, openapi_extra=_BODY)
async def create(caller: Calling, manifests: Manifests) -> Response:
    """Make resources that are not there yet.

    Manifests that have problems are refused together: then nothing is made. One that is there already has an error of
    its own. A Promotion's name is Towpath's to give.
    """
    return _answered(await take(caller, manifests, create=True, update=False), 201)


@router.put("", operation_id="UpdateResource", response_model=Results, openapi_extra=_BODY)
async def update(
    caller: Calling,
    manifests: Manifests,
    upsert: Annotated[bool, Query(description="Make what is not there yet")] = False,
) -> Response:
    """Change resources, or make them, too: all, or, where a manifest has problems, none."""
    return _answered(await take(caller, manifests, create=upsert, update=True), 200)


@router.delete("", operation_id="DeleteResource", response_model=Results, openapi_extra=_BODY)
async def delete(caller: Calling, manifests: Manifests) -> Response:
    """Delete the resources that the manifests name; of a manifest its kind, name and namespace count."""
    results = await delete_each(caller, manifests)
    return JSONResponse({"results": results})


def _answered(taken: Taken, status: int) -> Response:
    headers = [("warning", f'299 towpath "{_plain(warning)}"') for warning in taken.warnings[:20]]
    answer = JSONResponse({"results": taken.results}, status)
    for name, value in headers:
        answer.headers.append(name, value)
    return answer


def _plain(warning: str) -> str:
    """Text that a header may hold."""
    return "".join(sign if " " <= sign <= "~" and sign not in '"\\' else "?" for sign in warning)[:500]
