"""Reading of an answer until its end, which is not always where its connection ends."""

import asyncio
from contextlib import nullcontext, suppress

import aiohttp

from app.errors import ModelUnavailable
from app.models.providers.http import drain, read
from app.models.providers.openai.answer import OpenAIAnswer
from app.models.providers.sse import BOM, SseData, is_events

USAGE_SECONDS = 1.0
"""Wait for the usage after the finish reason: it comes at once, or from some servers never."""

DONE_SECONDS = 0.1
"""Wait for `[DONE]` after the usage. The answer is complete; a connection that is read to its end is used again."""


async def read_answer(response: aiohttp.ClientResponse, answer: OpenAIAnswer, stream: bool) -> None:
    """Read an answer in whichever form it comes: some servers do not stream when asked to, as with most errors, others
    always do. `stream` is what was asked for. Raises AppError, and aiohttp's errors."""
    readany = response.content.readany
    chunk = await readany()
    if chunk.startswith(b"{"):
        answer.add_body(await read(response, chunk))
        return
    while chunk.isspace() or (chunk and BOM.startswith(chunk)):
        chunk = chunk.lstrip() + await readany()
    start = chunk.removeprefix(BOM).lstrip()
    if is_events(start) if start else stream:
        await _read_stream(response, chunk, answer)
    else:
        answer.add_body(await read(response, chunk))


async def _read_stream(response: aiohttp.ClientResponse, chunk: bytes, answer: OpenAIAnswer) -> None:
    sse = SseData()
    add, tell = answer.add, answer.text.tell_waiting
    readany = response.content.readany
    while chunk:
        for data in sse.feed(chunk):
            add(data)
        tell()
        if answer.done or answer.finished:
            break
        chunk = await readany()
    if not answer.done and chunk:
        await _read_rest(response, sse, answer)
    if rest := sse.close():
        with suppress(ModelUnavailable) if answer.finished else nullcontext():
            add(rest)
    answer.end()
    await drain(response)


async def _read_rest(response: aiohttp.ClientResponse, sse: SseData, answer: OpenAIAnswer) -> None:
    """What comes after the finish reason: the usage, `[DONE]`, from some servers more of the answer. What happens to
    the connection is no failure any more."""
    loop = asyncio.get_running_loop()
    seen: object = None
    with suppress(TimeoutError, aiohttp.ClientError):
        while not answer.done:
            if seen != (seen := answer.progress):
                until = loop.time() + (DONE_SECONDS if answer.counted else USAGE_SECONDS)
            async with asyncio.timeout_at(until):
                chunk = await response.content.readany()
            if not chunk:
                return
            for data in sse.feed(chunk):
                answer.add(data)
            answer.text.tell_waiting()
