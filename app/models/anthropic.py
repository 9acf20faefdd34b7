"""Anthropic, by its SDK: it builds the requests, signs them and names the errors; aiohttp carries the bytes.

A stream is read as bytes: the typed events that the SDK makes of it cost more than 100 µs of CPU a token.
"""

from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from typing import Any

import aiohttp
import anthropic
import httpx2

from app.errors import ModelUnavailable
from app.models.anthropic_answer import AnthropicAnswer
from app.models.anthropic_wire import request_body
from app.models.failures import from_exception, from_status, unavailable
from app.models.http import CONNECT_SECONDS, SILENCE_SECONDS
from app.models.options import NO_OPTIONS, ModelOptions
from app.models.protocol import Completion, ModelRequest, OnBeside, OnText, unheard
from app.models.sse import SseData

KEEP_ALIVE_SECONDS = 30.0
UNLIMITED = 0


class AnthropicModel:
    """Retries, tracing and the limit of connections are off: each has its one owner elsewhere."""

    provider = "anthropic"

    def __init__(
        self,
        name: str,
        base_url: str,
        api_key: str,
        silence_seconds: float = SILENCE_SECONDS,
        *,
        options: ModelOptions = NO_OPTIONS,
        context_window: int | None = None,
    ) -> None:
        self.name = name
        self.ref = f"anthropic/{name}"
        self.context_window = options.context_window or context_window
        self.reasons = options.reasons
        self._options = options
        timeout = httpx2.Timeout(silence_seconds, connect=CONNECT_SECONDS, pool=None)
        self._client = anthropic.AsyncAnthropic(
            api_key=api_key,
            base_url=base_url,
            max_retries=0,
            timeout=timeout,
            open_telemetry=False,
            default_headers={"Accept-Encoding": "identity"},
            http_client=anthropic.DefaultAioHttpClient(
                timeout=timeout,
                limits=httpx2.Limits(max_connections=UNLIMITED, keepalive_expiry=KEEP_ALIVE_SECONDS),
            ),
        )

    async def generate(self, request: ModelRequest, on_text: OnText, on_beside: OnBeside = unheard) -> Completion:
        answer = AnthropicAnswer()
        body: dict[str, Any] = request_body(request, self.name)
        call = self._client.messages.with_streaming_response.create(**body, stream=request.stream)
        with _translated():
            async with call as response:
                if request.stream:
                    sse = SseData()
                    async with aclosing(response.http_response.aiter_bytes()) as chunks:
                        async for chunk in chunks:
                            for data in sse.feed(chunk):
                                if text := answer.add(data):
                                    on_text(text)
                    answer.end()
                elif text := answer.add_whole(await response.read()):
                    on_text(text)
        return answer.completion()

    async def probe(self) -> None:
        """Ask for the description of the model, which costs nothing."""
        with _translated():
            await self._client.models.with_raw_response.retrieve(self.name)

    async def aclose(self) -> None:
        await self._client.close()


@contextmanager
def _translated() -> Iterator[None]:
    """The SDK's and its transport's exceptions as those of `Model.generate`."""
    try:
        yield
    except anthropic.APIStatusError as error:
        response = error.response
        raise from_status(error.status_code, response.headers, response.content) from error
    except anthropic.APIConnectionError as error:
        raise _connection(error.__cause__ or error, answering=False) from error
    except httpx2.DecodingError as error:
        raise unavailable("broken_answer", str(error)) from error
    except (httpx2.RequestError, aiohttp.ClientError) as error:
        raise _connection(error, answering=True) from error


def _connection(error: BaseException, *, answering: bool) -> ModelUnavailable:
    """What the transport has wrapped up says more."""
    if isinstance(error.__cause__, aiohttp.ClientError):
        error = error.__cause__
    if isinstance(error, aiohttp.ClientError):
        return from_exception(error, answering)
    return unavailable("cut_stream" if answering else "unreachable", f"{type(error).__name__}: {error}")
