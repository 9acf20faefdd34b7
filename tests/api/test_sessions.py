"""`/sessions/{id}`: what a conversation holds, and forgetting it."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from uuid import uuid4

import pytest

from app.messages import AssistantMessage, Turn, UserMessage
from app.state.bounds import Bounds
from app.state.redis import connect
from app.state.sessions import Sessions
from tests.service import Service, problem_of
from tests.upstream import Upstream, asks, says_whole

HEAD = b"POST /chat HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


@pytest.fixture
def session_id() -> str:
    return f"s-{uuid4()}"


def test_a_session_remembers_its_turns(demo: Service, session_id: str) -> None:
    first = demo.chat("My name is Ada.", session_id=session_id).json()
    assert first["session_id"] == session_id
    second = demo.chat("What did I say before?", session_id=session_id).json()
    assert "My name is Ada." in second["answer"]
    body = demo.ask("GET", f"/sessions/{session_id}").json()
    assert body.keys() == {"session_id", "turns"}
    assert body["session_id"] == session_id
    assert [turn["message_id"] for turn in body["turns"]] == [first["message_id"], second["message_id"]]
    for turn, said in zip(body["turns"], (first, second), strict=True):
        assert abs(turn["created_at"] - time.time()) < 600
        assert [message["role"] for message in turn["messages"]] == ["user", "assistant"]
        assert turn["messages"][-1]["content"] == said["answer"]


def test_a_streamed_turn_is_remembered_too(demo: Service, session_id: str) -> None:
    demo.ask("POST", "/chat/stream", {"message": "streamed", "session_id": session_id})
    [turn] = demo.ask("GET", f"/sessions/{session_id}").json()["turns"]
    assert turn["messages"][0] == {"role": "user", "content": "streamed"}


def test_the_next_turn_tells_the_provider_what_was_said(relay: Service, upstream: Upstream, session_id: str) -> None:
    upstream.will(
        asks(("calculator", {"expression": "6*7"}), ("clock", {"zone": "UTC"})),
        says_whole("42"),
        says_whole("again 42"),
    )
    relay.chat("compute", session_id=session_id)
    relay.chat("again", session_id=session_id)
    roles = [message["role"] for message in upstream.calls[-1].body["messages"]]
    assert roles == ["system", "user", "assistant", "tool", "tool", "assistant", "user"]
    asked = upstream.calls[-1].body["messages"][2]["tool_calls"]
    answered = upstream.calls[-1].body["messages"][3:5]
    assert [call["id"] for call in asked] == [message["tool_call_id"] for message in answered]


def test_a_forgotten_session_is_gone(demo: Service, session_id: str) -> None:
    demo.chat("hi", session_id=session_id)
    response = demo.ask("DELETE", f"/sessions/{session_id}")
    assert (response.status_code, response.content) == (204, b"")
    problem_of(demo.ask("DELETE", f"/sessions/{session_id}"), 404, "not-found")
    problem_of(demo.ask("GET", f"/sessions/{session_id}"), 404, "not-found")
    assert "first message" in demo.chat("What did I say before?", session_id=session_id).json()["answer"]


def test_a_session_is_its_users_only(demo: Service, session_id: str) -> None:
    demo.chat("secret", session_id=session_id, user_id="ada")
    for other in ("?user_id=bob", ""):
        problem_of(demo.ask("GET", f"/sessions/{session_id}{other}"), 404, "not-found")
        problem_of(demo.ask("DELETE", f"/sessions/{session_id}{other}"), 404, "not-found")
    said = demo.chat("What did I say before?", session_id=session_id, user_id="bob").json()
    assert "secret" not in said["answer"]
    assert len(demo.ask("GET", f"/sessions/{session_id}?user_id=ada").json()["turns"]) == 1


ODD = ["", " ", "a b", "ä", "a.b", "a:b", "a*", "a\n", "x" * 65, "../x", "\u202e", "a\0"]


@pytest.mark.parametrize("odd", ODD)
def test_odd_ids_in_a_body_are_refused(demo: Service, odd: str) -> None:
    body = problem_of(demo.chat("hi", session_id=odd), 422, "invalid-request")
    assert [error["field"] for error in body["errors"]] == ["session_id"]


@pytest.mark.parametrize("odd", ["%20", "a%20b", "%C3%A4", "a.b", "a:b", "a%00", "a%0A", "x" * 65, "%E2%80%AE"])
def test_odd_ids_in_a_path_are_refused(demo: Service, odd: str) -> None:
    for method in ("GET", "DELETE"):
        body = problem_of(demo.ask(method, f"/sessions/{odd}"), 422, "invalid-request")
        assert [error["field"] for error in body["errors"]] == ["session_id"]


def test_a_thousand_new_sessions_in_a_row_are_no_trouble(fresh_service: Service) -> None:
    bodies = (b'{"message":"hi","session_id":"s-%d"}' % index for index in range(1_000))
    with (
        socket.create_connection(("127.0.0.1", fresh_service.port), timeout=60) as connection,
        connection.makefile("rb") as answers,
    ):
        for batch in iter(lambda: list(islice(bodies, 100)), []):
            connection.sendall(b"".join(HEAD % len(body) + body for body in batch))
            for _ in batch:
                head = b"".join(iter(answers.readline, b"\r\n")).lower()
                assert head.startswith(b"http/1.1 200 "), head
                answers.read(int(head.partition(b"content-length: ")[2].split(b"\r")[0]))
    assert len(fresh_service.ask("GET", "/sessions/s-999").json()["turns"]) == 1
    assert fresh_service.chat("hi", session_id="s-0").json()["latency_ms"] < 5_000


def test_turns_of_one_session_at_the_same_time_are_all_kept(demo: Service, session_id: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: demo.chat(f"turn {number}", session_id=session_id), range(20)))
    assert len(demo.ask("GET", f"/sessions/{session_id}").json()["turns"]) == 20


async def test_ten_thousand_sessions_fit_into_the_store_of_one_process() -> None:
    sessions = Sessions(connect(None), Bounds(ttl_seconds=3600, max_turns=10, sessions=20_000))
    turn = Turn("m", 0.0, (UserMessage("hi"), AssistantMessage("hello")))
    for index in range(10_000):
        await sessions.append("ada", f"s-{index}", turn)
    assert await sessions.load("ada", "s-0") == await sessions.load("ada", "s-9999") == [turn]
    assert await sessions.load("bob", "s-0") == []
