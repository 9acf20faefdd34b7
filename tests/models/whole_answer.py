"""A model's answer as a whole."""

from dataclasses import dataclass

from app.messages import ToolCall, UserMessage
from app.models.protocol import Completion, Model, ModelRequest, ToolSpec

CALCULATOR = ToolSpec(
    "calculator",
    "Work out an expression.",
    {"type": "object", "properties": {"expression": {"type": "string"}}, "required": ["expression"]},
)
CLOCK = ToolSpec("clock", "The time.", {"type": "object", "properties": {"zone": {"type": "string"}}})


@dataclass(frozen=True)
class WholeAnswer:
    text: str
    calls: list[ToolCall]
    end: Completion
    texts: list[str]


def ask(text: str = "hello", *, stream: bool = True, tools: tuple[ToolSpec, ...] = ()) -> ModelRequest:
    return ModelRequest("Be brief.", [UserMessage(text)], tools, max_tokens=100, stream=stream)


async def whole_answer(model: Model, request: ModelRequest) -> WholeAnswer:
    """The texts have to come as the protocol says: none empty, none after the end."""
    texts: list[str] = []
    completion = await model.generate(request, texts.append)
    assert all(texts)
    return WholeAnswer("".join(texts), list(completion.tool_calls), completion, list(texts))
