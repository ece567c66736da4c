"""Errors as Kargo's API says them: a status, and `{"error": "a sentence"}`."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from starter.errors import (
    Ambiguous,
    InvalidInput,
    InvalidManifests,
    NotFound,
    Refused,
    ServerSilent,
    TowpathError,
    WorkerSilent,
)

logger = logging.getLogger("towpath.api")


class ErrorAnswer(BaseModel):
    """The body of every answer that is not what was asked for."""

    error: str


class Unfit(HTTPException):
    """The request can't be carried out as it is; `status` says why in HTTP's terms."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(status, sentence)


def answer(status: int, sentence: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": sentence}, status, headers)


def status_of(error: TowpathError) -> int:
    """The status that says what kind of error it is."""
    if isinstance(error, NotFound):
        return 404
    if isinstance(error, InvalidManifests):
        return 422
    if isinstance(error, InvalidInput):
        return 400
    if isinstance(error, Ambiguous | Refused):
        return 409
    if isinstance(error, ServerSilent | WorkerSilent):
        return 503
    return 502


def sentence_of(error: TowpathError) -> str:
    """What whoever asked is told: no address, and no command that is for operators."""
    if isinstance(error, InvalidManifests):
        return "; ".join(error.problems)
    if status_of(error) in (502, 503):
        return "Towpath's workflows don't answer at the moment; try again in a few seconds"
    return str(error)


def install(app: FastAPI) -> None:
    """Has the application answer errors so."""
    app.add_exception_handler(TowpathError, _failed)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _broken)


async def _failed(request: Request, error: Exception) -> Response:
    assert isinstance(error, TowpathError)
    status = status_of(error)
    if status >= 500:
        logger.error("%s %s: %s", request.method, request.url.path, error)
    return answer(status, sentence_of(error), {"Retry-After": "5"} if status == 503 else None)


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers) if error.headers else None
    sentence = {404: "not found", 405: "method not allowed"}.get(error.status_code, "")
    plain = error.detail in ("Not Found", "Method Not Allowed")
    return answer(error.status_code, sentence if plain else str(error.detail), headers)


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problems = [f"{'.'.join(str(part) for part in found['loc'])}: {found['msg']}" for found in error.errors()]
    return answer(400, "; ".join(problems)[:2000])


async def _broken(request: Request, error: Exception) -> Response:
    return answer(500, "internal server error")
