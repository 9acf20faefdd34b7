"""`/chat`: a whole answer."""

from uuid import UUID

import pytest

from tests.api.document import ANSWER_FIELDS
from tests.service import Service, problem_of
from tests.upstream import MODEL, Upstream, says_whole


@pytest.mark.parametrize("path", ["/chat", "/api/chat"])
def test_an_answer_has_all_that_the_contract_says(demo: Service, path: str) -> None:
    response = demo.ask("POST", path, {"message": "What is 6 * 7?"})
    body = response.json()
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert body.keys() == ANSWER_FIELDS
    assert "42" in body["answer"]
    assert UUID(body["session_id"]).version == 4
    assert UUID(body["message_id"]).version == 4
    assert body["run_id"] == body["message_id"]
    assert (body["model"], body["finish_reason"], body["cached"]) == ("demo", "stop", False)
    assert (body["sources"], body["degraded"], body["cost_usd"]) == ([], [], 0)
    assert body["usage"].keys() == {"input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens"}
    assert body["tokens_used"] == body["usage"]["input_tokens"] + body["usage"]["output_tokens"] > 0
    assert 0 < body["latency_ms"] < 60_000


def test_the_message_may_be_called_query(demo: Service) -> None:
    assert "“hello”" in demo.ask("POST", "/chat", {"query": "hello"}).json()["answer"]


def test_message_and_query_together_are_one_too_many(demo: Service) -> None:
    body = problem_of(demo.ask("POST", "/chat", {"message": "a", "query": "b"}), 422, "invalid-request")
    assert [error["field"] for error in body["errors"]] == ["query"]


def test_with_stream_chat_answers_like_its_stream(demo: Service) -> None:
    for prefix in ("", "/api"):
        response = demo.ask("POST", f"{prefix}/chat", {"message": "hi", "stream": True})
        assert response.headers["content-type"] == "text/event-stream"
        assert response.text.endswith("\n\ndata: [DONE]\n\n")


def test_a_model_is_chosen_by_its_reference_or_its_name(relay: Service, upstream: Upstream) -> None:
    for name in (MODEL, MODEL.partition("/")[2]):
        upstream.will(says_whole("hello"))
        assert relay.chat("hi", model=name).json()["model"] == MODEL


@pytest.mark.parametrize("field", ["model", "agent"])
def test_an_unknown_model_or_agent_is_not_found(demo: Service, field: str) -> None:
    body = problem_of(demo.chat("hi", **{field: "nobody"}), 404, "not-found")
    assert field in body["detail"]


def test_the_provider_gets_the_prompt_the_message_and_the_tools(relay: Service, upstream: Upstream) -> None:
    upstream.will(says_whole("hello"))
    response = relay.chat("Grüße 👋")
    assert response.json()["answer"] == "hello"
    [call] = upstream.calls
    assert call.path == "/v1/chat/completions"
    assert call.headers["authorization"] == "Bearer sk-of-the-service"
    assert [message["role"] for message in call.body["messages"]] == ["system", "user"]
    assert call.body["messages"][-1]["content"] == "Grüße 👋"
    assert {tool["function"]["name"] for tool in call.body["tools"]} >= {"calculator", "clock"}


def test_usage_and_cost_are_the_providers(relay: Service, upstream: Upstream) -> None:
    upstream.will(says_whole("hello"))
    body = relay.chat("hi").json()
    assert body["usage"]["input_tokens"] == 25
    assert body["usage"]["output_tokens"] == 15
    assert body["tokens_used"] == 40


def test_text_of_every_script_comes_back_as_it_was_sent(demo: Service) -> None:
    text = "ä € 日本 👩‍👩‍👧 \u202e\u0301 \x7f \\u0000"
    assert text in demo.chat(text).json()["answer"]


def test_a_message_of_the_greatest_length_is_taken(demo: Service) -> None:
    assert demo.chat("😀" * 10_000).status_code == 200
