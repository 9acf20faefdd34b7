"""What a session has of turns that went wrong, or were long, and what the model is given of them next."""

import json
import threading
from typing import Any
from uuid import uuid4

import pytest

from tests.api.events import parse_all
from tests.conftest import Serve
from tests.models.servers import Reply
from tests.redis_server import RedisServer
from tests.service import Service, problem_of
from tests.upstream import MODEL, Upstream, asks, says, says_whole

AGAIN = asks(("calculator", {"expression": "6*7"}))
BROKEN = Reply([b"{broken"])
TOO_LONG = Reply([b'{"error": {"message": "This model\'s maximum context length is 4096 tokens."}}'], 400)
UNANSWERED = "[This was not answered: the run was interrupted.]"


def begins(*texts: str) -> Reply:
    """An answer that never ends."""
    whole = says(*texts)
    return Reply(whole.pieces[: 1 + len(texts)], ending="silent")


@pytest.fixture
def session_id() -> str:
    return f"s-{uuid4()}"


@pytest.fixture
def serve_relay(serve: Serve, upstream: Upstream) -> Serve:
    def start(**settings: object) -> Service:
        return serve(models=MODEL, openai_base_url=f"{upstream.url}/v1", unknown_price="allow", **settings)

    return start


def turns_of(service: Service, session_id: str) -> list[list[dict[str, Any]]]:
    response = service.ask("GET", f"/sessions/{session_id}")
    assert response.status_code == 200, response.text
    return [turn["messages"] for turn in response.json()["turns"]]


def wait_for_turns(service: Service, session_id: str, count: int) -> list[list[dict[str, Any]]]:
    """The session's turns, as soon as there are so many: a run that is cancelled is written in the background."""
    for _ in range(500):
        response = service.ask("GET", f"/sessions/{session_id}")
        if response.status_code == 200 and len(response.json()["turns"]) >= count:
            break
        threading.Event().wait(0.01)
    return turns_of(service, session_id)


def told(upstream: Upstream) -> list[tuple[str, str | None]]:
    """What the model was told last, after the system prompt."""
    return [(message["role"], message["content"]) for message in upstream.calls[-1].body["messages"][1:]]


def test_after_one_long_answer_the_model_knows_what_it_was_about(
    relay: Service, upstream: Upstream, session_id: str
) -> None:
    upstream.will(says_whole("begin " + "x" * 16_400 + " end"), says_whole("ok"))
    relay.chat("long?", session_id=session_id)
    body = relay.chat("go on", session_id=session_id).json()
    question, (_, answer), now = told(upstream)
    assert (question, now) == (("user", "long?"), ("user", "go on"))
    assert answer
    assert answer.startswith("begin xxx")
    assert answer.endswith("xxx end")
    assert "the middle of these" in answer
    assert body["degraded"] == ["history"]
    assert len(turns_of(relay, session_id)[0][1]["content"]) == 16_410


def test_a_run_that_used_up_its_calls_answers_and_is_remembered(
    relay: Service, upstream: Upstream, session_id: str
) -> None:
    upstream.will(AGAIN, AGAIN, says_whole("It is 42."), says_whole("ok"))
    request = {"query": "compute", "session_id": session_id, "max_iterations": 3}
    body = relay.ask("POST", "/agent/run", request).json()
    assert (body["answer"], body["finish_reason"]) == ("It is 42.", "max_iterations")
    assert "tools" not in upstream.calls[2].body
    assert upstream.calls[2].body["messages"][0]["content"].endswith("Answer now, with what you have.")
    relay.chat("thanks", session_id=session_id)
    roles = [role for role, _ in told(upstream)]
    assert roles == ["user", "assistant", "tool", "assistant", "tool", "assistant", "user"]
    assert "tools" in upstream.calls[3].body


def test_a_turn_that_failed_leaves_the_question(relay: Service, upstream: Upstream, session_id: str) -> None:
    upstream.will(BROKEN, says_whole("Hello"))
    assert relay.chat("hi", session_id=session_id).status_code == 503
    [[question, answer]] = turns_of(relay, session_id)
    assert question == {"role": "user", "content": "hi"}
    assert (answer["role"], answer["content"], answer["interrupted"]) == ("assistant", "", True)
    relay.chat("what did I say?", session_id=session_id)
    assert told(upstream) == [("user", "hi"), ("assistant", UNANSWERED), ("user", "what did I say?")]


def test_a_question_that_is_sent_again_is_told_once(relay: Service, upstream: Upstream, session_id: str) -> None:
    upstream.will(BROKEN, BROKEN, says_whole("Hello"))
    for _ in range(3):
        response = relay.chat("hi", session_id=session_id)
    assert response.json()["answer"] == "Hello"
    assert told(upstream) == [("user", "hi")]
    assert len(turns_of(relay, session_id)) == 3


def test_a_turn_that_failed_after_its_tools_keeps_their_results(
    relay: Service, upstream: Upstream, session_id: str
) -> None:
    upstream.will(AGAIN, BROKEN, says_whole("42"))
    assert relay.chat("compute", session_id=session_id).status_code == 503
    relay.chat("go on", session_id=session_id)
    assert [role for role, _ in told(upstream)] == ["user", "assistant", "tool", "assistant", "user"]
    assert told(upstream)[2:4] == [("tool", "42"), ("assistant", UNANSWERED)]


def test_a_client_that_leaves_leaves_what_was_said(relay: Service, upstream: Upstream, session_id: str) -> None:
    upstream.will(begins("Hel", "lo"), says_whole("ok"))
    request = {"message": "hi", "session_id": session_id}
    with relay.client.stream("POST", "/chat/stream", json=request) as response:
        for line in response.iter_lines():
            if "lo" in line and "text" in line:
                break
    [[question, answer]] = wait_for_turns(relay, session_id, 1)
    assert question["content"] == "hi"
    assert (answer["content"], answer["interrupted"]) == ("Hello", True)
    relay.chat("go on", session_id=session_id)
    assert told(upstream) == [("user", "hi"), ("assistant", "Hello"), ("user", "go on")]


def test_a_run_that_came_to_its_deadline_leaves_what_was_said(
    serve_relay: Serve, upstream: Upstream, session_id: str
) -> None:
    service = serve_relay(run_timeout_seconds=0.5)
    upstream.will(begins("Hel"))
    events = parse_all(service.ask("POST", "/chat/stream", {"message": "hi", "session_id": session_id}).text)
    assert events[-1].data["status"] == 504
    [[_, answer]] = turns_of(service, session_id)
    assert (answer["content"], answer["interrupted"]) == ("Hel", True)


def test_a_run_that_is_cut_by_the_drain_leaves_what_was_said(
    serve_relay: Serve, upstream: Upstream, redis_server: RedisServer, session_id: str
) -> None:
    service = serve_relay(redis_url=redis_server.url, drain_seconds=0.2)
    upstream.will(begins("Hel"))
    streaming = threading.Thread(
        target=lambda: service.ask("POST", "/chat/stream", {"message": "hi", "session_id": session_id})
    )
    streaming.start()
    upstream.wait_for_calls(1)
    threading.Event().wait(0.2)
    service.signal()
    service.wait()
    streaming.join()
    [[question, answer]] = turns_of(serve_relay(redis_url=redis_server.url), session_id)
    assert (question["content"], answer["content"], answer["interrupted"]) == ("hi", "Hel", True)


def test_a_request_that_cannot_be_answered_is_not_kept(relay: Service, upstream: Upstream, session_id: str) -> None:
    upstream.will(TOO_LONG)
    problem_of(relay.chat("x" * 5000, session_id=session_id), 422, "context-too-long")
    problem_of(relay.ask("GET", f"/sessions/{session_id}"), 404, "not-found")


def test_a_session_that_is_too_long_for_the_model_goes_on_with_half(
    relay: Service, upstream: Upstream, session_id: str
) -> None:
    upstream.will(*(says_whole(str(number)) for number in range(4)), TOO_LONG, says_whole("ok"))
    for number in range(4):
        relay.chat(f"{number}" + "x" * 400, session_id=session_id)
    body = relay.chat("go on", session_id=session_id).json()
    assert (body["answer"], body["degraded"]) == ("ok", ["history"])
    assert [(content or "")[0] for _, content in told(upstream)] == ["2", "2", "3", "3", "g"]
    upstream.reset(TOO_LONG)
    problem_of(relay.chat("go on", session_id=session_id), 422, "context-too-long")


def test_a_deleted_session_does_not_come_back(serve_relay: Serve, upstream: Upstream, session_id: str) -> None:
    service = serve_relay()
    upstream.will(says_whole("one"), Reply(says_whole("two").pieces, pause=0.6), says_whole("three"))
    service.chat("first", session_id=session_id)
    running = threading.Thread(target=lambda: service.chat("second", session_id=session_id))
    running.start()
    upstream.wait_for_calls(2)
    assert service.ask("DELETE", f"/sessions/{session_id}").status_code == 204
    running.join()
    problem_of(service.ask("GET", f"/sessions/{session_id}"), 404, "not-found")
    service.chat("third", session_id=session_id)
    assert [turn[0]["content"] for turn in turns_of(service, session_id)] == ["third"]


def test_turns_stand_in_the_order_of_their_questions(relay: Service, upstream: Upstream, session_id: str) -> None:
    upstream.will(Reply(says_whole("slow").pieces, pause=0.6), says_whole("fast"))
    slow = threading.Thread(target=lambda: relay.chat("first", session_id=session_id))
    slow.start()
    upstream.wait_for_calls(1)
    relay.chat("second", session_id=session_id)
    slow.join()
    turns = turns_of(relay, session_id)
    assert [[message["content"] for message in turn] for turn in turns] == [["first", "slow"], ["second", "fast"]]


def test_a_caller_keeps_so_many_sessions(serve: Serve) -> None:
    service = serve(sessions_per_user=3)
    for number in range(6):
        service.chat("hi", session_id=f"s-{number}", user_id=f"user-{number}")
    kept = [service.ask("GET", f"/sessions/s-{number}?user_id=user-{number}").status_code == 200 for number in range(6)]
    assert kept == [False, False, False, True, True, True]


def test_a_session_keeps_so_many_bytes(serve: Serve, session_id: str) -> None:
    service = serve(session_max_bytes=8192, max_message_chars=20_000)
    for number in range(5):
        service.chat(f"{number}" + "x" * 2000, session_id=session_id)
    assert [turn[0]["content"][0] for turn in turns_of(service, session_id)] == ["3", "4"]
    service.chat("long" + "\u0001" * 15_000, session_id=session_id)
    turns = turns_of(service, session_id)
    assert turns[-1][0]["content"].startswith("long")
    assert "the middle of these 15004 characters" in turns[-1][0]["content"]
    assert len(json.dumps(turns)) < 8192


def test_results_of_tools_are_shown_up_to_a_bound(serve_relay: Serve, upstream: Upstream) -> None:
    calls = asks(("calculator", {"expression": "10**30"}), ("calculator", {"expression": "1/0"}), stream=True)
    upstream.will(calls, says("ok"))
    service = serve_relay(tool_result_chars=10)
    events = parse_all(service.ask("POST", "/chat/stream", {"message": "compute"}).text)
    finished = [event.data for event in events if event.name == "tool.finished"]
    assert {(one["status"], one["result"], one["error"]) for one in finished} == {
        ("ok", "1000000000\n[cut: the first 10 of 31 characters]", None),
        ("error", None, "Division b\n[cut: the first 10 of 17 characters]"),
    }
