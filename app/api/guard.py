"""Every route is for authenticated callers only, unless it is named here."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.document import amend
from app.api.edge import PROBES
from app.api.problems import MEDIA_TYPE

OPEN = PROBES
_SCHEME = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API key (`agentapi_…`) or a JSON Web Token, whichever the service takes.",
}


def guard(app: FastAPI, authenticate: Callable[[Scope], Awaitable[None]], *, documented: bool) -> None:
    """Put `authenticate` before every route of `app` that is declared so far; `documented`: also in its document."""
    guarded = [route for route in app.routes if isinstance(route, APIRoute) and route.path not in OPEN]
    for route in guarded:
        route.app = _authenticated(route.app, authenticate)
    if documented:
        _document(app, {route.path_format for route in guarded})


def _authenticated(serve: ASGIApp, authenticate: Callable[[Scope], Awaitable[None]]) -> ASGIApp:
    async def authenticated(scope: Scope, receive: Receive, send: Send) -> None:
        await authenticate(scope)
        await serve(scope, receive, send)

    return authenticated


def _document(app: FastAPI, paths: set[str]) -> None:
    def change(schema: dict[str, Any]) -> None:
        schema.setdefault("components", {})["securitySchemes"] = {"bearer": _SCHEME}
        for path in paths & schema["paths"].keys():
            for operation in schema["paths"][path].values():
                operation["security"] = [{"bearer": []}]
                for status, description in (("401", "Unauthorized"), ("403", "Forbidden")):
                    operation["responses"].setdefault(status, _problem(description))

    amend(app, change)


def _problem(description: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
