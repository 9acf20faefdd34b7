"""Anthropic, by its SDK: it builds the requests, signs them and names the errors; aiohttp carries the bytes.

A stream is read as bytes: the typed events that the SDK makes of it cost more than 100 µs of CPU a token.
"""

import re
from typing import Any

import anthropic
import httpx2
import msgspec

from app.errors import AppError, ModelError
from app.events import Usage
from app.messages import AssistantMessage
from app.models.anthropic_answer import AnthropicAnswer
from app.models.anthropic_request import request_body
from app.models.anthropic_transport import read_answer, translated
from app.models.echo import without_echo
from app.models.failures import is_alive
from app.models.http import CONNECT_SECONDS, SILENCE_SECONDS
from app.models.options import NO_OPTIONS, ModelOptions
from app.models.protocol import Completion, ModelRequest, OnBeside, OnText, unheard
from app.models.tokens import estimated_input_tokens
from app.telemetry.logs import log
from app.telemetry.propagation import trace_headers

KEEP_ALIVE_SECONDS = 30.0
UNLIMITED = 0
MAX_PAUSES = 5
"""How often an answer that the provider pauses, while its own tools work, is asked to go on."""

_OF_THINKING = re.compile(r"thinking|signature", re.IGNORECASE)


class AnthropicModel:
    """Retries, tracing and the limit of connections are off: each has its one owner elsewhere.

    Where a server leaves the usage out, it is estimated, with a warning: no call is for free.
    """

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
        self._warned = False
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
        try:
            return await self._answer(request, self.ref, on_text, on_beside)
        except ModelError as error:
            if (
                error.reason != "bad_request"
                or not self._sends_thinking(request)
                or not _OF_THINKING.search(error.cause)
            ):
                raise
        log.warning("model.thinking_refused", model=self.ref)  # of another key, or too old
        return await self._answer(request, "", on_text, on_beside)

    async def _answer(self, request: ModelRequest, ref: str, on_text: OnText, on_beside: OnBeside) -> Completion:
        """`ref` is whose thinking goes back."""
        answer = AnthropicAnswer(on_beside)
        max_tokens = request.max_tokens + (request.max_reasoning_tokens if self.reasons else 0)
        body = request_body(request, self.name, ref, max_tokens)
        usage = await self._call(request, body, answer, on_text)
        for _ in range(MAX_PAUSES):
            left = max_tokens - answer.output_tokens(usage)
            if not answer.paused or left < 1:
                break
            said = {"role": "assistant", "content": answer.go_on(usage)}
            body = {**body, "messages": [*body["messages"], said], "max_tokens": left}
            usage = await self._call(request, body, answer, on_text)
        self.reasons = self.reasons or answer.reasons
        return answer.completion(usage, self.ref)

    async def _call(
        self, request: ModelRequest, body: dict[str, Any], answer: AnthropicAnswer, on_text: OnText
    ) -> Usage:
        call = self._client.messages.with_streaming_response.create(
            **body, stream=request.stream, extra_headers=trace_headers()
        )
        try:
            with translated():
                async with call as response:
                    await read_answer(response.http_response, answer, on_text, request.stream)
        except ModelError as error:
            without_echo(error, msgspec.json.encode(body))
            raise
        usage, counted = answer.usage(estimated_input_tokens(request))
        if not (counted or self._warned):
            self._warned = True
            log.warning("model.usage_missing", model=self.ref)
        return usage

    def _sends_thinking(self, request: ModelRequest) -> bool:
        return any(
            isinstance(message, AssistantMessage) and message.extras is not None and message.extras.origin == self.ref
            for message in request.messages
        )

    async def probe(self) -> None:
        """Ask for the description of the model, which costs nothing. Compatible servers have none, and are alive."""
        try:
            with translated():
                await self._client.models.with_raw_response.retrieve(self.name)
        except AppError as error:
            if not is_alive(error, self.name):
                raise

    async def aclose(self) -> None:
        await self._client.close()
