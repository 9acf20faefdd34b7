"""A model's answer as a whole."""

from contextlib import aclosing
from dataclasses import dataclass

from app.messages import ToolCall, UserMessage
from app.models.protocol import Model, ModelRequest, Stop, Text, ToolCallRequested, ToolSpec

CALCULATOR = ToolSpec(
    "calculator",
    "Work out an expression.",
    {"type": "object", "properties": {"expression": {"type": "string"}}, "required": ["expression"]},
)
CLOCK = ToolSpec("clock", "The time.", {"type": "object", "properties": {"zone": {"type": "string"}}})


@dataclass(frozen=True)
class Folded:
    text: str
    calls: list[ToolCall]
    stop: Stop
    texts: list[str]


def ask(text: str = "hello", *, stream: bool = True, tools: tuple[ToolSpec, ...] = ()) -> ModelRequest:
    return ModelRequest("Be brief.", [UserMessage(text)], tools, max_tokens=100, stream=stream)


async def fold(model: Model, request: ModelRequest) -> Folded:
    """The events have to come as the protocol says: texts and calls, none empty, then one stop."""
    texts: list[str] = []
    calls: list[ToolCall] = []
    stop: Stop | None = None
    async with aclosing(model.stream(request)) as events:
        async for event in events:
            assert stop is None, f"{event} after the end"
            match event:
                case Text(text):
                    assert text
                    texts.append(text)
                case ToolCallRequested(call):
                    calls.append(call)
                case Stop():
                    stop = event
    assert stop
    return Folded("".join(texts), calls, stop, texts)
