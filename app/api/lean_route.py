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
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.api.problems import invalid


class LeanRoute(APIRoute):
    """Serves `async def handler(body: Model, request: Request) -> Response` directly; others as FastAPI does."""

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
    parameters = inspect.signature(endpoint, eval_str=True).parameters
    if list(parameters) != ["body", "request"] or parameters["request"].annotation is not Request:
        return None
    model = parameters["body"].annotation
    return model if isinstance(model, type) and issubclass(model, BaseModel) else None


async def _read(receive: Receive) -> bytes:
    pieces, more = [], True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        pieces.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(pieces)


def _serve(
    endpoint: Callable[..., Awaitable[Response]], model: type[BaseModel]
) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    validate = model.__pydantic_validator__.validate_json

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        try:
            body = validate(await _read(receive))
        except ValidationError as error:
            raise invalid(error.errors(include_url=False, include_input=False, include_context=False)) from None
        response = await endpoint(body, request)
        await response(scope, receive, send)

    return serve
