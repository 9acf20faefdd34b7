"""The bytes the fake upstream answers with, made once for each protocol and model name.

Every answer is the same 64 tokens, ` w00` to ` w63`, so that any reader can tell a whole one from a cut one.
"""

import json
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

Api = Literal["openai", "ollama", "anthropic"]

TOKENS = tuple(f" w{n:02}" for n in range(64))
TEXT = "".join(TOKENS)
MODELS = ("fast", "paced-10ms", "hold")
INPUT_TOKENS = 24
_CREATED = 1_760_000_000
_CREATED_AT = "2026-01-01T00:00:00Z"
_CONTENT_TYPES: dict[Api, bytes] = {
    "openai": b"text/event-stream",
    "ollama": b"application/x-ndjson",
    "anthropic": b"text/event-stream",
}


@dataclass(frozen=True, slots=True)
class Stream:
    """A chunked response in the pieces it may be sent in: before, one piece a token, after."""

    opening: bytes
    tokens: tuple[bytes, ...]
    closing: bytes


def response(body: bytes, content_type: bytes = b"application/json", status: bytes = b"200 OK") -> bytes:
    """A whole response with its length."""
    head = b"HTTP/1.1 %b\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n"
    return head % (status, content_type, len(body)) + body


@cache
def plain(api: Api, model: str) -> bytes:
    """The answer to a call that did not ask for a stream."""
    return response(_dump(_PLAIN[api](model)))


@cache
def stream(api: Api, model: str) -> Stream:
    """The answer to a call that did; every event is an HTTP chunk of its own, as model servers send them."""
    before, tokens, after = _STREAMS[api](model)
    head = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ntransfer-encoding: chunked\r\n\r\n" % _CONTENT_TYPES[api]
    return Stream(
        opening=head + b"".join(map(_chunk, before)),
        tokens=tuple(map(_chunk, tokens)),
        closing=b"".join(map(_chunk, after)) + b"0\r\n\r\n",
    )


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _dump(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _sse(value: object) -> bytes:
    return b"data: " + _dump(value) + b"\n\n"


def _event(value: dict[str, Any]) -> bytes:
    return b"event: " + str(value["type"]).encode() + b"\n" + _sse(value)


def _openai_plain(model: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": TEXT, "refusal": None}
    return {
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "created": _CREATED,
        "model": model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": _openai_usage(),
    }


def _openai_usage() -> dict[str, int]:
    return {
        "prompt_tokens": INPUT_TOKENS,
        "completion_tokens": len(TOKENS),
        "total_tokens": INPUT_TOKENS + len(TOKENS),
    }


def _openai_stream(model: str) -> tuple[list[bytes], list[bytes], list[bytes]]:
    base = {"id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": _CREATED, "model": model}

    def delta(content: dict[str, Any], finish: str | None = None) -> bytes:
        return _sse({**base, "choices": [{"index": 0, "delta": content, "finish_reason": finish}]})

    usage = _sse({**base, "choices": [], "usage": _openai_usage()})
    return (
        [delta({"role": "assistant", "content": ""})],
        [delta({"content": token}) for token in TOKENS],
        [delta({}, "stop"), usage, b"data: [DONE]\n\n"],
    )


def _ollama_end(model: str, content: str) -> dict[str, Any]:
    return {
        "model": model,
        "created_at": _CREATED_AT,
        "message": {"role": "assistant", "content": content},
        "done": True,
        "done_reason": "stop",
        "total_duration": 1_000_000,
        "load_duration": 1_000,
        "prompt_eval_count": INPUT_TOKENS,
        "prompt_eval_duration": 1_000,
        "eval_count": len(TOKENS),
        "eval_duration": 1_000,
    }


def _ollama_stream(model: str) -> tuple[list[bytes], list[bytes], list[bytes]]:
    def line(content: str) -> bytes:
        message = {"role": "assistant", "content": content}
        return _dump({"model": model, "created_at": _CREATED_AT, "message": message, "done": False}) + b"\n"

    return [], [line(token) for token in TOKENS], [_dump(_ollama_end(model, "")) + b"\n"]


def _anthropic_message(model: str, content: list[Any], stop: str | None, output: int) -> dict[str, Any]:
    return {
        "id": "msg_bench",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": {
            "input_tokens": INPUT_TOKENS,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": output,
        },
    }


def _anthropic_stream(model: str) -> tuple[list[bytes], list[bytes], list[bytes]]:
    def delta(text: str) -> bytes:
        part = {"type": "text_delta", "text": text}
        return _event({"type": "content_block_delta", "index": 0, "delta": part})

    block = {"type": "text", "text": ""}
    stop = {"stop_reason": "end_turn", "stop_sequence": None}
    return (
        [
            _event({"type": "message_start", "message": _anthropic_message(model, [], None, 1)}),
            _event({"type": "content_block_start", "index": 0, "content_block": block}),
            _event({"type": "ping"}),
        ],
        [delta(token) for token in TOKENS],
        [
            _event({"type": "content_block_stop", "index": 0}),
            _event({"type": "message_delta", "delta": stop, "usage": {"output_tokens": len(TOKENS)}}),
            _event({"type": "message_stop"}),
        ],
    )


def _anthropic_plain(model: str) -> dict[str, Any]:
    return _anthropic_message(model, [{"type": "text", "text": TEXT}], "end_turn", len(TOKENS))


def _ollama_plain(model: str) -> dict[str, Any]:
    return _ollama_end(model, TEXT)


_PLAIN = {"openai": _openai_plain, "ollama": _ollama_plain, "anthropic": _anthropic_plain}
_STREAMS = {"openai": _openai_stream, "ollama": _ollama_stream, "anthropic": _anthropic_stream}


def _static() -> dict[bytes, bytes]:
    listed = [
        {
            "id": name,
            "object": "model",
            "type": "model",
            "display_name": name,
            "created": _CREATED,
            "created_at": _CREATED_AT,
            "owned_by": "bench",
        }
        for name in MODELS
    ]
    models = {"object": "list", "data": listed, "has_more": False, "first_id": "fast", "last_id": "hold"}
    details = {"format": "gguf", "family": "bench", "parameter_size": "1B", "quantization_level": "Q4_K_M"}
    about = {"modified_at": _CREATED_AT, "size": 1, "digest": "0" * 64, "details": details}
    tags = [{"name": name, "model": name} | about for name in MODELS]
    info = {"general.architecture": "bench", "bench.context_length": 32_768}
    show = {"details": details, "model_info": info, "capabilities": ["completion", "tools"]}
    return {
        b"/": response(b"bench upstream", b"text/plain"),
        b"/v1/models": response(_dump(models)),
        b"/api/version": response(_dump({"version": "0.13.0"})),
        b"/api/tags": response(_dump({"models": tags})),
        b"/api/ps": response(_dump({"models": []})),
        b"/api/show": response(_dump(show)),
    }


STATIC = _static()
CALLS: dict[bytes, Api] = {
    b"/v1/chat/completions": "openai",
    b"/api/chat": "ollama",
    b"/v1/messages": "anthropic",
}
NOT_FOUND = response(b'{"error":{"type":"not_found_error","message":"not found"}}', status=b"404 Not Found")
LENGTH_REQUIRED = response(b"{}", status=b"411 Length Required")
