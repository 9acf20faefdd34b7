"""Every bend of FastAPI holds with the installed version; a declaration that cannot be served stops the start."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from pydantic import BaseModel
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from app.api.framework import Api, FastRoute
from app.main import create_app
from app.settings import load


class Question(BaseModel):
    text: str


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    yield


@pytest.fixture
def api() -> Api:
    return Api(lifespan)


async def fast(request: Request) -> Response:
    """What it says."""
    return JSONResponse({"got": (await request.body()).decode(), "route": request.scope["route"].path})


async def named(request: Request, name: str) -> Response:
    return JSONResponse({"name": name, "got": (await request.body()).decode()})


def test_a_fast_route_answers_without_fastapis_machinery(api: Api) -> None:
    api.fast_post("/fast", body=Question)(fast)
    api.serve_through(api.routed)
    api._slow = None  # type: ignore[assignment]
    answer = TestClient(api).post("/fast", content=b"not read by FastAPI")
    assert answer.json() == {"got": "not read by FastAPI", "route": "/fast"}


def test_a_fast_route_may_have_strings_in_its_path(api: Api) -> None:
    api.fast_post("/fast/{name}", body=Question)(named)
    api.serve_through(api.routed)
    assert TestClient(api).post("/fast/ada", content=b"{").json() == {"name": "ada", "got": "{"}


def test_another_method_of_a_fast_route_is_refused(api: Api) -> None:
    api.fast_post("/fast", body=Question)(fast)
    api.serve_through(api.routed)
    with pytest.raises(Exception, match="405"):
        TestClient(api).get("/fast")


def synchronous(request: Request) -> Response:
    raise NotImplementedError


async def with_body(request: Request, body: Question) -> Response:
    raise NotImplementedError


async def with_number(request: Request, name: int) -> Response:
    raise NotImplementedError


async def with_query(request: Request, more: str = "") -> Response:
    raise NotImplementedError


async def without_request(name: str) -> Response:
    raise NotImplementedError


async def with_data(request: Request) -> dict[str, str]:
    raise NotImplementedError


@pytest.mark.parametrize(
    ("path", "handler", "problem"),
    [
        ("/a", synchronous, "synchronous is no coroutine function"),
        ("/a", with_body, "with_body takes body: only strings from the path can be passed"),
        ("/a/{name}", with_number, "with_number takes name: only strings from the path can be passed"),
        ("/a", with_query, "with_query takes more: only strings from the path can be passed"),
        ("/a/{name}", without_request, "without_request has no parameter `request: Request`"),
        ("/a", with_data, "with_data is not annotated to return a Response"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_handler_that_cannot_be_served_fast_stops_the_start(
    api: Api, path: str, handler: Callable[..., Any], problem: str
) -> None:
    with pytest.raises(TypeError, match=rf"^{path} cannot be a fast route: its handler {problem}".replace("{", r"\{")):
        api.fast_post(path, body=Question)(handler)


def test_a_route_that_lets_fastapi_read_its_body_stops_the_start(api: Api) -> None:
    api.post("/slow")(with_body)
    with pytest.raises(TypeError, match=r"The route /slow lets FastAPI read its body\. Declare it by `fast_post`"):
        api.serve_through(api.routed)


def test_the_document_tells_the_body_of_a_fast_route(api: Api) -> None:
    api.fast_post("/fast/{name}", body=Question, tags=["fast"])(named)
    operation = api.openapi()["paths"]["/fast/{name}"]["post"]
    assert operation["requestBody"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/Question"
    }
    assert [parameter["name"] for parameter in operation["parameters"]] == ["name"]
    assert api.openapi()["components"]["schemas"]["Question"]["required"] == ["text"]


def test_the_document_is_made_once_and_amended(api: Api) -> None:
    made: list[Any] = []
    api.amend(made.append)
    assert api.openapi() is api.openapi()
    assert made == [api.openapi()]


def test_operations_are_named_as_their_handlers(api: Api) -> None:
    api.fast_post("/fast", body=Question)(fast)
    operation = api.openapi()["paths"]["/fast"]["post"]
    assert (operation["operationId"], operation["description"]) == ("fast", "What it says.")


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json", "/fast/"])
def test_fastapi_adds_no_routes_and_redirects_nobody(api: Api, path: str) -> None:
    api.fast_post("/fast", body=Question)(fast)
    assert [route.path for route in api.routes if isinstance(route, APIRoute)] == ["/fast"]
    api.serve_through(api.routed)
    with pytest.raises(Exception, match="404"):
        TestClient(api).get(path)


def test_one_middleware_is_all_that_is_around_the_routes(api: Api) -> None:
    seen: list[Any] = []

    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((scope["type"], scope["app"]))
        await api.routed(scope, receive, send)

    api.fast_post("/fast", body=Question)(fast)
    api.serve_through(middleware)
    with TestClient(api) as client:
        client.post("/fast")
    assert seen == [("lifespan", api), ("http", api)]


def test_fastapis_own_telemetry_is_off(api: Api) -> None:
    assert not api._native_telemetry.enabled()


WITHOUT_BODY = {"/runs/{run_id}/cancel", "/runs/{run_id}/redeliver", "/batches/{batch_id}/cancel"}


def test_every_route_of_the_service_that_takes_a_body_is_fast() -> None:
    routes = [route for route in create_app(load(None)).routes if isinstance(route, APIRoute)]
    assert {route.path for route in routes if isinstance(route, FastRoute)} == {
        route.path for route in routes if "POST" in (route.methods or ()) and route.path not in WITHOUT_BODY
    }
