"""What providers really sent, replayed against the running service in each way to ask it.

`tests/models/cases/providers.jsonl` has the bytes of reported cases, `service.jsonl` further ones, each with what is
right: adding one is one line.
"""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.api.provider_cases import Case, Outcome, Providers, ask, cases
from tests.service import Service

FOLDER = Path(__file__).parents[1] / "models/cases"
SERVICE = cases((FOLDER / "service.jsonl").read_bytes().splitlines(), "s")
REPORTED = cases((FOLDER / "providers.jsonl").read_bytes().splitlines(), "p")
ONE = ["calculator", {"expression": "1+1"}, "ok"]
TWO = ["calculator", {"expression": "2+2"}, "ok"]
CLOCK = ["clock", {}, "ok"]
FINAL = {"answer": "FINAL"}

RIGHT: dict[str, dict[str, Any]] = {
    "both calls run, each with its own arguments": {**FINAL, "tools": [ONE, TWO]},
    "both calls run": {**FINAL, "tools": [ONE, TWO]},
    "one call, arguments whole": {**FINAL, "tools": [ONE]},
    "one call": {**FINAL, "tools": [ONE], "requests": 2},
    "the clock runs with no arguments": {**FINAL, "tools": [CLOCK]},
    "one call runs; the nameless one is dropped and not sent back": {**FINAL, "tools": [ONE]},
    "the answer is Hi": {"answer": "Hi"},
    "the answer is Hi; the reasoning is not in it": {"answer": "Hi", "reasoning": "hmm"},
    "the answer is Hi, usage estimated where missing": {"answer": "Hi", "usage": [10, 1]},
    "usage estimated": {"usage": "estimated"},
    "usage 10 and 5": {"answer": "Hi", "usage": [10, 5]},
    "a 429": {"status": 429, "slug": "model-rate-limited", "retry_after": True},
    "422 context-too-long": {"status": 422, "slug": "context-too-long", "retry_after": False},
    "a failure": {"status": 503, "slug": "model-unavailable"},
    "finish_reason content_filter": {"finish_reason": "content_filter", "history": []},
    "finish_reason max_tokens": {"answer": "Hal", "finish_reason": "max_tokens"},
    "asked again without stream_options; answered": {**FINAL, "requests": 2, "sent": {"stream_options": None}},
    "asked again with max_completion_tokens; answered": {
        **FINAL,
        "requests": 2,
        "sent": {"max_tokens": None, "max_completion_tokens": "any"},
    },
    "503, told to the operator, no Retry-After": {"status": 503, "detail": "operator", "retry_after": False},
    "a 4xx": {"status": 422, "slug": "content-filtered", "retry_after": False},
    "another model, or finish_reason refusal; never an empty answer with stop": {"finish_reason": "refusal"},
}


def right(case: Case) -> dict[str, Any]:
    return {"requests": 1, **RIGHT[case.fields["right"]]} if case in REPORTED else dict(case.fields["expect"])


@dataclass(frozen=True)
class Asked:
    """A case's outcome, what its model was sent, and the messages that the session has."""

    outcome: Outcome
    sent: list[Any]
    history: list[list[str]]


@pytest.fixture(scope="module")
def answers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Asked]]:
    """All cases that are to be tested, asked side by side: many wait for what does not come."""
    items = [item for item in request.session.items if item.path == request.path]
    chosen = [_params(item)["case"] for item in items if "case" in _params(item)]
    options = {case.ref: case.fields["options"] for case in chosen if "options" in case.fields}
    with Providers(chosen) as providers:
        service = Service(
            tmp_path_factory.mktemp("cases"),
            models=",".join(case.ref for case in chosen),
            model_options=json.dumps(options),
            openai_base_url=f"{providers.url}/v1",
            anthropic_base_url=providers.url,
            anthropic_api_key="k",
            ollama_api_base=providers.url,
            unknown_price="allow",
            anonymous_per_minute="off",
            anonymous_concurrent="off",
            refused_per_minute="off",
            max_tokens=1000,
            model_retries=0,
        )
        service.may_log_errors = True
        with ThreadPoolExecutor(8) as pool:
            asked = pool.map(lambda case: _ask(case, service, providers), chosen)
            yield {case.model: one for case, one in zip(chosen, asked, strict=True)}
        service.end()


def _params(item: Any) -> dict[str, Any]:
    return item.callspec.params if item.originalname == "test_a_case" else {}


def _ask(case: Case, service: Service, providers: Providers) -> Asked:
    session = None
    for message in case.fields.get("messages", ["hello"]):
        outcome = ask(service, case, message, session)
        session = outcome.body.get("session_id", session)
    answer = service.client.get(f"/sessions/{session}")
    turns = answer.json()["turns"] if answer.status_code == 200 else []
    history = [[message["role"], message["content"]] for turn in turns for message in turn["messages"]]
    return Asked(outcome, providers.sent[case.model], history)


@pytest.mark.parametrize("case", [*SERVICE, *REPORTED], ids=str)
def test_a_case(case: Case, answers: dict[str, Asked]) -> None:
    expected, asked = right(case), answers[case.model]
    check(asked.outcome, expected, case, asked.sent)
    if "history" in expected:
        assert asked.history == expected["history"]


LOADED = 10
"""How much slower a busy machine may be. A call that waits for what never comes takes longer than that."""


def check(outcome: Outcome, expected: dict[str, Any], case: Case, sent: list[Any]) -> None:
    body = outcome.body
    status = expected.get("status", 200)
    assert outcome.status in (status if isinstance(status, list) else [status]), body
    if outcome.status == 200:
        assert body["finish_reason"] == expected.get("finish_reason", "stop"), body
        assert body["answer"] or body["finish_reason"] != "stop"
    for name in ("answer", "slug", "tools", "reasoning", "degraded"):
        if (
            name in expected
            and (name != "reasoning" or case.way == "stream")
            and (name != "tools" or case.way != "chat")
        ):
            got = getattr(outcome, name) if hasattr(outcome, name) else body.get(name)
            assert json.loads(json.dumps(got)) == expected[name], body
    if "detail" in expected:
        assert expected["detail"] in body["detail"]
    if "retry_after" in expected and case.way != "stream":
        given, wanted = outcome.headers.get("retry-after"), expected["retry_after"]
        assert given == wanted if isinstance(wanted, str) else (given is not None) == wanted
    check_usage(expected.get("usage"), body)
    assert outcome.seconds < LOADED * expected.get("seconds", 5)
    if "requests" in expected and "tools" not in expected:
        assert len(sent) == expected["requests"], sent
    for name, value in expected.get("sent", {}).items():
        assert (name in sent[-1]) == (value is not None), sent[-1]
        assert value in (None, "any") or sent[-1][name] == value
    conversation = json.dumps(sent[-1]["messages"], ensure_ascii=False)
    for text in expected.get("sent_has", ()):
        assert text in conversation
    for text in expected.get("sent_lacks", ()):
        assert text not in conversation
    check_calls(case, sent[-1]["messages"])


def check_usage(expected: Any, body: Any) -> None:
    if expected == "estimated":
        assert body["usage"]["input_tokens"] >= 10
        assert 0 < body["usage"]["output_tokens"] <= 3
    elif expected:
        assert [body["usage"]["input_tokens"], body["usage"]["output_tokens"]] == expected


def check_calls(case: Case, messages: Any) -> None:
    """Each result belongs to one call of the message before, and each call has one, in what every provider takes."""
    waiting: list[str] = []
    seen: list[str] = []
    for message in messages:
        blocks = message["content"] if isinstance(message["content"], list) else []
        made = [block["id"] for block in blocks if block.get("type") == "tool_use"]
        results = [block["tool_use_id"] for block in blocks if block.get("type") == "tool_result"]
        for call in message.get("tool_calls") or ():
            made.append(call["id"])
            arguments = call["function"]["arguments"]
            assert isinstance(json.loads(arguments) if case.fields["api"] == "openai" else arguments, dict)
            assert call["function"]["name"]
        if message["role"] == "tool":
            results.append(message["tool_call_id"])
        for result in results:
            waiting.remove(result)
        assert not made or not waiting
        waiting += made
        seen += made
    assert not waiting
    assert len(set(seen)) == len(seen)
