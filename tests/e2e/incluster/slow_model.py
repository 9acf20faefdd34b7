"""A model server for the rollout test: speaks OpenAI's chat completions and takes its time.

A message `hold N` is answered word by word over N seconds; any other at once. Standard library only: it runs
in a pod of the service's own image.
"""

import asyncio
import json
import re
from typing import Any

WORDS_PER_SECOND = 10
PORT = 8000


def seconds_to_hold(request: dict[str, Any]) -> float:
    last = request["messages"][-1]["content"]
    text = last if isinstance(last, str) else json.dumps(last)
    found = re.search(r"hold ([0-9.]+)", text)
    return float(found[1]) if found else 0.0


def event(delta: dict[str, str], finish: str | None = None, usage: dict[str, int] | None = None) -> bytes:
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
        choice = {"index": 0, "message": {"role": "assistant", "content": "word " * words}, "finish_reason": "stop"}
        body = json.dumps({"id": "slow", "object": "chat.completion", "choices": [choice], "usage": usage}).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        return
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
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
