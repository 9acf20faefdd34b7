"""A stream that is left while its model writes arguments or reasoning, by each provider: what it wrote is counted."""

import asyncio
from collections.abc import AsyncIterator, Mapping

import pytest

from app.messages import ToolCall, UserMessage
from app.models.call_records import Attempt
from app.models.catalog import Models, build_models
from app.models.protocol import ModelRequest, ToolSpec
from app.settings import load
from tests.models.dialects import AnthropicDialect, Dialect, OllamaDialect, OpenAIDialect, Script
from tests.models.servers import Provider, Reply

TOOL = ToolSpec("calculator", "Calculates.", {"type": "object", "properties": {"expression": {"type": "string"}}})
SECONDS = 0.3
REQUEST = ModelRequest("Be brief.", [UserMessage("What is 6 * 7?")], (TOOL,))
DIALECTS: Mapping[str, Dialect] = {
    "openai/gpt-4o": OpenAIDialect(),
    "anthropic/claude-test": AnthropicDialect(),
    "ollama/test": OllamaDialect(),
}


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with Provider() as provider:
        yield provider


@pytest.fixture
async def models(provider: Provider) -> AsyncIterator[Models]:
    built = build_models(
        load(
            None,
            models=",".join(DIALECTS),
            unknown_price="allow",
            openai_base_url=f"{provider.url}/v1",
            openai_api_key="sk-test",
            anthropic_base_url=provider.url,
            anthropic_api_key="sk-ant-test",
            ollama_api_base=provider.url,
        )
    )
    yield built
    await built.aclose()


async def left(models: Models, ref: str) -> Attempt:
    """What is booked of a call of the model whose caller leaves once all pieces have come."""
    attempts: list[Attempt] = []
    call = models[ref].generate(REQUEST, lambda _: None, on_attempt=attempts.append)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(call, SECONDS)
    [attempt] = attempts
    assert attempt.uncertain
    return attempt


@pytest.mark.parametrize("ref", DIALECTS)
async def test_text(provider: Provider, models: Models, ref: str) -> None:
    reply = DIALECTS[ref].streamed(Script(["The answer is", " forty-two"]))
    provider.will(reply.with_pieces(reply.pieces[:-2]).ending_with("silent"))
    attempt = await left(models, ref)
    assert (attempt.usage.output_tokens > 0, attempt.shared) == (True, None)


@pytest.mark.parametrize(("ref", "pieces"), [("openai/gpt-4o", 2), ("openai/gpt-4o", 3), ("anthropic/claude-test", 3)])
async def test_the_beginning_of_a_tool_call(provider: Provider, models: Models, ref: str, pieces: int) -> None:
    reply = DIALECTS[ref].streamed(Script((), [ToolCall("call_1", "calculator", {"expression": "6*7"})]))
    provider.will(reply.with_pieces(reply.pieces[:pieces]).ending_with("silent"))
    assert (await left(models, ref)).usage.output_tokens > 0


@pytest.mark.parametrize("ref", DIALECTS)
async def test_reasoning(provider: Provider, models: Models, ref: str) -> None:
    thought = "Let me think about it"
    deltas = {
        "openai/gpt-4o": b'data: {"choices":[{"index":0,"delta":{"reasoning_content":"%b"}}]}\n\n',
        "anthropic/claude-test": (
            b'event: content_block_start\ndata: {"type":"content_block_start","index":0,'
            b'"content_block":{"type":"thinking","thinking":"%b"}}\n\n'
        ),
        "ollama/test": b'{"message":{"role":"assistant","content":"","thinking":"%b"},"done":false}\n',
    }
    headers = DIALECTS[ref].streamed(Script(["x"])).headers
    provider.will(Reply([deltas[ref] % thought.encode()], headers=headers, ending="silent"))
    assert (await left(models, ref)).usage.output_tokens >= len(thought) // 4
