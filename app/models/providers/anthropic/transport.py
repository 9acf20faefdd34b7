"""How the bytes of an answer come from the SDK's transport, and what goes wrong with them."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager, suppress

import aiohttp
import anthropic
import httpx2

from app.errors import AppError, ModelUnavailable
from app.models.providers.anthropic.answer import AnthropicAnswer
from app.models.providers.content_types import mistaken
from app.models.providers.failures import from_exception, from_status, unavailable
from app.models.providers.http import DRAIN_SECONDS, LATE_SECONDS, MAX_ANSWER_BYTES, QUIET_SECONDS, is_json
from app.models.providers.refusals import Said
from app.models.providers.sse import BOM, SseData, is_events

Chunks = AsyncGenerator[bytes, None]
_BROKEN = (httpx2.RequestError, aiohttp.ClientError)


async def read_answer(response: httpx2.Response, answer: AnthropicAnswer, stream: bool) -> None:
    """Read until the answer has ended, in whichever of the two forms it comes: some servers do not stream when asked
    to, others always do. `stream` is what was asked for. Raises AppError, and the transport's errors."""
    try:
        await _read(response, answer, stream)
    except AppError as error:
        if another := mistaken(error, response.headers.get("Content-Type", "")):
            raise another from error
        raise


async def _read(response: httpx2.Response, answer: AnthropicAnswer, stream: bool) -> None:
    async with aclosing(response.aiter_bytes()) as chunks:
        start = await _start(chunks)
        if not (is_events(start) if start else stream):
            answer.add_whole(await _rest(start, chunks))
            return
        await _read_stream(start, chunks, answer)
        answer.end()
        with suppress(TimeoutError, *_BROKEN):  # to use the connection again
            async with asyncio.timeout(DRAIN_SECONDS):
                async for _ in chunks:
                    pass


async def _read_stream(chunk: bytes, chunks: Chunks, answer: AnthropicAnswer) -> None:
    sse = SseData()
    while chunk:
        for data in sse.feed(chunk):
            answer.add(data)
        answer.text.tell_waiting()
        if answer.done:
            return
        chunk = await (_soon(chunks, LATE_SECONDS) if answer.ended else anext(chunks, b""))
    if (rest := sse.close()) and not answer.ended:
        answer.add(rest)


async def _soon(chunks: Chunks, seconds: float) -> bytes:
    """What comes after an answer that is complete, if it comes soon."""
    with suppress(TimeoutError, *_BROKEN):
        async with asyncio.timeout(seconds):
            return await anext(chunks, b"")
    return b""


async def _start(chunks: Chunks) -> bytes:
    """The beginning, from the byte on that tells JSON from events."""
    start = b""
    while (not start or BOM.startswith(start)) and (chunk := await anext(chunks, b"")):
        start = (start + chunk).removeprefix(BOM).lstrip()
    return start


async def _rest(start: bytes, chunks: Chunks) -> bytes:
    """The whole body. Some servers leave the connection open after it."""
    pieces, size = [start], len(start)
    while True:
        whole = pieces[-1].rstrip().endswith((b"}", b"]")) and is_json(b"".join(pieces))
        chunk = await (_soon(chunks, QUIET_SECONDS) if whole else anext(chunks, b""))
        if not chunk:
            break
        pieces.append(chunk)
        size += len(chunk)
        if size > MAX_ANSWER_BYTES:
            raise unavailable("broken_answer", f"more than {MAX_ANSWER_BYTES} bytes")
    return b"".join(pieces)


async def raise_for_status(response: httpx2.Response) -> None:
    """A hook for responses: raises the AppError for an error. The SDK would read on until the connection ends."""
    if response.is_success or response.has_redirect_location:
        return
    async with aclosing(response.aiter_bytes()) as chunks:
        said = await _rest(b"", chunks)
    raise from_status(response.status_code, response.headers, said) from Said(response.status_code, said)


@contextmanager
def translated() -> Iterator[None]:
    """The SDK's and its transport's exceptions as those of `Model.generate`."""
    try:
        yield
    except anthropic.APIConnectionError as error:
        if isinstance(failure := error.__cause__, AppError):  # from raise_for_status
            raise failure from failure.__cause__
        raise _connection(error.__cause__ or error, answering=False) from error
    except (anthropic.AnthropicError, httpx2.StreamError) as error:
        raise unavailable("broken_answer", type(error).__name__) from error
    except (httpx2.InvalidURL, *_BROKEN) as error:
        raise _connection(error, answering=True) from error


def _connection(error: BaseException, *, answering: bool) -> ModelUnavailable:
    """What the transport has wrapped up says more."""
    if isinstance(error.__cause__, aiohttp.ClientError):
        error = error.__cause__
    if isinstance(error, aiohttp.ClientError):
        return from_exception(error, answering)
    return unavailable(_reason_of(error, answering=answering), type(error).__name__, words=str(error))


def _reason_of(error: BaseException, *, answering: bool) -> str:
    match error:
        case httpx2.ConnectTimeout():
            return "connect_timeout"
        case httpx2.ConnectError() | httpx2.UnsupportedProtocol() | httpx2.ProxyError():
            return "unreachable"
        case httpx2.InvalidURL():
            return "unreachable"
        case httpx2.TimeoutException() | anthropic.APITimeoutError():
            return "timeout"
        case httpx2.TooManyRedirects():
            return "bad_request"
        case httpx2.DecodingError() | httpx2.ProtocolError():
            return "broken_answer"
        case httpx2.NetworkError() if not answering:
            return "disconnected"
        case _:
            return "cut_stream" if answering else "unreachable"
