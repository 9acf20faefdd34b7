"""Errors as problem documents (RFC 9457), for every way in which a request can fail."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from math import ceil
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Scope

from app.api.document import amend
from app.api.error_headers import headers_of
from app.api.invalid import invalid, printable
from app.api.prefix import path_of, prefix_of
from app.errors import AppError, BodyTooLarge, InternalError, InvalidRequest, NotFound
from app.telemetry.context import current

MEDIA_TYPE = "application/problem+json"
_RETRY_AFTER_SECONDS = 5  # where nobody knows better
MAX_INSTANCE_CHARS = 4096
MAX_PATH_CHARS = 200  # of a path that is repeated in a sentence
CLIENT_CLOSED_REQUEST = 499  # nginx's name for it; nobody is there to read it
REFUSALS = (AppError, RequestValidationError, HTTPException)
_TYPE = "urn:agent-api:problem:"


class RefusedBody(HTTPException):
    """Why a body is refused while it is being read. FastAPI lets nothing but an HTTPException through there."""

    def __init__(self, error: AppError) -> None:
        super().__init__(error.status, error.detail)
        self.error = error


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem document (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    request_id: str
    errors: Sequence[Mapping[str, str]] = field(default_factory=tuple)
    """For invalid requests: which field, and what is wrong with it."""
    more_errors: int = 0
    """How many fields beyond those are wrong as well."""


def document(error: AppError, instance: str) -> dict[str, Any]:
    """The error's problem document; `instance` is the path that was asked for, cut to MAX_INSTANCE_CHARS."""
    return {
        "type": _TYPE + error.slug,
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "instance": instance[:MAX_INSTANCE_CHARS],
        "request_id": current.get().request_id,
        **error.members(),
    }


def respond(error: AppError, instance: str, headers: Mapping[str, str] | None = None) -> Response:
    return _response(document(error, instance), {**_retry_after(error), **headers_of(error), **(headers or {})})


def _response(body: Mapping[str, Any], headers: Mapping[str, str]) -> Response:
    return Response(msgspec.json.encode(body), body["status"], headers, MEDIA_TYPE)


def _retry_after(error: AppError) -> dict[str, str]:
    seconds = error.retry_after
    if seconds is None and error.status in (429, 503) and not error.permanent:
        seconds = _RETRY_AFTER_SECONDS
    return {} if seconds is None else {"Retry-After": str(max(1, ceil(seconds)))}


def answer_to(error: Exception, scope: Scope) -> Response:
    """The one place where an exception becomes an answer."""
    path = path_of(scope)
    match error:
        case AppError():
            return respond(error, path)
        case RequestValidationError():
            return respond(invalid([{**item, "loc": item["loc"][1:]} for item in error.errors()]), path)
        case RefusedBody():
            return respond(error.error, path, {"Connection": "close"})
        case HTTPException():
            return _refused_by_framework(error, scope)
        case ClientDisconnect():
            return Response(status_code=CLIENT_CLOSED_REQUEST)
        case _:
            return respond(InternalError("Something went wrong on our side."), path)


def _refused_by_framework(error: HTTPException, scope: Scope) -> Response:
    """No such route, wrong method, a body that cannot be read."""
    path, headers = path_of(scope), dict(error.headers or {})
    match error.status_code:
        case 400:
            return respond(InvalidRequest("The body is not JSON in UTF-8."), path, headers)
        case 404:
            shown = printable(path, MAX_PATH_CHARS)
            return respond(NotFound(f"There is no {shown} here. See {prefix_of(scope)}/openapi.json."), path, headers)
        case 413:
            return respond(BodyTooLarge(str(error.detail)), path, {**headers, "Connection": "close"})
        case status:
            if status == 405:
                headers["Allow"] = ", ".join(_allowed(scope))
            phrase = HTTPStatus(status).phrase
            detail = f"{scope['method']} is not possible here." if status == 405 else phrase
            problem = {"type": _TYPE + phrase.lower().replace(" ", "-"), "title": phrase, "status": status}
            return _response({**document(InternalError(detail), path), **problem}, headers)


def _allowed(scope: Scope) -> list[str]:
    """The methods of all routes of this path; each route knows only its own."""
    known: set[str] = set()
    for route in scope["router"].routes:
        if route.matches(scope)[0] is not Match.NONE:
            known |= getattr(route, "methods", None) or set()
    return sorted(known | {"HEAD"} if "GET" in known else known)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that can fail in these ways, for the OpenAPI document."""
    return {status: {"description": HTTPStatus(status).phrase, "model": Problem} for status in statuses}


def describe_problems(app: FastAPI) -> None:
    """FastAPI documents every model as application/json; make its document tell problems as what they are."""

    def change(schema: dict[str, Any]) -> None:
        for path in schema["paths"].values():
            for operation in path.values():
                for status, response in operation["responses"].items():
                    if "/Problem" in str(response.get("content")) and status >= "400":
                        response["content"] = {MEDIA_TYPE: response["content"]["application/json"]}

    amend(app, change)
