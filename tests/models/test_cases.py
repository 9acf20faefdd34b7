"""What model servers really sent, byte for byte, and what is right: `cases/providers.jsonl` has a case a line."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from app.errors import AppError, ContextTooLong, ModelError, ModelRateLimited, ModelUnavailable
from app.messages import AssistantMessage, Message, ToolCall, ToolMessage, Usage, UserMessage
from app.models.protocol import Completion, Model, ModelRequest
from app.models.providers.http import Http
from tests.logged import capture_logs
from tests.models.dialects import AnthropicDialect, Dialect, OpenAIDialect
from tests.models.servers import Provider, Received, Reply
from tests.models.whole_answer import CALCULATOR, CLOCK

CASES = [json.loads(line) for line in (Path(__file__).parent / "cases/providers.jsonl").read_bytes().splitlines()]
DIALECTS: Mapping[str, Dialect] = {"openai": OpenAIDialect(), "anthropic": AnthropicDialect()}
MAX_CALLS = 5


@dataclass
class Outcome:
    """What a case came to: the answers of all model calls, or the error that ended them."""

    texts: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    ends: list[Completion] = field(default_factory=list)
    error: AppError | None = None
    received: Sequence[Received] = ()

    def hear(self, kind: str, text: str) -> None:
        if kind == "reasoning" and text:
            self.reasoning.append(text)

    @property
    def end(self) -> Completion:
        assert self.error is None, f"{self.error!r} {getattr(self.error, 'words', '')}"
        return self.ends[-1]


async def replay(model: Model, stream: bool) -> Outcome:
    """Ask, and give back what the tools say, until there is an answer."""
    outcome = Outcome()
    conversation: list[Message] = [UserMessage("hello")]
    try:
        for _ in range(MAX_CALLS):
            request = ModelRequest("Be brief.", tuple(conversation), (CALCULATOR, CLOCK), 100, stream)
            texts: list[str] = []
            end = await model.generate(request, texts.append, outcome.hear)
            outcome.texts.append("".join(texts))
            outcome.ends.append(end)
            outcome.calls += end.tool_calls
            if not end.tool_calls:
                return outcome
            conversation.append(AssistantMessage(outcome.texts[-1], end.tool_calls, end.extras))
            conversation += [ToolMessage(call.id, call.name, "42") for call in end.tool_calls]
    except AppError as error:
        outcome.error = error
    return outcome


def answers(text: str, usage: Usage | None = None) -> Callable[[Outcome], None]:
    def check(outcome: Outcome) -> None:
        assert outcome.end.stop_reason == "stop"
        assert outcome.texts == [text]
        if usage:
            assert outcome.end.usage == usage

    return check


def estimates(outcome: Outcome) -> None:
    assert outcome.end.stop_reason == "stop"
    assert outcome.end.usage.input_tokens >= 10
    assert 0 < outcome.end.usage.output_tokens <= 3


def fills_gaps(outcome: Outcome) -> None:
    answers("Hi", Usage(10, 1))(outcome)


def runs(*calls: tuple[str, dict[str, Any]]) -> Callable[[Outcome], None]:
    """These calls run once each, and each result goes back to its own call, in what any provider takes."""

    def check(outcome: Outcome) -> None:
        assert outcome.end.stop_reason == "stop"
        assert outcome.texts[-1] == "FINAL"
        assert [(call.name, call.arguments) for call in outcome.calls] == list(calls)
        assert not any(call.malformed for call in outcome.calls)
        ids = [call.id for call in outcome.calls]
        assert all(ids)
        assert len(set(ids)) == len(ids)
        assert _sent_back(outcome.received[-1].body) == [
            (call.id, *pair) for call, pair in zip(outcome.calls, calls, strict=True)
        ]

    return check


def _sent_back(body: Mapping[str, Any]) -> list[tuple[str, str, Any]]:
    if "max_tokens" in body and isinstance(body["messages"][-1]["content"], list):
        made, results = body["messages"][-2:]
        assert [block["tool_use_id"] for block in results["content"]] == [block["id"] for block in made["content"]]
        return [(block["id"], block["name"], block["input"]) for block in made["content"]]
    made = next(message for message in body["messages"] if message.get("tool_calls"))
    results = [message["tool_call_id"] for message in body["messages"] if message["role"] == "tool"]
    assert results == [call["id"] for call in made["tool_calls"]]
    return [
        (call["id"], call["function"]["name"], json.loads(call["function"]["arguments"])) for call in made["tool_calls"]
    ]


def fails(kind: type[AppError], reason: str | None = None) -> Callable[[Outcome], None]:
    def check(outcome: Outcome) -> None:
        assert isinstance(outcome.error, kind), outcome
        if reason:
            assert isinstance(outcome.error, ModelError)
            assert outcome.error.reason == reason

    return check


def ends_with(reason: str) -> Callable[[Outcome], None]:
    def check(outcome: Outcome) -> None:
        assert outcome.end.stop_reason == reason

    return check


def sends_again(without: str, instead: str | None = None) -> Callable[[Outcome], None]:
    def check(outcome: Outcome) -> None:
        assert outcome.texts == ["FINAL"]
        first, second = (request.body for request in outcome.received)
        assert without in first
        assert without not in second
        assert instead is None or second[instead] == first[without]

    return check


def is_for_the_operator(outcome: Outcome) -> None:
    assert isinstance(outcome.error, ModelUnavailable)
    assert outcome.error.status == 503
    assert outcome.error.retry_after is None
    assert "quota" in outcome.error.words
    assert "operator" in outcome.error.detail


def is_the_callers(outcome: Outcome) -> None:
    assert outcome.error is not None
    assert 400 <= outcome.error.status < 500


ONE = ("calculator", {"expression": "1+1"})
TWO = ("calculator", {"expression": "2+2"})

RIGHT: Mapping[str, Callable[[Outcome], None]] = {
    "both calls run, each with its own arguments": runs(ONE, TWO),
    "both calls run": runs(ONE, TWO),
    "one call, arguments whole": runs(ONE),
    "one call": runs(ONE),
    "the clock runs with no arguments": runs(("clock", {})),
    "one call runs; the nameless one is dropped and not sent back": runs(ONE),
    "the answer is Hi": answers("Hi"),
    "the answer is Hi; the reasoning is not in it": answers("Hi"),
    "the answer is Hi, usage estimated where missing": fills_gaps,
    "usage estimated": estimates,
    "usage 10 and 5": answers("Hi", Usage(10, 5)),
    "a 429": fails(ModelRateLimited),
    "422 context-too-long": fails(ContextTooLong),
    "a failure": fails(ModelUnavailable, "server_error"),
    "finish_reason content_filter": ends_with("content_filter"),
    "finish_reason max_tokens": ends_with("max_tokens"),
    "asked again without stream_options; answered": sends_again("stream_options"),
    "asked again with max_completion_tokens; answered": sends_again("max_tokens", "max_completion_tokens"),
    "503, told to the operator, no Retry-After": is_for_the_operator,
    "a 4xx": is_the_callers,
    "another model, or finish_reason refusal; never an empty answer with stop": ends_with("refusal"),
}


@pytest.mark.parametrize("case", CASES, ids=[f"{case['api']}: {case['title']}" for case in CASES])
async def test_a_case(case: dict[str, Any], provider: Provider, http: Http) -> None:
    provider.will(
        *(
            Reply([reply["body"].encode()], reply["status"], {"Content-Type": reply["content_type"]})
            for reply in case["replies"]
        )
    )
    model = DIALECTS[case["api"]].model(provider.url, http)
    with capture_logs():
        outcome = await replay(model, case["stream"])
    await model.aclose()
    outcome.received = provider.received
    RIGHT[case["right"]](outcome)


async def test_reasoning_in_parts_is_told(provider: Provider, http: Http) -> None:
    case = next(case for case in CASES if "parts" in case["title"])
    provider.will(Reply([case["replies"][0]["body"].encode()]))
    outcome = await replay(OpenAIDialect().model(provider.url, http), stream=True)
    assert outcome.reasoning == ["hmm"]
