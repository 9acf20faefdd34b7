"""What is asked of Anthropic's messages API.

https://platform.claude.com/docs/en/api/messages
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from app.messages import AssistantMessage, Message, ToolCall, ToolMessage, UserMessage
from app.models.protocol import ModelRequest
from app.models.providers.answer_format import system_prompt
from app.models.providers.anthropic.blocks import placed
from app.models.providers.anthropic.caching import Marks
from app.models.providers.changes import NO_CHANGES, Changes

FORMAT = "output_config"
"""The parameter with the schema of an answer."""

BLANK = "(a blank message)"
"""Stands for a message of white space, which Anthropic does not take."""

_NOT_IN_IDS = re.compile(r"[^a-zA-Z0-9_-]")
_NAME_CHARS = 128


def request_body(
    request: ModelRequest,
    model: str,
    ref: str,
    max_tokens: int,
    marks: Marks,
    changes: Changes = NO_CHANGES,
    *,
    with_tools: bool = True,
) -> dict[str, Any]:
    """The parameters of `messages.create`. `ref` is the model's: it is given back its own thinking. `changes` are what
    the server has asked for."""
    with_tools = with_tools and bool(request.tools)
    ways = changes.ways
    system = system_prompt(request, FORMAT, changes.left_out)
    cached = "without_marks_for_the_cache" not in ways
    messages = _Conversation(ref, with_tools=with_tools).told(request.messages)
    body: dict[str, Any] = {"model": model, "max_tokens": max_tokens, "messages": messages}
    if system:
        as_text = "system_prompt_as_text" in ways or not cached
        body["system"] = system if as_text else [{"type": "text", "text": system}]
    if request.response_format is not None and FORMAT not in changes.left_out:
        body[FORMAT] = {"format": {"type": "json_schema", "schema": request.response_format}}
    if with_tools:
        body["tools"] = [
            {"name": tool.name, "description": tool.description, "input_schema": tool.parameters}
            for tool in request.tools
        ]
    if "thinking_in_every_message" in ways:
        for message in messages:
            _begin_with_thinking(message)
    if cached:
        marks.set(body, request, messages=request.conversation != "")
    if "content_as_text" in ways:
        for message in messages:
            message["content"] = _as_text(message["content"])
    return body


def _begin_with_thinking(message: dict[str, Any]) -> None:
    """DeepSeek takes no answer that it did not think about."""
    if message["role"] == "assistant" and message["content"][0]["type"] != "thinking":
        message["content"].insert(0, {"type": "thinking", "thinking": "", "signature": ""})


def _as_text(content: list[dict[str, Any]]) -> str | list[dict[str, Any]]:
    """A message's blocks as one text, where they are nothing else."""
    if any(block["type"] != "text" for block in content):
        return content
    return "\n".join(block["text"] for block in content)


class _Conversation:
    """The ids of calls have to be unique in all of it, and of Anthropic's characters: other models' calls, and those of
    servers that count them anew in each answer, are given others, their results likewise. Without tools in the request
    the API takes no calls, and they are told as text."""

    def __init__(self, ref: str, *, with_tools: bool) -> None:
        self._ref = ref
        self._with_tools = with_tools
        self._ids: dict[str, str] = {}
        self._taken: set[str] = set()

    def told(self, messages: Sequence[Message]) -> list[dict[str, Any]]:
        """Results of calls that were made together have to be in one message; empty answers are left out."""
        turns: list[dict[str, Any]] = []
        for message in messages:
            role = "assistant" if isinstance(message, AssistantMessage) else "user"
            blocks = list(self._blocks(message))
            if blocks and turns and turns[-1]["role"] == role:
                turns[-1]["content"].extend(blocks)
            elif blocks:
                turns.append({"role": role, "content": blocks})
        return turns

    def _blocks(self, message: Message) -> Iterable[dict[str, Any]]:
        match message:
            case ToolMessage() if not self._with_tools:
                yield {"type": "text", "text": f"[{message.name} returned: {message.content}]"}
            case ToolMessage():
                yield {
                    "type": "tool_result",
                    "tool_use_id": self._ids.get(message.tool_call_id) or _id(message.tool_call_id),
                    "content": message.content,
                    "is_error": message.is_error,
                }
            case UserMessage():
                yield {"type": "text", "text": message.content if message.content.strip() else BLANK}
            case AssistantMessage():
                calls = {call.id: self._call(call) for call in message.tool_calls}
                yield from placed(message, calls, self._ref)

    def _call(self, call: ToolCall) -> dict[str, Any]:
        if not self._with_tools:
            arguments = msgspec.json.encode(call.arguments).decode()
            return {"type": "text", "text": f"[called {call.name} with {arguments}]"}
        valid = unique = _id(call.id)
        number = 1
        while unique in self._taken:
            number += 1
            unique = f"{valid}_{number}"
        self._taken.add(unique)
        self._ids[call.id] = unique
        return {"type": "tool_use", "id": unique, "name": _name(call.name), "input": call.arguments}


def _id(call_id: str) -> str:
    return _NOT_IN_IDS.sub("_", call_id) or "call"


def _name(name: str) -> str:
    return _NOT_IN_IDS.sub("_", name)[:_NAME_CHARS] or "unnamed"
