"""Events of Anthropic's streams, to put servers' answers together from."""

import json
from collections.abc import Iterable
from typing import Any

from tests.models.servers import Reply

DONE = b"data: [DONE]\n\n"
STOP = {"type": "message_stop"}


def event(data: dict[str, Any]) -> bytes:
    return f"event: {data.get('type', 'x')}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def start(usage: Any = None) -> dict[str, Any]:
    return {"type": "message_start", "message": {"id": "m", "role": "assistant", "content": [], "usage": usage}}


def began(index: int | None, **block: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def stopped(index: int | None) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


def delta(index: int | None, **fields: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": fields}


def text(words: str, index: int | None = 0) -> list[dict[str, Any]]:
    return [began(index, type="text", text=""), delta(index, type="text_delta", text=words), stopped(index)]


def call(index: int | None, call_id: str, name: str, *pieces: str, **more: Any) -> list[dict[str, Any]]:
    deltas = [delta(index, type="input_json_delta", partial_json=piece) for piece in pieces]
    return [began(index, type="tool_use", id=call_id, name=name, **more), *deltas, stopped(index)]


def thinking(index: int, thought: str, signature: str = "") -> list[dict[str, Any]]:
    signed = [delta(index, type="signature_delta", signature=signature)] if signature else []
    begin = began(index, type="thinking", thinking="", signature="")
    return [begin, delta(index, type="thinking_delta", thinking=thought), *signed, stopped(index)]


def end(reason: str | None = "end_turn", usage: Any = None) -> dict[str, Any]:
    return {"type": "message_delta", "delta": {"stop_reason": reason}, **({"usage": usage} if usage else {})}


def stream(*events: Any, last: bytes = b"") -> Reply:
    """Each event is one, or a list of some."""
    return Reply([b"".join(map(event, flat(events))) + last], headers={"Content-Type": "text/event-stream"})


def flat(events: Iterable[Any]) -> list[dict[str, Any]]:
    return [one for item in events for one in (flat(item) if isinstance(item, list) else [item])]


def plain(content: Any, reason: str | None = "end_turn", usage: Any = None) -> Reply:
    message = {"id": "m", "type": "message", "role": "assistant", "content": content, "stop_reason": reason}
    return Reply([json.dumps({**message, "usage": usage}).encode()])
