"""`/agent/run`: a task, its limits and an account of what was done."""

from typing import Any

import pytest

from tests.api.document import ANSWER_FIELDS
from tests.service import Service, problem_of
from tests.upstream import Upstream, asks, says_whole

AGAIN = asks(("calculator", {"expression": "6*7"}))


def run(service: Service, query: str = "go", **fields: Any) -> Any:
    response = service.ask("POST", "/agent/run", {"query": query, **fields})
    assert response.status_code == 200, response.text
    return response.json()


def test_an_answer_tells_what_was_done(demo: Service) -> None:
    body = run(demo, "What is 6 * 7, and what time is it in Paris?")
    assert body.keys() == ANSWER_FIELDS | {"tool_calls", "iterations", "suggestions"}
    assert body["iterations"] == 2
    assert [call["name"] for call in body["tool_calls"]] == ["calculator", "clock"]
    for call in body["tool_calls"]:
        assert call.keys() == {"name", "arguments", "status", "latency_ms", "result", "error"}
        assert (call["status"], call["error"]) == ("ok", None)
    assert body["tool_calls"][0]["result"] == "42"
    assert body["tool_calls"][0]["arguments"] == {"expression": "6 * 7"}
    assert body["finish_reason"] == "stop"
    assert "42" in body["answer"]


def test_the_results_go_back_to_the_model(relay: Service, upstream: Upstream) -> None:
    upstream.will(asks(("calculator", {"expression": "6*7"})), says_whole("It is 42."))
    assert run(relay)["answer"] == "It is 42."
    asked, answered = upstream.calls[1].body["messages"][-2:]
    assert asked["tool_calls"][0]["function"]["name"] == "calculator"
    assert answered["tool_call_id"] == asked["tool_calls"][0]["id"]
    assert "42" in answered["content"]


def test_the_most_model_calls_end_a_run(relay: Service, upstream: Upstream) -> None:
    upstream.will(AGAIN)
    body = run(relay, max_iterations=3)
    assert (body["finish_reason"], body["iterations"]) == ("max_iterations", 3)
    assert body["answer"] == "[There is no answer: the run came to a limit first (max_iterations).]"
    assert ["tools" in call.body for call in upstream.calls] == [True, True, False]
    assert len(body["tool_calls"]) == 2


def test_no_caller_gets_more_model_calls_than_the_service_allows(relay: Service, upstream: Upstream) -> None:
    upstream.will(AGAIN)
    body = run(relay, max_iterations=100)
    assert (body["finish_reason"], body["iterations"]) == ("max_iterations", 10)


def test_an_answer_that_was_cut_for_its_length_says_so(relay: Service, upstream: Upstream) -> None:
    upstream.will(says_whole("It is").with_pieces([says_whole("It is").whole().replace(b'"stop"', b'"length"')]))
    body = run(relay)
    assert (body["finish_reason"], body["answer"]) == ("max_tokens", "It is")


def test_a_run_has_only_the_tools_that_it_names(relay: Service, upstream: Upstream) -> None:
    upstream.will(asks(("calculator", {"expression": "6*7"})), says_whole("no"))
    body = run(relay, tools=["clock"])
    assert [tool["function"]["name"] for tool in upstream.calls[0].body["tools"]] == ["clock"]
    assert body["tool_calls"][0]["status"] == "error"
    assert "There is no tool called 'calculator'" in body["tool_calls"][0]["error"]


def test_a_run_may_have_no_tools(relay: Service, upstream: Upstream) -> None:
    upstream.will(says_whole("no"))
    run(relay, tools=[])
    assert not upstream.calls[0].body.get("tools")


def test_an_unknown_tool_is_not_found(demo: Service) -> None:
    problem_of(demo.ask("POST", "/agent/run", {"query": "go", "tools": ["clock", "nothing"]}), 404, "not-found")


def test_a_tool_that_the_model_makes_up_is_an_error_that_it_reads(relay: Service, upstream: Upstream) -> None:
    upstream.will(asks(("nothing", {}), ("calculator", {"expression": 5})), says_whole("sorry"))
    body = run(relay)
    assert [call["status"] for call in body["tool_calls"]] == ["error", "error"]
    assert body["answer"] == "sorry"


def test_a_run_goes_on_with_its_session(demo: Service) -> None:
    demo.chat("My name is Ada.", session_id="agent-session")
    assert "Ada" in run(demo, "What did I say before?", session_id="agent-session")["answer"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_iterations", 0),
        ("max_iterations", -1),
        ("max_iterations", 101),
        ("max_iterations", 1.5),
        ("max_iterations", "5"),
        ("max_iterations", True),
        ("max_iterations", 10**30),
        ("max_cost_usd", 0),
        ("max_cost_usd", -1),
        ("max_cost_usd", "1"),
        ("tools", "clock"),
        ("tools", [5]),
        ("tools", [None]),
        ("tools", ["clock"] * 101),
        ("query", ""),
        ("query", " \n"),
        ("query", None),
        ("query", ["go"]),
        ("message", "go"),
        ("stream", "yes"),
    ],
)
def test_what_is_no_limit_is_refused_by_its_name(demo: Service, field: str, value: Any) -> None:
    body = problem_of(demo.ask("POST", "/agent/run", {"query": "go", field: value}), 422, "invalid-request")
    assert {error["field"].partition(".")[0] for error in body["errors"]} == {field}
