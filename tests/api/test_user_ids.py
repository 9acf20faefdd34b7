"""`user_id`: any printable text names a user, and only that user."""

import asyncio
from urllib.parse import quote
from uuid import uuid4

import pytest

from tests.api.serving import serving
from tests.service import Service, problem_of

NAMES = [
    "ada@example.com",
    "auth0|5f7c8ec7c33c6c004bbafe82",
    "Ada Lovelace",
    "Ada",
    "ada",
    "ada ",
    "Äda",
    "用户",
    "a:b",
    "a*",
    "../ada",
    "%00",
    "sub-ada",
    "x" * 65,
    "x" * 256,
    "😀" * 256,
]
REFUSED = ["", " ", "  ", "a\0", "a\n", "\r\n", "\u202ea", "a\u200b", "\x7f", "\x9b", "\ufffd", "x" * 257]


@pytest.mark.parametrize("name", NAMES)
def test_a_printable_name_has_sessions_of_its_own(demo: Service, name: str) -> None:
    session_id = f"s-{uuid4()}"
    assert demo.chat("secret", session_id=session_id, user_id=name).status_code == 200
    path = f"/sessions/{session_id}?user_id="
    assert demo.ask("GET", path + quote(name, safe="")).status_code == 200
    for other in NAMES:
        if other != name:
            problem_of(demo.ask("GET", path + quote(other, safe="")), 404, "not-found")
    assert demo.ask("DELETE", path + quote(name, safe="")).status_code == 204


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("path", ["/chat", "/chat/stream", "/agent/run"])
def test_what_people_could_not_tell_apart_is_refused(demo: Service, path: str, name: str) -> None:
    problem = problem_of(demo.ask("POST", path, {"message": "hi", "user_id": name}), 422, "invalid-request")
    assert [error["field"] for error in problem["errors"]] == ["user_id"]


@pytest.mark.parametrize("query", ["", "%20", "%00", "%0A", "%ff", "%ed%a0%80", "%E2%80%AE", "x" * 257, "x" * 30_000])
@pytest.mark.parametrize("path", ["/sessions", "/sessions/mine", "/usage"])
def test_in_a_query_too(demo: Service, path: str, query: str) -> None:
    problem = problem_of(demo.ask("GET", f"{path}?user_id={query}"), 422, "invalid-request")
    assert [error["field"] for error in problem["errors"]] == ["user_id"]
    assert len(problem["detail"]) < 300


async def test_a_name_is_in_no_key_as_it_is() -> None:
    async with serving() as service:
        await service.chat("hi", user_id="ada@example.com", session_id="s")
        status, body, _ = await service.ask("GET", "/usage?user_id=ada%40example.com")
        assert status == 200
        assert len(body["usage"]) == 1
        assert "@" not in body["usage"][0]["user"]
        await asyncio.sleep(0)
