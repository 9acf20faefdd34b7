"""What each provider's protocol says, written from its documentation, so that one test can go over all of them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from app.messages import ToolCall, Usage
from app.models.protocol import Model
from app.models.providers.anthropic.model import AnthropicModel
from app.models.providers.http import Http
from app.models.providers.ollama.model import OllamaModel
from app.models.providers.openai.model import OpenAIModel
from tests.models.servers import Reply

NUM_CTX = 8192


@dataclass(frozen=True)
class Script:
    """An answer: the texts that it comes in, the calls, why it ends, and what it takes."""

    texts: Sequence[str] = ("Hello", " wor", "ld.")
    calls: Sequence[ToolCall] = ()
    out_of_tokens: bool = False
    usage: Usage = field(default_factory=lambda: Usage(25, 15))


class Dialect(Protocol):
    name: str

    def model(self, url: str, http: Http, silence_seconds: float = 5) -> Model: ...
    def streamed(self, script: Script) -> Reply: ...
    def plain(self, script: Script) -> Reply: ...
    def event(self, data: str) -> bytes: ...
    def error(self, status: int, message: str) -> Reply: ...


def dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


class OpenAIDialect:
    name = "openai"

    def model(self, url: str, http: Http, silence_seconds: float = 5) -> Model:
        return OpenAIModel("gpt-test", f"{url}/v1", "sk-secret", http)

    def event(self, data: str) -> bytes:
        return f"data: {data}\n\n".encode()

    def streamed(self, script: Script) -> Reply:
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
        deltas += [{"content": text} for text in script.texts]
        for index, call in enumerate(script.calls):
            named = {"index": index, "id": call.id, "function": {"name": call.name, "arguments": ""}}
            deltas.append({"tool_calls": [named]})
            arguments = dump(call.arguments)
            for piece in (arguments[:3], arguments[3:]):
                deltas.append({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
        chunks: list[dict[str, Any]] = [
            {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas
        ]
        chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": self._reason(script)}]})
        chunks.append({"choices": [], "usage": self._usage(script.usage)})
        events = [dump({"id": "chatcmpl-1", "object": "chat.completion.chunk", **chunk}) for chunk in chunks]
        return Reply([self.event(event) for event in [*events, "[DONE]"]])

    def plain(self, script: Script) -> Reply:
        message: dict[str, Any] = {"role": "assistant", "content": "".join(script.texts) or None}
        if script.calls:
            message["tool_calls"] = [
                {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": dump(call.arguments)}}
                for call in script.calls
            ]
        choice = {"index": 0, "message": message, "finish_reason": self._reason(script)}
        return Reply([dump({"choices": [choice], "usage": self._usage(script.usage)}).encode()])

    def error(self, status: int, message: str) -> Reply:
        return Reply([dump({"error": {"message": message, "type": "some_error", "code": None}}).encode()], status)

    def _reason(self, script: Script) -> str:
        return "length" if script.out_of_tokens else "tool_calls" if script.calls else "stop"

    def _usage(self, usage: Usage) -> dict[str, Any]:
        return {
            "prompt_tokens": usage.input_tokens,
            "completion_tokens": usage.output_tokens,
            "total_tokens": usage.total,
            "prompt_tokens_details": {"cached_tokens": usage.cache_read_tokens},
        }


class OllamaDialect:
    name = "ollama"

    def model(self, url: str, http: Http, silence_seconds: float = 5) -> Model:
        return OllamaModel("qwen2.5:3b", url, NUM_CTX, "5m", http)

    def event(self, data: str) -> bytes:
        return f"{data}\n".encode()

    def streamed(self, script: Script) -> Reply:
        lines = [self._line({"role": "assistant", "content": text}) for text in script.texts]
        if script.calls:
            lines.append(self._line(self._message("", script.calls)))
        lines.append(self._line({"role": "assistant", "content": ""}, script))
        return Reply([self.event(line) for line in lines])

    def plain(self, script: Script) -> Reply:
        return Reply([self._line(self._message("".join(script.texts), script.calls), script).encode()])

    def error(self, status: int, message: str) -> Reply:
        return Reply([dump({"error": message}).encode()], status)

    def _message(self, text: str, calls: Sequence[ToolCall]) -> dict[str, Any]:
        functions = [
            {"id": call.id, "function": {"index": index, "name": call.name, "arguments": call.arguments}}
            for index, call in enumerate(calls)
        ]
        return {"role": "assistant", "content": text, **({"tool_calls": functions} if functions else {})}

    def _line(self, message: dict[str, Any], last: Script | None = None) -> str:
        line: dict[str, Any] = {"model": "qwen2.5:3b", "created_at": "2026-01-01T00:00:00Z", "message": message}
        if last:
            line["done_reason"] = "length" if last.out_of_tokens else "stop"
            line["prompt_eval_count"] = last.usage.input_tokens
            line["eval_count"] = last.usage.output_tokens
        return dump({**line, "done": last is not None})


class AnthropicDialect:
    name = "anthropic"

    def model(self, url: str, http: Http, silence_seconds: float = 5) -> Model:
        return AnthropicModel("claude-test", url, "sk-ant-secret", silence_seconds)

    def event(self, data: str) -> bytes:
        return f"event: {json.loads(data)['type']}\ndata: {data}\n\n".encode()

    def streamed(self, script: Script) -> Reply:
        usage = {**self.usage(script.usage), "output_tokens": 1}
        message: dict[str, Any] = {
            "id": "msg_1",
            "role": "assistant",
            "content": [],
            "stop_reason": None,
            "usage": usage,
        }
        events: list[dict[str, Any]] = [{"type": "message_start", "message": message}, {"type": "ping"}]
        if script.texts:
            events.append(self._start(0, {"type": "text", "text": ""}))
            events += [self._delta(0, {"type": "text_delta", "text": text}) for text in script.texts]
            events.append({"type": "content_block_stop", "index": 0})
        for index, call in enumerate(script.calls, 1):
            events.append(self._start(index, {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}))
            arguments = dump(call.arguments)
            for piece in ("", arguments[:3], arguments[3:]):
                events.append(self._delta(index, {"type": "input_json_delta", "partial_json": piece}))
            events.append({"type": "content_block_stop", "index": index})
        delta = {"stop_reason": self._reason(script), "stop_sequence": None}
        output = {"output_tokens": script.usage.output_tokens}
        events += [{"type": "message_delta", "delta": delta, "usage": output}, {"type": "message_stop"}]
        return Reply([self.event(dump(event)) for event in events], headers={"Content-Type": "text/event-stream"})

    def plain(self, script: Script) -> Reply:
        content: list[dict[str, Any]] = [{"type": "text", "text": "".join(script.texts)}] if script.texts else []
        content += [
            {"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments} for call in script.calls
        ]
        message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-test", "content": content}
        ending = {"stop_reason": self._reason(script), "stop_sequence": None, "usage": self.usage(script.usage)}
        return Reply([dump({**message, **ending}).encode()])

    def error(self, status: int, message: str) -> Reply:
        return Reply([dump({"type": "error", "error": {"type": "some_error", "message": message}}).encode()], status)

    def _reason(self, script: Script) -> str:
        return "max_tokens" if script.out_of_tokens else "tool_use" if script.calls else "end_turn"

    def _start(self, index: int, block: dict[str, Any]) -> dict[str, Any]:
        return {"type": "content_block_start", "index": index, "content_block": block}

    def _delta(self, index: int, delta: dict[str, Any]) -> dict[str, Any]:
        return {"type": "content_block_delta", "index": index, "delta": delta}

    def usage(self, usage: Usage) -> dict[str, Any]:
        return {
            "input_tokens": usage.input_tokens - usage.cache_read_tokens - usage.cache_write_tokens,
            "output_tokens": usage.output_tokens,
            "cache_read_input_tokens": usage.cache_read_tokens,
            "cache_creation_input_tokens": usage.cache_write_tokens,
        }
