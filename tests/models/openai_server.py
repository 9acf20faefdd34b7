"""Answers as OpenAI-compatible servers send them, and a conversation with a model behind such a server."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.messages import AssistantMessage, Message, ToolCall, ToolMessage, UserMessage
from app.models.protocol import Completion, Model, ModelRequest
from tests.models.dialects import dump
from tests.models.servers import Reply
from tests.models.whole_answer import CALCULATOR, CLOCK

USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


def chunk(delta: Any = None, finish: str | None = None, **rest: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {} if delta is None else delta, "finish_reason": finish}], **rest}


def stream(*chunks: Any, done: bool = True, usage: Any = USAGE) -> Reply:
    """Events of these chunks, text as it is, then the usage and `[DONE]`."""
    events = [piece if isinstance(piece, str) else dump(piece) for piece in chunks]
    if usage is not None:
        events.append(dump({"choices": [], "usage": usage}))
    if done:
        events.append("[DONE]")
    return Reply([f"data: {event}\n\n".encode() for event in events], headers={"Content-Type": "text/event-stream"})


def says(*texts: str) -> Reply:
    return stream(*(chunk({"content": text}) for text in texts), chunk(finish="stop"))


def calls(*pieces: Sequence[dict[str, Any]], finish: str = "tool_calls") -> Reply:
    """A stream with these lists of tool calls, one a chunk."""
    return stream(*(chunk({"tool_calls": list(piece)}) for piece in pieces), chunk(finish=finish))


def whole(message: dict[str, Any], finish: str | None = "stop", usage: Any = USAGE, **rest: Any) -> Reply:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    return Reply([dump({"id": "c", "choices": [choice], "usage": usage, **rest}).encode()])


def refuses(status: int, said: Any) -> Reply:
    return Reply([dump(said).encode()], status)


def call(arguments: Any, name: str | None = "calculator", **rest: Any) -> dict[str, Any]:
    function = {"arguments": arguments} if name is None else {"name": name, "arguments": arguments}
    return {**rest, "function": function}


@dataclass
class Heard:
    """What one call of a model told."""

    texts: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    arguments: list[str] = field(default_factory=list)
    end: Completion | None = None

    def hear(self, kind: str, text: str) -> None:
        if text:
            (self.reasoning if kind == "reasoning" else self.arguments).append(text)

    @property
    def text(self) -> str:
        """The answer."""
        return "".join(self.texts) if self.completion.text is None else self.completion.text

    @property
    def completion(self) -> Completion:
        assert self.end
        return self.end

    @property
    def calls(self) -> list[tuple[str, dict[str, Any]]]:
        assert not any(call.malformed for call in self.completion.tool_calls)
        return [(call.name, call.arguments) for call in self.completion.tool_calls]

    def messages(self) -> list[Message]:
        """What is added to the conversation: the answer, and results of its calls."""
        made = self.completion.tool_calls
        results = [ToolMessage(call.id, call.name, f"result {at}") for at, call in enumerate(made)]
        return [AssistantMessage(self.text, made, self.completion.extras), *results]


async def ask(
    model: Model,
    conversation: Sequence[Message] = (UserMessage("hello"),),
    *,
    stream: bool = True,
    tools: bool = True,
    change: Callable[[ModelRequest], ModelRequest] = lambda request: request,
) -> Heard:
    heard = Heard()
    request = ModelRequest("Be brief.", conversation, (CALCULATOR, CLOCK) if tools else (), 100, stream)
    heard.end = await model.generate(change(request), heard.texts.append, heard.hear)
    return heard


ONE: tuple[str, dict[str, Any]] = ("calculator", {"expression": "1+1"})
TWO: tuple[str, dict[str, Any]] = ("calculator", {"expression": "2+2"})
ONE_JSON = '{"expression": "1+1"}'
TWO_JSON = '{"expression": "2+2"}'


def conversation_with(*made: ToolCall) -> list[Message]:
    """An earlier turn in which these calls were made, and another question."""
    results = [ToolMessage(call.id, call.name, "3") for call in made]
    return [
        UserMessage("1 + 2?"),
        AssistantMessage("", made),
        *results,
        AssistantMessage("It is 3."),
        UserMessage("So?"),
    ]
