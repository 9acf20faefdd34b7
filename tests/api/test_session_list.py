"""`GET /sessions`: one's own conversations, the last used first, a page at a time."""

import time
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest

from app.access.api_keys import new_secret
from app.messages import AssistantMessage, Extras, ToolCall, ToolMessage, Turn, UserMessage
from app.state.bounds import Bounds
from app.state.redis import connect
from app.state.sessions import Sessions
from tests.access.keys import line
from tests.api.serving import serving
from tests.conftest import Serve
from tests.redis_server import RedisServer
from tests.service import Service, problem_of


@pytest.fixture
def user(demo: Service) -> str:
    """Somebody new, with three sessions, the last of them with two turns."""
    name = f"user-{uuid4()}@example.com"
    for session_id in ("first", "second", "third", "third"):
        assert demo.chat("hi", user_id=name, session_id=session_id).status_code == 200
    return name


def ids(service: Service, user: str, **query: object) -> list[str]:
    response = service.client.get("/sessions", params={"user_id": user, **query})  # type: ignore[dict-item]
    assert response.status_code == 200, response.text
    return [session["session_id"] for session in response.json()["sessions"]]


def test_ones_sessions_are_listed_the_last_used_first(demo: Service, user: str) -> None:
    body = demo.client.get("/sessions", params={"user_id": user}).json()
    assert body.keys() == {"sessions", "next_before"}
    assert body["next_before"] is None
    assert [(each["session_id"], each["turns"]) for each in body["sessions"]] == [
        ("third", 2),
        ("second", 1),
        ("first", 1),
    ]
    assert all(abs(each["updated_at"] - time.time()) < 600 for each in body["sessions"])
    demo.chat("again", user_id=user, session_id="first")
    assert ids(demo, user) == ["first", "third", "second"]


def test_nobody_sees_anothers(demo: Service, user: str) -> None:
    assert ids(demo, f"not-{user}") == []
    assert "third" not in demo.ask("GET", "/sessions").text


def test_a_forgotten_session_is_not_listed(demo: Service, user: str) -> None:
    demo.client.delete("/sessions/second", params={"user_id": user})
    assert ids(demo, user) == ["third", "first"]


def test_pages_follow_one_another_without_a_gap(demo: Service, user: str) -> None:
    found: list[str] = []
    before: dict[str, float] = {}
    for _ in range(4):
        body = demo.client.get("/sessions", params={"user_id": user, "limit": 1, **before}).json()
        found += [session["session_id"] for session in body["sessions"]]
        if body["next_before"] is None:
            break
        before = {"before": body["next_before"]}
    assert found == ["third", "second", "first"]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=x", "limit=1.5", "before=-1", "before=nan", "before=1e12"]
)
def test_a_page_that_is_none_is_refused(demo: Service, query: str) -> None:
    problem = problem_of(demo.ask("GET", f"/sessions?{query}"), 422, "invalid-request")
    assert [error["field"] for error in problem["errors"]] == [query.partition("=")[0]]


async def test_with_credentials_they_are_those_of_their_user(tmp_path: Path) -> None:
    ada, bob, admin = (new_secret() for _ in range(3))
    file = tmp_path / "keys.jsonl"
    file.write_text(
        line(ada, user="ada", scopes=["chat"])
        + line(bob, user="bob", scopes=["chat"])
        + line(admin, user="root", scopes=["admin"])
    )
    async with serving(auth="api-key", api_keys_file=file) as service:
        assert (await service.chat("hi", ada, session_id="s"))[0] == 200
        status, body, _ = await service.ask("GET", "/sessions", ada)
        assert (status, [each["session_id"] for each in body["sessions"]]) == (200, ["s"])
        assert (await service.ask("GET", "/sessions", bob))[1]["sessions"] == []
        assert (await service.ask("GET", "/sessions?user_id=ada", bob))[0] == 403
        assert (await service.ask("GET", "/sessions", admin))[0] == 403
        assert (await service.ask("GET", "/sessions"))[0] == 401


def test_without_the_store_the_service_says_so(serve: Serve, mortal_redis: RedisServer) -> None:
    service = serve(redis_url=mortal_redis.url)
    mortal_redis.stop()
    problem_of(service.ask("GET", "/sessions"), 503, "state-unavailable")


async def test_what_is_the_providers_is_not_shown(redis_server: RedisServer, tmp_path: Path) -> None:
    key, file = new_secret(), tmp_path / "keys.jsonl"
    file.write_text(line(key, user="grace", scopes=["chat"]))
    store = connect(redis_server.url)
    call = ToolCall("call_1", "clock", {})
    extras = Extras("openai/x", {"reasoning_content": "thought"}, {"call_1": {"signature": "s"}})
    messages = (
        UserMessage("hi"),
        AssistantMessage("", (call,), extras),
        ToolMessage("call_1", "clock", "noon", is_error=True),
        AssistantMessage("hel", interrupted=True),
    )
    await Sessions(store, Bounds(ttl_seconds=60, max_turns=10)).append("grace", "s", Turn("m", 1.0, messages))
    async with serving(auth="api-key", api_keys_file=file, redis_url=redis_server.url) as service:
        status, body, _ = await service.ask("GET", "/sessions/s", key)
    await store.aclose()
    assert status == 200
    assert body["turns"][0]["messages"] == [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "", "tool_calls": [msgspec.to_builtins(call)]},
        {"role": "tool", "tool_call_id": "call_1", "name": "clock", "content": "noon", "is_error": True},
        {"role": "assistant", "content": "hel", "interrupted": True},
    ]
