"""The clients that `bench.clients` compares: each opened once, then called plain and streamed.

A caller's two functions return the whole text; streamed, every event's text is decoded on its own.
"""

from collections.abc import AsyncIterable, Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import aiohttp
import anthropic
import httpx
import httpx2
import msgspec
from anthropic.types import MessageParam
from httpx_aiohttp import HttpxAiohttpClient

Call = Callable[[], Awaitable[str]]
Caller = Callable[[AsyncExitStack, str, str], Awaitable[tuple[Call, Call]]]

_TIMEOUT_SECONDS = 120
_JSON = {"content-type": "application/json"}


class _Delta(msgspec.Struct):
    content: str | None = None
    text: str | None = None


class _Choice(msgspec.Struct):
    delta: _Delta | None = None
    message: _Delta | None = None


class _Event(msgspec.Struct):
    """What OpenAI's and Anthropic's events and answers have that matters here."""

    choices: list[_Choice] = []
    delta: _Delta | None = None
    content: list[_Delta] = []


_decode = msgspec.json.Decoder(_Event).decode


def _whole(data: bytes) -> str:
    answer = _decode(data)
    if answer.content:
        return answer.content[0].text or ""
    message = answer.choices[0].message
    return (message.content if message else None) or ""


async def _text(chunks: AsyncIterable[bytes]) -> str:
    """Splits the events of a stream and decodes each."""
    parts: list[str] = []
    rest = b""
    async for chunk in chunks:
        *events, rest = (rest + chunk).split(b"\n\n")
        for event in events:
            data = event[event.find(b"data: ") + 6 :]
            if data == b"[DONE]":
                continue
            decoded = _decode(data)
            delta = decoded.delta or (decoded.choices[0].delta if decoded.choices else None)
            if delta and (text := delta.content or delta.text):
                parts.append(text)
    return "".join(parts)


def _bodies(model: str) -> tuple[bytes, bytes]:
    request = {"model": model, "messages": [{"role": "user", "content": "What is the answer?"}]}
    return msgspec.json.encode(request), msgspec.json.encode(request | {"stream": True})


async def _aiohttp(stack: AsyncExitStack, url: str, model: str) -> tuple[Call, Call]:
    session = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
    once, streamed = _bodies(model)
    url += "/v1/chat/completions"

    async def plain() -> str:
        async with session.post(url, data=once, headers=_JSON) as answer:
            return _whole(await answer.read())

    async def stream() -> str:
        async with session.post(url, data=streamed, headers=_JSON) as answer:
            return await _text(answer.content.iter_any())

    return plain, stream


async def _httpx(make: Callable[[], Any], stack: AsyncExitStack, url: str, model: str) -> tuple[Call, Call]:
    client = await stack.enter_async_context(make())
    once, streamed = _bodies(model)
    url += "/v1/chat/completions"

    async def plain() -> str:
        return _whole((await client.post(url, content=once, headers=_JSON)).content)

    async def stream() -> str:
        async with client.stream("POST", url, content=streamed, headers=_JSON) as answer:
            return await _text(answer.aiter_bytes())

    return plain, stream


async def _sdk(make: Callable[[], Any], how: str, stack: AsyncExitStack, url: str, model: str) -> tuple[Call, Call]:
    client = await stack.enter_async_context(
        anthropic.AsyncAnthropic(api_key="bench", base_url=url, max_retries=0, http_client=make())
    )
    messages: list[MessageParam] = [{"role": "user", "content": "What is the answer?"}]
    create = partial(client.messages.create, model=model, max_tokens=1000, messages=messages)

    async def plain() -> str:
        block = (await create(stream=False)).content[0]
        return block.text if block.type == "text" else ""

    async def typed() -> str:
        events = await client.messages.create(model=model, max_tokens=1000, messages=messages, stream=True)
        deltas = [event.delta async for event in events if event.type == "content_block_delta"]
        return "".join(delta.text for delta in deltas if delta.type == "text_delta")

    async def helper() -> str:
        async with client.messages.stream(model=model, max_tokens=1000, messages=messages) as stream:
            return "".join([text async for text in stream.text_stream])

    raw_create = partial(
        client.messages.with_streaming_response.create, model=model, max_tokens=1000, messages=messages
    )

    async def raw_plain() -> str:
        async with raw_create(stream=False) as answer:
            return _whole(await answer.read())

    async def raw() -> str:
        async with raw_create(stream=True) as answer:
            return await _text(answer.iter_bytes())

    return {"typed": (plain, typed), "helper": (plain, helper), "raw": (raw_plain, raw)}[how]


def _wide_httpx() -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    return httpx.AsyncClient(limits=limits, timeout=_TIMEOUT_SECONDS)


def _wide_httpx2() -> httpx2.AsyncClient:
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
    return httpx2.AsyncClient(limits=limits, timeout=_TIMEOUT_SECONDS)


def _httpx_over_aiohttp() -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    return HttpxAiohttpClient(limits=limits, timeout=_TIMEOUT_SECONDS)


CALLERS: dict[str, Caller] = {
    "aiohttp": _aiohttp,
    "httpx as it comes": partial(_httpx, lambda: httpx.AsyncClient(timeout=_TIMEOUT_SECONDS)),
    "httpx": partial(_httpx, _wide_httpx),
    "httpx2": partial(_httpx, _wide_httpx2),
    "httpx over aiohttp": partial(_httpx, _httpx_over_aiohttp),
    "Anthropic SDK: typed events": partial(_sdk, lambda: None, "typed"),
    "Anthropic SDK: stream helper": partial(_sdk, lambda: None, "helper"),
    "Anthropic SDK: raw stream": partial(_sdk, lambda: None, "raw"),
    "Anthropic SDK over aiohttp: typed events": partial(_sdk, anthropic.DefaultAioHttpClient, "typed"),
    "Anthropic SDK over aiohttp: stream helper": partial(_sdk, anthropic.DefaultAioHttpClient, "helper"),
    "Anthropic SDK over aiohttp: raw stream": partial(_sdk, anthropic.DefaultAioHttpClient, "raw"),
}
