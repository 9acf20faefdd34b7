"""An installation under a path: ROOT_PATH, and X-Forwarded-Prefix of trusted proxies."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from app.errors import ConfigurationError
from app.main import create_app
from app.settings import load
from tests.api.serving import Service, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")
HI = {"message": "hi"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def below() -> AsyncIterator[Service]:
    async with serving(root_path="/team/agents/") as service:
        yield service


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def below_api() -> AsyncIterator[Service]:
    async with serving(root_path="/api") as service:
        yield service


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def trusting() -> AsyncIterator[Service]:
    async with serving(trusted_proxies="127.0.0.1") as service:
        yield service


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def plain() -> AsyncIterator[Service]:
    async with serving() as service:
        yield service


@pytest.mark.parametrize("prefix", ["", "/team/agents"])
async def test_requests_come_with_the_path_and_without_it(below: Service, prefix: str) -> None:
    for method, path, body in (
        ("GET", "/live", None),
        ("POST", "/chat", HI),
        ("POST", "/api/chat/stream", HI),
        ("GET", "/api/tools", None),
        ("POST", "/api/tools/clock", {}),
        ("GET", "/docs", None),
        ("GET", "/docs/swagger-ui.css", None),
        ("GET", "/openapi.json", None),
    ):
        status, _, _ = await below.ask(method, prefix + path, body=body)
        assert (path, status) == (path, 200)


@pytest.mark.parametrize(
    "path", ["/team/agents", "/team/agents/", "/team/agentschat", "/team/chat", "/team/agents/team/agents/chat"]
)
async def test_another_path_is_not_found(below: Service, path: str) -> None:
    assert (await below.ask("POST", path, body=HI))[0] == 404


async def test_what_answers_show_has_the_path(below: Service) -> None:
    for path in ("/chat", "/team/agents/chat"):
        _, problem, _ = await below.ask("POST", path, body={})
        assert problem["instance"] == "/team/agents/chat"
    _, problem, _ = await below.ask("GET", "/nowhere")
    assert problem["instance"] == "/team/agents/nowhere"
    assert "/team/agents/openapi.json" in problem["detail"]
    _, document, _ = await below.ask("GET", "/openapi.json")
    assert document["servers"] == [{"url": "/team/agents"}]
    assert "/chat" in document["paths"]


async def test_a_path_that_begins_like_a_route_is_no_trouble(below_api: Service) -> None:
    for path in ("/tools", "/docs/nothing"):
        assert (await below_api.ask("GET", path))[0] == 404
    for path in ("/api/tools", "/api/api/tools", "/api/live", "/live", "/api/docs", "/api/openapi.json"):
        assert (path, (await below_api.ask("GET", path))[0]) == (path, 200)
    for path in ("/chat", "/api/chat", "/api/api/chat"):
        assert (path, (await below_api.ask("POST", path, body=HI))[0]) == (path, 200)


async def ask(service: Service, path: str, *prefixes: str) -> dict[str, object]:
    """The body of the answer to a request with these X-Forwarded-Prefix headers."""
    headers = [("X-Forwarded-Prefix", prefix) for prefix in prefixes]
    async with service.session.get(path, headers=headers) as response:
        body: dict[str, object] = await response.json(content_type=None)
        return body


@pytest.mark.parametrize(
    ("headers", "prefix"),
    [
        (["/agents"], "/agents"),
        (["/agents/"], "/agents"),
        (["/outer, /inner"], "/outer/inner"),
        (["/a/b-c_d.e~f"], "/a/b-c_d.e~f"),
        ([], None),
        (["/"], None),
        (["agents"], None),
        (["//evil.example"], None),
        (["https://evil.example"], None),
        (["/a/../b"], None),
        (["/a?b"], None),
        (['/a"><script>'], None),
        (["/a b"], None),
        (["/" + "x" * 300], None),
    ],
)
async def test_a_trusted_proxy_tells_the_path(trusting: Service, headers: list[str], prefix: str | None) -> None:
    document = await ask(trusting, "/openapi.json", *headers)
    assert document.get("servers") == (None if prefix is None else [{"url": prefix}])
    problem = await ask(trusting, "/nowhere", *headers)
    assert problem["instance"] == f"{prefix or ''}/nowhere"


async def test_a_trusted_proxy_may_leave_the_path_where_it_is(trusting: Service) -> None:
    assert await ask(trusting, "/agents/live", "/agents") == {"status": "alive"}


async def test_nobody_else_is_believed(plain: Service, below: Service) -> None:
    assert "servers" not in await ask(plain, "/openapi.json", "/evil")
    assert (await ask(plain, "/nowhere", "/evil"))["instance"] == "/nowhere"
    assert (await ask(below, "/nowhere", "/evil"))["instance"] == "/team/agents/nowhere"


async def test_metrics_and_credentials_go_by_the_route(below: Service) -> None:
    _, _, headers = await below.ask("GET", "/team/agents/api/tools")
    assert "X-Request-Id" in headers
    assert (await below.ask("HEAD", "/team/agents/live"))[0] == 200


@pytest.mark.parametrize(
    "value", ["agents", "/a?b", "/a#b", "/a b", "//a", "/a//b", "https://a.example", "/..", "/a/./b", "/ä", "/%20"]
)
async def test_what_is_no_path_stops_the_start(value: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^ROOT_PATH: "):
        create_app(load(None, root_path=value))
