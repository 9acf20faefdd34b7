"""FastAPI, and every place where this service bends it; tests/api/test_framework.py pins them.

FastAPI documents the routes and validates parameters. Its own middleware, telemetry, pages and error handlers are left
out, and so is its work for each request on the routes that every run goes through: it resolves dependencies, opens
three exit stacks and reads the body through `json`.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from fastapi.routing import APIRoute
from fastapi.telemetry import TelemetryConfig
from pydantic import BaseModel
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app import __version__
from app.api.dialects.protocol import ErrorDialect
from app.api.failures import describe_errors
from app.api.openapi import Change, Document, Schemas
from app.runs.problems import Problem

Handler = Callable[..., Awaitable[Response]]
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]

# What is measured is in app/telemetry.
_NO_TELEMETRY: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "auto_configure": False,
}  # see app/telemetry


class FastRoute(APIRoute):
    """Serves `async def handler(request: Request, name: str) -> Response` directly; `name` is part of the path."""

    dialect: ErrorDialect | None = None
    takes_body = True

    def __init__(self, path: str, endpoint: Handler, **options: Any) -> None:
        """Raises TypeError for a handler that cannot be served directly."""
        super().__init__(path, endpoint, **options)
        _check(self, endpoint)
        self.app = _serve(endpoint)


class Api(FastAPI):
    """The service's routes and their document."""

    def __init__(self, lifespan: Lifespan) -> None:
        super().__init__(
            title="agent-api",
            version=__version__,
            summary="Run an LLM agent for many users.",
            lifespan=lifespan,
            openapi_url=None,  # see app/api/docs.py
            generate_unique_id_function=lambda route: route.name,
            redirect_slashes=False,
            telemetry=_NO_TELEMETRY,
        )
        self.schemas = Schemas()
        self.schemas.refer(Problem)
        self._changes: list[Change] = [self.schemas.add_to, describe_errors]
        self._fast: dict[tuple[str, str], FastRoute] = {}
        self._slow = AsyncExitStackMiddleware(self.router)  # FastAPI's own routes need it

    def fast_post(
        self,
        path: str,
        *,
        body: type[BaseModel],
        dialect: ErrorDialect | None = None,
        headers: Sequence[Mapping[str, Any]] = (),
        **options: Any,
    ) -> Callable[[Handler], Handler]:
        """Declare a FastRoute. Its handler reads the body, which is documented as `body`, and the `headers`; errors of
        the route are written in `dialect`. The other options are those of FastAPI's `post`."""
        content = {"application/json": {"schema": {"$ref": self.schemas.refer(body)}}}
        documented: dict[str, Any] = {"requestBody": {"required": True, "content": content}}
        if headers:
            documented["parameters"] = [*headers]

        def declare(handler: Handler) -> Handler:
            self.router.add_api_route(
                path,
                handler,
                methods=["POST"],
                route_class_override=FastRoute,
                openapi_extra=documented,
                **options,
            )
            route = self.router.routes[-1]
            assert isinstance(route, FastRoute)  # noqa: S101 - for the type checker
            route.dialect = dialect
            if not route.param_convertors:
                self._fast["POST", path] = route
            return handler

        return declare

    def amend(self, change: Change) -> None:
        """Have `change` work on the OpenAPI document when it is made."""
        self._changes.append(change)

    def openapi(self) -> Document:
        """The document, made once."""
        if self.openapi_schema is None:
            document = super().openapi()
            for change in self._changes:
                change(document)
            self.openapi_schema = document
        return self.openapi_schema

    def routed(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serves fast routes by a look-up of their path, and everything else through the router."""
        route = self._fast.get((scope.get("method", ""), scope.get("path", "")))
        if route is None:
            return self._slow(scope, receive, send)
        scope["route"] = route
        return route.app(scope, receive, send)

    def serve_through(self, middleware: ASGIApp) -> None:
        """Have `middleware` answer every request, in place of what FastAPI puts around its routes."""
        for route in self.routes:
            if isinstance(route, APIRoute) and route.body_field is not None:
                raise TypeError(f"The route {route.path} lets FastAPI read its body. Declare it by `fast_post`.")
        self.middleware_stack = middleware

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self.middleware_stack is not None  # noqa: S101 - for the type checker
        scope["app"] = self  # for Starlette's router
        await self.middleware_stack(scope, receive, send)


def _check(route: FastRoute, handler: Handler) -> None:
    """Raises TypeError."""
    signature = inspect.signature(handler, eval_str=True)
    given = {name: each.annotation for name, each in signature.parameters.items()}
    returned = signature.return_annotation
    if not inspect.iscoroutinefunction(handler):
        problem = "is no coroutine function"
    elif given.pop("request", None) is not Request:
        problem = "has no parameter `request: Request`"
    elif wrong := [name for name, kind in given.items() if name not in route.param_convertors or kind is not str]:
        problem = f"takes {', '.join(wrong)}: only strings from the path can be passed"
    elif not (isinstance(returned, type) and issubclass(returned, Response)):
        problem = "is not annotated to return a Response"
    else:
        return
    raise TypeError(f"{route.path} cannot be a fast route: its handler {handler.__name__} {problem}.")


def _serve(handler: Handler) -> ASGIApp:
    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        response = await handler(Request(scope, receive, send), **scope.get("path_params", {}))
        await response(scope, receive, send)

    return serve
