"""A model server for the tests of rollouts and deaths: speaks OpenAI's chat completions and takes its time.

A message `hold N` is answered word by word over N seconds; any other at once. One with `look first` is answered with
a call of the tool `clock` before. Standard library only: it runs in a pod of the service's own image.
"""

import asyncio
import json
import re
from typing import Any

WORDS_PER_SECOND = 10
PORT = 8000


TOOL_CALLS = [{"index": 0, "id": "call_1", "type": "function", "function": {"name": "clock", "arguments": "{}"}}]


def asked(request: dict[str, Any]) -> str:
    """What the user said last."""
    last = next(one["content"] for one in reversed(request["messages"]) if one["role"] == "user")
    return last if isinstance(last, str) else json.dumps(last)


def wants_tool(request: dict[str, Any]) -> bool:
    return "look first" in asked(request) and request["messages"][-1]["role"] == "user"


def seconds_to_hold(request: dict[str, Any]) -> float:
    found = re.search(r"hold ([0-9.]+)", asked(request))
    return float(found[1]) if found and not wants_tool(request) else 0.0


def event(delta: dict[str, Any], finish: str | None = None, usage: dict[str, int] | None = None) -> bytes:
    chunk = {
        "id": "slow",
        "object": "chat.completion.chunk",
        "created": 0,
        "model": "slow",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        "usage": usage,
    }
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


async def answer(request: dict[str, Any], writer: asyncio.StreamWriter) -> None:
    words = max(5, round(seconds_to_hold(request) * WORDS_PER_SECOND))
    pause = 1 / WORDS_PER_SECOND if seconds_to_hold(request) else 0.0
    usage = {"prompt_tokens": 10, "completion_tokens": words, "total_tokens": words + 10}
    if not request.get("stream"):
        await asyncio.sleep(words * pause)
        message: dict[str, Any] = {"role": "assistant", "content": "word " * words}
        if wants_tool(request):
            message = {"role": "assistant", "content": None, "tool_calls": TOOL_CALLS}
        finish = "tool_calls" if wants_tool(request) else "stop"
        choice = {"index": 0, "message": message, "finish_reason": finish}
        body = json.dumps({"id": "slow", "object": "chat.completion", "choices": [choice], "usage": usage}).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        return
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
    if wants_tool(request):
        writer.write(event({"role": "assistant", "tool_calls": TOOL_CALLS}))
        writer.write(event({}, "tool_calls", usage) + b"data: [DONE]\n\n")
        return
    for _ in range(words):
        writer.write(event({"role": "assistant", "content": "word "}))
        await writer.drain()
        await asyncio.sleep(pause)
    writer.write(event({}, "stop", usage) + b"data: [DONE]\n\n")


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
            body = await reader.readexactly(int(length[1])) if length else b""
            if head.startswith(b"POST"):
                request = json.loads(body)
                await answer(request, writer)
                await writer.drain()
                if request.get("stream"):
                    break
            else:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n")
                writer.write(b'{"data":[]}')
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main() -> None:
    server = await asyncio.start_server(serve, "0.0.0.0", PORT, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
