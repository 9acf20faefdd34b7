"""Every way in which a request can fail, as an answer in the dialect of its route."""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Scope

from app.api.dialects.native.problems import MEDIA_TYPE, NATIVE_PROBLEMS
from app.api.dialects.protocol import ErrorDialect
from app.api.error_headers import headers_of, retry_after_seconds
from app.api.invalid import invalid, printable
from app.api.openapi import REFERENCE, Document
from app.api.prefix import path_of, prefix_of
from app.errors import AppError, BodyTooLarge, InternalError, NotFound
from app.runs.problems import TYPE_PREFIX

MAX_PATH_CHARS = 200  # of a path that is repeated in a sentence
CLIENT_CLOSED_REQUEST = 499  # nginx's name for it; nobody is there to read it
_CLOSE = {"Connection": "close"}


class RefusedBody(Exception):
    """A body is refused while it is being read, for the reason in `error`. The connection closes after the answer."""

    def __init__(self, error: AppError) -> None:
        super().__init__(error.detail)
        self.error = error


REFUSALS = (AppError, RequestValidationError, HTTPException, RefusedBody)


class MethodNotAllowed(AppError):
    status, slug, title = 405, "method-not-allowed", "Method Not Allowed"


def answer_to(error: Exception, scope: Scope) -> Response:
    """The one place where an exception becomes an answer."""
    if isinstance(error, ClientDisconnect):
        return Response(status_code=CLIENT_CLOSED_REQUEST)
    failure, headers = _failure(error, scope)
    return respond(failure, path_of(scope), headers, getattr(scope.get("route"), "dialect", None) or NATIVE_PROBLEMS)


def respond(
    error: AppError, path: str, headers: Mapping[str, str] | None = None, dialect: ErrorDialect = NATIVE_PROBLEMS
) -> Response:
    status, body = dialect.problem(error, path)
    return Response(body, status, {**_retry_after(error), **headers_of(error), **(headers or {})}, dialect.problem_type)


def _failure(error: Exception, scope: Scope) -> tuple[AppError, Mapping[str, str]]:
    """The error that the caller meets, and headers of its answer."""
    match error:
        case BodyTooLarge():
            return error, _CLOSE
        case AppError():
            return error, {}
        case RefusedBody():
            return error.error, _CLOSE
        case RequestValidationError():
            return invalid([{**item, "loc": item["loc"][1:]} for item in error.errors()]), {}
        case HTTPException():
            return _refused_by_framework(error, scope)
        case _:
            return InternalError("Something went wrong on our side."), {}


def _refused_by_framework(error: HTTPException, scope: Scope) -> tuple[AppError, Mapping[str, str]]:
    """No such route or file, or another method."""
    headers = dict(error.headers or {})
    if error.status_code == 405:
        refused = MethodNotAllowed(f"{scope['method']} is not possible here.")
        return refused, headers | {"Allow": ", ".join(_allowed(scope))}
    shown = printable(path_of(scope), MAX_PATH_CHARS)
    return NotFound(f"There is no {shown} here. See {prefix_of(scope)}/openapi.json."), headers


def _retry_after(error: AppError) -> dict[str, str]:
    seconds = retry_after_seconds(error)
    return {} if seconds is None else {"Retry-After": str(seconds)}


def _allowed(scope: Scope) -> list[str]:
    """The methods of all routes of this path; each route knows only its own."""
    known: set[str] = set()
    for route in scope["router"].routes:
        if route.matches(scope)[0] is not Match.NONE:
            known |= getattr(route, "methods", None) or set()
    return sorted(known | {"HEAD"} if "GET" in known else known)


def kinds_of_errors(base: type[AppError] = AppError) -> Iterator[type[AppError]]:
    """Every error that there is, as its class."""
    yield base
    for kind in base.__subclasses__():
        yield from kinds_of_errors(kind)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a native route that can fail in these ways, for the OpenAPI document."""
    return {status: _documented(status) for status in statuses}


def _documented(status: int) -> dict[str, Any]:
    types = dict.fromkeys(f"`{TYPE_PREFIX}{kind.slug}`" for kind in kinds_of_errors() if kind.status == status)
    return {
        "description": f"{HTTPStatus(status).phrase}: {', '.join(types)}",
        "content": {MEDIA_TYPE: {"schema": {"$ref": f"{REFERENCE}Problem"}}},
    }


def describe_errors(document: Document) -> None:
    """Have the OpenAPI document list every error, also those that come before and beside the routes."""
    told = dict.fromkeys(f"`{TYPE_PREFIX}{kind.slug}` ({kind.status})" for kind in kinds_of_errors())
    problem = document["components"]["schemas"]["Problem"]
    problem["properties"]["type"]["description"] = f"One of {', '.join(sorted(told))}."
