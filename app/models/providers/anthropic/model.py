"""Anthropic, by its SDK: it builds the requests, signs them and names the errors; aiohttp carries the bytes.

A stream is read as bytes: the typed events that the SDK makes of it cost more than 100 µs of CPU a token.
"""

import os
import re
import ssl
from collections.abc import Awaitable, Callable
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import anthropic
import httpx2

from app.errors import AppError, ModelError
from app.messages import AssistantMessage, Usage
from app.models.estimates import estimated_input_tokens
from app.models.options import NO_OPTIONS, ModelOptions
from app.models.prices import is_anthropic
from app.models.protocol import Completion, ModelRequest, OnBeside, OnText, unheard
from app.models.providers.adjusting import Adjusted, Adjusting
from app.models.providers.anthropic.answer import AnthropicAnswer
from app.models.providers.anthropic.caching import Marks, Ttl
from app.models.providers.anthropic.request import FORMAT, request_body
from app.models.providers.anthropic.transport import raise_for_status, read_answer, translated
from app.models.providers.changes import Changes
from app.models.providers.failures import is_alive
from app.models.providers.http import CONNECT_SECONDS, SILENCE_SECONDS
from app.models.providers.refusals import Said
from app.models.providers.think_tags import Splitter
from app.models.quota_headers import ANTHROPIC
from app.models.resting import Resting, credential
from app.telemetry.logs import log
from app.telemetry.outgoing import Outgoing, OutgoingCall
from app.telemetry.traces import Tracing

if TYPE_CHECKING:
    from app.models.providers.anthropic.batches import AnthropicBatches

KEEP_ALIVE_SECONDS = 30.0
UNLIMITED = 0
MAX_TEMPERATURE = 1.0
MAX_PAUSES = 5
"""How often an answer that the provider pauses, while its own tools work, is asked to go on."""

_OF_THINKING = re.compile(r"(?!.*(?:cache_control|must be passed)).*(?:thinking|signature)", re.IGNORECASE | re.DOTALL)


@lru_cache(1)
def _default_tls(*_where: str | None) -> ssl.SSLContext:
    """One context for all models, since reading the certificates takes 25 ms; `_where` they are read from."""
    return httpx2.create_ssl_context()


class AnthropicModel(Adjusted):
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
        connect_seconds: float = CONNECT_SECONDS,
        options: ModelOptions = NO_OPTIONS,
        context_window: int | None = None,
        tls: ssl.SSLContext | None = None,
        cache_ttl: Ttl = "5m",
        outgoing: Outgoing | None = None,
    ) -> None:
        self._outgoing = outgoing or Outgoing(Tracing(None))
        self._url = f"{base_url}/v1/messages"
        self.name = name
        self.ref = f"anthropic/{name}"
        self.resting = Resting(self.ref, credential(base_url, api_key), ANTHROPIC)
        self._options = options
        self._adjusting = Adjusting(self.ref, options, context_window, FORMAT)
        self._own = is_anthropic(base_url)
        self._marks = Marks.of(name, cache_ttl)
        self._opened = False
        self._warned = False
        self._timeout = httpx2.Timeout(silence_seconds, connect=connect_seconds, pool=None)
        self._tls = tls
        self._client = anthropic.AsyncAnthropic(
            api_key=api_key,
            base_url=base_url,
            max_retries=0,
            timeout=self._timeout,
            open_telemetry=False,
            default_headers={"Accept-Encoding": "identity"},
            http_client=self._transport(self._hear, raise_for_status),
        )

    def _transport(self, *hooks: Callable[[httpx2.Response], Awaitable[None]]) -> httpx2.AsyncClient:
        return anthropic.DefaultAioHttpClient(
            verify=self._tls or _default_tls(os.getenv("SSL_CERT_FILE"), os.getenv("SSL_CERT_DIR")),
            timeout=self._timeout,
            limits=httpx2.Limits(max_connections=UNLIMITED, keepalive_expiry=KEEP_ALIVE_SECONDS),
            event_hooks={"response": list(hooks)},
        )

    @cached_property
    def batches(self) -> "AnthropicBatches":
        """The provider's batch API, which has limits of its own: what its headers tell does not concern the model."""
        from app.models.providers.anthropic.batches import AnthropicBatches

        client = self._client.copy(http_client=self._transport(raise_for_status))
        return AnthropicBatches(client, self.ref, self._batched)

    def _batched(self, request: ModelRequest) -> dict[str, Any]:
        """The parameters of a request that is part of a batch: those of any other, as far as its server is known."""
        changes, max_tokens = self._adjusting.known(request)
        body = self._body(request, self.ref, changes, max_tokens)
        del body["stream"]
        further = body.pop("extra_body", {})
        return {**body, **further}

    async def generate(self, request: ModelRequest, on_text: OnText, on_beside: OnBeside = unheard) -> Completion:
        usage = Usage()
        tools = request.tool_names()

        def begin() -> AnthropicAnswer:
            splitter = Splitter(opened=self._opened) if not self._own else None
            return AnthropicAnswer(on_text, on_beside, splitter, tools, together=request.together)

        async def send(answer: AnthropicAnswer, changes: Changes, max_tokens: int) -> None:
            nonlocal usage
            usage = await self._answer(request, answer, changes, max_tokens)

        answer = await self._adjusting.send(request, begin, send)
        self._adjusting.reasons |= answer.reasons
        if answer.text.opened is not None:
            self._opened = answer.text.opened
        return answer.completion(usage, self.ref, request.call_ids())

    async def _answer(self, request: ModelRequest, answer: AnthropicAnswer, changes: Changes, max_tokens: int) -> Usage:
        """Returns the usage of the answer's last part."""
        ref = "" if "reasoning_not_sent_back" in changes.ways else self.ref
        try:
            return await self._parts(request, answer, self._body(request, ref, changes, max_tokens))
        except ModelError as error:
            if not (
                error.reason == "bad_request" and _OF_THINKING.match(error.words) and self._sends_thinking(request)
            ):
                raise
        log.warning("model.thinking_refused", model=self.ref)  # of another key, or too old
        return await self._parts(request, answer, self._body(request, "", changes, max_tokens))

    def _body(self, request: ModelRequest, ref: str, changes: Changes, max_tokens: int) -> dict[str, Any]:
        with_tools = self._options.tools and "tools" not in changes.left_out
        body = request_body(request, self.name, ref, max_tokens, self._marks, changes, with_tools=with_tools)
        body["stream"] = request.stream if changes.stream is None else changes.stream
        further = dict(self._options.parameters)
        if request.temperature is not None:
            further["temperature"] = min(request.temperature, MAX_TEMPERATURE)  # no parameter of the SDK's any more
        if further:
            body["extra_body"] = {name: further[name] for name in further if name not in changes.left_out}
        return body

    async def _parts(self, request: ModelRequest, answer: AnthropicAnswer, body: dict[str, Any]) -> Usage:
        usage = await self._call(request, body, answer)
        for _ in range(MAX_PAUSES):
            left = body["max_tokens"] - usage.output_tokens
            if not answer.paused or left < 1:
                break
            said = {"role": "assistant", "content": answer.go_on(usage)}
            body = {**body, "messages": [*body["messages"], said], "max_tokens": left}
            usage = await self._call(request, body, answer)
        return usage

    async def _call(self, request: ModelRequest, body: dict[str, Any], answer: AnthropicAnswer) -> Usage:
        with self._outgoing.call("POST", self._url) as outgoing:
            await self._send(body, answer, outgoing)
        usage, counted = answer.usage(estimated_input_tokens(request))
        if not (counted or self._warned):
            self._warned = True
            log.warning("model.usage_missing", model=self.ref)
        return usage

    async def _send(self, body: dict[str, Any], answer: AnthropicAnswer, outgoing: OutgoingCall) -> None:
        call = self._client.messages.with_streaming_response.create(**body, extra_headers=outgoing.headers)
        try:
            with translated():
                async with call as response:
                    outgoing.answered(response.status_code)
                    await read_answer(response.http_response, answer, body["stream"])
        except AppError as error:
            if isinstance(said := error.__cause__, Said):
                outgoing.answered(said.status)
            raise

    async def _hear(self, response: httpx2.Response) -> None:
        """A hook for responses, errors as well."""
        self.resting.heard(response.headers)

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
        if "batches" in self.__dict__:
            await self.batches.aclose()
