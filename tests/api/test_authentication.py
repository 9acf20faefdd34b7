"""Closed by default: without credentials only the list of open paths answers, whatever was mounted, however asked."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from app.access.api_keys import new_secret
from app.api.authentication import OPEN
from app.main import create_app
from app.settings import load
from app.telemetry import metrics
from tests.access.keys import line
from tests.conftest import Serve

KEY = new_secret()
HIDDEN = "what is behind the door"


async def hidden(_: Request) -> Response:
    return PlainTextResponse(HIDDEN)


async def hidden_app(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse(HIDDEN)(scope, receive, send)


async def hidden_socket(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text(HIDDEN)
    await socket.close()


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    """The service with everything that somebody might add to it in another way than by FastAPI's decorators."""
    tmp_path = tmp_path_factory.mktemp("app")
    (tmp_path / "keys.jsonl").write_text(line(KEY))
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "page.html").write_text(HIDDEN)
    app = create_app(load(None, auth="api-key", api_keys_file=tmp_path / "keys.jsonl"))
    app.router.routes[:0] = [
        Route("/plain", hidden),
        Route("/live/plain", hidden, methods=["GET", "POST"]),
        Mount("/mounted", hidden_app),
        Mount("/static", StaticFiles(directory=tmp_path / "static")),
        Mount("/docs/below", hidden_app),
        WebSocketRoute("/socket", hidden_socket),
    ]
    app.add_api_route("/late", lambda: HIDDEN)
    app.router.routes.append(Mount("/", hidden_app))
    return app


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        yield client


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PROPFIND"])
@pytest.mark.parametrize(
    "path",
    [
        "/plain",
        "/live/plain",
        "/mounted",
        "/mounted/x",
        "/static/page.html",
        "/docs/below/x",
        "/late",
        "/unknown",
        "/",
        "//live",
        "/live/",
        "/live/..",
        "/live/../plain",
        "/live;/plain",
        "/live%2f",
        "/live%00",
        "/live%20",
        "/LIVE",
        "/docs/",
        "/docs/x",
        "/openapi.json/",
        "/socket",
    ],
)
async def test_nothing_that_is_not_listed_answers_without_credentials(
    client: httpx.AsyncClient, method: str, path: str
) -> None:
    response = await client.request(method, httpx.URL("http://test").copy_with(raw_path=path.encode()))
    assert response.status_code == 401
    assert HIDDEN not in response.text


@pytest.mark.parametrize("path", ["/plain", "/mounted/x", "/static/page.html", "/late", "/anything"])
async def test_with_credentials_it_answers(client: httpx.AsyncClient, path: str) -> None:
    response = await client.get(path, headers={"Authorization": f"Bearer {KEY}"})
    assert response.status_code == 200
    assert HIDDEN in response.text


async def asked(
    app: FastAPI, kind: str, path: str, *headers: tuple[bytes, bytes], root_path: str = ""
) -> list[Message]:
    """What an application sends that a server asks in this way."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"} if kind == "websocket" else {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: dict[str, Any] = {
        "type": kind,
        "path": path,
        "raw_path": path.encode(),
        "root_path": root_path,
        "headers": list(headers),
        "query_string": b"",
        "scheme": "http",
        "client": ("192.0.2.1", 1),
        "server": ("test", 80),
    }
    if kind == "http":
        scope["method"] = "GET"
    await app(scope, receive, send)
    return sent


@pytest.mark.parametrize("path", ["/socket", "/unknown", "/mounted/x"])
async def test_a_websocket_is_closed_to_strangers(app: FastAPI, path: str) -> None:
    assert await asked(app, "websocket", path) == [{"type": "websocket.close", "code": 1008}]


async def test_a_websocket_is_open_to_those_who_are_known(app: FastAPI) -> None:
    sent = await asked(app, "websocket", "/socket", (b"authorization", b"Bearer " + KEY.encode()))
    assert [message.get("text") for message in sent][1] == HIDDEN


@pytest.mark.parametrize(
    ("root_path", "path", "status"),
    [
        ("/agents", "/agents/live", 200),
        ("/agents", "/agents/plain", 401),
        ("/agents", "/agents/unknown", 401),
        ("/live", "/live/plain", 401),
        ("/live", "/live/chat", 401),
        ("/agents", "/agentslive", 401),
        ("/agents", "/agents//live", 401),
        ("/mounted", "/mounted/live/", 401),
    ],
)
async def test_a_prefix_opens_nothing_more(app: FastAPI, root_path: str, path: str, status: int) -> None:
    start = (await asked(app, "http", path, root_path=root_path))[0]
    assert start["status"] == status


async def test_a_probe_below_a_prefix_is_a_probe_and_is_not_counted(app: FastAPI) -> None:
    assert (await asked(app, "http", "/agents/live", root_path="/agents"))[0]["status"] == 200
    counted = {sample.labels["endpoint"] for family in metrics.REQUESTS.collect() for sample in family.samples}
    assert "/live" not in counted


async def test_what_is_open_is_the_list(client: httpx.AsyncClient) -> None:
    assert {"/live", "/ready", "/health", "/docs", "/redoc", "/openapi.json"} <= OPEN
    assert all(path.startswith(("/docs/", "/redoc/")) and "." in path for path in OPEN if path.count("/") > 1)
    for path in OPEN:
        assert (await client.get(path)).status_code != 401


def test_credentials_come_before_everything_that_is_told_about_a_route(serve: Serve, tmp_path: Path) -> None:
    keys = tmp_path / "keys.jsonl"
    keys.write_text(line(KEY))
    service = serve(auth="api-key", api_keys_file=keys)
    for headers in ({}, {"content-type": "text/plain"}, {"content-encoding": "gzip"}):
        for path in ("/chat", "/nowhere"):
            answer = service.client.post(path, content=b"{", headers=headers)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Bearer realm="agent-api"')
    counted = {name for name in service.metrics() if name.startswith("agent_requests_total") and 'status="401"' in name}
    assert counted == {
        'agent_requests_total{endpoint="/chat",method="POST",outcome="",status="401"}',
        'agent_requests_total{endpoint="none",method="POST",outcome="",status="401"}',
    }
    assert service.client.post("/nowhere", json={}, headers={"authorization": f"Bearer {KEY}"}).status_code == 404
