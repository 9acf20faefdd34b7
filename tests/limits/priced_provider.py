"""A provider with Anthropic's API that charges by chance: run it as `python -m tests.limits.priced_provider SEED`.

It prints its port. What it reports is never more than what was asked for allows: at most a token for each byte of the
request, at most `max_tokens` written. One call in three asks for a tool.
"""

import asyncio
import random
import sys

import msgspec

NAME = "claude-haiku-4-5"
MODEL = f"anthropic/{NAME}"


def answer_to(body: bytes, chance: random.Random) -> bytes:
    request = msgspec.json.decode(body)
    written = chance.randint(1, request["max_tokens"])
    read = chance.randint(len(body) // 8, len(body) // 3)
    asks = "tools" in request and chance.random() < 0.33
    call = {"type": "tool_use", "id": "call_1", "name": "calculator", "input": {"expression": "6*7"}}
    return msgspec.json.encode(
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": NAME,
            "content": [{"type": "text", "text": "42"}, *([call] if asks else [])],
            "stop_reason": "tool_use" if asks else "end_turn",
            "stop_sequence": None,
            "usage": {
                "input_tokens": read // 2,
                "cache_creation_input_tokens": read - read // 2,
                "cache_read_input_tokens": 0,
                "output_tokens": written,
            },
        }
    )


async def serve(chance: random.Random) -> None:
    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.lower().split(b"\r\n")
                length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
                body = await reader.readexactly(length)
                if body:
                    await asyncio.sleep(chance.uniform(0.02, 0.4))
                reply = answer_to(body, chance) if body else b"{}"
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
                writer.write(b"Content-Length: %d\r\n\r\n" % len(reply) + reply)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(converse, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(random.Random(int(sys.argv[1]))))
