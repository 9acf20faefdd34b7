"""A FastAPI route without FastAPI's per-request machinery, for the handlers that every run goes through.

FastAPI resolves dependencies, opens three exit stacks and reads the body through `json` for each request; a handler
that takes a body model and the request needs none of it. The route is declared and documented like any other.
"""

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.api.body import Body


class LeanRoute(APIRoute):
    """Serves `async def handler(body: Model, request: Request, name: str) -> Response` directly, where `name` and any
    other string is a parameter of the path; other handlers as FastAPI does."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        model = _body_model(endpoint)
        self.lean = model is not None
        if model is not None:
            self.app = _serve(endpoint, model)


class Shortcut:
    """Serves the lean routes of an app by a look-up of their path, and everything else through its router."""

    def __init__(self, app: FastAPI) -> None:
        self._rest = AsyncExitStackMiddleware(app.router)  # FastAPI's own routes need it
        self._lean = {
            (method, route.path): route
            for route in app.routes
            if isinstance(route, LeanRoute) and route.lean and not route.param_convertors
            for method in route.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self._lean.get((scope.get("method", ""), scope.get("path", "")))
        if route is None:
            await self._rest(scope, receive, send)
        else:
            scope["route"] = route
            await route.app(scope, receive, send)


def _body_model(endpoint: Callable[..., Any]) -> type[BaseModel] | None:
    parameters = dict(inspect.signature(endpoint, eval_str=True).parameters)
    body, request = parameters.pop("body", None), parameters.pop("request", None)
    if body is None or request is None or any(other.annotation is not str for other in parameters.values()):
        return None
    return body.annotation if isinstance(body.annotation, type) and issubclass(body.annotation, BaseModel) else None


def _serve(
    endpoint: Callable[..., Awaitable[Response]], model: type[BaseModel]
) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    read = Body(model).read

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        response = await endpoint(await read(receive), request, **scope.get("path_params", {}))
        await response(scope, receive, send)

    return serve
