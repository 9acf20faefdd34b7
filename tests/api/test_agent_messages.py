"""`/agent/run` with a conversation of the caller's own, and with what its agent lets a request set."""

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Serve
from tests.service import Service, problem_of
from tests.upstream import MODEL, Upstream, says_whole

CONVERSATION = [
    {"role": "user", "content": "My name is Ada."},
    {"role": "assistant", "content": "Hello Ada."},
    {"role": "user", "content": "What is my name?"},
]
SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


def run(service: Service, **body: Any) -> Any:
    return service.ask("POST", "/agent/run", body)


@pytest.mark.parametrize("turns", [0, 4], ids=["short", "above what is validated unabridged"])
def test_a_conversation_reaches_the_model_as_it_is(relay: Service, upstream: Upstream, turns: int) -> None:
    upstream.will(says_whole("Ada."))
    earlier = [{"role": "user", "content": "x" * 9_000}, {"role": "assistant", "content": "y"}] * turns
    answer = run(relay, messages=[*earlier, *CONVERSATION])
    assert answer.status_code == 200, answer.text
    assert answer.json()["answer"] == "Ada."
    told = [message for message in upstream.calls[-1].body["messages"] if message["role"] != "system"]
    assert [(one["role"], one["content"]) for one in told][-3:] == [
        (one["role"], one["content"]) for one in CONVERSATION
    ]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "query"),
        ({"messages": []}, "messages"),
        ({"messages": CONVERSATION, "query": "And?"}, "query"),
        ({"messages": CONVERSATION, "message": "And?"}, "query"),
        ({"messages": CONVERSATION, "session_id": "s"}, "session_id"),
        ({"messages": CONVERSATION[:2]}, "messages"),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user"}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": "x", "name": "ada"}]}, "messages.0.name"),
        ({"messages": [{"role": "user", "content": " "}]}, "messages.0"),
        ({"messages": [{"role": "user", "content": "x" * 10_001}]}, "messages.0"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]}, "messages.0.content"),
        ({"messages": [CONVERSATION[0]] * 501}, "messages"),
        ({"messages": "hello"}, "messages"),
        ({"query": "x", "temperature": 2.1}, "temperature"),
        ({"query": "x", "temperature": "hot"}, "temperature"),
        ({"query": "x", "max_tokens": 0}, "max_tokens"),
        ({"query": "x", "system": ""}, "system"),
        ({"query": "x", "response_format": {"type": "string"}}, "response_format"),
        ({"query": "x", "response_format": "json"}, "response_format"),
        ({"query": "x", "response_format": {"type": "object", "title": "x" * 10_000}}, "response_format"),
    ],
)
def test_what_cannot_be_meant_is_named(demo: Service, body: dict[str, Any], field: str) -> None:
    problem = problem_of(run(demo, **body), 422, "invalid-request")
    assert field in [error["field"] for error in problem["errors"]], problem


def test_a_message_of_90_000_unknown_fields_is_refused_in_few_words(demo: Service) -> None:
    message = {"role": "user", "content": "x", **{f"field-{number}": 1 for number in range(50_000)}}
    refused = run(demo, messages=[message])
    assert refused.status_code == 422
    assert len(refused.content) < 8_000


def test_what_the_agent_allows_reaches_the_provider(serve: Serve, upstream: Upstream, tmp_path: Path) -> None:
    agents = tmp_path / "agents"
    agents.mkdir()
    (agents / "free.yaml").write_text("prompt: Be brief.\nallow: [system, temperature, max_tokens, response_format]\n")
    service = serve(
        models=MODEL,
        openai_base_url=f"{upstream.url}/v1",
        openai_api_key="sk-of-the-service",
        unknown_price="allow",
        agents_dir=agents,
    )
    upstream.will(says_whole('{"name": "Ada"}'))
    options = {"system": "Be rude.", "temperature": 0.5, "max_tokens": 50, "response_format": SCHEMA}
    assert run(service, query="Who?", agent="free", **options).status_code == 200
    sent = upstream.calls[-1].body
    assert sent["messages"][0] == {"role": "system", "content": "Be rude."}
    assert (sent["temperature"], sent["max_tokens"]) == (0.5, 50)
    assert sent["response_format"]["json_schema"]["schema"] == SCHEMA
    problem = problem_of(run(service, query="Who?", system="Be rude."), 422, "invalid-request")
    assert problem["errors"][0]["field"] == "system"
    assert problem_of(run(service, query="Who?", agent="nobody"), 404, "not-found")["detail"].endswith("default, free.")


def test_an_agent_that_changes_is_another_for_the_next_run(serve: Serve, upstream: Upstream, tmp_path: Path) -> None:
    agents = tmp_path / "agents"
    agents.mkdir()
    (agents / "poet.yaml").write_text("prompt: Old.\n")
    service = serve(models=MODEL, openai_base_url=f"{upstream.url}/v1", unknown_price="allow", agents_dir=agents)
    upstream.will(says_whole("ok"))
    assert run(service, query="Hi", agent="poet").status_code == 200
    (agents / "poet.yaml").write_text("prompt: New and other.\n")
    (agents / "second.yaml").write_text("prompt: One more.\n")
    service.wait_for_event("agents.loaded", agents=["default", "poet", "second"])
    assert run(service, query="Hi", agent="poet").status_code == 200
    assert [call.body["messages"][0]["content"] for call in upstream.calls[-2:]] == ["Old.", "New and other."]
