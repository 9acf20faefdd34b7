import asyncio
import json
from collections.abc import AsyncIterator

import aiohttp
import anthropic
import pytest

from bench import wire
from bench.upstream import Upstream


@pytest.fixture
async def url() -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Upstream(loop), "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_the_anthropic_sdk_reads_a_plain_answer_and_a_stream(url: str) -> None:
    async with anthropic.AsyncAnthropic(api_key="x", base_url=url, max_retries=0) as client:
        plain = await client.messages.create(model="fast", max_tokens=100, messages=[{"role": "user", "content": "hi"}])
        assert plain.content[0].type == "text"
        assert plain.content[0].text == wire.TEXT
        async with client.messages.stream(
            model="fast-5", max_tokens=100, messages=[{"role": "user", "content": "hi"}]
        ) as stream:
            final = await stream.get_final_message()
        assert final.content[0].type == "text"
        assert final.content[0].text == wire.TEXT
        assert final.usage.output_tokens == len(wire.TOKENS)


@pytest.mark.parametrize("model", ["fast", "fast-1", "fast-64", "fast-7", "paced-1ms"])
async def test_an_openai_stream_has_every_token_the_usage_and_the_end(url: str, model: str) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/v1/chat/completions", json={"model": model, "stream": True}) as answer,
    ):
        events = (await answer.text()).split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    chunks = [json.loads(event.removeprefix("data: ")) for event in events[:-2]]
    text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks[:-1])
    assert text == wire.TEXT
    assert chunks[-1]["usage"]["completion_tokens"] == len(wire.TOKENS)


async def test_ollama_streams_unless_told_not_to(url: str) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{url}/api/chat", json={"model": "fast"}) as answer:
            lines = [json.loads(line) for line in (await answer.text()).splitlines()]
        assert "".join(line["message"]["content"] for line in lines) == wire.TEXT
        assert [line["done"] for line in lines].index(True) == len(lines) - 1
        async with session.post(f"{url}/api/chat", json={"model": "fast", "stream": False}) as answer:
            assert (await answer.json())["message"]["content"] == wire.TEXT


async def test_pipelined_requests_are_answered_in_order(url: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))
    body = b'{"model":"fast","stream":true}'
    streamed = b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
    writer.write(streamed + b"GET /api/version HTTP/1.1\r\n\r\n" + b"GET /nowhere HTTP/1.1\r\n\r\n")
    seen = await reader.readuntil(b"not found")
    assert seen.index(b"[DONE]") < seen.index(b"0.13.0") < seen.index(b"404 Not Found")
    writer.close()
    await writer.wait_closed()


async def test_a_held_stream_sends_one_token_and_stays_open(url: str) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/v1/chat/completions", json={"model": "hold", "stream": True}) as answer,
    ):
        seen = b""
        while b" w00" not in seen:
            seen += await answer.content.readany()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await answer.content.readany()
